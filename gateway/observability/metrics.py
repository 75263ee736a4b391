"""Metrics for Prometheus, read off the running gateway when they are asked for: nothing is counted twice.

Names begin with `v2x_`; powers are W, + into the vehicle. A gauge that nobody has told is absent, not 0.
"""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from gateway.mqtt.connection import MqttConnection
from gateway.service import GatewayService


class GatewayCollector(Collector):
    """Reads one gateway."""

    def __init__(self, service: GatewayService, mqtt: MqttConnection) -> None:
        self._service = service
        self._mqtt = mqtt

    def collect(self) -> Iterator[Metric]:
        """All families."""
        yield from self._commands()
        yield from self._evses()
        yield from self._links()

    def _commands(self) -> Iterator[Metric]:
        counts = CounterMetricFamily("v2x_commands", "First results of commands.", labels=["status", "reason"])
        for labels, number in sorted(self._service.command_counts().items()):
            counts.add_metric(labels, number)
        yield counts
        holding = GaugeMetricFamily("v2x_commands_in_force", "Commands that hold a power somewhere.")
        holding.add_metric([], self._service.commands_in_force())
        yield holding

    def _evses(self) -> Iterator[Metric]:
        power = GaugeMetricFamily("v2x_evse_power_watts", "What the meter shows.", labels=["evse"])
        granted = GaugeMetricFamily("v2x_evse_granted_watts", "What the order of authority grants.", labels=["evse"])
        soc = GaugeMetricFamily("v2x_evse_soc_percent", "State of charge of the car.", labels=["evse"])
        connected = GaugeMetricFamily("v2x_evse_connected", "Whether its station is connected.", labels=["evse"])
        charged = CounterMetricFamily("v2x_evse_charged_watt_hours", "Energy into cars.", labels=["evse"])
        discharged = CounterMetricFamily("v2x_evse_discharged_watt_hours", "Energy out of cars.", labels=["evse"])
        for one in self._service.readings():
            connected.add_metric([one.evse], float(one.connected))
            granted.add_metric([one.evse], one.effective_w)
            for family, value in (
                (power, one.power_w),
                (soc, one.soc_pct),
                (charged, one.charged_wh),
                (discharged, one.discharged_wh),
            ):
                if value is not None:
                    family.add_metric([one.evse], value)
        yield from (connected, granted, power, soc, charged, discharged)

    def _links(self) -> Iterator[Metric]:
        broker = GaugeMetricFamily("v2x_broker_connected", "Whether the link to the broker is up.")
        broker.add_metric([], float(self._mqtt.connected.is_set()))
        waiting = GaugeMetricFamily("v2x_results_waiting", "Results no broker has acknowledged yet.")
        waiting.add_metric([], len(self._mqtt.outbox))
        journal = GaugeMetricFamily("v2x_journal_ok", "Whether the journal can be written.")
        journal.add_metric([], float(self._service.journal_trouble() is None))
        dropped = CounterMetricFamily("v2x_journal_dropped", "Records lost because the journal failed for too long.")
        dropped.add_metric([], self._service.journal_dropped())
        ignored = CounterMetricFamily(
            "v2x_mqtt_messages", "Messages that were no command, by what became of them.", labels=["what"]
        )
        for what, number in sorted(self._mqtt.counts.items()):
            ignored.add_metric([what], number)
        yield from (broker, waiting, journal, dropped, ignored)


def render(service: GatewayService, mqtt: MqttConnection) -> bytes:
    """The page that Prometheus reads."""
    registry = CollectorRegistry()
    registry.register(GatewayCollector(service, mqtt))
    return generate_latest(registry)
