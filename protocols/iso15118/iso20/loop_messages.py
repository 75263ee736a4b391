"""Conversion of the parts that AC and DC charge loop messages share: needs, display, meter.

Units on the wire are W, Wh, A, V, %, s, and are implied by the field. Source: ISO 15118-20, charge loop base types.
"""

from __future__ import annotations

from typing import Any, TypeAlias

from protocols.iso15118.iso20.common import Dynamic_SEReqControlMode, Scheduled_SEReqControlMode
from protocols.iso15118.iso20.loop import Display, Meter, StationReport
from protocols.iso15118.iso20.rational import magnitude, number, rational, rational_down
from protocols.iso15118.iso20.setpoint import EnergyRequests
from protocols.iso15118.iso20.types import (
    DisplayParameters,
    Dynamic_CLReqControlMode,
    MeterInfo,
    RationalNumber,
    Scheduled_CLReqControlMode,
)

LARGEST = 1e6  # W, A or V: "unlimited" where a message cannot omit the limit
LONGEST = 2**32 - 1  # s


def down(limit: float) -> RationalNumber:
    """Return a maximum for the wire, never rounded up."""
    return rational_down(min(limit, LARGEST))


def optional_number(value: RationalNumber | None, otherwise: float) -> float:
    return otherwise if value is None else number(value)


def optional_magnitude(value: RationalNumber | None, otherwise: float) -> float:
    return otherwise if value is None else magnitude(value)


def seconds(value: float | None) -> int | None:
    return None if value is None else int(min(max(value, 0.0), LONGEST))


def needs_fields(needs: EnergyRequests | None, departure_s: float | None, *, bpt: bool) -> dict[str, Any]:
    """Return the needs of a dynamic loop request."""
    stated = needs or EnergyRequests(target_wh=0.0, maximum_wh=0.0, minimum_wh=0.0)
    fields: dict[str, Any] = {
        "DepartureTime": seconds(departure_s),
        "EVTargetEnergyRequest": rational(stated.target_wh),
        "EVMaximumEnergyRequest": rational(stated.maximum_wh),
        "EVMinimumEnergyRequest": rational(stated.minimum_wh),
    }
    if bpt and stated.maximum_v2x_wh is not None and stated.minimum_v2x_wh is not None:
        fields["EVMaximumV2XEnergyRequest"] = rational(stated.maximum_v2x_wh)
        fields["EVMinimumV2XEnergyRequest"] = rational(stated.minimum_v2x_wh)
    return fields


def scheduled_needs_fields(needs: EnergyRequests | None) -> dict[str, Any]:
    """Return the needs of a scheduled loop request: all three or none."""
    if needs is None:
        return {}
    return {
        "EVTargetEnergyRequest": rational(needs.target_wh),
        "EVMaximumEnergyRequest": rational(needs.maximum_wh),
        "EVMinimumEnergyRequest": rational(needs.minimum_wh),
    }


NeedsMode: TypeAlias = (
    Dynamic_CLReqControlMode | Scheduled_CLReqControlMode | Dynamic_SEReqControlMode | Scheduled_SEReqControlMode
)


def read_needs(mode: NeedsMode) -> EnergyRequests | None:
    """Return the energy requests of a control mode; None if it omits them. An incomplete V2X window counts as none."""
    target, most, least = mode.EVTargetEnergyRequest, mode.EVMaximumEnergyRequest, mode.EVMinimumEnergyRequest
    if target is None or most is None or least is None:
        return None
    most_v2x = getattr(mode, "EVMaximumV2XEnergyRequest", None)
    least_v2x = getattr(mode, "EVMinimumV2XEnergyRequest", None)
    if most_v2x is None or least_v2x is None:
        most_v2x = least_v2x = None
    return EnergyRequests(
        target_wh=number(target),
        maximum_wh=number(most),
        minimum_wh=number(least),
        maximum_v2x_wh=None if most_v2x is None else number(most_v2x),
        minimum_v2x_wh=None if least_v2x is None else number(least_v2x),
    )


def display_message(display: Display | None) -> DisplayParameters | None:
    if display is None:
        return None
    return DisplayParameters(
        PresentSOC=_percent(display.present_soc_pct),
        MinimumSOC=_percent(display.minimum_soc_pct),
        TargetSOC=_percent(display.target_soc_pct),
        MaximumSOC=_percent(display.maximum_soc_pct),
        RemainingTimeToMinimumSOC=seconds(display.to_minimum_s),
        RemainingTimeToTargetSOC=seconds(display.to_target_s),
        RemainingTimeToMaximumSOC=seconds(display.to_maximum_s),
        ChargingComplete=display.complete,
        BatteryEnergyCapacity=None if display.capacity_wh is None else rational(display.capacity_wh),
        InletHot=display.inlet_hot,
    )


def read_display(message: DisplayParameters | None) -> Display | None:
    if message is None:
        return None
    return Display(
        present_soc_pct=message.PresentSOC,
        minimum_soc_pct=message.MinimumSOC,
        target_soc_pct=message.TargetSOC,
        maximum_soc_pct=message.MaximumSOC,
        to_minimum_s=message.RemainingTimeToMinimumSOC,
        to_target_s=message.RemainingTimeToTargetSOC,
        to_maximum_s=message.RemainingTimeToMaximumSOC,
        complete=bool(message.ChargingComplete),
        capacity_wh=None if message.BatteryEnergyCapacity is None else number(message.BatteryEnergyCapacity),
        inlet_hot=message.InletHot,
    )


def meter_message(meter: Meter | None) -> MeterInfo | None:
    if meter is None:
        return None
    return MeterInfo(
        MeterID=meter.meter_id,
        ChargedEnergyReadingWh=int(meter.charged_wh),
        BPT_DischargedEnergyReadingWh=int(meter.discharged_wh),
        MeterTimestamp=meter.timestamp_s,
    )


def read_meter(message: MeterInfo | None) -> Meter | None:
    if message is None:
        return None
    return Meter(
        meter_id=message.MeterID,
        charged_wh=float(message.ChargedEnergyReadingWh),
        discharged_wh=float(message.BPT_DischargedEnergyReadingWh or 0),
        timestamp_s=message.MeterTimestamp,
    )


def station_needs_fields(report: StationReport) -> dict[str, Any]:
    """Return the driver's needs that a SECC states in MobilityNeedsMode 2; empty in mode 1."""
    return {
        "DepartureTime": seconds(report.departure_s),
        "MinimumSOC": report.minimum_soc_pct,
        "TargetSOC": report.target_soc_pct,
        "AckMaxDelay": report.confirm_within_s,
    }


def _percent(value: float | None) -> int | None:
    return None if value is None else int(min(max(value, 0.0), 100.0))
