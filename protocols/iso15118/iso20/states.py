"""States of a SECC: the requests that each state accepts, and the states they may lead to; steps of an EVCC.

A SECC state is named for the request that it waits for. A request that a state does not list is a sequence error. DC
and AC have separate tables; `docs/iso15118-states.md` is generated from them. The `secc_*.py` modules choose among the
possible next states, `timers.py` holds the time-outs. Source: ISO 15118-20, communication states of the SECC and
V2G20-443, 1032, 1477.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum


class State(StrEnum):
    """SECC states by the expected request."""

    APP_PROTOCOL = "app protocol"
    SESSION_SETUP = "session setup"
    AUTHORIZATION_SETUP = "authorization setup"
    AUTHORIZATION = "authorization"
    SERVICE_DISCOVERY = "service discovery"
    SERVICE_DETAIL = "service detail"
    SERVICE_SELECTION = "service selection"
    CHARGE_PARAMETERS = "charge parameters"
    SCHEDULE_EXCHANGE = "schedule exchange"
    CABLE_CHECK = "cable check"
    PRE_CHARGE = "pre-charge"
    POWER_DELIVERY = "power delivery"
    CHARGE_LOOP = "charge loop"
    STANDBY = "standby"
    RENEGOTIATION = "renegotiation"
    WELDING_DETECTION = "welding detection"
    SESSION_STOP = "session stop"
    ENDED = "ended"


Follows = Mapping[State, Mapping[str, frozenset[State]]]

S = State


def _to(*states: State) -> frozenset[State]:
    """Return the next states, with ENDED: every response may be a FAILED one, which ends the session."""
    return frozenset({*states, S.ENDED})


_STOP = {"SessionStopReq": _to()}
_DELIVERED = (S.CHARGE_LOOP, S.STANDBY, S.RENEGOTIATION, S.POWER_DELIVERY)
_DC_DELIVERED = _to(*_DELIVERED, S.WELDING_DETECTION)
_AC_DELIVERED = _to(*_DELIVERED, S.SESSION_STOP)

_BEFORE_POWER: dict[State, dict[str, frozenset[State]]] = {
    S.APP_PROTOCOL: {"supportedAppProtocolReq": _to(S.SESSION_SETUP)},
    S.SESSION_SETUP: {"SessionSetupReq": _to(S.AUTHORIZATION_SETUP, S.CHARGE_PARAMETERS)},
    S.AUTHORIZATION_SETUP: {"AuthorizationSetupReq": _to(S.AUTHORIZATION), **_STOP},
    S.AUTHORIZATION: {
        "AuthorizationReq": _to(S.AUTHORIZATION, S.SERVICE_DISCOVERY),
        **_STOP,
    },
    S.SERVICE_DISCOVERY: {"ServiceDiscoveryReq": _to(S.SERVICE_DETAIL), **_STOP},
    S.SERVICE_DETAIL: {"ServiceDetailReq": _to(S.SERVICE_SELECTION), **_STOP},
    S.SERVICE_SELECTION: {
        "ServiceDetailReq": _to(S.SERVICE_SELECTION),
        "ServiceSelectionReq": _to(S.CHARGE_PARAMETERS),
        **_STOP,
    },
}

_SESSION_STOP = {"SessionStopReq": _to(S.SERVICE_DISCOVERY)}

DC: Follows = {
    **_BEFORE_POWER,
    S.CHARGE_PARAMETERS: {"DC_ChargeParameterDiscoveryReq": _to(S.SCHEDULE_EXCHANGE), **_STOP},
    S.SCHEDULE_EXCHANGE: {"ScheduleExchangeReq": _to(S.SCHEDULE_EXCHANGE, S.CABLE_CHECK), **_STOP},
    S.CABLE_CHECK: {"DC_CableCheckReq": _to(S.CABLE_CHECK, S.PRE_CHARGE), **_STOP},
    S.PRE_CHARGE: {
        "DC_PreChargeReq": _to(S.PRE_CHARGE, S.POWER_DELIVERY),
        **_STOP,
    },
    S.POWER_DELIVERY: {
        "DC_PreChargeReq": _to(S.PRE_CHARGE, S.POWER_DELIVERY),
        "PowerDeliveryReq": _DC_DELIVERED,
        **_STOP,
    },
    S.CHARGE_LOOP: {
        "DC_ChargeLoopReq": _to(S.CHARGE_LOOP),
        "PowerDeliveryReq": _DC_DELIVERED,
        "ScheduleExchangeReq": _to(S.CHARGE_LOOP),
        "MeteringConfirmationReq": _to(S.CHARGE_LOOP),
    },
    S.STANDBY: {"DC_ChargeLoopReq": _to(S.STANDBY), "PowerDeliveryReq": _DC_DELIVERED},
    S.RENEGOTIATION: {
        "DC_ChargeLoopReq": _to(S.CHARGE_LOOP),
        "ScheduleExchangeReq": _to(S.RENEGOTIATION),
        "PowerDeliveryReq": _DC_DELIVERED,
    },
    S.WELDING_DETECTION: {"DC_WeldingDetectionReq": _to(S.WELDING_DETECTION), **_SESSION_STOP},
    S.ENDED: {},
}

AC: Follows = {
    **_BEFORE_POWER,
    S.CHARGE_PARAMETERS: {"AC_ChargeParameterDiscoveryReq": _to(S.SCHEDULE_EXCHANGE), **_STOP},
    S.SCHEDULE_EXCHANGE: {"ScheduleExchangeReq": _to(S.SCHEDULE_EXCHANGE, S.POWER_DELIVERY), **_STOP},
    S.POWER_DELIVERY: {"PowerDeliveryReq": _AC_DELIVERED, **_STOP},
    S.CHARGE_LOOP: {
        "AC_ChargeLoopReq": _to(S.CHARGE_LOOP),
        "PowerDeliveryReq": _AC_DELIVERED,
        "ScheduleExchangeReq": _to(S.CHARGE_LOOP),
        "MeteringConfirmationReq": _to(S.CHARGE_LOOP),
    },
    S.STANDBY: {"AC_ChargeLoopReq": _to(S.STANDBY), "PowerDeliveryReq": _AC_DELIVERED},
    S.RENEGOTIATION: {
        "AC_ChargeLoopReq": _to(S.CHARGE_LOOP),
        "ScheduleExchangeReq": _to(S.RENEGOTIATION),
        "PowerDeliveryReq": _AC_DELIVERED,
    },
    S.SESSION_STOP: _SESSION_STOP,
    S.ENDED: {},
}


class Step(StrEnum):
    """EVCC steps by the next request."""

    APP_PROTOCOL = "app protocol"
    SESSION_SETUP = "session setup"
    AUTHORIZATION_SETUP = "authorization setup"
    AUTHORIZATION = "authorization"
    SERVICE_DISCOVERY = "service discovery"
    SERVICE_DETAIL = "service detail"
    SERVICE_SELECTION = "service selection"
    CHARGE_PARAMETERS = "charge parameters"
    SCHEDULE_EXCHANGE = "schedule exchange"
    CABLE_CHECK = "cable check"
    PRE_CHARGE = "pre-charge"
    POWER_START = "power delivery: start"
    CHARGE_LOOP = "charge loop"
    RENEGOTIATION = "power delivery: renegotiate"
    SCHEDULE_AGAIN = "schedule exchange instead of the charge loop"
    POWER_STANDBY = "power delivery: standby"
    STANDBY = "charge loop in standby"
    POWER_STOP = "power delivery: stop"
    WELDING_DETECTION = "welding detection"
    SESSION_STOP = "session stop"
    ENDED = "ended"


T = Step
_IN_LOOP = frozenset({T.CHARGE_LOOP, T.RENEGOTIATION, T.POWER_START, T.POWER_STANDBY, T.POWER_STOP})

# Steps that the EVCC may take after a response; every step may also end in ENDED. Before power flows an
# order to stop leads to SESSION_STOP, afterwards through POWER_STOP.
NEXT_STEPS: Mapping[Step, frozenset[Step]] = {
    T.APP_PROTOCOL: frozenset({T.SESSION_SETUP}),
    T.SESSION_SETUP: frozenset({T.AUTHORIZATION_SETUP, T.CHARGE_PARAMETERS, T.SESSION_STOP}),
    T.AUTHORIZATION_SETUP: frozenset({T.AUTHORIZATION, T.SESSION_STOP}),
    T.AUTHORIZATION: frozenset({T.AUTHORIZATION, T.SERVICE_DISCOVERY, T.SESSION_STOP}),
    T.SERVICE_DISCOVERY: frozenset({T.SERVICE_DETAIL, T.SESSION_STOP}),
    T.SERVICE_DETAIL: frozenset({T.SERVICE_DETAIL, T.SERVICE_SELECTION, T.SESSION_STOP}),
    T.SERVICE_SELECTION: frozenset({T.CHARGE_PARAMETERS, T.SESSION_STOP}),
    T.CHARGE_PARAMETERS: frozenset({T.SCHEDULE_EXCHANGE, T.SESSION_STOP}),
    T.SCHEDULE_EXCHANGE: frozenset({T.SCHEDULE_EXCHANGE, T.CABLE_CHECK, T.POWER_START, T.SESSION_STOP}),
    T.CABLE_CHECK: frozenset({T.CABLE_CHECK, T.PRE_CHARGE, T.SESSION_STOP}),
    T.PRE_CHARGE: frozenset({T.PRE_CHARGE, T.POWER_START, T.SESSION_STOP}),
    T.POWER_START: frozenset({T.POWER_START, T.CHARGE_LOOP, T.POWER_STOP, T.SESSION_STOP}),
    T.CHARGE_LOOP: _IN_LOOP,
    T.RENEGOTIATION: frozenset({T.CHARGE_LOOP, T.SCHEDULE_AGAIN, T.POWER_STOP}),
    T.SCHEDULE_AGAIN: frozenset({T.SCHEDULE_AGAIN, T.RENEGOTIATION, T.POWER_STOP}),
    T.POWER_STANDBY: frozenset({T.STANDBY, T.CHARGE_LOOP, T.POWER_STOP}),
    T.STANDBY: frozenset({T.STANDBY, T.POWER_START, T.POWER_STOP}),
    T.POWER_STOP: frozenset({T.WELDING_DETECTION, T.SESSION_STOP}),
    T.WELDING_DETECTION: frozenset({T.WELDING_DETECTION, T.SESSION_STOP}),
    T.SESSION_STOP: frozenset({T.SERVICE_DISCOVERY, T.ENDED}),
    T.ENDED: frozenset(),
}
