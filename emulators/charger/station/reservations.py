"""Reservations at an emulated station (2.x block H, 1.6 chapter 3.13). Any version.

For reservations without an EVSE the station keeps as many EVSEs free as there are such reservations.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass

from emulators.charger.station.context import StationContext
from emulators.charger.station.evse import EvseState
from emulators.charger.station.ocpp_enums import ConnectorStatus
from emulators.charger.station.store import Saved
from protocols.ocpp.enums import v21

FREE = (ConnectorStatus.available, ConnectorStatus.reserved)
BLOCKED = (ConnectorStatus.faulted, ConnectorStatus.unavailable)


@dataclass(frozen=True, slots=True)
class Reservation:
    """One reservation. `expiry` is Unix time of the station's clock; EVSE 0 is any. Its fields are a stored format."""

    id: int
    token: str
    expiry: float
    evse: int = 0
    group: str | None = None
    made_at: float = 0.0

    def is_for(self, token: str, group: str | None) -> bool:
        """Return True for the token of the reservation and those of its group (H01.FR.19, .20)."""
        return self.token.casefold() == token.casefold() or (
            self.group is not None and group is not None and self.group.casefold() == group.casefold()
        )


class Reservations:
    """All reservations of one station."""

    def __init__(self, context: StationContext) -> None:
        self._context = context
        self._held: dict[int, Reservation] = {}

    def __iter__(self) -> Iterator[Reservation]:
        return iter(list(self._held.values()))

    def at(self, evse: EvseState) -> Reservation | None:
        """Return the reservation of this EVSE."""
        return next((one for one in self._held.values() if one.evse == evse.number), None)

    def reserve(self, new: Reservation) -> str:
        """Add a reservation; return ReserveNowResponse.status. The same id replaces (H01.FR.02)."""
        before = self._held.pop(new.id, None)
        status = self._refusal(new)
        if status is not None:
            if before is not None:
                self._held[before.id] = before
            return status
        self._held[new.id] = new
        if before is not None:
            self._update_status(before)
        self._update_status(new)
        self._context.later(self._expire(new))
        self._context.save("reservations")
        return v21.ReserveNowStatusEnumType.accepted

    def _refusal(self, new: Reservation) -> str | None:
        context = self._context
        evses = [e for e in context.evses.values() if new.evse in (0, e.number)]
        if not evses or new.expiry <= context.wall():
            return v21.ReserveNowStatusEnumType.rejected
        free = [e for e in evses if e.status in FREE and self.at(e) is None]
        if free and len(free) > (self._without_evse() if new.evse == 0 else 0):
            return None
        states = {e.status for e in evses}
        return next((state for state in BLOCKED if states == {state}), v21.ReserveNowStatusEnumType.occupied)

    def _without_evse(self) -> int:
        return sum(1 for one in self._held.values() if one.evse == 0)

    def allows(self, evse: EvseState, token: str, group: str | None) -> bool:
        """Return False where the EVSE is reserved for another token."""
        mine = [one for one in self._held.values() if one.is_for(token, group)]
        held = self.at(evse)
        if held is not None:
            return held in mine
        free = [e for e in self._context.evses.values() if e.transaction is None and e.operative and self.at(e) is None]
        return bool(mine) or len(free) > self._without_evse() or not self._without_evse()

    def use(self, evse: EvseState, token: str, group: str | None) -> Reservation | None:
        """Remove and return the reservation that a new transaction uses."""
        mine = [one for one in self._held.values() if one.is_for(token, group) and one.evse in (0, evse.number)]
        if not mine:
            return None
        used = min(mine, key=lambda one: one.evse == 0)
        del self._held[used.id]
        self._context.save("reservations")
        return used

    def lapse(self, evse: EvseState) -> None:
        """Remove the reservation of an unusable EVSE and notify the CSMS (H01.FR.17, H03)."""
        held = self.at(evse)
        if held is not None and self.cancel(held.id):
            self._context.messages.reservation_ended(held.id, v21.ReservationUpdateStatusEnumType.removed)

    async def _expire(self, held: Reservation) -> None:
        """Remove a reservation at its expiry (H04)."""
        await self._context.clock.sleep(max(0.0, held.expiry - self._context.wall()))
        if self._held.get(held.id) is held and self.cancel(held.id):
            self._context.messages.reservation_ended(held.id, v21.ReservationUpdateStatusEnumType.expired)

    def cancel(self, number: int) -> bool:
        """Remove a reservation (H02); return False if it does not exist."""
        held = self._held.pop(number, None)
        if held is None:
            return False
        self._update_status(held)
        self._context.save("reservations")
        return True

    def _update_status(self, held: Reservation) -> None:
        evse = self._context.evses.get(held.evse)
        if evse is not None and evse.status in FREE:
            self._context.set_status(evse, evse.idle_status(self.at(evse) is not None))

    def saved(self) -> list[Saved]:
        """Return the stored form (B01.FR.13)."""
        return [asdict(one) for one in self._held.values()]

    def restore(self, saved: list[Saved]) -> None:
        """Restore the stored form; reservations that have expired since are notified as Expired."""
        for entry in saved:
            held = Reservation(**entry)
            self._held[held.id] = held
            self._update_status(held)
            self._context.later(self._expire(held))
