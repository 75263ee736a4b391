"""Cases for an EV, ISO 15118-2 and DIN SPEC 70121: ISO 15118-2."""

from __future__ import annotations

from emulators.conformance.case import expect
from emulators.conformance.iso15118.ev_access import EvAccess
from emulators.conformance.iso15118.ev_older_case import (
    CPD,
    FAILED,
    NO_CHARGING,
    ONGOING,
    SHORT_ID,
    closes,
    failure_ignored,
    iso2_case,
    keeps_id,
    reacts_to_fault,
    requests_mode,
    selects_payment,
    unnotified,
    waits_for_voltage,
    within_station,
    zero_id,
)
from emulators.conformance.iso15118.ev_procedures import (
    Changes,
    Check,
    ends_after,
    looping,
    reacts,
    repeated,
    requested,
    silent_response,
    until,
)
from emulators.conformance.iso15118.mutation import Mutant, alters, stays_open
from emulators.conformance.iso15118.plain import Plain, find, number
from emulators.conformance.iso15118.profiles import AC_2, DC_2, STOP, Profile
from emulators.conformance.iso15118.requests import physical
from emulators.conformance.iso15118.responses import MAX_A, MAX_W
from protocols.json_values import items, members

SETUP_2, POWER_2, REACTIONS_2 = (
    "ISO 15118-2: session, payment, parameters",
    "ISO 15118-2: power",
    "ISO 15118-2: notifications, errors, timers",
)
EV_DC = "DC_EVChargeParameter"


def _charge_service(fields: Plain) -> str:
    given = [members(one).get("ServiceID") for one in items(find(fields, "SelectedServiceList.SelectedService"))]
    return "" if 1 in given else f"selected services are {given}"


def _limits(fields: Plain) -> str:
    mode = members(fields.get(EV_DC))
    for name in ("EVMaximumCurrentLimit", "EVMaximumVoltageLimit"):
        if not number(mode.get(name)) > 0:
            return f"{name} is {number(mode.get(name)):g}"
    return ""


def _ready(fields: Plain) -> str:
    code = find(fields, "DC_EVStatus.EVErrorCode")
    return "" if code == "NO_ERROR" else f"EVErrorCode is {code}"


def _gentle(fields: Plain) -> str:
    amperes = number(fields.get("EVTargetCurrent"))
    return "" if amperes <= 2.0 else f"EVTargetCurrent of pre-charge is {amperes:g} A"


def _started(fields: Plain) -> str:
    given = fields.get("SAScheduleTupleID")
    return "" if given == 1 else f"SAScheduleTupleID is {given}"


def _profile_within(fields: Plain) -> str:
    for entry in items(find(fields, "ChargingProfile.ProfileEntry")):
        power = number(find(entry, "ChargingProfileEntryMaxPower"))
        if power > MAX_W:
            return f"the charging profile has {power:g} W, PMax {MAX_W:g} W"
    return ""


async def _lowered(device: EvAccess) -> None:
    station = await looping(device, DC_2)
    changes: Changes = {"EVSEMaximumCurrentLimit": physical(8, "A")}
    requests = await station.loops(12, changes)
    amperes = number(requests[-1].fields.get("EVTargetCurrent"))
    expect(amperes <= 9.0, f"EVTargetCurrent is {amperes:g} A, 10 responses after the limit of 8 A")
    await station.finish()


def _notified(profile: Profile, notification: str) -> Changes:
    status = f"{'DC' if profile.dc else 'AC'}_EVSEStatus"
    return {f"{status}.EVSENotification": notification, f"{status}.NotificationMaxDelay": 5}


def _kind(kind: str) -> Check:
    return lambda f: "" if f.get("ChargingSession") == kind else f"ChargingSession is {f.get('ChargingSession')}"


async def _renegotiates(device: EvAccess) -> None:
    station = await looping(device, AC_2)
    request = await until(station, "PowerDeliveryReq", _notified(AC_2, "ReNegotiation"))
    progress = request.fields.get("ChargeProgress")
    expect(progress == "Renegotiate", f"PowerDeliveryReq with {progress}")
    await station.answer(request)
    await station.next(CPD, within_s=10.0)


CASES = (
    iso2_case(
        "SES-01",
        "8.4.3.2.1",
        "a new session is requested with the session id zero",
        SETUP_2,
        zero_id(DC_2),
        Mutant(text="another id than zero", message="SessionSetupReq", header={"SessionID": SHORT_ID}),
        stimulus="SessionSetupReq",
        expectation="a session id of zero",
    ),
    iso2_case(
        "SES-02",
        "8.3.3",
        "requests carry the session id of the SECC, in its length",
        SETUP_2,
        keeps_id(DC_2),
        Mutant(text="the id is padded to eight bytes", message=CPD, header={"SessionID": f"00000000{SHORT_ID}"}),
        stimulus="SessionSetupRes with a session id of four bytes",
        expectation="the same four bytes",
    ),
    iso2_case(
        "PAY-01",
        "8.4.3.5.2",
        "the EV selects a payment option that is offered",
        SETUP_2,
        requested(DC_2, "PaymentServiceSelectionReq", selects_payment),
        alters("PaymentServiceSelectionReq", SelectedPaymentOption="Contract"),
        stimulus="ServiceDiscoveryRes with ExternalPayment alone",
        expectation="ExternalPayment",
    ),
    iso2_case(
        "PAY-02",
        "8.5.2.25",
        "the charge service is among the selected services",
        SETUP_2,
        requested(DC_2, "PaymentServiceSelectionReq", _charge_service),
        alters("PaymentServiceSelectionReq", NO_CHARGING),
        stimulus="ServiceDiscoveryRes",
        expectation="ServiceID 1",
    ),
    iso2_case(
        "AUT-01",
        "8.4.3.7.2",
        "while authorization is Ongoing, AuthorizationReq is repeated",
        SETUP_2,
        repeated(DC_2, "AuthorizationReq", ONGOING),
        Mutant(
            text="Ongoing is not regarded",
            received="AuthorizationRes",
            received_rewrite=lambda f: {**f, "EVSEProcessing": "Finished"},
        ),
        stimulus="AuthorizationRes with Ongoing, three times",
        expectation="AuthorizationReq again",
    ),
    iso2_case(
        "CPD-01",
        "8.4.3.8.2",
        "the requested energy transfer mode is one that is offered",
        SETUP_2,
        requested(DC_2, CPD, requests_mode("RequestedEnergyTransferMode", "DC_extended", "DC_core")),
        alters(CPD, RequestedEnergyTransferMode="DC_unique"),
        stimulus="ServiceDiscoveryRes with DC_extended and DC_core",
        expectation="DC_extended or DC_core",
    ),
    iso2_case(
        "CPD-02",
        "8.5.4.3",
        "the EV states its maximum current and voltage",
        SETUP_2,
        requested(DC_2, CPD, _limits),
        alters(CPD, {f"{EV_DC}.EVMaximumVoltageLimit": physical(0, "V")}),
        stimulus="AuthorizationRes",
        expectation="EVMaximumCurrentLimit and EVMaximumVoltageLimit above 0",
        tags=("nominal", "limits"),
    ),
    iso2_case(
        "CPD-03",
        "8.4.3.8.3",
        "while charge parameter discovery is Ongoing, the request is repeated",
        SETUP_2,
        repeated(DC_2, CPD, ONGOING),
        Mutant(
            text="Ongoing is not regarded",
            received="ChargeParameterDiscoveryRes",
            received_rewrite=lambda f: {**f, "EVSEProcessing": "Finished"},
        ),
        stimulus="ChargeParameterDiscoveryRes with Ongoing, three times",
        expectation="ChargeParameterDiscoveryReq again",
    ),
    iso2_case(
        "CC-01",
        "8.4.5.2.3",
        "while the cable check is Ongoing, CableCheckReq is repeated",
        POWER_2,
        repeated(DC_2, "CableCheckReq", ONGOING),
        Mutant(
            text="Ongoing is not regarded",
            received="CableCheckRes",
            received_rewrite=lambda f: {**f, "EVSEProcessing": "Finished"},
        ),
        stimulus="CableCheckRes with Ongoing, three times",
        expectation="CableCheckReq again",
    ),
    iso2_case(
        "CC-02",
        "8.5.4.2",
        "the EV is ready and without error when it requests the cable check",
        POWER_2,
        requested(DC_2, "CableCheckReq", _ready),
        alters("CableCheckReq", {"DC_EVStatus.EVErrorCode": "FAILED_EVRESSMalfunction"}),
        stimulus="ChargeParameterDiscoveryRes",
        expectation="EVErrorCode NO_ERROR",
    ),
    iso2_case(
        "PC-01",
        "8.4.5.3.2",
        "power is not requested before the voltage of the output matches",
        POWER_2,
        waits_for_voltage(DC_2),
        Mutant(
            text="the voltage is not regarded",
            received="PreChargeRes",
            received_rewrite=lambda f: {**f, "EVSEPresentVoltage": physical(363.3, "V")},
        ),
        stimulus="PreChargeRes with 120 V for 4 s",
        expectation="PreChargeReq, or the end of the session",
        tags=("negative", "limits"),
    ),
    iso2_case(
        "PC-02",
        "8.4.5.3.2",
        "the target current of pre-charge is not above 2 A",
        POWER_2,
        requested(DC_2, "PreChargeReq", _gentle),
        alters("PreChargeReq", EVTargetCurrent=physical(20, "A")),
        stimulus="CableCheckRes",
        expectation="EVTargetCurrent up to 2 A",
        tags=("nominal", "limits"),
    ),
    iso2_case(
        "PD-01",
        "8.4.3.9.2",
        "PowerDelivery(Start) refers to an offered schedule tuple",
        POWER_2,
        requested(DC_2, "PowerDeliveryReq", _started),
        alters("PowerDeliveryReq", SAScheduleTupleID=9),
        stimulus="ChargeParameterDiscoveryRes with the tuple 1 alone",
        expectation="SAScheduleTupleID 1",
        tags=("nominal", "schedules"),
    ),
    iso2_case(
        "PD-02",
        224,
        "the charging profile is not above PMax",
        POWER_2,
        requested(AC_2, "PowerDeliveryReq", _profile_within),
        alters(
            "PowerDeliveryReq",
            {"ChargingProfile.ProfileEntry.0.ChargingProfileEntryMaxPower": physical(90_000, "W")},
        ),
        profile=AC_2,
        stimulus=f"a schedule of {MAX_W:g} W",
        expectation=f"no entry above {MAX_W:g} W",
        tags=("nominal", "schedules", "limits"),
    ),
    iso2_case(
        "LOOP-01",
        "8.4.5.4.2",
        "EVTargetCurrent is within the limits of the EVSE",
        POWER_2,
        within_station(DC_2),
        alters("CurrentDemandReq", EVTargetCurrent=physical(300, "A")),
        alters("CurrentDemandReq", EVTargetCurrent=physical(-20, "A")),
        stimulus=f"limits of {MAX_A:g} A",
        expectation=f"0 to {MAX_A:g} A",
        tags=("nominal", "limits", "energy-direction"),
    ),
    iso2_case(
        "LOOP-02",
        "8.4.5.4.3",
        "the EV follows a limit that the EVSE lowers in the loop",
        POWER_2,
        _lowered,
        Mutant(
            text="EVTargetCurrent stays",
            message="CurrentDemandReq",
            first=3,
            rewrite=lambda f: {**f, "EVTargetCurrent": physical(40, "A")},
        ),
        stimulus="CurrentDemandRes with EVSEMaximumCurrentLimit 8 A",
        expectation="EVTargetCurrent up to 8 A (1 A tolerance) ten responses later",
        tags=("nominal", "limits"),
    ),
    iso2_case(
        "NOT-01",
        "8.5.3.1",
        "StopCharging: PowerDelivery(Stop), then SessionStop(Terminate)",
        REACTIONS_2,
        reacts(DC_2, _notified(DC_2, "StopCharging"), STOP, "SessionStopReq", check=_kind("Terminate")),
        unnotified(DC_2, "StopCharging"),
        stimulus="CurrentDemandRes with the notification StopCharging",
        expectation="PowerDelivery(Stop) within 20 s, SessionStop(Terminate)",
        tags=("nominal", "stop"),
    ),
    iso2_case(
        "NOT-02",
        "8.5.3.1",
        "AC: StopCharging ends the loop",
        REACTIONS_2,
        reacts(AC_2, _notified(AC_2, "StopCharging"), STOP, "SessionStopReq"),
        unnotified(AC_2, "StopCharging"),
        profile=AC_2,
        stimulus="ChargingStatusRes with the notification StopCharging",
        expectation="PowerDelivery(Stop) within 20 s, SessionStopReq",
        tags=("nominal", "stop"),
    ),
    iso2_case(
        "NOT-03",
        813,
        "ReNegotiation: PowerDelivery(Renegotiate), then ChargeParameterDiscoveryReq",
        REACTIONS_2,
        _renegotiates,
        unnotified(AC_2, "ReNegotiation"),
        profile=AC_2,
        stimulus="ChargingStatusRes with the notification ReNegotiation",
        expectation="PowerDelivery(Renegotiate) within 20 s, ChargeParameterDiscoveryReq",
        tags=("nominal", "renegotiation"),
        requires=("iso2.renegotiation",),
    ),
    iso2_case(
        "NOT-04",
        "8.5.4.1",
        "EVSE_Shutdown ends the loop",
        REACTIONS_2,
        reacts(DC_2, reacts_to_fault("EVSE_Shutdown"), STOP),
        unnotified(DC_2, "EVSE_Shutdown"),
        stimulus="CurrentDemandRes with EVSE_Shutdown",
        expectation="PowerDelivery(Stop) within 20 s",
        tags=("nominal", "stop"),
    ),
    iso2_case(
        "ERR-01",
        735,
        "a FAILED response before power ends the session",
        REACTIONS_2,
        ends_after(DC_2, "ServiceDiscoveryReq", FAILED, allowed=("SessionStopReq",)),
        failure_ignored("ServiceDiscoveryRes"),
        stimulus="ServiceDiscoveryRes with FAILED",
        expectation="SessionStopReq or the end of the connection within 5 s",
        tags=("negative", "errors"),
    ),
    iso2_case(
        "ERR-02",
        "8.4.5.4.3",
        "a FAILED response in the loop ends the loop",
        REACTIONS_2,
        ends_after(DC_2, "CurrentDemandReq", FAILED, allowed=(STOP, "WeldingDetectionReq", "SessionStopReq")),
        failure_ignored("CurrentDemandRes"),
        stimulus="CurrentDemandRes with FAILED",
        expectation="no further CurrentDemandReq, the connection is closed within 5 s",
        tags=("negative", "errors"),
    ),
    iso2_case(
        "END-01",
        "8.4.3.12.2",
        "the EV closes the connection after SessionStopRes",
        REACTIONS_2,
        closes(DC_2, _notified(DC_2, "StopCharging")),
        stays_open(),
        stimulus="the notification StopCharging, then OK responses",
        expectation="the connection is closed within 5 s of SessionStopRes",
        tags=("nominal", "stop"),
    ),
    iso2_case(
        "TIM-01",
        "Table 109, EVCC message time-out",
        "the EV ends a session without a response after 2 s",
        REACTIONS_2,
        silent_response(DC_2, "ServiceDiscoveryReq", 1.5, 5.0),
        Mutant(text="the EV ends at once", message="ServiceDiscoveryReq", close_after=True),
        stays_open(),
        stimulus="no ServiceDiscoveryRes",
        expectation="the connection is closed after 1.5 to 5 s",
        tags=("negative", "timers"),
    ),
)
