"""Cases for a SECC, ISO 15118-2: pause."""

from __future__ import annotations

from emulators.conformance.case import expect
from emulators.conformance.iso15118.mutation import Mutant, accepts, refuses
from emulators.conformance.iso15118.plain import Plain
from emulators.conformance.iso15118.profiles import DC_2
from emulators.conformance.iso15118.secc_access import SeccAccess
from emulators.conformance.iso15118.secc_iso2_case import PAUSE, iso2_case
from emulators.conformance.iso15118.secc_procedures import refused
from emulators.conformance.iso15118.vehicle import Vehicle

PAUSED: Plain = {"ChargingSession": "Pause"}


async def _resumed(device: SeccAccess) -> Vehicle:
    earlier = await device.reach(DC_2, "SessionStopReq")
    response = await earlier.request("SessionStopReq", PAUSED)
    expect(response.code == "OK", f"SessionStopRes with Pause has the code {response.code}")
    await earlier.connection.close()
    vehicle = await device.vehicle(DC_2)
    vehicle.resumes = earlier.state.session_id
    await vehicle.handshake()
    await vehicle.request("SessionSetupReq")
    return vehicle


async def _joins(device: SeccAccess) -> None:
    vehicle = await _resumed(device)
    response = vehicle.history["SessionSetupReq"]
    expect(response.code == "OK_OldSessionJoined", f"SessionSetupRes has the code {response.code}")
    expect(response.session_id == vehicle.resumes, f"the session id is {response.session_id}")


async def _replays(device: SeccAccess) -> None:
    vehicle = await _resumed(device)
    response = await vehicle.request("ServiceDiscoveryReq")
    expect(response.code.startswith("OK"), f"ServiceDiscoveryRes has the code {response.code}")


async def _accepted_pause(device: SeccAccess) -> None:
    vehicle = await device.reach(DC_2, "SessionStopReq")
    response = await vehicle.request("SessionStopReq", PAUSED)
    expect(response.code == "OK", f"SessionStopRes has the code {response.code}")


_PAUSE = ("iso2.pause",)

CASES = (
    iso2_case(
        "PAU-01",
        "8.4.3.12.2",
        "a session can be paused after its loop",
        PAUSE,
        _accepted_pause,
        refuses("SessionStopRes"),
        before="SessionStopReq",
        stimulus="SessionStopReq with Pause",
        expectation="OK",
        tags=("nominal", "pause"),
        requires=_PAUSE,
    ),
    iso2_case(
        "PAU-02",
        740,
        "a paused session is resumed with its id and OK_OldSessionJoined",
        PAUSE,
        _joins,
        Mutant(
            text="a new session instead of the paused one",
            message="SessionSetupRes",
            from_connection=2,
            rewrite=lambda f: {**f, "ResponseCode": "OK_NewSessionEstablished"},
        ),
        before="SessionStopReq",
        stimulus="SessionStopReq with Pause; SessionSetupReq with the session id on a new connection",
        expectation="OK_OldSessionJoined and the same session id",
        tags=("nominal", "pause"),
        requires=_PAUSE,
    ),
    iso2_case(
        "PAU-03",
        741,
        "a resumed session repeats the sequence from ServiceDiscoveryReq",
        PAUSE,
        _replays,
        Mutant(
            text="ServiceDiscoveryReq is a sequence error in a resumed session",
            message="ServiceDiscoveryRes",
            from_connection=2,
            rewrite=lambda f: {**f, "ResponseCode": "FAILED_SequenceError"},
        ),
        before="SessionStopReq",
        stimulus="pause, resumption, ServiceDiscoveryReq",
        expectation="OK",
        tags=("nominal", "pause"),
        requires=_PAUSE,
    ),
    iso2_case(
        "PAU-04",
        "8.4.3.12.3",
        "a pause before power has flowed is refused",
        PAUSE,
        refused(DC_2, "AuthorizationReq", "SessionStopReq", ("FAILED", "FAILED_SequenceError"), PAUSED),
        accepts("SessionStopRes"),
        before="AuthorizationReq",
        stimulus="SessionStopReq with Pause",
        expectation="a FAILED code",
        tags=("negative", "pause", "errors"),
    ),
)
