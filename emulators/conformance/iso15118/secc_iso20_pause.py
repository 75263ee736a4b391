"""Cases for a SECC, ISO 15118-20: pause."""

from __future__ import annotations

from emulators.conformance.case import expect
from emulators.conformance.iso15118.mutation import Mutant, accepts, refuses
from emulators.conformance.iso15118.plain import Plain
from emulators.conformance.iso15118.profiles import DC_BPT
from emulators.conformance.iso15118.requests import EVCCID_20
from emulators.conformance.iso15118.secc_access import SeccAccess
from emulators.conformance.iso15118.secc_iso20_case import DC_CPD, PAUSE, iso20_case
from emulators.conformance.iso15118.secc_procedures import SEQUENCE_ERROR, refused
from emulators.conformance.iso15118.vehicle import Vehicle

PAUSED: Plain = {"ChargingSession": "Pause"}


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
    response = await vehicle.request(DC_CPD)
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


CASES = (
    iso20_case(
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
    iso20_case(
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
    iso20_case(
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
    iso20_case(
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
    iso20_case(
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
    iso20_case(
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
    iso20_case(
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
    iso20_case(
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
