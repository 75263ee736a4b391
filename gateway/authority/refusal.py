"""Commands that are refused outright, with the reason. A power that can be granted in part is clamped (`priority.py`).

Pure.
"""

from __future__ import annotations

from gateway.authority.priority import Decision
from gateway.model.command import POWER_VERBS, Verb
from gateway.model.event import PlugState
from gateway.model.evse import Evse
from gateway.model.reason import Code, Reason, because

HOPELESS = frozenset(
    {
        Code.OFFLINE,
        Code.NO_SESSION,
        Code.FAULT,
        Code.CHARGING_ONLY,
        Code.BELOW_FLOOR,
        Code.SOC_UNKNOWN,
        Code.OUTSIDE_V2X_WINDOW,
        Code.BELOW_CAR_MINIMUM,
        Code.NEEDED_FOR_DEPARTURE,
        Code.EMERGENCY_STOP,
        Code.GRID_LOST,
        Code.INPUT_STALE,
    }
)


def cannot_reach(evse: Evse, verb: Verb) -> Reason | None:
    """Return why a command that sets power cannot be carried out at this EVSE at all: offline, unplugged, in fault."""
    if verb not in POWER_VERBS:
        return None
    if not evse.connected:
        return because(Code.OFFLINE, f"The station of {evse.name} is not connected.")
    if verb is Verb.STOP:
        return None  # a stop is never refused because of a state that may be outdated
    if (fault := evse.fault) is not None:
        return because(Code.FAULT, f"{evse.name} is in fault: {fault}.")
    if evse.session is None:
        if evse.plug is PlugState.OCCUPIED:
            return because(Code.NO_SESSION, f"A vehicle is plugged in at {evse.name}, but it has no session yet.")
        return because(Code.UNPLUGGED, f"No vehicle is plugged in at {evse.name}.")
    return None


def nothing_left(requested_w: float, decision: Decision) -> Reason | None:
    """Return why a command gets nothing of the power requested: then it is refused rather than clamped to 0 W."""
    if requested_w == 0 or requested_w * decision.power_w > 0:
        return None
    if decision.code in HOPELESS or decision.power_w == 0:
        return because(decision.code, decision.text)
    return None
