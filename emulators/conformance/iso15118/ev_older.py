"""Cases for an EV: ISO 15118-2 and DIN SPEC 70121."""

from __future__ import annotations

from emulators.conformance.case import Requirement, expect
from emulators.conformance.iso15118.ev_access import EvAccess
from emulators.conformance.iso15118.ev_procedures import (
    Changes,
    Check,
    EvCase,
    Procedure,
    ended,
    ends_after,
    ev_case,
    looping,
    reacts,
    repeated,
    requested,
    silent_response,
    until,
)
from emulators.conformance.iso15118.mutation import Mutant, alters, stays_open
from emulators.conformance.iso15118.plain import Plain, changed, find, number
from emulators.conformance.iso15118.profiles import AC_2, DC_2, DIN, STOP, Profile
from emulators.conformance.iso15118.requests import physical
from emulators.conformance.iso15118.responses import MAX_A, MAX_W
from emulators.conformance.iso15118.secc_procedures import DIN70121, ISO2
from protocols.json_values import items, members

SETUP_2, POWER_2, REACTIONS_2 = (
    "ISO 15118-2: session, payment, parameters",
    "ISO 15118-2: power",
    "ISO 15118-2: notifications, errors, timers",
)
SETUP_DIN, REACTIONS_DIN = "DIN SPEC 70121: session, payment, parameters", "DIN SPEC 70121: power, errors, timers"
CPD = "ChargeParameterDiscoveryReq"
EV_DC = "DC_EVChargeParameter"
SHORT_ID = "A1B2C3D4"
ONGOING: Plain = {"EVSEProcessing": "Ongoing"}
FAILED: Plain = {"ResponseCode": "FAILED"}
STATUS = "DC_EVSEStatus"


def _case(
    id: str,
    reference: int | str,
    rule: str,
    feature: str,
    procedure: Procedure,
    *mutants: Mutant,
    profile: Profile = DC_2,
    stimulus: str,
    expectation: str,
    tags: tuple[str, ...] = ("nominal",),
    requires: tuple[str, ...] = (),
) -> EvCase:
    din = profile.protocol == "din"
    prefix = "V2G-DC" if din else "V2G2"
    clause = f"[{prefix}-{reference}]" if isinstance(reference, int) else reference
    return ev_case(
        f"EV-{'DIN' if din else '2'}-{id}",
        Requirement(DIN70121 if din else ISO2, clause, rule),
        feature,
        procedure,
        *mutants,
        profile=profile,
        stimulus=stimulus,
        expectation=expectation,
        tags=tags,
        requires=requires,
    )


def _zero(profile: Profile) -> Procedure:
    async def procedure(device: EvAccess) -> None:
        station = await device.station(profile)
        request = await station.reach("SessionSetupReq")
        expect(not request.session_id.strip("0"), f"the session id is {request.session_id}")
        await station.finish()

    return procedure


def _keeps(profile: Profile) -> Procedure:
    async def procedure(device: EvAccess) -> None:
        station = await device.station(profile)
        station.state.session_id = SHORT_ID
        request = await station.reach(CPD)
        expect(
            request.session_id == SHORT_ID, f"{request.name} has the session id {request.session_id}, not {SHORT_ID}"
        )
        await station.finish()

    return procedure


def _payment(fields: Plain) -> str:
    given = fields.get("SelectedPaymentOption")
    return "" if given == "ExternalPayment" else f"SelectedPaymentOption is {given}"


def _charge_service(fields: Plain) -> str:
    given = [members(one).get("ServiceID") for one in items(find(fields, "SelectedServiceList.SelectedService"))]
    return "" if 1 in given else f"selected services are {given}"


def _only_charge_service(fields: Plain) -> str:
    given = [members(one).get("ServiceID") for one in items(find(fields, "SelectedServiceList.SelectedService"))]
    return "" if given == [1] else f"selected services are {given}"


def _mode(name: str, *known: str) -> Check:
    return lambda f: "" if f.get(name) in known else f"{name} is {f.get(name)}"


def _limits(fields: Plain) -> str:
    mode = members(fields.get(EV_DC))
    for name in ("EVMaximumCurrentLimit", "EVMaximumVoltageLimit"):
        if not number(mode.get(name)) > 0:
            return f"{name} is {number(mode.get(name)):g}"
    return ""


def _ready(fields: Plain) -> str:
    code = find(fields, "DC_EVStatus.EVErrorCode")
    return "" if code == "NO_ERROR" else f"EVErrorCode is {code}"


def _waits_for_voltage(profile: Profile) -> Procedure:
    async def procedure(device: EvAccess) -> None:
        station = await device.station(profile)
        request = await station.reach("PreChargeReq")
        began = station.now
        while station.now - began < 4.0:
            await station.answer(request, {"EVSEPresentVoltage": physical(120, "V")})
            following = await station.receive(5.0)
            if following is None or station.step_of(following) in (STOP, "SessionStopReq"):
                return
            expect(following.name == "PreChargeReq", f"{following.name} at 120 V")
            request = following
        await station.finish()

    return procedure


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


def _within_station(profile: Profile) -> Procedure:
    async def procedure(device: EvAccess) -> None:
        station = await device.station(profile)
        await station.reach(profile.loop)
        for request in await station.loops(5):
            amperes = number(request.fields.get("EVTargetCurrent"))
            expect(0 <= amperes <= MAX_A, f"EVTargetCurrent is {amperes:g} A, the limit of the EVSE {MAX_A:g} A")
        await station.finish()

    return procedure


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


def _fault(code: str) -> Changes:
    return {f"{STATUS}.EVSEStatusCode": code}


def _unnotified(profile: Profile, what: str) -> Mutant:
    """Return a mutant that receives the status of an ordinary loop."""
    status = f"{'DC' if profile.dc else 'AC'}_EVSEStatus"
    good: Plain = {f"{status}.EVSENotification": "None"}
    good |= {f"{status}.EVSEStatusCode": "EVSE_Ready"} if profile.dc else {}
    return Mutant(
        text=f"{what} is not regarded",
        received=f"{profile.loop[:-3]}Res",
        received_rewrite=lambda f: changed(f, good),
    )


def _ignored(response: str) -> Mutant:
    return Mutant(
        text=f"FAILED in {response} is not regarded",
        received=response,
        received_rewrite=lambda f: {**f, "ResponseCode": "OK"},
    )


def _kind(kind: str) -> Check:
    return lambda f: "" if f.get("ChargingSession") == kind else f"ChargingSession is {f.get('ChargingSession')}"


async def _renegotiates(device: EvAccess) -> None:
    station = await looping(device, AC_2)
    request = await until(station, "PowerDeliveryReq", _notified(AC_2, "ReNegotiation"))
    progress = request.fields.get("ChargeProgress")
    expect(progress == "Renegotiate", f"PowerDeliveryReq with {progress}")
    await station.answer(request)
    await station.next(CPD, within_s=10.0)


def _closes(profile: Profile, stop: Changes) -> Procedure:
    async def procedure(device: EvAccess) -> None:
        station = await looping(device, profile)
        request = await until(station, STOP, stop)
        while request.name != "SessionStopReq":
            await station.answer(request)
            request = await station.next(within_s=10.0)
        await station.answer(request)
        await ended(station)

    return procedure


async def _no_negotiation(device: EvAccess) -> None:
    station = await device.station(DIN)
    await station.handshake("Failed_NoNegotiation")
    await ended(station)


_NO_CHARGING: Plain = {"SelectedServiceList.SelectedService": [{"ServiceID": 3}]}

ISO2_CASES = (
    _case(
        "SES-01",
        "8.4.3.2.1",
        "a new session is requested with the session id zero",
        SETUP_2,
        _zero(DC_2),
        Mutant(text="another id than zero", message="SessionSetupReq", header={"SessionID": SHORT_ID}),
        stimulus="SessionSetupReq",
        expectation="a session id of zero",
    ),
    _case(
        "SES-02",
        "8.3.3",
        "requests carry the session id of the SECC, in its length",
        SETUP_2,
        _keeps(DC_2),
        Mutant(text="the id is padded to eight bytes", message=CPD, header={"SessionID": f"00000000{SHORT_ID}"}),
        stimulus="SessionSetupRes with a session id of four bytes",
        expectation="the same four bytes",
    ),
    _case(
        "PAY-01",
        "8.4.3.5.2",
        "the EV selects a payment option that is offered",
        SETUP_2,
        requested(DC_2, "PaymentServiceSelectionReq", _payment),
        alters("PaymentServiceSelectionReq", SelectedPaymentOption="Contract"),
        stimulus="ServiceDiscoveryRes with ExternalPayment alone",
        expectation="ExternalPayment",
    ),
    _case(
        "PAY-02",
        "8.5.2.25",
        "the charge service is among the selected services",
        SETUP_2,
        requested(DC_2, "PaymentServiceSelectionReq", _charge_service),
        alters("PaymentServiceSelectionReq", _NO_CHARGING),
        stimulus="ServiceDiscoveryRes",
        expectation="ServiceID 1",
    ),
    _case(
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
    _case(
        "CPD-01",
        "8.4.3.8.2",
        "the requested energy transfer mode is one that is offered",
        SETUP_2,
        requested(DC_2, CPD, _mode("RequestedEnergyTransferMode", "DC_extended", "DC_core")),
        alters(CPD, RequestedEnergyTransferMode="DC_unique"),
        stimulus="ServiceDiscoveryRes with DC_extended and DC_core",
        expectation="DC_extended or DC_core",
    ),
    _case(
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
    _case(
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
    _case(
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
    _case(
        "CC-02",
        "8.5.4.2",
        "the EV is ready and without error when it requests the cable check",
        POWER_2,
        requested(DC_2, "CableCheckReq", _ready),
        alters("CableCheckReq", {"DC_EVStatus.EVErrorCode": "FAILED_EVRESSMalfunction"}),
        stimulus="ChargeParameterDiscoveryRes",
        expectation="EVErrorCode NO_ERROR",
    ),
    _case(
        "PC-01",
        "8.4.5.3.2",
        "power is not requested before the voltage of the output matches",
        POWER_2,
        _waits_for_voltage(DC_2),
        Mutant(
            text="the voltage is not regarded",
            received="PreChargeRes",
            received_rewrite=lambda f: {**f, "EVSEPresentVoltage": physical(363.3, "V")},
        ),
        stimulus="PreChargeRes with 120 V for 4 s",
        expectation="PreChargeReq, or the end of the session",
        tags=("negative", "limits"),
    ),
    _case(
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
    _case(
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
    _case(
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
    _case(
        "LOOP-01",
        "8.4.5.4.2",
        "EVTargetCurrent is within the limits of the EVSE",
        POWER_2,
        _within_station(DC_2),
        alters("CurrentDemandReq", EVTargetCurrent=physical(300, "A")),
        alters("CurrentDemandReq", EVTargetCurrent=physical(-20, "A")),
        stimulus=f"limits of {MAX_A:g} A",
        expectation=f"0 to {MAX_A:g} A",
        tags=("nominal", "limits", "energy-direction"),
    ),
    _case(
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
    _case(
        "NOT-01",
        "8.5.3.1",
        "StopCharging: PowerDelivery(Stop), then SessionStop(Terminate)",
        REACTIONS_2,
        reacts(DC_2, _notified(DC_2, "StopCharging"), STOP, "SessionStopReq", check=_kind("Terminate")),
        _unnotified(DC_2, "StopCharging"),
        stimulus="CurrentDemandRes with the notification StopCharging",
        expectation="PowerDelivery(Stop) within 20 s, SessionStop(Terminate)",
        tags=("nominal", "stop"),
    ),
    _case(
        "NOT-02",
        "8.5.3.1",
        "AC: StopCharging ends the loop",
        REACTIONS_2,
        reacts(AC_2, _notified(AC_2, "StopCharging"), STOP, "SessionStopReq"),
        _unnotified(AC_2, "StopCharging"),
        profile=AC_2,
        stimulus="ChargingStatusRes with the notification StopCharging",
        expectation="PowerDelivery(Stop) within 20 s, SessionStopReq",
        tags=("nominal", "stop"),
    ),
    _case(
        "NOT-03",
        813,
        "ReNegotiation: PowerDelivery(Renegotiate), then ChargeParameterDiscoveryReq",
        REACTIONS_2,
        _renegotiates,
        _unnotified(AC_2, "ReNegotiation"),
        profile=AC_2,
        stimulus="ChargingStatusRes with the notification ReNegotiation",
        expectation="PowerDelivery(Renegotiate) within 20 s, ChargeParameterDiscoveryReq",
        tags=("nominal", "renegotiation"),
        requires=("iso2.renegotiation",),
    ),
    _case(
        "NOT-04",
        "8.5.4.1",
        "EVSE_Shutdown ends the loop",
        REACTIONS_2,
        reacts(DC_2, _fault("EVSE_Shutdown"), STOP),
        _unnotified(DC_2, "EVSE_Shutdown"),
        stimulus="CurrentDemandRes with EVSE_Shutdown",
        expectation="PowerDelivery(Stop) within 20 s",
        tags=("nominal", "stop"),
    ),
    _case(
        "ERR-01",
        735,
        "a FAILED response before power ends the session",
        REACTIONS_2,
        ends_after(DC_2, "ServiceDiscoveryReq", FAILED, allowed=("SessionStopReq",)),
        _ignored("ServiceDiscoveryRes"),
        stimulus="ServiceDiscoveryRes with FAILED",
        expectation="SessionStopReq or the end of the connection within 5 s",
        tags=("negative", "errors"),
    ),
    _case(
        "ERR-02",
        "8.4.5.4.3",
        "a FAILED response in the loop ends the loop",
        REACTIONS_2,
        ends_after(DC_2, "CurrentDemandReq", FAILED, allowed=(STOP, "WeldingDetectionReq", "SessionStopReq")),
        _ignored("CurrentDemandRes"),
        stimulus="CurrentDemandRes with FAILED",
        expectation="no further CurrentDemandReq, the connection is closed within 5 s",
        tags=("negative", "errors"),
    ),
    _case(
        "END-01",
        "8.4.3.12.2",
        "the EV closes the connection after SessionStopRes",
        REACTIONS_2,
        _closes(DC_2, _notified(DC_2, "StopCharging")),
        stays_open(),
        stimulus="the notification StopCharging, then OK responses",
        expectation="the connection is closed within 5 s of SessionStopRes",
        tags=("nominal", "stop"),
    ),
    _case(
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

DIN_CASES = (
    _case(
        "SAP-01",
        "9.2.1",
        "after Failed_NoNegotiation the EV ends the connection",
        SETUP_DIN,
        _no_negotiation,
        stays_open(),
        profile=DIN,
        stimulus="supportedAppProtocolRes with Failed_NoNegotiation",
        expectation="no further request, the connection is closed within 5 s",
        tags=("negative", "errors"),
    ),
    _case(
        "SES-01",
        "9.4.1.2.2",
        "a new session is requested with the session id zero",
        SETUP_DIN,
        _zero(DIN),
        Mutant(text="another id than zero", message="SessionSetupReq", header={"SessionID": SHORT_ID}),
        profile=DIN,
        stimulus="SessionSetupReq",
        expectation="a session id of zero",
    ),
    _case(
        "SES-02",
        "9.3.3",
        "requests carry the session id of the SECC, in its length",
        SETUP_DIN,
        _keeps(DIN),
        Mutant(text="the id is padded to eight bytes", message=CPD, header={"SessionID": f"00000000{SHORT_ID}"}),
        profile=DIN,
        stimulus="SessionSetupRes with a session id of four bytes",
        expectation="the same four bytes",
    ),
    _case(
        "PAY-01",
        252,
        "the EV selects external payment",
        SETUP_DIN,
        requested(DIN, "ServicePaymentSelectionReq", _payment),
        alters("ServicePaymentSelectionReq", SelectedPaymentOption="Contract"),
        profile=DIN,
        stimulus="ServiceDiscoveryRes",
        expectation="ExternalPayment",
    ),
    _case(
        "PAY-02",
        "9.4.1.4.2",
        "the charge service alone is selected",
        SETUP_DIN,
        requested(DIN, "ServicePaymentSelectionReq", _only_charge_service),
        alters("ServicePaymentSelectionReq", _NO_CHARGING),
        profile=DIN,
        stimulus="ServiceDiscoveryRes",
        expectation="ServiceID 1",
    ),
    _case(
        "CPD-01",
        625,
        "the requested energy transfer type is DC_core or DC_extended",
        SETUP_DIN,
        requested(DIN, CPD, _mode("EVRequestedEnergyTransferType", "DC_extended", "DC_core")),
        alters(CPD, EVRequestedEnergyTransferType="DC_combo_core"),
        profile=DIN,
        stimulus="ServiceDiscoveryRes with DC_extended",
        expectation="DC_extended or DC_core",
    ),
    _case(
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
        profile=DIN,
        stimulus="ContractAuthenticationRes with Ongoing, three times",
        expectation="ContractAuthenticationReq again",
    ),
    _case(
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
        profile=DIN,
        stimulus="CableCheckRes with Ongoing, three times",
        expectation="the same CableCheckReq again",
    ),
    _case(
        "PC-01",
        "9.4.2.3.2",
        "power is not requested before the voltage of the output matches",
        REACTIONS_DIN,
        _waits_for_voltage(DIN),
        Mutant(
            text="the voltage is not regarded",
            received="PreChargeRes",
            received_rewrite=lambda f: {**f, "EVSEPresentVoltage": physical(363.3, "V")},
        ),
        profile=DIN,
        stimulus="PreChargeRes with 120 V for 4 s",
        expectation="PreChargeReq, or the end of the session",
        tags=("negative", "limits"),
    ),
    _case(
        "LOOP-01",
        "9.4.2.4.2",
        "EVTargetCurrent is within the limits of the EVSE",
        REACTIONS_DIN,
        _within_station(DIN),
        alters("CurrentDemandReq", EVTargetCurrent=physical(300, "A")),
        profile=DIN,
        stimulus=f"limits of {MAX_A:g} A",
        expectation=f"0 to {MAX_A:g} A",
        tags=("nominal", "limits"),
    ),
    _case(
        "NOT-01",
        "9.5.3.1",
        "EVSE_Shutdown ends the loop: PowerDelivery with ReadyToChargeState false, then SessionStopReq",
        REACTIONS_DIN,
        reacts(DIN, _fault("EVSE_Shutdown"), STOP, "SessionStopReq"),
        _unnotified(DIN, "EVSE_Shutdown"),
        profile=DIN,
        stimulus="CurrentDemandRes with EVSE_Shutdown",
        expectation="ReadyToChargeState false within 20 s, SessionStopReq",
        tags=("nominal", "stop"),
    ),
    _case(
        "ERR-01",
        "9.6.3",
        "a FAILED response before power ends the session",
        REACTIONS_DIN,
        ends_after(DIN, "ServiceDiscoveryReq", FAILED, allowed=("SessionStopReq",)),
        _ignored("ServiceDiscoveryRes"),
        profile=DIN,
        stimulus="ServiceDiscoveryRes with FAILED",
        expectation="SessionStopReq or the end of the connection within 5 s",
        tags=("negative", "errors"),
    ),
    _case(
        "ERR-02",
        "9.4.2.4.3",
        "a FAILED response in the loop ends the loop",
        REACTIONS_DIN,
        ends_after(DIN, "CurrentDemandReq", FAILED, allowed=(STOP, "WeldingDetectionReq", "SessionStopReq")),
        _ignored("CurrentDemandRes"),
        profile=DIN,
        stimulus="CurrentDemandRes with FAILED",
        expectation="no further CurrentDemandReq, the connection is closed within 5 s",
        tags=("negative", "errors"),
    ),
    _case(
        "END-01",
        "9.4.1.8.2",
        "the EV closes the connection after SessionStopRes",
        REACTIONS_DIN,
        _closes(DIN, _fault("EVSE_Shutdown")),
        stays_open(),
        profile=DIN,
        stimulus="EVSE_Shutdown, then OK responses",
        expectation="the connection is closed within 5 s of SessionStopRes",
        tags=("nominal", "stop"),
    ),
    _case(
        "TIM-01",
        "Table 77, EVCC message time-outs",
        "the EV ends a session without a response after 2 s",
        REACTIONS_DIN,
        silent_response(DIN, "ServiceDiscoveryReq", 1.5, 5.0),
        Mutant(text="the EV ends at once", message="ServiceDiscoveryReq", close_after=True),
        stays_open(),
        profile=DIN,
        stimulus="no ServiceDiscoveryRes",
        expectation="the connection is closed after 1.5 to 5 s",
        tags=("negative", "timers"),
    ),
)

CASES: tuple[EvCase, ...] = (*ISO2_CASES, *DIN_CASES)
