"""How often commands may come: a bucket of tokens per EVSE and per source. Bounded in number, time is an argument."""

from __future__ import annotations

from collections import OrderedDict


class RateLimiter:
    """Buckets by name; the one not used for longest goes when there are too many (it would be full by then)."""

    def __init__(self, rate_per_s: float, burst_s: float, most: int = 10_000) -> None:
        self._rate, self._full, self._most = rate_per_s, max(1.0, rate_per_s * burst_s), most
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def allow(self, name: str, now: float) -> bool:
        """Take one token; False when there is none."""
        tokens, at = self._buckets.pop(name, (self._full, now))
        tokens = min(self._full, tokens + max(0.0, now - at) * self._rate)
        allowed = tokens >= 1.0
        self._buckets[name] = (tokens - 1.0 if allowed else tokens, now)
        while len(self._buckets) > self._most:
            self._buckets.popitem(last=False)
        return allowed
