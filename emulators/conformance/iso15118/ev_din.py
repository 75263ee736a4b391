"""Cases for an EV, ISO 15118-2 and DIN SPEC 70121: DIN SPEC 70121."""

from __future__ import annotations

from emulators.conformance.iso15118.ev_access import EvAccess
from emulators.conformance.iso15118.ev_older_case import (
    CPD,
    FAILED,
    NO_CHARGING,
    ONGOING,
    SHORT_ID,
    closes,
    din_case,
    failure_ignored,
    keeps_id,
    reacts_to_fault,
    requests_mode,
    selects_payment,
    unnotified,
    waits_for_voltage,
    within_station,
    zero_id,
)
from emulators.conformance.iso15118.ev_procedures import ended, ends_after, reacts, repeated, requested, silent_response
from emulators.conformance.iso15118.mutation import Mutant, alters, stays_open
from emulators.conformance.iso15118.plain import Plain, changed, find
from emulators.conformance.iso15118.profiles import DIN, STOP
from emulators.conformance.iso15118.requests import physical
from emulators.conformance.iso15118.responses import MAX_A
from protocols.json_values import items, members

SETUP_DIN, REACTIONS_DIN = "DIN SPEC 70121: session, payment, parameters", "DIN SPEC 70121: power, errors, timers"


def _only_charge_service(fields: Plain) -> str:
    given = [members(one).get("ServiceID") for one in items(find(fields, "SelectedServiceList.SelectedService"))]
    return "" if given == [1] else f"selected services are {given}"


async def _no_negotiation(device: EvAccess) -> None:
    station = await device.station(DIN)
    await station.handshake("Failed_NoNegotiation")
    await ended(station)


CASES = (
    din_case(
        "SAP-01",
        "9.2.1",
        "after Failed_NoNegotiation the EV ends the connection",
        SETUP_DIN,
        _no_negotiation,
        stays_open(),
        stimulus="supportedAppProtocolRes with Failed_NoNegotiation",
        expectation="no further request, the connection is closed within 5 s",
        tags=("negative", "errors"),
    ),
    din_case(
        "SES-01",
        "9.4.1.2.2",
        "a new session is requested with the session id zero",
        SETUP_DIN,
        zero_id(DIN),
        Mutant(text="another id than zero", message="SessionSetupReq", header={"SessionID": SHORT_ID}),
        stimulus="SessionSetupReq",
        expectation="a session id of zero",
    ),
    din_case(
        "SES-02",
        "9.3.3",
        "requests carry the session id of the SECC, in its length",
        SETUP_DIN,
        keeps_id(DIN),
        Mutant(text="the id is padded to eight bytes", message=CPD, header={"SessionID": f"00000000{SHORT_ID}"}),
        stimulus="SessionSetupRes with a session id of four bytes",
        expectation="the same four bytes",
    ),
    din_case(
        "PAY-01",
        252,
        "the EV selects external payment",
        SETUP_DIN,
        requested(DIN, "ServicePaymentSelectionReq", selects_payment),
        alters("ServicePaymentSelectionReq", SelectedPaymentOption="Contract"),
        stimulus="ServiceDiscoveryRes",
        expectation="ExternalPayment",
    ),
    din_case(
        "PAY-02",
        "9.4.1.4.2",
        "the charge service alone is selected",
        SETUP_DIN,
        requested(DIN, "ServicePaymentSelectionReq", _only_charge_service),
        alters("ServicePaymentSelectionReq", NO_CHARGING),
        stimulus="ServiceDiscoveryRes",
        expectation="ServiceID 1",
    ),
    din_case(
        "CPD-01",
        625,
        "the requested energy transfer type is DC_core or DC_extended",
        SETUP_DIN,
        requested(DIN, CPD, requests_mode("EVRequestedEnergyTransferType", "DC_extended", "DC_core")),
        alters(CPD, EVRequestedEnergyTransferType="DC_combo_core"),
        stimulus="ServiceDiscoveryRes with DC_extended",
        expectation="DC_extended or DC_core",
    ),
    din_case(
        "AUT-01",
        "9.4.1.5.2",
        "while authorization is Ongoing, ContractAuthenticationReq is repeated",
        SETUP_DIN,
        repeated(DIN, "ContractAuthenticationReq", ONGOING),
        Mutant(
            text="Ongoing is not regarded",
            received="ContractAuthenticationRes",
            received_rewrite=lambda f: {**f, "EVSEProcessing": "Finished"},
        ),
        stimulus="ContractAuthenticationRes with Ongoing, three times",
        expectation="ContractAuthenticationReq again",
    ),
    din_case(
        "CC-01",
        418,
        "while the cable check is Ongoing, CableCheckReq is repeated",
        REACTIONS_DIN,
        repeated(DIN, "CableCheckReq", ONGOING, same=True),
        Mutant(
            text="Ongoing is not regarded",
            received="CableCheckRes",
            received_rewrite=lambda f: {**f, "EVSEProcessing": "Finished"},
        ),
        Mutant(
            text="another state of charge in the repeated request",
            message="CableCheckReq",
            first=2,
            rewrite=lambda f: changed(f, {"DC_EVStatus.EVRESSSOC": 3}),
        ),
        stimulus="CableCheckRes with Ongoing, three times",
        expectation="the same CableCheckReq again",
    ),
    din_case(
        "PC-01",
        "9.4.2.3.2",
        "power is not requested before the voltage of the output matches",
        REACTIONS_DIN,
        waits_for_voltage(DIN),
        Mutant(
            text="the voltage is not regarded",
            received="PreChargeRes",
            received_rewrite=lambda f: {**f, "EVSEPresentVoltage": physical(363.3, "V")},
        ),
        stimulus="PreChargeRes with 120 V for 4 s",
        expectation="PreChargeReq, or the end of the session",
        tags=("negative", "limits"),
    ),
    din_case(
        "LOOP-01",
        "9.4.2.4.2",
        "EVTargetCurrent is within the limits of the EVSE",
        REACTIONS_DIN,
        within_station(DIN),
        alters("CurrentDemandReq", EVTargetCurrent=physical(300, "A")),
        stimulus=f"limits of {MAX_A:g} A",
        expectation=f"0 to {MAX_A:g} A",
        tags=("nominal", "limits"),
    ),
    din_case(
        "NOT-01",
        "9.5.3.1",
        "EVSE_Shutdown ends the loop: PowerDelivery with ReadyToChargeState false, then SessionStopReq",
        REACTIONS_DIN,
        reacts(DIN, reacts_to_fault("EVSE_Shutdown"), STOP, "SessionStopReq"),
        unnotified(DIN, "EVSE_Shutdown"),
        stimulus="CurrentDemandRes with EVSE_Shutdown",
        expectation="ReadyToChargeState false within 20 s, SessionStopReq",
        tags=("nominal", "stop"),
    ),
    din_case(
        "ERR-01",
        "9.6.3",
        "a FAILED response before power ends the session",
        REACTIONS_DIN,
        ends_after(DIN, "ServiceDiscoveryReq", FAILED, allowed=("SessionStopReq",)),
        failure_ignored("ServiceDiscoveryRes"),
        stimulus="ServiceDiscoveryRes with FAILED",
        expectation="SessionStopReq or the end of the connection within 5 s",
        tags=("negative", "errors"),
    ),
    din_case(
        "ERR-02",
        "9.4.2.4.3",
        "a FAILED response in the loop ends the loop",
        REACTIONS_DIN,
        ends_after(DIN, "CurrentDemandReq", FAILED, allowed=(STOP, "WeldingDetectionReq", "SessionStopReq")),
        failure_ignored("CurrentDemandRes"),
        stimulus="CurrentDemandRes with FAILED",
        expectation="no further CurrentDemandReq, the connection is closed within 5 s",
        tags=("negative", "errors"),
    ),
    din_case(
        "END-01",
        "9.4.1.8.2",
        "the EV closes the connection after SessionStopRes",
        REACTIONS_DIN,
        closes(DIN, reacts_to_fault("EVSE_Shutdown")),
        stays_open(),
        stimulus="EVSE_Shutdown, then OK responses",
        expectation="the connection is closed within 5 s of SessionStopRes",
        tags=("nominal", "stop"),
    ),
    din_case(
        "TIM-01",
        "Table 77, EVCC message time-outs",
        "the EV ends a session without a response after 2 s",
        REACTIONS_DIN,
        silent_response(DIN, "ServiceDiscoveryReq", 1.5, 5.0),
        Mutant(text="the EV ends at once", message="ServiceDiscoveryReq", close_after=True),
        stays_open(),
        stimulus="no ServiceDiscoveryRes",
        expectation="the connection is closed after 1.5 to 5 s",
        tags=("negative", "timers"),
    ),
)
