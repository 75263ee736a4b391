"""Periodic event streams of an emulated 2.1 station: values of a monitor in bulk, sent without an answer (N11-N15).

A stream has the number of its monitor. While the station is offline its buffer is kept up to a bound, the oldest values
go first; on each connection it is opened anew.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from protocols.ocpp.link import Answered
from protocols.ocpp.schema import Payload
from protocols.ocpp.times import stamp

if TYPE_CHECKING:
    from emulators.charger.station.device_model.monitors import Monitor
    from emulators.charger.station.station import Station

BUFFERED = 10_000  # values
AT_ONCE = 500  # values in one message, where the CSMS names no number
VALUE_LENGTH = 2500


@dataclass(slots=True)
class Stream:
    """One stream. `interval` in s and `values`, 0 where the other decides."""

    id: int
    interval: int
    values: int
    flushed_at: float
    open: bool = False
    buffer: deque[tuple[float, str]] = field(default_factory=lambda: deque(maxlen=BUFFERED))

    def constant(self) -> dict[str, Any]:
        """ConstantStreamDataType."""
        params = {name: value for name, value in (("interval", self.interval), ("values", self.values)) if value}
        return {"id": self.id, "variableMonitoringId": self.id, "params": params}

    def due(self, now: float) -> bool:
        """N15.FR.06, .08."""
        full = self.values > 0 and len(self.buffer) >= self.values
        return bool(self.buffer) and (full or (self.interval > 0 and now - self.flushed_at >= self.interval - 1e-6))


class Streams:
    """All of one station."""

    def __init__(self, station: Station) -> None:
        self.station = station
        self._all: dict[int, Stream] = {}

    def __len__(self) -> int:
        return len(self._all)

    async def begin(self, monitor: Monitor, params: dict[str, Any]) -> None:
        """N11.FR.01, .02, .07: ask the CSMS; without its consent events go on as NotifyEvent."""
        new = Stream(monitor.id, params.get("interval", 0), params.get("values", 0), self.station.wall())
        self._all[new.id] = new
        await self._open(new)

    async def _open(self, stream: Stream) -> None:
        body = {"constantStreamData": stream.constant()}
        reply = await self.station.call("OpenPeriodicEventStream", body)
        monitor = self.station.monitoring.monitors.get(stream.id)
        if monitor is None or self._all.get(stream.id) is not stream:
            return
        if isinstance(reply, Answered) and reply.violation is None and reply.payload["status"] == "Accepted":
            stream.open, monitor.stream = True, stream.id
        elif self.station.online:
            del self._all[stream.id]
            monitor.stream = None

    async def resume(self) -> None:
        """A new connection: what was open is opened again."""
        for stream in list(self._all.values()):
            await self._open(stream)

    async def end(self, number: int) -> None:
        """N13: flush, then close; the monitor goes back to NotifyEvent."""
        stream = self._all.pop(number, None)
        if stream is None:
            return
        monitor = self.station.monitoring.monitors.get(number)
        if monitor is not None:
            monitor.stream = None
        while stream.open and stream.buffer and self.station.online:
            await self._flush(stream)
        if stream.open:
            await self.station.call("ClosePeriodicEventStream", {"id": number})

    def list(self) -> list[dict[str, Any]]:
        """N12."""
        return [stream.constant() for stream in self._all.values() if stream.open]

    def adjust(self, number: int, params: dict[str, Any]) -> bool:
        """N14: both absent would never send."""
        stream = self._all.get(number)
        interval, values = params.get("interval", 0), params.get("values", 0)
        if stream is None or interval < 0 or values < 0 or not (interval or values):
            return False
        stream.interval, stream.values = interval, values
        return True

    def take(self, number: int, value: str) -> None:
        """A value of a monitor, now."""
        stream = self._all.get(number)
        if stream is not None:
            stream.buffer.append((self.station.wall(), value[:VALUE_LENGTH]))

    async def look(self) -> None:
        """Send what is due."""
        if not self.station.online:
            return
        for stream in list(self._all.values()):
            if stream.open and stream.due(self.station.wall()):
                await self._flush(stream)

    async def _flush(self, stream: Stream) -> None:
        link, now = self.station.line.link, self.station.wall()
        if link is None:
            return
        count = min(len(stream.buffer), stream.values or AT_ONCE)
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
            await link.send("NotifyPeriodicEventStream", body)
        except ConnectionError:
            stream.buffer.extendleft(reversed(data))
