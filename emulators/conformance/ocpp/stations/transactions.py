"""OCPP 2.x, blocks C to F: tokens, local list, transactions and remote control of a station."""

from __future__ import annotations

from itertools import pairwise

from emulators.conformance.case import Failed, Inconclusive, expect
from emulators.conformance.ocpp import pattern
from emulators.conformance.ocpp.declarations import V2, V21, Declared
from emulators.conformance.ocpp.mutants import (
    Answers,
    Errors,
    Intrudes,
    LateAnswers,
    Misreads,
    Omits,
    Pretends,
    Sends,
)
from emulators.conformance.ocpp.pattern import ANY
from emulators.conformance.ocpp.peer import ErrorAnswer
from emulators.conformance.ocpp.stations.procedures import (
    ACCEPTED,
    REJECTED,
    TOKEN,
    Station,
    exchange,
    in_future,
    trigger,
    triggered,
)
from emulators.conformance.ocpp.tester_csms import BLOCKED, TOKENS
from protocols.ocpp.schema import Payload

DECLARED: Declared[Station] = Declared("CS")
case, add = DECLARED.case, DECLARED.add
EVENT = "TransactionEvent"
STARTED: Payload = {"eventType": "Started"}
UPDATED: Payload = {"eventType": "Updated"}
ENDED: Payload = {"eventType": "Ended"}
VEHICLE, READER = "lab.vehicle", "lab.reader"
UNKNOWN = "V2XUNKNOWN"
NO_LIST = ("AuthCtrlr", "LocalPreAuthorize")


def _info(**members: object) -> Payload:
    return {"transactionInfo": members}


def _sequence(station: Station, number: str) -> list[int]:
    events = [m.payload for m in station.find(EVENT, since=0)]
    return [e["seqNo"] for e in events if e["transactionInfo"]["transactionId"] == number]


async def _started(station: Station, within: float = 60.0) -> Payload:
    """Start a transaction remotely with a vehicle connected, and return its Started event."""
    await station.plug()
    await station.sleep(1)
    if station.running() is not None:
        await station.stop()
    await station.start()
    return await station.expect(EVENT, STARTED, within=within)


# C: authorization


@case(
    V2,
    "C01.FR.01",
    "a vehicle is connected, no token",
    "no energy is offered",
    Intrudes(
        EVENT,
        {
            "eventType": "Started",
            "timestamp": "2026-01-15T00:00:00Z",
            "triggerReason": "ChargingStateChanged",
            "seqNo": 0,
            "transactionInfo": {"transactionId": "m", "chargingState": "Charging"},
        },
        after="StatusNotification",
        where={"connectorStatus": "Occupied"},
    ),
    "lab.plug",
)
async def _(station: Station) -> None:
    await station.plug()
    await station.expect_none(EVENT, _info(chargingState="Charging"), during=10)


@case(
    V2,
    "C01.FR.02",
    "a token that is not in the local list",
    "Authorize",
    Omits("Authorize", {"idToken": {"idToken": TOKENS[0]}}, {"idTokenInfo": {"status": "Accepted"}}),
    VEHICLE,
    READER,
)
async def _(station: Station) -> None:
    await station.plug()
    await station.sleep(1)
    await station.present()
    await station.expect("Authorize", {"idToken": {"idToken": TOKENS[0]}}, within=20)


@case(
    V2,
    "C01.FR.03",
    "the token of the running transaction is presented again",
    "it ends without Authorize",
    Intrudes("Authorize", {"idToken": TOKEN}, after=EVENT, where=ENDED),
    VEHICLE,
    READER,
)
async def _(station: Station) -> None:
    await station.plug()
    await station.sleep(1)
    await station.present()
    await station.expect(EVENT, STARTED, within=30)
    await station.sleep(3)
    await station.present()
    await station.expect(EVENT, {"triggerReason": "StopAuthorized"}, within=30)
    await station.expect_none("Authorize", during=3)


@case(
    V2,
    "C01.FR.07",
    "Authorize answered Blocked",
    "no energy is offered",
    Misreads("Authorize", {"idTokenInfo": {"status": "Accepted"}}, response=True),
    VEHICLE,
    READER,
)
async def _(station: Station) -> None:
    await station.plug()
    await station.sleep(1)
    await station.present(BLOCKED)
    await station.expect("Authorize", within=20)
    await station.expect_none(EVENT, STARTED, during=10)


@case(
    V2,
    "C05.FR.01",
    "RequestStartTransaction with a token of type Central",
    "no Authorize",
    Intrudes("Authorize", {"idToken": TOKEN}, after=EVENT, where=STARTED),
    VEHICLE,
)
async def _(station: Station) -> None:
    await station.write("AuthCtrlr", "AuthorizeRemoteStart", "true")
    await station.plug()
    await station.sleep(2)
    await station.start(idToken={"idToken": "V2XCENTRAL", "type": "Central"})
    await station.expect(EVENT, STARTED, within=30)
    expect(not station.find("Authorize"), "Authorize for a token of type Central")


@case(
    V2,
    "C05.FR.03",
    "RequestStartTransaction",
    "its remoteStartId is in a TransactionEvent",
    Sends(EVENT, {"transactionInfo": {"remoteStartId": None}}),
    VEHICLE,
)
async def _(station: Station) -> None:
    await _started(station)
    await station.expect(EVENT, _info(remoteStartId=ANY))


@case(
    V2,
    "C05.FR.05",
    "RequestStartTransaction",
    "its token is in the first TransactionEvent",
    Sends(EVENT, {"idToken": None}, STARTED),
    VEHICLE,
)
async def _(station: Station) -> None:
    sent = await _started(station)
    expect(pattern.matches(sent, {"idToken": {"idToken": TOKENS[0]}}), f"idToken {sent.get('idToken')}")


@case(
    V2,
    "C09.FR.03",
    "another token of the group during a transaction",
    "the transaction ends",
    Misreads("Authorize", {"idTokenInfo": {"groupIdToken": None}}, response=True),
    VEHICLE,
    READER,
)
async def _(station: Station) -> None:
    await station.plug()
    await station.sleep(1)
    await station.present()
    await station.expect(EVENT, STARTED, within=30)
    await station.sleep(3)
    await station.present(TOKENS[1])
    await station.expect(EVENT, {"triggerReason": "StopAuthorized"}, within=30)


@case(
    V2,
    "C09.FR.05",
    "another token during a transaction",
    "Authorize",
    Omits("Authorize", {"idToken": {"idToken": TOKENS[2]}}, {"idTokenInfo": {"status": "Invalid"}}),
    VEHICLE,
    READER,
)
async def _(station: Station) -> None:
    await station.plug()
    await station.sleep(1)
    await station.present()
    await station.expect(EVENT, STARTED, within=30)
    await station.sleep(3)
    await station.present(TOKENS[2])
    await station.expect("Authorize", {"idToken": {"idToken": TOKENS[2]}}, within=20)


@case(
    V2,
    "C09.FR.11",
    "a token of the group that is Blocked",
    "the transaction goes on",
    Misreads("Authorize", {"idTokenInfo": {"status": "Accepted"}}, response=True),
    VEHICLE,
    READER,
)
async def _(station: Station) -> None:
    await station.plug()
    await station.sleep(1)
    await station.present()
    await station.expect(EVENT, STARTED, within=30)
    await station.sleep(3)
    blocked: Payload = {
        "idTokenInfo": {"status": "Blocked", "groupIdToken": {"idToken": "V2XGROUP", "type": "Central"}}
    }
    station.answer("Authorize", blocked)
    await station.present(TOKENS[1])
    await station.expect_none(EVENT, {"triggerReason": "StopAuthorized"}, during=10)


add(
    V2,
    "C11.FR.02",
    "ClearCache",
    "Accepted or Rejected",
    Errors("ClearCache"),
    exchange("ClearCache", {}, {"status": frozenset({"Accepted", "Rejected"})}),
)

# D: local list, observed by what the station authorises without Authorize


def _entry(token: str, status: str = "Accepted") -> Payload:
    return {"idToken": {"idToken": token, "type": "ISO14443"}, "idTokenInfo": {"status": status}}


async def _list(station: Station, version: int, kind: str, entries: list[Payload] | None, expected: object) -> None:
    body: Payload = {"versionNumber": version, "updateType": kind}
    if entries is not None:
        body["localAuthorizationList"] = entries
    await station.request("SendLocalList", body, expected)


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
    await _list(station, 1, "Full", [_entry("V2XLIST1")], ACCEPTED)


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
    await _list(station, 1, "Full", [_entry("V2XLIST1")], ACCEPTED)
    await _list(station, 2, "Full", None, ACCEPTED)
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
    await _list(station, 1, "Full", [_entry("V2XLIST1")], ACCEPTED)
    await _list(station, 2, "Differential", None, ACCEPTED)
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
    await _list(station, 1, "Full", [_entry("V2XLIST1")], ACCEPTED)
    await _list(station, 2, "Full", [_entry("V2XLIST2")], ACCEPTED)
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
    await _list(station, 1, "Full", [_entry("V2XLIST1")], ACCEPTED)
    await _list(station, 2, "Differential", [_entry("V2XLIST2")], ACCEPTED)
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
    await _list(station, 1, "Full", [_entry("V2XLIST1"), _entry("V2XLIST2")], ACCEPTED)
    await _list(station, 2, "Differential", [{"idToken": _entry("V2XLIST1")["idToken"]}], ACCEPTED)
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
    await _list(station, 7, "Full", [_entry("V2XLIST1")], ACCEPTED)
    await _list(station, 7, "Differential", [_entry("V2XLIST2")], {"status": "VersionMismatch"})


@case(
    V2,
    "D02.FR.01",
    "GetLocalListVersion after an update",
    "the version of the update",
    Answers("GetLocalListVersion", {"versionNumber": 1}),
    "station.local-list",
)
async def _(station: Station) -> None:
    await _list(station, 9, "Full", [_entry("V2XLIST1")], ACCEPTED)
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
    await _list(station, 9, "Full", [_entry("V2XLIST1")], ACCEPTED)
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
    await _list(station, 11, "Full", [_entry("V2XLIST1")], {"status": "Failed"})


@case(
    V2,
    "C13.FR.02",
    "offline, a token that is Blocked in the list",
    "it is not authorised",
    Misreads("SendLocalList", lambda p: {**p, "localAuthorizationList": [_entry("V2XLIST3")]}),
    "station.local-list",
    VEHICLE,
    READER,
)
async def _(station: Station) -> None:
    await _list(station, 1, "Full", [_entry("V2XLIST3", "Blocked")], ACCEPTED)
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
    await _list(station, 1, "Full", [_entry("V2XLIST1")], ACCEPTED)
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
    await _list(station, 1, "Full", [_entry("V2XLIST3", "Blocked")], ACCEPTED)
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


# E: transactions


@case(
    V2,
    "E01.FR.03",
    "a token is presented with a vehicle connected",
    "TransactionEvent Started",
    Omits(EVENT, STARTED, {"idTokenInfo": {"status": "Accepted"}}),
    VEHICLE,
    READER,
)
async def _(station: Station) -> None:
    await station.plug()
    await station.sleep(1)
    await station.present()
    await station.expect(EVENT, STARTED, within=30)


@case(
    V2,
    "E01.FR.07",
    "a transaction",
    "seqNo counts from 0",
    Sends(EVENT, lambda p: {**p, "seqNo": 2 * p["seqNo"]}),
    VEHICLE,
)
async def _(station: Station) -> None:
    number = await station.transaction(sampled=True)
    await station.sleep(6)
    found = _sequence(station, number)
    expect(len(found) > 1, "only one event within 6 s")
    expect(found == list(range(len(found))), f"seqNo {found}")


@case(
    V2,
    "E01.FR.08",
    "two transactions",
    "two transaction ids",
    Sends(EVENT, {"transactionInfo": {"transactionId": "same"}}),
    "lab.vacant",
)
async def _(station: Station) -> None:
    await station.set("TxCtrlr", "EVConnectionTimeOut", 5)
    numbers = []
    for _ in range(2):
        await station.start()
        sent = await station.expect(EVENT, STARTED, within=60)
        numbers.append(sent["transactionInfo"]["transactionId"])
        await station.expect(EVENT, ENDED, within=40)
    expect(numbers[0] != numbers[1], f"transaction id {numbers[0]} twice")


@case(
    V2,
    "E01.FR.09",
    "a transaction starts",
    "the measurands of TxStartedMeasurands",
    Sends(EVENT, {"meterValue": None}, STARTED),
    VEHICLE,
)
async def _(station: Station) -> None:
    await station.set("SampledDataCtrlr", "TxStartedMeasurands", "Energy.Active.Import.Register")
    sent = await _started(station)
    expect("Energy.Active.Import.Register" in str(sent.get("meterValue")), f"meterValue {sent.get('meterValue')}")


@case(
    V2,
    "E01.FR.10",
    "a transaction is authorised",
    "a TransactionEvent has its token",
    Sends(EVENT, {"idToken": None}),
    VEHICLE,
    READER,
)
async def _(station: Station) -> None:
    await station.plug()
    await station.sleep(1)
    await station.present()
    await station.expect(EVENT, {"idToken": {"idToken": TOKENS[0]}}, within=30)


@case(
    V2,
    "E01.FR.13",
    "the transaction of a reservation",
    "a TransactionEvent has reservationId",
    Sends(EVENT, {"reservationId": None}),
    VEHICLE,
    "station.reservation",
    "lab.vacant",
)
async def _(station: Station) -> None:
    body: Payload = {"id": 72, "expiryDateTime": in_future(station, 3600), "idToken": TOKEN, "evseId": 1}
    await station.prepare("ReserveNow", body, ACCEPTED)
    await station.plug()
    await station.sleep(1)
    await station.start()
    await station.expect(EVENT, {"reservationId": 72}, within=30)


@case(
    V2,
    "E01.FR.15",
    "a token is presented",
    "triggerReason of the start is Authorized",
    Sends(EVENT, {"triggerReason": "Trigger"}, STARTED),
    VEHICLE,
    READER,
)
async def _(station: Station) -> None:
    await station.plug()
    await station.sleep(1)
    await station.present()
    sent = await station.expect(EVENT, STARTED, within=30)
    reasons = {"Authorized", "CablePluggedIn", "ChargingStateChanged"}
    expect(sent["triggerReason"] in reasons, f"triggerReason {sent['triggerReason']}")


@case(
    V2,
    "E01.FR.16",
    "a transaction with a vehicle",
    "TransactionEvent with evse.id and connectorId",
    Sends(EVENT, {"evse": None}),
    VEHICLE,
)
async def _(station: Station) -> None:
    await _started(station)
    await station.expect(EVENT, {"evse": {"id": 1, "connectorId": ANY}})


@case(
    V2,
    "E01.FR.18",
    "energy transfer begins",
    "TransactionEvent with chargingState Charging",
    Sends(EVENT, {"transactionInfo": {"chargingState": "EVConnected"}}),
    VEHICLE,
)
async def _(station: Station) -> None:
    await _started(station)
    await station.expect(EVENT, _info(chargingState="Charging"), within=60)


@case(
    V2,
    "E02.FR.05",
    "a vehicle is connected",
    "the connector is Occupied",
    Sends("StatusNotification", {"connectorStatus": "Available"}),
    "lab.plug",
)
async def _(station: Station) -> None:
    await station.plug()
    await station.expect("StatusNotification", {"evseId": 1, "connectorStatus": "Occupied"}, within=20)


@case(
    V2,
    "E02.FR.10",
    "a running transaction",
    "the measurands of TxUpdatedMeasurands",
    Sends(EVENT, {"meterValue": None}, UPDATED),
    VEHICLE,
)
async def _(station: Station) -> None:
    await station.set("SampledDataCtrlr", "TxUpdatedMeasurands", "Energy.Active.Import.Register")
    await station.transaction(sampled=True)
    station.stimulus()
    measured = UPDATED | {"meterValue": lambda v: "Energy.Active.Import.Register" in str(v)}
    await station.expect(EVENT, measured, within=20)


@case(
    V2,
    "E02.FR.17",
    "a vehicle is connected after the token",
    "TransactionEvent CablePluggedIn",
    Omits(EVENT, {"triggerReason": "CablePluggedIn"}),
    "lab.plug",
)
async def _(station: Station) -> None:
    await station.start()
    await station.sleep(3)
    await station.plug()
    await station.expect(EVENT, {"triggerReason": "CablePluggedIn"}, within=20)


@case(
    V2,
    "E03.FR.01",
    "RequestStartTransaction without a vehicle",
    "TransactionEvent with the token",
    Sends(EVENT, {"idToken": None}),
    "lab.vacant",
)
async def _(station: Station) -> None:
    await station.start()
    await station.expect(EVENT, {"idToken": {"idToken": TOKENS[0]}}, within=30)


@case(
    V2,
    "E03.FR.05",
    "no vehicle within EVConnectionTimeOut",
    "the transaction ends, EVConnectTimeout",
    Omits(EVENT, ENDED),
    "lab.vacant",
)
async def _(station: Station) -> None:
    await station.set("TxCtrlr", "EVConnectionTimeOut", 8)
    await station.start()
    await station.expect(EVENT, ENDED | {"triggerReason": "EVConnectTimeout"}, within=40)


@case(
    V2,
    "E03.FR.06",
    "a transaction without a vehicle",
    "seqNo of its first event is 0",
    Sends(EVENT, {"seqNo": 1}, STARTED),
    "lab.vacant",
)
async def _(station: Station) -> None:
    await station.start()
    sent = await station.expect(EVENT, STARTED, within=30)
    expect(sent["seqNo"] == 0, f"seqNo {sent['seqNo']}")


async def _start_offline(station: Station) -> None:
    """Start a transaction offline by a token of the local list, and connect again."""
    await _list(station, 1, "Full", [_entry("V2XLIST1")], ACCEPTED)
    await station.write("AuthCtrlr", "LocalAuthorizeOffline", "true")
    station.answer(EVENT, lambda p: {"idTokenInfo": {"status": "Accepted"}} if "idToken" in p else {})
    await station.plug()
    await station.sleep(1)
    await station.offline(10, lambda: station.environment.present(1, "V2XLIST1"))


@case(
    V2,
    "E04.FR.02",
    "a transaction starts offline, then the connection returns",
    "its events are sent",
    Omits(EVENT),
    VEHICLE,
    READER,
    "station.local-list",
)
async def _(station: Station) -> None:
    await _start_offline(station)
    await station.expect(EVENT, STARTED, within=60)


@case(
    V2,
    "E04.FR.03",
    "a transaction starts offline",
    "its start has offline = true",
    Sends(EVENT, {"offline": None}),
    VEHICLE,
    READER,
    "station.local-list",
)
async def _(station: Station) -> None:
    await _start_offline(station)
    sent = await station.expect(EVENT, STARTED, within=60)
    expect(sent.get("offline") is True, f"offline {sent.get('offline')}")


@case(
    V2,
    "E04.FR.04",
    "a transaction starts offline",
    "seqNo counts from 0 without a gap",
    Sends(EVENT, lambda p: {**p, "seqNo": p["seqNo"] + 3}),
    VEHICLE,
    READER,
    "station.local-list",
)
async def _(station: Station) -> None:
    await _start_offline(station)
    sent = await station.expect(EVENT, STARTED, within=60)
    await station.sleep(5)
    found = _sequence(station, sent["transactionInfo"]["transactionId"])
    expect(found == list(range(len(found))), f"seqNo {found}")


def _invalid(station: Station) -> None:
    station.answer(EVENT, lambda p: {"idTokenInfo": {"status": "Invalid"}} if "idToken" in p else {})


@case(
    V2,
    "E05.FR.10",
    "TransactionEvent answered Invalid, StopTxOnInvalidId",
    "the transaction ends, Deauthorized",
    Misreads(EVENT, {"idTokenInfo": {"status": "Accepted"}}, response=True),
    VEHICLE,
)
async def _(station: Station) -> None:
    await station.write("TxCtrlr", "StopTxOnInvalidId", "true")
    await station.plug()
    await station.sleep(1)
    _invalid(station)
    await station.start()
    await station.expect(EVENT, ENDED | {"triggerReason": "Deauthorized"}, within=30)


@case(
    V2,
    "E05.FR.02",
    "TransactionEvent answered Invalid, StopTxOnInvalidId false",
    "no energy flows",
    Misreads(EVENT, {"idTokenInfo": {"status": "Accepted"}}, response=True),
    VEHICLE,
)
async def _(station: Station) -> None:
    await station.set("TxCtrlr", "StopTxOnInvalidId", "false")
    await station.sample()
    await station.plug()
    await station.sleep(1)
    _invalid(station)
    await station.start()
    await station.expect(EVENT, STARTED, within=30)
    await station.sleep(5)
    station.stimulus()
    await station.sleep(10)
    power = station.power() or 0.0
    expect(abs(power) < 100, f"{power:.0f} W flow for a token that is Invalid")


@case(
    V2,
    "E06.FR.02",
    "the vehicle is disconnected, TxStopPoint EVConnected",
    "the transaction ends",
    Omits(EVENT, ENDED),
    "lab.unplug",
)
async def _(station: Station) -> None:
    await station.transaction()
    await station.unplug()
    await station.expect(EVENT, ENDED, within=30)


@case(
    V2,
    "E06.FR.03",
    "the token is presented again, TxStopPoint Authorized",
    "the transaction ends",
    Omits(EVENT, ENDED),
    VEHICLE,
    READER,
)
async def _(station: Station) -> None:
    await station.transaction()
    await station.present()
    await station.expect(EVENT, ENDED, within=30)


@case(
    V2,
    "E06.FR.08",
    "the vehicle is disconnected",
    "stoppedReason EVDisconnected",
    Sends(EVENT, {"transactionInfo": {"stoppedReason": None}}, ENDED),
    "lab.unplug",
)
async def _(station: Station) -> None:
    await station.transaction()
    await station.unplug()
    sent = await station.expect(EVENT, ENDED, within=30)
    reason = sent["transactionInfo"].get("stoppedReason")
    expect(reason == "EVDisconnected", f"stoppedReason {reason}")


@case(
    V2,
    "E06.FR.11",
    "a transaction ends",
    "the measurands of TxEndedMeasurands",
    Sends(EVENT, {"meterValue": None}, ENDED),
    VEHICLE,
)
async def _(station: Station) -> None:
    await station.set("SampledDataCtrlr", "TxEndedMeasurands", "Energy.Active.Import.Register")
    await station.transaction()
    await station.stop()
    sent = await station.expect(EVENT, ENDED, within=30)
    expect("Energy.Active.Import.Register" in str(sent.get("meterValue")), f"meterValue {sent.get('meterValue')}")


@case(
    V2,
    "E06.FR.14",
    "a transaction ends",
    "seqNo of the end follows that of the event before",
    Sends(EVENT, lambda p: {**p, "seqNo": p["seqNo"] + 5}, ENDED),
    VEHICLE,
)
async def _(station: Station) -> None:
    number = await station.transaction()
    await station.stop()
    await station.expect(EVENT, ENDED, within=30)
    found = _sequence(station, number)
    expect(all(b == a + 1 for a, b in pairwise(found)), f"seqNo {found}")


@case(
    V2,
    "E06.FR.15",
    "the vehicle is disconnected",
    "triggerReason EVCommunicationLost or EVDeparted",
    Sends(EVENT, {"triggerReason": "Trigger"}, ENDED),
    "lab.unplug",
)
async def _(station: Station) -> None:
    await station.transaction()
    await station.unplug()
    sent = await station.expect(EVENT, ENDED, within=30)
    reasons = {"EVCommunicationLost", "EVDeparted"}
    expect(sent["triggerReason"] in reasons, f"triggerReason {sent['triggerReason']}")


@case(
    V2,
    "E07.FR.02",
    "the token is presented again",
    "triggerReason StopAuthorized",
    Sends(EVENT, {"triggerReason": "Trigger"}, ENDED),
    VEHICLE,
    READER,
)
async def _(station: Station) -> None:
    await station.transaction()
    await station.present()
    await station.expect(EVENT, {"triggerReason": "StopAuthorized"}, within=30)


@case(
    V2,
    "E07.FR.05",
    "the token is presented again",
    "stoppedReason Local or none",
    Sends(EVENT, {"transactionInfo": {"stoppedReason": "Remote"}}, ENDED),
    VEHICLE,
    READER,
)
async def _(station: Station) -> None:
    await station.transaction()
    await station.present()
    sent = await station.expect(EVENT, ENDED, within=30)
    reason = sent["transactionInfo"].get("stoppedReason", "Local")
    expect(reason == "Local", f"stoppedReason {reason}")


async def _stop_offline(station: Station) -> Payload:
    """End a transaction offline by its token, and return its end after the connection has returned."""
    await station.transaction()
    await station.offline(10, lambda: station.environment.present(1, TOKENS[0]))
    return await station.expect(EVENT, ENDED, within=60)


@case(
    V2,
    "E08.FR.06",
    "the token is presented offline, then the connection returns",
    "the end is sent",
    Omits(EVENT, ENDED),
    VEHICLE,
    READER,
)
async def _(station: Station) -> None:
    await _stop_offline(station)


@case(
    V2,
    "E08.FR.07",
    "a transaction ends offline",
    "its end has offline = true",
    Sends(EVENT, {"offline": None}, ENDED),
    VEHICLE,
    READER,
)
async def _(station: Station) -> None:
    sent = await _stop_offline(station)
    expect(sent.get("offline") is True, f"offline {sent.get('offline')}")


@case(
    V2,
    "E08.FR.08",
    "a transaction ends offline",
    "seqNo has no gap",
    Sends(EVENT, lambda p: {**p, "seqNo": p["seqNo"] + 5}, ENDED),
    VEHICLE,
    READER,
)
async def _(station: Station) -> None:
    sent = await _stop_offline(station)
    found = _sequence(station, sent["transactionInfo"]["transactionId"])
    expect(found == list(range(len(found))), f"seqNo {found}")


@case(
    V2,
    "E11.FR.02",
    "offline during a transaction",
    "its meter values are sent later, with offline = true",
    Sends(EVENT, {"offline": None}),
    VEHICLE,
)
async def _(station: Station) -> None:
    await station.transaction(sampled=True)
    await station.offline(15)
    await station.expect(EVENT, UPDATED | {"offline": True}, within=60)


@case(
    V2,
    "E12.FR.02",
    "the vehicle is disconnected offline",
    "the end is sent later, with offline = true",
    Sends(EVENT, {"offline": None}, ENDED),
    "lab.unplug",
)
async def _(station: Station) -> None:
    await station.transaction()
    await station.offline(10, lambda: station.environment.unplug(1))
    await station.expect(EVENT, ENDED | {"offline": True}, within=60)


async def _attempts(station: Station, attempts: int, interval: int) -> None:
    await station.set("OCPPCommCtrlr", "MessageAttempts", attempts, "TransactionEvent")
    await station.set("OCPPCommCtrlr", "MessageAttemptInterval", interval, "TransactionEvent")
    await station.plug()
    await station.sleep(1)
    station.answer(EVENT, lambda p: ErrorAnswer("InternalError") if p["eventType"] == "Started" else None)
    await station.start()
    await station.expect(EVENT, STARTED, within=30)


def _starts(station: Station) -> list[float]:
    return [m.at for m in station.find(EVENT, STARTED)]


@case(
    V2,
    "E13.FR.02",
    "TransactionEvent answered with an error",
    "it is sent again",
    Misreads(
        "SetVariables",
        lambda p: {
            "setVariableData": [
                {**d, "attributeValue": "1"} if d["variable"]["name"] == "MessageAttempts" else d
                for d in p["setVariableData"]
            ]
        },
    ),
    VEHICLE,
)
async def _(station: Station) -> None:
    await _attempts(station, 3, 3)
    if not await station.recorded.wait_for(lambda: len(_starts(station)) >= 3, 60):
        raise Failed(f"{len(_starts(station))} attempts instead of 3")


@case(
    V2,
    "E13.FR.03",
    "TransactionEvent answered with errors",
    "the wait grows with each attempt",
    Misreads(
        "SetVariables",
        lambda p: {
            "setVariableData": [
                {**d, "attributeValue": "0"} if d["variable"]["name"] == "MessageAttemptInterval" else d
                for d in p["setVariableData"]
            ]
        },
    ),
    VEHICLE,
)
async def _(station: Station) -> None:
    await _attempts(station, 3, 5)
    await station.recorded.wait_for(lambda: len(_starts(station)) >= 3, 60)
    waits = [b - a for a, b in pairwise(_starts(station))]
    expect(len(waits) >= 2, f"{len(waits) + 1} attempts instead of 3")
    expect(waits[0] > 4 and waits[1] > 9, f"waits of {', '.join(f'{w:.0f} s' for w in waits)} for an interval of 5 s")


@case(
    V2,
    "E13.FR.04",
    "the last attempt fails",
    "the next TransactionEvent is sent",
    Misreads(
        "SetVariables",
        lambda p: {
            "setVariableData": [
                {**d, "attributeValue": "50"} if d["variable"]["name"] == "MessageAttempts" else d
                for d in p["setVariableData"]
            ]
        },
    ),
    VEHICLE,
)
async def _(station: Station) -> None:
    await station.sample()
    await _attempts(station, 2, 2)
    await station.expect(EVENT, UPDATED, within=60)


add(
    V2,
    "E14.FR.01",
    "GetTransactionStatus of an unknown transaction",
    "not ongoing, no messages",
    Answers("GetTransactionStatus", {"ongoingIndicator": True}),
    exchange(
        "GetTransactionStatus", {"transactionId": "v2x-unknown"}, {"ongoingIndicator": False, "messagesInQueue": False}
    ),
)


@case(
    V2,
    "E14.FR.02",
    "GetTransactionStatus of the running transaction",
    "ongoingIndicator true",
    Answers("GetTransactionStatus", {"ongoingIndicator": False}),
    VEHICLE,
)
async def _(station: Station) -> None:
    body = {"transactionId": await station.transaction()}
    await station.request("GetTransactionStatus", body, {"ongoingIndicator": True})


@case(
    V2,
    "E14.FR.03",
    "GetTransactionStatus of a transaction that has ended",
    "ongoingIndicator false",
    Answers("GetTransactionStatus", {"ongoingIndicator": True}),
    VEHICLE,
)
async def _(station: Station) -> None:
    number = await station.transaction()
    await station.stop()
    await station.sleep(2)
    await station.request("GetTransactionStatus", {"transactionId": number}, {"ongoingIndicator": False})


@case(
    V2,
    "E14.FR.05",
    "GetTransactionStatus with all messages delivered",
    "messagesInQueue false",
    Answers("GetTransactionStatus", {"messagesInQueue": True}),
    VEHICLE,
)
async def _(station: Station) -> None:
    body = {"transactionId": await station.transaction()}
    await station.request("GetTransactionStatus", body, {"messagesInQueue": False})


add(
    V2,
    "E14.FR.06",
    "GetTransactionStatus without a transaction",
    "no ongoingIndicator",
    Answers("GetTransactionStatus", {"ongoingIndicator": False}),
    exchange("GetTransactionStatus", {}, {"ongoingIndicator": pattern.ABSENT}),
)


@case(
    V2,
    "E14.FR.07",
    "GetTransactionStatus while a TransactionEvent waits",
    "messagesInQueue true",
    Answers("GetTransactionStatus", {"messagesInQueue": False}),
    VEHICLE,
)
async def _(station: Station) -> None:
    await _attempts(station, 5, 30)
    await station.request("GetTransactionStatus", {}, {"messagesInQueue": True})


add(
    V2,
    "E14.FR.08",
    "GetTransactionStatus without messages",
    "messagesInQueue false",
    Answers("GetTransactionStatus", {"messagesInQueue": True}),
    exchange("GetTransactionStatus", {}, {"messagesInQueue": False}),
)

# F: remote control


@case(
    V2,
    "F01.FR.01",
    "RequestStartTransaction with AuthorizeRemoteStart",
    "Authorize",
    Omits("Authorize", {"idToken": {"idToken": TOKENS[0]}}, {"idTokenInfo": {"status": "Accepted"}}),
    VEHICLE,
)
async def _(station: Station) -> None:
    await station.set("AuthCtrlr", "AuthorizeRemoteStart", "true")
    await station.plug()
    await station.sleep(2)
    await station.start()
    await station.expect("Authorize", {"idToken": {"idToken": TOKENS[0]}}, within=20)


@case(
    V2,
    "F01.FR.02",
    "RequestStartTransaction without AuthorizeRemoteStart",
    "no Authorize",
    Intrudes("Authorize", {"idToken": TOKEN}, after=EVENT, where=STARTED),
    VEHICLE,
)
async def _(station: Station) -> None:
    await station.write("AuthCtrlr", "AuthorizeRemoteStart", "false")
    await station.plug()
    await station.sleep(2)
    await station.start()
    await station.expect(EVENT, STARTED, within=30)
    expect(not station.find("Authorize"), "Authorize for a remote start")


@case(
    V2,
    "F01.FR.04",
    "RequestStartTransaction",
    "its token is that of the transaction",
    Misreads("RequestStartTransaction", {"idToken": {"idToken": "OTHER"}}),
    VEHICLE,
)
async def _(station: Station) -> None:
    await station.plug()
    await station.sleep(2)
    await station.start()
    await station.expect(EVENT, {"idToken": {"idToken": TOKENS[0]}}, within=30)


def _start_profile(limit: float, purpose: str = "TxProfile") -> Payload:
    period: Payload = {"startPeriod": 0, "limit": limit}
    schedule: Payload = {"id": 1, "chargingRateUnit": "W", "chargingSchedulePeriod": [period]}
    return {
        "id": 2_000_900,
        "stackLevel": 1,
        "chargingProfilePurpose": purpose,
        "chargingProfileKind": "Relative",
        "chargingSchedule": [schedule],
    }


@case(
    V2,
    "F01.FR.10",
    "RequestStartTransaction with a TxProfile of 3 kW",
    "the power is 3 kW",
    Misreads("RequestStartTransaction", {"chargingProfile": None}),
    VEHICLE,
    "station.power",
    "station.smart-charging",
)
async def _(station: Station) -> None:
    await station.sample()
    await station.plug()
    await station.sleep(2)
    await station.start(chargingProfile=_start_profile(3000.0))
    await station.expect(EVENT, STARTED, within=30)
    await station.power_becomes(3000.0, within=60)
    await station.power_stays(3000.0)


@case(
    V2,
    "F01.FR.19",
    "RequestStartTransaction with a vehicle",
    "the next event has triggerReason RemoteStart",
    Sends(EVENT, {"triggerReason": "Authorized"}, STARTED),
    VEHICLE,
)
async def _(station: Station) -> None:
    sent = await _started(station)
    expect(sent["triggerReason"] == "RemoteStart", f"triggerReason {sent['triggerReason']}")


@case(
    V2,
    "F01.FR.21",
    "RequestStartTransaction for an EVSE reserved for another token",
    "Rejected",
    Answers("RequestStartTransaction", ACCEPTED),
    "station.reservation",
    "lab.vacant",
)
async def _(station: Station) -> None:
    other = {"idToken": TOKENS[2], "type": "ISO14443"}
    body: Payload = {"id": 73, "expiryDateTime": in_future(station, 600), "idToken": other, "evseId": 1}
    await station.prepare("ReserveNow", body, ACCEPTED)
    try:
        request = {"idToken": TOKEN, "remoteStartId": 9, "evseId": 1}
        await station.request("RequestStartTransaction", request, REJECTED)
    finally:
        await station.call("CancelReservation", {"reservationId": 73})


@case(
    V2,
    "F01.FR.23",
    "RequestStartTransaction for an EVSE that is Unavailable",
    "Rejected",
    Answers("RequestStartTransaction", ACCEPTED),
)
async def _(station: Station) -> None:
    body: Payload = {"operationalStatus": "Inoperative", "evse": {"id": 1}}
    await station.prepare("ChangeAvailability", body, ACCEPTED)
    try:
        request = {"idToken": TOKEN, "remoteStartId": 9, "evseId": 1}
        await station.request("RequestStartTransaction", request, REJECTED)
    finally:
        await station.call("ChangeAvailability", body | {"operationalStatus": "Operative"})


@case(
    V2,
    "F01.FR.24",
    "RequestStartTransaction for an EVSE with an authorised transaction",
    "Rejected",
    Answers("RequestStartTransaction", ACCEPTED),
    VEHICLE,
)
async def _(station: Station) -> None:
    await station.transaction()
    request = {"idToken": TOKEN, "remoteStartId": 9, "evseId": 1}
    await station.request("RequestStartTransaction", request, REJECTED)


@case(
    V2,
    "F01.FR.26",
    "RequestStartTransaction with a profile of another purpose",
    "Rejected",
    Answers("RequestStartTransaction", ACCEPTED),
    "station.smart-charging",
)
async def _(station: Station) -> None:
    request: Payload = {
        "idToken": TOKEN,
        "remoteStartId": 9,
        "evseId": 1,
        "chargingProfile": _start_profile(3000.0, "TxDefaultProfile"),
    }
    await station.request("RequestStartTransaction", request, REJECTED)


@case(
    V2,
    "F02.FR.01",
    "RequestStartTransaction without a vehicle",
    "the first event has remoteStartId",
    Sends(EVENT, {"transactionInfo": {"remoteStartId": None}}, STARTED),
    "lab.vacant",
)
async def _(station: Station) -> None:
    await station.start()
    sent = await station.expect(EVENT, STARTED, within=30)
    expect("remoteStartId" in sent["transactionInfo"], "no remoteStartId in the first event")


@case(
    V2,
    "F02.FR.21",
    "RequestStartTransaction without a vehicle",
    "triggerReason RemoteStart",
    Sends(EVENT, {"triggerReason": "Authorized"}, STARTED),
    "lab.vacant",
)
async def _(station: Station) -> None:
    await station.start()
    sent = await station.expect(EVENT, STARTED, within=30)
    expect(sent["triggerReason"] == "RemoteStart", f"triggerReason {sent['triggerReason']}")


@case(
    V2,
    "F02.FR.07",
    "no vehicle after RequestStartTransaction",
    "the end has stoppedReason Timeout",
    Sends(EVENT, {"transactionInfo": {"stoppedReason": "Local"}}, ENDED),
    "lab.vacant",
)
async def _(station: Station) -> None:
    await station.set("TxCtrlr", "EVConnectionTimeOut", 8)
    await station.start()
    await station.expect(EVENT, ENDED | _info(stoppedReason="Timeout"), within=40)


@case(
    V2,
    "F03.FR.03",
    "RequestStopTransaction",
    "the end has RemoteStop and Remote",
    Sends(EVENT, {"triggerReason": "StopAuthorized"}, ENDED),
    VEHICLE,
)
async def _(station: Station) -> None:
    number = await station.transaction()
    await station.request("RequestStopTransaction", {"transactionId": number}, ACCEPTED)
    ended = ENDED | {"triggerReason": "RemoteStop"} | _info(stoppedReason="Remote")
    await station.expect(EVENT, ended, within=30)


@case(
    V2,
    "F03.FR.07",
    "RequestStopTransaction of the running transaction",
    "Accepted",
    Answers("RequestStopTransaction", REJECTED),
    VEHICLE,
)
async def _(station: Station) -> None:
    number = await station.transaction()
    await station.request("RequestStopTransaction", {"transactionId": number}, ACCEPTED)


add(
    V2,
    "F03.FR.08",
    "RequestStopTransaction of an unknown transaction",
    "Rejected",
    Answers("RequestStopTransaction", ACCEPTED),
    exchange("RequestStopTransaction", {"transactionId": "v2x-unknown"}, REJECTED),
)
UNLOCK: Payload = {"evseId": 1, "connectorId": 1}
LOCKS = frozenset({"Unlocked", "UnlockFailed"})
add(
    V2,
    "F05.FR.01",
    "UnlockConnector",
    "a response",
    Errors("UnlockConnector"),
    exchange("UnlockConnector", UNLOCK, {"status": ANY}),
)


@case(
    V2,
    "F05.FR.02",
    "UnlockConnector during a transaction",
    "OngoingAuthorizedTransaction",
    Answers("UnlockConnector", {"status": "Unlocked"}),
    VEHICLE,
)
async def _(station: Station) -> None:
    await station.transaction()
    await station.request("UnlockConnector", UNLOCK, {"status": "OngoingAuthorizedTransaction"})


add(
    V2,
    "F05.FR.03",
    "UnlockConnector of an unknown connector",
    "UnknownConnector",
    Answers("UnlockConnector", {"status": "Unlocked"}),
    exchange("UnlockConnector", {"evseId": 99, "connectorId": 1}, {"status": "UnknownConnector"}),
)
add(
    V2,
    "F05.FR.06",
    "UnlockConnector without a cable",
    "the result of the attempt",
    Answers("UnlockConnector", {"status": "UnknownConnector"}),
    exchange("UnlockConnector", UNLOCK, {"status": LOCKS}),
)


@case(
    V2,
    "F06.FR.04",
    "TriggerMessage Heartbeat",
    "the response comes before the message",
    LateAnswers("TriggerMessage", 3.0),
)
async def _(station: Station) -> None:
    await station.request("TriggerMessage", {"requestedMessage": "Heartbeat"}, ACCEPTED, within=10)
    await station.expect("Heartbeat", within=20)
    since = station.recorded.messages[station.recorded.mark :]
    order = [m.action for m in since if m.from_device and m.action in ("TriggerMessage", "Heartbeat")]
    expect(order[:1] == ["TriggerMessage"], "the message was sent before the response")


EVSE: Payload = {"evse": {"id": 1}}
add(
    V2,
    "F06.FR.06",
    "TriggerMessage MeterValues",
    "MeterValues",
    Omits("MeterValues"),
    triggered("MeterValues", "MeterValues", {"evseId": 1, "meterValue": ANY}, **EVSE),
)


@case(
    V2,
    "F06.FR.07",
    "TriggerMessage TransactionEvent during a transaction",
    "TransactionEvent Trigger",
    Omits(EVENT, {"triggerReason": "Trigger"}),
    VEHICLE,
)
async def _(station: Station) -> None:
    await station.transaction()
    await trigger(station, EVENT, "Accepted", **EVSE)
    sent = await station.expect(EVENT, {"triggerReason": "Trigger"}, within=20)
    expect("chargingState" in sent["transactionInfo"], "no chargingState")


add(
    V2,
    "F06.FR.08",
    "TriggerMessage of a message that a station does not send",
    "NotImplemented",
    Answers("TriggerMessage", ACCEPTED),
    exchange("TriggerMessage", {"requestedMessage": "PublishFirmwareStatusNotification"}, {"status": "NotImplemented"}),
)
add(
    V2,
    "F06.FR.10",
    "TriggerMessage Heartbeat answered Accepted",
    "Heartbeat",
    Omits("Heartbeat", response={"currentTime": "2026-01-15T00:00:00Z"}),
    triggered("Heartbeat", "Heartbeat", ANY),
)


@case(
    V2,
    "F06.FR.11",
    "TriggerMessage StatusNotification without an EVSE",
    "of every EVSE",
    Omits("StatusNotification", {"evseId": 2}),
    "station.two-evses",
)
async def _(station: Station) -> None:
    answer = await station.request("TriggerMessage", {"requestedMessage": "StatusNotification"})
    if answer["status"] != "Accepted":
        raise Inconclusive("Rejected, which F06.FR.12 permits")
    for number in (1, 2):
        await station.expect("StatusNotification", {"evseId": number}, within=20)


add(
    V2,
    "F06.FR.15",
    "TriggerMessage LogStatusNotification without an upload",
    "Idle",
    Sends("LogStatusNotification", {"status": "Uploading"}),
    triggered("LogStatusNotification", "LogStatusNotification", {"status": "Idle"}),
    "station.logs",
)
add(
    V2,
    "F06.FR.16",
    "TriggerMessage FirmwareStatusNotification without an update",
    "Idle",
    Sends("FirmwareStatusNotification", {"status": "Downloading"}),
    triggered("FirmwareStatusNotification", "FirmwareStatusNotification", {"status": "Idle"}),
    "station.firmware",
)


@case(
    V2,
    "F06.FR.17",
    "TriggerMessage BootNotification after an accepted boot",
    "Rejected",
    Answers("TriggerMessage", ACCEPTED),
)
async def _(station: Station) -> None:
    await trigger(station, "BootNotification", "Rejected")


add(
    V21,
    "F06.FR.19",
    "TriggerMessage CustomTrigger of an unknown name",
    "NotImplemented",
    Answers("TriggerMessage", ACCEPTED),
    exchange(
        "TriggerMessage",
        {"requestedMessage": "CustomTrigger", "customTrigger": "v2xNoSuchTrigger"},
        {"status": "NotImplemented"},
    ),
)
