"""Power path from an EVSE of the emulated station to a vehicle: directly to an emulated car, or through an SECC.

The station sets a signed power and reads measurements. `CarPowerPath` is the direct one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Any, Protocol

from emulators.charger.hardware.power_stage import Bounds, PowerStage
from emulators.ev.car import Car
from protocols.frozen import frozen
from protocols.iso15118.iso20.limits import Limits
from protocols.iso15118.iso20.setpoint import EnergyRequests
from protocols.ocpp.enums import v21

Transfer = v21.EnergyTransferModeEnumType


@frozen
class ConnectedEv:
    """Statements of a vehicle about itself, for the component ConnectedEV of OCPP 2.1.

    `values` has further variables: name, attribute (Actual, Target, MinSet, MaxSet) and value in the unit of OCPP.
    """

    agreed: str = "urn:iso:std:iso:15118:-20:DC,1,0"  # ProtocolAgreed
    supported: tuple[str, ...] = ()  # ProtocolSupportedByEV
    values: tuple[tuple[str, str, float], ...] = ()


@frozen
class Needs:
    """Charging needs of a vehicle within the limits of the EVSE. Powers are magnitudes in W, energies signed Wh."""

    max_charge_w: float
    max_discharge_w: float = 0.0
    min_charge_w: float = 0.0
    min_discharge_w: float = 0.0
    energy_transfer: str = Transfer.dc_bpt
    available: tuple[str, ...] = (Transfer.dc_bpt, Transfer.dc)
    dynamic: bool = True
    vehicle: str | None = None  # EVCCID
    requested_by_station: bool = False  # repeated at the station's request, not because the needs changed
    max_charge_a: float | None = None
    min_voltage_v: float | None = None
    max_voltage_v: float | None = None
    target_energy_wh: float | None = None
    min_energy_wh: float | None = None
    max_energy_wh: float | None = None
    min_v2x_energy_wh: float | None = None
    max_v2x_energy_wh: float | None = None
    soc_pct: float | None = None
    target_soc_pct: float | None = None
    capacity_wh: float | None = None
    departure_in_s: float | None = None
    connected_ev: ConnectedEv = ConnectedEv()
    inverter: Mapping[str, object] = field(default_factory=dict)  # of an EV with DER functions: derChargingParameters

    @property
    def bidirectional(self) -> bool:
        """True if the energy transfer includes discharging."""
        return "BPT" in self.energy_transfer


@frozen
class Reading:
    """Measurements of the EVSE and values stated by the vehicle; + into the vehicle."""

    power_w: float
    charged_wh: float
    discharged_wh: float
    voltage_v: float | None = None
    current_a: float | None = None
    soc_pct: float | None = None
    min_energy_wh: float | None = None
    target_energy_wh: float | None = None
    max_energy_wh: float | None = None
    min_v2x_energy_wh: float | None = None
    max_v2x_energy_wh: float | None = None


class VehicleEvents(Protocol):
    """Station as a power path sees it: what a vehicle does at one of its EVSEs."""

    def arrive(self, number: int) -> None:
        """A vehicle is connected, its needs are not known yet."""

    def plug_in(self, number: int, needs: Needs) -> None:
        """The vehicle has stated its needs."""

    def leave(self, number: int, in_order: bool) -> None:
        """The session of the vehicle has ended."""

    def unplug(self, number: int) -> None:
        """The vehicle is disconnected."""

    def fault(self, number: int, code: str | None) -> None:
        """The EVSE has a fault, or none any more."""

    def wake(self) -> None:
        """Power or measurements have changed."""


class PowerPath(Protocol):
    """Power path of one EVSE, with or without a vehicle. `stage` is its converter with the meter.

    `station` is the one that it is built into, which attaches itself, and `number` that of the EVSE there.
    """

    stage: PowerStage
    station: VehicleEvents | None = None
    number: int = 0

    @property
    def max_charge_w(self) -> float:
        """Rated charging power, magnitude."""
        return self.stage.spec.max_charge_w

    @property
    def max_discharge_w(self) -> float:
        """Rated discharging power, magnitude; 0 if unidirectional."""
        return self.stage.spec.max_discharge_w

    @property
    def plugged(self) -> bool:
        """True while a cable connects a vehicle, whose session may have ended (control pilot); False if unknown."""
        return False

    def attach(self, station: VehicleEvents, number: int) -> None:
        """Report vehicles at this EVSE to its station."""
        self.station, self.number = station, number

    def set_power(self, power_w: float, now: float) -> None:
        """Set the power at the AC side, within limits and ramps; 0 keeps the session."""

    def reading(self, now: float) -> Reading:
        """Return the measurements."""

    def open(self, now: float) -> None:
        """Close the contactors: energy may flow."""

    def close(self, now: float) -> None:
        """Stop the power and open the contactors."""

    def renegotiate(self) -> bool:
        """Request a new service selection from the vehicle; return False if the station can select it directly."""

    def wake_vehicle(self) -> None:
        """Request a new session of a vehicle that is still plugged in, by the control pilot."""


class CarPowerPath(PowerPath):
    """Power stage with an emulated car, without a protocol between them: who plugs the car in reports it."""

    def __init__(self, stage: PowerStage) -> None:
        self.stage = stage
        self.car: Car | None = None
        self._limits: Limits | None = None  # of the car, as `_bounds` has them
        self._bounds = Bounds()

    def plug(self, car: Car, now: float) -> Needs:
        """Connect a car; return its charging needs."""
        self.car = car
        car.plug()
        car.couple(self.stage.advance)
        self.stage.connect(car)
        return self.needs(now)

    def needs(self, now: float) -> Needs:
        """Return the charging needs of the car within the limits of the power stage."""
        assert self.car is not None
        car, limits = self.car, self.car.limits()
        # V2H of CHAdeMO needs no service of its own
        capable = "dc_bpt" in car.spec.services or "chademo" in car.spec.protocols
        bidirectional = capable and car.spec.max_discharge_w > 0 and self.max_discharge_w > 0
        return Needs(
            max_charge_w=min(limits.max_charge_w, self.max_charge_w),
            max_discharge_w=min(limits.max_discharge_w, self.max_discharge_w) if bidirectional else 0.0,
            min_charge_w=limits.min_charge_w,
            min_discharge_w=limits.min_discharge_w if bidirectional else 0.0,
            energy_transfer=Transfer.dc_bpt if bidirectional else Transfer.dc,
            available=(Transfer.dc_bpt, Transfer.dc) if bidirectional else (Transfer.dc,),
            vehicle=car.spec.evcc_id,
            max_charge_a=limits.max_charge_a,
            min_voltage_v=limits.min_voltage_v,
            max_voltage_v=limits.max_voltage_v,
            soc_pct=car.reported_soc_pct,
            target_soc_pct=car.target_soc_pct,
            departure_in_s=car.departure_in_s(now),
            connected_ev=ConnectedEv("CHAdeMO,2") if car.spec.protocols[0] == "chademo" else ConnectedEv(),
            **energies(car.energy()),
        )

    def set_power(self, power_w: float, now: float) -> None:
        self._apply_car_limits(now)
        self.stage.set_point(power_w, now)

    def _apply_car_limits(self, now: float) -> None:
        if self.car is not None:
            limits = self.car.limits()
            if limits is not self._limits:
                self._limits = limits
                self._bounds = Bounds(
                    limits.max_charge_a, limits.max_discharge_a, limits.max_charge_w, limits.max_discharge_w
                )
            self.stage.limit(self._bounds, now)

    def reading(self, now: float) -> Reading:
        self._apply_car_limits(now)
        measured = self.stage.reading(now)
        meter, car = self.stage.meter, self.car
        power_w = meter.shows_w(measured.ac_power_w) if abs(measured.ac_power_w) > 0 else 0.0
        if car is None:
            return Reading(power_w, meter.charged_wh, meter.discharged_wh, current_a=measured.current_a)
        car.check_current(measured.current_a)
        requests = car.energy()
        return Reading(
            power_w,
            meter.charged_wh,
            meter.discharged_wh,
            measured.voltage_v,
            measured.current_a,
            car.reported_soc_pct,
            requests.minimum_wh,
            requests.target_wh,
            requests.maximum_wh,
            requests.minimum_v2x_wh,
            requests.maximum_v2x_wh,
        )

    def open(self, now: float) -> None:
        if self.car is not None:
            self.car.contactors_closed = True
            self.stage.precharge(self.car.voltage_v)
            self.stage.close(now)

    def close(self, now: float) -> None:
        self.stage.set_point(0.0, now)
        self.stage.open(now)
        if self.car is not None:
            self.car.contactors_closed = False

    def renegotiate(self) -> bool:
        return False

    def wake_vehicle(self) -> None:
        """Without vehicle communication there is no session to begin."""

    def unplug(self, now: float) -> None:
        """Disconnect the car."""
        self.close(now)
        self.stage.disconnect()
        self.car = None


def energies(requests: EnergyRequests | None) -> dict[str, Any]:
    """Return energy requests as arguments of `Needs` and `Reading`."""
    if requests is None:
        return {}
    return {
        "target_energy_wh": requests.target_wh,
        "min_energy_wh": requests.minimum_wh,
        "max_energy_wh": requests.maximum_wh,
        "min_v2x_energy_wh": requests.minimum_v2x_wh,
        "max_v2x_energy_wh": requests.maximum_v2x_wh,
    }
