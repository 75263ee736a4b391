"""Conversion of the limits of DC charge parameter discovery to internal values and back, with and without BPT.

The charge loop is in `dc_loop.py`. Outgoing limits are rounded to the safe side, and discharge limits are read by
magnitude. Source: ISO 15118-20, DC messages.
"""

from __future__ import annotations

from typing import Any

from protocols.iso15118.iso20.dc import (
    BPT_DC_CPDReqEnergyTransferMode,
    BPT_DC_CPDResEnergyTransferMode,
    DC_CPDReqEnergyTransferMode,
    DC_CPDResEnergyTransferMode,
)
from protocols.iso15118.iso20.limits import Limits
from protocols.iso15118.iso20.loop_messages import down
from protocols.iso15118.iso20.rational import magnitude, number, rational, rational_up

DcRequestMode = DC_CPDReqEnergyTransferMode | BPT_DC_CPDReqEnergyTransferMode
DcResponseMode = DC_CPDResEnergyTransferMode | BPT_DC_CPDResEnergyTransferMode


def discovery_request_mode(limits: Limits, *, bpt: bool, target_soc_pct: int | None = None) -> DcRequestMode:
    base: dict[str, Any] = {
        "EVMaximumChargePower": down(limits.max_charge_w),
        "EVMinimumChargePower": rational_up(limits.min_charge_w),
        "EVMaximumChargeCurrent": down(limits.max_charge_a),
        "EVMinimumChargeCurrent": rational_up(limits.min_charge_a),
        "EVMaximumVoltage": down(limits.max_voltage_v),
        "EVMinimumVoltage": rational_up(limits.min_voltage_v),
        "TargetSOC": target_soc_pct,
    }
    if not bpt:
        return DC_CPDReqEnergyTransferMode(**base)
    return BPT_DC_CPDReqEnergyTransferMode(
        **base,
        EVMaximumDischargePower=down(limits.max_discharge_w),
        EVMinimumDischargePower=rational_up(limits.min_discharge_w),
        EVMaximumDischargeCurrent=down(limits.max_discharge_a),
        EVMinimumDischargeCurrent=rational_up(limits.min_discharge_a),
    )


def read_discovery_request_mode(mode: DcRequestMode) -> Limits:
    bpt = mode if isinstance(mode, BPT_DC_CPDReqEnergyTransferMode) else None
    return Limits(
        max_charge_w=number(mode.EVMaximumChargePower),
        min_charge_w=number(mode.EVMinimumChargePower),
        max_charge_a=number(mode.EVMaximumChargeCurrent),
        min_charge_a=number(mode.EVMinimumChargeCurrent),
        max_voltage_v=number(mode.EVMaximumVoltage),
        min_voltage_v=number(mode.EVMinimumVoltage),
        max_discharge_w=magnitude(bpt.EVMaximumDischargePower) if bpt else 0.0,
        min_discharge_w=magnitude(bpt.EVMinimumDischargePower) if bpt else 0.0,
        max_discharge_a=magnitude(bpt.EVMaximumDischargeCurrent) if bpt else 0.0,
        min_discharge_a=magnitude(bpt.EVMinimumDischargeCurrent) if bpt else 0.0,
    )


def discovery_response_mode(limits: Limits, *, bpt: bool, ramp_pct_per_min: float | None = None) -> DcResponseMode:
    base: dict[str, Any] = {
        "EVSEMaximumChargePower": down(limits.max_charge_w),
        "EVSEMinimumChargePower": rational_up(limits.min_charge_w),
        "EVSEMaximumChargeCurrent": down(limits.max_charge_a),
        "EVSEMinimumChargeCurrent": rational_up(limits.min_charge_a),
        "EVSEMaximumVoltage": down(limits.max_voltage_v),
        "EVSEMinimumVoltage": rational_up(limits.min_voltage_v),
        "EVSEPowerRampLimitation": None if ramp_pct_per_min is None else rational(ramp_pct_per_min),
    }
    if not bpt:
        return DC_CPDResEnergyTransferMode(**base)
    return BPT_DC_CPDResEnergyTransferMode(
        **base,
        EVSEMaximumDischargePower=down(limits.max_discharge_w),
        EVSEMinimumDischargePower=rational_up(limits.min_discharge_w),
        EVSEMaximumDischargeCurrent=down(limits.max_discharge_a),
        EVSEMinimumDischargeCurrent=rational_up(limits.min_discharge_a),
    )


def read_discovery_response_mode(mode: DcResponseMode) -> Limits:
    bpt = mode if isinstance(mode, BPT_DC_CPDResEnergyTransferMode) else None
    return Limits(
        max_charge_w=number(mode.EVSEMaximumChargePower),
        min_charge_w=number(mode.EVSEMinimumChargePower),
        max_charge_a=number(mode.EVSEMaximumChargeCurrent),
        min_charge_a=number(mode.EVSEMinimumChargeCurrent),
        max_voltage_v=number(mode.EVSEMaximumVoltage),
        min_voltage_v=number(mode.EVSEMinimumVoltage),
        max_discharge_w=magnitude(bpt.EVSEMaximumDischargePower) if bpt else 0.0,
        min_discharge_w=magnitude(bpt.EVSEMinimumDischargePower) if bpt else 0.0,
        max_discharge_a=magnitude(bpt.EVSEMaximumDischargeCurrent) if bpt else 0.0,
        min_discharge_a=magnitude(bpt.EVSEMinimumDischargeCurrent) if bpt else 0.0,
    )
