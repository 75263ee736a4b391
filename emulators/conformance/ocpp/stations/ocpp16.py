"""OCPP 1.6: core, smart charging, local list, reservation, remote trigger and security of a station, by section."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

from emulators.conformance.case import Failed, expect
from emulators.conformance.ocpp.declarations import V16, Declared
from emulators.conformance.ocpp.mutants import (
    Answers,
    Authenticates,
    Errors,
    Intrudes,
    Misreads,
    Mutant,
    Omits,
    Pretends,
    Sends,
)
from emulators.conformance.ocpp.pattern import ABSENT, ANY
from emulators.conformance.ocpp.peer import ErrorAnswer, Message
from emulators.conformance.ocpp.stations.procedures import (
    ACCEPTED,
    REJECTED,
    Station,
    StationProcedure,
    another_password,
    authenticated,
    exchange,
    in_future,
    triggered,
)
from emulators.conformance.ocpp.tester_csms import BLOCKED, TOKENS
from protocols.ocpp.schema import ErrorCode, Payload
from protocols.ocpp.times import parse, stamp

CORE: Declared[Station] = Declared("CS", "Core 1.6")
SMART: Declared[Station] = Declared("CS", "Smart charging 1.6")
LISTS: Declared[Station] = Declared("CS", "Local list and reservation 1.6")
TRIGGERS: Declared[Station] = Declared("CS", "Remote trigger 1.6")
SECURITY: Declared[Station] = Declared("CS", "Security 1.6")
VEHICLE, READER = "lab.vehicle", "lab.reader"
STATUS, START, STOP = "StatusNotification", "StartTransaction", "StopTransaction"
TAG = TOKENS[0]
Declaring = Callable[[StationProcedure], StationProcedure]


def core(reference: str, stimulus: str, expectation: str, mutant: Mutant, *needs: str) -> Declaring:
    """Declare a case of the core profile."""
    return CORE.case(V16, reference, stimulus, expectation, mutant, *needs)


def _is(status: str, connector: int = 1) -> Payload:
    return {"connectorId": connector, "status": status}


# 4.2 BootNotification
BOOT: Payload = {"chargePointVendor": "v", "chargePointModel": "m"}
PENDING_S = 10


async def _pending(station: Station, status: str = "Pending", interval: int = PENDING_S) -> None:
    await station.boot({"status": status, "interval": interval})
    await station.sleep(0.5)


@core(
    "4.2 vendor and model",
    "reset",
    "BootNotification with chargePointVendor and chargePointModel",
    Sends("BootNotification", {"chargePointModel": None}),
)
async def _(station: Station) -> None:
    await station.boot()


@core(
    "4.2 no message before",
    "boot answered Pending",
    "no request but BootNotification",
    Intrudes("Heartbeat", {}, after="BootNotification", seconds=2.0),
)
async def _(station: Station) -> None:
    await _pending(station)
    await station.sleep(PENDING_S / 2)
    for action in (STATUS, "Heartbeat", "MeterValues", START):
        expect(not station.find(action), f"{action} while Pending")


@core(
    "4.2 heartbeat interval",
    "boot accepted with an interval of 7 s",
    "Heartbeat after 7 s",
    Misreads("BootNotification", {"interval": 3600}, response=True),
)
async def _(station: Station) -> None:
    await station.boot({"interval": 7})
    await station.booted()
    for _ in range(2):
        station.stimulus()
        await station.expect("Heartbeat", within=15)


@core(
    "4.2 interval while pending",
    "boot answered Pending with an interval",
    "BootNotification after it, not before",
    Intrudes("BootNotification", BOOT, after="BootNotification", seconds=5.0),
)
async def _(station: Station) -> None:
    await _pending(station)
    station.stimulus()
    await station.expect_none("BootNotification", during=PENDING_S - 3)
    await station.expect("BootNotification", within=20)


@core(
    "4.2 interval while rejected",
    "boot answered Rejected with an interval",
    "BootNotification after it",
    Misreads("BootNotification", {"interval": 600}, {"status": "Rejected"}, response=True),
)
async def _(station: Station) -> None:
    await _pending(station, "Rejected")
    station.stimulus()
    await station.expect("BootNotification", within=PENDING_S + 30)


@core(
    "4.2 silence while rejected",
    "boot answered Rejected",
    "no message before the interval has passed",
    Intrudes("Heartbeat", {}, after="BootNotification", seconds=2.0),
)
async def _(station: Station) -> None:
    await _pending(station, "Rejected")
    station.stimulus()
    await station.sleep(PENDING_S / 2)
    sent = [m.action for m in station.recorded.messages[station.recorded.mark :] if m.from_device]
    expect(not sent, f"sent while rejected: {sent}")


@core(
    "4.2 interval of zero",
    "boot answered Pending with interval 0",
    "an interval of its own, at least 5 s",
    Intrudes("BootNotification", BOOT, after="BootNotification", seconds=1.0),
)
async def _(station: Station) -> None:
    await _pending(station, interval=0)
    station.stimulus()
    await station.expect_none("BootNotification", during=4)


@core(
    "4.2 remote start while pending",
    "RemoteStartTransaction while Pending",
    "no transaction starts",
    Answers("RemoteStartTransaction", ACCEPTED, whole=True),
)
async def _(station: Station) -> None:
    await _pending(station)
    reply = await station.call("RemoteStartTransaction", {"idTag": TAG, "connectorId": 1})
    accepted = getattr(reply, "payload", {}).get("status") == "Accepted"
    expect(not accepted, "RemoteStartTransaction is Accepted while Pending")


@core(
    "4.2 clock",
    "boot accepted with the present time",
    "timestamps agree with it",
    Misreads("BootNotification", {"currentTime": "2025-01-01T00:00:00Z"}, response=True),
    VEHICLE,
)
async def _(station: Station) -> None:
    await station.boot()
    await station.booted()
    await station.transaction()
    at = parse((await station.expect(START, since=0))["timestamp"])
    expect(at is not None and abs(at - station.clock.wall()) < 60, "the timestamp differs by more than 60 s")


# 4.9 StatusNotification


@core("4.9 connectors after a boot", "boot accepted", "the status of each connector", Omits(STATUS, {"connectorId": 1}))
async def _(station: Station) -> None:
    await station.boot()
    await station.booted()
    await station.expect(STATUS, {"connectorId": 1}, within=30)


@core("4.9 connector 0", "boot accepted", "the status of the station, connector 0", Omits(STATUS, {"connectorId": 0}))
async def _(station: Station) -> None:
    await station.boot()
    await station.booted()
    await station.expect(STATUS, {"connectorId": 0, "status": {"Available", "Unavailable", "Faulted"}}, within=30)


@core(
    "4.9 error code", "boot accepted", "errorCode NoError without a fault", Sends(STATUS, {"errorCode": "OtherError"})
)
async def _(station: Station) -> None:
    await station.boot()
    await station.booted()
    await station.expect(STATUS, {"errorCode": "NoError"}, within=30)


@core("4.9 Preparing", "a vehicle is connected", "Preparing", Sends(STATUS, {"status": "Available"}), "lab.plug")
async def _(station: Station) -> None:
    await station.plug()
    await station.expect(STATUS, _is("Preparing"), within=20)


@core(
    "4.9 Charging",
    "a transaction",
    "Charging or suspended",
    Omits(STATUS, {"status": {"Charging", "SuspendedEV", "SuspendedEVSE"}}),
    VEHICLE,
)
async def _(station: Station) -> None:
    await station.transaction()
    states = {"Charging", "SuspendedEV", "SuspendedEVSE"}
    await station.expect(STATUS, {"connectorId": 1, "status": states}, within=30, since=0)


@core(
    "4.9 Finishing",
    "a transaction is stopped with the vehicle connected",
    "Finishing",
    Omits(STATUS, {"status": "Finishing"}),
    VEHICLE,
)
async def _(station: Station) -> None:
    await station.transaction()
    await station.stop()
    await station.expect(STATUS, _is("Finishing"), within=30)


@core("4.9 Available", "the vehicle is disconnected", "Available", Omits(STATUS, {"status": "Available"}), "lab.unplug")
async def _(station: Station) -> None:
    await station.transaction()
    await station.unplug()
    await station.expect(STATUS, _is("Available"), within=30)


# 4.1, 4.8, 4.10 transactions


@core(
    "4.1 Authorize",
    "a token is presented",
    "Authorize",
    Omits("Authorize", {"idTag": TAG}, {"idTagInfo": {"status": "Accepted"}}),
    READER,
)
async def _(station: Station) -> None:
    await station.present()
    await station.expect("Authorize", {"idTag": TAG}, within=20)


@core(
    "4.1 not accepted",
    "Authorize answered Blocked",
    "no transaction",
    Misreads("Authorize", {"idTagInfo": {"status": "Accepted"}}, response=True),
    VEHICLE,
    READER,
)
async def _(station: Station) -> None:
    await station.plug()
    await station.sleep(1)
    await station.present(BLOCKED)
    await station.expect("Authorize", within=20)
    await station.expect_none(START, during=10)


@core(
    "4.8 StartTransaction",
    "a vehicle and an accepted token",
    "StartTransaction",
    Omits(START, response={"transactionId": 1, "idTagInfo": {"status": "Accepted"}}),
    VEHICLE,
    READER,
)
async def _(station: Station) -> None:
    await station.plug()
    await station.sleep(1)
    await station.present()
    await station.expect(START, {"connectorId": 1, "idTag": TAG}, within=30)


@core(
    "4.8 meterStart",
    "a transaction starts",
    "meterStart is the reading of the meter, an integer in Wh",
    Sends(START, {"meterStart": -1}),
    VEHICLE,
)
async def _(station: Station) -> None:
    await station.transaction()
    sent = await station.expect(START, since=0)
    expect(isinstance(sent["meterStart"], int) and sent["meterStart"] >= 0, f"meterStart {sent['meterStart']}")


@core(
    "4.8 reservation",
    "the reserved token starts a transaction",
    "StartTransaction with reservationId",
    Sends(START, {"reservationId": None}),
    VEHICLE,
    READER,
    "station.reservation",
    "lab.vacant",
)
async def _(station: Station) -> None:
    await _reserve(station)
    await station.plug()
    await station.sleep(1)
    await station.present()
    await station.expect(START, {"reservationId": 81}, within=30)


@core(
    "4.8 invalid token",
    "StartTransaction answered Invalid, StopTransactionOnInvalidId",
    "StopTransaction DeAuthorized",
    Misreads(START, {"idTagInfo": {"status": "Accepted"}}, response=True),
    VEHICLE,
)
async def _(station: Station) -> None:
    await station.configure("StopTransactionOnInvalidId", "true")
    await station.plug()
    await station.sleep(1)
    station.answer(START, {"transactionId": 77, "idTagInfo": {"status": "Invalid"}})
    await station.start()
    await station.expect(STOP, {"reason": "DeAuthorized"}, within=60)


@core(
    "4.10 StopTransaction",
    "the token is presented again",
    "StopTransaction with the transaction's id",
    Sends(STOP, {"transactionId": 0}),
    VEHICLE,
    READER,
)
async def _(station: Station) -> None:
    number = await station.transaction()
    await station.present()
    sent = await station.expect(STOP, within=30)
    expect(str(sent["transactionId"]) == number, f"transactionId {sent['transactionId']} instead of {number}")


@core(
    "4.10 token",
    "the token is presented again",
    "no Authorize before StopTransaction",
    Intrudes("Authorize", {"idTag": TAG}, after=STOP),
    VEHICLE,
    READER,
)
async def _(station: Station) -> None:
    await station.transaction()
    await station.present()
    await station.expect(STOP, within=30)
    await station.expect_none("Authorize", during=2)


@core(
    "4.10 meterStop", "a transaction ends", "meterStop is at least meterStart", Sends(STOP, {"meterStop": -5}), VEHICLE
)
async def _(station: Station) -> None:
    await station.transaction()
    started = await station.expect(START, since=0)
    await station.stop()
    stopped = await station.expect(STOP, within=30)
    expect(stopped["meterStop"] >= started["meterStart"], f"meterStop {stopped['meterStop']}")


@core(
    "4.10 reason EVDisconnected",
    "the vehicle is disconnected",
    "reason EVDisconnected",
    Sends(STOP, {"reason": "Local"}),
    "lab.unplug",
)
async def _(station: Station) -> None:
    await station.transaction()
    await station.unplug()
    await station.expect(STOP, {"reason": "EVDisconnected"}, within=30)


@core(
    "4.10 reason Local",
    "the token is presented again",
    "reason Local or none",
    Sends(STOP, {"reason": "Remote"}),
    VEHICLE,
    READER,
)
async def _(station: Station) -> None:
    await station.transaction()
    await station.present()
    sent = await station.expect(STOP, within=30)
    expect(sent.get("reason", "Local") == "Local", f"reason {sent.get('reason')}")


@core(
    "4.10 parent token",
    "another token of the parent",
    "StopTransaction",
    Misreads("Authorize", {"idTagInfo": {"parentIdTag": None}}, response=True),
    VEHICLE,
    READER,
)
async def _(station: Station) -> None:
    await station.plug()
    await station.sleep(1)
    await station.present()
    await station.expect(START, within=30)
    await station.sleep(3)
    await station.present(TOKENS[1])
    await station.expect(STOP, within=30)


# 3.7 to 3.16: transactions and meter values


@core(
    "3.7.1 repeated",
    "StartTransaction answered with an error",
    "it is sent again",
    Misreads("ChangeConfiguration", {"value": "1"}, {"key": "TransactionMessageAttempts"}),
    VEHICLE,
    "lab.unplug",
)
async def _(station: Station) -> None:
    await _attempts(station, 3)
    if not await station.recorded.wait_for(lambda: len(station.find(START)) >= 3, 60):
        raise Failed(f"{len(station.find(START))} attempts instead of 3")


@core(
    "3.7.1 growing interval",
    "StartTransaction answered with errors",
    "the wait grows with each attempt",
    Misreads("ChangeConfiguration", {"value": "0"}, {"key": "TransactionMessageRetryInterval"}),
    VEHICLE,
    "lab.unplug",
)
async def _(station: Station) -> None:
    await _attempts(station, 3)
    await station.recorded.wait_for(lambda: len(_same_starts(station)) >= 3, 60)
    sent = _same_starts(station)
    waits = [b.at - a.at for a, b in pairwise(sent)]
    expect(len(waits) >= 2 and waits[0] > 4 and waits[1] > 9, f"waits {[round(w) for w in waits]} s")


def _same_starts(station: Station) -> list[Message]:
    """Return the transmissions of the latest StartTransaction."""
    sent = station.find(START)
    return [message for message in sent if message.payload == sent[-1].payload]


async def _attempts(station: Station, attempts: int) -> None:
    await station.set_key("TransactionMessageAttempts", attempts)
    await station.set_key("TransactionMessageRetryInterval", 5)
    await station.plug()
    await station.sleep(1)
    station.answer(START, lambda _: ErrorAnswer("InternalError"))
    await station.start()
    await station.expect(START, within=30)


@core(
    "3.7 offline stop",
    "the token is presented offline, then the connection returns",
    "StopTransaction",
    Omits(STOP),
    VEHICLE,
    READER,
)
async def _(station: Station) -> None:
    await station.transaction()
    await station.offline(10, lambda: station.environment.present(1, TAG))
    await station.expect(STOP, within=60)


@core(
    "3.7 offline time",
    "a transaction ends offline",
    "StopTransaction has the time of the end",
    Sends(STOP, {"timestamp": "2020-01-01T00:00:00Z"}),
    VEHICLE,
    READER,
)
async def _(station: Station) -> None:
    await station.transaction()
    before = station.clock.wall()
    await station.offline(30, lambda: station.environment.present(1, TAG))
    at = parse((await station.expect(STOP, within=60))["timestamp"])
    expect(at is not None and abs(at - before) < 20, "the time of StopTransaction is not that of the end")


@core(
    "3.16.1 sampled values",
    "MeterValueSampleInterval of 3 s in a transaction",
    "MeterValues every 3 s",
    Omits("MeterValues"),
    VEHICLE,
)
async def _(station: Station) -> None:
    await station.set_key("MeterValueSampleInterval", 3)
    await station.transaction()
    for _ in range(2):
        station.stimulus()
        await station.expect("MeterValues", {"connectorId": 1}, within=8)


@core(
    "3.16.1 transaction id",
    "MeterValues in a transaction",
    "with its transactionId",
    Sends("MeterValues", {"transactionId": None}),
    VEHICLE,
)
async def _(station: Station) -> None:
    await station.set_key("MeterValueSampleInterval", 3)
    number = await station.transaction()
    station.stimulus()
    sent = await station.expect("MeterValues", within=10)
    expect(str(sent.get("transactionId")) == number, f"transactionId {sent.get('transactionId')}")


@core("3.16.2 clock-aligned values", "ClockAlignedDataInterval of 5 s", "MeterValues", Omits("MeterValues"))
async def _(station: Station) -> None:
    await station.set_key("ClockAlignedDataInterval", 5)
    await station.expect("MeterValues", within=20)


@core(
    "3.16.1 measurands",
    "MeterValuesSampledData of one measurand",
    "only it",
    Misreads("ChangeConfiguration", {"value": "Power.Active.Import"}, {"key": "MeterValuesSampledData"}),
    VEHICLE,
)
async def _(station: Station) -> None:
    await station.set_key("MeterValuesSampledData", "Energy.Active.Import.Register")
    await station.set_key("MeterValueSampleInterval", 3)
    await station.transaction()
    station.stimulus()
    sent = await station.expect("MeterValues", within=10)
    names = {s.get("measurand", "Energy.Active.Import.Register") for m in sent["meterValue"] for s in m["sampledValue"]}
    expect(names == {"Energy.Active.Import.Register"}, f"measurands {sorted(names)}")


# 5.1, 5.13 reservation


async def _reserve(station: Station, expected: object = ACCEPTED, number: int = 81, **more: object) -> None:
    expiry = in_future(station, 600)
    body: Payload = {"connectorId": 1, "expiryDate": expiry, "idTag": TAG, "reservationId": number, **more}
    await station.request("ReserveNow", body, expected)


async def _cancel(station: Station) -> None:
    await station.call("CancelReservation", {"reservationId": 81})


RESERVATION = "station.reservation"


def lists(reference: str, stimulus: str, expectation: str, mutant: Mutant, *needs: str) -> Declaring:
    """Declare a case of local lists and reservations."""
    return LISTS.case(V16, reference, stimulus, expectation, mutant, *needs)


LISTS.add(
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
    await _reserve(station)
    await station.sleep(2)
    await station.request("CancelReservation", {"reservationId": 81}, ACCEPTED)
    await station.expect(STATUS, _is("Available"), within=20)


@lists(
    "5.13 Reserved",
    "ReserveNow of an Available connector",
    "Accepted, and Reserved is sent",
    Omits(STATUS, {"status": "Reserved"}),
    RESERVATION,
    "lab.vacant",
)
async def _(station: Station) -> None:
    await _reserve(station)
    try:
        await station.expect(STATUS, _is("Reserved"), within=20)
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
    await _reserve(station)
    try:
        await _reserve(station, idTag=TOKENS[1])
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
    await _reserve(station, {"status": "Occupied"})


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
        await _reserve(station, {"status": "Unavailable"})
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
    await _reserve(station)
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
    await _reserve(station, expiryDate=in_future(station, 6))
    await station.expect(STATUS, _is("Available"), within=30)


# 5.2 ChangeAvailability
OFF: Payload = {"connectorId": 1, "type": "Inoperative"}
ON: Payload = {"connectorId": 1, "type": "Operative"}


@core(
    "5.2 Inoperative",
    "ChangeAvailability Inoperative",
    "Accepted, and Unavailable is sent",
    Pretends("ChangeAvailability", ACCEPTED),
    "lab.vacant",
)
async def _(station: Station) -> None:
    await station.request("ChangeAvailability", OFF, ACCEPTED)
    try:
        await station.expect(STATUS, _is("Unavailable"), within=20)
    finally:
        await station.call("ChangeAvailability", ON)


@core("5.2 same state", "ChangeAvailability to the present state", "Accepted", Answers("ChangeAvailability", REJECTED))
async def _(station: Station) -> None:
    await station.request("ChangeAvailability", ON, ACCEPTED)


@core(
    "5.2 Scheduled",
    "ChangeAvailability Inoperative in a transaction",
    "Scheduled",
    Answers("ChangeAvailability", ACCEPTED),
    VEHICLE,
)
async def _(station: Station) -> None:
    await station.transaction()
    try:
        await station.request("ChangeAvailability", OFF, {"status": "Scheduled"})
    finally:
        await station.call("ChangeAvailability", ON)


@core(
    "5.2 all connectors",
    "ChangeAvailability of connector 0",
    "every connector is Unavailable",
    Misreads("ChangeAvailability", {"connectorId": 1}),
    "station.two-evses",
    "lab.vacant",
)
async def _(station: Station) -> None:
    await station.request("ChangeAvailability", OFF | {"connectorId": 0}, ACCEPTED)
    try:
        for connector in (1, 2):
            await station.expect(STATUS, _is("Unavailable", connector), within=20)
    finally:
        await station.call("ChangeAvailability", ON | {"connectorId": 0})


@core(
    "5.2 persistent",
    "an Inoperative connector, reset",
    "it stays Unavailable",
    Sends(STATUS, {"status": "Available"}, _is("Unavailable")),
    "lab.vacant",
)
async def _(station: Station) -> None:
    await station.prepare("ChangeAvailability", OFF, ACCEPTED)
    try:
        await station.boot()
        await station.expect(STATUS, _is("Unavailable"), within=30)
    finally:
        await station.call("ChangeAvailability", ON)


CORE.add(
    V16,
    "5.2 unknown connector",
    "ChangeAvailability of an unknown connector",
    "Rejected",
    Answers("ChangeAvailability", ACCEPTED),
    exchange("ChangeAvailability", OFF | {"connectorId": 99}, REJECTED),
)

# 5.3, 5.8 configuration
HEARTBEAT: Payload = {"key": "HeartbeatInterval", "value": "77"}


def _change(reference: str, stimulus: str, body: Payload, status: str, wrong: str) -> None:
    mutant = Answers("ChangeConfiguration", {"status": wrong})
    CORE.add(V16, reference, stimulus, status, mutant, exchange("ChangeConfiguration", body, {"status": status}))


_change(
    "5.3 unknown key",
    "ChangeConfiguration of an unknown key",
    {"key": "V2xNoSuchKey", "value": "1"},
    "NotSupported",
    "Accepted",
)
_change(
    "5.3 wrong type",
    "ChangeConfiguration with a text for an integer",
    HEARTBEAT | {"value": "soon"},
    "Rejected",
    "Accepted",
)
_change(
    "5.3 out of range",
    "ChangeConfiguration with a negative interval",
    HEARTBEAT | {"value": "-5"},
    "Rejected",
    "Accepted",
)
_change(
    "5.3 read-only",
    "ChangeConfiguration of a read-only key",
    {"key": "NumberOfConnectors", "value": "9"},
    "Rejected",
    "Accepted",
)


@core(
    "5.3 Accepted",
    "ChangeConfiguration of HeartbeatInterval",
    "Accepted, and it is read back",
    Pretends("ChangeConfiguration", ACCEPTED),
)
async def _(station: Station) -> None:
    status = await station.configure("HeartbeatInterval", 77)
    expect(status in ("Accepted", "RebootRequired"), f"status {status}")
    found = await station.key("HeartbeatInterval")
    expect(found == "77", f"HeartbeatInterval is {found}")


@core("5.3 heartbeat", "HeartbeatInterval of 4 s", "Heartbeat every 4 s", Pretends("ChangeConfiguration", ACCEPTED))
async def _(station: Station) -> None:
    await station.set_key("HeartbeatInterval", 4)
    for _ in range(2):
        station.stimulus()
        await station.expect("Heartbeat", within=10)


@core(
    "5.8 all keys",
    "GetConfiguration without keys",
    "the keys that 1.6 requires",
    Answers("GetConfiguration", lambda p: {"configurationKey": p["configurationKey"][:3]}),
)
async def _(station: Station) -> None:
    answer = await station.request("GetConfiguration")
    names = {entry["key"] for entry in answer["configurationKey"]}
    required = {
        "AuthorizeRemoteTxRequests",
        "ClockAlignedDataInterval",
        "ConnectionTimeOut",
        "GetConfigurationMaxKeys",
        "HeartbeatInterval",
        "LocalAuthorizeOffline",
        "LocalPreAuthorize",
        "MeterValuesAlignedData",
        "MeterValuesSampledData",
        "MeterValueSampleInterval",
        "NumberOfConnectors",
        "ResetRetries",
        "ConnectorPhaseRotation",
        "StopTransactionOnEVSideDisconnect",
        "StopTransactionOnInvalidId",
        "StopTxnAlignedData",
        "StopTxnSampledData",
        "SupportedFeatureProfiles",
        "TransactionMessageAttempts",
        "TransactionMessageRetryInterval",
        "UnlockConnectorOnEVSideDisconnect",
    }
    expect(required <= names, f"missing: {', '.join(sorted(required - names))}")


CORE.add(
    V16,
    "5.8 unknown key",
    "GetConfiguration of an unknown key",
    "unknownKey names it",
    Answers("GetConfiguration", {"unknownKey": None}),
    exchange("GetConfiguration", {"key": ["V2xNoSuchKey"]}, {"unknownKey": ["V2xNoSuchKey"]}),
)
CORE.add(
    V16,
    "5.8 one key",
    "GetConfiguration of one key",
    "only it",
    Misreads("GetConfiguration", {"key": None}),
    exchange(
        "GetConfiguration",
        {"key": ["HeartbeatInterval"]},
        {"configurationKey": [{"key": "HeartbeatInterval", "readonly": ANY}]},
    ),
)
CORE.add(
    V16,
    "5.8 readonly",
    "GetConfiguration of NumberOfConnectors",
    "readonly true",
    Answers(
        "GetConfiguration", lambda p: {"configurationKey": [{**k, "readonly": False} for k in p["configurationKey"]]}
    ),
    exchange("GetConfiguration", {"key": ["NumberOfConnectors"]}, {"configurationKey": [{"readonly": True}]}),
)

# 5.4, 5.6
CORE.add(
    V16,
    "5.4 ClearCache",
    "ClearCache",
    "Accepted or Rejected",
    Errors("ClearCache"),
    exchange("ClearCache", {}, {"status": {"Accepted", "Rejected"}}),
)
CORE.add(
    V16,
    "5.6 unknown vendor",
    "DataTransfer of an unknown vendor",
    "UnknownVendorId",
    Answers("DataTransfer", ACCEPTED),
    exchange("DataTransfer", {"vendorId": "org.example.v2x-no-such-vendor"}, {"status": "UnknownVendorId"}),
)

# 5.11 RemoteStartTransaction


@core(
    "5.11 no Authorize",
    "RemoteStartTransaction without AuthorizeRemoteTxRequests",
    "StartTransaction without Authorize",
    Intrudes("Authorize", {"idTag": TAG}, after=START),
    VEHICLE,
)
async def _(station: Station) -> None:
    await station.configure("AuthorizeRemoteTxRequests", "false")
    await station.plug()
    await station.sleep(2)
    await station.start()
    await station.expect(START, {"idTag": TAG}, within=30)
    await station.expect_none("Authorize", during=2)


@core(
    "5.11 Authorize",
    "RemoteStartTransaction with AuthorizeRemoteTxRequests",
    "Authorize",
    Omits("Authorize", {"idTag": TAG}, {"idTagInfo": {"status": "Accepted"}}),
    VEHICLE,
)
async def _(station: Station) -> None:
    await station.set_key("AuthorizeRemoteTxRequests", "true")
    await station.plug()
    await station.sleep(2)
    await station.start()
    await station.expect("Authorize", {"idTag": TAG}, within=30)


@core(
    "5.11 occupied",
    "RemoteStartTransaction in a transaction",
    "Rejected",
    Answers("RemoteStartTransaction", ACCEPTED),
    VEHICLE,
)
async def _(station: Station) -> None:
    await station.transaction()
    await station.request("RemoteStartTransaction", {"idTag": TAG, "connectorId": 1}, REJECTED)


@core(
    "5.11 unavailable",
    "RemoteStartTransaction at an Unavailable connector",
    "Rejected",
    Answers("RemoteStartTransaction", ACCEPTED),
)
async def _(station: Station) -> None:
    await station.prepare("ChangeAvailability", OFF, ACCEPTED)
    try:
        await station.request("RemoteStartTransaction", {"idTag": TAG, "connectorId": 1}, REJECTED)
    finally:
        await station.call("ChangeAvailability", ON)


@core(
    "5.11 time-out",
    "no vehicle within ConnectionTimeOut",
    "Available again, no transaction",
    Misreads("ChangeConfiguration", {"value": "900"}, {"key": "ConnectionTimeOut"}),
    "lab.vacant",
)
async def _(station: Station) -> None:
    await station.set_key("ConnectionTimeOut", 8)
    await station.start()
    await station.expect(STATUS, _is("Preparing"), within=20)
    await station.expect(STATUS, _is("Available"), within=30)
    expect(not station.find(START), "StartTransaction without a vehicle")


def _profile_16(limit: float, purpose: str = "TxProfile", number: int = 900_001, **more: object) -> Payload:
    schedule: Payload = {"chargingRateUnit": "W", "chargingSchedulePeriod": [{"startPeriod": 0, "limit": limit}]}
    return {
        "chargingProfileId": number,
        "stackLevel": 1,
        "chargingProfilePurpose": purpose,
        "chargingProfileKind": "Relative",
        "chargingSchedule": schedule,
        **more,
    }


@core(
    "5.11 profile",
    "RemoteStartTransaction with a TxProfile of 3 kW",
    "the power is 3 kW",
    Misreads("RemoteStartTransaction", {"chargingProfile": None}),
    VEHICLE,
    "station.power",
    "station.smart-charging",
)
async def _(station: Station) -> None:
    await station.sample()
    await station.plug()
    await station.sleep(2)
    await station.start(chargingProfile=_profile_16(3000.0))
    await station.power_becomes(3000.0, within=60)
    await station.power_stays(3000.0)


# 5.12 RemoteStopTransaction
CORE.add(
    V16,
    "5.12 unknown",
    "RemoteStopTransaction of an unknown transaction",
    "Rejected",
    Answers("RemoteStopTransaction", ACCEPTED),
    exchange("RemoteStopTransaction", {"transactionId": 987_654}, REJECTED),
)


@core(
    "5.12 reason",
    "RemoteStopTransaction",
    "StopTransaction with reason Remote",
    Sends(STOP, {"reason": "Local"}),
    VEHICLE,
)
async def _(station: Station) -> None:
    await station.transaction()
    await station.stop()
    await station.expect(STOP, {"reason": "Remote"}, within=30)


# 5.14 Reset


@core(
    "5.14 Soft",
    "Reset Soft in a transaction",
    "StopTransaction SoftReset, then BootNotification",
    Sends(STOP, {"reason": "Local"}),
    VEHICLE,
)
async def _(station: Station) -> None:
    await station.transaction()
    await station.request("Reset", {"type": "Soft"}, ACCEPTED)
    await station.expect(STOP, {"reason": "SoftReset"}, within=60)
    await station.expect("BootNotification", within=180)
    await station.booted()


@core("5.14 Hard", "Reset Hard", "Accepted, and BootNotification", Pretends("Reset", ACCEPTED))
async def _(station: Station) -> None:
    await station.request("Reset", {"type": "Hard"}, ACCEPTED)
    await station.expect("BootNotification", within=180)
    await station.booted()


# 5.18 UnlockConnector
CORE.add(
    V16,
    "5.18 unknown connector",
    "UnlockConnector of an unknown connector",
    "NotSupported or UnlockFailed",
    Answers("UnlockConnector", {"status": "Unlocked"}),
    exchange("UnlockConnector", {"connectorId": 99}, {"status": {"NotSupported", "UnlockFailed"}}),
)


@core(
    "5.18 transaction",
    "UnlockConnector in a transaction",
    "it ends first, UnlockCommand",
    Sends(STOP, {"reason": "Remote"}),
    VEHICLE,
    "station.lock",
)
async def _(station: Station) -> None:
    await station.transaction()
    await station.request("UnlockConnector", {"connectorId": 1}, {"status": "Unlocked"})
    await station.expect(STOP, {"reason": "UnlockCommand"}, within=30)


# RPC framework of 1.6-J
def _refused(action: str, payload: Payload, *codes: ErrorCode) -> StationProcedure:
    async def procedure(station: Station) -> None:
        await station.refused(action, payload, *codes)

    return procedure


CORE.add(
    V16,
    "J 4.2.3 unknown action",
    "an action that 1.6 does not have",
    "NotImplemented",
    Errors("V2xNoSuchAction", "InternalError"),
    _refused("V2xNoSuchAction", {}, ErrorCode.NOT_IMPLEMENTED, ErrorCode.NOT_SUPPORTED),
)
CORE.add(
    V16,
    "J 4.2.3 missing member",
    "Reset without its type",
    "FormationViolation or OccurenceConstraintViolation",
    Answers("Reset", ACCEPTED, whole=True),
    _refused(
        "Reset", {}, ErrorCode.FORMATION_VIOLATION, ErrorCode.OCCURENCE_CONSTRAINT_VIOLATION, ErrorCode.PROTOCOL_ERROR
    ),
)
CORE.add(
    V16,
    "J 4.2.3 wrong type",
    "ChangeAvailability with a text for the connector",
    "TypeConstraintViolation",
    Answers("ChangeAvailability", ACCEPTED, whole=True),
    _refused(
        "ChangeAvailability",
        {"connectorId": "one", "type": "Operative"},
        ErrorCode.TYPE_CONSTRAINT_VIOLATION,
        ErrorCode.FORMATION_VIOLATION,
    ),
)
CORE.add(
    V16,
    "J 4.2.3 wrong value",
    "Reset with an unknown type",
    "PropertyConstraintViolation",
    Answers("Reset", ACCEPTED, whole=True),
    _refused(
        "Reset",
        {"type": "V2x"},
        ErrorCode.PROPERTY_CONSTRAINT_VIOLATION,
        ErrorCode.FORMATION_VIOLATION,
        ErrorCode.TYPE_CONSTRAINT_VIOLATION,
    ),
)

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


# 5.17 TriggerMessage


def _trigger(
    reference: str,
    requested: str,
    sent: str,
    mutant: Mutant,
    expected: object = ANY,
    needs: tuple[str, ...] = (),
    **more: object,
) -> None:
    TRIGGERS.add(
        V16,
        reference,
        f"TriggerMessage {requested}",
        f"Accepted, and {sent}",
        mutant,
        triggered(requested, sent, expected, **more),
        "station.trigger",
        *needs,
    )


_trigger(
    "5.17 Heartbeat", "Heartbeat", "Heartbeat", Omits("Heartbeat", response={"currentTime": "2026-01-15T00:00:00Z"})
)
_trigger("5.17 StatusNotification", STATUS, STATUS, Omits(STATUS), {"connectorId": 1}, connectorId=1)
_trigger("5.17 MeterValues", "MeterValues", "MeterValues", Omits("MeterValues"), {"connectorId": 1}, connectorId=1)
_trigger(
    "5.17 BootNotification",
    "BootNotification",
    "BootNotification",
    Omits("BootNotification", response={"status": "Accepted", "interval": 300, "currentTime": "2026-01-15T00:00:00Z"}),
)
_trigger(
    "4.5 Idle",
    "FirmwareStatusNotification",
    "FirmwareStatusNotification",
    Sends("FirmwareStatusNotification", {"status": "Installed"}),
    {"status": "Idle"},
    ("station.firmware",),
)
_trigger(
    "4.4 Idle",
    "DiagnosticsStatusNotification",
    "DiagnosticsStatusNotification",
    Sends("DiagnosticsStatusNotification", {"status": "Uploaded"}),
    {"status": "Idle"},
    ("station.firmware",),
)

# 5.5, 5.7, 5.16 smart charging
SET, CHARGING = "SetChargingProfile", "station.smart-charging"


def smart(reference: str, stimulus: str, expectation: str, mutant: Mutant, *needs: str) -> Declaring:
    """Declare a case of smart charging."""
    return SMART.case(V16, reference, stimulus, expectation, mutant, CHARGING, *needs)


async def _install(station: Station, profile: Payload, connector: int = 1, expected: object = ACCEPTED) -> None:
    await station.request(SET, {"connectorId": connector, "csChargingProfiles": profile}, expected)


async def _clear(station: Station) -> None:
    for number in (900_001, 900_002):
        await station.call("ClearChargingProfile", {"id": number})


async def _limit(station: Station, connector: int = 1) -> float:
    """Return the limit at the start of the composite schedule."""
    body = {"connectorId": connector, "duration": 300, "chargingRateUnit": "W"}
    answer = await station.request("GetCompositeSchedule", body, ACCEPTED)
    return float(answer["chargingSchedule"]["chargingSchedulePeriod"][0]["limit"])


IGNORES = Pretends(SET, ACCEPTED)
ACCEPTS = Answers(SET, ACCEPTED)


@smart("5.16 TxProfile", "TxProfile of 4 kW in a transaction", "the power is 4 kW", IGNORES, VEHICLE, "station.power")
async def _(station: Station) -> None:
    await station.transaction(sampled=True)
    await _install(station, _profile_16(4000.0))
    await station.power_becomes(4000.0)
    await station.power_stays(4000.0)


SMART.add(
    V16,
    "5.16.4 no transaction",
    "TxProfile without a transaction",
    "Rejected",
    ACCEPTS,
    exchange(SET, {"connectorId": 1, "csChargingProfiles": _profile_16(4000.0)}, REJECTED),
    CHARGING,
)


@smart("5.16.3 other transaction", "TxProfile with the id of another transaction", "Rejected", ACCEPTS, VEHICLE)
async def _(station: Station) -> None:
    await station.transaction()
    await _install(station, _profile_16(4000.0, transactionId=987_654), expected=REJECTED)


@smart("5.16 TxDefaultProfile", "TxDefaultProfile of 4.3 kW", "it is in the composite schedule", IGNORES)
async def _(station: Station) -> None:
    await _install(station, _profile_16(4300.0, "TxDefaultProfile"))
    try:
        found = await _limit(station)
        expect(found == 4300.0, f"composite limit {found} W")
    finally:
        await _clear(station)


@smart(
    "5.16 all connectors",
    "TxDefaultProfile for connector 0",
    "it applies to every connector",
    Misreads(SET, {"connectorId": 1}),
    "station.two-evses",
)
async def _(station: Station) -> None:
    await _install(station, _profile_16(4300.0, "TxDefaultProfile"), 0)
    try:
        for connector in (1, 2):
            found = await _limit(station, connector)
            expect(found == 4300.0, f"composite limit {found} W of connector {connector}")
    finally:
        await _clear(station)


@smart("3.13.1 ChargePointMaxProfile", "ChargePointMaxProfile for connector 1", "Rejected", ACCEPTS)
async def _(station: Station) -> None:
    profile = _profile_16(4300.0, "ChargePointMaxProfile") | {"chargingProfileKind": "Absolute"}
    profile["chargingSchedule"]["startSchedule"] = stamp(station.clock.wall() - 2.0)
    await _install(station, profile, 1, REJECTED)


@smart(
    "3.13.2 stack level",
    "two TxDefaultProfiles",
    "that of the higher stack level is in force",
    Misreads(
        SET,
        lambda p: {
            **p,
            "csChargingProfiles": {**p["csChargingProfiles"], "stackLevel": 4 - p["csChargingProfiles"]["stackLevel"]},
        },
    ),
)
async def _(station: Station) -> None:
    await _install(station, _profile_16(5000.0, "TxDefaultProfile"))
    await _install(station, _profile_16(6000.0, "TxDefaultProfile", 900_002, stackLevel=3))
    try:
        found = await _limit(station)
        expect(found == 6000.0, f"composite limit {found} W")
    finally:
        await _clear(station)


@smart(
    "3.13.3 combined purposes",
    "TxDefaultProfile and a lower ChargePointMaxProfile",
    "the lowest limit",
    Pretends(SET, ACCEPTED, {"connectorId": 0}),
)
async def _(station: Station) -> None:
    await _install(station, _profile_16(6000.0, "TxDefaultProfile"))
    maximum = _profile_16(4000.0, "ChargePointMaxProfile", 900_002) | {"chargingProfileKind": "Absolute"}
    maximum["chargingSchedule"]["startSchedule"] = stamp(station.clock.wall() - 2.0)
    await _install(station, maximum, 0)
    try:
        found = await _limit(station)
        expect(found <= 4000.0, f"composite limit {found} W")
    finally:
        await _clear(station)


@smart(
    "5.16 same id",
    "SetChargingProfile with the id of an installed profile",
    "it is replaced",
    Pretends(
        SET, ACCEPTED, {"csChargingProfiles": {"chargingSchedule": {"chargingSchedulePeriod": [{"limit": 2000.0}]}}}
    ),
)
async def _(station: Station) -> None:
    await _install(station, _profile_16(5000.0, "TxDefaultProfile"))
    await _install(station, _profile_16(2000.0, "TxDefaultProfile"))
    try:
        found = await _limit(station)
        expect(found == 2000.0, f"composite limit {found} W")
    finally:
        await _clear(station)


@smart(
    "7.8 validTo",
    "validTo in the past",
    "the profile is not in force",
    Misreads(SET, {"csChargingProfiles": {"validTo": None}}),
)
async def _(station: Station) -> None:
    body = _profile_16(1500.0, "TxDefaultProfile", validTo=stamp(station.clock.wall() - 60))
    await _install(station, body)
    try:
        found = await _limit(station)
        expect(found > 1600, f"composite limit {found} W of a profile that is no longer valid")
    finally:
        await _clear(station)


SMART.add(
    V16,
    "5.16 unknown connector",
    "SetChargingProfile for an unknown connector",
    "Rejected",
    ACCEPTS,
    exchange(SET, {"connectorId": 99, "csChargingProfiles": _profile_16(4000.0, "TxDefaultProfile")}, REJECTED),
    CHARGING,
)
SMART.add(
    V16,
    "5.5 unknown",
    "ClearChargingProfile without a match",
    "Unknown",
    Answers("ClearChargingProfile", ACCEPTED),
    exchange("ClearChargingProfile", {"id": 987_654}, {"status": "Unknown"}),
    CHARGING,
)


@smart(
    "5.5 cleared",
    "ClearChargingProfile by id",
    "Accepted, and it is not in force",
    Pretends("ClearChargingProfile", ACCEPTED),
)
async def _(station: Station) -> None:
    await _install(station, _profile_16(1500.0, "TxDefaultProfile"))
    await station.request("ClearChargingProfile", {"id": 900_001}, ACCEPTED)
    found = await _limit(station)
    expect(found > 1600, f"composite limit {found} W after the profile was cleared")


SMART.add(
    V16,
    "5.7 unknown connector",
    "GetCompositeSchedule of an unknown connector",
    "Rejected",
    Answers("GetCompositeSchedule", ACCEPTED),
    exchange("GetCompositeSchedule", {"connectorId": 99, "duration": 60}, REJECTED),
    CHARGING,
)
SMART.add(
    V16,
    "5.7 duration",
    "GetCompositeSchedule of 300 s",
    "a schedule from now",
    Answers("GetCompositeSchedule", {"scheduleStart": "2020-01-01T00:00:00Z"}),
    exchange(
        "GetCompositeSchedule",
        {"connectorId": 1, "duration": 300},
        {"connectorId": 1, "scheduleStart": lambda at: not str(at).startswith("2020"), "chargingSchedule": ANY},
    ),
    CHARGING,
)


@smart(
    "3.13.6 offline",
    "offline with a TxProfile",
    "it stays in force",
    Misreads(
        SET,
        lambda p: {
            **p,
            "csChargingProfiles": {
                **p["csChargingProfiles"],
                "chargingSchedule": {**p["csChargingProfiles"]["chargingSchedule"], "duration": 15},
            },
        },
    ),
    VEHICLE,
    "station.power",
)
async def _(station: Station) -> None:
    await station.transaction(sampled=True)
    await _install(station, _profile_16(3000.0))
    await station.power_becomes(3000.0, within=12)
    await station.offline(20)
    await station.sleep(5)
    station.stimulus()
    await station.power_becomes(3000.0)


@smart(
    "5.16.3 end of transaction",
    "the transaction of a TxProfile ends",
    "the next one is not limited by it",
    Intrudes(
        "MeterValues",
        {
            "connectorId": 1,
            "meterValue": [
                {
                    "timestamp": "2026-01-15T00:00:00Z",
                    "sampledValue": [{"value": "1500", "measurand": "Power.Active.Import", "unit": "W"}],
                }
            ],
        },
        after="MeterValues",
        where={"transactionId": lambda number: number > 1},
    ),
    VEHICLE,
    "station.power",
)
async def _(station: Station) -> None:
    await station.transaction(sampled=True)
    await _install(station, _profile_16(1500.0))
    await station.power_becomes(1500.0)
    await station.stop()
    await station.sleep(2)
    await station.start()
    await station.until_running()
    station.stimulus()
    await station.sleep(8)
    power = station.power() or 0.0
    expect(power > 1700, f"{power:.0f} W under the TxProfile of the former transaction")


# security whitepaper


def security(reference: str, stimulus: str, expectation: str, mutant: Mutant, *needs: str) -> Declaring:
    """Declare a case of the security whitepaper."""
    return SECURITY.case(V16, reference, stimulus, expectation, mutant, "station.security", *needs)


@security(
    "W A01 AuthorizationKey",
    "another AuthorizationKey",
    "Accepted, and the station connects again with it",
    Answers("ChangeConfiguration", REJECTED),
    "lab.password",
)
async def _(station: Station) -> None:
    async def send(password: str) -> None:
        body = {"key": "AuthorizationKey", "value": password}
        await station.request("ChangeConfiguration", body, ACCEPTED)

    await another_password(station, send)


SECURITY.add(
    V16,
    "W AuthorizationKey hidden",
    "GetConfiguration of AuthorizationKey",
    "without its value",
    Answers(
        "GetConfiguration", lambda p: {"configurationKey": [{**k, "value": "secret"} for k in p["configurationKey"]]}
    ),
    exchange("GetConfiguration", {"key": ["AuthorizationKey"]}, {"configurationKey": [{"value": ABSENT}]}),
    "station.security",
)


@security(
    "W A02 certificate request",
    "ExtendedTriggerMessage SignChargePointCertificate",
    "SignCertificate",
    Sends("SignCertificate", {"csr": "none"}),
)
async def _(station: Station) -> None:
    body = {"requestedMessage": "SignChargePointCertificate"}
    await station.request("ExtendedTriggerMessage", body, ACCEPTED)
    sent = await station.expect("SignCertificate", within=60)
    expect("BEGIN CERTIFICATE REQUEST" in sent["csr"], "csr is no PKCS#10 request in PEM")


SECURITY.add(
    V16,
    "W A02 invalid certificate",
    "CertificateSigned with no certificate",
    "Rejected",
    Answers("CertificateSigned", ACCEPTED),
    exchange("CertificateSigned", {"certificateChain": "no certificate"}, REJECTED),
    "station.security",
)
SECURITY.add(
    V16,
    "W M05 invalid certificate",
    "InstallCertificate with no certificate",
    "Rejected or Failed",
    Answers("InstallCertificate", ACCEPTED),
    exchange(
        "InstallCertificate",
        {"certificateType": "CentralSystemRootCertificate", "certificate": "no certificate"},
        {"status": {"Rejected", "Failed"}},
    ),
    "station.security",
)
SECURITY.add(
    V16,
    "W M03 none",
    "GetInstalledCertificateIds without certificates",
    "NotFound",
    Answers("GetInstalledCertificateIds", ACCEPTED),
    exchange("GetInstalledCertificateIds", {"certificateType": "ManufacturerRootCertificate"}, {"status": "NotFound"}),
    "station.security",
    "station.no-manufacturer-root",
)


@security(
    "W N01 log upload",
    "GetLog to an address that does not answer",
    "LogStatusNotification of the failure",
    Omits("LogStatusNotification"),
)
async def _(station: Station) -> None:
    log = {"remoteLocation": "http://127.0.0.1:9/v2x"}
    body: Payload = {"logType": "SecurityLog", "requestId": 831, "log": log, "retries": 0}
    await station.request("GetLog", body, {"status": ANY})
    await station.expect("LogStatusNotification", {"requestId": 831}, within=60)


OTHER_USER = "Basic YW5vdGhlcjpWMngtVGVzdGVyLTAxMjM0NTY="  # another, V2x-Tester-0123456


@SECURITY.case(
    V16,
    "J 6.2.2 credentials",
    "the connection is interrupted",
    "user and password with the next one",
    Authenticates(),
    "station.security-1",
)
async def _(station: Station) -> None:
    await authenticated(station, as_itself=False)


@SECURITY.case(
    V16,
    "J 6.2.2 user",
    "the connection is interrupted",
    "the user of the next one is the id of the station",
    Authenticates(OTHER_USER),
    "station.security-1",
)
async def _(station: Station) -> None:
    await authenticated(station, as_itself=True)


DECLARED = (CORE, SMART, LISTS, TRIGGERS, SECURITY)
