"""OCPP 2.x, block F: remote control."""

from __future__ import annotations

from emulators.conformance.case import Inconclusive, expect
from emulators.conformance.ocpp.declarations import V2, V21, Declared
from emulators.conformance.ocpp.mutants import Answers, Errors, Intrudes, LateAnswers, Misreads, Omits, Sends
from emulators.conformance.ocpp.pattern import ANY
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
from emulators.conformance.ocpp.stations.transactions import (
    ENDED,
    EVENT,
    STARTED,
    VEHICLE,
    start_transaction,
    transaction_info,
)
from emulators.conformance.ocpp.tester_csms import TOKENS
from protocols.ocpp.schema import Payload

DECLARED: Declared[Station] = Declared("CS")
case, add = DECLARED.case, DECLARED.add


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
    sent = await start_transaction(station)
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
    await station.expect(EVENT, ENDED | transaction_info(stoppedReason="Timeout"), within=40)


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
    ended = ENDED | {"triggerReason": "RemoteStop"} | transaction_info(stoppedReason="Remote")
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
