"""Leaving out charge loops that would only repeat the one before: the same transcript at every change, in less time.

After a turn of the loop the physics of this one car and converter is lived ahead on copies, until the car would tell
something else or its charge moves by a per cent. Until then neither side needs to speak: the EVCC's next request and
the SECC's patience are moved by whole loops. Whatever happens before (an order, a fault, a plug) calls `wake`: the next
request then leaves at the moment at which it would have left anyway.

This reaches into both engines' timers, which no host of theirs does in earnest; it is for emulation alone.
"""

from __future__ import annotations

import asyncio
import copy
from contextlib import AbstractAsyncContextManager

from emulators.charger.hardware.power_stage import PowerStage
from emulators.charger.secc.secc import EvseSecc, Measured
from emulators.ev.car import Car
from emulators.ev.session import EvSession
from protocols.iso15118.iso20.secc import Secc
from protocols.iso15118.iso20.setpoint import DEPARTURE_MARGIN
from protocols.iso15118.iso20.states import Step
from protocols.ports import Clock

NEAREST_S, FARTHEST_S = 4.0, 300.0  # one look ahead: it grows while nothing interrupts it
EASY = 1e-6


class WakeableClock:
    """The world's clock for one session, whose present wait can be cut short."""

    def __init__(self, base: Clock) -> None:
        self._base = base
        self._waiting: asyncio.Timeout | None = None

    def now(self) -> float:
        return self._base.now()

    def wall(self) -> float:
        return self._base.wall()

    async def sleep(self, seconds: float) -> None:
        await self._base.sleep(seconds)

    def timeout_at(self, deadline: float | None) -> AbstractAsyncContextManager[object]:
        self._waiting = asyncio.timeout_at(deadline)
        return self._waiting

    def wake_at(self, when: float) -> None:
        """End the present wait at this time, if it is one."""
        waiting = self._waiting
        if waiting is not None and waiting.when() is not None:
            try:
                waiting.reschedule(when)
            except RuntimeError:
                self._waiting = None  # not entered, or over: the next wait asks the engine anew


def likeness(car: Car, stage: PowerStage, now: float) -> tuple[object, ...]:
    """What a turn of the loop would tell and decide, apart from what flows by itself (volts, amperes, watt-hours)."""
    limits, soc, spec = car.limits(), car.told_soc_pct, car.spec
    guard = False
    leaves = car.departure_in_s(now)
    if leaves is not None and soc < car.target_soc_pct:
        high = min(limits.max_charge_w, stage.available_charge_w)
        guard = car.energy().target_wh * 3600 / max(leaves, 1.0) >= DEPARTURE_MARGIN * high
    return (
        limits,
        int(soc),
        round(soc),
        # the signs of the energy requests: on which side of its mark the charge is
        car.min_soc_pct > soc,
        car.v2x_min_soc_pct >= soc,
        spec.max_soc_pct <= soc,
        spec.v2x_max_soc_pct <= soc,
        guard,
        stage._current_a == 0.0,
        car.wants_to_end(),
    )


class FastForward:
    """For one bay while a session runs."""

    def __init__(self, clock: WakeableClock, loop_s: float, waiting: WakeableClock | None = None) -> None:
        """`clock` is that of the car, which speaks; `waiting` that of the charger."""
        self.clock, self.loop_s, self._waiting = clock, loop_s, waiting
        self.skipped = 0  # turns of the loop that were left out
        self._due: float | None = None  # when the next request would have left
        self._station: Secc | None = None  # who waits for it
        self._reach_s = NEAREST_S

    def looped(self, session: EvSession, secc: EvseSecc, car: Car, stage: PowerStage, last: Measured | None) -> None:
        """A turn of the loop is over on both sides: how many may be left out?"""
        self._due = None
        ev, station = session.engine, secc.engine
        if ev is None or station is None or last is None or ev._due is None or ev.step is not Step.CHARGE_LOOP:
            return
        quirks = car.spec.quirks
        lively = quirks.renegotiates_every_s or quirks.late_frames_s or quirks.silent_after_s is not None
        if last.binding is not None or lively or ev.session.stop is not None or ev.session.renegotiating:
            return
        if station._outgoing or ev._outgoing or ev._wanted is not None:
            return
        turns, at = self._ahead(car, stage, ev._due)
        if turns <= 0:
            return
        self._due = ev._due
        station._next_by += at - ev._due
        self._station = station
        ev._due = at
        self.skipped += turns

    def stay(self) -> None:
        """A turn of the loop is over, and the next one is spoken whatever it will say."""
        self._due = None

    def wake(self, session: EvSession | None) -> None:
        """Something happened: speak at the next turn."""
        due, self._due = self._due, None
        ev = session.engine if session is not None else None
        if due is None or ev is None or ev._due is None:
            return
        sooner, now = due, self.clock.now()
        while sooner < now - EASY:  # by addition, as the engine itself would come there
            sooner += self.loop_s
        if sooner < ev._due - EASY:
            self.skipped -= round((ev._due - sooner) / self.loop_s)
            if self._station is not None:  # nor does it wait longer for what will be said after all
                self._station._next_by -= ev._due - sooner
                if self._waiting is not None:
                    self._waiting.wake_at(self._station._next_by)
            ev._due = sooner
            self._reach_s = max(NEAREST_S, self._reach_s / 4)
            self.clock.wake_at(sooner)

    def _ahead(self, car: Car, stage: PowerStage, due: float) -> tuple[int, float]:
        """How many requests from `due` on would tell what was told now, and when the first that would not is due."""
        twin, metal = copy.copy(car), copy.copy(stage)
        twin.pack, twin.pack.age = copy.copy(car.pack), copy.copy(car.pack.age)
        twin.violations, twin.metal = [], None
        metal.battery, metal.meter = twin, copy.copy(stage.meter)
        told = likeness(twin, metal, self.clock.now())
        turns, at, farthest = 0, due, int(self._reach_s / self.loop_s)
        while turns < farthest:
            before = metal._at
            metal.advance(at)
            if metal._at != before and likeness(twin, metal, at) != told:
                break
            turns += 1
            at += self.loop_s
        else:
            self._reach_s = min(FARTHEST_S, self._reach_s * 2)
        return turns, at
