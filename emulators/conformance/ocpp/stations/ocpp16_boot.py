"""OCPP 1.6, core: boot (4.2) and status of connectors (4.9)."""

from __future__ import annotations

from functools import partial

from emulators.conformance.case import expect
from emulators.conformance.ocpp.declarations import V16, Declared
from emulators.conformance.ocpp.mutants import Answers, Intrudes, Misreads, Omits, Sends
from emulators.conformance.ocpp.stations.ocpp16 import START, STATUS, TAG, VEHICLE, status_is
from emulators.conformance.ocpp.stations.procedures import ACCEPTED, Station
from protocols.ocpp.schema import Payload
from protocols.ocpp.times import parse

DECLARED: Declared[Station] = Declared("CS", "Core 1.6")
core = partial(DECLARED.case, V16)

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
    await station.expect(STATUS, status_is("Preparing"), within=20)


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
    await station.expect(STATUS, status_is("Finishing"), within=30)


@core("4.9 Available", "the vehicle is disconnected", "Available", Omits(STATUS, {"status": "Available"}), "lab.unplug")
async def _(station: Station) -> None:
    await station.transaction()
    await station.unplug()
    await station.expect(STATUS, status_is("Available"), within=30)
