"""Conversion of the two DC charge loop messages to internal values and back, in all four forms of each.

A limit that the message omits keeps the value of charge parameter discovery (`first`), and a stated one can only
tighten that (V2G20-2654/2655). Source: ISO 15118-20, DC_ChargeLoop.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

from protocols.iso15118.iso20.dc import (
    BPT_Dynamic_DC_CLReqControlMode,
    BPT_Dynamic_DC_CLResControlMode,
    BPT_Scheduled_DC_CLReqControlMode,
    BPT_Scheduled_DC_CLResControlMode,
    DC_ChargeLoopReq,
    DC_ChargeLoopRes,
    Dynamic_DC_CLReqControlMode,
    Dynamic_DC_CLResControlMode,
    Scheduled_DC_CLReqControlMode,
    Scheduled_DC_CLResControlMode,
)
from protocols.iso15118.iso20.limits import UNLIMITED, Limits
from protocols.iso15118.iso20.loop import CarReport, StationReport
from protocols.iso15118.iso20.loop_messages import (
    NeedsMode,
    display_message,
    down,
    meter_message,
    needs_fields,
    optional_magnitude,
    optional_number,
    read_display,
    read_meter,
    read_needs,
    scheduled_needs_fields,
    station_needs_fields,
)
from protocols.iso15118.iso20.rational import number, rational, rational_up
from protocols.iso15118.iso20.setpoint import EnergyRequests
from protocols.iso15118.iso20.types import EVSEStatus, MessageHeader, ResponseCode

RequestMode: TypeAlias = Dynamic_DC_CLReqControlMode | Scheduled_DC_CLReqControlMode
ResponseMode: TypeAlias = Dynamic_DC_CLResControlMode | Scheduled_DC_CLResControlMode


def request_mode(limits: Limits, needs: dict[str, Any], *, bpt: bool, dynamic: bool) -> RequestMode:
    """Return the control mode of a request; `needs` are the fields besides the limits."""
    fields = needs | {
        "EVMaximumChargePower": down(limits.max_charge_w),
        "EVMinimumChargePower": rational_up(limits.min_charge_w),
        "EVMaximumChargeCurrent": down(limits.max_charge_a),
        "EVMaximumVoltage": down(limits.max_voltage_v),
        "EVMinimumVoltage": rational_up(limits.min_voltage_v),
    }
    if bpt:
        fields["EVMaximumDischargePower"] = down(limits.max_discharge_w)
        fields["EVMinimumDischargePower"] = rational_up(limits.min_discharge_w)
        fields["EVMaximumDischargeCurrent"] = down(limits.max_discharge_a)
    return _REQUEST_FORMS[bpt, dynamic](**fields)


def request(
    header: MessageHeader,
    report: CarReport,
    *,
    bpt: bool,
    dynamic: bool,
    mode: Callable[..., RequestMode] = request_mode,
) -> DC_ChargeLoopReq:
    """Return the message; `mode` makes its control mode, which changes less often."""
    if dynamic:
        needs = needs_fields(report.needs, report.departure_s, bpt=bpt)
    else:
        needs = scheduled_needs_fields(report.needs)
        needs["EVTargetCurrent"] = rational(report.target_current_a or 0.0)
        needs["EVTargetVoltage"] = rational(report.target_voltage_v or 0.0)
    return DC_ChargeLoopReq(
        Header=header,
        DisplayParameters=display_message(report.display),
        MeterInfoRequested=report.meter_requested,
        EVPresentVoltage=rational(report.present_voltage_v or 0.0),
        CLReqControlMode=mode(report.limits, needs, bpt=bpt, dynamic=dynamic),
    )


def fits_request(message: DC_ChargeLoopReq, *, bpt: bool, dynamic: bool) -> bool:
    """Return True if the control mode has the form required by the chosen service and parameter set."""
    return type(message.CLReqControlMode) is _REQUEST_FORMS[bpt, dynamic]


def request_limits(mode: RequestMode, first: Limits) -> Limits:
    """Return the EV's limits in a control mode of a request."""
    stated = Limits(
        max_charge_w=optional_number(mode.EVMaximumChargePower, UNLIMITED),
        min_charge_w=optional_number(mode.EVMinimumChargePower, 0.0),
        max_charge_a=optional_number(mode.EVMaximumChargeCurrent, UNLIMITED),
        max_voltage_v=optional_number(mode.EVMaximumVoltage, UNLIMITED),
        min_voltage_v=optional_number(mode.EVMinimumVoltage, 0.0),
        max_discharge_w=optional_magnitude(getattr(mode, "EVMaximumDischargePower", None), UNLIMITED),
        min_discharge_w=optional_magnitude(getattr(mode, "EVMinimumDischargePower", None), 0.0),
        max_discharge_a=optional_magnitude(getattr(mode, "EVMaximumDischargeCurrent", None), UNLIMITED),
    )
    return first.narrowed(stated)


def read_request(
    message: DC_ChargeLoopReq,
    first: Limits,
    *,
    limits: Callable[[RequestMode, Limits], Limits] = request_limits,
    needs: Callable[[NeedsMode], EnergyRequests | None] = read_needs,
) -> CarReport:
    """Return the contents of a request; `limits` and `needs` read its control mode, which changes less often."""
    mode: Any = message.CLReqControlMode
    dynamic = isinstance(mode, Dynamic_DC_CLReqControlMode)
    return CarReport(
        limits=limits(mode, first),
        needs=needs(mode),
        departure_s=mode.DepartureTime if dynamic else None,
        present_voltage_v=number(message.EVPresentVoltage),
        target_voltage_v=None if dynamic else number(mode.EVTargetVoltage),
        target_current_a=None if dynamic else number(mode.EVTargetCurrent),
        display=read_display(message.DisplayParameters),
        meter_requested=message.MeterInfoRequested,
    )


def response_mode(limits: Limits, needs: dict[str, Any], *, bpt: bool, dynamic: bool) -> ResponseMode:
    """Return the control mode of a response; `needs` are the fields besides the limits."""
    fields = needs | {
        "EVSEMaximumChargePower": down(limits.max_charge_w),
        "EVSEMinimumChargePower": rational_up(limits.min_charge_w),
        "EVSEMaximumChargeCurrent": down(limits.max_charge_a),
        "EVSEMaximumVoltage": down(limits.max_voltage_v),
    }
    if bpt:
        fields["EVSEMaximumDischargePower"] = down(limits.max_discharge_w)
        fields["EVSEMinimumDischargePower"] = rational_up(limits.min_discharge_w)
        fields["EVSEMaximumDischargeCurrent"] = down(limits.max_discharge_a)
        fields["EVSEMinimumVoltage"] = rational_up(limits.min_voltage_v)
    return _RESPONSE_FORMS[bpt, dynamic](**fields)


def response(
    header: MessageHeader,
    report: StationReport,
    *,
    bpt: bool,
    dynamic: bool,
    code: ResponseCode,
    status: EVSEStatus | None = None,
    mode: Callable[..., ResponseMode] = response_mode,
) -> DC_ChargeLoopRes:
    """Return the message; `mode` makes its control mode, which changes less often."""
    needs = station_needs_fields(report) if dynamic else {}
    return DC_ChargeLoopRes(
        Header=header,
        ResponseCode=code,
        EVSEStatus=status,
        MeterInfo=meter_message(report.meter),
        EVSEPresentCurrent=rational(report.present_current_a or 0.0),
        EVSEPresentVoltage=rational(report.present_voltage_v or 0.0),
        EVSEPowerLimitAchieved=report.power_limited,
        EVSECurrentLimitAchieved=report.current_limited,
        EVSEVoltageLimitAchieved=report.voltage_limited,
        CLResControlMode=mode(report.limits, needs, bpt=bpt, dynamic=dynamic),
    )


def response_limits(mode: ResponseMode, first: Limits) -> Limits:
    """Return the SECC's limits in a control mode of a response."""
    stated = Limits(
        max_charge_w=optional_number(mode.EVSEMaximumChargePower, UNLIMITED),
        min_charge_w=optional_number(mode.EVSEMinimumChargePower, 0.0),
        max_charge_a=optional_number(mode.EVSEMaximumChargeCurrent, UNLIMITED),
        max_voltage_v=optional_number(mode.EVSEMaximumVoltage, UNLIMITED),
        min_voltage_v=optional_number(getattr(mode, "EVSEMinimumVoltage", None), 0.0),
        max_discharge_w=optional_magnitude(getattr(mode, "EVSEMaximumDischargePower", None), UNLIMITED),
        min_discharge_w=optional_magnitude(getattr(mode, "EVSEMinimumDischargePower", None), 0.0),
        max_discharge_a=optional_magnitude(getattr(mode, "EVSEMaximumDischargeCurrent", None), UNLIMITED),
    )
    return first.narrowed(stated)


def read_response(
    message: DC_ChargeLoopRes, first: Limits, *, limits: Callable[[ResponseMode, Limits], Limits] = response_limits
) -> StationReport:
    """Return the contents of a response; `limits` reads its control mode, which changes less often."""
    mode: Any = message.CLResControlMode
    dynamic = isinstance(mode, Dynamic_DC_CLResControlMode)
    return StationReport(
        limits=limits(mode, first),
        present_current_a=number(message.EVSEPresentCurrent),
        present_voltage_v=number(message.EVSEPresentVoltage),
        power_limited=message.EVSEPowerLimitAchieved,
        current_limited=message.EVSECurrentLimitAchieved,
        voltage_limited=message.EVSEVoltageLimitAchieved,
        departure_s=mode.DepartureTime if dynamic else None,
        minimum_soc_pct=mode.MinimumSOC if dynamic else None,
        target_soc_pct=mode.TargetSOC if dynamic else None,
        confirm_within_s=mode.AckMaxDelay if dynamic else None,
        meter=read_meter(message.MeterInfo),
    )


_REQUEST_FORMS: dict[tuple[bool, bool], Callable[..., RequestMode]] = {
    (False, False): Scheduled_DC_CLReqControlMode,
    (True, False): BPT_Scheduled_DC_CLReqControlMode,
    (False, True): Dynamic_DC_CLReqControlMode,
    (True, True): BPT_Dynamic_DC_CLReqControlMode,
}
_RESPONSE_FORMS: dict[tuple[bool, bool], Callable[..., ResponseMode]] = {
    (False, False): Scheduled_DC_CLResControlMode,
    (True, False): BPT_Scheduled_DC_CLResControlMode,
    (False, True): Dynamic_DC_CLResControlMode,
    (True, True): BPT_Dynamic_DC_CLResControlMode,
}
