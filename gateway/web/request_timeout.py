"""Time-out of HTTP requests: a connection with an unfinished request is closed."""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

CHECKED_EVERY_S = 10.0  # connections without progress since the last check are closed


class PatientProtocol(H11Protocol):
    """uvicorn's HTTP/1.1 protocol with a time-out for the rest of a request."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """See `asyncio.Protocol`."""
        super().connection_made(transport)
        self._seen: Any = self  # unfinished request at the last check
        self._check_at = self.loop.call_later(CHECKED_EVERY_S, self._check)

    def connection_lost(self, exc: Exception | None) -> None:
        """See `asyncio.Protocol`."""
        self._check_at.cancel()
        super().connection_lost(exc)

    def _check(self) -> None:
        cycle = self.cycle  # last request; None before the first
        unfinished = cycle is None or cycle.more_body or cycle.response_complete
        if unfinished and self._seen is cycle:
            self.transport.abort()
            return
        self._seen = cycle if unfinished else self
        self._check_at = self.loop.call_later(CHECKED_EVERY_S, self._check)
