"""OCPP 2.x, B01 to B04: boot and offline behaviour."""

from __future__ import annotations

from emulators.conformance.case import Inconclusive, expect
from emulators.conformance.ocpp import pattern
from emulators.conformance.ocpp.declarations import V2, Declared
from emulators.conformance.ocpp.mutants import Answers, Errors, Intrudes, Misreads, Omits, Sends
from emulators.conformance.ocpp.pattern import ANY
from emulators.conformance.ocpp.stations.procedures import ACCEPTED, REJECTED, Station, in_future, variable
from protocols.ocpp.schema import ErrorCode, Payload
from protocols.ocpp.times import parse

DECLARED: Declared[Station] = Declared("CS")
case, add = DECLARED.case, DECLARED.add
PENDING_S = 10  # interval of a boot that is not accepted
STATUS: Payload = {"timestamp": "2026-01-01T00:00:00Z", "connectorStatus": "Available", "evseId": 1, "connectorId": 1}


@case(
    V2,
    "B01.FR.01",
    "reset",
    "BootNotification with model and vendor",
    Omits("BootNotification", {}, {"status": "Accepted", "interval": 300, "currentTime": "2026-01-15T00:00:00Z"}),
)
async def boots(station: Station) -> None:
    """Expect BootNotification with model and vendor after a reset."""
    sent = await station.boot()
    expect(pattern.matches(sent, {"chargingStation": {"model": ANY, "vendorName": ANY}}), f"BootNotification {sent}")


@case(
    V2,
    "B01.FR.03",
    "two resets",
    "BootNotification after each",
    Omits(
        "BootNotification",
        {"reason": "RemoteReset"},
        {"status": "Accepted", "interval": 300, "currentTime": "2026-01-15T00:00:00Z"},
    ),
)
async def _(station: Station) -> None:
    for _ in range(2):
        await station.boot()
        await station.booted()


@case(
    V2,
    "B01.FR.04",
    "boot accepted with an interval of 7 s",
    "Heartbeat after 7 s without other messages",
    Misreads("BootNotification", {"interval": 3600}, response=True),
)
async def _(station: Station) -> None:
    await station.boot({"interval": 7})
    await station.booted()
    station.stimulus()
    await station.expect("Heartbeat", within=15)
    station.stimulus()
    await station.expect("Heartbeat", within=12)


@case(
    V2, "B01.FR.05", "boot accepted", "the status of each connector is sent", Omits("StatusNotification", {"evseId": 1})
)
async def _(station: Station) -> None:
    await station.boot()
    await station.booted()
    await station.sleep(5)
    sent = {m.payload.get("evseId") for m in station.find("StatusNotification")}
    events = [m for m in station.find("NotifyEvent") if "AvailabilityState" in m.text]
    expect(1 in sent or bool(events), "no status of EVSE 1 after the boot")


@case(
    V2,
    "B01.FR.06",
    "boot accepted with the present time",
    "timestamps agree with it",
    Misreads("BootNotification", {"currentTime": "2025-01-01T00:00:00Z"}, response=True),
)
async def _(station: Station) -> None:
    await station.boot()
    sent = await station.expect("StatusNotification", within=60)
    at = parse(sent["timestamp"])
    expect(at is not None and abs(at - station.clock.wall()) < 30, f"timestamp {sent['timestamp']}")


@case(
    V2,
    "B01.FR.07",
    "EVSE 1 set Inoperative, then reset",
    "EVSE 1 is Unavailable after the boot",
    Sends("StatusNotification", {"connectorStatus": "Available"}),
    "lab.vacant",
)
async def _(station: Station) -> None:
    body: Payload = {"operationalStatus": "Inoperative", "evse": {"id": 1}}
    await station.prepare("ChangeAvailability", body, ACCEPTED)
    try:
        await station.boot()
        await station.expect("StatusNotification", {"evseId": 1, "connectorStatus": "Unavailable"}, within=30)
    finally:
        await station.call("ChangeAvailability", body | {"operationalStatus": "Operative"})


@case(
    V2,
    "B01.FR.08",
    "boot answered after 5 s",
    "no request before the answer",
    Intrudes("StatusNotification", STATUS, after="BootNotification"),
)
async def _(station: Station) -> None:
    await station.boot({"status": "Rejected", "interval": 5})
    await station.sleep(3)
    for action in ("StatusNotification", "Heartbeat", "NotifyEvent", "TransactionEvent", "SecurityEventNotification"):
        expect(not station.find(action), f"{action} before the boot was accepted")


@case(
    V2, "B01.FR.09", "reset by the CSMS", "the reason is RemoteReset", Sends("BootNotification", {"reason": "PowerUp"})
)
async def _(station: Station) -> None:
    sent = await station.boot()
    expect(sent.get("reason") == "RemoteReset", f"reason {sent.get('reason')}")


@case(
    V2,
    "B01.FR.13",
    "EVSE 1 reserved, then reset",
    "EVSE 1 is Reserved after the boot",
    Sends("StatusNotification", {"connectorStatus": "Available"}),
    "station.reservation",
    "lab.vacant",
)
async def _(station: Station) -> None:
    body: Payload = {
        "id": 71,
        "expiryDateTime": in_future(station, 3600),
        "idToken": {"idToken": "DEC0DE03", "type": "ISO14443"},
        "evseId": 1,
    }
    await station.prepare("ReserveNow", body, ACCEPTED)
    try:
        await station.boot()
        await station.expect("StatusNotification", {"evseId": 1, "connectorStatus": "Reserved"}, within=30)
    finally:
        await station.call("CancelReservation", {"reservationId": 71})


async def _pending(station: Station, status: str = "Pending", interval: int = PENDING_S) -> None:
    await station.boot({"status": status, "interval": interval})
    await station.sleep(0.5)


@case(V2, "B02.FR.01", "GetVariables while Pending", "it is answered", Errors("GetVariables", "SecurityError"))
async def _(station: Station) -> None:
    await _pending(station)
    await station.request("GetVariables", {"getVariableData": [variable("OCPPCommCtrlr", "HeartbeatInterval")]})


@case(
    V2,
    "B02.FR.02",
    "boot answered Pending",
    "no request but BootNotification",
    Intrudes("Heartbeat", {}, after="BootNotification", seconds=2.0),
)
async def _(station: Station) -> None:
    await _pending(station)
    await station.sleep(PENDING_S / 2)
    for action in ("StatusNotification", "Heartbeat", "NotifyEvent", "TransactionEvent", "SecurityEventNotification"):
        expect(not station.find(action), f"{action} while Pending")


@case(
    V2,
    "B02.FR.04",
    "boot answered Pending with an interval",
    "no BootNotification before it has passed",
    Intrudes(
        "BootNotification",
        {"reason": "PowerUp", "chargingStation": {"model": "m", "vendorName": "v"}},
        after="BootNotification",
        seconds=5.0,
    ),
)
async def _(station: Station) -> None:
    await _pending(station)
    station.stimulus()
    await station.expect_none("BootNotification", during=PENDING_S - 3)


@case(
    V2,
    "B02.FR.05",
    "RequestStartTransaction while Pending",
    "Rejected",
    Answers("RequestStartTransaction", ACCEPTED, whole=True),
)
async def _(station: Station) -> None:
    await _pending(station)
    body = {"idToken": {"idToken": "DEC0DE01", "type": "ISO14443"}, "remoteStartId": 1, "evseId": 1}
    await station.request("RequestStartTransaction", body, REJECTED)


@case(V2, "B02.FR.06", "boot answered Pending", "the connection stays open", Errors("TriggerMessage", None))
async def _(station: Station) -> None:
    await _pending(station)
    connections = len(station.csms.handshakes)
    await station.sleep(PENDING_S / 2)
    expect(len(station.csms.handshakes) == connections, "the station connected again")
    await station.request("TriggerMessage", {"requestedMessage": "BootNotification"})


@case(
    V2,
    "B02.FR.08",
    "boot answered Pending with an interval",
    "BootNotification after it",
    Misreads("BootNotification", {"interval": 600}, {"status": "Pending"}, response=True),
)
async def _(station: Station) -> None:
    await _pending(station)
    station.stimulus()
    await station.expect("BootNotification", within=PENDING_S + 15)


@case(
    V2,
    "B02.FR.07",
    "boot answered Pending with interval 0",
    "an interval of its own, at least 5 s",
    Intrudes(
        "BootNotification",
        {"reason": "PowerUp", "chargingStation": {"model": "m", "vendorName": "v"}},
        after="BootNotification",
        seconds=1.0,
    ),
)
async def _(station: Station) -> None:
    await _pending(station, interval=0)
    station.stimulus()
    await station.expect_none("BootNotification", during=4)


@case(
    V2,
    "B03.FR.02",
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


@case(
    V2,
    "B03.FR.05",
    "boot answered Rejected with interval 0",
    "an interval of its own, at least 5 s",
    Intrudes(
        "BootNotification",
        {"reason": "PowerUp", "chargingStation": {"model": "m", "vendorName": "v"}},
        after="BootNotification",
        seconds=1.0,
    ),
)
async def _(station: Station) -> None:
    await _pending(station, "Rejected", 0)
    station.stimulus()
    await station.expect_none("BootNotification", during=4)


@case(
    V2,
    "B03.FR.06",
    "boot answered Rejected with an interval",
    "BootNotification after it",
    Misreads("BootNotification", {"interval": 600}, {"status": "Rejected"}, response=True),
)
async def _(station: Station) -> None:
    await _pending(station, "Rejected")
    station.stimulus()
    await station.expect("BootNotification", within=PENDING_S + 30)


@case(
    V2,
    "B03.FR.08",
    "a request while Rejected",
    "CALLERROR SecurityError",
    Answers("GetVariables", {"getVariableResult": [{"attributeStatus": "Rejected", **variable("A", "B")}]}, whole=True),
)
async def _(station: Station) -> None:
    await _pending(station, "Rejected")
    if station.csms.peer is None:
        raise Inconclusive("the station closed the connection, which B03.FR.04 permits")
    body = {"getVariableData": [variable("OCPPCommCtrlr", "HeartbeatInterval")]}
    await station.refused("GetVariables", body, ErrorCode.SECURITY_ERROR)


# offline


@case(
    V2,
    "B04.FR.01",
    "offline for longer than OfflineThreshold",
    "the status of each connector is sent",
    Omits("StatusNotification", {"evseId": 1}),
)
async def _(station: Station) -> None:
    await station.set("OCPPCommCtrlr", "OfflineThreshold", 5)
    await station.offline(15)
    await station.expect("StatusNotification", {"evseId": 1}, within=60)


@case(
    V2,
    "B04.FR.02",
    "offline for less than OfflineThreshold",
    "no status of a connector without a change",
    Intrudes("StatusNotification", STATUS, after="Heartbeat"),
)
async def _(station: Station) -> None:
    await station.set("OCPPCommCtrlr", "OfflineThreshold", 600)
    await station.set("OCPPCommCtrlr", "HeartbeatInterval", 3)
    await station.offline(5)
    await station.expect_none("StatusNotification", during=10)
