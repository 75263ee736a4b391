"""Lines of a CHAdeMO plug between two emulators on one CAN bus: the switches that are wires in a real plug.

Two 29-bit identifiers of this project, which no CHAdeMO device uses. Each side sends its lines at each change and at
least each 100 ms; a side that has not sent for a second has left the plug.
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from typing import TypeAlias

from protocols.can import CanFrame
from protocols.dc_modules.bus import CanBus
from protocols.frozen import frozen
from protocols.ports import Clock

CHARGER_ID, VEHICLE_ID = 0x1CADE001, 0x1CADE002
REPEAT_S, GONE_S = 0.1, 1.0
LINES_S = 0.05  # between two updates of the lines and of the power behind them
_FORM = struct.Struct("<BHhH")  # switches, voltage 0.1 V, current 0.1 A, resistance mohm


@frozen
class ChargerLines:
    """d1, d2, voltage of the open cable, current into the vehicle."""

    d1: bool = False
    d2: bool = False
    voltage_v: float = 0.0
    current_a: float = 0.0


@frozen
class VehicleLines:
    """k, contactors, open-circuit voltage and resistance of the battery behind them."""

    k: bool = False
    closed: bool = False
    rest_v: float = 0.0
    resistance_ohm: float = 0.1


Lines: TypeAlias = ChargerLines | VehicleLines


def encode(lines: Lines) -> CanFrame:
    """Return the frame of the lines of one side."""
    if isinstance(lines, ChargerLines):
        values = (lines.d1 | lines.d2 << 1, round(lines.voltage_v * 10), round(lines.current_a * 10), 0)
        return CanFrame(CHARGER_ID, _FORM.pack(*values), extended=True)
    values = (lines.k | lines.closed << 1, round(lines.rest_v * 10), 0, round(lines.resistance_ohm * 1000))
    return CanFrame(VEHICLE_ID, _FORM.pack(*values), extended=True)


def decode(frame: CanFrame) -> Lines | None:
    """Return the lines of a frame; None for other frames."""
    if not frame.extended or frame.can_id not in (CHARGER_ID, VEHICLE_ID) or len(frame.data) != _FORM.size:
        return None
    switches, voltage, current, resistance = _FORM.unpack(frame.data)
    first, second = bool(switches & 1), bool(switches & 2)
    if frame.can_id == CHARGER_ID:
        return ChargerLines(first, second, voltage / 10, current / 10)
    return VehicleLines(first, second, voltage / 10, resistance / 1000)


class LineBus:
    """A bus that passes lines to `on_lines` and every other frame on."""

    def __init__(self, bus: CanBus, on_lines: Callable[[Lines], None]) -> None:
        self._bus = bus
        self._on_lines = on_lines

    async def send(self, frame: CanFrame) -> None:
        """Send a frame. Raises ConnectionError."""
        await self._bus.send(frame)

    async def receive(self) -> CanFrame:
        """Return the next frame that has no lines. Raises ConnectionError."""
        while True:
            frame = await self._bus.receive()
            lines = decode(frame)
            if lines is None:
                return frame
            self._on_lines(lines)

    async def close(self) -> None:
        """Close the bus; idempotent."""
        await self._bus.close()


async def run_with_lines(
    connection: Coroutine[object, object, None],
    update: Callable[[], Awaitable[None]],
    clock: Clock,
    period_s: float = LINES_S,
) -> None:
    """Run one side of a plug until it is cancelled or the bus is lost (ConnectionError); `update` sends its lines."""
    running = asyncio.ensure_future(connection)
    try:
        while not running.done():
            await update()
            await clock.sleep(period_s)
        await running
    finally:
        running.cancel()
        with suppress(asyncio.CancelledError, ConnectionError):
            await running
