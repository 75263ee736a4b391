"""Charging needs of a vehicle: ChargingNeedsType of 2.x as `VehicleNeeds` of the model."""

from __future__ import annotations

from gateway.model.event import PowerLimits, VehicleNeeds
from protocols.ocpp.enums import v21
from protocols.ocpp.schema import Payload
from protocols.ocpp.times import parse

Transfer, Control = v21.EnergyTransferModeEnumType, v21.ControlModeEnumType

# DC_BPT also stands for a CHAdeMO vehicle, for which 2.1 has no mode (our interpretation).
BIDIRECTIONAL = frozenset({Transfer.ac_bpt, Transfer.ac_bpt_der, Transfer.dc_bpt, Transfer.dc_acdp_bpt})
_CONTROL: dict[str, str] = {Control.scheduled_control: "scheduled", Control.dynamic_control: "dynamic"}


def vehicle_needs(needs: Payload) -> VehicleNeeds:
    """Return the needs in the model. Powers there are magnitudes; energy requests are signed Wh."""
    requested = needs["requestedEnergyTransfer"]
    bidirectional = requested in BIDIRECTIONAL
    v2x = needs.get("v2xChargingParameters", {})
    dc, ac = needs.get("dcChargingParameters", {}), needs.get("acChargingParameters", {})
    charge = _phases(v2x, "maxChargePower")
    if charge is None:
        charge = dc.get("evMaxPower", dc.get("evMaxCurrent", 0.0) * dc.get("evMaxVoltage", 0.0))
    if not charge and ac:
        charge = ac["evMaxCurrent"] * ac["evMaxVoltage"]
    limits = PowerLimits(
        max_charge_w=abs(charge or 0.0),
        max_discharge_w=abs(_phases(v2x, "maxDischargePower") or 0.0) if bidirectional else 0.0,
        min_charge_w=abs(_phases(v2x, "minChargePower") or 0.0),
        min_discharge_w=abs(_phases(v2x, "minDischargePower") or 0.0) if bidirectional else 0.0,
    )
    return VehicleNeeds(
        limits=limits,
        bidirectional=bidirectional,
        energy_transfer=requested,
        control_mode=_CONTROL[needs.get("controlMode", Control.scheduled_control)],
        target_energy_wh=v2x.get("evTargetEnergyRequest", dc.get("energyAmount", ac.get("energyAmount"))),
        min_energy_wh=v2x.get("evMinEnergyRequest"),
        max_energy_wh=v2x.get("evMaxEnergyRequest"),
        min_v2x_energy_wh=v2x.get("evMinV2XEnergyRequest"),
        max_v2x_energy_wh=v2x.get("evMaxV2XEnergyRequest"),
        soc_pct=dc.get("stateOfCharge"),
        target_soc_pct=v2x.get("targetSoC", dc.get("fullSoC")),
        departure=parse(needs.get("departureTime")),
        battery_capacity_wh=dc.get("evEnergyCapacity"),
    )


def _phases(values: Payload, name: str) -> float | None:
    """Return a power over all phases: the plain field is L1 where L2 or L3 are given, else the sum."""
    found = [abs(values[key]) for key in (name, f"{name}_L2", f"{name}_L3") if key in values]
    return sum(found) if found else None
