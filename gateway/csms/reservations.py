"""Reservations as far as we made them or heard of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

ENDED = frozenset({"USED", "CANCELLED", "EXPIRED"})
KEPT = 5_000


@dataclass(slots=True)
class Reservation:
    """One reservation. `expiry` is Unix time."""

    ref: str
    station: str
    id: int
    status: str  # ACCEPTED | USED | CANCELLED | EXPIRED
    expiry: float | None = None


class Reservations:
    """All reservations, oldest first."""

    def __init__(self, changed: Callable[[Reservation], None] | None = None) -> None:
        self._all: dict[str, Reservation] = {}
        self._changed = changed or (lambda _: None)

    def restore(self, reservation: Reservation) -> None:
        """One of an earlier life of the gateway; oldest first."""
        self._all[reservation.ref] = reservation

    def accepted(self, station: str, number: int, expiry: float | None) -> None:
        """The station took a ReserveNow."""
        ref = f"{station}/{number}"
        self._all.pop(ref, None)
        self._all[ref] = Reservation(ref, station, number, "ACCEPTED", expiry)
        self._changed(self._all[ref])
        while len(self._all) > KEPT:
            del self._all[next(iter(self._all))]

    def ended(self, station: str, number: int, status: str) -> None:
        """It was used, cancelled or has expired; a reservation ends once."""
        found = self._all.get(f"{station}/{number}")
        if found is not None and found.status == "ACCEPTED":
            found.status = status
            self._changed(found)

    def get(self, ref: str, wall: float) -> Reservation | None:
        """The reservation of that reference as it stands at a time."""
        found = self._all.get(ref)
        return None if found is None else self._aged(found, wall)

    def of(self, station: str, wall: float) -> list[Reservation]:
        """Those of a station, newest first."""
        return [self._aged(r, wall) for r in reversed(self._all.values()) if r.station == station]

    def _aged(self, reservation: Reservation, wall: float) -> Reservation:
        if reservation.status == "ACCEPTED" and reservation.expiry is not None and reservation.expiry <= wall:
            reservation.status = "EXPIRED"
        return reservation
