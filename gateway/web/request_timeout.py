"""How long a client may take to say its request: a connection that says half of one for ever is closed."""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

CHECKED_EVERY_S = 10.0  # and whoever has said no more than at the check before is closed


class PatientProtocol(H11Protocol):
    """uvicorn's HTTP/1.1, which itself waits without end for the rest of a request."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """See `asyncio.Protocol`."""
        super().connection_made(transport)
        self._seen: Any = self  # what was unfinished at the last check; nothing yet
        self._check_at = self.loop.call_later(CHECKED_EVERY_S, self._check)

    def connection_lost(self, exc: Exception | None) -> None:
        """See `asyncio.Protocol`."""
        self._check_at.cancel()
        super().connection_lost(exc)

    def _check(self) -> None:
        cycle = self.cycle  # of the request that was said last; None before the first
        unfinished = cycle is None or cycle.more_body or cycle.response_complete
        if unfinished and self._seen is cycle:
            self.transport.abort()
            return
        self._seen = cycle if unfinished else self
        self._check_at = self.loop.call_later(CHECKED_EVERY_S, self._check)
