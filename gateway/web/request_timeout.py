"""Time-out of incomplete HTTP requests: a connection that does not complete its request is closed."""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

CHECKED_EVERY_S = 10.0  # a connection without progress since the last check is closed


class RequestTimeoutProtocol(H11Protocol):
    """uvicorn's HTTP/1.1, which by itself waits for the rest of a request without a time-out."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Implement `asyncio.Protocol`."""
        super().connection_made(transport)
        self._incomplete: Any = self  # the incomplete request at the last check; itself: none
        self._check_at = self.loop.call_later(CHECKED_EVERY_S, self._check)

    def connection_lost(self, exc: Exception | None) -> None:
        """Implement `asyncio.Protocol`."""
        self._check_at.cancel()
        super().connection_lost(exc)

    def _check(self) -> None:
        cycle = self.cycle  # of the last request; None before the first
        unfinished = cycle is None or cycle.more_body or cycle.response_complete
        if unfinished and self._incomplete is cycle:
            self.transport.abort()
            return
        self._incomplete = cycle if unfinished else self
        self._check_at = self.loop.call_later(CHECKED_EVERY_S, self._check)
