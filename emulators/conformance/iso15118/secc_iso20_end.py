"""Cases for a SECC, ISO 15118-20: end of a session and timers."""

from __future__ import annotations

from emulators.conformance.case import expect
from emulators.conformance.iso15118.mutation import Mutant, delays, drops, refuses, stays_open
from emulators.conformance.iso15118.profiles import AC_BPT, DC_BPT, STOP, Profile
from emulators.conformance.iso15118.secc_access import SeccAccess
from emulators.conformance.iso15118.secc_iso20_case import END, TIMERS, iso20_case
from emulators.conformance.iso15118.secc_procedures import SEQUENCE_ERROR, Procedure, closed, refused

SLOW = {"ServiceDetailReq", "CertificateInstallationReq"}
ANSWER_S, SLOW_S, LOOP_S = 1.5, 4.5, 0.25
SEQUENCE_S, LOOP_SEQUENCE_S, SETUP_S = 60.0, 0.5, 20.0
LATE_S = 5.0  # tolerance of the tester for a connection that ends by a timer


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


CASES = (
    iso20_case(
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
    iso20_case(
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
    iso20_case(
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
    iso20_case(
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
    iso20_case(
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
    iso20_case(
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
    iso20_case(
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
    iso20_case(
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
    iso20_case(
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
    iso20_case(
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
    iso20_case(
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
    iso20_case(
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
    iso20_case(
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
