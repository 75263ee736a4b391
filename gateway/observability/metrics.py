"""Metrics for Prometheus, read from the running gateway at each scrape.

Names begin with `v2x_`; powers are W, + into the vehicle. A gauge without a value is absent, not 0.
"""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from gateway.mqtt.connection import MqttConnection
from gateway.service import GatewayService


class GatewayCollector(Collector):
    """Metrics of one gateway."""

    def __init__(self, service: GatewayService, mqtt: MqttConnection) -> None:
        self._service = service
        self._mqtt = mqtt

    def collect(self) -> Iterator[Metric]:
        """Yield all metric families."""
        yield from self._commands()
        yield from self._evses()
        yield from self._links()

    def _commands(self) -> Iterator[Metric]:
        counts = CounterMetricFamily("v2x_commands", "First results of commands.", labels=["status", "reason"])
        for labels, number in sorted(self._service.command_counts().items()):
            counts.add_metric(labels, number)
        yield counts
        yield GaugeMetricFamily("v2x_commands_in_force", "Commands in force.", self._service.commands_in_force())

    def _evses(self) -> Iterator[Metric]:
        power = GaugeMetricFamily("v2x_evse_power_watts", "Power by the meter.", labels=["evse"])
        granted = GaugeMetricFamily(
            "v2x_evse_granted_watts", "Power granted by the control hierarchy.", labels=["evse"]
        )
        soc = GaugeMetricFamily("v2x_evse_soc_percent", "State of charge of the vehicle.", labels=["evse"])
        connected = GaugeMetricFamily("v2x_evse_connected", "1 if its station is connected.", labels=["evse"])
        charged = CounterMetricFamily("v2x_evse_charged_watt_hours", "Energy charged into vehicles.", labels=["evse"])
        discharged = CounterMetricFamily(
            "v2x_evse_discharged_watt_hours", "Energy discharged from vehicles.", labels=["evse"]
        )
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
        mqtt, service = self._mqtt, self._service
        broker, journal = float(mqtt.connected.is_set()), float(service.journal_trouble() is None)
        yield GaugeMetricFamily("v2x_broker_connected", "1 if the broker is connected.", broker)
        yield GaugeMetricFamily("v2x_results_waiting", "Results that the broker has not acknowledged.", mqtt.waiting())
        yield GaugeMetricFamily("v2x_journal_ok", "1 if the journal can be written.", journal)
        dropped = service.journal_dropped()
        yield CounterMetricFamily(
            "v2x_journal_dropped", "Records lost because the journal failed for too long.", dropped
        )
        ignored = CounterMetricFamily(
            "v2x_mqtt_messages", "Messages other than commands, by outcome.", labels=["outcome"]
        )
        for outcome, number in sorted(mqtt.counts.items()):
            ignored.add_metric([outcome], number)
        yield ignored


def render(service: GatewayService, mqtt: MqttConnection) -> bytes:
    """Return the metrics in the text format of Prometheus."""
    registry = CollectorRegistry()
    registry.register(GatewayCollector(service, mqtt))
    return generate_latest(registry)
