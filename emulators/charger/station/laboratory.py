"""Actions of a laboratory at an emulated station: vehicles, tokens, external control system, grid and mains switch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from emulators.charger.station.ocpp_enums import OperationMode, StopReason
from emulators.charger.station.power_path import CarPowerPath, Needs, PowerPath
from emulators.charger.station.station import Station
from emulators.ev.car import Car, CarSpec
from protocols.ocpp.enums import v21

NOMINAL_V, NOMINAL_HZ = 230.0, 50.0


class Laboratory:
    """Laboratory of one station with cars of one type. EVSEs are numbered from 1; 0 is the station as a whole.

    Raises ValueError for an EVSE that the station does not have, or whose vehicle is not connected by this class.
    """

    def __init__(self, station: Station, power_paths: Sequence[PowerPath], car: CarSpec, soc_pct: float) -> None:
        self.station = station
        self._power_paths, self._car, self._soc_pct = power_paths, car, soc_pct

    async def plug(self, evse: int) -> None:
        """Connect a vehicle; nothing where one is connected."""
        path = self._path(evse)
        if path.car is None:
            self.station.plug_in(evse, self.needs(path, Car(self._car, self._soc_pct)))

    def needs(self, path: CarPowerPath, car: Car) -> Needs:
        """Connect a car to a path and return its charging needs."""
        return path.plug(car, self.station.clock.now())

    async def unplug(self, evse: int) -> None:
        """Disconnect the vehicle; nothing where none is connected."""
        path = self._path(evse)
        if path.car is not None:
            self.station.unplug(evse)
            path.unplug(self.station.clock.now())

    async def present(self, evse: int, token: str) -> None:
        """Present a token at the reader."""
        self._check(evse)
        await self.station.present(evse, token)

    async def power_cycle(self) -> None:
        """Switch the station off and on."""
        await self.station.reboot(v21.BootReasonEnumType.power_up, StopReason.power_loss)

    async def external(
        self,
        evse: int,
        *,
        setpoint_w: float | None = None,
        limit_w: float | None = None,
        duration_s: float | None = None,
    ) -> None:
        """Set the set-point or the limit of the external control system; where it is refused, nothing happens."""
        self._check(evse, whole=True)
        control = self.station.external_control
        if setpoint_w is not None:
            control.setpoint(evse, setpoint_w)
        if limit_w is not None:
            control.limits(evse, limit_w=limit_w, duration=None if duration_s is None else round(duration_s))

    async def external_schedule(self, evse: int, quantity: str, watts: Mapping[int, float]) -> None:
        """Set a schedule of the external control system from now: `limit` or `setpoint`, W by start in s."""
        self._check(evse, whole=True)
        mode = OperationMode.external_limits if quantity == "limit" else OperationMode.external_setpoint
        periods = [{"startPeriod": start, quantity: value} for start, value in watts.items()]
        self.station.external_control.schedule(evse, mode, periods)

    async def grid(
        self, *, frequency_hz: float | None = None, voltage_v: float | None = None, load_w: float | None = None
    ) -> None:
        """Set the frequency or the voltage of the grid, or the reading of the upstream meter."""
        if frequency_hz is not None or voltage_v is not None:
            self.station.measure_grid(voltage_v=voltage_v, frequency_hz=frequency_hz)
        if load_w is not None:
            self.station.measure_load(load_w)

    async def reset(self) -> None:
        """Remove external values, and set the grid to its nominal values."""
        for evse in (0, *self.station.evses):
            self.station.external_control.clear(evse)
        self.station.measure_grid(voltage_v=NOMINAL_V, frequency_hz=NOMINAL_HZ)

    def _path(self, evse: int) -> CarPowerPath:
        self._check(evse)
        path = self._power_paths[evse - 1]
        if not isinstance(path, CarPowerPath):
            raise ValueError(f"vehicles of EVSE {evse} connect over ISO 15118 or CHAdeMO")
        return path

    def _check(self, evse: int, *, whole: bool = False) -> None:
        if evse not in self.station.evses and not (whole and evse == 0):
            raise ValueError(f"the station has no EVSE {evse}")
