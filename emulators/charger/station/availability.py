"""Operative state of the EVSEs of an emulated station (2.x G03, G04; 1.6 5.2). Any version."""

from __future__ import annotations

from collections.abc import Sequence

from emulators.charger.station.context import StationContext
from emulators.charger.station.evse import EvseState
from emulators.charger.station.ocpp_enums import ConnectorStatus
from emulators.charger.station.reservations import Reservations
from protocols.ocpp.enums import v21


class Availability:
    """Changes of the operative state, and the connector status that follows."""

    def __init__(self, context: StationContext, reservations: Reservations) -> None:
        self._context, self._reservations = context, reservations
        self.operative = True  # the station as a whole; each EVSE has a state of its own
        self.fault: str | None = None  # of the station as a whole
        self.scheduled_resets: set[int] = set()  # EVSEs that reset once idle; 0 is the station
        self._station_status = ConnectorStatus.available

    def change(self, evses: Sequence[EvseState], operative: bool, *, whole_station: bool = False) -> str:
        """Set EVSEs operative or inoperative. Return Accepted, or Scheduled where a transaction has to end first."""
        scheduled = False
        if whole_station:
            self.operative = operative
        for evse in evses:
            if not operative and evse.transaction is not None:
                evse.inoperative_next, scheduled = True, True
                continue
            evse.operative, evse.inoperative_next = operative, False
            if not operative:
                self._reservations.lapse(evse)
            self.update_status(evse)
        self._context.save("availability")
        statuses = v21.ChangeAvailabilityStatusEnumType
        return statuses.scheduled if scheduled else statuses.accepted

    def update_status(self, evse: EvseState) -> None:
        """Set the connector status that follows from the state of the EVSE."""
        self._context.set_status(evse, evse.idle_status(self._reservations.at(evse) is not None))
        if self.station_status != self._station_status:
            self._station_status = self.station_status
            self._context.station_status_changed()

    @property
    def station_status(self) -> ConnectorStatus:
        """Status of the station as a whole: Available, Unavailable once no transaction runs any more, or Faulted."""
        if self.fault is not None:
            return ConnectorStatus.faulted
        waits = any(evse.inoperative_next for evse in self._context.evses.values())
        return ConnectorStatus.available if self.operative or waits else ConnectorStatus.unavailable

    def schedule_reset(self, evses: Sequence[EvseState], number: int) -> bool:
        """Block EVSEs for a reset once idle, 0 for the station; return False if that reset is already scheduled."""
        new = number not in self.scheduled_resets
        self.scheduled_resets.add(number)
        self.set_resetting(evses, True)
        return new

    def reset_done(self, evses: Sequence[EvseState], number: int) -> None:
        """Release EVSEs after a reset, which also fulfils a scheduled one."""
        self.scheduled_resets.discard(number)
        self.set_resetting(evses, 0 in self.scheduled_resets)

    def set_resetting(self, evses: Sequence[EvseState], resetting: bool) -> None:
        """Block or release EVSEs for a reset or a firmware installation."""
        for evse in evses:
            evse.resetting = resetting
            self.update_status(evse)

    async def wait_until_idle(self, evses: Sequence[EvseState]) -> None:
        """Wait for the end of the running transactions."""
        while any(e.transaction is not None for e in evses):
            await self._context.clock.sleep(1.0)

    def saved(self) -> list[int]:
        """Return the EVSEs that the CSMS has set inoperative, and 0 for the station, in stored form (B01.FR.07)."""
        numbers = [e.number for e in self._context.evses.values() if not e.operative or e.inoperative_next]
        return numbers if self.operative else [0, *numbers]

    def restore(self, saved: Sequence[int]) -> None:
        """Restore the stored form."""
        self.operative = 0 not in saved
        self._station_status = self.station_status
        for number in saved:
            evse = self._context.evses.get(number)
            if evse is not None:
                evse.operative = False
                evse.status = ConnectorStatus.unavailable
