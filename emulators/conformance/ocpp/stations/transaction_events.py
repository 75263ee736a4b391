"""OCPP 2.x, block E: transactions and their events."""

from __future__ import annotations

from itertools import pairwise

from emulators.conformance.case import Failed, expect
from emulators.conformance.ocpp import pattern
from emulators.conformance.ocpp.declarations import V2, Declared
from emulators.conformance.ocpp.mutants import Answers, Misreads, Omits, Sends
from emulators.conformance.ocpp.pattern import ANY
from emulators.conformance.ocpp.peer import ErrorAnswer
from emulators.conformance.ocpp.stations.procedures import ACCEPTED, TOKEN, Station, exchange, in_future
from emulators.conformance.ocpp.stations.transactions import (
    ENDED,
    EVENT,
    READER,
    STARTED,
    UPDATED,
    VEHICLE,
    list_entry,
    send_list,
    start_transaction,
    transaction_info,
)
from emulators.conformance.ocpp.tester_csms import TOKENS
from protocols.ocpp.schema import Payload

DECLARED: Declared[Station] = Declared("CS")
case, add = DECLARED.case, DECLARED.add


def _sequence(station: Station, number: str) -> list[int]:
    events = [m.payload for m in station.find(EVENT, since=0)]
    return [e["seqNo"] for e in events if e["transactionInfo"]["transactionId"] == number]


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
    sent = await start_transaction(station)
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
    await start_transaction(station)
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
    await start_transaction(station)
    await station.expect(EVENT, transaction_info(chargingState="Charging"), within=60)


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
    await send_list(station, 1, "Full", [list_entry("V2XLIST1")], ACCEPTED)
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
