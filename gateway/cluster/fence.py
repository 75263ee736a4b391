"""Fence in front of effects: refuses those of an earlier holder, of a holder that cannot prove its lease, and of an
earlier connection.

It stands where the effect happens, at the instance that has the station's connection. A paused process that continues,
a message that was delayed and a second connection of a station are all refused here, whatever their sender assumes.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum


class Refusal(StrEnum):
    """Reasons why an effect is refused."""

    EARLIER_TERM = "earlier_term"
    LEASE_NOT_PROVED = "lease_not_proved"
    EARLIER_CONNECTION = "earlier_connection"


@dataclass(frozen=True, slots=True)
class Fence:
    """Fence of one instance for the effects of the holders of one site."""

    valid_s: float  # that of `gateway.cluster.lease.Timing`
    term: int = 0  # highest term so far

    def admit(self, term: int, proof: float | None, now: float) -> tuple[Fence, Refusal | None]:
        """Return the next state, and why the effect is refused (None: it may happen now).

        `proof` is a time stamp of this run of this instance, which the holder had received when it sent a renewal that
        succeeded.
        """
        if term < self.term:
            return self, Refusal.EARLIER_TERM
        after = self if term == self.term else replace(self, term=term)
        if proof is None or proof > now or now >= proof + self.valid_s:
            return after, Refusal.LEASE_NOT_PROVED
        return after, None

    def raised(self, term: int) -> Fence:
        """Note a term that was observed."""
        return replace(self, term=max(term, self.term))


class Connections:
    """Connections of stations by epoch: that of a station that connects later is higher, at any instance.

    Kept by the instance that has the connections, and by the holder of the site for those of all instances. A message
    of or to an earlier connection of a station is refused.
    """

    def __init__(self) -> None:
        self._epochs: dict[str, int] = {}
        self._ended: dict[str, int] = {}  # epochs of connections that have ended, until a later one

    def epoch(self, station: str) -> int:
        """Return the epoch of the station's newest known connection, 0 where none is known."""
        return self._epochs.get(station, 0)

    def opened(self, station: str, epoch: int) -> Refusal | None:
        """Note a connection; it is refused where a later one is known."""
        if epoch < self.epoch(station) or epoch <= self._ended.get(station, 0):
            return Refusal.EARLIER_CONNECTION
        self._ended.pop(station, None)
        self._epochs[station] = epoch
        return None

    def closed(self, station: str, epoch: int) -> None:
        """Note the end of a connection, unless a later one is known."""
        if self.epoch(station) <= epoch:
            self._epochs.pop(station, None)
            self._ended[station] = max(epoch, self._ended.get(station, 0))

    def admit(self, station: str, epoch: int) -> Refusal | None:
        """Return why a message of or to a connection is refused."""
        return None if epoch and epoch == self.epoch(station) else Refusal.EARLIER_CONNECTION
