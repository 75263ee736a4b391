"""Reservations that were made through the gateway or reported by stations."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

MAX_RESERVATIONS = 5_000


class ReservationStatus(StrEnum):
    """Status of a reservation in the admin API and in the store."""

    ACCEPTED = "ACCEPTED"
    USED = "USED"
    CANCELLED = "CANCELLED"
    EXPIRED = "EXPIRED"


@dataclass(slots=True)
class Reservation:
    """One reservation. `expiry` is Unix time."""

    ref: str
    station: str
    id: int
    status: ReservationStatus
    expiry: float | None = None
    id_token: str | None = None
    evse: int | None = None  # None: of any EVSE
    connector: int | None = None  # 1.6
    connector_type: str | None = None


class Reservations:
    """All reservations, oldest first."""

    def __init__(self, changed: Callable[[Reservation], None]) -> None:
        self._all: dict[str, Reservation] = {}
        self._changed = changed

    def restore(self, reservation: Reservation) -> None:
        """Add a stored reservation; oldest first."""
        self._all[reservation.ref] = reservation

    def accepted(self, reservation: Reservation) -> None:
        """Record a ReserveNow that the station accepted; it replaces one with the same id."""
        self._all.pop(reservation.ref, None)
        self._all[reservation.ref] = reservation
        self._changed(reservation)
        while len(self._all) > MAX_RESERVATIONS:
            del self._all[next(iter(self._all))]

    def ended(self, station: str, number: int, status: ReservationStatus) -> None:
        """Record that it was used, cancelled or has expired; a reservation ends once."""
        found = self._all.get(f"{station}/{number}")
        if found is not None and found.status is ReservationStatus.ACCEPTED:
            found.status = status
            self._changed(found)

    def get(self, ref: str, wall: float) -> Reservation | None:
        """Return the reservation with that reference, with its status at a time."""
        found = self._all.get(ref)
        return None if found is None else self._expire(found, wall)

    def of(self, station: str | None, wall: float) -> list[Reservation]:
        """Return the reservations of a station, or of all stations, newest first."""
        return [self._expire(r, wall) for r in reversed(self._all.values()) if station in (None, r.station)]

    def _expire(self, reservation: Reservation, wall: float) -> Reservation:
        expired = reservation.expiry is not None and reservation.expiry <= wall
        if reservation.status is ReservationStatus.ACCEPTED and expired:
            reservation.status = ReservationStatus.EXPIRED
        return reservation
