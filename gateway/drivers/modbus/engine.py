"""Engine of one device over Modbus: its register map becomes requests; answers become values and events. Time is an
argument.

    engine = ModbusEngine(product)
    engine.command(PowerOrder(1, -3000.0, valid_until), now)
    request = engine.request(now)             # None: nothing before `deadline`
    events = engine.receive(answer, now)

On each connection: walk the chain (SunSpec), read everything once, set the device up; then reads at their intervals and
the writes of orders, one request at a time. `poller.py` reads, `control.py` writes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from enum import Enum, auto

from gateway.drivers.device_session import RUNNING
from gateway.drivers.modbus.control import DeviceControl
from gateway.drivers.modbus.events import DeviceReady, DeviceSilent, Event, OrderAltered, ValuesRead
from gateway.drivers.modbus.poller import NOT_THERE, Poller
from gateway.drivers.power_order import PowerOrder
from protocols.modbus.messages import Answer, NoAnswer, Refused, Request, Write
from protocols.modbus.register import Meaning
from protocols.modbus.register_map import RegisterMap
from protocols.modbus.sunspec.chain import Walk
from protocols.modbus.sunspec.resolve import resolve

RECONNECT_S = (1.0, 2.0, 5.0, 10.0)  # pauses after requests without an answer in a row


class Phase(Enum):
    """Phases of a connection."""

    WALK = auto()
    READ = auto()
    SET_UP = auto()
    RUN = auto()


@dataclass(slots=True)
class ModbusEngine:
    """One device. `product` is its map; of a SunSpec product the addresses are found on each connection."""

    product: RegisterMap
    control: DeviceControl = field(default_factory=DeviceControl)
    phase: Phase = Phase.WALK
    silent: bool = False
    _walk: Walk | None = None
    _poller: Poller | None = None
    _pending: Request | None = None
    _counting: bool = False  # the request is a heartbeat
    _not_before: float = -math.inf
    _answered_at: float | None = None
    _unanswered: int = 0  # requests in a row
    _events: list[Event] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._restart()

    @property
    def values(self) -> dict[Meaning, float | str]:
        """Values of the last complete round on this connection."""
        return self._poller.values if self._poller is not None else {}

    @property
    def running(self) -> bool:
        """True where the device states that power flows or may flow."""
        return self.values.get(Meaning.STATE) in RUNNING

    @property
    def ready(self) -> bool:
        """True while the device answers and is set up."""
        return self.phase is Phase.RUN

    def command(self, order: PowerOrder, now: float) -> list[Event]:
        """Take an order for the device. `OrderEnded` follows."""
        return self.control.command(order, self.values, now)

    def request(self, now: float) -> Request | None:
        """Return the request to send now, None where there is none yet."""
        control = self.control
        if self._pending is None and self.phase is Phase.READ and now >= control.acts_at() and control.held.watchdog_s:
            control.wait_out(now)
        if self._pending is not None or now < max(self._not_before, control.not_before):
            return None
        self._pending = self._next(now)
        return self._pending

    def deadline(self, now: float) -> float:
        """Return when `request` has to be called again, without an order in between."""
        due = now if self._poller is None or self.phase is Phase.READ else self.control.due_at()
        if self._poller is not None and self.phase is Phase.RUN:
            due = min(due, self._poller.deadline(), self.control.counts_at(now))
        return max(now, due, self._not_before, self.control.not_before)

    def within_s(self, request: Request) -> float:
        """Return the time-out of a request."""
        timing = self.product.timing
        return timing.write_reply_within_s if isinstance(request, Write) else timing.reply_within_s

    def receive(self, answer: Answer, now: float) -> list[Event]:
        """Apply the answer to the last request."""
        request, self._pending = self._pending, None
        assert request is not None, "an answer without a request"
        self._not_before = now + self.product.timing.pause_s
        if isinstance(answer, NoAnswer):
            self._no_answer(request, answer, now)
            return self.taken()
        self._answered_at, self._unanswered = now, 0
        if self._walk is not None:
            self._walk.receive(answer)
            if self._walk.done:
                self._walked(self._walk, now)
        elif self._counting:
            self.control.heartbeat.written(answer)
        elif isinstance(request, Write):
            self._events += self.control.written(answer, now)
            if self._poller is not None and self.product.timing.settle_s and not self.control.busy:
                self._poller.settle(now + self.product.timing.settle_s)
        elif self._poller is not None:
            self._read(self._poller, answer, now)
        self._advance(now)
        return self.taken()

    def taken(self) -> list[Event]:
        """Return the events since the last call."""
        events, self._events = self._events, []
        return events

    # phases

    def _restart(self) -> None:
        """Begin a connection."""
        sunspec = self.product.sunspec
        self.phase = Phase.WALK if sunspec else Phase.READ
        self._walk = Walk(self.product.unit) if sunspec else None
        self._poller = None if sunspec else Poller(self.product)

    def _next(self, now: float) -> Request | None:
        """Return the request that is due: heartbeats and other requests in turn, where both are."""
        counted, self._counting = self._counting, False
        beat = None if counted else self._beat(now)
        return beat or self._other(now) or (self._beat(now) if counted else None)

    def _beat(self, now: float) -> Request | None:
        beat = self.control.count(now) if self.phase is Phase.RUN else None
        self._counting = beat is not None
        return beat

    def _other(self, now: float) -> Request | None:
        if self._walk is not None:
            return self._walk.request()
        assert self._poller is not None
        if self.phase is not Phase.READ:
            write, events = self.control.next(self.values, self._poller.read_at, now)
            self._events += events
            if write is not None:
                return write
            if self.phase is Phase.SET_UP or now < self.control.not_before:
                return None
        return self._poller.next(now)

    def _walked(self, walk: Walk, now: float) -> None:
        found = None if walk.fault else resolve(self.product, walk.chain)
        if found is not None:
            self._walk, self._poller, self.phase = None, Poller(found), Phase.READ
            return
        models = ", ".join(str(one.id) for one in walk.chain)
        self._lost(walk.fault or f"the device has the SunSpec models {models}; none is one of {self.product.name}", now)

    def _read(self, poller: Poller, answer: Answer, now: float) -> None:
        events = poller.receive(answer, now)
        self._events += events
        overdue = now - poller.read_at >= self.product.timing.silent_after_s
        again = isinstance(answer, Refused) and answer.code not in NOT_THERE
        if poller.empty:
            self._lost(f"the device has none of the registers that {self.product.name} reads each time", now)
        elif again and overdue:
            self._lost(f"it refuses to be read: {answer}", now)
        elif self.phase is Phase.RUN and any(isinstance(one, ValuesRead) for one in events):
            self._verify_setup(poller)
            altered = self.control.altered(poller.words, poller.read_at)
            if altered:
                self._events.append(OrderAltered(now, altered))

    def _verify_setup(self, poller: Poller) -> None:
        """Set up again a device that has lost its settings: a person took control, or it restarted unnoticed."""
        for step in self.control.setup:
            register = poller.product.by_name[step.register_]
            words = poller.words(register.name)
            if words is not None and step.quantity is None and words != register.encode(step.value):
                self.control.set_up()
                return

    def _advance(self, now: float) -> None:
        """Enter the next phase where the present one is complete."""
        poller = self._poller
        if self.phase is Phase.READ and poller is not None and poller.complete:
            self.phase = Phase.SET_UP
            self.control.begin(poller.product, poller.exponent)
        if self.phase is Phase.SET_UP and not self.control.busy:
            self.phase, self.silent = Phase.RUN, False
            self._events.append(DeviceReady(now, dict(self.values)))

    # failures

    def _no_answer(self, request: Request, answer: NoAnswer, now: float) -> None:
        self._unanswered += 1
        if self._answered_at is None:
            self._answered_at = now
        if self._counting:
            self.control.heartbeat.written(answer)
        elif isinstance(request, Write):
            self._events += self.control.written(answer, now)
        elif self._poller is not None:
            self._poller.receive(answer, now)
        late = now - self._answered_at >= self.product.timing.silent_after_s
        if answer.closed or late:
            self._lost(answer.reason, now)

    def _lost(self, reason: str, now: float) -> None:
        """Begin anew after a pause; report it once."""
        self._not_before = now + RECONNECT_S[min(self._unanswered, len(RECONNECT_S)) - 1]
        self._events += self.control.lost(now)
        if not self.silent:
            self.silent = True
            self._events.append(DeviceSilent(now, reason))
        self._restart()
