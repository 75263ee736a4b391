"""Rate limit of commands: one token bucket per name (EVSE or source), bounded in number. Time is an argument."""

from __future__ import annotations

from collections import OrderedDict

from gateway.rate_limit import TokenBucket


class RateLimiter:
    """Token buckets by name; beyond `most` the least recently used one is removed (it would be full by then)."""

    def __init__(self, rate_per_s: float, burst_s: float, most: int = 10_000) -> None:
        self._rate, self._burst, self._most = rate_per_s, max(1.0, rate_per_s * burst_s), most
        self._buckets: OrderedDict[str, TokenBucket] = OrderedDict()

    def allow(self, name: str, now: float) -> bool:
        """Take one token; False if there is none."""
        bucket = self._buckets.pop(name, None) or TokenBucket(self._rate, self._burst)
        self._buckets[name] = bucket
        while len(self._buckets) > self._most:
            self._buckets.popitem(last=False)
        return bucket.take(now)
