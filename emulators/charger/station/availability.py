"""Operative or not: what a CSMS makes of EVSEs (2.x G03, G04; 1.6 5.2). Any version."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from emulators.charger.station.evse import EvseState
    from emulators.charger.station.station import Station


def change(station: Station, evses: Sequence[EvseState], operative: bool) -> str:
    """Accepted, or Scheduled where a transaction has to end first."""
    waits = False
    for evse in evses:
        if not operative and evse.transaction is not None:
            evse.inoperative_next, waits = True, True
            continue
        evse.operative, evse.inoperative_next = operative, False
        if not operative:
            station.reservations.lapse(evse)
        show(station, evse)
    station.save("availability")
    return "Scheduled" if waits else "Accepted"


def show(station: Station, evse: EvseState) -> None:
    """The status that follows from what an EVSE is."""
    station.set_status(evse, evse.idle_status(station.reservations.at(evse) is not None))


def saved(station: Station) -> list[int]:
    """The EVSEs that are out of order by order of the CSMS; kept over a restart (B01.FR.07)."""
    return [evse.number for evse in station.evses.values() if not evse.operative or evse.inoperative_next]


def restore(station: Station, kept: Sequence[int]) -> None:
    """As it was before the restart."""
    for number in kept:
        evse = station.evses.get(number)
        if evse is not None:
            evse.operative = False
            evse.status = "Unavailable"
