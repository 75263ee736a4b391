"""Rate of log lines: one source, such as a bad station, writes some lines, and from then on their number.

The source is the logger, the text before its values are inserted, and the first value (a station or an address).
All sources of one text together, and all tracebacks together, have a rate as well.
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable

from gateway.rate_limit import RateLimiter

SOURCE_PER_S, SOURCE_BURST_S = 0.1, 100.0
TEXT_PER_S, TEXT_BURST_S = 2.0, 100.0
TRACEBACK_PER_S, TRACEBACK_BURST_S = 0.1, 100.0
EXEMPT = ("v2x.event", "v2x.setpoint")  # one line for each event of the journal, which is rated
MAX_SOURCES = 10_000


class RatedLog(logging.Filter):
    """Passes records within their rates; the next one of a source has the number of those in between."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._now = now
        self._sources = RateLimiter(SOURCE_PER_S, SOURCE_BURST_S, MAX_SOURCES)
        self._texts = RateLimiter(TEXT_PER_S, TEXT_BURST_S, MAX_SOURCES)
        self._tracebacks = RateLimiter(TRACEBACK_PER_S, TRACEBACK_BURST_S, MAX_SOURCES)
        self._suppressed: Counter[str] = Counter()  # by text

    def filter(self, record: logging.LogRecord) -> bool:
        """Implement `logging.Filter`."""
        if record.name in EXEMPT:
            return True
        now, text = self._now(), f"{record.name} {record.msg}"[:200]
        first = str(record.args[0])[:100] if isinstance(record.args, tuple) and record.args else ""
        if record.exc_info and not self._tracebacks.allow("", now):
            record.exc_info = record.exc_text = None
        if not self._sources.allow(f"{text} {first}", now) or not self._texts.allow(text, now):
            if text in self._suppressed or len(self._suppressed) < MAX_SOURCES:
                self._suppressed[text] += 1
            return False
        if more := self._suppressed.pop(text, 0):
            record.msg, record.args = f"{record.getMessage()} ({more} similar ones were not logged)", ()
        return True
