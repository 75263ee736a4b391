"""States of a SECC and steps of an EVCC in ISO 15118-2 and DIN SPEC 70121.

A SECC state is named for the request that it waits for; a request that it does not list is a sequence error. DC and AC
have separate tables, equal up to charge parameter discovery; the table of DIN is in `din/states.py`. Deviations of real
cars are in `tolerances.py`; `docs/iso15118-states.md` is generated from all. Contract messages (PaymentDetails,
CertificateInstallation, CertificateUpdate, MeteringReceipt) are in no table: Plug & Charge is not offered. Source: ISO
15118-2 V2G2-541, 543, 545, 548, 551, 565, 568, 571, 573, 575, 576, 582, 584, 587, 590, 593, 597, 601, 621, 687, 688,
812, 813 (numbers as EVerest cites them).
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum


class State(StrEnum):
    """SECC states by the expected request."""

    APP_PROTOCOL = "app protocol"
    SESSION_SETUP = "session setup"
    SERVICE_DISCOVERY = "service discovery"
    PAYMENT_SELECTION = "payment selection"
    AUTHORIZATION = "authorization"
    CHARGE_PARAMETERS = "charge parameters"
    CABLE_CHECK = "cable check"
    PRE_CHARGE = "pre-charge"
    POWER_DELIVERY = "power delivery"
    LOOP_START = "first charge loop"
    CHARGE_LOOP = "charge loop"
    STOPPED = "welding detection or session stop"
    NO_ENERGY = "session stop without energy"
    ENDED = "ended"


Follows = Mapping[State, Mapping[str, frozenset[State]]]

S = State


def to(*states: State) -> frozenset[State]:
    """Return the next states, with ENDED: every response may be a FAILED one, which ends the session."""
    return frozenset({*states, S.ENDED})


STOP = {"SessionStopReq": to()}
_SETUP: dict[State, dict[str, frozenset[State]]] = {
    S.APP_PROTOCOL: {"supportedAppProtocolReq": to(S.SESSION_SETUP)},
    S.SESSION_SETUP: {"SessionSetupReq": to(S.SERVICE_DISCOVERY)},
    S.SERVICE_DISCOVERY: {"ServiceDiscoveryReq": to(S.PAYMENT_SELECTION), **STOP},
    S.PAYMENT_SELECTION: {
        "ServiceDetailReq": to(S.PAYMENT_SELECTION),
        "PaymentServiceSelectionReq": to(S.AUTHORIZATION),
        **STOP,
    },
    S.AUTHORIZATION: {"AuthorizationReq": to(S.AUTHORIZATION, S.CHARGE_PARAMETERS), **STOP},
}

DC: Follows = {
    **_SETUP,
    S.CHARGE_PARAMETERS: {
        "ChargeParameterDiscoveryReq": to(S.CHARGE_PARAMETERS, S.CABLE_CHECK, S.POWER_DELIVERY, S.NO_ENERGY),
        **STOP,
    },
    S.CABLE_CHECK: {"CableCheckReq": to(S.CABLE_CHECK, S.PRE_CHARGE), **STOP},
    S.PRE_CHARGE: {"PreChargeReq": to(S.POWER_DELIVERY), **STOP},
    S.POWER_DELIVERY: {
        "PreChargeReq": to(S.POWER_DELIVERY),
        "PowerDeliveryReq": to(S.LOOP_START, S.STOPPED),
        **STOP,
    },
    S.LOOP_START: {"CurrentDemandReq": to(S.CHARGE_LOOP)},
    S.CHARGE_LOOP: {
        "CurrentDemandReq": to(S.CHARGE_LOOP),
        "PowerDeliveryReq": to(S.CHARGE_PARAMETERS, S.STOPPED),
    },
    S.STOPPED: {"WeldingDetectionReq": to(S.STOPPED), **STOP},
    S.NO_ENERGY: STOP,
    S.ENDED: {},
}

AC: Follows = {
    **_SETUP,
    S.CHARGE_PARAMETERS: DC[S.CHARGE_PARAMETERS],
    S.POWER_DELIVERY: {"PowerDeliveryReq": to(S.LOOP_START, S.STOPPED), **STOP},
    S.LOOP_START: {"ChargingStatusReq": to(S.CHARGE_LOOP)},
    S.CHARGE_LOOP: {
        "ChargingStatusReq": to(S.CHARGE_LOOP),
        "PowerDeliveryReq": to(S.CHARGE_PARAMETERS, S.STOPPED),
    },
    S.STOPPED: STOP,
    S.NO_ENERGY: STOP,
    S.ENDED: {},
}


class Step(StrEnum):
    """EVCC steps by the next request."""

    APP_PROTOCOL = "app protocol"
    SESSION_SETUP = "session setup"
    SERVICE_DISCOVERY = "service discovery"
    SERVICE_DETAIL = "service detail"
    PAYMENT_SELECTION = "payment selection"
    AUTHORIZATION = "authorization"
    CHARGE_PARAMETERS = "charge parameters"
    CABLE_CHECK = "cable check"
    PRE_CHARGE = "pre-charge"
    POWER_START = "power delivery: start"
    CHARGE_LOOP = "charge loop"
    RENEGOTIATION = "power delivery: renegotiate"
    POWER_STOP = "power delivery: stop"
    WELDING_DETECTION = "welding detection"
    SESSION_STOP = "session stop"
    ENDED = "ended"


T = Step

# Steps that the EVCC may take after a response; every step may also end in ENDED. An order to stop leads through
# POWER_STOP where power flows, to SESSION_STOP before.
NEXT_STEPS: Mapping[Step, frozenset[Step]] = {
    T.APP_PROTOCOL: frozenset({T.SESSION_SETUP}),
    T.SESSION_SETUP: frozenset({T.SERVICE_DISCOVERY, T.SESSION_STOP}),
    T.SERVICE_DISCOVERY: frozenset({T.SERVICE_DETAIL, T.PAYMENT_SELECTION, T.SESSION_STOP}),
    T.SERVICE_DETAIL: frozenset({T.SERVICE_DETAIL, T.PAYMENT_SELECTION, T.SESSION_STOP}),
    T.PAYMENT_SELECTION: frozenset({T.AUTHORIZATION, T.SESSION_STOP}),
    T.AUTHORIZATION: frozenset({T.AUTHORIZATION, T.CHARGE_PARAMETERS, T.SESSION_STOP}),
    T.CHARGE_PARAMETERS: frozenset({T.CHARGE_PARAMETERS, T.CABLE_CHECK, T.POWER_START, T.SESSION_STOP}),
    T.CABLE_CHECK: frozenset({T.CABLE_CHECK, T.PRE_CHARGE, T.SESSION_STOP}),
    T.PRE_CHARGE: frozenset({T.PRE_CHARGE, T.POWER_START, T.SESSION_STOP}),
    T.POWER_START: frozenset({T.CHARGE_LOOP, T.POWER_STOP}),
    T.CHARGE_LOOP: frozenset({T.CHARGE_LOOP, T.RENEGOTIATION, T.POWER_STOP}),
    T.RENEGOTIATION: frozenset({T.CHARGE_PARAMETERS, T.SESSION_STOP}),
    T.POWER_STOP: frozenset({T.WELDING_DETECTION, T.SESSION_STOP}),
    T.WELDING_DETECTION: frozenset({T.WELDING_DETECTION, T.SESSION_STOP}),
    T.SESSION_STOP: frozenset({T.ENDED}),
    T.ENDED: frozenset(),
}
