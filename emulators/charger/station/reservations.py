"""Reservations at an emulated station (2.x block H, 1.6 chapter 3.13). Any version; the dialect says how one ended.

A reservation without an EVSE is held back from all of them: as many EVSEs stay free as there are such reservations.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from emulators.charger.station.evse import EvseState
    from emulators.charger.station.station import Station

BUSY = ("Faulted", "Unavailable")


@dataclass(frozen=True, slots=True)
class Reservation:
    """One reservation. `expiry` in Unix time of the station's clock; `evse` 0 is any."""

    id: int
    token: str
    expiry: float
    evse: int = 0
    group: str | None = None
    made_at: float = 0.0

    def is_for(self, token: str, group: str | None) -> bool:
        """Whether a token may use it: its own, or one of its group (H01.FR.19, .20)."""
        return self.token.casefold() == token.casefold() or (
            self.group is not None and group is not None and self.group.casefold() == group.casefold()
        )


class Reservations:
    """All of a station."""

    def __init__(self, station: Station) -> None:
        self.station = station
        self._held: dict[int, Reservation] = {}

    def __iter__(self) -> Any:
        return iter(list(self._held.values()))

    def at(self, evse: EvseState) -> Reservation | None:
        """The one of this very EVSE."""
        return next((one for one in self._held.values() if one.evse == evse.number), None)

    def reserve(self, new: Reservation) -> str:
        """ReserveNowResponse.status. The same id replaces (H01.FR.02)."""
        before = self._held.pop(new.id, None)
        status = self._refusal(new)
        if status is not None:
            if before is not None:
                self._held[before.id] = before
            return status
        self._held[new.id] = new
        if before is not None:
            self._show(before)
        self._show(new)
        self.station.later(self._expire(new))
        self.station.save("reservations")
        return "Accepted"

    def _refusal(self, new: Reservation) -> str | None:
        station = self.station
        evses = [e for e in station.evses.values() if new.evse in (0, e.number)]
        if not evses or new.expiry <= station.wall():
            return "Rejected"
        free = [e for e in evses if e.status in ("Available", "Reserved") and self.at(e) is None]
        if free and len(free) > (self._unplaced() if new.evse == 0 else 0):
            return None
        states = {e.status for e in evses}
        return next((state for state in BUSY if states == {state}), "Occupied")

    def _unplaced(self) -> int:
        return sum(1 for one in self._held.values() if one.evse == 0)

    def allows(self, evse: EvseState, token: str, group: str | None) -> bool:
        """Whether a token may begin here: a reservation of another keeps it away."""
        mine = [one for one in self._held.values() if one.is_for(token, group)]
        held = self.at(evse)
        if held is not None:
            return held in mine
        free = [e for e in self.station.evses.values() if e.transaction is None and e.operative and self.at(e) is None]
        return bool(mine) or len(free) > self._unplaced() or not self._unplaced()

    def use(self, evse: EvseState, token: str, group: str | None) -> Reservation | None:
        """The transaction begins: the reservation it uses up."""
        mine = [one for one in self._held.values() if one.is_for(token, group) and one.evse in (0, evse.number)]
        if not mine:
            return None
        used = min(mine, key=lambda one: one.evse == 0)
        del self._held[used.id]
        self.station.save("reservations")
        return used

    def cancel(self, number: int) -> bool:
        """H02."""
        return self._drop(number)

    def lapse(self, evse: EvseState) -> None:
        """The EVSE can't be used any more: its reservation is gone, and the CSMS is told (H01.FR.17, H03)."""
        held = self.at(evse)
        if held is not None and self._drop(held.id):
            self.station.dialect.reservation_ended(held.id, "Removed")

    async def _expire(self, held: Reservation) -> None:
        """H04."""
        await self.station.clock.sleep(max(0.0, held.expiry - self.station.wall()))
        if self._held.get(held.id) is held and self._drop(held.id):
            self.station.dialect.reservation_ended(held.id, "Expired")

    def _drop(self, number: int) -> bool:
        held = self._held.pop(number, None)
        if held is None:
            return False
        self._show(held)
        self.station.save("reservations")
        return True

    def _show(self, held: Reservation) -> None:
        evse = self.station.evses.get(held.evse)
        if evse is not None and evse.status in ("Available", "Reserved"):
            self.station.set_status(evse, evse.idle_status(self.at(evse) is not None))

    def saved(self) -> list[dict[str, Any]]:
        """What is kept over a restart (B01.FR.13)."""
        return [asdict(one) for one in self._held.values()]

    def restore(self, saved: list[dict[str, Any]]) -> None:
        """What was kept; what has run out meanwhile is told as expired."""
        for entry in saved:
            held = Reservation(**entry)
            self._held[held.id] = held
            self._show(held)
            self.station.later(self._expire(held))
