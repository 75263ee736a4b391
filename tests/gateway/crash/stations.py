"""Stations in the test's process, which the gateway's backend reaches over TCP, so that they survive it.

The link carries pickled lines and stands for any link that can break. `StationSide` is in the process of the test,
`GatewaySide` is the backend of the gateway.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import pickle
from typing import Any

from gateway.bench.plain_station import PlainStations
from gateway.clock import SystemClock
from gateway.model.event import Event, Report, StationLost
from gateway.model.station import Answer, Outcome
from protocols.ports import Clock


def _pack(value: Any) -> bytes:
    return base64.b64encode(pickle.dumps(value)) + b"\n"


def _unpack(line: bytes) -> Any:
    return pickle.loads(base64.b64decode(line))


class StationSide:
    """One station, `CP1` with `CP1-1`, a car in session, its meter read ten times a second."""

    def __init__(self) -> None:
        self.clock = SystemClock()
        self.plain = PlainStations(self.clock, self._report)
        self.port = 0
        self.links = 0
        self.away = False  # accepts no link
        self.log: list[tuple[float, str, float]] = []  # (time, call, power_w) as they came, with `link` for a new link
        self._writer: asyncio.StreamWriter | None = None
        self._server: asyncio.Server | None = None
        self._metering: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Listen."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        self.plain.connect("CP1", "CP1-1")
        self.plain.plug("CP1-1")
        self._metering = asyncio.create_task(self.plain.run(0.1))

    async def stop(self) -> None:
        """End."""
        self.cut()
        if self._metering is not None:
            self._metering.cancel()
            await asyncio.gather(self._metering, return_exceptions=True)
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()

    def cut(self) -> None:
        """Break the link."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    def calls_of_link(self, number: int) -> list[str]:
        """Return the calls over a link, in their order; links count from 1."""
        calls = [call for _, call, _ in self.log]
        begins = [place for place, call in enumerate(calls) if call == "link"]
        return calls[begins[number - 1] + 1 :] if len(begins) >= number else []

    @property
    def power_w(self) -> float:
        """Return the present power of the EVSE, watchdog included."""
        held = self.plain.evses["CP1-1"]
        return held.power_w if self.clock.now() < held.until else 0.0

    def _report(self, event: Event) -> None:
        if self._writer is not None:
            self._writer.write(_pack(event))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.away:
            writer.close()
            return
        self._writer = writer
        self.links += 1
        self.log.append((self.clock.now(), "link", 0.0))
        self.plain.connect("CP1", "CP1-1")
        held = self.plain.evses["CP1-1"]
        self.plain.plug("CP1-1", held.session or "tx1", soc_pct=held.soc_pct)
        with contextlib.suppress(ConnectionError):
            while line := await reader.readline():
                number, call, arguments = _unpack(line)
                self.log.append((self.clock.now(), call, arguments[1] if call == "set_power" else 0.0))
                answer = await getattr(self.plain, call)(*arguments)
                if self._writer is writer:
                    writer.write(_pack((number, answer)))
        if self._writer is writer:
            self._writer = None
        writer.close()


class GatewaySide:
    """Implements `Stations` over the link; opens it again when it breaks."""

    def __init__(self, port: int, report: Report, clock: Clock) -> None:
        self._port = port
        self._report = report
        self._clock = clock
        self._writer: asyncio.StreamWriter | None = None
        self._waiting: dict[int, asyncio.Future[Any]] = {}
        self._number = 0

    async def run(self) -> None:
        """Keep the link until cancelled."""
        while True:
            try:
                reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port)
            except OSError:
                await asyncio.sleep(0.1)
                continue
            with contextlib.suppress(ConnectionError):
                while line := await reader.readline():
                    received = _unpack(line)
                    if isinstance(received, tuple):
                        waiting = self._waiting.pop(received[0], None)
                        if waiting is not None and not waiting.done():
                            waiting.set_result(received[1])
                    else:
                        self._report(received)
            self._writer.close()
            self._writer = None
            self._report(StationLost("CP1", self._clock.now(), "the link broke"))
            for waiting in self._waiting.values():
                waiting.cancel()
            self._waiting.clear()
            await asyncio.sleep(0.2)

    def reaches(self, evse: str) -> bool:
        return self._writer is not None

    async def set_power(self, evse: str, power_w: float, valid_for_s: float) -> Outcome:
        return await self._call(Outcome(Answer.UNKNOWN, "LinkLost"), "set_power", evse, power_w, valid_for_s)  # type: ignore[no-any-return]

    async def reconcile(self, evse: str) -> float | None:
        return await self._call(None, "reconcile", evse)  # type: ignore[no-any-return]

    async def _call(self, otherwise: Any, call: str, *arguments: Any) -> Any:
        if self._writer is None:
            return otherwise
        self._number += 1
        answer = self._waiting[self._number] = asyncio.get_running_loop().create_future()
        self._writer.write(_pack((self._number, call, arguments)))
        try:
            return await answer
        except asyncio.CancelledError:
            if answer.cancelled():
                return otherwise
            raise
