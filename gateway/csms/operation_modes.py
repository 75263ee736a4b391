"""Operation modes in which a 2.1 station determines its power itself, such as LocalFrequency (Q05-Q10).

A mode is a TxProfile, validated against the requirements on its fields before it is sent. The next set-point replaces
it; the fallback profile lies beneath it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from gateway.csms import outcomes, setpoint
from gateway.csms.charging_profile import Kind, Profile, send_profile
from gateway.csms.evse import Evse
from gateway.csms.station import Station
from gateway.model.event import OperationMode
from gateway.model.station import Answer, Outcome, OutcomeCode
from protocols.ocpp.schema import Payload

_LIMITS = frozenset({"limit", "dischargeLimit", "limit_L2", "limit_L3", "dischargeLimit_L2", "dischargeLimit_L3"})
_SETPOINTS = frozenset({"setpoint", "setpoint_L2", "setpoint_L3", "setpointReactive"})


@dataclass(frozen=True, slots=True)
class Shape:
    """Required and optional fields of a period of a mode, and the kind of its profile."""

    required: frozenset[str] = frozenset()
    optional: frozenset[str] = frozenset()
    dynamic: bool = False
    discharges: bool = True


SHAPES: dict[OperationMode, Shape] = {
    OperationMode.CHARGING_ONLY: Shape(frozenset({"limit"}), frozenset({"limit_L2", "limit_L3"}), True, False),
    OperationMode.CENTRAL_SETPOINT: Shape(frozenset({"setpoint"}), _SETPOINTS, True),  # Q03.FR.02: no limits
    OperationMode.CENTRAL_FREQUENCY: Shape(frozenset({"setpoint"}), _SETPOINTS, True),  # Q07.FR.02, .03
    OperationMode.EXTERNAL_SETPOINT: Shape(optional=_LIMITS, dynamic=True),
    OperationMode.EXTERNAL_LIMITS: Shape(dynamic=True),
    OperationMode.LOCAL_FREQUENCY: Shape(
        frozenset({"v2xBaseline", "v2xFreqWattCurve"}), frozenset({"v2xSignalWattCurve"})
    ),
    OperationMode.LOCAL_LOAD_BALANCING: Shape(optional=_LIMITS),
    OperationMode.IDLE: Shape(optional=frozenset({"evseSleep", "preconditioningRequest"}), discharges=False),
}


def error_in(mode: OperationMode, fields: Payload) -> str | None:
    """Return what is wrong with the fields of a period of a mode, or None."""
    shape = SHAPES[mode]
    missing, extra = shape.required - fields.keys(), fields.keys() - shape.required - shape.optional
    if missing:
        return f"{mode} requires {', '.join(sorted(missing))}"
    if extra:
        return f"{mode} does not permit {', '.join(sorted(extra))}"
    if len(fields.get("v2xFreqWattCurve", "..")) < 2 or len(fields.get("v2xSignalWattCurve", "..")) < 2:
        return "a curve has at least two points (Q08.FR.02)"
    if fields.get("limit", 0.0) < 0 or fields.get("dischargeLimit", 0.0) > 0:
        return "limit is 0 or more, dischargeLimit 0 or less"
    return None


async def set_mode(
    station: Station, evse: Evse, mode: OperationMode, fields: Payload, valid_for_s: float | None
) -> Outcome:
    """Run the station in a mode. `fields` are those of the period in OCPP's names, in W.

    With `valid_for_s` a Dynamic profile expires after its last update, another one after its start; without it the mode
    stays until the next set-point. Never raises for the peer.
    """
    async with evse.lock:
        refused = _refusal(station, evse, mode, fields, valid_for_s)
        if refused is not None:
            return refused
        transaction = station.context.transactions.active_at(station.id, evse.number)
        if transaction is None:
            return Outcome(Answer.REFUSED, OutcomeCode.TX_NOT_FOUND, f"no transaction is active on {evse.name}")
        if SHAPES[mode].discharges and evse.bidirectional is None:
            return outcomes.NEEDS_NOT_STATED
        refused = await setpoint.require_fallback(station, evse, 1.0)  # whatever power the mode has
        if refused is not None:
            return refused
        evse.setpoint_profile = None  # the next set-point is a new profile
        kind = Kind.dynamic if SHAPES[mode].dynamic else Kind.absolute
        duration = None if valid_for_s is None else max(1, math.floor(valid_for_s))
        number, period = setpoint.SETPOINT_PROFILE + evse.number, {"operationMode": mode, **fields}
        profile = Profile(number, kind, period, transaction, duration)
        return await send_profile(station, evse, profile)


def _refusal(
    station: Station, evse: Evse, mode: OperationMode, fields: Payload, valid_for_s: float | None
) -> Outcome | None:
    power_w = -1.0 if SHAPES[mode].discharges else 0.0  # only its sign is checked
    refused = setpoint.refusal(station, evse, power_w, 1.0 if valid_for_s is None else valid_for_s)
    if refused is not None:
        return refused
    error = error_in(mode, fields)
    if error is not None:
        return Outcome(Answer.REFUSED, OutcomeCode.INVALID_ORDER, error)
    supported = station.variable("V2XChargingCtrlr", "SupportedOperationModes", evse.number)
    if supported is not None and mode not in supported.split(","):
        return Outcome(Answer.REFUSED, OutcomeCode.INVALID_OPERATION_MODE, f"{evse.name} supports {supported}")
    return None
