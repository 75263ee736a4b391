"""Clock-aligned meter values, and meter values collected for the end of a transaction (2.x block J, 1.6 7.4)."""

from __future__ import annotations

import asyncio
import contextlib
from math import floor

from emulators.charger.station.context import StationContext

INTERVALS = ("aligned_interval", "aligned_ended_interval", "sampled_ended_interval")


class ClockAlignedData:
    """Timer of all configured intervals. Days of 86,400 s begin at midnight UTC."""

    def __init__(self, context: StationContext) -> None:
        self._context = context
        self.changed = asyncio.Event()

    async def run(self) -> None:
        """Run until cancelled."""
        clock, wall = self._context.clock, self._context.wall
        while True:
            self.changed.clear()
            before = wall()
            due = [t for name in INTERVALS if (t := self._next(name, before)) is not None]
            at = clock.now() + max(0.0, min(due) - before) if due else None
            with contextlib.suppress(TimeoutError):
                async with clock.timeout_at(at):
                    await self.changed.wait()
                    continue
            await self._report(before, wall() + 1e-3)

    def _next(self, name: str, after: float) -> float | None:
        interval = self._context.settings.number(name)
        return None if interval <= 0 else (floor(after / interval + 1e-9) + 1) * interval

    async def _report(self, before: float, now: float) -> None:
        """Report the intervals that became due between two times."""
        messages = self._context.messages
        for name in INTERVALS:
            due = self._next(name, before)
            if due is None or due > now:
                continue
            if name == "aligned_interval":
                await messages.clock_aligned()
                continue
            for evse in self._context.evses.values():
                if evse.transaction is not None:
                    messages.collect_for_end(evse.transaction, name.startswith("aligned"))
