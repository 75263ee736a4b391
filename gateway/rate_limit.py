"""Token bucket, the rate limit of commands, handshakes, messages and log lines. Time is an argument."""

from __future__ import annotations

from collections import OrderedDict


class TokenBucket:
    """A rate with a burst: full at first, refilled with `rate` tokens per second up to `burst`."""

    __slots__ = ("_at", "_level", "burst", "rate")

    def __init__(self, rate: float, burst: float) -> None:
        self.rate, self.burst = rate, burst
        self._level, self._at = burst, 0.0

    def take(self, now: float) -> bool:
        """Take one token; False if there is none. Time that runs backwards adds nothing."""
        self._refill(now)
        if self._level < 1.0:
            return False
        self._level -= 1.0
        return True

    def spend(self, now: float, tokens: float) -> float:
        """Take tokens that were used already; return the time until none is owed, in s."""
        self._refill(now)
        self._level = level = self._level - tokens
        return -level / self.rate if level < 0.0 else 0.0

    @property
    def share(self) -> float:
        """Share of the burst that was left at the last call; negative where tokens are owed."""
        return self._level / self.burst

    def _refill(self, now: float) -> None:
        if now > self._at:
            level = self._level + (now - self._at) * self.rate
            self._level = level if level < self.burst else self.burst
        self._at = now


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
