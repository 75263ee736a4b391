"""One task per EVSE: decide, send the set-point, refresh it while power flows, ramp down when a command ends.

What to send and when is decided by the state machine in `setpoint.py`; what the station may do, by `authority`.
"""

from __future__ import annotations

import logging
import math
from typing import Protocol

from gateway.authority.layers import LASTING, cannot_reach, charges_in_s, dead_band
from gateway.authority.priority import MARGIN_W, Decision, above_command, ends_supply, same_direction
from gateway.authority.ramp import walk
from gateway.control.allocation_failure import not_achieved
from gateway.control.control_state import ActiveCommand, Allocation, EvseControlState, EvseRegistry, Stage
from gateway.control.negotiated_needs import VehicleNeedsPersistence
from gateway.control.publisher import EventPublisher
from gateway.control.setpoint_log import SetpointLog
from gateway.control.setpoint_values import Action, Completion, Target
from gateway.control.settings import RAMP_STEP_S, ServiceSettings
from gateway.control.site_decision import SiteDecision
from gateway.control.station_answer import Overtaken, answer
from gateway.model.journal import Step
from gateway.model.reason import Code, Reason, because
from gateway.model.result import Layer, Status
from gateway.model.state import Happened
from gateway.model.station import Answer, Outcome, Stations
from protocols.ports import Clock

log = logging.getLogger("v2x")

METER_QUIET_S = 30.0  # without a reading for this long, energy is counted from the set-point


class CommandOutcomes(Protocol):
    """End of commands: `gateway.commands.lifecycle.CommandLifecycle`."""

    def end(self, command: ActiveCommand, status: Status, reason: Reason) -> None: ...
    def withdraw(self, state: EvseControlState, reason: Reason, *, failed: bool) -> None: ...


class SetpointController:
    """Keeps one EVSE at the decided power."""

    def __init__(
        self,
        state: EvseControlState,
        registry: EvseRegistry,
        decision: SiteDecision,
        publisher: EventPublisher,
        commands: CommandOutcomes,
        stations: Stations,
        needs: VehicleNeedsPersistence,
        clock: Clock,
        settings: ServiceSettings,
    ) -> None:
        self._state = state
        self._registry = registry
        self._decision = decision
        self._publisher = publisher
        self._commands = commands
        self._stations = stations
        self._needs = needs
        self._clock = clock
        self._settings = settings
        self._setpoint_log = SetpointLog(state.name)
        self._failing = False
        self._supplied_island = False  # the charger may have been supplying an island at the last step

    async def run(self) -> None:
        """Run until cancelled."""
        state, clock = self._state, self._clock
        while True:
            state.wake.clear()
            deadline = await self._step_safely()
            if state.wake.is_set():
                continue
            try:
                async with clock.timeout_at(deadline):
                    await state.wake.wait()
            except TimeoutError:
                pass

    async def _step_safely(self) -> float | None:
        """Run a step; an error in it, or in a station backend, costs this EVSE its order and other EVSEs nothing."""
        state = self._state
        try:
            deadline = await self.step()
        except Exception:
            state.setpoint.failed(self._clock.now())
            if not self._failing:
                self._failing = True
                log.exception("controlling %s failed; it is tried again", state.name)
                text = f"The gateway failed to control {state.name}, and tries again. See the log."
                self._publisher.happened(Happened.FAULT, state.name, because(Code.FAULT, text))
            return state.setpoint.retry_at
        if state.setpoint.sent_w is not None:
            self._failing = False
        return deadline

    async def step(self) -> float | None:
        """Do what is due now; return when the next step is due (monotonic), None while only an event requires one."""
        state, now = self._state, self._clock.now()
        state.steps += 1
        self._follow_schedule(now)
        self._end_command(now)
        self._count_unmetered(now)
        if state.setpoint.left(now):  # the other EVSEs may have its part of the connection
            self._decision.record(state)
            self._registry.wake(self._decision.outdated())
        decision = self._decide()
        supplies_island = state.forms_grid or self._decision.may_supply_island(state, self._supplied_island)
        if (supplies_island or self._supplied_island) and decision.binding is not Layer.EMERGENCY_STOP:
            state.setpoint.supplied_island(now)  # a reading from before the end does not show rest
        self._supplied_island = supplies_island
        if state.idle:
            state.ramp = None
        elif not state.forms_grid or ends_supply(decision):
            await self._act(decision, now)
        else:  # the load of the island sets its power: there is nothing to send, and the meter shows what is granted
            self._confirm(state.allocation, decision.power_w, "forming", now)
        return self._deadline(self._clock.now())

    async def _act(self, decision: Decision, now: float) -> None:
        """Verify or send the set-point where it is due."""
        setpoint, target = self._state.setpoint, self._target(decision, now)
        action = setpoint.next_action(target, now)
        if action is Action.VERIFY and not target.emergency_stop:
            if not await self._verify():
                return
            if self._state.wake.is_set() or self._lease_over():  # what was decided before the answer may hold no more
                self._state.wake.set()
                return
            target = self._target(decision, now)
            action = setpoint.next_action(target, now)
        if action in (Action.SEND, Action.CORRECT):
            if action is Action.CORRECT:
                self._report_power_at_rest()
            await self._send(target, decision)
            action = Action.VERIFY if target.emergency_stop and setpoint.sent_w == target.power_w else Action.WAIT
        if action is Action.VERIFY and not setpoint.verified and await self._verify():
            self._state.wake.set()

    # the command in force -------------------------------------------------------------------------------------------

    def _follow_schedule(self, now: float) -> None:
        command, allocation, wall = self._state.command, self._state.allocation, self._clock.wall()
        if command is not None and allocation is not None and command.evse is not None and not command.finished(wall):
            allocation.request(command.requested_w(wall), now)

    def _end_command(self, now: float) -> None:
        """End the command where its time is over, and fail it where it can no longer be carried out."""
        state, command = self._state, self._state.command
        if command is None:
            return
        if command.lease_until is not None and now >= command.lease_until:
            text = "The lease was not renewed; power goes to 0 W and the session stays."
            if state.allocation is not None and state.allocation.limited is not None:
                text = f"The lease was not renewed. There was no power at its end: {state.allocation.limited.text}"
            self._commands.end(command, Status.LEASE_EXPIRED, because(Code.LEASE_EXPIRED, text))
        elif command.finished(self._clock.wall()):
            reason = because(Code.SCHEDULE_ENDED, "The last period of the schedule has ended.")
            self._commands.end(command, Status.ACHIEVED, reason)
        elif state.waits_until is not None:
            if now >= state.waits_until:
                reason = because(Code.OFFLINE, f"The station of {state.name} has not connected again in time.")
                self._commands.withdraw(state, reason, failed=True)
        elif not command.settled:
            blocked = cannot_reach(state.evse, command.verb) if command.lease_until is not None else None
            if blocked is not None:
                self._commands.withdraw(state, blocked, failed=True)
            elif state.allocation is not None and self._verify_by() <= now:
                self._commands.withdraw(state, not_achieved(state.allocation), failed=True)

    def _lease_over(self) -> bool:
        command = self._state.command
        return command is not None and command.lease_until is not None and self._clock.now() >= command.lease_until

    def _verify_by(self) -> float:
        """Return when the meter must have shown the power; never while nothing can be measured or is to be verified."""
        command, allocation, evse = self._state.command, self._state.allocation, self._state.evse
        if command is None or allocation is None or command.settled or not allocation.pending:
            return math.inf
        if not evse.connected or evse.session is None or command.before_first_power(self._clock.wall()):
            return math.inf
        if self._state.forms_grid or (allocation.limited is not None and command.lease_until is None):
            return math.inf
        since = allocation.verified_from if allocation.limited is None else allocation.limited_from
        return since + self._settings.achieve_within_s

    def _count_unmetered(self, now: float) -> None:
        """While the meter is silent, count a discharge as ordered down from the vehicle's state of charge."""
        state, evse, sent_w = self._state, self._state.evse, self._state.setpoint.sent_w
        if sent_w is None or sent_w >= 0 or evse.session is None:
            return
        metered_at = -math.inf if evse.metered_at is None else evse.metered_at
        counted = max(state.estimated_until, state.setpoint.changed_at, metered_at)
        if not math.isfinite(counted):
            state.estimated_until = now
        elif now - counted > METER_QUIET_S:
            state.estimated_until = now
            evse.spend(-sent_w * (now - counted) / 3600)

    # the decision ---------------------------------------------------------------------------------------------------

    def _decide(self) -> Decision:
        """Decide anew, and publish what changed."""
        state, before = self._state, self._state.decision
        floor, reached = self._decision.floor_now(state)
        state.floor_pct, state.decided_soc_pct = floor.pct, state.evse.soc_pct
        reached_before, state.floor_reached = state.floor_reached, reached
        if reached != reached_before:
            self._needs.keep(state, self._clock.wall())
        decision = state.decision = self._decision.current(state, (floor, reached))
        self._decision.record(state)
        command = state.command.id if state.command else None
        if reached and not reached_before:
            reason = because(Code.BELOW_FLOOR, f"{state.name} has reached its floor of {state.floor_pct:.1f} %.")
            self._publisher.happened(Happened.FLOOR_REACHED, state.name, reason, command=command)
        if before is None or (before.power_w, before.binding) != (decision.power_w, decision.binding):
            self._publisher.decision_changed(state.name)
            self._report_clamp(before, decision)
            if self._decision.limited and (before is None or abs(before.power_w - decision.power_w) > MARGIN_W):
                self._registry.wake(one for one in self._decision.outdated() if one is not state)
        return self._check_limit(decision)

    def _report_clamp(self, before: Decision | None, decision: Decision) -> None:
        state, command = self._state, self._state.command
        if before is None or command is None or decision.binding in (Layer.COMMAND, before.binding):
            return
        text = f"{decision.power_w:.0f} W, limited by {decision.binding.value}"
        reason = because(decision.code, decision.text)
        self._publisher.happened(Happened.CLAMP_CHANGED, state.name, reason, text, command.id)

    def _check_limit(self, decision: Decision) -> Decision:
        """Let a command wait whose power a limit has taken before the meter showed any, or fail it where that lasts."""
        state, command, allocation = self._state, self._state.command, self._state.allocation
        if (
            command is None
            or allocation is None
            or command.settled
            or (state.forms_grid and command.lease_until is None)
        ):
            return decision
        requests = allocation.power_w != 0 and decision.binding is not Layer.COMMAND
        if not requests or same_direction(decision.power_w, allocation.power_w):
            allocation.limit(None, self._clock.now())
            return decision
        reason = because(decision.code, decision.text)
        if command.lease_until is None or decision.code not in LASTING or state.waits_until is not None:
            allocation.limit(reason, self._clock.now())
            return decision
        self._commands.withdraw(state, reason, failed=True)
        state.decision = self._decision.current(state)
        return state.decision

    def _target(self, decision: Decision, now: float) -> Target:
        """Return what the station should hold now."""
        state, evse, allocation = self._state, self._state.evse, self._state.allocation
        power_w, setpoint = self._ramped_w(decision, now), state.setpoint
        return Target(
            power_w,
            emergency_stop=decision.binding is Layer.EMERGENCY_STOP,
            allocated=allocation is not None,
            unconfirmed=allocation is not None and allocation.stage is Stage.GRANTED,
            lease_until=state.command.lease_until if state.command is not None else None,
            measured_w=evse.power_w,
            measured_at=evse.metered_at,
            rest_tolerance_w=self._settings.tolerance_w,
            may_supply_island=self._decision.may_supply_island(state, self._supplied_island),
            ordered_w=setpoint.order_for(power_w, decision, dead_band(evse)) if setpoint.shortfall_w else None,
        )

    def _ramped_w(self, decision: Decision, now: float) -> float:
        """Return the power decided, or a step of the ramp towards it within the layers above the command."""
        state = self._state
        if state.ramp is None:
            return decision.power_w
        limits_w = above_command(decision)  # a power that these layers take away goes at once
        power_w = walk(state.ramp, decision.power_w, now + RAMP_STEP_S, self._decision.ramp_w_per_s, *limits_w).power_w
        if abs(power_w - decision.power_w) <= MARGIN_W or state.command is not None:
            state.ramp = None
            return decision.power_w
        return power_w

    # the station ----------------------------------------------------------------------------------------------------

    async def _verify(self) -> bool:
        """Read the station's set-point; False if the session has ended meanwhile."""
        state, session = self._state, self._state.evse.session
        urgent = None if self._stops() else self._stops  # nothing is more urgent than an emergency stop
        try:
            reading = self._stations.reconcile(state.name)
            held_w = await answer(reading, self._clock, self._settings.set_within_s, state.wake, urgent)
        except TimeoutError:
            held_w = None
        except Overtaken:
            return False
        if state.evse.session != session or not state.evse.connected:
            return False
        state.setpoint.restored(held_w, self._clock.now())
        self._publisher.note(Step.EVENT, "reconciled", None, state.name, held_w=held_w)
        self._publisher.changed(state.name)
        return True

    async def _send(self, target: Target, decision: Decision) -> None:
        """Send the set-point and apply the station's answer."""
        state, setpoint, now = self._state, self._state.setpoint, self._clock.now()
        command, allocation = state.command, state.allocation
        valid_for_s = setpoint.valid_for(
            target.power_w, now, self._decision.ramp_w_per_s, target.lease_until, ramping=state.ramp is not None
        )
        if target.unconfirmed and command is not None:
            self._publisher.note(Step.SET, decision.binding.value, command.id, state.name, power_w=target.power_w)
        order = setpoint.send(target.power_w, valid_for_s, now, target.ordered_w)
        try:
            outcome = await self._set_power(order.ordered_w or target.power_w, valid_for_s)
        except Overtaken:
            setpoint.overtaken(order)
            self._decision.record(state)
            return
        answered = self._clock.now()
        completion = setpoint.complete(order, outcome, answered)
        self._decision.record(state)
        match completion:
            case Completion.REPEATED | Completion.CHANGED:
                self._confirm(allocation, target.power_w, outcome.code or "station", answered)
                if completion is Completion.CHANGED:
                    self._setpoint_log.confirmed(decision, target.power_w, state.ramp is not None)
                    self._publisher.decision_changed(state.name)
            case Completion.REJECTED:
                cause = " ".join(word for word in (outcome.code, outcome.text) if word) or "no reason"
                reason = because(Code.STATION_REFUSED, f"The station refused {target.power_w:.0f} W: {cause}.")
                self._fail(allocation, reason, (outcome.code, target.power_w))
            case Completion.SILENT:
                cause = outcome.text or outcome.code or "no answer in time"
                text = f"The station did not answer an order of {target.power_w:.0f} W: {cause}."
                reason = because(Code.STATION_SILENT, text)
                self._fail(allocation, reason, (reason.code, target.power_w))

    def _confirm(self, allocation: Allocation | None, power_w: float, cause: str, now: float) -> None:
        """Record that the power of an allocation in force is confirmed."""
        state = self._state
        if allocation is None or state.command is None or state.allocation is not allocation:
            return
        if allocation.confirm(power_w, now):
            self._publisher.note(Step.CONFIRMED, cause, state.command.id, state.name, power_w=power_w)

    async def _set_power(self, power_w: float, valid_for_s: float) -> Outcome:
        """Send a power; raises Overtaken where it is to be 0 W before the station has answered."""
        state, within_s = self._state, self._settings.set_within_s
        order = self._stations.set_power(state.name, power_w, valid_for_s)
        try:
            return await answer(order, self._clock, within_s, state.wake, self._rests if power_w else None)
        except TimeoutError:
            return Outcome(Answer.UNKNOWN, text=f"no answer within {within_s:.0f} s")

    def _stops(self) -> bool:
        return self._decision.current(self._state).binding is Layer.EMERGENCY_STOP

    def _rests(self) -> bool:
        decision = self._decision.current(self._state)
        if decision.power_w:
            return False
        return self._state.ramp is None or decision.binding is Layer.SOC_FLOOR or ends_supply(decision)

    def _fail(self, allocation: Allocation | None, reason: Reason, trouble: tuple[str, float]) -> None:
        """Fail the command; without one, report the trouble once until it is another."""
        state = self._state
        if allocation is not None and state.allocation is allocation:
            self._commands.withdraw(state, reason, failed=True)
        elif state.setpoint.report(trouble):
            self._publisher.happened(Happened.FAULT, state.name, reason)

    def _report_power_at_rest(self) -> None:
        state = self._state
        text = f"The meter of {state.name} shows {state.evse.power_w or 0.0:.0f} W, and the station accepted 0 W."
        reason = because(Code.NOT_SEEN_ON_METER, f"{text} It is sent again.")
        self._publisher.happened(Happened.FAULT, state.name, reason)

    # the next step --------------------------------------------------------------------------------------------------

    def _deadline(self, now: float) -> float | None:
        state, command, setpoint = self._state, self._state.command, self._state.setpoint
        lease_until = command.lease_until if command is not None else None
        holds = state.evse.session is not None and not state.forms_grid
        times = [setpoint.deadline(now, lease_until, holds=holds), setpoint.left_until]
        if state.ramp is not None and setpoint.verified:
            times.append(now + RAMP_STEP_S)
        if command is not None:
            times += [math.inf if until is None else until for until in (lease_until, state.waits_until)]
            times.append(self._verify_by())
            times.append(now + (command.next_change_s(self._clock.wall()) or math.inf))
        if setpoint.sent_w is not None and setpoint.sent_w < 0:
            times.append(now + (charges_in_s(state.evse, self._clock.wall()) or math.inf))
        stale = None if state.idle else self._decision.next_input_change(now)
        times.append(math.inf if stale is None else stale)
        soonest = min(times)
        return None if math.isinf(soonest) else max(soonest, now + 0.001)
