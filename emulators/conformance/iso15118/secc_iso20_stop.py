"""Cases for a SECC: renegotiation, pause, end and timers of ISO 15118-20."""

from __future__ import annotations

from emulators.conformance.case import Requirement, expect
from emulators.conformance.iso15118.mutation import Mutant, accepts, delays, drops, refuses, stays_open
from emulators.conformance.iso15118.plain import Plain, encoded
from emulators.conformance.iso15118.profiles import AC_BPT, DC_BPT, DC_BPT_SCHEDULED, STOP, Profile
from emulators.conformance.iso15118.requests import EVCCID_20
from emulators.conformance.iso15118.secc_access import SeccAccess
from emulators.conformance.iso15118.secc_procedures import (
    ISO20,
    SEQUENCE_ERROR,
    Procedure,
    SeccCase,
    closed,
    refused,
    secc_case,
)
from emulators.conformance.iso15118.vehicle import Vehicle
from protocols.v2gtp import PayloadType

RENEGOTIATION, PAUSE, END, TIMERS = (
    "ISO 15118-20: renegotiation",
    "ISO 15118-20: pause",
    "ISO 15118-20: end of a session",
    "ISO 15118-20: timers",
)
CPD = "DC_ChargeParameterDiscoveryReq"
SCHEDULE = "ScheduleExchangeReq"
PAUSED: Plain = {"ChargingSession": "Pause"}
SERVICES: Plain = {"ChargingSession": "ServiceRenegotiation"}
NO_RENEGOTIATION = "FAILED_NoServiceRenegotiationSupported"
STREAM, COMMON = int(PayloadType.ISO20_SCHEDULE_STREAM), int(PayloadType.ISO20_COMMON)
SLOW = {"ServiceDetailReq", "CertificateInstallationReq"}
ANSWER_S, SLOW_S, LOOP_S = 1.5, 4.5, 0.25
SEQUENCE_S, LOOP_SEQUENCE_S, SETUP_S = 60.0, 0.5, 20.0
LATE_S = 5.0  # tolerance of the tester for a connection that ends by a timer


def _case(
    id: str,
    reference: str,
    rule: str,
    feature: str,
    procedure: Procedure,
    *mutants: Mutant,
    profile: Profile = DC_BPT,
    before: str = "",
    stimulus: str,
    expectation: str,
    tags: tuple[str, ...] = ("nominal",),
    requires: tuple[str, ...] = (),
    within_s: float = 120.0,
) -> SeccCase:
    return secc_case(
        f"SECC-20-{id}",
        Requirement(ISO20, reference, rule),
        feature,
        procedure,
        *mutants,
        profile=profile,
        before=before,
        stimulus=stimulus,
        expectation=expectation,
        tags=tags,
        requires=requires,
        within_s=within_s,
    )


# renegotiation -------------------------------------------------------------------------------------------------------


async def _looping(device: SeccAccess, profile: Profile) -> Vehicle:
    vehicle = await device.reach(profile, profile.loop)
    await vehicle.loop()
    return vehicle


async def _parallel(device: SeccAccess) -> None:
    vehicle = await _looping(device, DC_BPT_SCHEDULED)
    response = await vehicle.exchange(SCHEDULE, vehicle.message(SCHEDULE), STREAM)
    expect(response.code.startswith("OK"), f"ScheduleExchangeRes has the code {response.code}")
    expect(response.payload_type == STREAM, f"the payload type is {response.payload_type:#06x}, not {STREAM:#06x}")


async def _loop_goes_on(device: SeccAccess) -> None:
    vehicle = await _looping(device, DC_BPT_SCHEDULED)
    await vehicle.exchange(SCHEDULE, vehicle.message(SCHEDULE), STREAM)
    for _ in range(3):
        response = await vehicle.loop()
        expect(response.code.startswith("OK"), f"DC_ChargeLoopRes has the code {response.code}")


async def _on_main_stream(device: SeccAccess) -> None:
    vehicle = await _looping(device, DC_BPT_SCHEDULED)
    response = await vehicle.exchange(SCHEDULE, vehicle.message(SCHEDULE))
    expect(response.code == SEQUENCE_ERROR, f"ScheduleExchangeRes has the code {response.code}")


async def _new_profile(device: SeccAccess) -> None:
    vehicle = await _looping(device, DC_BPT_SCHEDULED)
    response = await vehicle.exchange(SCHEDULE, vehicle.message(SCHEDULE), STREAM)
    vehicle.state.learn("ScheduleExchangeRes", response.fields)
    response = await vehicle.request("PowerDeliveryReq", {"ChargeProgress": "ScheduleRenegotiation"})
    expect(response.code.startswith("OK"), f"PowerDeliveryRes has the code {response.code}")
    response = await vehicle.loop()
    expect(response.code.startswith("OK"), f"DC_ChargeLoopRes has the code {response.code}")


_METERING: Plain = {
    "MeteringConfirmationReq": {
        "SignedMeteringData": {
            "Id": "id1",
            "SessionID": "1122334455667788",
            "MeterInfo": {"MeterID": "meter", "ChargedEnergyReadingWh": 123_456},
            "Dynamic_SMDTControlMode": {},
        }
    }
}


async def _unsigned_metering(device: SeccAccess) -> None:
    vehicle = await _looping(device, DC_BPT)
    header = {"SessionID": vehicle.state.session_id, "TimeStamp": vehicle.state.timestamp}
    body = _METERING["MeteringConfirmationReq"]
    assert isinstance(body, dict)
    plain: Plain = {"MeteringConfirmationReq": {"Header": header, **body}}
    kind = int(PayloadType.ISO20_METERING_STREAM)
    response = await vehicle.exchange("MeteringConfirmationReq", plain, kind)
    expect(response.code.startswith("FAILED"), f"MeteringConfirmationRes has the code {response.code}")


async def _to_services(device: SeccAccess) -> Vehicle:
    vehicle = await device.reach(DC_BPT, "SessionStopReq")
    response = await vehicle.request("SessionStopReq", SERVICES)
    expect(response.code == "OK", f"SessionStopRes has the code {response.code}")
    return vehicle


async def _services_again(device: SeccAccess) -> None:
    vehicle = await _to_services(device)
    response = await vehicle.request("ServiceDiscoveryReq")
    expect(response.code == "OK", f"ServiceDiscoveryRes has the code {response.code}")


async def _opens_services(device: SeccAccess) -> None:
    await _to_services(device)


async def _same_session(device: SeccAccess) -> None:
    vehicle = await _to_services(device)
    given = vehicle.state.session_id
    for step in ("ServiceDiscoveryReq", "ServiceDetailReq", "ServiceSelectionReq", CPD):
        response = await vehicle.request(step)
        expect(response.code.startswith("OK"), f"{response.name} has the code {response.code}")
        expect(response.session_id == given, f"{response.name} has the session id {response.session_id}")


async def _no_authorization(device: SeccAccess) -> None:
    vehicle = await device.reach(DC_BPT, "AuthorizationReq")
    response = await vehicle.request("SessionStopReq", SERVICES)
    if response.code.startswith("FAILED"):
        return
    await vehicle.connection.send("ServiceDiscoveryReq", vehicle.message("ServiceDiscoveryReq"))
    following = await vehicle.connection.receive(5.0)
    offered = following is not None and following.code.startswith("OK")
    expect(not offered, "services are offered to an EV that is not authorized")


_STOPPED = encoded(
    "iso20",
    {"SessionStopRes": {"Header": {"SessionID": "1122334455667788", "TimeStamp": 1}, "ResponseCode": "OK"}},
)

RENEGOTIATION_CASES = (
    _case(
        "REN-01",
        "8.3.4.3.7.2",
        "in the loop a schedule exchange runs in its own stream, payload type 0x8101",
        RENEGOTIATION,
        _parallel,
        Mutant(
            text="the response has the payload type 0x8002",
            message="ScheduleExchangeRes",
            first=2,
            payload_type=COMMON,
        ),
        refuses("ScheduleExchangeRes", SEQUENCE_ERROR, first=2),
        profile=DC_BPT_SCHEDULED,
        before="DC_ChargeLoopReq",
        stimulus="ScheduleExchangeReq with payload type 0x8101 in the loop",
        expectation="ScheduleExchangeRes with OK and payload type 0x8101",
        tags=("nominal", "renegotiation"),
    ),
    _case(
        "REN-02",
        "8.3.4.5.5.2",
        "the charge loop goes on during a schedule exchange",
        RENEGOTIATION,
        _loop_goes_on,
        refuses("DC_ChargeLoopRes", SEQUENCE_ERROR, first=2),
        profile=DC_BPT_SCHEDULED,
        before="DC_ChargeLoopReq",
        stimulus="ScheduleExchangeReq with payload type 0x8101, then three DC_ChargeLoopReq",
        expectation="OK each time",
        tags=("nominal", "renegotiation"),
    ),
    _case(
        "REN-03",
        "8.3.4.3.7.2",
        "in the loop a schedule exchange in the main stream is a sequence error",
        RENEGOTIATION,
        _on_main_stream,
        Mutant(
            text="a second exchange in the main stream is accepted",
            message="ScheduleExchangeRes",
            first=2,
            rewrite=lambda f: {**f, "ResponseCode": "OK"},
        ),
        profile=DC_BPT_SCHEDULED,
        before="DC_ChargeLoopReq",
        stimulus="ScheduleExchangeReq with payload type 0x8002 in the loop",
        expectation=SEQUENCE_ERROR,
        tags=("negative", "renegotiation"),
    ),
    _case(
        "REN-04",
        "8.3.4.3.8.2",
        "PowerDelivery(ScheduleRenegotiation) with the new power profile ends the renegotiation",
        RENEGOTIATION,
        _new_profile,
        refuses("PowerDeliveryRes", SEQUENCE_ERROR, first=2),
        profile=DC_BPT_SCHEDULED,
        before="DC_ChargeLoopReq",
        stimulus="a schedule exchange in the loop, PowerDeliveryReq with ScheduleRenegotiation, DC_ChargeLoopReq",
        expectation="OK each time",
        tags=("nominal", "renegotiation"),
    ),
    _case(
        "REN-05",
        "8.3.4.3.11.3",
        "a metering confirmation without a valid signature is refused",
        RENEGOTIATION,
        _unsigned_metering,
        accepts("MeteringConfirmationRes"),
        before="DC_ChargeLoopReq",
        stimulus="MeteringConfirmationReq of another session without a signature, payload type 0x8102",
        expectation="a FAILED code",
        tags=("negative",),
    ),
    _case(
        "REN-06",
        "[V2G20-1477]",
        "after SessionStop(ServiceRenegotiation) ServiceDiscoveryReq is due on the same connection",
        RENEGOTIATION,
        _services_again,
        Mutant(
            text="the second ServiceDiscoveryReq is a sequence error",
            message="ServiceDiscoveryRes",
            first=2,
            rewrite=lambda f: {**f, "ResponseCode": SEQUENCE_ERROR},
        ),
        before="SessionStopReq",
        stimulus="SessionStopReq with ServiceRenegotiation, then ServiceDiscoveryReq",
        expectation="OK each time",
        tags=("nominal", "renegotiation"),
        requires=("iso20.service_renegotiation",),
    ),
    _case(
        "REN-07",
        "[V2G20-1956]",
        "SessionStop(ServiceRenegotiation) is accepted where ServiceDiscoveryRes states its support",
        RENEGOTIATION,
        _opens_services,
        refuses("SessionStopRes", NO_RENEGOTIATION),
        before="SessionStopReq",
        stimulus="SessionStopReq with ServiceRenegotiation",
        expectation="OK",
        tags=("nominal", "renegotiation"),
        requires=("iso20.service_renegotiation",),
    ),
    _case(
        "REN-08",
        "8.3.3",
        "a renegotiation of services keeps the session and its authorization",
        RENEGOTIATION,
        _same_session,
        Mutant(
            text="another session id",
            message="ServiceDiscoveryRes",
            first=2,
            header={"SessionID": "1122334455667788"},
        ),
        before="SessionStopReq",
        stimulus="SessionStopReq with ServiceRenegotiation, then the requests up to charge parameter discovery",
        expectation="OK, and the same session id",
        tags=("nominal", "renegotiation"),
        requires=("iso20.service_renegotiation",),
    ),
    _case(
        "REN-09",
        "8.3.4.3.10.3",
        "a renegotiation of services does not circumvent the authorization",
        RENEGOTIATION,
        _no_authorization,
        Mutant(
            text="services are offered without authorization",
            received="SessionStopReq",
            reply=_STOPPED,
            message="ServiceDiscoveryRes",
            rewrite=lambda f: {**f, "ResponseCode": "OK"},
        ),
        before="AuthorizationReq",
        stimulus="SessionStopReq with ServiceRenegotiation before AuthorizationReq, then ServiceDiscoveryReq",
        expectation="a FAILED code to one of them, or the end of the connection",
        tags=("negative", "renegotiation", "errors"),
    ),
)


# pause ---------------------------------------------------------------------------------------------------------------


async def _pause(device: SeccAccess) -> Vehicle:
    vehicle = await device.reach(DC_BPT, "SessionStopReq")
    response = await vehicle.request("SessionStopReq", PAUSED)
    expect(response.code == "OK", f"SessionStopRes has the code {response.code}")
    await vehicle.connection.close()
    return vehicle


async def _pauses(device: SeccAccess) -> None:
    await _pause(device)


async def _resume(device: SeccAccess, evccid: str = EVCCID_20) -> Vehicle:
    earlier = await _pause(device)
    vehicle = await device.vehicle(DC_BPT)
    vehicle.resumes = earlier.state.session_id
    await vehicle.handshake()
    await vehicle.request("SessionSetupReq", {"EVCCID": evccid})
    return vehicle


async def _joins(device: SeccAccess) -> None:
    vehicle = await _resume(device)
    response = vehicle.history["SessionSetupReq"]
    expect(response.code == "OK_OldSessionJoined", f"SessionSetupRes has the code {response.code}")
    expect(response.session_id == vehicle.resumes, f"the session id is {response.session_id}")


async def _continues(device: SeccAccess) -> None:
    vehicle = await _resume(device)
    response = await vehicle.request(CPD)
    expect(response.code.startswith("OK"), f"{response.name} has the code {response.code}")


async def _not_setup_again(device: SeccAccess) -> None:
    vehicle = await _resume(device)
    response = await vehicle.request("AuthorizationSetupReq")
    expect(response.code == SEQUENCE_ERROR, f"{response.name} has the code {response.code}")


async def _other_vehicle(device: SeccAccess) -> None:
    vehicle = await _resume(device, "WMIV9999999999999999")
    response = vehicle.history["SessionSetupReq"]
    expect(response.code == "OK_NewSessionEstablished", f"SessionSetupRes has the code {response.code}")
    expect(response.session_id != vehicle.resumes, "the other EV gets the session of the paused one")


async def _not_terminated(device: SeccAccess) -> None:
    earlier = await device.reach(DC_BPT, "SessionStopReq")
    await earlier.request("SessionStopReq")
    await earlier.connection.close()
    vehicle = await device.vehicle(DC_BPT)
    vehicle.resumes = earlier.state.session_id
    await vehicle.handshake()
    response = await vehicle.request("SessionSetupReq")
    expect(response.code == "OK_NewSessionEstablished", f"SessionSetupRes has the code {response.code}")
    expect(response.session_id != vehicle.resumes, "the id of the terminated session is used again")


_PAUSE = ("iso20.pause",)
_NEW = "OK_NewSessionEstablished"
_JOINED = "OK_OldSessionJoined"


def _second_setup(code: str, text: str) -> Mutant:
    return Mutant(
        text=text,
        message="SessionSetupRes",
        from_connection=2,
        rewrite=lambda f: {**f, "ResponseCode": code},
    )


PAUSE_CASES = (
    _case(
        "PAU-01",
        "8.3.4.3.10.3",
        "a session can be paused after its charge loop",
        PAUSE,
        _pauses,
        refuses("SessionStopRes", "FAILED_PauseNotAllowed"),
        before="SessionStopReq",
        stimulus="SessionStopReq with Pause",
        expectation="OK",
        tags=("nominal", "pause"),
        requires=_PAUSE,
    ),
    _case(
        "PAU-02",
        "8.3.4.3.1.2",
        "a paused session is resumed with its id and OK_OldSessionJoined",
        PAUSE,
        _joins,
        _second_setup(_NEW, "a new session instead of the paused one"),
        before="SessionStopReq",
        stimulus="SessionStopReq with Pause; SessionSetupReq with the session id on a new connection",
        expectation="OK_OldSessionJoined and the same session id",
        tags=("nominal", "pause"),
        requires=_PAUSE,
    ),
    _case(
        "PAU-03",
        "[V2G20-1032]",
        "a resumed session continues with charge parameter discovery",
        PAUSE,
        _continues,
        Mutant(
            text="charge parameter discovery is a sequence error",
            message="DC_ChargeParameterDiscoveryRes",
            from_connection=2,
            rewrite=lambda f: {**f, "ResponseCode": SEQUENCE_ERROR},
        ),
        before="SessionStopReq",
        stimulus="pause, resumption, DC_ChargeParameterDiscoveryReq",
        expectation="OK",
        tags=("nominal", "pause"),
        requires=_PAUSE,
    ),
    _case(
        "PAU-04",
        "[V2G20-1032]",
        "a resumed session does not repeat the authorization",
        PAUSE,
        _not_setup_again,
        Mutant(
            text="AuthorizationSetupReq is accepted",
            message="AuthorizationSetupRes",
            from_connection=2,
            rewrite=lambda f: {**f, "ResponseCode": "OK"},
        ),
        before="SessionStopReq",
        stimulus="pause, resumption, AuthorizationSetupReq",
        expectation=SEQUENCE_ERROR,
        tags=("negative", "pause"),
        requires=_PAUSE,
    ),
    _case(
        "PAU-05",
        "[V2G20-2545]",
        "only the EV of a paused session can resume it",
        PAUSE,
        _other_vehicle,
        _second_setup(_JOINED, "another EV joins the session"),
        before="SessionStopReq",
        stimulus="pause; SessionSetupReq with the session id and another EVCCID",
        expectation="OK_NewSessionEstablished and another session id",
        tags=("negative", "pause", "errors"),
        requires=_PAUSE,
    ),
    _case(
        "PAU-06",
        "8.3.4.3.1.1",
        "a terminated session cannot be resumed",
        PAUSE,
        _not_terminated,
        _second_setup(_JOINED, "the terminated session is joined"),
        before="SessionStopReq",
        stimulus="SessionStopReq with Terminate; SessionSetupReq with the session id on a new connection",
        expectation="OK_NewSessionEstablished and another session id",
        tags=("negative", "pause"),
    ),
    _case(
        "PAU-07",
        "8.3.4.3.10.3",
        "a pause before charging that the SECC has not offered is FAILED_PauseNotAllowed",
        PAUSE,
        refused(DC_BPT, "ServiceDiscoveryReq", "SessionStopReq", "FAILED_PauseNotAllowed", PAUSED),
        accepts("SessionStopRes"),
        before="ServiceDiscoveryReq",
        stimulus="SessionStopReq with Pause",
        expectation="FAILED_PauseNotAllowed",
        tags=("negative", "pause"),
    ),
    _case(
        "PAU-08",
        "8.3.4.3.10.2",
        "a pause in the charge loop is a sequence error: the contactors are closed",
        PAUSE,
        refused(DC_BPT, "DC_ChargeLoopReq", "SessionStopReq", SEQUENCE_ERROR, PAUSED),
        accepts("SessionStopRes"),
        before="DC_ChargeLoopReq",
        stimulus="SessionStopReq with Pause",
        expectation=SEQUENCE_ERROR,
        tags=("negative", "pause", "errors"),
    ),
)


# end and timers ------------------------------------------------------------------------------------------------------


async def _terminates(device: SeccAccess) -> None:
    vehicle = await device.vehicle(DC_BPT)
    await vehicle.run_to("")
    expect(vehicle.history["SessionStopReq"].code == "OK", f"the code is {vehicle.history['SessionStopReq'].code}")


async def _closes_after_stop(device: SeccAccess) -> None:
    vehicle = await device.reach(DC_BPT, "SessionStopReq")
    await vehicle.request("SessionStopReq")
    await closed(vehicle)


async def _delivers_response(device: SeccAccess) -> None:
    vehicle = await device.reach(DC_BPT, "SessionStopReq")
    response = await vehicle.request("SessionStopReq")
    expect(response.code == "OK", f"the code is {response.code}")
    ended = await vehicle.connection.wait_closed(1.0)
    expect(not ended, "the SECC closes the connection before the EV within 1 s")


async def _welding_answered(device: SeccAccess) -> None:
    vehicle = await device.reach(DC_BPT, "DC_WeldingDetectionReq")
    for _ in range(2):
        response = await vehicle.request("DC_WeldingDetectionReq", {"EVProcessing": "Ongoing"})
        expect(response.code == "OK", f"DC_WeldingDetectionRes has the code {response.code}")


def _silence(profile: Profile, before: str, after_s: float, at_least_s: float) -> Procedure:
    async def procedure(device: SeccAccess) -> None:
        vehicle = await device.reach(profile, before)
        if before == profile.loop:
            await vehicle.loop()
        began = vehicle.connection.now
        ended = await vehicle.connection.wait_closed(after_s + LATE_S)
        passed = vehicle.connection.now - began
        expect(ended, f"the connection is still open after {passed:.1f} s without a request")
        expect(passed >= at_least_s, f"the connection is closed after {passed:.2f} s without a request")

    return procedure


async def _silent_connection(device: SeccAccess) -> None:
    vehicle = await device.vehicle(DC_BPT)
    ended = await vehicle.connection.wait_closed(SETUP_S + LATE_S)
    expect(ended, f"a connection without a message is still open after {SETUP_S + LATE_S:g} s")


def _prompt(slow: bool) -> Procedure:
    async def procedure(device: SeccAccess) -> None:
        vehicle = await device.vehicle(DC_BPT)
        await vehicle.run_to("")
        limit = SLOW_S if slow else ANSWER_S
        chosen = [(n, t) for n, t in vehicle.elapsed if (n in SLOW) is slow and n != DC_BPT.loop]
        late = [f"{name} {took:.3f} s" for name, took in chosen if took > limit]
        expect(not late, f"later than {limit:g} s: {', '.join(late)}")

    return procedure


def _prompt_loop(profile: Profile) -> Procedure:
    async def procedure(device: SeccAccess) -> None:
        vehicle = await device.reach(profile, profile.loop)
        vehicle.elapsed.clear()
        for _ in range(20):
            await vehicle.loop()
            await vehicle.wait(0.1)
        late = [f"{took:.3f} s" for _, took in vehicle.elapsed if took > LOOP_S]
        expect(not late, f"later than {LOOP_S:g} s: {', '.join(late)}")

    return procedure


END_CASES = (
    _case(
        "END-01",
        "8.3.4.3.10.3",
        "SessionStop(Terminate) ends a session with OK",
        END,
        _terminates,
        refuses("SessionStopRes", "FAILED"),
        stimulus="a whole session",
        expectation="SessionStopRes with OK",
        tags=("nominal", "stop"),
    ),
    _case(
        "END-02",
        "8.3.4.3.10.3",
        "after SessionStopRes the SECC closes a connection that the EV leaves open",
        END,
        _closes_after_stop,
        stays_open(),
        before="SessionStopReq",
        stimulus="SessionStopReq; the EV leaves the connection open",
        expectation="the SECC closes it within 10 s",
        tags=("nominal", "stop"),
    ),
    _case(
        "END-03",
        "[V2G20-1633]",
        "the SECC gives the EV time to close the connection first",
        END,
        _delivers_response,
        Mutant(text="the connection is closed with SessionStopRes", message="SessionStopRes", close_after=True),
        before="SessionStopReq",
        stimulus="SessionStopReq; the EV leaves the connection open",
        expectation="the SECC does not close it within 1 s",
        tags=("nominal", "stop"),
    ),
    _case(
        "END-04",
        "8.3.4.5.6.3",
        "welding detection is answered as long as the EV requests it",
        END,
        _welding_answered,
        refuses("DC_WeldingDetectionRes", SEQUENCE_ERROR, first=2),
        drops("DC_WeldingDetectionRes", first=2),
        before="DC_WeldingDetectionReq",
        stimulus="two DC_WeldingDetectionReq with EVProcessing Ongoing",
        expectation="OK each time",
        tags=("nominal", "stop"),
    ),
    _case(
        "END-05",
        "8.3.4.3.8.3",
        "PowerDelivery(Stop) ends the charge loop with OK",
        END,
        refused(DC_BPT, STOP, STOP, ("OK",)),
        refuses("PowerDeliveryRes", "FAILED", first=2),
        before=STOP,
        stimulus="PowerDeliveryReq with Stop",
        expectation="OK",
        tags=("nominal", "stop"),
    ),
    _case(
        "TIM-01",
        "[V2G20-443]",
        "a SECC that waits for a request ends the session after 60 s",
        TIMERS,
        _silence(DC_BPT, "AuthorizationSetupReq", SEQUENCE_S, SEQUENCE_S - LATE_S),
        stays_open(),
        before="AuthorizationSetupReq",
        stimulus="no request after SessionSetupRes",
        expectation="the SECC closes the connection after 55 to 65 s",
        tags=("negative", "timers", "long"),
    ),
    _case(
        "TIM-02",
        "[V2G20-1502]",
        "in the DC charge loop the sequence time-out is 0.5 s",
        TIMERS,
        _silence(DC_BPT, "DC_ChargeLoopReq", LOOP_SEQUENCE_S, 0.25),
        stays_open(),
        before="DC_ChargeLoopReq",
        stimulus="no request after DC_ChargeLoopRes",
        expectation="the SECC closes the connection after 0.25 to 5.5 s",
        tags=("negative", "timers"),
    ),
    _case(
        "TIM-03",
        "[V2G20-1500]",
        "in the AC charge loop the sequence time-out is 0.5 s",
        TIMERS,
        _silence(AC_BPT, "AC_ChargeLoopReq", LOOP_SEQUENCE_S, 0.25),
        stays_open(),
        profile=AC_BPT,
        before="AC_ChargeLoopReq",
        stimulus="no request after AC_ChargeLoopRes",
        expectation="the SECC closes the connection after 0.25 to 5.5 s",
        tags=("negative", "timers"),
    ),
    _case(
        "TIM-04",
        "Table 215, SECC performance",
        "responses outside the loop are sent within 1.5 s",
        TIMERS,
        _prompt(False),
        delays("ScheduleExchangeRes", 1.8),
        stimulus="a whole session",
        expectation="every response within 1.5 s, ServiceDetailRes and those of the loop apart",
        tags=("nominal", "timers"),
    ),
    _case(
        "TIM-05",
        "Table 215, SECC performance, ServiceDetail",
        "ServiceDetailRes is sent within 4.5 s",
        TIMERS,
        _prompt(True),
        delays("ServiceDetailRes", 4.9),
        stimulus="a whole session",
        expectation="ServiceDetailRes within 4.5 s",
        tags=("nominal", "timers"),
    ),
    _case(
        "TIM-06",
        "Table 217, SECC performance, DC charge loop",
        "responses of the DC charge loop are sent within 0.25 s",
        TIMERS,
        _prompt_loop(DC_BPT),
        delays("DC_ChargeLoopRes", 0.3),
        before="DC_ChargeLoopReq",
        stimulus="20 DC_ChargeLoopReq",
        expectation="every response within 0.25 s",
        tags=("nominal", "timers"),
    ),
    _case(
        "TIM-07",
        "Table 216, SECC performance, AC charge loop",
        "responses of the AC charge loop are sent within 0.25 s",
        TIMERS,
        _prompt_loop(AC_BPT),
        delays("AC_ChargeLoopRes", 0.3),
        profile=AC_BPT,
        before="AC_ChargeLoopReq",
        stimulus="20 AC_ChargeLoopReq",
        expectation="every response within 0.25 s",
        tags=("nominal", "timers"),
    ),
    _case(
        "TIM-08",
        "Table 215, communication setup",
        "a connection without a message is closed within 20 s",
        TIMERS,
        _silent_connection,
        stays_open(),
        stimulus="no message after the connection",
        expectation="the SECC closes it within 25 s",
        tags=("negative", "timers"),
    ),
)

CASES: tuple[SeccCase, ...] = (*RENEGOTIATION_CASES, *PAUSE_CASES, *END_CASES)
