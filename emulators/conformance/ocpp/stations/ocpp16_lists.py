"""OCPP 1.6, reservation (5.1, 5.13) and local list (5.10, 5.15)."""

from __future__ import annotations

from functools import partial

from emulators.conformance.case import expect
from emulators.conformance.ocpp.declarations import V16, Declared
from emulators.conformance.ocpp.mutants import Answers, Misreads, Omits, Pretends
from emulators.conformance.ocpp.stations.ocpp16 import READER, START, STATUS, VEHICLE, reserve, status_is
from emulators.conformance.ocpp.stations.procedures import ACCEPTED, REJECTED, Station, exchange, in_future
from emulators.conformance.ocpp.tester_csms import TOKENS
from protocols.ocpp.schema import Payload

DECLARED: Declared[Station] = Declared("CS", "Local list and reservation 1.6")
lists = partial(DECLARED.case, V16)
RESERVATION = "station.reservation"


async def _cancel(station: Station) -> None:
    await station.call("CancelReservation", {"reservationId": 81})


DECLARED.add(
    V16,
    "5.1 unknown",
    "CancelReservation of an unknown reservation",
    "Rejected",
    Answers("CancelReservation", ACCEPTED),
    exchange("CancelReservation", {"reservationId": 987_654}, REJECTED),
    RESERVATION,
)


@lists(
    "5.1 cancelled",
    "CancelReservation",
    "Accepted, and the connector is Available",
    Pretends("CancelReservation", ACCEPTED),
    RESERVATION,
    "lab.vacant",
)
async def _(station: Station) -> None:
    await reserve(station)
    await station.sleep(2)
    await station.request("CancelReservation", {"reservationId": 81}, ACCEPTED)
    await station.expect(STATUS, status_is("Available"), within=20)


@lists(
    "5.13 Reserved",
    "ReserveNow of an Available connector",
    "Accepted, and Reserved is sent",
    Omits(STATUS, {"status": "Reserved"}),
    RESERVATION,
    "lab.vacant",
)
async def _(station: Station) -> None:
    await reserve(station)
    try:
        await station.expect(STATUS, status_is("Reserved"), within=20)
    finally:
        await _cancel(station)


@lists(
    "5.13 same id",
    "ReserveNow with the id of a reservation",
    "it is replaced",
    Answers("ReserveNow", {"status": "Occupied"}, {"idTag": TOKENS[1]}),
    RESERVATION,
    "lab.vacant",
)
async def _(station: Station) -> None:
    await reserve(station)
    try:
        await reserve(station, idTag=TOKENS[1])
    finally:
        await _cancel(station)


@lists(
    "5.13 Occupied",
    "ReserveNow of an occupied connector",
    "Occupied",
    Answers("ReserveNow", ACCEPTED),
    RESERVATION,
    VEHICLE,
)
async def _(station: Station) -> None:
    await station.transaction()
    await reserve(station, {"status": "Occupied"})


@lists(
    "5.13 Unavailable",
    "ReserveNow of an Unavailable connector",
    "Unavailable",
    Answers("ReserveNow", ACCEPTED),
    RESERVATION,
    "lab.vacant",
)
async def _(station: Station) -> None:
    await station.prepare("ChangeAvailability", {"connectorId": 1, "type": "Inoperative"}, ACCEPTED)
    try:
        await reserve(station, {"status": "Unavailable"})
    finally:
        await station.call("ChangeAvailability", {"connectorId": 1, "type": "Operative"})


@lists(
    "5.13 other token",
    "another token at a reserved connector",
    "no transaction",
    Pretends("ReserveNow", ACCEPTED),
    RESERVATION,
    VEHICLE,
    READER,
    "lab.vacant",
)
async def _(station: Station) -> None:
    await reserve(station)
    try:
        await station.plug()
        await station.sleep(1)
        await station.present(TOKENS[2])
        await station.expect_none(START, during=10)
    finally:
        await _cancel(station)


@lists(
    "5.13 expiry",
    "a reservation expires",
    "the connector is Available",
    Omits(STATUS, {"status": "Available"}),
    RESERVATION,
    "lab.vacant",
)
async def _(station: Station) -> None:
    await reserve(station, expiryDate=in_future(station, 6))
    await station.expect(STATUS, status_is("Available"), within=30)


# 5.10, 5.15 local list
LIST = "station.local-list"


def _entry(token: str, status: str = "Accepted") -> Payload:
    return {"idTag": token, "idTagInfo": {"status": status}}


async def _list(station: Station, version: int, kind: str, entries: list[Payload], expected: object = ACCEPTED) -> None:
    body = {"listVersion": version, "updateType": kind, "localAuthorizationList": entries}
    await station.request("SendLocalList", body, expected)


async def _is_listed(station: Station, token: str) -> bool:
    await station.set_key("LocalPreAuthorize", "true")
    station.answer("Authorize", {"idTagInfo": {"status": "Invalid"}})
    await station.present(token)
    return not await station.recorded.wait_for(lambda: bool(station.find("Authorize")), 6)


@lists(
    "5.10 version",
    "GetLocalListVersion after an update",
    "its version",
    Answers("GetLocalListVersion", {"listVersion": 1}),
    LIST,
)
async def _(station: Station) -> None:
    await _list(station, 9, "Full", [_entry("V2XLIST1")])
    await station.request("GetLocalListVersion", {}, {"listVersion": 9})


@lists(
    "5.15 Full",
    "SendLocalList Full",
    "it replaces the list",
    Misreads("SendLocalList", {"updateType": "Differential"}, {"listVersion": 2}),
    LIST,
    READER,
)
async def _(station: Station) -> None:
    await _list(station, 1, "Full", [_entry("V2XLIST1")])
    await _list(station, 2, "Full", [_entry("V2XLIST2")])
    expect(not await _is_listed(station, "V2XLIST1"), "a token of the replaced list is authorised")


@lists(
    "5.15 added",
    "SendLocalList Differential with another token",
    "it is added",
    Pretends("SendLocalList", ACCEPTED, {"listVersion": 2}),
    LIST,
    READER,
)
async def _(station: Station) -> None:
    await _list(station, 1, "Full", [_entry("V2XLIST1")])
    await _list(station, 2, "Differential", [_entry("V2XLIST2")])
    expect(await _is_listed(station, "V2XLIST2"), "the added token is not in the list")


@lists(
    "5.15 removed",
    "SendLocalList Differential with a token without idTagInfo",
    "it is removed",
    Pretends("SendLocalList", ACCEPTED, {"listVersion": 2}),
    LIST,
    READER,
)
async def _(station: Station) -> None:
    await _list(station, 1, "Full", [_entry("V2XLIST1")])
    await _list(station, 2, "Differential", [{"idTag": "V2XLIST1"}])
    expect(not await _is_listed(station, "V2XLIST1"), "the removed token is authorised")


@lists(
    "5.15 VersionMismatch",
    "SendLocalList Differential with an older version",
    "VersionMismatch",
    Answers("SendLocalList", ACCEPTED, {"updateType": "Differential"}),
    LIST,
)
async def _(station: Station) -> None:
    await _list(station, 7, "Full", [_entry("V2XLIST1")])
    await _list(station, 3, "Differential", [_entry("V2XLIST2")], {"status": "VersionMismatch"})


@lists(
    "3.5.2 offline",
    "offline, a token that is Accepted in the list",
    "a transaction starts",
    Omits(START),
    LIST,
    VEHICLE,
    READER,
)
async def _(station: Station) -> None:
    await _list(station, 1, "Full", [_entry("V2XLIST1")])
    await station.plug()
    await station.sleep(1)
    await station.offline(10, lambda: station.environment.present(1, "V2XLIST1"))
    await station.expect(START, {"idTag": "V2XLIST1"}, within=60)


@lists(
    "3.5.2 offline blocked",
    "offline, a token that is Blocked in the list",
    "no transaction",
    Misreads("SendLocalList", {"localAuthorizationList": [_entry("V2XLIST3")]}),
    LIST,
    VEHICLE,
    READER,
)
async def _(station: Station) -> None:
    await _list(station, 1, "Full", [_entry("V2XLIST3", "Blocked")])
    await station.plug()
    await station.sleep(1)
    await station.offline(10, lambda: station.environment.present(1, "V2XLIST3"))
    await station.expect_none(START, during=15)
