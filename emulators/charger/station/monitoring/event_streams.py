"""Periodic event streams of an emulated 2.1 station: values of a monitor in bulk, sent without a response (N11-N15).

A stream has the id of its monitor. While the station is offline values are buffered up to a maximum, then the oldest
are discarded. Streams are opened again on each connection.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from emulators.charger.station.context import StationContext
from emulators.charger.station.monitoring.monitors import Monitor, Monitors
from emulators.charger.station.responses import is_accepted
from protocols.ocpp.enums import v21
from protocols.ocpp.schema import Payload
from protocols.ocpp.times import stamp

MAX_BUFFERED = 10_000  # values
MAX_PER_MESSAGE = 500  # values, where the CSMS states no number
VALUE_LENGTH = 2500


@dataclass(slots=True)
class EventStream:
    """One stream, sent each `interval` s or after a number of `values`; 0 disables either."""

    id: int
    interval: int
    values: int
    flushed_at: float
    open: bool = False
    buffer: deque[tuple[float, str]] = field(default_factory=lambda: deque(maxlen=MAX_BUFFERED))

    def constant(self) -> Payload:
        """Return ConstantStreamDataType."""
        params = {name: value for name, value in (("interval", self.interval), ("values", self.values)) if value}
        return {"id": self.id, "variableMonitoringId": self.id, "params": params}

    def due(self, now: float) -> bool:
        """Return True if values have to be sent (N15.FR.06, .08)."""
        full = self.values > 0 and len(self.buffer) >= self.values
        return bool(self.buffer) and (full or (self.interval > 0 and now - self.flushed_at >= self.interval - 1e-6))


class EventStreams:
    """Event streams of one station."""

    def __init__(self, context: StationContext, monitors: Monitors) -> None:
        self._context, self._monitors = context, monitors
        self._all: dict[int, EventStream] = {}

    def __len__(self) -> int:
        return len(self._all)

    async def begin(self, monitor: Monitor, params: Payload) -> None:
        """Open a stream. If the CSMS rejects it, events are sent as NotifyEvent (N11.FR.01, .02, .07)."""
        new = EventStream(monitor.id, params.get("interval", 0), params.get("values", 0), self._context.wall())
        self._all[new.id] = new
        await self._open(new)

    async def _open(self, stream: EventStream) -> None:
        body = {"constantStreamData": stream.constant()}
        reply = await self._context.call(v21.Action.open_periodic_event_stream, body)
        monitor = self._monitors.get(stream.id)
        if monitor is None or self._all.get(stream.id) is not stream:
            return
        if is_accepted(reply):
            stream.open, monitor.stream = True, stream.id
        elif self._context.online:
            del self._all[stream.id]
            monitor.stream = None

    async def resume(self) -> None:
        """Open all streams again on a new connection."""
        for stream in list(self._all.values()):
            await self._open(stream)

    async def end(self, number: int) -> None:
        """Flush and close a stream; its monitor reports by NotifyEvent again (N13)."""
        stream = self._all.pop(number, None)
        if stream is None:
            return
        monitor = self._monitors.get(number)
        if monitor is not None:
            monitor.stream = None
        while stream.open and stream.buffer and self._context.online:
            await self._flush(stream)
        if stream.open:
            await self._context.call(v21.Action.close_periodic_event_stream, {"id": number})

    def list(self) -> list[Payload]:
        """Return the open streams (N12)."""
        return [stream.constant() for stream in self._all.values() if stream.open]

    def adjust(self, number: int, params: Payload) -> bool:
        """Change interval and number of values (N14); return False if rejected."""
        stream = self._all.get(number)
        interval, values = params.get("interval", 0), params.get("values", 0)
        if stream is None or interval < 0 or values < 0 or not (interval or values):
            return False
        stream.interval, stream.values = interval, values
        return True

    def append(self, number: int, value: str) -> None:
        """Buffer a value of a monitor."""
        stream = self._all.get(number)
        if stream is not None:
            stream.buffer.append((self._context.wall(), value[:VALUE_LENGTH]))

    async def update(self) -> None:
        """Send the values that are due."""
        if not self._context.online:
            return
        for stream in list(self._all.values()):
            if stream.open and stream.due(self._context.wall()):
                await self._flush(stream)

    async def _flush(self, stream: EventStream) -> None:
        now = self._context.wall()
        count = min(len(stream.buffer), stream.values or MAX_PER_MESSAGE)
        data = [stream.buffer.popleft() for _ in range(count)]
        first = data[0][0]
        body: Payload = {
            "id": stream.id,
            "pending": len(stream.buffer),
            "basetime": stamp(first),
            "data": [{"t": round(at - first, 3), "v": value} for at, value in data],
        }
        stream.flushed_at = now
        try:
            await self._context.send("NotifyPeriodicEventStream", body)
        except ConnectionError:
            stream.buffer.extendleft(reversed(data))
