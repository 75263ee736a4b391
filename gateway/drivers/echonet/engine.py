"""Engine of one V2H box or storage battery over ECHONET Lite: what is read and ordered becomes requests; answers become
events. Time is an argument.

On each connection everything is read once; then measured values at their interval, limits and settings at theirs, and
the steps of orders in between. One request at a time; orders come first, and a slow box gets as much rest as it takes
for its answers. `reader.py` reads, `control.py` orders.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from gateway.drivers.echonet.control import Answered, BoxControl, FormOrder, ReleaseOrder
from gateway.drivers.echonet.orders import ACTUAL_MODE, GRID, MODE, PERMISSION
from gateway.drivers.echonet.reader import ObjectReader
from gateway.drivers.power_order import OrderEnded, PowerExpired, PowerOrder
from protocols.echonet.events import ObjectDescribed, Request, RequestAnswered
from protocols.echonet.frames import Esv, Property
from protocols.echonet.values import Value

RECONNECT_S = (1.0, 2.0, 5.0, 10.0)  # pauses after requests without an answer in a row
CONFIRM_S = 60.0  # between two requests to detect the vehicle
MOVES_S = 10.0  # after an order, with measured values as often as under power
CONFIRM, CONNECTION = 0xCD, 0xC7
CHARGEABLE = ("chargeable", "dischargeable", "chargeableDischargeable")
FAST = (0x88, 0x89, CONNECTION, MODE, ACTUAL_MODE, 0xD3, 0xD4, 0xD5, 0xD6, 0xD8, GRID, 0xE4)
SLOW = (
    0x83, 0x8A, 0x8C, 0xC0, 0xC5, 0xC6, 0xC8, 0xC9, 0xCC, 0xD0, 0xDC, 0xDD, PERMISSION, 0xE0, 0xE5, 0xE6, 0xEB,
    0xEC, 0xEF,
)  # fmt: skip
AT_ONCE = frozenset({0x88, CONNECTION, MODE, ACTUAL_MODE, GRID})  # announced: the values are read at once


@dataclass(frozen=True, slots=True)
class BoxReady:
    """The box was read; orders are accepted from now on."""

    at: float


@dataclass(frozen=True, slots=True)
class BoxRead:
    """A round of readings, which began at `at`, is complete."""

    at: float


@dataclass(frozen=True, slots=True)
class BoxSilent:
    """No answer, or no values, for longer than the product needs."""

    at: float
    reason: str


Event: TypeAlias = BoxReady | BoxRead | BoxSilent | PowerExpired


class BoxEngine:
    """One box. `control` outlives the connection."""

    def __init__(
        self,
        described: ObjectDescribed,
        control: BoxControl,
        *,
        silent: bool = False,
        fast: Sequence[int] = FAST,
        slow: Sequence[int] = SLOW,
    ) -> None:
        """`silent`: the silence of the box was reported before. `fast` and `slow`: properties that are read."""
        self._fast, self._slow = fast, slow
        self.described, self.control, self.profile = described, control, control.profile
        self.reader = self._new_reader()
        self.ready, self.silent = False, silent
        self._pending: Request | None = None
        self._reads: tuple[int, ...] = ()  # properties of the pending request, where it is one of the reader
        self._asked_at = self._not_before = self._rest_until = -math.inf
        self._answered_at: float | None = None
        self._moves_until = -math.inf  # since an order the power changes
        self._answer_s = 0.0  # how long the last answer took
        self._began_at: float | None = None  # first request since the last silence
        self._confirmed_at = -math.inf
        self._unanswered = 0  # requests in a row
        self._connection: Value | None = None  # state of the vehicle's connection, as reported
        self._events: list[Event | OrderEnded] = []
        control.begin(self.reader)

    @property
    def values(self) -> dict[int, Value]:
        """Values read last."""
        return self.reader.values

    def command(self, order: PowerOrder, now: float) -> Sequence[Event | OrderEnded]:
        """Take an order. `OrderEnded` follows."""
        self.control.command(order, now)
        return self.taken()

    def form(self, number: int, forms: bool, now: float, *, withhold: bool) -> Sequence[Event | OrderEnded]:
        """Supply an island, or follow a grid again. `OrderEnded` follows."""
        self.control.command(FormOrder(number, forms, withhold), now)
        return self.taken()

    def release(self, number: int, now: float) -> Sequence[Event | OrderEnded]:
        """End every power, and leave the device to itself. `OrderEnded` follows."""
        self.control.command(ReleaseOrder(number), now)
        return self.taken()

    def request(self, now: float) -> Request | None:
        """Return the request to send now, None where there is none yet."""
        if self._pending is not None or now < self._not_before:
            return None
        asked = self.control.next(now) if self.ready or self.control.held.power_w else None
        self._reads = ()
        if asked is None and now >= self._rest_until:
            asked = self._poll(now)
        if asked is None:
            return None
        self._asked_at = now
        self._began_at = now if self._began_at is None else self._began_at
        self._pending = Request(
            self.described.node, self.described.eoj, *asked, within_s=self.profile.answer_within_s, tries=1
        )
        return self._pending

    def deadline(self, now: float) -> float:
        """Return when `request` has to be called again, without an order in between."""
        control = self.control.due_at() if self.ready or self.control.held.power_w else math.inf
        poll = math.inf if self._ends_soon(now) else max(self.reader.due_at, self._rest_until)
        return max(min(control, poll), self._not_before)

    def notified(self, properties: Sequence[Property], now: float) -> None:
        """Apply values that the box announces."""
        self.reader.apply(properties)
        if AT_ONCE & {one.epc for one in properties}:
            self.reader.read_by(now)

    def receive(self, answer: Answered, now: float) -> Sequence[Event | OrderEnded]:
        """Apply the answer to the last request."""
        request, self._pending = self._pending, None
        assert request is not None, "an answer without a request"
        answered = isinstance(answer, RequestAnswered)
        self._not_before = now + self.profile.pause_s
        if answered:
            self._answered_at, self._unanswered = now, 0
            self._answer_s = now - self._asked_at
            self._rest_until = now + self._answer_s
        else:
            self._unanswered += 1
            self._rest_until = now + RECONNECT_S[min(self._unanswered, len(RECONNECT_S)) - 1]
        if self._reads:
            self._read(answer, now)
        elif request.properties[0].epc != CONFIRM:
            self.control.answered(answer, now)
            if not self.control.busy:
                self.reader.read_by(now)
                self._moves_until = now + MOVES_S
        self._judge(answer, now)
        return self.taken()

    def taken(self) -> Sequence[Event | OrderEnded]:
        """Return the events since the last call."""
        events, self._events = [*self._events, *self.control.events], []
        self.control.events.clear()
        return events

    # reading

    def _new_reader(self) -> ObjectReader:
        unused = self.profile.unused
        return ObjectReader(self.described, self._fast, self._slow, most=self.profile.most_properties, unused=unused)

    def _poll(self, now: float) -> tuple[Esv, tuple[Property, ...]] | None:
        """Return the request for values."""
        if self._ends_soon(now):
            return None
        if self._confirms(now):
            self._confirmed_at = now
            return Esv.SETC, (Property(CONFIRM, self.reader.encoded(CONFIRM, "confirmation")),)
        watched = [epc for epc in self.control.watched if epc not in self._fast]
        self.reader.poll(self._fast, watched)
        self._reads = self.reader.next(now, self.profile.slow_poll_s) or ()
        return (Esv.GET, tuple(Property(epc) for epc in self._reads)) if self._reads else None

    def _ends_soon(self, now: float) -> bool:
        """Return whether the end of a power would have to wait for the answer to another request."""
        return 0 < self.control.expires_at() - now < self._answer_s

    def _confirms(self, now: float) -> bool:
        """Return whether the box has to detect the vehicle first: its state of connection is none with power."""
        if not self.profile.confirm_vehicle or now < self._confirmed_at + CONFIRM_S or now < self.reader.due_at:
            return False
        rests = self.values.get(MODE) in self.reader.codes.at_rest
        return rests and self.values.get(CONNECTION) not in CHARGEABLE and self.reader.settable(CONFIRM)

    def _read(self, answer: Answered, now: float) -> None:
        found = None
        if isinstance(answer, RequestAnswered) and answer.answer is not None:
            found = answer.answer.properties
        runs = (
            self.control.held.power_w
            or self.values.get(MODE) not in self.reader.codes.at_rest
            or now < self._moves_until
        )
        period_s = self.profile.poll_s if runs else self.profile.idle_poll_s
        if not self.reader.receive(found, now, period_s):
            return
        self.control.adopt(now)
        if self.ready and self.values.get(CONNECTION) != self._connection:
            self.reader.refresh(now)  # the vehicle is another one, with other limits
        self._connection = self.values.get(CONNECTION)
        if self.ready:
            self._events.append(BoxRead(self.reader.read_at))
        else:
            self.ready, self.silent = True, False
            self._events.append(BoxReady(now))

    def _judge(self, answer: Answered, now: float) -> None:
        """Report a box once that has not answered, or not stated values, for too long."""
        began_at = self._asked_at if self._began_at is None else self._began_at
        answered_at = began_at if self._answered_at is None else max(began_at, self._answered_at)
        late = now - answered_at >= self.profile.silent_after_s
        empty = now - max(self.reader.read_at, began_at) >= 1.5 * self.profile.silent_after_s
        if self.silent or not (late or empty):
            return
        reason = answer.reason if not isinstance(answer, RequestAnswered) else "it does not state its values"
        self.ready, self.silent = False, True
        self.control.lost(now)
        self.reader, self._began_at = self._new_reader(), now
        self.control.begin(self.reader)
        self._events.append(BoxSilent(now, reason))
