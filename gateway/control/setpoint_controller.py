"""One task per EVSE: decide, tell the station, keep telling it while power flows, walk down when a command ends.

The station holds every order only for a while (`hold_s`), and never longer than the lease: should this process die, the
station goes to 0 W by itself. Before the first order after a (re)connection the station is asked what it holds, but for
an emergency stop, which is told first.
"""

from __future__ import annotations

import logging
import math

from gateway.authority.priority import MARGIN_W, RANK, Decision, Layer
from gateway.authority.ramp import ramp, ramp_s
from gateway.authority.refusal import cannot_reach
from gateway.authority.vehicle_needs import charges_in_s
from gateway.commands.active_command import ActiveCommand, Allocation, Stage
from gateway.commands.lifecycle import CommandLifecycle
from gateway.control.board import Board
from gateway.control.control_state import EvseControlState
from gateway.control.settings import LEASE_SLACK_S, RAMP_STEP_S
from gateway.model.journal import Step
from gateway.model.reason import Code, Reason, because
from gateway.model.result import Status
from gateway.model.state import Happened
from gateway.model.station import Answer, Outcome
from protocols.quantities import clamp

log = logging.getLogger("v2x")

LONGEST_PAUSE_S = 60.0  # between orders that a station keeps refusing
METER_QUIET_S = 30.0  # without a reading: then it is silent
TRIES = 3  # orders without an answer before a command has failed
HARD = RANK[Layer.SOC_FLOOR]  # a power taken away by these layers goes at once, not by a ramp


class SetpointController:
    """Keeps one place at what the order of authority grants."""

    def __init__(self, board: Board, endings: CommandLifecycle, place: EvseControlState) -> None:
        self._board = board
        self._endings = endings
        self._place = place
        self._failing = False

    async def run(self) -> None:
        """Until cancelled."""
        place, clock = self._place, self._board.clock
        while True:
            place.wake.clear()
            deadline = await self._safely()
            if place.wake.is_set():
                continue
            try:
                async with clock.timeout_at(deadline):
                    await place.wake.wait()
            except TimeoutError:
                pass

    async def _safely(self) -> float | None:
        """A step; a defect in it, or in a station's room, costs this EVSE its order and no other EVSE anything."""
        board, place = self._board, self._place
        try:
            deadline = await self.step()
        except Exception:
            place.reconciled, place.sent_w = False, None  # what the station holds is not known
            place.retry_at = board.clock.now() + board.settings.retry_s
            if not self._failing:
                self._failing = True
                log.exception("governing %s failed; it is tried again", place.name)
                text = f"The gateway failed to govern {place.name}, and tries again. See the log."
                board.happened(Happened.FAULT, place.name, because(Code.FAULT, text))
            return place.retry_at
        if place.last_answer is not None and place.sent_w is not None:
            self._failing = False
        return deadline

    async def step(self) -> float | None:
        """Do what is due now; when to look again (monotonic), None while only an event can change something."""
        board, place, now = self._board, self._place, self._board.clock.now()
        place.looks += 1
        self._follow_schedule(now)
        self._expire(now)
        self._count_unmetered(now)
        decision = self.redecide()
        if not place.evse.connected or place.evse.session is None:
            place.ramp = None
            return self._deadline(now)
        if place.hands_off and decision.binding not in (
            Layer.STATION,
            Layer.VEHICLE,
            Layer.EMERGENCY_STOP,
            Layer.SOC_FLOOR,
        ):
            return self._deadline(now)
        if place.retry_at is not None and now < place.retry_at and decision.binding is not Layer.EMERGENCY_STOP:
            return self._deadline(now)
        place.retry_at = None
        at_once = decision.binding is Layer.EMERGENCY_STOP  # told first, asked afterwards
        if not place.reconciled and not at_once and not await self._reconcile():
            return self._deadline(now)
        power_w = self._target(decision, now)
        unasked = self._runs_unasked(power_w, now)
        if unasked:
            self._tell_unasked()
        if unasked or (self._due(power_w, now) and not self._patient(power_w, now)):
            await self._order(power_w, decision)
        if at_once and not place.reconciled and place.sent_w == power_w and await self._reconcile():
            place.wake.set()
        return self._deadline(board.clock.now())

    # what is due ----------------------------------------------------------------------------------------------------

    def _expire(self, now: float) -> None:
        place, holding = self._place, self._place.holding
        if holding is None:
            return
        if holding.lease_until is not None and now >= holding.lease_until:
            reason = because(Code.LEASE_EXPIRED, "The lease was not renewed; power goes to 0 W and the session stays.")
            self._endings.end(holding, Status.LEASE_EXPIRED, reason)
            return
        if holding.over(self._board.clock.wall()):
            reason = because(Code.SCHEDULE_ENDED, "The schedule has come to its end.")
            self._endings.end(holding, Status.ACHIEVED, reason)
            return
        if holding.settled:
            return
        blocked = cannot_reach(place.evse, holding.verb)
        if blocked is not None and holding.lease_until is not None:
            self._endings.leave(place, blocked, failed=True)
        elif self._judged_by() <= now:
            self._endings.leave(place, self._not_seen(), failed=True)

    def _judged_by(self) -> float:
        """When the meter's time to agree is over; never while nothing can be measured, or nothing is left to see."""
        holding, part, evse = self._place.holding, self._place.part, self._place.evse
        if holding is None or part is None or holding.settled or part.stage not in (Stage.BOUND, Stage.CONFIRMED):
            return math.inf
        if not evse.connected or evse.session is None or holding.waits(self._board.clock.wall()):
            return math.inf
        return part.judged_from + self._board.settings.achieve_within_s

    def _not_seen(self) -> Reason:
        part = self._place.part
        if part is None or part.stage is Stage.BOUND:
            return because(Code.STATION_SILENT, "The station has not confirmed the set-point.")
        confirmed_w = part.confirmed_w or 0.0
        shown_w = part.measured_w if part.measured_w is not None else part.doubted_w
        if shown_w is None:
            return because(Code.METER_SILENT, f"No meter value came since the station confirmed {confirmed_w:.0f} W.")
        text = f"The meter shows {shown_w:.0f} W, and the station had confirmed {confirmed_w:.0f} W."
        return because(Code.NOT_SEEN_ON_METER, text)

    def _follow_schedule(self, now: float) -> None:
        holding, part = self._place.holding, self._place.part
        wall = self._board.clock.wall()
        if holding is not None and part is not None and holding.evse is not None and not holding.over(wall):
            power_w = holding.asks(wall)
            if power_w != part.power_w:
                part.ask(power_w, now)

    def _count_unmetered(self, now: float) -> None:
        """While the meter is silent, a discharge as ordered counts the car's state of charge down."""
        place, evse = self._place, self._place.evse
        if not place.sent_w or place.sent_w > 0 or evse.session is None:
            return
        heard = max(place.counted_at, place.told_at, -math.inf if evse.metered_at is None else evse.metered_at)
        if not math.isfinite(heard):
            place.counted_at = now
        elif now - heard > METER_QUIET_S:
            place.counted_at = now
            evse.spend(-place.sent_w * (now - heard) / 3600)

    def redecide(self) -> Decision:
        """Decide again, and tell what changed."""
        board, place = self._board, self._place
        reached = board.update_floor(place)
        before = place.decision
        decision = place.decision = board.decide(place, board.asked(place))
        if reached:
            floor = because(Code.BELOW_FLOOR, f"{place.name} has reached its floor of {board.floor_pct(place):.1f} %.")
            board.happened(
                Happened.FLOOR_REACHED, place.name, floor, command=place.holding.id if place.holding else None
            )
        if before is None or (before.power_w, before.binding) != (decision.power_w, decision.binding):
            board.moved(place.name)
            holding = place.holding
            clamped = holding is not None and decision.binding is not Layer.COMMAND
            if before is not None and clamped and before.binding is not decision.binding:
                reason = because(decision.code, decision.text)
                text = f"{decision.power_w:.0f} W, bound by {decision.binding.value}"
                board.happened(Happened.CLAMP_CHANGED, place.name, reason, text, holding.id if holding else None)
            if board.limited and (before is None or abs(before.power_w - decision.power_w) > MARGIN_W):
                for other in board.places.values():
                    if other is not place and not other.idle:
                        other.wake.set()
        self._fail_if_nothing_is_left(decision)
        return place.decision

    def _fail_if_nothing_is_left(self, decision: Decision) -> None:
        """A leased command that asked for power and has lost all of it before the meter showed any has failed."""
        place, holding, part = self._place, self._place.holding, self._place.part
        if holding is None or part is None or holding.settled or holding.lease_until is None:
            return
        if part.power_w != 0 and decision.power_w * part.power_w <= 0 and decision.binding is not Layer.COMMAND:
            self._endings.leave(place, because(decision.code, decision.text), failed=True)
            place.decision = self._board.decide(place, self._board.asked(place))

    def _target(self, decision: Decision, now: float) -> float:
        """The power to tell now: what was decided, or a step of the ramp towards it within the higher layers."""
        place = self._place
        walk = place.ramp
        if walk is None:
            return decision.power_w
        rate = self._board.site.policy.ramp_w_per_s
        power_w = ramp(walk.start_w, decision.power_w, rate, now - walk.begun + RAMP_STEP_S)
        hard = [one for one in decision.layers if RANK[one.bound.layer] <= HARD]
        if hard:
            power_w = clamp(power_w, hard[-1].low_w, hard[-1].high_w)
        if abs(power_w - decision.power_w) <= MARGIN_W or place.holding is not None:
            place.ramp = None
            return decision.power_w
        return power_w

    def _due(self, power_w: float, now: float) -> bool:
        place = self._place
        part = place.part
        if place.sent_w is None or abs(power_w - place.sent_w) > MARGIN_W:
            return True
        if part is not None and part.stage is Stage.BOUND:
            return True  # the same power for a new command still wants the station's word
        return power_w != 0 and now >= self._refresh_at(now)

    def _runs_unasked(self, power_w: float, now: float) -> bool:
        """Whether the meter shows power long after the station took an order to rest."""
        place, settings = self._place, self._board.settings
        seen_w, seen_at = place.evse.power_w, place.evse.metered_at
        if power_w != 0 or place.sent_w != 0 or seen_w is None or seen_at is None:
            return False
        return abs(seen_w) > settings.tolerance(0.0) and now >= seen_at >= place.sent_at + settings.achieve_within_s

    def _tell_unasked(self) -> None:
        place = self._place
        text = f"The meter of {place.name} shows {place.evse.power_w or 0.0:.0f} W, and the station was told to rest."
        reason = because(Code.NOT_SEEN_ON_METER, f"{text} It is told again.")
        self._board.happened(Happened.FAULT, place.name, reason)

    def _patient(self, power_w: float, now: float) -> bool:
        """Whether the station has just refused the same, no command waits for it, and no power is seen to flow."""
        place, seen_w = self._place, self._place.evse.power_w
        still = seen_w is not None and abs(seen_w) <= self._board.settings.tolerance(0.0)
        return still and place.part is None and place.refused_w == power_w and now < place.ask_again_at

    def _refresh_at(self, now: float) -> float:
        place, holding = self._place, self._place.holding
        lease_until = holding.lease_until if holding is not None else None
        if lease_until is not None and place.held_until >= lease_until:
            return math.inf
        return place.sent_at + self._board.settings.hold_s / 3

    def _hold_s(self, power_w: float, now: float) -> float:
        """How long the station may hold this: never beyond the lease and the ramp after it."""
        hold_s = self._board.settings.hold_s
        holding = self._place.holding
        if self._place.ramp is not None:
            left_s = ramp_s(power_w, 0.0, self._board.site.policy.ramp_w_per_s)
            return min(hold_s, max(1.0, min(5.0, left_s) + RAMP_STEP_S))
        if holding is None or holding.lease_until is None:
            return hold_s
        walk_s = min(5.0, ramp_s(power_w, 0.0, self._board.site.policy.ramp_w_per_s))
        return max(1.0, min(hold_s, holding.lease_until - now + walk_s + LEASE_SLACK_S))

    # telling the station --------------------------------------------------------------------------------------------

    async def _reconcile(self) -> bool:
        """Ask what the station holds; one that does not say is told its power anew. False if the session has gone."""
        board, place = self._board, self._place
        session = place.evse.session
        held_w: float | None = None
        try:
            async with board.clock.timeout_at(board.clock.now() + board.settings.set_within_s):
                held_w = await board.stations.reconcile(place.name)
        except TimeoutError:
            pass
        if place.evse.session != session or not place.evse.connected:
            return False
        place.reconciled = True
        place.sent_w, place.sent_at, place.held_until = held_w, board.clock.now(), 0.0
        board.note(Step.EVENT, "reconciled", None, place.name, held_w=held_w)
        board.changed(place.name)
        return True

    async def _order(self, power_w: float, decision: Decision) -> None:
        board, place = self._board, self._place
        holding, part, session = place.holding, place.part, place.evse.session
        now = board.clock.now()
        hold_s = self._hold_s(power_w, now)
        if part is not None and part.stage is Stage.BOUND:
            part.set_at = now
            board.note(Step.SET, decision.binding.value, holding.id if holding else None, place.name, power_w=power_w)
        outcome = await self._ask_station(power_w, hold_s)
        if place.evse.session != session or not place.evse.connected:
            return
        answered = board.clock.now()
        place.last_answer = outcome.answer
        match outcome.answer:
            case Answer.APPLIED:
                changed = place.sent_w != power_w
                if changed:
                    place.told_at = answered
                place.sent_w, place.sent_at, place.held_until = power_w, now, now + hold_s
                place.silent = 0
                place.forgive()
                if part is not None and place.part is part and part.stage is Stage.BOUND:
                    part.stage, part.confirmed_at, part.confirmed_w = Stage.CONFIRMED, answered, power_w
                    cause = outcome.code or "station"
                    board.note(Step.CONFIRMED, cause, holding.id if holding else None, place.name, power_w=power_w)
                elif part is not None and place.part is part and part.confirmed_w != power_w:
                    part.confirmed_w, part.confirmed_at = power_w, answered
                if changed:
                    board.moved(place.name)
            case Answer.REFUSED:
                place.sent_w, place.retry_at = None, answered + board.settings.retry_s
                place.refusals = place.refusals + 1 if place.refused_w == power_w else 1
                pause_s = board.settings.retry_s * 2 ** min(place.refusals - 1, 10)
                place.refused_w, place.ask_again_at = power_w, answered + min(pause_s, LONGEST_PAUSE_S)
                says = " ".join(word for word in (outcome.code, outcome.text) if word) or "no reason"
                reason = because(Code.STATION_REFUSED, f"The station refused {power_w:.0f} W: {says}.")
                self._give_up(holding, part, reason, (outcome.code, power_w))
            case Answer.UNKNOWN:
                place.sent_w, place.retry_at = None, answered + board.settings.retry_s
                place.reconciled = False  # it may or may not have taken effect: ask before the next order
                place.silent += 1
                if place.silent >= TRIES:
                    says = outcome.text or outcome.code or "no answer in time"
                    reason = because(
                        Code.STATION_SILENT, f"The station did not answer an order of {power_w:.0f} W: {says}."
                    )
                    self._give_up(holding, part, reason, (reason.code, power_w))

    def _give_up(
        self, holding: ActiveCommand | None, part: Allocation | None, reason: Reason, trouble: tuple[str, float]
    ) -> None:
        """A command fails; what fails without one is told once, until something else is the matter."""
        place = self._place
        if holding is not None and place.holding is holding and place.part is part:
            self._endings.leave(place, reason, failed=True)
        elif place.told != trouble:
            place.told = trouble
            self._board.happened(Happened.FAULT, place.name, reason)

    async def _ask_station(self, power_w: float, hold_s: float) -> Outcome:
        board = self._board
        try:
            async with board.clock.timeout_at(board.clock.now() + board.settings.set_within_s):
                return await board.stations.set_power(self._place.name, power_w, hold_s)
        except TimeoutError:
            return Outcome(Answer.UNKNOWN, text=f"no answer within {board.settings.set_within_s:.0f} s")

    # when to look again ---------------------------------------------------------------------------------------------

    def _deadline(self, now: float) -> float | None:
        board, place, holding = self._board, self._place, self._place.holding
        times: list[float] = []
        times += [at for at in (place.retry_at, place.ask_again_at) if at is not None and at > now]
        if place.ramp is not None and place.reconciled:
            times.append(now + RAMP_STEP_S)
        if holding is not None:
            if holding.lease_until is not None:
                times.append(holding.lease_until)
            change_s = holding.next_change(board.clock.wall())
            if change_s is not None:
                times.append(now + change_s)
            times.append(self._judged_by())
        if place.sent_w and place.reconciled and place.evse.session is not None and not place.hands_off:
            times.append(self._refresh_at(now))
        if place.sent_w and place.sent_w < 0:
            times.append(now + (charges_in_s(place.evse, board.clock.wall()) or math.inf))
        stale = None if place.idle else board.site.inputs.next_change(now)
        if stale is not None:
            times.append(stale)
        soonest = min(times, default=math.inf)
        return None if math.isinf(soonest) else max(soonest, now + 0.001)
