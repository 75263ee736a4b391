"""The set-point of one EVSE as a state machine: what the station holds, and what to do next. Time is an argument.

A set-point is valid for a while only (`valid_for_s`) and never beyond the lease and the ramp behind it: should this
process end, the station falls back to 0 W by itself. Transitions:

    any         --reset-------> UNVERIFIED   link or session is another; an order on its way is superseded
    any         --lost--------> UNVERIFIED   the link broke; the station goes on until its set-point expires
    any         --restored----> RESTORED     the station reported what it holds
    any         --accepted----> ACCEPTED
    any         --rejected----> REJECTED     repeated after a pause that doubles up to `LONGEST_PAUSE_S`, whatever the
                                             code and the channel; a command fails instead
    any         --timed out---> TIMED_OUT    may have taken effect: the set-point is read before the next order

An emergency stop is sent in every state; the station's set-point is read afterwards.
"""

from __future__ import annotations

import math

from gateway.authority.power_history import RESPONSE_S
from gateway.authority.priority import MARGIN_W, DeadBand, Decision, above_command
from gateway.authority.ramp import ramp_s
from gateway.control.setpoint_values import Action, Completion, Order, State, Target
from gateway.control.settings import LEASE_SLACK_S, RAMP_STEP_S, TOLERANCE_SHARE, TOLERANCE_W
from gateway.model.result import Layer
from gateway.model.station import Answer, Outcome
from protocols.quantities import clamp

LONGEST_PAUSE_S = 60.0  # between orders that a station keeps rejecting
LONGEST_RAMP_S = 5.0  # counted into the validity of a set-point
SHORTEST_VALID_S = 1.0
SLOW_S = 2.0  # an answer that takes longer counts into the validity: the station may act as late as it answers
REFRESH_SHARE = 0.4  # of the validity; more than a third: a site that decides every 5 s renews what it changes, once
MAX_UNANSWERED = 3  # orders in a row before a command has failed
RESTS_S = 5.0  # after a changed order: a station that has responded by then, and whose power rests, has arrived
RESTS_W = 25.0  # two readings that differ by less show a power at rest
SHORTFALL_W, SHORTFALL_SHARE = 400.0, 0.10  # most that is corrected; a vehicle that is further off does not follow


class Setpoint:
    """Set-point of one EVSE."""

    def __init__(
        self,
        valid_for_s: float = 15.0,
        retry_s: float = 2.0,
        verify_within_s: float = 60.0,
        tolerance_w: float = TOLERANCE_W,
        tolerance_share: float = TOLERANCE_SHARE,
    ) -> None:
        """`retry_s`: pause after an order that was not accepted. `verify_within_s`: for the meter to show 0 W.

        `tolerance_w`, `tolerance_share`: how far a measured power may be from a set-point that it has reached.
        """
        self.valid_for_s, self.retry_s, self.verify_within_s = valid_for_s, retry_s, verify_within_s
        self.tolerance_w, self.tolerance_share = tolerance_w, tolerance_share
        self.state = State.UNVERIFIED
        self.verified = False  # the station has reported what it holds, on this link and in this session
        self.sent_w: float | None = None  # what the station holds, None while not known
        self.sent_at = 0.0
        self.changed_at = -math.inf  # when it last accepted another power
        self.before_w: float | None = None  # the power until then, as measured where that is known, else what it held
        self.ordered_w: float | None = None  # what the station was sent for it where that is another power
        self.shortfall_w = 0.0  # by which the power at rest missed what was ordered last, signed
        self._delivered_w = 0.0  # and the power at rest
        self._step_w = 0.0  # by which the last change moved what the station was sent
        self._reading: tuple[float, float] | None = None  # last one of the meter: power, time
        self._approaches = False  # the last two, both since the power changed, show that it moves towards the order
        self.supplied_at = -math.inf  # when the charger may last have been supplying an island by itself
        self.valid_until = 0.0
        self.retry_at: float | None = None
        self.unanswered = 0  # orders in a row
        self.slow_s = 0.0  # longest time for an answer on this link and in this session, where it is above `SLOW_S`
        self.rejected_w: float | None = None
        self.rejections = 0  # of powers in its direction, in a row
        self.repeat_after = 0.0  # a power in that direction that no command needs is not sent before
        self._reported: tuple[str, float] | None = None  # last trouble without a command: code, power
        self._pending: Order | None = None
        self.left_w: tuple[float, ...] = ()  # powers that the station may still be at without its link
        self.left_until = math.inf

    # transitions ----------------------------------------------------------------------------------------------------

    def reset(self) -> None:
        """The link or the session is another: what the station holds is not known."""
        self._pending = None
        self.state, self.verified, self.sent_w, self.unanswered = State.UNVERIFIED, False, None, 0
        self.slow_s = self.shortfall_w = 0.0
        self._reading, self._approaches = None, False
        self._clear_rejection()

    def lost(self, low_w: float, high_w: float, now: float) -> None:
        """The link broke: until every order has expired the station may take a power between these two."""
        if not self.left_w:  # else nothing was sent since it broke before
            self.left_w = tuple(power_w for power_w in dict.fromkeys((low_w, high_w)) if power_w)
            self.left_until = now + self.valid_for_s + self.slow_s if self.left_w else math.inf
        self.reset()

    def left(self, now: float) -> bool:
        """Return whether every order to a station without a link has just expired, or the station has reported it."""
        over = now >= self.left_until
        if over:
            self.left_w, self.left_until = (), math.inf
        return over

    def failed(self, now: float) -> None:
        """An order or a query raised an error: what the station holds is not known; try again after the pause."""
        self._pending = None
        self.state, self.verified, self.sent_w, self.retry_at = State.UNVERIFIED, False, None, now + self.retry_s

    def supplied_island(self, now: float) -> None:
        """The charger may be supplying an island by itself until now: its power is no sign of an order not followed."""
        self.supplied_at = now

    def restored(self, held_w: float | None, now: float) -> None:
        """Apply the set-point that the station reported; after None the next power is sent in any case."""
        self.state, self.verified = State.RESTORED, True
        self.sent_w, self.sent_at, self.valid_until = held_w, now, 0.0
        if self.left_w:
            self.left_w, self.left_until = (), now
        self.ordered_w = None

    def send(self, power_w: float, valid_for_s: float, now: float, ordered_w: float | None = None) -> Order:
        """Begin an order; an earlier one that has not been completed is superseded. `ordered_w`: as of `Target`."""
        self._pending = Order(power_w, valid_for_s, now, None if ordered_w == power_w else ordered_w)
        return self._pending

    def complete(self, order: Order, outcome: Outcome, now: float) -> Completion:
        """Apply the station's answer to an order."""
        if order is not self._pending:
            return Completion.SUPERSEDED
        self._pending = None
        if outcome.answer is not Answer.UNKNOWN and now - order.sent_at > SLOW_S:
            self.slow_s = max(self.slow_s, math.ceil(now - order.sent_at))
        match outcome.answer:
            case Answer.APPLIED:
                return self._accepted(order, now)
            case Answer.REFUSED:
                return self._rejected(order, now)
        self.state, self.verified, self.sent_w, self.retry_at = State.TIMED_OUT, False, None, now + self.retry_s
        self.unanswered += 1
        return Completion.SILENT if self.unanswered >= MAX_UNANSWERED else Completion.UNANSWERED

    def overtaken(self, order: Order) -> None:
        """Abandon an order for 0 W, which is sent at once, whatever the station holds."""
        if order is self._pending:
            self._pending = None
            self.state, self.sent_w, self.retry_at = State.TIMED_OUT, None, None

    def _accepted(self, order: Order, now: float) -> Completion:
        changed = self.sent_w != order.power_w
        if changed or self.ordered_w != order.ordered_w:
            self.before_w = self._delivers_w(changed=changed)
            self._step_w = (order.ordered_w or order.power_w) - (self.ordered_w or self.sent_w or 0.0)
            self.changed_at, self._approaches = now, False
        self.state, self.unanswered = State.ACCEPTED, 0
        self.sent_w, self.sent_at, self.ordered_w = order.power_w, order.sent_at, order.ordered_w
        self.valid_until = order.sent_at + order.valid_for_s
        self._clear_rejection()
        return Completion.CHANGED if changed else Completion.REPEATED

    def _rejected(self, order: Order, now: float) -> Completion:
        self.state, self.sent_w, self.retry_at = State.REJECTED, None, now + self.retry_s
        self.rejections = self.rejections + 1 if self._has_rejected(order.power_w) else 1
        pause_s = min(self.retry_s * 2 ** min(self.rejections - 1, 10), LONGEST_PAUSE_S)
        self.rejected_w, self.repeat_after = order.power_w, now + pause_s
        return Completion.REJECTED

    def report(self, trouble: tuple[str, float]) -> bool:
        """Return whether a trouble without a command (code, power) is another than the one reported last."""
        changed, self._reported = self._reported != trouble, trouble
        return changed

    def _clear_rejection(self) -> None:
        self.retry_at = self.rejected_w = self._reported = None
        self.rejections, self.repeat_after = 0, 0.0

    # what is delivered of an order ----------------------------------------------------------------------------------

    def metered(self, power_w: float | None, at: float | None) -> bool:
        """Learn from a reading by how much the power at rest misses the order; return whether that has changed.

        It rests where two readings after the order has taken effect are alike.
        """
        before, self._reading = self._reading, None if power_w is None or at is None else (power_w, at)
        if before is None or at is None or at > before[1]:
            self._approaches = self._nearer(before, power_w)
        ordered_w, since = self.ordered_w or self.sent_w, max(self.changed_at, self.supplied_at) + RESTS_S
        if before is None or power_w is None or at is None or not ordered_w or not self.sent_w:
            return False
        rests = since <= before[1] < at and abs(power_w - before[0]) <= RESTS_W
        near_w = _near_w(ordered_w)
        shortfall_w = ordered_w - (power_w + before[0]) / 2
        if not rests or not self._moved(power_w, at) or power_w * ordered_w <= 0 or abs(shortfall_w) > near_w:
            return False
        self._delivered_w = power_w
        changed = abs(shortfall_w - self.shortfall_w) > RESTS_W
        if changed:
            self.shortfall_w = shortfall_w
        return changed

    def _delivers_w(self, *, changed: bool) -> float | None:
        """Return the power before an order: as measured near the one held, since it took effect; else the one held.

        `changed`: the order is for another power, not a correction.
        """
        measured_w, at = self._reading or (None, -math.inf)
        if not changed or self.sent_w is None or measured_w is None:
            return self.sent_w if changed else measured_w
        near = abs(measured_w - self.sent_w) <= _near_w(self.sent_w)
        return measured_w if near and at >= self.changed_at + RESTS_S else self.sent_w

    def _nearer(self, before: tuple[float, float] | None, power_w: float | None) -> bool:
        """Return whether a reading is nearer to the order than the one before, which was taken since the order, too."""
        if before is None or power_w is None or self.sent_w is None or before[1] < self.changed_at:
            return False
        return abs(before[0] - self.sent_w) - abs(power_w - self.sent_w) > RESTS_W

    def _moved(self, power_w: float, at: float) -> bool:
        """Return whether a power has moved by most of the step from the order before, whatever is delivered of both."""
        if at >= self.changed_at + RESPONSE_S:
            return True
        return self.before_w is not None and (power_w - self.before_w) * self._step_w > self._step_w**2 / 2

    def order_for(self, power_w: float, decision: Decision, dead_band: DeadBand) -> float:
        """Return what to order so that the power of a decision is delivered, within the layers above the command.

        A command is sent as it is, but less for a charger that delivers more than a limit of the connection leaves. A
        ramp is not corrected.
        """
        if power_w * self._delivered_w <= 0 or power_w != decision.power_w:
            return power_w
        ordered_w = power_w + self.shortfall_w * min(1.0, power_w / self._delivered_w)
        less = decision.binding is Layer.SITE and abs(ordered_w) < abs(power_w)
        if decision.binding is not Layer.OPTIMISER and not less:
            return power_w
        ordered_w = clamp(ordered_w, *above_command(decision))
        return power_w if dead_band.inside(ordered_w) or ordered_w * power_w <= 0 else ordered_w

    # what to do -----------------------------------------------------------------------------------------------------

    def next_action(self, target: Target, now: float) -> Action:
        """Return what the target requires now."""
        if not target.emergency_stop:
            if self.retry_at is not None and now < self.retry_at:
                return Action.WAIT
            if not self.verified:
                return Action.VERIFY
        if target.may_supply_island and not target.emergency_stop:
            self.supplied_island(now)
            if self._supplies_island(target):
                return Action.WAIT
        if target.emergency_stop and target.may_supply_island and self.sent_at <= self.supplied_at:
            return Action.SEND  # 0 W was accepted before, and has not ended its supply
        if self._power_at_rest(target, now):
            return Action.CORRECT
        if self._due(target, now) and not self._backing_off(target, now):
            return Action.SEND
        if not self.verified and self.sent_w == target.power_w:  # after an emergency stop
            return Action.VERIFY
        return Action.WAIT

    def _due(self, target: Target, now: float) -> bool:
        if self.sent_w is None or abs(target.power_w - self.sent_w) > MARGIN_W or (self.sent_w and not target.power_w):
            return True  # 0 W also after a smaller power than the margin, which would have to be refreshed without end
        if abs((target.ordered_w or target.power_w) - (self.ordered_w or self.sent_w)) > MARGIN_W:
            return True  # what the station delivers of its orders has been learnt
        if target.unconfirmed:
            return True  # the same power for a new command still needs the station's confirmation
        return target.power_w != 0 and now >= self.refresh_at(target.lease_until)

    def _power_at_rest(self, target: Target, now: float) -> bool:
        """True where the meter shows power long after the station accepted 0 W."""
        measured_w, measured_at = target.measured_w, target.measured_at
        if target.power_w != 0 or self.sent_w != 0 or measured_w is None or measured_at is None:
            return False
        since = max(self.sent_at, self.supplied_at)
        return abs(measured_w) > target.rest_tolerance_w and now >= measured_at >= since + self.verify_within_s

    def _supplies_island(self, target: Target) -> bool:
        """True where power flows that was not ordered, and the charger may be supplying an island: it is left to it."""
        flows = target.measured_w is not None and abs(target.measured_w) > target.rest_tolerance_w
        return flows and target.power_w == 0 and not self.sent_w and not target.allocated

    def _backing_off(self, target: Target, now: float) -> bool:
        """True while the station has just rejected such a power and no command needs it. 0 W is repeated without the
        pause while the meter shows power, and in an emergency stop unless the meter shows rest."""
        if not self._has_rejected(target.power_w) or target.allocated:
            return False
        measured_w = target.measured_w
        flows = target.power_w == 0 and measured_w is not None and abs(measured_w) > target.rest_tolerance_w
        return now < self.repeat_after and not flows and not (target.emergency_stop and measured_w is None)

    def _has_rejected(self, power_w: float) -> bool:
        """True where the last rejected power is one in the same direction, charge, discharge or 0 W."""
        return self.rejected_w is not None and _direction(self.rejected_w) == _direction(power_w)

    def refresh_at(self, lease_until: float | None) -> float:
        """Return when a power is sent again so that it stays valid; never where it is valid until the lease ends."""
        if lease_until is not None and self.valid_until >= lease_until:
            return math.inf
        return self.sent_at + REFRESH_SHARE * self.valid_for_s

    def valid_for(
        self, power_w: float, now: float, ramp_w_per_s: float, lease_until: float | None, ramping: bool = False
    ) -> float:
        """Return how long a power may be valid, in s: never beyond the lease and the ramp behind it.

        A schedule of 1.6 and 2.0.1 is valid from the time that it is sent: at a slow station it must be valid until the
        next one is in force.
        """
        left_s = math.inf if lease_until is None else lease_until - now
        valid_s = math.floor(self.valid_for_s) + self.slow_s  # stations count whole seconds
        if not ramping and left_s >= valid_s:
            return valid_s
        ramp_down_s = min(LONGEST_RAMP_S, ramp_s(power_w, 0.0, ramp_w_per_s))
        allowed_s = ramp_down_s + RAMP_STEP_S if ramping else left_s + ramp_down_s + LEASE_SLACK_S
        return min(valid_s, max(SHORTEST_VALID_S, allowed_s))

    def deadline(self, now: float, lease_until: float | None, *, holds: bool) -> float:
        """Return when `next_action` can change by time alone. `holds`: a power in a session that is ours to refresh."""
        times = [at for at in (self.retry_at, self.repeat_after) if at is not None and at > now]
        if self.sent_w and self.verified and holds:
            times.append(self.refresh_at(lease_until))
        return min(times, default=math.inf)

    # estimate -------------------------------------------------------------------------------------------------------

    def flowing_w(self, measured_w: float | None, measured_at: float | None, now: float) -> list[float]:
        """Return the way on which the power is now, from set-point and meter.

        While the station may still be on its way from the power measured last to the set-point, that is both, and until
        another reading if it was measured on its way, or the last two show that it still moves. Else a reading taken
        since the change counts alone; one from before it does not count, the set-point does. A reading near the
        set-point shows that the power has arrived, but not one within `RESTS_S`, nor one as near to that before.
        """
        sent_w = self.sent_w
        if measured_w is None or measured_at is None:
            return [sent_w or 0.0]
        if sent_w is None:
            return [measured_w]
        seen = measured_at > self.changed_at
        apart_w = abs(measured_w - sent_w)
        moved = self.before_w is None or apart_w < abs(measured_w - self.before_w)
        on_its_way = self._approaches or measured_at < self.changed_at + RESTS_S
        near_w = RESTS_W if on_its_way else max(self.tolerance_w, self.tolerance_share * abs(sent_w))
        if seen and moved and apart_w <= near_w:
            return [measured_w]
        arrived_at = self.changed_at + RESPONSE_S
        if now < arrived_at or self.changed_at < measured_at < arrived_at or self._approaches:
            return [measured_w, sent_w]
        return [measured_w if seen else sent_w]


def _near_w(ordered_w: float) -> float:
    """Return the most by which a power may differ from its order to count as one that the charger delivers of it."""
    return max(SHORTFALL_W, SHORTFALL_SHARE * abs(ordered_w))


def _direction(power_w: float) -> int:
    return (power_w > 0) - (power_w < 0)
