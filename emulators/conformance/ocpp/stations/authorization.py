"""OCPP 2.x, block C: authorization by tokens of the CSMS and the cache."""

from __future__ import annotations

from emulators.conformance.case import expect
from emulators.conformance.ocpp import pattern
from emulators.conformance.ocpp.declarations import V2, Declared
from emulators.conformance.ocpp.mutants import Errors, Intrudes, Misreads, Omits, Sends
from emulators.conformance.ocpp.pattern import ANY
from emulators.conformance.ocpp.stations.procedures import TOKEN, Station, exchange
from emulators.conformance.ocpp.stations.transactions import (
    ENDED,
    EVENT,
    READER,
    STARTED,
    VEHICLE,
    start_transaction,
    transaction_info,
)
from emulators.conformance.ocpp.tester_csms import BLOCKED, TOKENS
from protocols.ocpp.schema import Payload

DECLARED: Declared[Station] = Declared("CS")
case, add = DECLARED.case, DECLARED.add


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
    await station.expect_none(EVENT, transaction_info(chargingState="Charging"), during=10)


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
    await start_transaction(station)
    await station.expect(EVENT, transaction_info(remoteStartId=ANY))


@case(
    V2,
    "C05.FR.05",
    "RequestStartTransaction",
    "its token is in the first TransactionEvent",
    Sends(EVENT, {"idToken": None}, STARTED),
    VEHICLE,
)
async def _(station: Station) -> None:
    sent = await start_transaction(station)
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
