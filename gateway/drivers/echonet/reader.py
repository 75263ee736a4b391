"""Values of one object by property, read in rounds of few requests. Pure; time is an argument.

`fast` properties are read each time, `slow` ones at their own interval and in the first round. A property that is not
answered has no value; one whose bytes its type does not permit has none either, and is counted.
"""

from __future__ import annotations

import math
from collections import Counter, deque
from collections.abc import Collection, Iterable, Mapping, Sequence

from gateway.drivers.echonet.order_codes import codes_of
from protocols.echonet.classes import LATEST, Rule, object_class
from protocols.echonet.events import ObjectDescribed
from protocols.echonet.frames import Property
from protocols.echonet.values import EchonetValueError, Value
from protocols.errors import LocalProtocolError


class ObjectReader:
    """Reader of one object. `values` are those read last, `read_at` is when the last complete round began."""

    def __init__(
        self,
        described: ObjectDescribed,
        fast: Sequence[int],
        slow: Sequence[int],
        *,
        most: int = 12,
        unused: Collection[int] = (),
    ) -> None:
        """`most`: properties in one request. `unused`: properties that are left out, whatever the maps state."""
        self.codes = codes_of(described.eoj.class_code)
        declared, self.release = object_class(described.eoj.class_code), described.release
        self._rules = declared.properties() | declared.properties(described.release or LATEST)
        here = described.get or {epc for epc, rule in self._rules.items() if rule.get != "-"}
        self._here = (here & set(self._rules)) - set(unused)
        settable = described.set or {epc for epc, rule in self._rules.items() if rule.set != "-"}
        self._settable = settable - set(unused)
        self.fast = [epc for epc in fast if epc in self._here]
        self.slow = [epc for epc in slow if epc in self._here]
        self.values: dict[int, Value] = {}
        self.invalid: Counter[int] = Counter()
        self.read_at = -math.inf
        self._most = most
        self._waiting: deque[tuple[int, ...]] = deque()
        self._asked_at = 0.0
        self._slow_at: float | None = None
        self.due_at = -math.inf  # of the next round

    # the object

    def has(self, epc: int) -> bool:
        """Return whether a property can be read."""
        return epc in self._here

    def settable(self, epc: int) -> bool:
        """Return whether a property can be set."""
        return epc in self._settable

    def accepts(self, epc: int, value: Value) -> bool:
        """Return whether a property can be set to a value in the release of the object."""
        try:
            return self.settable(epc) and bool(self.encoded(epc, value))
        except LocalProtocolError:
            return False

    def encoded(self, epc: int, value: Value) -> bytes:
        """Return the bytes of a value. Raises LocalProtocolError."""
        return self._rules[epc].kind.encode(value)

    def rule(self, epc: int) -> Rule:
        """Return the declaration of a property. Raises KeyError."""
        return self._rules[epc]

    def number(self, epc: int, element: str | None = None) -> float | None:
        """Return a value, or an element of a structure, as a number; None where it is none."""
        value = self.values.get(epc)
        if element is not None and isinstance(value, Mapping):
            value = value.get(element)
        return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None

    # rounds

    def next(self, now: float, slow_s: float) -> tuple[int, ...] | None:
        """Return the properties to request now, None where no round is due."""
        if not self._waiting and now >= self.due_at:
            slow = self._slow_at is None or now >= self._slow_at + slow_s
            epcs = [*self.fast, *(self.slow if slow else ())]
            self._waiting.extend(tuple(epcs[at : at + self._most]) for at in range(0, len(epcs), self._most))
            self._asked_at = now
            if slow:
                self._slow_at = now
        return self._waiting[0] if self._waiting else None

    def receive(self, properties: Iterable[Property] | None, now: float, period_s: float) -> bool:
        """Apply the answer to the request that was due, None for none; return whether it completes a round."""
        epcs = self._waiting.popleft()
        if properties is None:
            self._waiting.clear()
            self._slow_at = None if not self.values else self._slow_at
            self.due_at = now + period_s
            return False
        self.apply(properties, epcs)
        if self._waiting:
            return False
        self.due_at = self._asked_at + period_s
        if not any(epc in self.values for epc in self.fast):
            return False
        self.read_at = self._asked_at
        return True

    def apply(self, properties: Iterable[Property], wanted: Iterable[int] = ()) -> None:
        """Apply values that were read or announced; those of `wanted` that are missing have no value any more."""
        found = {one.epc: one.data for one in properties if one.data}
        for epc in wanted:
            if epc not in found:
                self.values.pop(epc, None)
        for epc, data in found.items():
            if (rule := self._rules.get(epc)) is None or epc not in self._here:
                continue
            try:
                self.values[epc] = rule.kind.decode(data)
            except EchonetValueError:
                self.values.pop(epc, None)
                self.invalid[epc] += 1

    def read_by(self, at: float) -> None:
        """Begin the next round at a time, if it would begin later."""
        self.due_at = min(self.due_at, at)

    def poll(self, fast: Sequence[int], watched: Sequence[int]) -> None:
        """Read these properties in each round: those of `fast` that the object has, and `watched`."""
        self.fast = [*(epc for epc in fast if self.has(epc)), *watched]

    def refresh(self, now: float) -> None:
        """Read everything in the next round, which is due now."""
        self._slow_at, self.due_at = None, now

    def forget(self, epc: int) -> None:
        """Remove a value, which may change now."""
        self.values.pop(epc, None)
