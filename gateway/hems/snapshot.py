"""State of an EVSE and of its site, read at once from the facade for all properties of a request."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.model.state import EvseState
from gateway.readings import EvseReading, SiteReading
from gateway.service import GatewayService

REUSED_S = 0.2  # a request of many properties reads the state once


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One EVSE with its site."""

    state: EvseState
    reading: EvseReading | None
    site: SiteReading

    @property
    def max_charge_w(self) -> float | None:
        """Highest charging power of station and vehicle."""
        return self._lower("max_charge_w")

    @property
    def max_discharge_w(self) -> float | None:
        """Highest discharging power of station and vehicle."""
        return self._lower("max_discharge_w")

    def _lower(self, name: str) -> float | None:
        limits = (self.state.station_limits, self.state.vehicle_limits)
        known: list[float] = [getattr(one, name) for one in limits if one is not None]
        return min(known, default=None)

    @property
    def voltage_v(self) -> float | None:
        return self.reading.voltage_v if self.reading is not None else None

    def energy_wh(self, from_pct: float, to_pct: float) -> int | None:
        """Return the energy of the battery between two states of charge; None while its capacity is unknown."""
        vehicle = self.state.vehicle
        if vehicle is None or vehicle.capacity_wh is None or vehicle.capacity_assumed:
            return None
        return max(0, round(vehicle.capacity_wh * (to_pct - from_pct) / 100))


class Snapshots:
    """Source of snapshots of one EVSE."""

    def __init__(self, service: GatewayService, evse: str) -> None:
        self._service = service
        self._evse = evse
        self._at = float("-inf")
        self._last: Snapshot | None = None

    def at(self, now: float) -> Snapshot:
        """Return a snapshot that is at most REUSED_S old."""
        if self._last is None or not 0 <= now - self._at < REUSED_S:
            service, evse = self._service, self._evse
            state = service.state(evse) or service.unreported_state(evse)
            self._last, self._at = Snapshot(state, service.reading(evse), service.site_reading()), now
        return self._last

    def expire(self) -> None:
        """Read the state anew next time."""
        self._last = None
