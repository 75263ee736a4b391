"""Statements of a vehicle in a session, as the model of the gateway has it. Pure."""

from __future__ import annotations

from math import isfinite

from gateway.drivers.board.ports import MeterReading, Output
from gateway.model.event import Metered, PowerLimits, VehicleNeeds
from protocols.iso15118.iso20.events import NeedsStated
from protocols.iso15118.iso20.loop import CarReport
from protocols.iso15118.iso20.setpoint import EnergyRequests


def needs_of(event: NeedsStated, own: PowerLimits, wall: float, car: CarReport | None) -> VehicleNeeds:
    """Return the needs of the vehicle within the limits of the EVSE; `car`: its last charge loop."""
    ev, choice, display = event.ev, event.choice, None if car is None else car.display
    bidirectional = choice.is_bpt
    needs, transfer = event.needs, choice.service
    return VehicleNeeds(
        limits=PowerLimits(
            max_charge_w=_within(ev.max_charge_w, own.max_charge_w),
            max_discharge_w=_within(ev.max_discharge_w, own.max_discharge_w) if bidirectional else 0.0,
            min_charge_w=ev.min_charge_w,
            min_discharge_w=ev.min_discharge_w if bidirectional else 0.0,
        ),
        bidirectional=bidirectional,
        energy_transfer=transfer.name,
        control_mode="dynamic" if choice.is_dynamic else "scheduled",
        target_energy_wh=None if needs is None else needs.target_wh,
        min_energy_wh=None if needs is None else needs.minimum_wh,
        max_energy_wh=None if needs is None else needs.maximum_wh,
        min_v2x_energy_wh=None if needs is None else needs.minimum_v2x_wh,
        max_v2x_energy_wh=None if needs is None else needs.maximum_v2x_wh,
        soc_pct=None if display is None else display.present_soc_pct,
        target_soc_pct=event.target_soc_pct,
        departure=None if event.departure_s is None else wall + event.departure_s,
        battery_capacity_wh=None if display is None else display.capacity_wh,
    )


def metered(
    evse: str, at: float, wall: float, reading: MeterReading, output: Output | None, car: CarReport | None
) -> Metered:
    """Return the measured values of an EVSE and what its vehicle reported in the last charge loop."""
    display = None if car is None else car.display
    requests: EnergyRequests | None = None if car is None else car.needs
    return Metered(
        evse,
        at,
        wall=wall,
        power_w=reading.power_w + 0.0,
        energy_charged_wh=reading.charged_wh,
        energy_discharged_wh=reading.discharged_wh,
        soc_pct=None if display is None else display.present_soc_pct,
        voltage_v=reading.voltage_v if output is None else output.voltage_v,
        current_a=reading.current_a if output is None else output.current_a + 0.0,
        min_v2x_energy_wh=None if requests is None else requests.minimum_v2x_wh,
        max_v2x_energy_wh=None if requests is None else requests.maximum_v2x_wh,
        min_energy_wh=None if requests is None else requests.minimum_wh,
        target_energy_wh=None if requests is None else requests.target_wh,
    )


def _within(power_w: float, rated_w: float) -> float:
    return min(abs(power_w), rated_w) if isfinite(power_w) else rated_w
