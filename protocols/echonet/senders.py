"""Nodes that send requests: their rates, and when each sent its last request. Bounded; the oldest gives way."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection
from dataclasses import dataclass

MOST_SENDERS = 256
BURST_S = 4.0  # of the rate
ALL = 10  # all nodes together may send this many times the rate of one


@dataclass(slots=True)
class _Sender:
    tokens: float
    at: float
    requested: float | None = None

    def take(self, per_s: float, now: float) -> bool:
        burst = max(1.0, per_s * BURST_S)
        self.tokens = min(burst, self.tokens + max(0.0, now - self.at) * per_s)
        self.at = now
        if self.tokens < 1:
            return False
        self.tokens -= 1
        return True


class Senders:
    """Token buckets by address. Without a rate everything is permitted.

    `known` nodes keep their place and their rate whatever others send, or pretend to.
    """

    def __init__(self, per_s: float | None, known: Collection[str] = ()) -> None:
        self._per_s, self._known = per_s, frozenset(known)
        self._senders: OrderedDict[str, _Sender] = OrderedDict()
        self._all = _Sender((per_s or 0.0) * ALL * BURST_S, 0.0)

    def permit(self, sender: str, now: float) -> bool:
        """Count a datagram; False if it comes too soon."""
        if self._per_s is None:
            return True
        one = self._senders.pop(sender, None) or _Sender(max(1.0, self._per_s * BURST_S), now)
        self._senders[sender] = one
        if len(self._senders) > MOST_SENDERS:
            del self._senders[next(name for name in self._senders if not self._is_known(name))]
        return one.take(self._per_s, now) and (self._is_known(sender) or self._all.take(self._per_s * ALL, now))

    def _is_known(self, sender: str) -> bool:
        return sender.partition("%")[0] in self._known

    def requested(self, sender: str, now: float) -> None:
        """Note a request to an own object."""
        if sender in self._senders:
            self._senders[sender].requested = now

    def last_request(self, sender: str) -> float | None:
        """Return when a node sent its last request to an own object; None if it is not known."""
        one = self._senders.get(sender)
        return None if one is None else one.requested
