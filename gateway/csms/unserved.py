"""Stations that have connected and wait for their first response: their number at a port is limited.

After an outage of the network all stations connect at once. Where the gateway accepts more than it can serve within
their time-outs they give up and begin anew, and none is ever served. Beyond the limit a handshake is rejected instead
(503 with Retry-After), before the costs of authentication, and the others are served.

The limit follows from how long they wait: it falls while first responses take longer than `WITHIN_S`, whatever part of
the gateway, of the cluster or of the machine is slow, and rises again while they do not. Queues stay short, so that
commands do not wait behind them, and a storm takes as long as it needs.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager

from gateway.csms.rated_connection import RatedConnection

QUIET_S = 2.0  # a station that has sent nothing by then has no need of a response
LATE_S = 15.0  # without a response: others have their turn
URGENT_SHARE = 2.0  # of the limit for stations with a transaction
RETRY_AFTER_S = 10
WITHIN_S = 1.0  # a first response that takes longer lowers the limit
LEAST = 10  # that are accepted in any case
FALL, RISE = 0.5, 0.2  # share that remains, once in the time of one response; stations more for each one in time


class AdmissionLimit:
    """How many stations may wait for their first response; times are those of one clock, in s."""

    def __init__(self, most: int) -> None:
        self._most, self._least = float(most), float(min(most, LEAST))
        self.number = self._most
        self._fell_at = float("-inf")

    def answered(self, asked: float, now: float) -> None:
        """Note a first response to what was received at `asked`, or that none came."""
        if now - asked <= WITHIN_S:
            self.number = min(self._most, self.number + RISE)
        elif asked >= self._fell_at:  # it was received after the limit fell: that was not enough
            self.number, self._fell_at = max(self._least, self.number * FALL), now


class Unserved:
    """Stations without their first response at one port. Each counts once, however often it connects."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._connections: Counter[Hashable] = Counter()  # by station
        self._limit = AdmissionLimit(most)

    def full(self, urgent: Callable[[], bool]) -> bool:
        """Return whether no further station is accepted; `urgent` tells whether it has a transaction."""
        number = len(self._connections)
        return number >= self._limit.number and (number >= self._most * URGENT_SHARE or not urgent())

    @contextmanager
    def admitting(self, station: Hashable) -> Iterator[None]:
        """Count a station while its handshake is processed."""
        self._connections[station] += 1
        try:
            yield
        finally:
            self._remove(station)

    @contextmanager
    def count(self, station: Hashable, connection: RatedConnection) -> Iterator[None]:
        """Count a station from the end of its handshake until it is served, or its connection ends."""

        def leave(asked: float | None, now: float) -> None:
            self._remove(station)
            if asked is not None:
                self._limit.answered(asked, now)

        self._connections[station] += 1
        waiting = _Waiting(connection, leave)
        try:
            yield
        finally:
            waiting.leave()

    def _remove(self, station: Hashable) -> None:
        self._connections[station] -= 1
        if not self._connections[station]:
            del self._connections[station]


class _Waiting:
    """One station that is counted."""

    def __init__(self, connection: RatedConnection, leave: Callable[[float | None, float], None]) -> None:
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
            self._leave(self._connection.asked_at, self._connection.loop.time())
            self._connection.on_response(None)
            self._timer.cancel()
