"""Orders of one device: sequences of writes, what the device may be running at, and its silence time-out. Pure.

Watchdog: a power ends at its `valid_until`, by 0 W from here or by the device's own time-out, which never ends later.
Where each request restarts that time-out, it is shortened towards the end, and a device that does not confirm 0 W gets
no more requests until it has timed out. Where a write starts it, it is chosen for the time at which the last write of
the order is expected to be answered, and shortened where the device answers more slowly.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum, auto

from gateway.drivers.device_session import RUNNING
from gateway.drivers.modbus.events import Event
from gateway.drivers.modbus.heartbeat import Heartbeat
from gateway.drivers.modbus.orders import Amounts, Exponent, ForbiddenWrite, rounded, watchdog_s, writes
from gateway.drivers.power_order import OrderEnded, PowerExpired, PowerOrder
from gateway.model.station import Answer as Result
from gateway.model.station import Outcome, OutcomeCode
from protocols.modbus.messages import Answer, ExceptionCode, NoAnswer, Refused, Write
from protocols.modbus.register import DeviceState, Meaning, Poll
from protocols.modbus.register_map import Control, Quantity, RegisterMap, Step

TRIES = 3  # of one write
RETRY_S = 1.0
HUSH_S = 1.0  # beyond the silence time-out
WRITES_S = 3.0  # for `TRIES` writes before the silence time-out has to run
LEAD_S = 0.2  # for one write
MARGIN_S = 0.5  # for the device to end its power
YIELD_S = 0.1  # after an order, so that its renewal comes before its end is prepared
BUSY = (ExceptionCode.ACKNOWLEDGE, ExceptionCode.DEVICE_BUSY)
ACTS = (Meaning.ACTION, Meaning.WAKE_UP)  # the device acts on each write of them
Values = Mapping[Meaning, float | str]


class Purpose(Enum):
    """Purpose of a sequence of writes."""

    SET_UP = auto()
    SET = auto()
    ZERO = auto()
    WATCHDOG = auto()


@dataclass(slots=True)
class Sequence:
    """Writes that belong together; `order` gets the outcome."""

    purpose: Purpose
    writes: deque[Write]
    order: PowerOrder | None = None
    watchdog_s: int = 0
    tries: int = 0
    retry_at: float = -math.inf
    due_at: float = math.inf  # since when its next write is due


@dataclass(slots=True)
class Held:
    """Powers that the device may be running at, from the first write of a power until 0 W is confirmed."""

    power_w: float = 0.0
    until: float = math.inf
    watchdog_s: int = 0  # as confirmed, or a longer one that may have been received, 0: none


@dataclass(slots=True)
class DeviceControl:
    """Control of one device, over its connections. `begin` is called on each."""

    held: Held = field(default_factory=Held)
    not_before: float = -math.inf  # of the next request of any kind
    heartbeat: Heartbeat = field(default_factory=Heartbeat)
    _product: RegisterMap | None = None
    _control: Control | None = None
    _exponent: Exponent = field(default=lambda _: None)
    _sequence: Sequence | None = None
    _next: PowerOrder | None = None
    _kept: dict[tuple[int, int], tuple[int, ...]] = field(default_factory=dict)  # words written, by unit and address
    _wrote_at: float = -math.inf  # the last sequence was complete
    _write_s: float = 0.0  # that the last write took, with what was sent before it

    def begin(self, product: RegisterMap, exponent: Exponent) -> None:
        """Begin a connection with the writes that set the device up."""
        self._product, self._exponent = product, exponent
        self._control = product.control[0] if product.control else None
        self._kept.clear()
        self._sequence = None
        self.heartbeat.begin(product)
        self.set_up()

    def set_up(self) -> None:
        """Write the settings of the device, as on a new connection."""
        if self._control is not None and self._sequence is None:
            self._kept.clear()
            made = self._made(self._control.setup, Amounts(0.0))
            self._sequence = Sequence(Purpose.SET_UP, made) if made else None

    def lost(self, now: float) -> list[Event]:
        """End the connection: the effect of orders that are not confirmed is unknown."""
        orders = [one for one in (self._sequence.order if self._sequence else None, self._next) if one is not None]
        self._sequence = self._next = self._control = None
        return [_ended(order, now, Result.UNKNOWN, "", "the connection has ended") for order in orders]

    @property
    def present(self) -> Control | None:
        """Control that the device has, None before it was read and for one that takes no orders."""
        return self._control

    @property
    def setup(self) -> tuple[Step, ...]:
        """Settings that the device has to keep."""
        return self._control.setup if self._control is not None else ()

    def altered(self, words: Callable[[str], tuple[int, ...] | None], read_at: float) -> tuple[str, ...]:
        """Return the registers of an order in force that hold other words than written, of those that are read each
        time; they are written again with the next order. `words` were read from `read_at` on."""
        product, control = self._product, self._control
        if product is None or control is None or self.busy or not self.held.power_w or read_at < self._wrote_at:
            return ()
        found = []
        for step in control.set:
            register = product.by_name[step.register_]
            place = product.unit_of(register), register.address or 0
            kept, held = self._kept.get(place), words(register.name)
            checked = register.poll is Poll.FAST and step.quantity is not Quantity.WATCHDOG_S
            if checked and kept is not None and held is not None and kept != held:
                found.append(register.name)
                self._kept.pop(place)
        return tuple(found)

    @property
    def busy(self) -> bool:
        """True while there is something to write."""
        return self._sequence is not None or self._next is not None

    def due_at(self) -> float:
        """Return when there is something to write, as far as it is known now."""
        sequence = self._sequence
        if self._next is not None and (sequence is None or sequence.purpose is not Purpose.SET_UP):
            return -math.inf
        return self.acts_at() if sequence is None else sequence.retry_at

    # orders

    def command(self, order: PowerOrder, values: Values, now: float) -> list[Event]:
        """Take an order. One that has not begun is superseded."""
        control = self._control
        if control is None:
            text = "it takes no orders" if self._product is not None else "the device does not answer"
            return [_ended(order, now, Result.REFUSED, OutcomeCode.NOT_CONNECTED, text)]
        discharges = rounded(control, order.power_w) < 0
        running = values.get(Meaning.STATE) == DeviceState.DISCHARGING and control.discharge == "running"
        if discharges and control.discharge != "always" and not running:
            return [_ended(order, now, Result.REFUSED, OutcomeCode.CANNOT_DISCHARGE, control.why_not)]
        self.heartbeat.start(now)
        superseded, self._next = self._next, order
        return [] if superseded is None else [_ended(superseded, now, Result.UNKNOWN, "", "superseded")]

    def next(self, values: Values, read_at: float, now: float) -> tuple[Write | None, list[Event]]:
        """Return the write that is due. `values` were read at `read_at`."""
        events = self._begin(values, read_at, now) if self._next is not None else []
        events += self._supervise(now)
        sequence = self._sequence
        if sequence is None:
            return None, events
        if now < sequence.retry_at:
            if self._overruns(now):
                self.not_before = now + self.held.watchdog_s + HUSH_S
            return None, events
        if sequence.purpose is Purpose.SET and sequence.order is not None:
            sequence = self._sequence = self._in_time(sequence, sequence.order, now)
        if sequence.purpose is Purpose.SET and sequence.order is not None:
            order, held = sequence.order, self.held
            held.power_w = max(held.power_w, order.power_w, key=abs)
            held.until = min(order.valid_until, held.until)
        write, sequence.due_at = sequence.writes[0], min(sequence.due_at, now)
        self.held.watchdog_s = max(self.held.watchdog_s, self._watchdog_of(write))  # without an answer, it may be that
        self._kept.pop((write.unit, write.address), None)  # without an answer, what it holds is not known
        return write, events

    def _begin(self, values: Values, read_at: float, now: float) -> list[Event]:
        """Replace the present sequence by the next order; setting up comes first."""
        sequence, order = self._sequence, self._next
        assert order is not None
        if self._control is None or self._product is None:
            return []
        if sequence is not None and sequence.purpose is Purpose.SET_UP:
            return []
        self._next = None
        before = sequence.order if sequence is not None else None
        events: list[Event] = [] if before is None else [_ended(before, now, Result.UNKNOWN, "", "superseded")]
        power_w = rounded(self._control, order.power_w)
        seconds = self._watchdog_s(order, len(self._control.set), now) if power_w else 0
        if seconds is None:  # even the shortest time-out would outlive the power
            power_w, seconds = 0.0, 0
        seen = Meaning.STATE in values and read_at >= self._wrote_at
        running = values.get(Meaning.STATE) in RUNNING if seen else self.held.power_w != 0
        amounts = Amounts(power_w, seconds, running, self.held.power_w, values)
        try:
            made = self._made(self._control.set if power_w else self._control.zero, amounts)
        except ForbiddenWrite as error:
            self._sequence = None
            return [*events, _ended(order, now, Result.REFUSED, OutcomeCode.INVALID_ORDER, str(error))]
        purpose = Purpose.SET if power_w else Purpose.ZERO
        self._sequence = Sequence(purpose, made, order, seconds)
        if not made:
            events += self._completed(self._sequence, now)
        return events

    def _watchdog_s(self, order: PowerOrder, pending: int, now: float) -> int | None:
        """Return the silence time-out of an order, see `orders.watchdog_s`, that so many pending writes complete."""
        product = self._product
        assert product is not None
        starts = product.watchdog is not None and product.watchdog.restarts == "write"
        return watchdog_s(product, order.valid_until - now - (pending * self._write_s if starts else 0.0))

    def _in_time(self, sequence: Sequence, order: PowerOrder, now: float, *again: Write) -> Sequence:
        """Return the sequence of a power with a silence time-out that ends with the power, although it starts as late
        as the pending writes are answered: as it is, with a shorter one, or 0 W. `again` starts a shorter one."""
        product, control = self._product, self._control
        assert product is not None
        assert control is not None
        watchdog = product.watchdog
        if watchdog is None or watchdog.restarts == "request":  # `_supervise` ends it
            return sequence
        seconds = self._watchdog_s(order, len(sequence.writes), now)
        if seconds is not None and seconds >= sequence.watchdog_s:
            return sequence
        pending = [one for one in sequence.writes if product.at(one).name != watchdog.seconds]
        seconds = self._watchdog_s(order, 1 + len(again) + len(pending), now)
        if seconds is None:
            zero = self._made(control.zero, Amounts(0.0, running=True))
            return Sequence(Purpose.ZERO, zero, order)
        shorter = self._made((Step(register=watchdog.seconds, value="watchdog_s"),), Amounts(0.0, seconds))
        sequence.writes, sequence.watchdog_s = deque((*shorter, *again, *pending)), seconds
        return sequence

    def _made(self, steps: tuple[Step, ...], amounts: Amounts) -> deque[Write]:
        """Return the writes of steps, without values that the device holds already."""
        product = self._product
        assert product is not None
        restarts = product.watchdog is not None and product.watchdog.restarts == "write"
        made: deque[Write] = deque()
        for one in writes(product, steps, amounts, self._exponent):
            register = product.at(one)
            if restarts or register.meaning in ACTS or self._kept.get((one.unit, one.address)) != one.words:
                made.append(one)
        return made

    # watchdog

    def _supervise(self, now: float) -> list[Event]:
        """Begin 0 W, or a shorter silence time-out, before the power outlives its time."""
        product, control, held, sequence = self._product, self._control, self.held, self._sequence
        if product is None or control is None or not held.power_w or now < self.acts_at():
            return []
        if sequence is not None and sequence.purpose is not Purpose.SET_UP:
            ends = now + sequence.watchdog_s + MARGIN_S
            fresh = sequence.order is None or ends < sequence.order.valid_until
            if sequence.purpose is Purpose.ZERO or (fresh and now < held.until):
                return []
        left_s = held.until - now
        seconds = watchdog_s(product, left_s) if left_s > 0 else None
        ended = sequence.order if sequence is not None else None
        events: list[Event] = [] if ended is None else [_ended(ended, now, Result.UNKNOWN, "", "it was not confirmed")]
        if seconds and product.watchdog is not None and seconds < held.watchdog_s:
            steps = (Step(register=product.watchdog.seconds, value="watchdog_s"),)
            self._sequence = Sequence(Purpose.WATCHDOG, self._made(steps, Amounts(0.0, seconds)), None, seconds)
            return events
        self._sequence = Sequence(Purpose.ZERO, self._made(control.zero, Amounts(0.0, running=True)))
        return [*events, PowerExpired(now)]

    def count(self, now: float) -> Write | None:
        """Return the heartbeat that is due; a power that is overdue gets none."""
        return None if self._overdue(now) else self.heartbeat.next(now)

    def counts_at(self, now: float) -> float:
        """Return when a heartbeat is due."""
        due = None if self._overdue(now) else self.heartbeat.deadline()
        return math.inf if due is None else due

    def _overdue(self, now: float) -> bool:
        return self.held.power_w != 0 and now >= self.held.until

    def acts_at(self) -> float:
        """Return when the present power, or the silence time-out that every request restarts, has to be ended."""
        held, product = self.held, self._product
        if not held.power_w or product is None:
            return math.inf
        lead_s = product.timing.pause_s + (WRITES_S if self._fed else LEAD_S)
        return held.until - (held.watchdog_s if self._fed else 0) - lead_s

    @property
    def _fed(self) -> bool:
        """True where every request restarts the silence time-out."""
        watchdog = self._product.watchdog if self._product is not None else None
        return watchdog is not None and watchdog.restarts == "request" and self.held.watchdog_s > 0

    def _overruns(self, at: float) -> bool:
        """Return whether a request at a time would let the device run on beyond the time of its power."""
        held = self.held
        return held.power_w != 0 and self._fed and at + held.watchdog_s + MARGIN_S > held.until

    def wait_out(self, now: float) -> None:
        """Send nothing until the device has timed out, where it cannot be written to and requests keep it on."""
        if self._fed:
            self.not_before = now + self.held.watchdog_s + HUSH_S
            self.held.power_w, self.held.until = 0.0, math.inf

    # answers

    def written(self, answer: Answer, now: float) -> list[Event]:
        """Apply the answer to the write that was due."""
        sequence = self._sequence
        if sequence is None:
            return []
        if isinstance(answer, NoAnswer) or (isinstance(answer, Refused) and answer.code in BUSY):
            return self._repeat(sequence, str(answer) if isinstance(answer, Refused) else answer.reason, now)
        if isinstance(answer, Refused):
            return self._refused(sequence, str(answer), now)
        write = sequence.writes.popleft()
        self._kept[write.unit, write.address] = write.words
        self.held.watchdog_s = self._watchdog_of(write) or self.held.watchdog_s
        self._write_s, sequence.due_at, sequence.tries = now - sequence.due_at, now, 0
        if not sequence.writes and sequence.purpose is Purpose.SET and sequence.order is not None:
            sequence = self._sequence = self._in_time(sequence, sequence.order, now, write)
        return self._completed(sequence, now) if not sequence.writes else []

    def _watchdog_of(self, write: Write) -> int:
        """Return the silence time-out that a write sets, 0 where it sets none."""
        product = self._product
        assert product is not None
        register = product.at(write)
        if product.watchdog is None or register.name != product.watchdog.seconds:
            return 0
        return int(float(register.decode(write.words, self._exponent(register) or 0) or 0))

    def _completed(self, sequence: Sequence, now: float) -> list[Event]:
        self._sequence = None
        order, held = sequence.order, self.held
        self._wrote_at = now
        if order is not None:
            self.not_before = max(self.not_before, now + YIELD_S)
        if sequence.purpose is Purpose.ZERO:
            held.power_w, held.until = 0.0, math.inf
        elif sequence.purpose is Purpose.SET and order is not None:
            held.power_w, held.until = order.power_w, order.valid_until
        return [] if order is None else [_ended(order, now, Result.APPLIED)]

    def _repeat(self, sequence: Sequence, reason: str, now: float) -> list[Event]:
        """Write again after a pause; give up an order after `TRIES`, and 0 W never. A request that would let the device
        run on beyond the power's time is not sent: it has to time out first."""
        sequence.tries += 1
        sequence.retry_at = sequence.due_at = now + RETRY_S
        late = self._overruns(sequence.retry_at)
        if late:
            self.not_before = now + self.held.watchdog_s + HUSH_S
        if sequence.tries < TRIES and not late:
            return []
        sequence.tries = 0
        order, sequence.order = sequence.order, None
        if sequence.purpose in (Purpose.SET, Purpose.WATCHDOG):
            self._sequence = None
        return [] if order is None else [_ended(order, now, Result.UNKNOWN, "", reason)]

    def _refused(self, sequence: Sequence, reason: str, now: float) -> list[Event]:
        """End the order. What was written of a power is ended by 0 W, which is tried again."""
        order, sequence.order = sequence.order, None
        if sequence.purpose in (Purpose.ZERO, Purpose.SET_UP):
            self._repeat(sequence, reason, now)
        elif self._control is not None:
            zero = self._made(self._control.zero, Amounts(0.0, running=True))
            self._sequence = Sequence(Purpose.ZERO, zero, tries=sequence.tries)
            self._repeat(self._sequence, reason, now)
        return [] if order is None else [_ended(order, now, Result.REFUSED, "DeviceRefused", reason)]


def _ended(order: PowerOrder, at: float, answer: Result, code: str = "", text: str = "") -> OrderEnded:
    return OrderEnded(at, order.number, Outcome(answer, code, text))
