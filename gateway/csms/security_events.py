"""Security events: those that stations report (SecurityEventNotification), and failed logins of stations.

The newest are kept for the admin API. Each is reported to the gateway, which journals and publishes it; of one source
so many at a time, and then the number of those in between.
"""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass

from gateway.model.event import Report, SecurityNoticed
from gateway.rate_limit import RateLimiter
from protocols.ports import Clock

MAX_EVENTS = 1_000
RATE_PER_S, BURST_S = 0.1, 200.0  # of reports by station and origin
FAILED_LOGIN = "FailedLogin"


@dataclass(frozen=True, slots=True)
class RecordedSecurityEvent:
    """`kind` is the type that a station reported, or FailedLogin; `address` is that of a failed login."""

    t: float
    station: str
    kind: str
    text: str
    address: str | None = None


class SecurityEvents:
    """Security events of all stations."""

    def __init__(self, report: Report, clock: Clock) -> None:
        self._report, self._clock = report, clock
        self.recent: deque[RecordedSecurityEvent] = deque(maxlen=MAX_EVENTS)
        self._rate = RateLimiter(RATE_PER_S, BURST_S)
        self._suppressed: Counter[str] = Counter()

    def record(self, station: str, kind: str, text: str, address: str | None = None) -> None:
        """Record an event and report it, if its source has not reported too many."""
        self.recent.append(RecordedSecurityEvent(self._clock.wall(), station, kind, text, address))
        source, now = f"{station} {address}", self._clock.now()
        if not self._rate.allow(source, now):
            if len(self._suppressed) < MAX_EVENTS or source in self._suppressed:
                self._suppressed[source] += 1
            return
        if more := self._suppressed.pop(source, 0):
            text = f"{text} ({more} more were not reported)"
        self._report(SecurityNoticed(station, now, kind, text))
