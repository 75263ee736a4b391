"""Charging needs of a vehicle as OCPP 2.0.1 and 2.1 types, and its charging schedule (K15-K17, Q01, Q02)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from emulators.charger.station.power_path import Needs
from emulators.charger.station.smart_charging.schedule import Composite
from protocols.ocpp.schema import Payload
from protocols.ocpp.times import stamp

DC_V, AC_V = 500.0, 230.0  # where the vehicle states no voltage; voltage of a phase


def unidirectional(vehicle: Needs, transfer: str) -> Needs:
    """Return the needs in another energy transfer; without BPT there is no discharging."""
    if "BPT" in transfer:
        return replace(vehicle, energy_transfer=transfer)
    return replace(vehicle, energy_transfer=transfer, max_discharge_w=0.0, min_discharge_w=0.0)


def charging_needs(vehicle: Needs, wall: float) -> Payload:
    """Return ChargingNeedsType of 2.1 with v2xChargingParameters: powers as magnitudes, energies signed."""
    v2x: Payload = {"maxChargePower": vehicle.max_charge_w, "minChargePower": vehicle.min_charge_w}
    if vehicle.bidirectional:
        v2x |= {"maxDischargePower": vehicle.max_discharge_w, "minDischargePower": vehicle.min_discharge_w}
    optional: dict[str, float | None] = {
        "minVoltage": vehicle.min_voltage_v,
        "maxVoltage": vehicle.max_voltage_v,
        "evTargetEnergyRequest": vehicle.target_energy_wh,
        "evMinEnergyRequest": vehicle.min_energy_wh,
        "evMaxEnergyRequest": vehicle.max_energy_wh,
        "evMinV2XEnergyRequest": vehicle.min_v2x_energy_wh if vehicle.bidirectional else None,
        "evMaxV2XEnergyRequest": vehicle.max_v2x_energy_wh if vehicle.bidirectional else None,
    }
    v2x |= {name: round(value, 3) for name, value in optional.items() if value is not None}
    if vehicle.target_soc_pct is not None:
        v2x["targetSoC"] = round(vehicle.target_soc_pct)
    needs: Payload = {
        "requestedEnergyTransfer": vehicle.energy_transfer,
        "availableEnergyTransfer": list(vehicle.available),
        "controlMode": "DynamicControl" if vehicle.dynamic else "ScheduledControl",
        "mobilityNeedsMode": "EVCC",
        "v2xChargingParameters": v2x,
    }
    if vehicle.inverter and "DER" in vehicle.energy_transfer:  # R02.FR.01, R03.FR.01
        needs["derChargingParameters"] = dict(vehicle.inverter)
    if vehicle.departure_in_s is not None:
        needs["departureTime"] = stamp(wall + vehicle.departure_in_s)
    return needs


def charging_needs_201(vehicle: Needs, wall: float) -> Payload:
    """Return ChargingNeedsType of 2.0.1: whole numbers, no discharging (K15.FR.06)."""
    transfer = vehicle.energy_transfer.replace("_BPT", "")
    if transfer.startswith("DC"):
        needs: Payload = {"requestedEnergyTransfer": "DC", "dcChargingParameters": _dc(vehicle)}
    else:
        phases = {"AC_single_phase": 1, "AC_two_phase": 2}.get(transfer, 3)
        mode = "AC_three_phase" if phases == 3 else transfer
        needs = {"requestedEnergyTransfer": mode, "acChargingParameters": _ac(vehicle, phases)}
    if vehicle.departure_in_s is not None:
        needs["departureTime"] = stamp(wall + vehicle.departure_in_s)
    return needs


def _dc(vehicle: Needs) -> Payload:
    volts = vehicle.max_voltage_v or DC_V
    amps = vehicle.max_charge_a or vehicle.max_charge_w / volts
    body: Payload = {
        "evMaxCurrent": round(amps),
        "evMaxVoltage": round(volts),
        "evMaxPower": round(vehicle.max_charge_w),
    }
    optional = {
        "energyAmount": None if vehicle.target_energy_wh is None else max(vehicle.target_energy_wh, 0.0),
        "stateOfCharge": vehicle.soc_pct,
        "evEnergyCapacity": vehicle.capacity_wh,
        "fullSoC": vehicle.target_soc_pct,
    }
    return body | {name: round(value) for name, value in optional.items() if value is not None}


def _ac(vehicle: Needs, phases: int) -> Payload:
    volts = AC_V * phases
    return {
        "energyAmount": round(max(vehicle.target_energy_wh or 0.0, 0.0)),
        "evMinCurrent": round(vehicle.min_charge_w / volts),
        "evMaxCurrent": round(vehicle.max_charge_w / volts),
        "evMaxVoltage": round(AC_V),
    }


def followed(plan: Sequence[tuple[float, Composite]], vehicle: Needs, factor: float, seconds: float) -> list[Payload]:
    """Return the periods that a vehicle follows: the composite schedule within its limits (K15.FR.09, .19)."""
    periods: list[Payload] = []
    for start, composite in plan:
        if round(start) >= seconds:
            break
        ceiling = vehicle.max_charge_w if composite.limit_w is None else composite.limit_w
        limit = round(max(-vehicle.max_discharge_w, min(ceiling, vehicle.max_charge_w)) * factor, 1)
        if not periods or periods[-1]["limit"] != limit:
            periods.append({"startPeriod": round(start), "limit": limit})
    return periods
