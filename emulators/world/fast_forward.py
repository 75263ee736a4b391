"""Fast-forward: skips charge loops that only repeat the one before; the transcript stays the same at every change.

After a charge loop the physics of the car and its converter is simulated ahead on copies, until the car would report
other values that matter at this charger or its SoC changes by one per cent. Up to then no messages are needed: the
EVCC's next request and the SECC's sequence timeout are moved by whole loops. Any change before (a command, a fault, an
unplugging) calls `wake`: the next request is then sent at the time at which it would have been sent anyway.

This changes the timers of both engines, which is for emulation only.
"""

from __future__ import annotations

import copy
from collections.abc import Callable

from emulators.charger.hardware.power_stage import Bounds, PowerStage
from emulators.charger.secc.events import Measured
from emulators.charger.secc.secc import EvseSecc
from emulators.ev.car import Car
from emulators.ev.session import EvSession
from emulators.runtime.clock import DerivedClock
from protocols.iso15118.iso20.evcc import Evcc
from protocols.iso15118.iso20.limits import Limits
from protocols.iso15118.iso20.secc import Secc
from protocols.iso15118.iso20.setpoint import DEPARTURE_MARGIN
from protocols.iso15118.iso20.states import Step
from protocols.ports import Timer

FIRST_AHEAD_S, MAX_AHEAD_S = 30.0, 300.0  # length of one simulation ahead: it grows while nothing interrupts it
MIN_AHEAD = 2  # loops of one simulation ahead, where each is interrupted: most of a longer one would be in vain
TOLERANCE_S = 1e-6


class WakeableClock(DerivedClock):
    """Clock of one session, whose present wait can be ended early."""

    _callback: Callable[[], object] | None = None
    _due = 0.0

    def call_at(self, when: float, callback: Callable[[], object]) -> Timer:
        self._callback, self._due = callback, when
        return super().call_at(when, callback)

    def wake_at(self, when: float) -> None:
        """End the present wait at a time, or now if that is over, if there is one until later."""
        at = max(when, self.now())  # sums of loops may be a rounding error before the present
        if self._callback is not None and at < self._due:
            super().call_at(at, self._callback)


def limits_in_reach(limits: Limits, stage: PowerStage) -> tuple[object, ...]:
    """Return the limits of a vehicle that can bind at a charger."""
    bounds = Bounds(limits.max_charge_a, limits.max_discharge_a, limits.max_charge_w, limits.max_discharge_w)
    return (
        stage.in_reach(bounds),
        *(limits.min_charge_w, limits.min_discharge_w, limits.min_charge_a, limits.min_discharge_a),
        *(limits.max_voltage_v, limits.min_voltage_v, limits.phases),
    )


def loop_state(car: Car, stage: PowerStage, now: float) -> tuple[object, ...]:
    """Return the values of a charge loop that messages report and decisions use, except continuous measurements."""
    limits, soc, spec = car.limits(), car.reported_soc_pct, car.spec
    departure_bound = False
    leaves = car.departure_in_s(now)
    if leaves is not None and soc < car.target_soc_pct:
        high = min(limits.max_charge_w, stage.available_charge_w)
        departure_bound = car.energy().target_wh * 3600 / max(leaves, 1.0) >= DEPARTURE_MARGIN * high
    return (
        limits_in_reach(limits, stage),
        int(soc),
        round(soc),
        # the signs of the energy requests
        car.min_soc_pct > soc,
        car.v2x_min_soc_pct >= soc,
        spec.max_soc_pct <= soc,
        spec.v2x_max_soc_pct <= soc,
        departure_bound,
        stage.current_a == 0.0,
        car.session_end_reason(),
    )


class FastForward:
    """Fast-forward of one session."""

    def __init__(self, clock: WakeableClock, loop_s: float, secc_clock: WakeableClock | None = None) -> None:
        """`clock` is that of the car, which sends the requests; `secc_clock` that of the charger."""
        self.clock, self.loop_s, self._secc_clock = clock, loop_s, secc_clock
        self.skipped = 0  # charge loops
        self._due: float | None = None  # time of the next request without fast-forward
        self._secc: Secc | None = None  # which waits for it
        self._ahead_s = max(FIRST_AHEAD_S, MIN_AHEAD * loop_s)

    def looped(self, session: EvSession, secc: EvseSecc, car: Car, stage: PowerStage, last: Measured | None) -> None:
        """Skip the loops after one that both sides have completed, as many as only repeat it."""
        self._due = None
        ev, charger = session.engine, secc.engine
        if not isinstance(ev, Evcc) or not isinstance(charger, Secc) or last is None:
            return  # no session, or one of an older generation
        if ev.next_request is None or ev.step is not Step.CHARGE_LOOP:
            return
        quirks = car.spec.quirks
        irregular = quirks.renegotiates_every_s or quirks.late_frames_s or quirks.silent_after_s is not None
        if last.binding is not None or irregular or ev.session.stop is not None or ev.session.renegotiating:
            return
        if not (charger.flushed and ev.flushed) or ev.ordered_step is not None:
            return
        due = ev.next_request
        loops, at = self._ahead(car, stage, due)
        if loops <= 0:
            return
        self._due, self._secc = due, charger
        charger.postpone_timeout(at - due)
        ev.move_request(at)
        self.skipped += loops

    def exchange_next(self) -> None:
        """Exchange the next loop."""
        self._due = None

    def wake(self, session: EvSession | None) -> None:
        """End the skipping: exchange the next loop."""
        due, self._due = self._due, None
        ev = session.engine if session is not None else None
        if due is None or ev is None or (planned := ev.next_request) is None:
            return
        earlier, now = due, self.clock.now()
        while earlier < now - TOLERANCE_S:  # by addition, with the same rounding as the engine
            earlier += self.loop_s
        if earlier < planned - TOLERANCE_S:
            self.skipped -= round((planned - earlier) / self.loop_s)
            if self._secc is not None:  # its sequence timeout moves back as well
                times_out = self._secc.postpone_timeout(earlier - planned)
                if self._secc_clock is not None:
                    self._secc_clock.wake_at(times_out)
            ev.move_request(earlier)
            self._ahead_s = max(2 * (earlier - due), self._ahead_s / 4, MIN_AHEAD * self.loop_s)
            self.clock.wake_at(earlier)

    def _ahead(self, car: Car, stage: PowerStage, due: float) -> tuple[int, float]:
        """Return how many requests from `due` on would repeat the last loop, and when the next one is due."""
        twin, twin_stage = copy.copy(car), copy.copy(stage)
        twin.pack, twin.pack.age = copy.copy(car.pack), copy.copy(car.pack.age)
        twin.decouple()
        twin_stage.battery, twin_stage.meter = twin, copy.copy(stage.meter)
        present = loop_state(twin, twin_stage, self.clock.now())
        loops, at, most = 0, due, int(self._ahead_s / self.loop_s)
        step_at = twin_stage.due_at
        while loops < most:
            if at >= step_at:
                twin_stage.advance(at)
                step_at = twin_stage.due_at
                if loop_state(twin, twin_stage, at) != present:
                    break
            loops += 1
            at += self.loop_s
        else:
            self._ahead_s = min(MAX_AHEAD_S, self._ahead_s * 2)
        return loops, at
