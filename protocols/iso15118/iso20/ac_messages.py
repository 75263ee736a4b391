"""Conversion of AC parameters between messages and internal values: discovery and charge loop, with and without BPT.

Power is a total internally; on the wire it is stated by phase as the EV does (`phases.py`). A limit that a loop message
omits keeps the value of charge parameter discovery, and a stated one can only tighten that (V2G20-2654/2655). Source:
ISO 15118-20, AC messages.
"""

from __future__ import annotations

from typing import Any

from protocols.iso15118.iso20.ac import (
    AC_ChargeLoopReq,
    AC_ChargeLoopRes,
    AC_CPDReqEnergyTransferMode,
    AC_CPDResEnergyTransferMode,
    BPT_AC_CPDReqEnergyTransferMode,
    BPT_AC_CPDResEnergyTransferMode,
    BPT_Dynamic_AC_CLReqControlMode,
    BPT_Dynamic_AC_CLResControlMode,
    BPT_Scheduled_AC_CLReqControlMode,
    BPT_Scheduled_AC_CLResControlMode,
    Dynamic_AC_CLReqControlMode,
    Dynamic_AC_CLResControlMode,
    Scheduled_AC_CLReqControlMode,
    Scheduled_AC_CLResControlMode,
)
from protocols.iso15118.iso20.limits import UNLIMITED, Limits
from protocols.iso15118.iso20.loop import CarReport, StationReport
from protocols.iso15118.iso20.loop_messages import (
    display_message,
    down,
    meter_message,
    needs_fields,
    read_display,
    read_meter,
    read_needs,
    scheduled_needs_fields,
    station_needs_fields,
)
from protocols.iso15118.iso20.phases import largest_total, phase_fields, phase_values, smallest_total, total
from protocols.iso15118.iso20.rational import number, rational, rational_up
from protocols.iso15118.iso20.types import EVSEStatus, MessageHeader, ResponseCode

AcRequestMode = AC_CPDReqEnergyTransferMode | BPT_AC_CPDReqEnergyTransferMode
AcResponseMode = AC_CPDResEnergyTransferMode | BPT_AC_CPDResEnergyTransferMode


def discovery_request_mode(limits: Limits, *, bpt: bool) -> AcRequestMode:
    fields = _limit_fields("EV", limits, bpt=bpt)
    return (BPT_AC_CPDReqEnergyTransferMode if bpt else AC_CPDReqEnergyTransferMode)(**fields)


def read_discovery_request_mode(mode: AcRequestMode) -> Limits:
    return _read_limits("EV", mode, isinstance(mode, BPT_AC_CPDReqEnergyTransferMode), 0.0)


def discovery_response_mode(
    limits: Limits,
    *,
    bpt: bool,
    frequency_hz: float,
    present_power_w: float | None = None,
    ramp_pct_per_min: float | None = None,
) -> AcResponseMode:
    fields: dict[str, Any] = dict(_limit_fields("EVSE", limits, bpt=bpt))
    fields["EVSENominalFrequency"] = rational(frequency_hz)
    if ramp_pct_per_min is not None:
        fields["EVSEPowerRampLimitation"] = rational(ramp_pct_per_min)
    if present_power_w is not None:
        fields |= phase_fields("EVSEPresentActivePower", present_power_w, limits.phases, rational)
    return (BPT_AC_CPDResEnergyTransferMode if bpt else AC_CPDResEnergyTransferMode)(**fields)


def read_discovery_response_mode(mode: AcResponseMode) -> Limits:
    return _read_limits("EVSE", mode, isinstance(mode, BPT_AC_CPDResEnergyTransferMode), 0.0)


def request(header: MessageHeader, report: CarReport, *, bpt: bool, dynamic: bool) -> AC_ChargeLoopReq:
    phases = report.limits.phases
    fields: dict[str, Any] = dict(_limit_fields("EV", report.limits, bpt=bpt))
    fields |= phase_fields("EVPresentActivePower", report.present_power_w or 0.0, phases, rational)
    if dynamic:
        fields |= phase_fields("EVPresentReactivePower", report.present_reactive_var or 0.0, phases, rational)
        fields |= needs_fields(report.needs, report.departure_s, bpt=bpt)
    else:
        fields |= scheduled_needs_fields(report.needs)
    return AC_ChargeLoopReq(
        Header=header,
        DisplayParameters=display_message(report.display),
        MeterInfoRequested=report.meter_requested,
        CLReqControlMode=_REQUEST_FORMS[bpt, dynamic](**fields),
    )


def fits_request(message: AC_ChargeLoopReq, *, bpt: bool, dynamic: bool) -> bool:
    """Return True if the control mode has the form required by the chosen service and parameter set."""
    return type(message.CLReqControlMode) is _REQUEST_FORMS[bpt, dynamic]


def read_request(message: AC_ChargeLoopReq, first: Limits) -> CarReport:
    mode: Any = message.CLReqControlMode
    dynamic = isinstance(mode, Dynamic_AC_CLReqControlMode)
    bpt = isinstance(mode, BPT_Dynamic_AC_CLReqControlMode | BPT_Scheduled_AC_CLReqControlMode)
    reactive = phase_values(mode, "EVPresentReactivePower")
    return CarReport(
        limits=first.narrowed(_read_limits("EV", mode, bpt, UNLIMITED)),
        needs=read_needs(mode),
        departure_s=mode.DepartureTime if dynamic else None,
        present_power_w=total(mode, "EVPresentActivePower"),
        present_reactive_var=sum(reactive) if reactive else None,
        display=read_display(message.DisplayParameters),
        meter_requested=message.MeterInfoRequested,
    )


def response(
    header: MessageHeader,
    report: StationReport,
    *,
    bpt: bool,
    dynamic: bool,
    code: ResponseCode,
    frequency_hz: float | None = None,
    status: EVSEStatus | None = None,
) -> AC_ChargeLoopRes:
    phases = report.limits.phases
    fields: dict[str, Any] = {}
    if report.target_power_w is not None or dynamic:
        fields |= phase_fields("EVSETargetActivePower", report.target_power_w or 0.0, phases, rational)
    if report.target_reactive_var is not None:
        fields |= phase_fields("EVSETargetReactivePower", report.target_reactive_var, phases, rational)
    if report.present_power_w is not None:
        fields |= phase_fields("EVSEPresentActivePower", report.present_power_w, phases, rational)
    if dynamic:
        fields |= station_needs_fields(report)
    return AC_ChargeLoopRes(
        Header=header,
        ResponseCode=code,
        EVSEStatus=status,
        MeterInfo=meter_message(report.meter),
        EVSETargetFrequency=None if frequency_hz is None else rational(frequency_hz),
        CLResControlMode=_RESPONSE_FORMS[bpt, dynamic](**fields),
    )


def read_response(message: AC_ChargeLoopRes, first: Limits) -> StationReport:
    mode: Any = message.CLResControlMode
    dynamic = isinstance(mode, Dynamic_AC_CLResControlMode)
    return StationReport(
        limits=first,
        target_power_w=total(mode, "EVSETargetActivePower"),
        target_reactive_var=total(mode, "EVSETargetReactivePower"),
        present_power_w=total(mode, "EVSEPresentActivePower"),
        departure_s=mode.DepartureTime if dynamic else None,
        minimum_soc_pct=mode.MinimumSOC if dynamic else None,
        target_soc_pct=mode.TargetSOC if dynamic else None,
        confirm_within_s=mode.AckMaxDelay if dynamic else None,
        meter=read_meter(message.MeterInfo),
    )


def frequency(mode: AcResponseMode) -> float:
    """Return the nominal frequency of charge parameter discovery, Hz."""
    return number(mode.EVSENominalFrequency)


def _limit_fields(side: str, limits: Limits, *, bpt: bool) -> dict[str, Any]:
    phases = limits.phases
    fields: dict[str, Any] = {
        **phase_fields(f"{side}MaximumChargePower", limits.max_charge_w, phases, down),
        **phase_fields(f"{side}MinimumChargePower", limits.min_charge_w, phases, rational_up),
    }
    if bpt:
        fields |= phase_fields(f"{side}MaximumDischargePower", limits.max_discharge_w, phases, down)
        fields |= phase_fields(f"{side}MinimumDischargePower", limits.min_discharge_w, phases, rational_up)
    return fields


def _read_limits(side: str, mode: object, bpt: bool, otherwise: float) -> Limits:
    """Return the limits in a mode; `otherwise` is the maximum where it is omitted."""
    return Limits(
        max_charge_w=largest_total(mode, f"{side}MaximumChargePower", otherwise),
        min_charge_w=smallest_total(mode, f"{side}MinimumChargePower", 0.0),
        max_discharge_w=largest_total(mode, f"{side}MaximumDischargePower", otherwise) if bpt else 0.0,
        min_discharge_w=smallest_total(mode, f"{side}MinimumDischargePower", 0.0) if bpt else 0.0,
        phases=max(1, len(phase_values(mode, f"{side}MaximumChargePower"))),
    )


_REQUEST_FORMS: dict[tuple[bool, bool], type[Any]] = {
    (False, False): Scheduled_AC_CLReqControlMode,
    (True, False): BPT_Scheduled_AC_CLReqControlMode,
    (False, True): Dynamic_AC_CLReqControlMode,
    (True, True): BPT_Dynamic_AC_CLReqControlMode,
}
_RESPONSE_FORMS: dict[tuple[bool, bool], type[Any]] = {
    (False, False): Scheduled_AC_CLResControlMode,
    (True, False): BPT_Scheduled_AC_CLResControlMode,
    (False, True): Dynamic_AC_CLResControlMode,
    (True, True): BPT_Dynamic_AC_CLResControlMode,
}
