"""OCPP 2.x, block B: boot, variables, reports, network profiles and resets of a station; block A over OCPP."""

from __future__ import annotations

from collections.abc import Callable

from emulators.conformance.case import Failed, Inconclusive, expect
from emulators.conformance.ocpp import pattern
from emulators.conformance.ocpp.declarations import V2, Declared
from emulators.conformance.ocpp.mutants import (
    Answers,
    Authenticates,
    Errors,
    Intrudes,
    Misreads,
    Omits,
    Pretends,
    Sends,
)
from emulators.conformance.ocpp.pattern import ABSENT, ANY
from emulators.conformance.ocpp.peer import Message
from emulators.conformance.ocpp.stations.procedures import (
    ACCEPTED,
    REJECTED,
    Station,
    another_password,
    authenticated,
    exchange,
    in_future,
    variable,
)
from protocols.ocpp.schema import ErrorCode, Payload
from protocols.ocpp.times import parse

DECLARED: Declared[Station] = Declared("CS")
case, add = DECLARED.case, DECLARED.add
PENDING_S = 10  # interval of a boot that is not accepted
STATUS: Payload = {"timestamp": "2026-01-01T00:00:00Z", "connectorStatus": "Available", "evseId": 1, "connectorId": 1}


def _status(station: Station) -> list[Message]:
    """Return the connector statuses since the last stimulus, as StatusNotification or NotifyEvent."""
    return station.find("StatusNotification") + station.find("NotifyEvent")


# boot


@case(
    V2,
    "B01.FR.01",
    "reset",
    "BootNotification with model and vendor",
    Omits("BootNotification", {}, {"status": "Accepted", "interval": 300, "currentTime": "2026-01-15T00:00:00Z"}),
)
async def _(station: Station) -> None:
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
        "idToken": {"idToken": "V2XTEST3", "type": "ISO14443"},
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
    body = {"idToken": {"idToken": "V2XTEST1", "type": "ISO14443"}, "remoteStartId": 1, "evseId": 1}
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


# variables

UNKNOWN_COMPONENT = variable("V2xNoSuchComponent", "Enabled")
UNKNOWN_VARIABLE = variable("OCPPCommCtrlr", "V2xNoSuchVariable")
HEARTBEAT = variable("OCPPCommCtrlr", "HeartbeatInterval")


def _set(data: Payload, status: str, value: object = "10") -> Payload:
    return {"setVariableData": [{**data, "attributeValue": value}]}


def _set_result(status: object) -> Payload:
    return {"setVariableResult": [{"attributeStatus": status}]}


def _get_result(**members: object) -> Payload:
    return {"getVariableResult": [members]}


def _first(member: str, **change: object) -> Callable[[Payload], Payload]:
    """Return a change of the first element of a list."""

    def apply(payload: Payload) -> Payload:
        first = {**payload[member][0], **change}
        return {**payload, member: [{k: v for k, v in first.items() if v is not None}, *payload[member][1:]]}

    return apply


def _set_row(reference: str, stimulus: str, expectation: str, body: Payload, status: str, wrong: str) -> None:
    mutant = Answers("SetVariables", _first("setVariableResult", attributeStatus=wrong))
    add(V2, reference, stimulus, expectation, mutant, exchange("SetVariables", body, _set_result(status)))


@case(
    V2,
    "B05.FR.01",
    "SetVariables with two elements",
    "two results",
    Answers("SetVariables", lambda p: {**p, "setVariableResult": p["setVariableResult"][:1]}),
)
async def _(station: Station) -> None:
    data = [{**UNKNOWN_COMPONENT, "attributeValue": "1"}, {**UNKNOWN_VARIABLE, "attributeValue": "1"}]
    answer = await station.request("SetVariables", {"setVariableData": data})
    expect(len(answer["setVariableResult"]) == 2, f"{len(answer['setVariableResult'])} results for two elements")


add(
    V2,
    "B05.FR.02",
    "SetVariables",
    "the result names component and variable",
    Answers("SetVariables", _first("setVariableResult", component={"name": "Other"})),
    exchange("SetVariables", _set(UNKNOWN_VARIABLE, ""), {"setVariableResult": [UNKNOWN_VARIABLE]}),
)
add(
    V2,
    "B05.FR.03",
    "SetVariables with attributeType",
    "the result has it",
    Answers("SetVariables", _first("setVariableResult", attributeType=None)),
    exchange(
        "SetVariables",
        _set(UNKNOWN_VARIABLE | {"attributeType": "Target"}, ""),
        {"setVariableResult": [{"attributeType": "Target"}]},
    ),
)
_set_row(
    "B05.FR.04",
    "SetVariables of an unknown component",
    "UnknownComponent",
    _set(UNKNOWN_COMPONENT, ""),
    "UnknownComponent",
    "UnknownVariable",
)
_set_row(
    "B05.FR.05",
    "SetVariables of an unknown variable",
    "UnknownVariable",
    _set(UNKNOWN_VARIABLE, ""),
    "UnknownVariable",
    "UnknownComponent",
)
_set_row(
    "B05.FR.06",
    "SetVariables of an attribute type that the variable does not have",
    "NotSupportedAttributeType",
    _set(HEARTBEAT | {"attributeType": "MaxSet"}, ""),
    "NotSupportedAttributeType",
    "Rejected",
)
_set_row(
    "B05.FR.07",
    "SetVariables with a text for an integer",
    "Rejected",
    _set(HEARTBEAT, "", "soon"),
    "Rejected",
    "Accepted",
)
_set_row(
    "B05.FR.08", "SetVariables with a value out of range", "Rejected", _set(HEARTBEAT, "", "-5"), "Rejected", "Accepted"
)
_set_row(
    "B05.FR.09",
    "SetVariables of a read-only variable",
    "Rejected",
    _set(variable("ChargingStation", "Model"), "", "other"),
    "Rejected",
    "Accepted",
)


@case(
    V2,
    "B05.FR.10",
    "SetVariables with a value that can be set",
    "Accepted, and it is read back",
    Pretends("SetVariables", {"setVariableResult": [{**HEARTBEAT, "attributeStatus": "Accepted"}]}),
)
async def _(station: Station) -> None:
    before = await station.variable("OCPPCommCtrlr", "HeartbeatInterval")
    value = "77" if before != "77" else "78"
    status = await station.write("OCPPCommCtrlr", "HeartbeatInterval", value)
    expect(status == "Accepted", f"status {status}")
    found = await station.variable("OCPPCommCtrlr", "HeartbeatInterval")
    expect(found == value, f"the variable is {found}, not {value}")


def _get_row(
    reference: str,
    stimulus: str,
    expectation: str,
    data: Payload,
    expected: Payload,
    needs: tuple[str, ...] = (),
    **wrong: object,
) -> None:
    mutant = Answers("GetVariables", _first("getVariableResult", **wrong))
    body = {"getVariableData": [data]}
    add(V2, reference, stimulus, expectation, mutant, exchange("GetVariables", body, _get_result(**expected)), *needs)


@case(
    V2,
    "B06.FR.01",
    "GetVariables with two elements",
    "two results",
    Answers("GetVariables", lambda p: {**p, "getVariableResult": p["getVariableResult"][:1]}),
)
async def _(station: Station) -> None:
    answer = await station.request("GetVariables", {"getVariableData": [HEARTBEAT, UNKNOWN_VARIABLE]})
    expect(len(answer["getVariableResult"]) == 2, f"{len(answer['getVariableResult'])} results for two elements")


_get_row(
    "B06.FR.02",
    "GetVariables",
    "the result names component and variable",
    HEARTBEAT,
    HEARTBEAT,
    variable={"name": "Other"},
)
_get_row(
    "B06.FR.03",
    "GetVariables with attributeType",
    "the result has it",
    HEARTBEAT | {"attributeType": "Actual"},
    {"attributeType": "Actual"},
    attributeType=None,
)
_get_row(
    "B06.FR.04", "GetVariables", "the result has the value", HEARTBEAT, {"attributeValue": ANY}, attributeValue=None
)
_get_row(
    "B06.FR.06",
    "GetVariables of an unknown component",
    "UnknownComponent without a value",
    UNKNOWN_COMPONENT,
    {"attributeStatus": "UnknownComponent", "attributeValue": ABSENT},
    attributeValue="0",
)
_get_row(
    "B06.FR.07",
    "GetVariables of an unknown variable",
    "UnknownVariable without a value",
    UNKNOWN_VARIABLE,
    {"attributeStatus": "UnknownVariable", "attributeValue": ABSENT},
    attributeStatus="UnknownComponent",
)
_get_row(
    "B06.FR.08",
    "GetVariables of an attribute type that the variable does not have",
    "NotSupportedAttributeType",
    HEARTBEAT | {"attributeType": "MaxSet"},
    {"attributeStatus": "NotSupportedAttributeType"},
    attributeStatus="Rejected",
)
_get_row(
    "B06.FR.09",
    "GetVariables of a write-only variable",
    "Rejected without its value",
    variable("SecurityCtrlr", "BasicAuthPassword"),
    {"attributeStatus": "Rejected", "attributeValue": ABSENT},
    ("station.password",),
    attributeStatus="Accepted",
    attributeValue="secret",
)
_get_row(
    "B06.FR.10",
    "GetVariables of a known variable",
    "Accepted",
    HEARTBEAT,
    {"attributeStatus": "Accepted"},
    attributeStatus="Rejected",
)
_get_row(
    "B06.FR.14",
    "GetVariables with an instance",
    "the result has the instance",
    variable("DeviceDataCtrlr", "ItemsPerMessage", "GetReport"),
    {"attributeStatus": "Accepted", "variable": {"instance": "GetReport"}},
    variable={"name": "ItemsPerMessage", "instance": "GetVariables"},
)
_get_row(
    "B06.FR.15",
    "GetVariables without the instance of a variable that has instances only",
    "UnknownVariable",
    variable("DeviceDataCtrlr", "ItemsPerMessage"),
    {"attributeStatus": frozenset({"UnknownVariable", "UnknownComponent"})},
    attributeStatus="Accepted",
)

# reports


async def _report(station: Station, action: str, body: Payload, within: float = 60.0) -> list[Payload]:
    """Return all parts of a report."""
    await station.request(action, body, ACCEPTED)

    def complete() -> bool:
        return any(not m.payload.get("tbc", False) for m in station.find("NotifyReport"))

    if not await station.recorded.wait_for(complete, within):
        raise Failed(f"no complete report within {within:g} s")
    parts = [m.payload for m in station.find("NotifyReport")]
    for message in station.find("NotifyReport"):
        expect(message.violation is None, f"NotifyReport breaks its schema: {message.violation}")
    return parts


def _entries(parts: list[Payload]) -> list[Payload]:
    return [entry for part in parts for entry in part.get("reportData", [])]


FULL: Payload = {"requestId": 501, "reportBase": "FullInventory"}
CONFIGURATION: Payload = {"requestId": 502, "reportBase": "ConfigurationInventory"}
add(
    V2,
    "B07.FR.01",
    "GetBaseReport FullInventory",
    "Accepted",
    Answers("GetBaseReport", {"status": "NotSupported"}),
    exchange("GetBaseReport", FULL, ACCEPTED),
)


@case(
    V2,
    "B07.FR.03",
    "GetBaseReport FullInventory",
    "NotifyReport without values of write-only variables",
    Sends(
        "NotifyReport",
        lambda p: {
            **p,
            "reportData": [
                {**e, "variableAttribute": [{"value": "x", **a} for a in e["variableAttribute"]]}
                for e in p["reportData"]
            ],
        },
    ),
)
async def _(station: Station) -> None:
    for entry in _entries(await _report(station, "GetBaseReport", FULL)):
        for attribute in entry["variableAttribute"]:
            hidden = attribute.get("mutability") != "WriteOnly" or "value" not in attribute
            expect(hidden, f"value of a write-only variable: {entry['variable']}")


@case(V2, "B07.FR.04", "GetBaseReport", "each NotifyReport has its requestId", Sends("NotifyReport", {"requestId": 1}))
async def _(station: Station) -> None:
    for part in await _report(station, "GetBaseReport", FULL):
        expect(part["requestId"] == 501, f"requestId {part['requestId']} instead of 501")


@case(
    V2,
    "B07.FR.07",
    "GetBaseReport ConfigurationInventory",
    "variables that can be set, and no others",
    Misreads("GetBaseReport", {"reportBase": "FullInventory"}),
)
async def _(station: Station) -> None:
    entries = _entries(await _report(station, "GetBaseReport", CONFIGURATION))
    expect(bool(entries), "an empty report")
    for entry in entries:
        writable = any(a.get("mutability", "ReadWrite") != "ReadOnly" for a in entry["variableAttribute"])
        expect(writable, f"read-only variable {entry['component']['name']}.{entry['variable']['name']}")


@case(
    V2,
    "B07.FR.08",
    "GetBaseReport FullInventory",
    "all variables, with their characteristics",
    Misreads("GetBaseReport", {"reportBase": "ConfigurationInventory"}),
)
async def _(station: Station) -> None:
    entries = _entries(await _report(station, "GetBaseReport", FULL))
    names = {(e["component"]["name"], e["variable"]["name"]) for e in entries}
    for name in (("OCPPCommCtrlr", "HeartbeatInterval"), ("EVSE", "AvailabilityState"), ("TxCtrlr", "TxStopPoint")):
        expect(name in names, f"{'.'.join(name)} is not in the report")
    expect(all("variableCharacteristics" in e for e in entries), "an entry without characteristics")


@case(
    V2,
    "B07.FR.10",
    "GetBaseReport FullInventory",
    "seqNo counts from 0",
    Sends("NotifyReport", lambda p: {**p, "seqNo": p["seqNo"] + 1}),
)
async def _(station: Station) -> None:
    numbers = [part["seqNo"] for part in await _report(station, "GetBaseReport", FULL)]
    expect(numbers == list(range(len(numbers))), f"seqNo {numbers}")


add(
    V2,
    "B07.FR.12",
    "GetBaseReport ConfigurationInventory",
    "it is supported",
    Answers("GetBaseReport", {"status": "NotSupported"}),
    exchange("GetBaseReport", CONFIGURATION, ACCEPTED),
)

ITEMS: Payload = {"requestId": 503, "componentVariable": [variable("DeviceDataCtrlr", "ItemsPerMessage", "GetReport")]}
add(
    V2,
    "B08.FR.01",
    "GetReport of a known variable",
    "Accepted",
    Answers("GetReport", {"status": "NotSupported"}),
    exchange("GetReport", ITEMS, ACCEPTED),
)


@case(V2, "B08.FR.03", "GetReport of a known variable", "NotifyReport with it", Omits("NotifyReport"))
async def _(station: Station) -> None:
    (entry,) = _entries(await _report(station, "GetReport", ITEMS)) or [{}]
    expect(pattern.matches(entry, {"variable": {"name": "ItemsPerMessage"}}), f"reported {entry}")


@case(V2, "B08.FR.04", "GetReport", "NotifyReport has its requestId", Sends("NotifyReport", {"requestId": 1}))
async def _(station: Station) -> None:
    for part in await _report(station, "GetReport", ITEMS):
        expect(part["requestId"] == 503, f"requestId {part['requestId']} instead of 503")


@case(
    V2,
    "B08.FR.05",
    "GetReport of EVSE 1 AvailabilityState with the criterion Problem",
    "EmptyResultSet while it has no problem",
    Answers("GetReport", ACCEPTED),
)
async def _(station: Station) -> None:
    one = variable("EVSE", "AvailabilityState", evse=1)
    body = {"requestId": 504, "componentVariable": [one], "componentCriteria": ["Problem"]}
    await station.request("GetReport", body, {"status": "EmptyResultSet"})


@case(
    V2,
    "B08.FR.11",
    "GetReport of one variable",
    "nothing else is reported",
    Misreads("GetReport", {"componentVariable": [{"component": {"name": "DeviceDataCtrlr"}}]}),
)
async def _(station: Station) -> None:
    entries = _entries(await _report(station, "GetReport", ITEMS))
    expect(len(entries) == 1, f"{len(entries)} variables reported for one")


@case(
    V2,
    "B08.FR.12",
    "GetReport of one variable",
    "with its characteristics",
    Sends(
        "NotifyReport",
        lambda p: {
            **p,
            "reportData": [{k: v for k, v in e.items() if k != "variableCharacteristics"} for e in p["reportData"]],
        },
    ),
)
async def _(station: Station) -> None:
    for entry in _entries(await _report(station, "GetReport", ITEMS)):
        expect("variableCharacteristics" in entry, f"no characteristics of {entry['variable']}")


@case(V2, "B08.FR.14", "GetReport", "seqNo begins at 0", Sends("NotifyReport", {"seqNo": 1}))
async def _(station: Station) -> None:
    parts = await _report(station, "GetReport", ITEMS)
    expect(parts[0]["seqNo"] == 0, f"seqNo {parts[0]['seqNo']}")


add(
    V2,
    "B08.FR.15",
    "GetReport of an unknown variable",
    "EmptyResultSet",
    Answers("GetReport", ACCEPTED),
    exchange("GetReport", {"requestId": 505, "componentVariable": [UNKNOWN_VARIABLE]}, {"status": "EmptyResultSet"}),
)


@case(
    V2,
    "B08.FR.20",
    "GetReport of a component without a variable",
    "all its variables",
    Sends("NotifyReport", lambda p: {**p, "reportData": p["reportData"][:1]}),
)
async def _(station: Station) -> None:
    body = {"requestId": 506, "componentVariable": [{"component": {"name": "OCPPCommCtrlr"}}]}
    names = {entry["variable"]["name"] for entry in _entries(await _report(station, "GetReport", body))}
    for name in ("HeartbeatInterval", "OfflineThreshold", "NetworkConfigurationPriority"):
        expect(name in names, f"{name} is not reported")


@case(
    V2,
    "B08.FR.21",
    "GetReport of a variable without its instance",
    "all its instances",
    Sends("NotifyReport", lambda p: {**p, "reportData": p["reportData"][:1]}),
)
async def _(station: Station) -> None:
    body = {"requestId": 507, "componentVariable": [variable("DeviceDataCtrlr", "ItemsPerMessage")]}
    found = {e["variable"].get("instance") for e in _entries(await _report(station, "GetReport", body))}
    expect({"GetReport", "GetVariables"} <= found, f"instances {found}")


@case(
    V2,
    "B08.FR.23",
    "GetReport of EVSE.AvailabilityState without an EVSE",
    "of every EVSE",
    Sends("NotifyReport", lambda p: {**p, "reportData": p["reportData"][:1]}),
    "station.two-evses",
)
async def _(station: Station) -> None:
    body = {"requestId": 508, "componentVariable": [variable("EVSE", "AvailabilityState")]}
    found = {e["component"].get("evse", {}).get("id") for e in _entries(await _report(station, "GetReport", body))}
    expect({1, 2} <= found, f"EVSEs {found}")


# network profiles


def _profile(**more: object) -> Payload:
    data: Payload = {
        "ocppInterface": "Wired0",
        "ocppTransport": "JSON",
        "ocppCsmsUrl": "ws://127.0.0.1:9/ocpp",
        "ocppVersion": "OCPP20",
        "messageTimeout": 30,
        "securityProfile": 0,
    }
    return {"configurationSlot": 2, "connectionData": {**data, **more}}


async def _own_profile(station: Station, **more: object) -> Payload:
    """Return a network profile with the security profile in use."""
    security = int(await station.variable("SecurityCtrlr", "SecurityProfile") or 0)
    return _profile(**({"securityProfile": security} | more))


@case(V2, "B09.FR.01", "SetNetworkProfile for a free slot", "Accepted", Answers("SetNetworkProfile", REJECTED))
async def _(station: Station) -> None:
    await station.request("SetNetworkProfile", await _own_profile(station), ACCEPTED)


@case(V2, "B09.FR.02", "SetNetworkProfile with a URL that is none", "Rejected", Answers("SetNetworkProfile", ACCEPTED))
async def _(station: Station) -> None:
    body = await _own_profile(station, ocppCsmsUrl="no url at all")
    await station.request("SetNetworkProfile", body, REJECTED)


@case(V2, "B09.FR.05", "SetNetworkProfile for slot 9999", "Rejected", Answers("SetNetworkProfile", ACCEPTED))
async def _(station: Station) -> None:
    body = await _own_profile(station)
    await station.request(
        "SetNetworkProfile", body | {"configurationSlot": 9999}, {"status": frozenset({"Rejected", "Failed"})}
    )


@case(
    V2,
    "B10.FR.01",
    "a priority of set slots",
    "Accepted or RebootRequired",
    Answers("SetVariables", _first("setVariableResult", attributeStatus="Rejected")),
)
async def _(station: Station) -> None:
    before = await station.variable("OCPPCommCtrlr", "NetworkConfigurationPriority")
    status = await station.write("OCPPCommCtrlr", "NetworkConfigurationPriority", before)
    expect(status in ("Accepted", "RebootRequired"), f"status {status}")


@case(
    V2,
    "B10.FR.02",
    "a priority with a slot that was never set",
    "Rejected",
    Answers("SetVariables", _first("setVariableResult", attributeStatus="Accepted")),
)
async def _(station: Station) -> None:
    before = await station.variable("OCPPCommCtrlr", "NetworkConfigurationPriority")
    status = await station.write("OCPPCommCtrlr", "NetworkConfigurationPriority", f"{before},9999")
    expect(status == "Rejected", f"status {status}")


# resets


async def _unknown_reset(station: Station) -> None:
    await station.request("Reset", {"type": "Immediate", "evseId": 99}, REJECTED)


add(
    V2,
    "B11.FR.03",
    "Reset Immediate without a transaction",
    "Accepted, and the station boots",
    Pretends("Reset", ACCEPTED),
    DECLARED.cases[0].procedure,
)


@case(
    V2,
    "B12.FR.01",
    "Reset OnIdle during a transaction",
    "Scheduled, and the transaction goes on",
    Misreads("Reset", {"type": "Immediate"}),
    "lab.vehicle",
)
async def _(station: Station) -> None:
    await station.transaction()
    await station.request("Reset", {"type": "OnIdle"}, {"status": "Scheduled"})
    await station.expect_none("TransactionEvent", {"eventType": "Ended"}, during=10)
    await station.stop()
    await station.expect("BootNotification", within=180)
    await station.booted()


@case(
    V2,
    "B12.FR.04",
    "Reset Immediate during a transaction",
    "it ends with ImmediateReset",
    Sends("TransactionEvent", {"transactionInfo": {"stoppedReason": "Local"}}, {"eventType": "Ended"}),
    "lab.vehicle",
)
async def _(station: Station) -> None:
    await station.transaction()
    await station.request("Reset", {"type": "Immediate"}, {"status": frozenset({"Accepted", "Scheduled"})})
    ended = {"eventType": "Ended", "transactionInfo": {"stoppedReason": frozenset({"ImmediateReset", "Reboot"})}}
    await station.expect("TransactionEvent", ended, within=180)
    await station.expect("BootNotification", within=180)
    await station.booted()


@case(
    V2,
    "B12.FR.08",
    "Reset Immediate of EVSE 1 during its transaction",
    "it ends; the station does not boot",
    Misreads("Reset", lambda p: {k: v for k, v in p.items() if k != "evseId"}),
    "lab.vehicle",
)
async def _(station: Station) -> None:
    await station.transaction()
    await station.request("Reset", {"type": "Immediate", "evseId": 1}, ACCEPTED)
    await station.expect("TransactionEvent", {"eventType": "Ended"}, within=60)
    await station.expect_none("BootNotification", during=15)


add(V2, "B11.FR.09", "Reset of an unknown EVSE", "Rejected", Answers("Reset", ACCEPTED), _unknown_reset)


# security over OCPP


@case(
    V2,
    "A01.FR.01",
    "another BasicAuthPassword",
    "Accepted, and the station connects again with it",
    Answers("SetVariables", _first("setVariableResult", attributeStatus="Rejected")),
    "station.password",
    "lab.password",
)
async def _(station: Station) -> None:
    async def send(password: str) -> None:
        data = variable("SecurityCtrlr", "BasicAuthPassword", attributeValue=password)
        await station.request("SetVariables", {"setVariableData": [data]}, _set_result("Accepted"))

    await another_password(station, send)


@case(
    V2,
    "A02.FR.03",
    "TriggerMessage SignChargingStationCertificate",
    "SignCertificate with a PKCS#10 request",
    Sends("SignCertificate", {"csr": "none"}),
    "station.certificates",
)
async def _(station: Station) -> None:
    await station.request("TriggerMessage", {"requestedMessage": "SignChargingStationCertificate"}, ACCEPTED)
    sent = await station.expect("SignCertificate", within=60)
    expect("BEGIN CERTIFICATE REQUEST" in sent["csr"], "csr is no PKCS#10 request in PEM")


@case(V2, "A04.FR.01", "reset", "SecurityEventNotification of the start-up", Omits("SecurityEventNotification"))
async def _(station: Station) -> None:
    await station.boot()
    await station.expect(
        "SecurityEventNotification", {"type": frozenset({"StartupOfTheDevice", "ResetOrReboot"})}, within=60
    )


OTHER_USER = "Basic YW5vdGhlcjpWMngtVGVzdGVyLTAxMjM0NTY="  # another, V2x-Tester-0123456


@case(
    V2,
    "A00.FR.203",
    "the connection is interrupted",
    "user and password with the next one",
    Authenticates(),
    "station.security-1",
)
async def _(station: Station) -> None:
    await authenticated(station, as_itself=False)


@case(
    V2,
    "A00.FR.204",
    "the connection is interrupted",
    "the user of the next one is the id of the station",
    Authenticates(OTHER_USER),
    "station.security-1",
)
async def _(station: Station) -> None:
    await authenticated(station, as_itself=True)
