"""Deviations of cars in the field that a SECC of ISO 15118-2 or DIN 70121 tolerates, each with a name.

`INTEROP` (the default) tolerates all of them, `STRICT` none. What is dangerous is tolerated in neither. Spare bytes
after the EXI end, session ids of any length in SessionSetupReq (V2G2-756), unknown namespaces, gaps between priorities
and EVReady=false are accepted always: no rule requires their refusal. Source: sessions recorded by EVerest and pyPLC.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum

from protocols.iso15118.iso2.states import S, State, to


class Tolerance(StrEnum):
    """Switches, with the cars that need them where they are known."""

    STOP_BEFORE_CABLE_CHECK = "stop_before_cable_check"  # BMW i3: PowerDelivery(stop) in the states before
    STOP_INSTEAD_OF_CABLE_CHECK = "stop_instead_of_cable_check"  # BMW i3: PowerDelivery(stop) after an own fault
    STOP_INSTEAD_OF_PRE_CHARGE = "stop_instead_of_pre_charge"  # Audi Q4: PowerDelivery(stop) after the cable check
    STOP_BEFORE_FIRST_LOOP = "stop_before_first_loop"  # VW id.4: no loop request, SessionStop after 8 s
    REPEATED_REQUEST = "repeated_request"  # a request again after its response was Finished: the same response
    PROFILE_OUTSIDE_SCHEDULE = "profile_outside_schedule"  # wrong ChargingProfile: reported, not refused
    UNKNOWN_TUPLE_AT_STOP = "unknown_tuple_at_stop"  # the schedule matters only when power starts
    LOW_TARGET_VOLTAGE = "low_target_voltage"  # Skoda Enyaq: target voltages below the output's range, or negative
    PRE_CHARGE_CURRENT = "pre_charge_current"  # a requested current above 2 A; the output is limited anyway
    SLOW_PILOT = "slow_pilot"  # state C up to 3 s after PowerDelivery(start) (V2G-DC-547)
    LONG_PRE_CHARGE = "long_pre_charge"  # Tesla Model Y: up to 12 s of pre-charge


class ChargerTolerance(StrEnum):
    """Switches of an EVCC for chargers in the field."""

    WELDING_UNANSWERED = "welding_unanswered"  # ABB Terra, ABB HPC: no response to WeldingDetectionReq
    WELDING_FAILED = "welding_failed"  # Alpitronic: FAILED
    FINISHED_NOT_READY = "finished_not_ready"  # Compleo: Finished with EVSE_NotReady and 0 A, the final limits later


INTEROP = frozenset(Tolerance)
EV_INTEROP = frozenset(ChargerTolerance)
STRICT: frozenset[Tolerance] = frozenset()
NAMED = {"interop": INTEROP, "strict": STRICT}

_Row = tuple[frozenset[State], dict[str, frozenset[State]]]
_STOPS = {"PowerDeliveryReq": to(S.STOPPED)}
_AUTHORIZED = to(S.AUTHORIZATION, S.CHARGE_PARAMETERS)
_ROWS: dict[Tolerance, tuple[_Row, ...]] = {
    Tolerance.STOP_BEFORE_CABLE_CHECK: (
        (frozenset({S.PAYMENT_SELECTION, S.AUTHORIZATION, S.CHARGE_PARAMETERS}), _STOPS),
    ),
    Tolerance.STOP_INSTEAD_OF_CABLE_CHECK: ((frozenset({S.CABLE_CHECK}), _STOPS),),
    Tolerance.STOP_INSTEAD_OF_PRE_CHARGE: ((frozenset({S.PRE_CHARGE}), _STOPS),),
    Tolerance.STOP_BEFORE_FIRST_LOOP: ((frozenset({S.LOOP_START}), {**_STOPS, "SessionStopReq": to()}),),
    Tolerance.REPEATED_REQUEST: (
        (
            frozenset({S.CHARGE_PARAMETERS}),
            {"AuthorizationReq": _AUTHORIZED, "ContractAuthenticationReq": _AUTHORIZED},
        ),
        (
            frozenset({S.CABLE_CHECK}),
            {"ChargeParameterDiscoveryReq": to(S.CHARGE_PARAMETERS, S.CABLE_CHECK, S.NO_ENERGY)},
        ),
        (frozenset({S.PRE_CHARGE}), {"CableCheckReq": to(S.CABLE_CHECK, S.PRE_CHARGE)}),
    ),
}


def tolerated_rows(tolerance: Tolerance) -> list[tuple[frozenset[State], str]]:
    """Return the states and requests that a tolerance adds; none for one of values."""
    return [(states, request) for states, requests in _ROWS.get(tolerance, ()) for request in requests]


def tolerated(state: State, request: str, tolerances: Iterable[Tolerance]) -> frozenset[State] | None:
    """Return the next states of a request that only a tolerance permits in this state; None without one."""
    for one in tolerances:
        for states, requests in _ROWS.get(one, ()):
            if state in states and request in requests:
                return requests[request]
    return None
