"""Nodes that send requests: their rates, and when each sent its last request. Bounded; the oldest gives way."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

MOST_SENDERS = 256
BURST_S = 4.0  # of the rate


@dataclass(slots=True)
class _Sender:
    tokens: float
    at: float
    requested: float | None = None


class Senders:
    """Token buckets by address. Without a rate everything is permitted."""

    def __init__(self, per_s: float | None) -> None:
        self._per_s = per_s
        self._senders: OrderedDict[str, _Sender] = OrderedDict()

    def permit(self, sender: str, now: float) -> bool:
        """Count a datagram; False if it comes too soon."""
        if self._per_s is None:
            return True
        burst = max(1.0, self._per_s * BURST_S)
        one = self._senders.pop(sender, None) or _Sender(burst, now)
        self._senders[sender] = one
        while len(self._senders) > MOST_SENDERS:
            self._senders.popitem(last=False)
        one.tokens = min(burst, one.tokens + max(0.0, now - one.at) * self._per_s)
        one.at = now
        if one.tokens < 1:
            return False
        one.tokens -= 1
        return True

    def requested(self, sender: str, now: float) -> None:
        """Note a request to an own object."""
        if sender in self._senders:
            self._senders[sender].requested = now

    def last_request(self, sender: str) -> float | None:
        """Return when a node sent its last request to an own object; None if it is not known."""
        one = self._senders.get(sender)
        return None if one is None else one.requested
