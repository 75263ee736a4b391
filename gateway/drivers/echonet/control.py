"""Orders of one V2H box or storage battery: one sequence of steps at a time, and the watchdog. Pure.

Time is an argument. A box has no time-out of its own. From the first step of a power until rest is read back, the box
may be running (`Held`); at the end of the validity it is ordered to standby, a battery to `auto`, again and again until
it confirms. An island is the exception: a box that operates independently of the grid continues (see
`docs/control-hierarchy.md`).
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field
from enum import Enum, auto

from gateway.drivers.echonet.order_codes import STANDBY
from gateway.drivers.echonet.orders import (
    GRID,
    INDEPENDENT,
    MODE,
    PERMISSION,
    PERMITTED,
    PROHIBITED,
    CheckStep,
    SetStep,
    Step,
    Way,
    charge_way,
    declared_w,
    discharge_way,
    end_mode,
    following_steps,
    forming_steps,
    held_w,
    holds,
    permission_steps,
    power_steps,
    stop_steps,
)
from gateway.drivers.echonet.profile import BoxProfile
from gateway.drivers.echonet.reader import ObjectReader
from gateway.drivers.power_order import OrderEnded, PowerExpired, PowerOrder
from gateway.model.station import Answer, Outcome, OutcomeCode
from protocols.echonet.events import RequestAnswered, RequestFailed
from protocols.echonet.frames import Esv, Property
from protocols.echonet.values import Value

LEAST_HELD_W = 1.0  # of a box that runs at a power that is not known
TRIES = 3  # of one step
RETRY_S, LONGEST_RETRY_S = 1.0, 10.0
RECENT_POLLS = 2.0  # after so many periods without a reading a power is read back before it is renewed
ADOPT_S = 15.0  # for the first order to a box that runs when it is found
DEVICE_REFUSED, MODE_LEFT = "DeviceRefused", "ModeLeft"
Ended = OrderEnded | PowerExpired
Answered = RequestAnswered | RequestFailed


class Purpose(Enum):
    """Purpose of a sequence of steps."""

    POWER = auto()
    STOP = auto()
    FORM = auto()
    FOLLOW = auto()
    PERMIT = auto()  # the re-connection, and nothing else


@dataclass(frozen=True, slots=True)
class FormOrder:
    """Supply an island, or rest and permit the re-connection. `withhold`: the box re-connects by order only."""

    number: int
    forms: bool
    withhold: bool


@dataclass(frozen=True, slots=True)
class ReleaseOrder:
    """End every power, and leave the device to itself where it has a mode for this."""

    number: int


Order = PowerOrder | FormOrder | ReleaseOrder


@dataclass(slots=True)
class Sequence:
    """Steps that belong together; the order `number` gets the outcome."""

    purpose: Purpose
    steps: deque[Step]
    number: int | None = None
    power_w: float = 0.0
    valid_until: float = math.inf
    tries: int = 0
    retry_at: float = -math.inf


@dataclass(slots=True)
class Held:
    """Powers that the box may be running at, until standby is read back."""

    power_w: float = 0.0
    until: float = math.inf


@dataclass(slots=True)
class BoxControl:
    """Control of one box, over its connections. `begin` is called on each."""

    profile: BoxProfile = field(default_factory=BoxProfile)
    held: Held = field(default_factory=Held)
    forms: bool = False  # ordered to supply an island
    through_standby: bool = False  # the box has refused a setting while it was running
    events: list[Ended] = field(default_factory=list)
    _reader: ObjectReader | None = None
    _sequence: Sequence | None = None
    _next: Order | None = None

    def begin(self, reader: ObjectReader) -> None:
        """Use another connection."""
        self._reader = reader
        self.through_standby = self.through_standby or self.profile.through_standby
        if self._sequence is not None:
            self._sequence.retry_at = -math.inf

    def adopt(self, now: float) -> None:
        """Hold a box that runs without an order, as after a restart of the gateway: if none follows it is stopped."""
        box = self._box
        if not self.held.power_w and not self.busy and box.values.get(MODE) not in (*box.codes.unordered, None):
            self.held = Held(held_w(box) or LEAST_HELD_W, now + ADOPT_S)

    def lost(self, now: float) -> None:
        """End what is not confirmed: its effect is unknown. The watchdog goes on."""
        sequence, order = self._sequence, self._next
        self._next = None
        for number in (sequence.number if sequence else None, order.number if order else None):
            text = f"the {self._box.codes.noun} does not answer any more"
            self._end(number, now, Outcome(Answer.UNKNOWN, OutcomeCode.NOT_CONNECTED, text))
        if sequence is not None and sequence.purpose is not Purpose.STOP:
            self._sequence = None
        elif sequence is not None:
            sequence.number = None
        if self.held.power_w:
            self.held.until = min(self.held.until, now)

    @property
    def _box(self) -> ObjectReader:
        assert self._reader is not None, "no connection has begun"
        return self._reader

    @property
    def busy(self) -> bool:
        """True while a request is to be sent."""
        return self._sequence is not None or self._next is not None

    @property
    def watched(self) -> tuple[int, ...]:
        """Properties that are to be read with the measured values, since a power depends on them."""
        if not self.held.power_w or self._reader is None:
            return ()
        return tuple(epc for epc, _ in self._way(self.held.power_w).settings if self._reader.has(epc))

    def due_at(self) -> float:
        """Return when `next` has something, as far as it is known now."""
        if self._next is not None:
            return -math.inf
        return self._sequence.retry_at if self._sequence is not None else self.expires_at()

    def expires_at(self) -> float:
        """Return when the present power has to be ended."""
        return self.held.until if self.held.power_w and not self._supplies_island() else math.inf

    # orders

    def command(self, order: Order, now: float) -> None:
        """Take an order. One that has not begun is superseded."""
        superseded, self._next = self._next, order
        if superseded is not None:
            self._end(superseded.number, now, Outcome(Answer.UNKNOWN, text="superseded"))

    def permit(self) -> None:
        """Permit the re-connection of a box that waits for it, without another order."""
        if self._sequence is None and self._box.values.get(PERMISSION) == PROHIBITED:
            self._sequence = Sequence(Purpose.PERMIT, deque(permission_steps(self._box, PERMITTED)))

    def next(self, now: float) -> tuple[Esv, tuple[Property, ...]] | None:
        """Return the request that is due."""
        order, self._next = self._next, None
        if isinstance(order, FormOrder):
            self._form(order, now)
        elif isinstance(order, ReleaseOrder):
            steps = deque(stop_steps(self._box, end_mode(self._box)))
            self._replace(Sequence(Purpose.STOP, steps, order.number), now)
        elif order is not None:
            self._begin(order, now)
        self._supervise(now)
        sequence = self._sequence
        if sequence is None or now < sequence.retry_at:
            return None
        if sequence.purpose is Purpose.FORM:
            self.held = Held(-LEAST_HELD_W)
        elif sequence.purpose is Purpose.POWER:
            self.held.power_w = max(self.held.power_w, sequence.power_w, key=abs)
            self.held.until = min(sequence.valid_until, self.held.until)
        step, box = sequence.steps[0], self._box
        if isinstance(step, SetStep):
            box.forget(step.epc)
            return Esv.SETC, (Property(step.epc, box.encoded(step.epc, step.value)),)
        return Esv.GET, tuple(Property(epc) for epc, _ in step.expected)

    def _way(self, power_w: float) -> Way:
        return charge_way(self._box) if power_w > 0 else discharge_way(self._box)

    def _begin(self, order: PowerOrder, now: float) -> None:
        """Replace the present sequence by an order."""
        box = self._box
        power_w = declared_w(box, order.power_w)
        way = self._way(power_w)
        if power_w and way.why_not:
            self._end(order.number, now, Outcome(Answer.REFUSED, OutcomeCode.CANNOT_DISCHARGE, way.why_not))
            return
        if power_w and self._left_mode(way, power_w):
            mode = _text(box.values.get(MODE))
            text = f"the {box.codes.noun} has left operation mode {way.mode} by itself and is in {mode}"
            self._end(order.number, now, Outcome(Answer.REFUSED, MODE_LEFT, text))
            self.held = Held()
            return
        recent = now - box.read_at <= RECENT_POLLS * self.profile.poll_s + self.profile.answer_within_s
        if not power_w:
            rests = recent and not self.held.power_w and box.values.get(MODE) in box.codes.at_rest
            steps = deque(() if rests else stop_steps(box, STANDBY))
            self._replace(Sequence(Purpose.STOP, steps, order.number), now)
            return
        steps = power_steps(box, way, power_w, self.profile.power_step_w, through_standby=self.through_standby)
        if not steps and not recent:
            steps.append(CheckStep(((MODE, (way.mode,)),)))
        self._replace(Sequence(Purpose.POWER, steps, order.number, power_w, order.valid_until), now)

    def _form(self, order: FormOrder, now: float) -> None:
        box, purpose = self._box, Purpose.FORM if order.forms else Purpose.FOLLOW
        steps = forming_steps(box, withhold=order.withhold) if order.forms else following_steps(box)
        self._replace(Sequence(purpose, steps, order.number), now)

    def _left_mode(self, way: Way, power_w: float) -> bool:
        """Return whether a box that was running as now ordered is at rest, without an order."""
        runs = self._sequence is None and self.held.power_w * power_w > 0
        return runs and self._box.values.get(MODE) in self._box.codes.unordered

    def _replace(self, sequence: Sequence, now: float) -> None:
        if self._sequence is not None:
            self._end(self._sequence.number, now, Outcome(Answer.UNKNOWN, text="superseded"))
        self._sequence = sequence
        if not sequence.steps:
            self._completed(sequence, now)

    # watchdog

    def _supplies_island(self) -> bool:
        """Return whether the box supplies an island, by order or by itself: then no time-out ends its supply."""
        return self._reader is not None and (self.forms or self._reader.values.get(GRID) == INDEPENDENT)

    def _supervise(self, now: float) -> None:
        """Begin to stop a box whose power has outlived its time."""
        sequence = self._sequence
        if now < self.expires_at() or (sequence is not None and sequence.purpose in (Purpose.STOP, Purpose.FOLLOW)):
            return
        if sequence is not None and sequence.purpose is Purpose.POWER and now < sequence.valid_until:
            return  # a renewal is on its way
        self.events.append(PowerExpired(now))
        if sequence is not None:
            self._end(sequence.number, now, Outcome(Answer.UNKNOWN, text="its time is over"))
        self._sequence = Sequence(Purpose.STOP, deque(stop_steps(self._box, end_mode(self._box))))

    # answers

    def answered(self, answer: Answered, now: float) -> None:
        """Apply the answer to the last request."""
        sequence = self._sequence
        if sequence is None:
            return
        step = sequence.steps[0]
        if isinstance(answer, RequestFailed):
            self._again(sequence, answer.reason, now)
        elif isinstance(step, SetStep):
            if answer.refused:
                self._refused(sequence, step, now)
            else:
                self._done(sequence, now)
        else:
            self._box.apply(answer.answer.properties if answer.answer is not None else (), _epcs(step))
            wrong = [one for one in step.expected if not holds(self._box, *one, self.profile.power_step_w)]
            if not wrong:
                self._done(sequence, now)
            else:
                self._differs(sequence, *wrong[0], now)

    def _done(self, sequence: Sequence, now: float) -> None:
        sequence.steps.popleft()
        sequence.tries = 0
        if not sequence.steps:
            self._completed(sequence, now)

    def _completed(self, sequence: Sequence, now: float) -> None:
        self._sequence = None
        match sequence.purpose:
            case Purpose.POWER:
                self.held = Held(sequence.power_w, sequence.valid_until)
            case Purpose.STOP | Purpose.FOLLOW:
                self.held, self.forms = Held(), False
            case Purpose.FORM:
                self.held, self.forms = Held(-LEAST_HELD_W), True
        self._end(sequence.number, now, Outcome(Answer.APPLIED))

    def _differs(self, sequence: Sequence, epc: int, wanted: tuple[Value, ...], now: float) -> None:
        """Read again, as some boxes show a value late; then the order has failed."""
        held, name = self._box.values.get(epc), self._box.rule(epc).name
        text = f"the {self._box.codes.noun} acknowledged {name} = {_text(wanted[0])} and "
        text += f"keeps {_text(held)}" if held is not None else "does not return it"
        if sequence.tries + 1 < TRIES or sequence.purpose is Purpose.STOP:
            if sequence.purpose is Purpose.STOP and sequence.tries + 1 >= TRIES:
                sequence.steps = deque(stop_steps(self._box, self._other_rest(sequence)))
            self._again(sequence, text, now)
        else:
            self._fail(sequence, Outcome(Answer.REFUSED, DEVICE_REFUSED, text), now)

    def _refused(self, sequence: Sequence, step: SetStep, now: float) -> None:
        box, mode = self._box, self._box.values.get(MODE)
        text = f"the {box.codes.noun} refuses {box.rule(step.epc).name} = {_text(step.value)}"
        if sequence.purpose is Purpose.STOP:
            sequence.steps = deque(stop_steps(self._box, self._other_rest(sequence)))
            self._again(sequence, text, now)
            return
        runs = mode not in (*box.codes.at_rest, None)
        if sequence.purpose is Purpose.POWER and runs and step.epc != MODE and not self.through_standby:
            self.through_standby = True
            way, step_w = self._way(sequence.power_w), self.profile.power_step_w
            sequence.steps = power_steps(box, way, sequence.power_w, step_w, through_standby=True)
            return
        text += f" in operation mode {_text(mode)}" if mode is not None and step.epc != MODE else ""
        self._fail(sequence, Outcome(Answer.REFUSED, DEVICE_REFUSED, text), now)

    def _other_rest(self, sequence: Sequence) -> str:
        """Return the mode of rest that was not tried last, where the box has it."""
        first = sequence.steps[0]
        tried = first.value if isinstance(first, SetStep) else first.expected[0][1][0]
        codes = self._box.codes
        others = [mode for mode in (*codes.at_rest, *codes.ends) if mode != STANDBY and self._box.accepts(MODE, mode)]
        return others[0] if tried == STANDBY and others else STANDBY

    def _again(self, sequence: Sequence, reason: str, now: float) -> None:
        """Repeat a step after a pause; give up an order after `TRIES`, and never to stop the box."""
        sequence.tries += 1
        sequence.retry_at = now + min(RETRY_S * 2 ** max(0, min(sequence.tries, 10) - TRIES + 1), LONGEST_RETRY_S)
        if sequence.tries < TRIES:
            return
        outcome = Outcome(Answer.UNKNOWN, text=reason)
        if sequence.purpose is Purpose.STOP:
            self._end(sequence.number, now, outcome)
            sequence.number = None
        else:
            self._fail(sequence, outcome, now)

    def _fail(self, sequence: Sequence, outcome: Outcome, now: float) -> None:
        """End an order; a power that may flow is ended."""
        self._end(sequence.number, now, outcome)
        self._sequence = None
        if sequence.purpose not in (Purpose.POWER, Purpose.FORM):
            return
        if self._box.values.get(MODE) in self._box.codes.unordered:
            self.held = Held()
        else:
            retry_at = now if outcome.answer is Answer.REFUSED else sequence.retry_at
            self._sequence = Sequence(Purpose.STOP, deque(stop_steps(self._box, STANDBY)), retry_at=retry_at)

    def _end(self, number: int | None, at: float, outcome: Outcome) -> None:
        if number is not None:
            self.events.append(OrderEnded(at, number, outcome))


def _text(value: Value | None) -> str:
    return value.hex() if isinstance(value, bytes) else str(value)


def _epcs(step: CheckStep) -> tuple[int, ...]:
    return tuple(epc for epc, _ in step.expected)
