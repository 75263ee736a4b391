"""Operation modes other than the gateway's own set-points: what a station may be left to do by itself (2.1 Q05-Q10).

A mode is a TxProfile of its own, checked against what the specification asks of its fields before it goes out, and
replaced by the next set-point. The safe profile lies beneath it as beneath every other.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gateway.csms.charging_profile import POWER_PROFILE, install_safe, send_profile
from gateway.csms.evse import Evse
from gateway.csms.setpoint import POWER_LEVEL, refusal
from gateway.csms.station import Station
from gateway.model.event import OperationMode
from gateway.model.station import Answer, Outcome
from protocols.ocpp.schema import Payload, Version

_LIMITS = frozenset({"limit", "dischargeLimit", "limit_L2", "limit_L3", "dischargeLimit_L2", "dischargeLimit_L3"})
_SETPOINTS = frozenset({"setpoint", "setpoint_L2", "setpoint_L3", "setpointReactive"})


@dataclass(frozen=True, slots=True)
class Shape:
    """What a period of a mode must and may hold, and how its profile is kept."""

    needs: frozenset[str] = frozenset()
    takes: frozenset[str] = frozenset()
    dynamic: bool = False
    discharges: bool = True


SHAPES: dict[OperationMode, Shape] = {
    OperationMode.CHARGING_ONLY: Shape(frozenset({"limit"}), frozenset({"limit_L2", "limit_L3"}), True, False),
    OperationMode.CENTRAL_SETPOINT: Shape(frozenset({"setpoint"}), _SETPOINTS, True),  # Q03.FR.02: no limits
    OperationMode.CENTRAL_FREQUENCY: Shape(frozenset({"setpoint"}), _SETPOINTS, True),  # Q07.FR.02, .03
    OperationMode.EXTERNAL_SETPOINT: Shape(takes=_LIMITS, dynamic=True),
    OperationMode.EXTERNAL_LIMITS: Shape(dynamic=True),
    OperationMode.LOCAL_FREQUENCY: Shape(
        frozenset({"v2xBaseline", "v2xFreqWattCurve"}), frozenset({"v2xSignalWattCurve"})
    ),
    OperationMode.LOCAL_LOAD_BALANCING: Shape(takes=_LIMITS),
    OperationMode.IDLE: Shape(takes=frozenset({"evseSleep", "preconditioningRequest"}), discharges=False),
}


def fault(mode: OperationMode, values: Mapping[str, Any]) -> str | None:
    """What is wrong with a period of a mode, or None."""
    shape = SHAPES[mode]
    missing, foreign = shape.needs - values.keys(), values.keys() - shape.needs - shape.takes
    if missing:
        return f"{mode} needs {', '.join(sorted(missing))}"
    if foreign:
        return f"{mode} takes no {', '.join(sorted(foreign))}"
    if len(values.get("v2xFreqWattCurve", "..")) < 2 or len(values.get("v2xSignalWattCurve", "..")) < 2:
        return "a curve has at least two points (Q08.FR.02)"
    if values.get("limit", 0.0) < 0 or values.get("dischargeLimit", 0.0) > 0:
        return "limit is 0 or more, dischargeLimit 0 or less"
    return None


async def set_mode(
    station: Station, evse: Evse, mode: OperationMode, values: Mapping[str, Any], hold_s: float | None = None
) -> Outcome:
    """Let the station run in a mode. `values` are the period's fields in OCPP's names, W.

    With `hold_s` a Dynamic profile lapses so long after its last update, another at that time; without it the mode
    stays until something else is ordered. Never raises for what the station says.
    """
    async with evse.order:
        wish = -1.0 if SHAPES[mode].discharges else 0.0
        refused = refusal(station, evse, wish, 1.0 if hold_s is None else hold_s)
        if refused is not None:
            return refused
        if station.version is not Version.V21:
            return Outcome(Answer.REFUSED, "NotSupported", f"OCPP {station.version} has no operation modes")
        wrong = fault(mode, values)
        if wrong is not None:
            return Outcome(Answer.REFUSED, "InvalidOrder", wrong)
        known = station.variable("V2XChargingCtrlr", "SupportedOperationModes", evse.number)
        if known is not None and mode not in known.split(","):
            return Outcome(Answer.REFUSED, "InvalidOperationMode", f"{evse.name} supports {known}")
        transaction = station.context.transactions.active_at(station.id, evse.number)
        if transaction is None:
            return Outcome(Answer.REFUSED, "TxNotFound", f"no transaction runs on {evse.name}")
        safe = await install_safe(station, evse)
        if safe.answer is not Answer.APPLIED:
            return Outcome(safe.answer, safe.code, f"the safe profile could not be installed: {safe.text}")
        evse.installed = None  # whatever comes next is a new profile
        period: Payload = {"startPeriod": 0, "operationMode": mode, **values}
        schedule: Payload = {"chargingRateUnit": "W", "chargingSchedulePeriod": [period]}
        if hold_s is not None:
            schedule["duration"] = math.ceil(hold_s)
        kind = "Dynamic" if SHAPES[mode].dynamic else "Absolute"
        number = POWER_PROFILE + evse.number
        return await send_profile(
            station, evse, number, POWER_LEVEL, "TxProfile", kind, schedule, transaction=transaction
        )
