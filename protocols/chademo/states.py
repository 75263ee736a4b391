"""States of both engines, who may follow whom, and the permitted sequences of the status bytes."""

from __future__ import annotations

from enum import StrEnum


class ChargerState(StrEnum):
    """States of the charger engine."""

    IDLE = "idle"
    WAKE = "wake"  # d1 on, no frames of the vehicle yet
    NEGOTIATE = "negotiate"  # both send; waits for permission
    CHECK = "check"  # compares voltages
    LOCK = "lock"
    INSULATION = "insulation"
    READY = "ready"  # d2 on; waits for the contactors of the vehicle
    WAIT_REQUEST = "wait_request"
    POWER = "power"
    STOPPING = "stopping"  # current to zero
    WELD_CHECK = "weld_check"  # the vehicle opens its contactors
    RELEASE = "release"  # d2, d1 off; cable without voltage; unlock
    FAULT = "fault"  # latched


class VehicleState(StrEnum):
    """States of the vehicle engine."""

    SLEEP = "sleep"
    PLUGGED = "plugged"
    STARTED = "started"  # d1 seen; sends frames, waits for the charger's
    NEGOTIATE = "negotiate"
    PERMITTED = "permitted"  # k closed; waits for d2
    CLOSING = "closing"
    CLOSED = "closed"  # measures, before the first request
    POWER = "power"
    STOPPING = "stopping"  # no request; waits for 109.5.0 = 0
    OPENING = "opening"  # opens contactors and checks them
    ENDED = "ended"  # sends until d1 opens
    FAULT = "fault"  # latched; sends until d1 opens


_C, _V = ChargerState, VehicleState

CHARGER_FOLLOWS: dict[ChargerState, frozenset[ChargerState]] = {
    _C.IDLE: frozenset({_C.WAKE}),
    _C.WAKE: frozenset({_C.NEGOTIATE, _C.STOPPING}),
    _C.NEGOTIATE: frozenset({_C.CHECK, _C.STOPPING}),
    _C.CHECK: frozenset({_C.LOCK, _C.STOPPING}),
    _C.LOCK: frozenset({_C.INSULATION, _C.STOPPING}),
    _C.INSULATION: frozenset({_C.READY, _C.STOPPING}),
    _C.READY: frozenset({_C.WAIT_REQUEST, _C.STOPPING}),
    _C.WAIT_REQUEST: frozenset({_C.POWER, _C.STOPPING}),
    _C.POWER: frozenset({_C.STOPPING}),
    _C.STOPPING: frozenset({_C.WELD_CHECK}),
    _C.WELD_CHECK: frozenset({_C.RELEASE}),
    _C.RELEASE: frozenset({_C.IDLE, _C.FAULT}),
    _C.FAULT: frozenset({_C.IDLE}),
}
VEHICLE_FOLLOWS: dict[VehicleState, frozenset[VehicleState]] = {
    _V.SLEEP: frozenset({_V.PLUGGED}),
    _V.PLUGGED: frozenset({_V.STARTED, _V.SLEEP}),
    _V.STARTED: frozenset({_V.NEGOTIATE, _V.STOPPING}),
    _V.NEGOTIATE: frozenset({_V.PERMITTED, _V.STOPPING}),
    _V.PERMITTED: frozenset({_V.CLOSING, _V.STOPPING}),
    _V.CLOSING: frozenset({_V.CLOSED, _V.STOPPING}),
    _V.CLOSED: frozenset({_V.POWER, _V.STOPPING}),
    _V.POWER: frozenset({_V.STOPPING}),
    _V.STOPPING: frozenset({_V.OPENING}),
    _V.OPENING: frozenset({_V.ENDED, _V.FAULT}),
    _V.ENDED: frozenset({_V.PLUGGED, _V.SLEEP}),
    _V.FAULT: frozenset({_V.SLEEP, _V.PLUGGED}),
}

# 109.5 of a session without and with a malfunction (public logs), and what a stop before power adds
STATUS_109: dict[int, frozenset[int]] = {
    0x20: frozenset({0x24}),
    0x24: frozenset({0x05, 0x20}),
    0x05: frozenset({0x25}),
    0x25: frozenset({0x24}),
}
_109_FAULT = 0x1A  # bits 1, 3, 4
STATUS_102_FOLLOWS: dict[int, frozenset[int]] = {  # enabled (0) and contactors open (3)
    0x00: frozenset({0x08, 0x01, 0x09}),  # 0x01: vehicles before 1.0
    0x08: frozenset({0x09, 0x00}),
    0x09: frozenset({0x01, 0x08}),
    0x01: frozenset({0x00, 0x08}),  # 0x08: both at once (fault)
}


def follows_109(before: int, after: int) -> bool:
    """Return whether a value of 109.5 may follow another; fault bits may be added at any time."""
    fault = after & _109_FAULT
    if before & _109_FAULT & ~fault:
        return False  # latched until the session ends
    before, after = before & ~_109_FAULT, after & ~_109_FAULT
    return before == after or after in STATUS_109.get(before, ())


def follows_102(before: int, after: int) -> bool:
    """Return whether the bits 0 and 3 of 102.5 may follow others."""
    before, after = before & 0x09, after & 0x09
    return before == after or after in STATUS_102_FOLLOWS[before]
