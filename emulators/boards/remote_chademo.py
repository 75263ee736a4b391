"""Board driver of emulated CHAdeMO hardware for vehicles of other processes, such as `v2x ev --chademo`.

The wires of the plug that are not CAN are frames on the same bus (`emulators/runtime/plug_lines.py`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress

from pydantic import Field

from emulators.boards.chademo import ChademoBoard
from emulators.boards.emulated import EmulatedSettings
from emulators.charger.chademo.post import RemoteBattery
from emulators.runtime.plug_lines import (
    GONE_S,
    LINES_S,
    REPEAT_S,
    ChargerLines,
    LineBus,
    Lines,
    VehicleLines,
    encode,
)
from gateway.drivers.board.faults import FaultName, Part
from gateway.drivers.board.ports import Report
from gateway.drivers.board.registry import BoardError
from protocols.dc_modules.bus import CanBus
from protocols.ports import Clock

REOPEN_S = 2.0


class RemoteChademoSettings(EmulatedSettings):
    """Settings of the emulated CHAdeMO board."""

    silence_s: float | None = Field(default=2.5, gt=0, description="silence time-out of the module")
    channel: str | None = Field(
        default=None, min_length=1, description="CAN bus on which a vehicle of another process is: the same as can"
    )


class RemoteChademoBoard(ChademoBoard):
    """Emulated board whose vehicle is on a bus. `open_bus` raises ConnectionError while there is none."""

    def __init__(self, settings: RemoteChademoSettings, clock: Clock, open_bus: Callable[[], CanBus]) -> None:
        super().__init__(settings, clock)
        self._open_bus = open_bus
        self._battery = RemoteBattery()
        self._vehicle_at = float("-inf")
        self._vehicle = VehicleLines()
        self._sent: tuple[ChargerLines, float] | None = None

    async def run(self, report: Report) -> None:
        """Operate hardware, driver and the wires of the plug until cancelled."""
        wires = asyncio.create_task(self._run_wires())
        try:
            await super().run(report)
        finally:
            wires.cancel()
            with suppress(asyncio.CancelledError):
                await wires

    async def _run_wires(self) -> None:
        while True:
            with suppress(ConnectionError):
                await self._serve(LineBus(self._open_bus(), self._received))
            self.raise_fault(Part.LINES, FaultName.COMMUNICATION, "the CAN bus of the emulated lines is lost")
            await self.clock.sleep(REOPEN_S)

    async def _serve(self, bus: LineBus) -> None:
        self.clear_fault(Part.LINES, FaultName.COMMUNICATION)
        reader = asyncio.create_task(self._read(bus))
        try:
            while not reader.done():
                self._move()
                await self._send(bus)
                await self.clock.sleep(LINES_S)
            await reader
        finally:
            reader.cancel()
            await asyncio.gather(reader, return_exceptions=True)
            await bus.close()

    async def _read(self, bus: LineBus) -> None:
        while True:
            await bus.receive()  # frames of the protocol are those of the gateway

    def _received(self, lines: Lines) -> None:
        if isinstance(lines, VehicleLines):
            self._vehicle, self._vehicle_at = lines, self.clock.now()
            self._move()

    def _move(self) -> None:
        """Plug or unplug the vehicle, and set k and its contactors."""
        now, plug = self.clock.now(), self.plug
        present = now - self._vehicle_at < GONE_S
        if present and not plug.plugged_in:
            plug.plug(self._battery)
            self.wake()
        elif not present and plug.plugged_in:
            plug.unplug(now)
            self.wake()
        if not present:
            return
        lines = self._vehicle
        self._battery.rest_v, self._battery.resistance_ohm = lines.rest_v, lines.resistance_ohm
        if lines.closed:
            plug.close_vehicle(now)
        else:
            plug.open_vehicle(now)
        if plug.k != lines.k:
            plug.k = lines.k
            self.wake()

    async def _send(self, bus: LineBus) -> None:
        plug, now = self.plug, self.clock.now()
        plug.advance(now)
        lines = ChargerLines(plug.d1, plug.d2, round(plug.inlet_v, 1), round(plug.stage.current_a, 1))
        if self._sent is None or self._sent[0] != lines or now - self._sent[1] >= REPEAT_S:
            self._sent = lines, now
            await bus.send(encode(lines))


def make(settings: RemoteChademoSettings, clock: Clock) -> ChademoBoard:
    """Return the board. Raises `BoardError` where python-can is missing."""
    channel = settings.channel
    if channel is None:
        return ChademoBoard(settings, clock)
    try:
        from protocols.dc_modules.io import open_bus  # python-can is an extra
    except ImportError as error:
        raise BoardError(f"board emulated-chademo: {error}") from error
    return RemoteChademoBoard(settings, clock, lambda: open_bus(channel))
