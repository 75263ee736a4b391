"""State of the open event streams of one 2.1 station and of their monitors; `event_streams` processes messages."""

from __future__ import annotations

from dataclasses import dataclass, field

from protocols.ocpp.schema import Payload
from protocols.ocpp.times import stamp

MAX_STREAMS = 64  # per station
MAX_MONITORS = 500  # per station


@dataclass(frozen=True, slots=True)
class Monitor:
    """The variable of a monitor."""

    component: Payload
    variable: Payload
    severity: int | None


@dataclass(slots=True)
class Stream:
    """One open stream and its last value. `at` is Unix time."""

    id: int
    monitor: int
    interval: int | None = None
    values: int | None = None
    pending: int = 0
    increases: int = 0  # of `pending` in a row
    received: int = 0
    value: str | None = None
    at: float | None = None


@dataclass(slots=True)
class Streams:
    """All streams of one station."""

    open: dict[int, Stream] = field(default_factory=dict)
    monitors: dict[int, Monitor] = field(default_factory=dict)
    requested: set[str] = field(default_factory=set)  # actions that are not sent again
    pending: set[str] = field(default_factory=set)  # actions without a response yet

    def booted(self) -> None:
        """Remove open streams: a station opens them again after a boot."""
        self.open.clear()
        self.requested.clear()
        self.pending.clear()

    def rows(self) -> list[Payload]:
        """Return the streams for the admin API; members of an unknown monitor are None."""
        return [self._row(stream) for stream in self.open.values()]

    def _row(self, stream: Stream) -> Payload:
        monitor = self.monitors.get(stream.monitor) or Monitor({}, {}, None)
        return {
            "id": stream.id,
            "variableMonitoringId": stream.monitor,
            "component": monitor.component.get("name"),
            "evseId": monitor.component.get("evse", {}).get("id"),
            "variable": monitor.variable.get("name"),
            "severity": monitor.severity,
            "interval": stream.interval,
            "values": stream.values,
            "pending": stream.pending,
            "received": stream.received,
            "value": stream.value,
            "at": None if stream.at is None else stamp(stream.at),
        }
