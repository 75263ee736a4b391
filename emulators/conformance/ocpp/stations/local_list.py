"""OCPP 2.x, D and C13 to C15: the local list and offline authorization, observed by what needs no Authorize."""

from __future__ import annotations

from emulators.conformance.case import expect
from emulators.conformance.ocpp.declarations import V2, Declared
from emulators.conformance.ocpp.mutants import Answers, Intrudes, Misreads, Omits, Pretends
from emulators.conformance.ocpp.stations.procedures import ACCEPTED, TOKEN, Station
from emulators.conformance.ocpp.stations.transactions import (
    ENDED,
    EVENT,
    NO_LIST,
    READER,
    STARTED,
    UNKNOWN,
    VEHICLE,
    list_entry,
    send_list,
)

DECLARED: Declared[Station] = Declared("CS")
case, add = DECLARED.case, DECLARED.add


async def _version(station: Station) -> int:
    return int((await station.request("GetLocalListVersion"))["versionNumber"])


async def _is_listed(station: Station, token: str) -> bool:
    """Return whether the station authorises a token by its list: it sends no Authorize."""
    await station.set(*NO_LIST, "true")
    station.answer("Authorize", {"idTokenInfo": {"status": "Invalid"}})
    await station.present(token)
    sent = await station.recorded.wait_for(lambda: bool(station.find("Authorize")), 6)
    await station.stop()
    return not sent


@case(
    V2,
    "D01.FR.02",
    "SendLocalList Full",
    "Accepted",
    Answers("SendLocalList", {"status": "Failed"}),
    "station.local-list",
)
async def _(station: Station) -> None:
    await send_list(station, 1, "Full", [list_entry("V2XLIST1")], ACCEPTED)


@case(
    V2,
    "D01.FR.04",
    "SendLocalList Full without a list",
    "no token is in the list",
    Pretends("SendLocalList", ACCEPTED, {"versionNumber": 2}),
    "station.local-list",
    READER,
)
async def _(station: Station) -> None:
    await send_list(station, 1, "Full", [list_entry("V2XLIST1")], ACCEPTED)
    await send_list(station, 2, "Full", None, ACCEPTED)
    expect(not await _is_listed(station, "V2XLIST1"), "the token is still authorised by the list")


@case(
    V2,
    "D01.FR.05",
    "SendLocalList Differential without a list",
    "the list is unchanged",
    Misreads("SendLocalList", {"updateType": "Full"}, {"versionNumber": 2}),
    "station.local-list",
    READER,
)
async def _(station: Station) -> None:
    await send_list(station, 1, "Full", [list_entry("V2XLIST1")], ACCEPTED)
    await send_list(station, 2, "Differential", None, ACCEPTED)
    expect(await _is_listed(station, "V2XLIST1"), "the token is no longer in the list")


@case(
    V2,
    "D01.FR.15",
    "SendLocalList Full",
    "it replaces the list",
    Misreads("SendLocalList", {"updateType": "Differential"}, {"versionNumber": 2}),
    "station.local-list",
    READER,
)
async def _(station: Station) -> None:
    await send_list(station, 1, "Full", [list_entry("V2XLIST1")], ACCEPTED)
    await send_list(station, 2, "Full", [list_entry("V2XLIST2")], ACCEPTED)
    expect(not await _is_listed(station, "V2XLIST1"), "a token of the replaced list is authorised")


@case(
    V2,
    "D01.FR.16",
    "SendLocalList Differential with another token",
    "it is added",
    Pretends("SendLocalList", ACCEPTED, {"versionNumber": 2}),
    "station.local-list",
    READER,
)
async def _(station: Station) -> None:
    await send_list(station, 1, "Full", [list_entry("V2XLIST1")], ACCEPTED)
    await send_list(station, 2, "Differential", [list_entry("V2XLIST2")], ACCEPTED)
    expect(await _is_listed(station, "V2XLIST2"), "the added token is not in the list")


@case(
    V2,
    "D01.FR.17",
    "SendLocalList Differential with a token without idTokenInfo",
    "it is removed",
    Pretends("SendLocalList", ACCEPTED, {"versionNumber": 2}),
    "station.local-list",
    READER,
)
async def _(station: Station) -> None:
    await send_list(station, 1, "Full", [list_entry("V2XLIST1"), list_entry("V2XLIST2")], ACCEPTED)
    await send_list(station, 2, "Differential", [{"idToken": list_entry("V2XLIST1")["idToken"]}], ACCEPTED)
    expect(not await _is_listed(station, "V2XLIST1"), "the removed token is authorised")


@case(
    V2,
    "D01.FR.19",
    "SendLocalList Differential with the version of the list",
    "VersionMismatch",
    Answers("SendLocalList", ACCEPTED),
    "station.local-list",
)
async def _(station: Station) -> None:
    await send_list(station, 7, "Full", [list_entry("V2XLIST1")], ACCEPTED)
    await send_list(station, 7, "Differential", [list_entry("V2XLIST2")], {"status": "VersionMismatch"})


@case(
    V2,
    "D02.FR.01",
    "GetLocalListVersion after an update",
    "the version of the update",
    Answers("GetLocalListVersion", {"versionNumber": 1}),
    "station.local-list",
)
async def _(station: Station) -> None:
    await send_list(station, 9, "Full", [list_entry("V2XLIST1")], ACCEPTED)
    found = await _version(station)
    expect(found == 9, f"version {found}")


@case(
    V2,
    "D02.FR.03",
    "GetLocalListVersion with the list disabled",
    "0",
    Answers("GetLocalListVersion", {"versionNumber": 5}),
    "station.local-list",
)
async def _(station: Station) -> None:
    await send_list(station, 9, "Full", [list_entry("V2XLIST1")], ACCEPTED)
    await station.set("LocalAuthListCtrlr", "Enabled", "false")
    found = await _version(station)
    expect(found == 0, f"version {found}")


@case(
    V2,
    "D01.FR.13",
    "SendLocalList with the list disabled",
    "Failed",
    Answers("SendLocalList", ACCEPTED),
    "station.local-list",
)
async def _(station: Station) -> None:
    await station.set("LocalAuthListCtrlr", "Enabled", "false")
    await send_list(station, 11, "Full", [list_entry("V2XLIST1")], {"status": "Failed"})


@case(
    V2,
    "C13.FR.02",
    "offline, a token that is Blocked in the list",
    "it is not authorised",
    Misreads("SendLocalList", lambda p: {**p, "localAuthorizationList": [list_entry("V2XLIST3")]}),
    "station.local-list",
    VEHICLE,
    READER,
)
async def _(station: Station) -> None:
    await send_list(station, 1, "Full", [list_entry("V2XLIST3", "Blocked")], ACCEPTED)
    await station.write("AuthCtrlr", "OfflineTxForUnknownIdEnabled", "false")
    await station.plug()
    await station.offline(5, lambda: station.environment.present(1, "V2XLIST3"))
    await station.expect_none(EVENT, STARTED, during=15)


@case(
    V2,
    "C14.FR.02",
    "a token that is Accepted in the list, LocalPreAuthorize",
    "charging without Authorize",
    Intrudes("Authorize", {"idToken": TOKEN}, after=EVENT, where=STARTED),
    "station.local-list",
    VEHICLE,
    READER,
)
async def _(station: Station) -> None:
    await send_list(station, 1, "Full", [list_entry("V2XLIST1")], ACCEPTED)
    await station.set(*NO_LIST, "true")
    await station.plug()
    await station.sleep(3)
    await station.present("V2XLIST1")
    await station.expect(EVENT, STARTED, within=30)
    expect(not station.find("Authorize"), "Authorize for a token of the list")


@case(
    V2,
    "C14.FR.03",
    "a token that is Blocked in the list",
    "Authorize",
    Omits("Authorize", {"idToken": {"idToken": "V2XLIST3"}}, {"idTokenInfo": {"status": "Invalid"}}),
    "station.local-list",
    READER,
)
async def _(station: Station) -> None:
    await send_list(station, 1, "Full", [list_entry("V2XLIST3", "Blocked")], ACCEPTED)
    await station.write("LocalAuthListCtrlr", "DisablePostAuthorize", "false")
    await station.present("V2XLIST3")
    await station.expect("Authorize", {"idToken": {"idToken": "V2XLIST3"}}, within=20)


async def _offline_unknown(station: Station, stop_invalid: str = "true") -> None:
    """Start a transaction offline with an unknown token, and connect again."""
    await station.set("AuthCtrlr", "OfflineTxForUnknownIdEnabled", "true")
    await station.write("TxCtrlr", "StopTxOnInvalidId", stop_invalid)
    await station.plug()
    await station.sleep(1)
    await station.offline(10, lambda: station.environment.present(1, UNKNOWN))


@case(
    V2,
    "C15.FR.08",
    "offline, an unknown token, OfflineTxForUnknownIdEnabled",
    "a transaction starts",
    Omits(EVENT),
    VEHICLE,
    READER,
)
async def _(station: Station) -> None:
    await _offline_unknown(station)
    await station.expect(EVENT, STARTED | {"idToken": {"idToken": UNKNOWN}}, within=60)


@case(
    V2,
    "C15.FR.02",
    "online after a transaction started offline",
    "its TransactionEvent",
    Omits(EVENT, STARTED),
    VEHICLE,
    READER,
)
async def _(station: Station) -> None:
    await _offline_unknown(station)
    await station.expect(EVENT, STARTED, within=60)


@case(
    V2,
    "C15.FR.04",
    "the token of a transaction started offline is Invalid",
    "it ends, Deauthorized",
    Misreads(EVENT, {"idTokenInfo": {"status": "Accepted"}}, response=True),
    VEHICLE,
    READER,
)
async def _(station: Station) -> None:
    await _offline_unknown(station)
    await station.expect(EVENT, ENDED | {"triggerReason": "Deauthorized"}, within=60)
