"""Stations that have connected and wait for their first response: their number at a port is limited.

After an outage of the network all stations connect at once. Where the gateway accepts more than it can serve within
their time-outs they give up and begin anew, and none is ever served. Beyond the limit a handshake is rejected instead
(503 with Retry-After), before the costs of authentication, and the others are served.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from gateway.csms.rated_connection import RatedConnection

QUIET_S = 2.0  # a station that has sent nothing by then has no need of a response
LATE_S = 15.0  # without a response: others have their turn
URGENT_SHARE = 2.0  # of the limit for stations with a transaction
RETRY_AFTER_S = 10


class Unserved:
    """Stations without their first response at one port."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._number = 0

    def full(self, urgent: Callable[[], bool]) -> bool:
        """Return whether no further station is accepted; `urgent` tells whether it has a transaction."""
        return self._number >= self._most and (self._number >= self._most * URGENT_SHARE or not urgent())

    @contextmanager
    def count(self, connection: RatedConnection) -> Iterator[None]:
        """Count a station from the end of its handshake until it is served, or its connection ends."""
        self._number += 1
        waiting = _Waiting(connection, self._leave)
        try:
            yield
        finally:
            waiting.leave()

    def _leave(self) -> None:
        self._number -= 1


class _Waiting:
    """One station that is counted."""

    def __init__(self, connection: RatedConnection, leave: Callable[[], None]) -> None:
        self._connection, self._leave, self._counted = connection, leave, True
        self._timer = connection.loop.call_later(QUIET_S, self._check)
        connection.on_response(self.leave)

    def _check(self) -> None:
        if self._connection.waits_for_response:
            self._timer = self._connection.loop.call_later(LATE_S - QUIET_S, self.leave)
        else:
            self.leave()

    def leave(self) -> None:
        """Count it no longer."""
        if self._counted:
            self._counted = False
            self._leave()
            self._connection.on_response(None)
            self._timer.cancel()
