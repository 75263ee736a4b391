"""Cases for a SECC, ISO 15118-20: session."""

from __future__ import annotations

from emulators.conformance.case import expect
from emulators.conformance.iso15118.mutation import Mutant, accepts, alters
from emulators.conformance.iso15118.plain import Plain, find, number
from emulators.conformance.iso15118.profiles import DC_BPT
from emulators.conformance.iso15118.requests import ZERO_20
from emulators.conformance.iso15118.secc_access import SeccAccess
from emulators.conformance.iso15118.secc_iso20_case import SESSION, iso20_case
from emulators.conformance.iso15118.secc_procedures import Check, Procedure, answered, refused

UNKNOWN_ID = "1122334455667788"
YEAR_2020, YEAR_2100 = 1_577_836_800, 4_102_444_800


def _setup(check: Check) -> Procedure:
    return answered(DC_BPT, "SessionSetupReq", check)


async def _new_id(device: SeccAccess) -> None:
    vehicle = await device.reach(DC_BPT, "SessionSetupReq")
    given = (await vehicle.request("SessionSetupReq")).session_id
    expect(len(given) == 16 and given != ZERO_20, f"the session id is {given or 'empty'}")


async def _different_ids(device: SeccAccess) -> None:
    given = []
    for _ in range(3):
        vehicle = await device.reach(DC_BPT, "AuthorizationSetupReq")
        given.append(vehicle.state.session_id)
        await vehicle.request("SessionStopReq")
        await vehicle.connection.close()
    expect(len(set(given)) == 3, f"the session ids of three sessions are {', '.join(given)}")


async def _unknown_id(device: SeccAccess) -> None:
    vehicle = await device.reach(DC_BPT, "SessionSetupReq")
    response = await vehicle.request("SessionSetupReq", session_id=UNKNOWN_ID)
    expect(response.code == "OK_NewSessionEstablished", f"the code is {response.code}")
    expect(response.session_id != UNKNOWN_ID, "the unknown id is taken over")


async def _same_header(device: SeccAccess) -> None:
    vehicle = await device.vehicle(DC_BPT)
    await vehicle.run_to("DC_ChargeLoopReq")
    given = vehicle.state.session_id
    for step, response in vehicle.history.items():
        expect(response.session_id == given, f"the response to {step} has the session id {response.session_id}")


async def _timestamps(device: SeccAccess) -> None:
    vehicle = await device.vehicle(DC_BPT)
    await vehicle.run_to("ServiceSelectionReq")
    for step, response in vehicle.history.items():
        stamp = number(find(response.plain, f"{response.name}.Header.TimeStamp"))
        expect(YEAR_2020 < stamp < YEAR_2100, f"the response to {step} has the TimeStamp {stamp:.0f}")


def _evse_id(fields: Plain) -> str:
    given = str(fields.get("EVSEID", ""))
    return "" if 1 <= len(given) <= 255 and given.strip() else f"EVSEID is {given!r}"


CASES = (
    iso20_case(
        "SES-01",
        "8.3.4.3.1.2",
        "a session without an earlier one is opened with OK_NewSessionEstablished",
        SESSION,
        _setup(lambda f: "" if f["ResponseCode"] == "OK_NewSessionEstablished" else f"the code is {f['ResponseCode']}"),
        alters("SessionSetupRes", ResponseCode="OK"),
        alters("SessionSetupRes", ResponseCode="OK_OldSessionJoined"),
        stimulus="SessionSetupReq with the session id zero",
        expectation="OK_NewSessionEstablished",
    ),
    iso20_case(
        "SES-02",
        "8.3.3",
        "a new session has an id of 8 bytes that is not zero",
        SESSION,
        _new_id,
        Mutant(text="the session id is zero", message="SessionSetupRes", header={"SessionID": ZERO_20}),
        stimulus="SessionSetupReq with the session id zero",
        expectation="another session id of 8 bytes in the response",
    ),
    iso20_case(
        "SES-03",
        "8.3.3",
        "the ids of sessions are drawn at random",
        SESSION,
        _different_ids,
        Mutant(
            text="every session has the same id, internally translated",
            message="SessionSetupRes",
            header={"SessionID": UNKNOWN_ID},
        ),
        stimulus="three sessions one after another",
        expectation="three session ids",
    ),
    iso20_case(
        "SES-04",
        "[V2G20-2613]",
        "an unknown session id leads to a new session, not to an error",
        SESSION,
        _unknown_id,
        alters("SessionSetupRes", ResponseCode="FAILED_UnknownSession"),
        alters("SessionSetupRes", ResponseCode="OK_OldSessionJoined"),
        stimulus="SessionSetupReq with the id of a session that never was",
        expectation="OK_NewSessionEstablished with another id",
        tags=("negative",),
    ),
    iso20_case(
        "SES-05",
        "8.3.3",
        "a request with another session id is refused with FAILED_UnknownSession",
        SESSION,
        refused(
            DC_BPT,
            "ServiceDiscoveryReq",
            "ServiceDiscoveryReq",
            "FAILED_UnknownSession",
            session_id=lambda own: UNKNOWN_ID,
        ),
        accepts("ServiceDiscoveryRes"),
        alters("ServiceDiscoveryRes", ResponseCode="FAILED_SequenceError"),
        before="ServiceDiscoveryReq",
        stimulus="ServiceDiscoveryReq with another session id",
        expectation="FAILED_UnknownSession",
        tags=("negative",),
    ),
    iso20_case(
        "SES-06",
        "8.3.4.1",
        "every response carries the id of its session",
        SESSION,
        _same_header,
        Mutant(text="another session id in a response", message="DC_CableCheckRes", header={"SessionID": UNKNOWN_ID}),
        stimulus="a session up to the charge loop",
        expectation="the session id of SessionSetupRes in every response",
    ),
    iso20_case(
        "SES-07",
        "8.3.3",
        "TimeStamp is Unix time in seconds",
        SESSION,
        _timestamps,
        Mutant(text="TimeStamp in milliseconds", message="AuthorizationRes", header={"TimeStamp": 1_770_000_000_000}),
        Mutant(text="TimeStamp since the start", message="AuthorizationRes", header={"TimeStamp": 17}),
        stimulus="a session up to the selection of a service",
        expectation="a time between the years 2020 and 2100 in every response",
    ),
    iso20_case(
        "SES-08",
        "8.3.4.3.1.2",
        "SessionSetupRes states the EVSEID",
        SESSION,
        _setup(_evse_id),
        alters("SessionSetupRes", EVSEID=""),
        stimulus="SessionSetupReq",
        expectation="an EVSEID of 1 to 255 characters",
    ),
)
