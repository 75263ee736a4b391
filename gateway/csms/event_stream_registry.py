"""The open event streams of one 2.1 station and the monitors they belong to: what is known; see `streaming`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from protocols.ocpp.schema import Payload
from protocols.ocpp.times import stamp

MOST_STREAMS = 64  # of one station
MONITORS_KEPT = 500  # of one station


@dataclass(frozen=True, slots=True)
class Monitored:
    """What a monitor watches."""

    component: Payload
    variable: Payload
    severity: int | None


@dataclass(slots=True)
class Stream:
    """One open stream, and what came of it last. `at` is Unix time."""

    id: int
    monitor: int
    interval: int | None = None
    values: int | None = None
    pending: int = 0
    grown: int = 0  # messages in a row that left more behind than the one before
    received: int = 0
    value: str | None = None
    at: float | None = None


@dataclass(slots=True)
class Streams:
    """All of one station."""

    open: dict[int, Stream] = field(default_factory=dict)
    monitors: dict[int, Monitored] = field(default_factory=dict)
    asked: set[str] = field(default_factory=set)  # what the station was asked, not to be asked again
    asking: set[str] = field(default_factory=set)  # what it is asked now

    def booted(self) -> None:
        """A station that boots opens its streams anew."""
        self.open.clear()
        self.asked.clear()
        self.asking.clear()

    def rows(self) -> list[dict[str, Any]]:
        """As an operator sees them; what is not known of a monitor is None."""
        return [self._row(stream) for stream in self.open.values()]

    def _row(self, stream: Stream) -> dict[str, Any]:
        about = self.monitors.get(stream.monitor) or Monitored({}, {}, None)
        return {
            "id": stream.id,
            "variableMonitoringId": stream.monitor,
            "component": about.component.get("name"),
            "evseId": about.component.get("evse", {}).get("id"),
            "variable": about.variable.get("name"),
            "severity": about.severity,
            "interval": stream.interval,
            "values": stream.values,
            "pending": stream.pending,
            "received": stream.received,
            "value": stream.value,
            "at": None if stream.at is None else stamp(stream.at),
        }
