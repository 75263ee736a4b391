"""Token bucket, the rate limit of commands, handshakes and messages of stations. Time is an argument."""

from __future__ import annotations


class TokenBucket:
    """A rate with a burst: full at first, refilled with `rate` tokens per second up to `burst`."""

    __slots__ = ("_at", "_level", "burst", "rate")

    def __init__(self, rate: float, burst: float) -> None:
        self.rate, self.burst = rate, burst
        self._level, self._at = burst, 0.0

    def take(self, now: float) -> bool:
        """Take one token; False if there is none. Time that runs backwards adds nothing."""
        self._level = min(self.burst, self._level + max(0.0, now - self._at) * self.rate)
        self._at = now
        if self._level < 1.0:
            return False
        self._level -= 1.0
        return True
