"""OCPP 1.6, core: transactions and meter values (3.7 to 3.16, 4.1, 4.8, 4.10)."""

from __future__ import annotations

from functools import partial
from itertools import pairwise

from emulators.conformance.case import Failed, expect
from emulators.conformance.ocpp.declarations import V16, Declared
from emulators.conformance.ocpp.mutants import Intrudes, Misreads, Omits, Sends
from emulators.conformance.ocpp.peer import ErrorAnswer, Message
from emulators.conformance.ocpp.stations.ocpp16 import READER, START, STOP, TAG, VEHICLE, reserve
from emulators.conformance.ocpp.stations.procedures import Station
from emulators.conformance.ocpp.tester_csms import BLOCKED, TOKENS
from protocols.ocpp.times import parse

DECLARED: Declared[Station] = Declared("CS", "Core 1.6")
core = partial(DECLARED.case, V16)


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
    await reserve(station)
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
