"""Clock of a station, estimated from the time stamps of its messages; which readings are late by it. Pure.

A station may be seconds, hours or decades off. A message that is sent when it is stamped gives the offset, and one from
a queue a smaller one, so that the largest offset is the best estimate. It falls slowly, for clocks that drift, and a
clock that was set back is recognised by readings that continue at the pace of real time.
"""

from __future__ import annotations

from dataclasses import dataclass

LATE_S = 60.0  # a reading older than this is one of before
DRIFT = 1e-3  # the estimate follows a slow clock by this share of the time
SET_BACK_S = 60.0  # late readings that continue for this long, at the pace of real time, are not of a queue
_PACE, _JITTER_S = 1.2, 1.0  # readings of a queue arrive faster than they were taken


@dataclass(slots=True)
class StationClock:
    """Offset of a station's clock from the gateway's engine time. Stamps are Unix time by the station."""

    _offset_s: float | None = None
    _at: float = 0.0  # engine time of the estimate
    _leap: tuple[float, float] | None = None  # offset of one message far ahead, and when it was received
    _run: tuple[float, float, float] | None = None  # begin, last receipt and last stamp of readings that seem late

    def observe(self, stamp: float, now: float) -> None:
        """Use the time stamp of a message. One far ahead of the others counts when a second one confirms it."""
        offset = stamp - now
        known = self._offset(now)
        if known is not None and offset > known + LATE_S:
            confirmed = self._leap is not None and abs(offset - self._leap[0]) <= LATE_S and now > self._leap[1]
            self._leap = offset, now
            if not confirmed:
                return
        if known is None or offset > known:
            self._offset_s, self._at, self._leap = offset, now, None

    def now(self, now: float) -> float | None:
        """Return the station's time, None before a message with a time stamp."""
        offset = self._offset(now)
        return None if offset is None else now + offset

    def late(self, stamp: float, now: float, newest: float | None = None) -> bool:
        """Return True for a reading of before: it is old by the station's clock, or older than `newest`, the stamp of
        the newest reading of the same meter."""
        self.observe(stamp, now)
        offset = self._offset(now)
        present = stamp if offset is None else now + offset
        after = newest is not None and newest <= present + LATE_S and stamp < newest
        if present - stamp <= LATE_S and not after:
            self._run = None
            return False
        return not self._set_back(stamp, now)

    def _set_back(self, stamp: float, now: float) -> bool:
        """Return True if late readings have continued at the pace of real time: the clock was set back, or stands."""
        run = self._run
        if run is not None and not 0.0 <= stamp - run[2] <= _PACE * (now - run[1]) + _JITTER_S:
            run = None
        self._run = (now if run is None else run[0], now, stamp)
        if now - self._run[0] < SET_BACK_S:
            return False
        self._offset_s, self._at, self._run = stamp - now, now, None
        return True

    def _offset(self, now: float) -> float | None:
        return None if self._offset_s is None else self._offset_s - DRIFT * max(0.0, now - self._at)
