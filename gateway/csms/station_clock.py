"""Clock of a station, estimated from the time stamps of its messages; which readings are late by it. Pure.

A station may be seconds, hours or decades off, and its clock may be set at any time. A message that is sent when it is
stamped gives the offset, one that waited a smaller one. So the largest offset counts, until stamps that advance at the
pace of real time have shown a smaller one several times and nothing has supported the larger one meanwhile. Messages of
a queue arrive faster than they were stamped.
"""

from __future__ import annotations

from dataclasses import dataclass, field

LATE_S = 60.0  # a reading older than this is one of before
TOLERANCE_S = 2.0  # offsets that differ by less agree
FEW, FEW_S = 3, 5.0  # messages in a row, and the shortest time between the first and the last of them
_PACE, _JITTER_S = 1.2, 1.0  # faster than this, stamps are those of a queue


@dataclass(slots=True)
class _Sequence:
    """Time stamps of one source in order of receipt: those of one meter, or of the messages themselves."""

    newest: float | None = None  # stamp of the newest reading that was not late
    last: float | None = None  # stamp
    last_at: float = 0.0  # receipt
    count: int = 0  # stamps in a row that advance no faster than real time
    began: float = 0.0
    low_count: int = 0  # of them, those with a smaller offset than estimated, at the pace of real time
    low_began: float = 0.0
    low_offset_s: float = 0.0  # the largest of these
    slack_s: float = _JITTER_S

    def add(self, stamp: float, now: float, estimate_s: float) -> None:
        passed_s, advanced_s = (0.0, -1.0) if self.last is None else (now - self.last_at, stamp - self.last)
        slack_s = self.slack_s + _PACE * passed_s - advanced_s
        self.slack_s = slack_s if slack_s < _JITTER_S else _JITTER_S
        if advanced_s < 0 or slack_s < 0:
            self.count, self.began, self.slack_s, self.low_count = 0, now, _JITTER_S, 0
        elif advanced_s < passed_s / _PACE - _JITTER_S:
            self.low_count = 0
        self.last, self.last_at = stamp, now
        self.count += 1
        offset_s = stamp - now
        if offset_s >= estimate_s - TOLERANCE_S:
            self.low_count = 0
        elif self.low_count:
            self.low_count, self.low_offset_s = self.low_count + 1, max(self.low_offset_s, offset_s)
        else:
            self.low_count, self.low_began, self.low_offset_s = 1, now, offset_s

    def continues(self, now: float) -> bool:
        """Return True if the last stamps are of readings that are sent as they are taken, though the clock was set
        back or stands."""
        return self.count >= FEW and now - self.began >= FEW_S


@dataclass(slots=True)
class StationClock:
    """Offset of a station's clock from the gateway's engine time. Stamps are Unix time by the station."""

    _offset_s: float | None = None
    _supported_at: float = 0.0  # engine time at which a stamp last agreed with it
    _leap: tuple[float, float] | None = None  # larger offset of one message, and when it was received
    _recent: tuple[float, ...] = ()  # offsets of the last `FEW`
    _messages: _Sequence = field(default_factory=_Sequence)
    _meters: dict[int, _Sequence] = field(default_factory=dict)

    def observe(self, stamp: float, now: float) -> None:
        """Use the time stamp of a message."""
        self._observe(self._messages, stamp, now)

    def now(self, now: float, within_s: float = 0.0) -> float | None:
        """Return the station's time, None before a message with a time stamp. While the last stamps leave a doubt of up
        to `within_s`, it is the earliest time that they permit."""
        if self._offset_s is None:
            return None
        doubted = [self._offset_s, *self._recent]
        return now + min(offset for offset in doubted if offset >= self._offset_s - within_s)

    def late(self, stamp: float, now: float, meter: int = 0) -> bool:
        """Return True for a reading of before: it is old by the station's clock, or older than the newest reading of
        the same meter, and does not continue readings that are sent as they are taken."""
        sequence = self._meters.setdefault(meter, _Sequence())
        present = now + self._observe(sequence, stamp, now)
        before = sequence.newest is not None and stamp < sequence.newest
        if (before or present - stamp > LATE_S) and not sequence.continues(now):
            return True
        sequence.newest = min(stamp, present + TOLERANCE_S)  # one stamp far ahead does not outdate those that follow
        return False

    def _observe(self, sequence: _Sequence, stamp: float, now: float) -> float:
        """Use a time stamp and return the offset. A larger one counts when a second message confirms it."""
        offset_s = stamp - now
        self._recent = (*self._recent[1 - FEW :], offset_s)
        if self._offset_s is None:
            self._set(offset_s, now)
        estimate_s = self._offset_s = offset_s if self._offset_s is None else self._offset_s
        sequence.add(stamp, now, estimate_s)
        if offset_s > estimate_s + TOLERANCE_S:
            if self._leap is not None and now > self._leap[1]:
                self._set(min(offset_s, self._leap[0]), now)
            else:
                self._leap = offset_s, now
        elif offset_s >= estimate_s - TOLERANCE_S:
            self._set(max(offset_s, estimate_s), now)
        elif self._is_lower(sequence, now):
            self._set(sequence.low_offset_s, now)
        return self._offset_s

    def _is_lower(self, sequence: _Sequence, now: float) -> bool:
        long = sequence.low_count >= FEW and now - sequence.low_began >= FEW_S
        return long and self._supported_at < sequence.low_began

    def _set(self, offset_s: float, now: float) -> None:
        self._offset_s, self._supported_at, self._leap = offset_s, now, None
