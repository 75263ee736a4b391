"""Metrics of the gateway for Prometheus: name, type, labels and meaning. Source of `docs/metrics.md`.

Names begin with `v2x_`; powers are W, + into the vehicle. A gauge without a value is absent, not 0.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily


class Kind(StrEnum):
    """Type of a metric; a counter only grows and starts at 0 with the process."""

    COUNTER = "counter"
    GAUGE = "gauge"


@dataclass(frozen=True, slots=True)
class Definition:
    """One metric; `name` is without the suffix that counters have in the output."""

    name: str
    kind: Kind
    text: str
    labels: tuple[str, ...] = ()

    @property
    def exposed(self) -> str:
        """Name in the output and in queries."""
        return f"{self.name}_total" if self.kind is Kind.COUNTER else self.name

    def family(self, value: float | None = None) -> CounterMetricFamily | GaugeMetricFamily:
        """Return its family for one scrape; without labels `value` is its value, None for none."""
        made = CounterMetricFamily if self.kind is Kind.COUNTER else GaugeMetricFamily
        family = made(self.name, self.text, labels=self.labels)
        if value is not None:
            family.add_metric([], value)
        return family


def _counter(name: str, text: str, *labels: str) -> Definition:
    return Definition(f"v2x_{name}", Kind.COUNTER, text, labels)


def _gauge(name: str, text: str, *labels: str) -> Definition:
    return Definition(f"v2x_{name}", Kind.GAUGE, text, labels)


BUILD_INFO = _gauge("build_info", "1; the label is the version of the gateway.", "version")

COMMANDS = _counter(
    "commands", "First results of commands, by status and reason code (docs/mqtt.md).", "status", "reason"
)
IN_FORCE = _gauge("commands_in_force", "Commands that hold a power.")
EVENTS = _counter("events", "Events, by kind (docs/mqtt.md), such as fault, security or station_rejected.", "event")

STATIONS = _gauge("stations", "Charging stations by state: connected, or offline.", "state")
CONNECTED = _gauge("evse_connected", "1 if its station is connected.", "evse")
GRANTED = _gauge("evse_granted_watts", "Power granted by the control hierarchy.", "evse")
POWER = _gauge("evse_power_watts", "Power by the meter.", "evse")
SOC = _gauge("evse_soc_percent", "State of charge of the vehicle.", "evse")
CHARGED = _counter("evse_charged_watt_hours", "Energy charged into vehicles.", "evse")
DISCHARGED = _counter("evse_discharged_watt_hours", "Energy discharged from vehicles.", "evse")

GRID_PRESENT = _gauge("grid_present", "1 if the facility reports the grid, 0 if it reports its loss.")
ISLANDED = _gauge("islanded", "1 while the site is an island.")
EMERGENCY_STOP = _gauge("emergency_stop", "1 while an emergency stop is in force.")
INPUT_STALE = _gauge("input_stale", "1 for an input of the facility that was received and is stale.", "input")

BROKER = _gauge("broker_connected", "1 if the broker is connected.")
LINKS = _counter("broker_links", "Connections to the broker.")
WAITING = _gauge("results_waiting", "Results that the broker has not acknowledged.")
OUTCOMES = ("defects", "dropped_qos_0", "for_another_gateway", "ignored", "malformed_neighbour", "quarantined")
MESSAGES = _counter("mqtt_messages", "MQTT messages without effect, and defects, by outcome.", "outcome")
JOURNAL_OK = _gauge("journal_ok", "1 if the journal can be written.")
DROPPED = _counter("journal_dropped", "Records lost because the journal failed for too long.")
ECHONET = _counter("echonet_ignored", "Datagrams and orders over ECHONET Lite without effect, by reason.", "reason")
HEMS = _counter("hems_refused", "Orders of a HEMS that were refused, by reason code.", "reason")

DEFINITIONS = (
    BUILD_INFO,
    COMMANDS,
    IN_FORCE,
    EVENTS,
    STATIONS,
    CONNECTED,
    GRANTED,
    POWER,
    SOC,
    CHARGED,
    DISCHARGED,
    GRID_PRESENT,
    ISLANDED,
    EMERGENCY_STOP,
    INPUT_STALE,
    BROKER,
    LINKS,
    WAITING,
    MESSAGES,
    JOURNAL_OK,
    DROPPED,
    ECHONET,
    HEMS,
)  # in the order of the output
