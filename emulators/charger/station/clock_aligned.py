"""Meter values at moments of the clock, and those that are kept for the end of a transaction (2.x block J, 1.6 7.4)."""

from __future__ import annotations

import asyncio
import contextlib
from math import floor
from typing import TYPE_CHECKING

from emulators.charger.station.device_model import settings

if TYPE_CHECKING:
    from emulators.charger.station.station import Station

INTERVALS = ("aligned_interval", "aligned_ended_interval", "sampled_ended_interval")


class Aligned:
    """Waits for the next moment of each interval that is set. A day of 86,400 s begins at midnight, UTC."""

    def __init__(self, station: Station) -> None:
        self.station = station
        self.changed = asyncio.Event()

    async def run(self) -> None:
        """Live as long as the station."""
        clock, wall = self.station.clock, self.station.wall
        while True:
            self.changed.clear()
            seen = wall()
            turns = [t for name in INTERVALS if (t := self._next(name, seen)) is not None]
            at = clock.now() + max(0.0, min(turns) - seen) if turns else None
            with contextlib.suppress(TimeoutError):
                async with clock.timeout_at(at):
                    await self.changed.wait()
                    continue
            await self._due(seen, wall() + 1e-3)

    def _next(self, name: str, after: float) -> float | None:
        every = settings.number(self.station, name)
        return None if every <= 0 else (floor(after / every + 1e-9) + 1) * every

    async def _due(self, seen: float, now: float) -> None:
        for name in INTERVALS:
            turn = self._next(name, seen)
            if turn is None or turn > now:
                continue
            if name == "aligned_interval":
                await self.station.dialect.aligned()
                continue
            for evse in self.station.evses.values():
                if evse.transaction is not None:
                    self.station.dialect.keep_for_end(evse.transaction, name.startswith("aligned"))
