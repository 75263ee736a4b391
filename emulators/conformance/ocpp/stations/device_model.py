"""OCPP 2.x, B05 to B08: variables and reports."""

from __future__ import annotations

from collections.abc import Callable

from emulators.conformance.case import Failed, expect
from emulators.conformance.ocpp import pattern
from emulators.conformance.ocpp.declarations import V2, Declared
from emulators.conformance.ocpp.mutants import Answers, Misreads, Omits, Pretends, Sends
from emulators.conformance.ocpp.pattern import ABSENT, ANY
from emulators.conformance.ocpp.stations.procedures import ACCEPTED, Station, exchange, variable
from protocols.ocpp.schema import Payload

DECLARED: Declared[Station] = Declared("CS")
case, add = DECLARED.case, DECLARED.add

UNKNOWN_COMPONENT = variable("V2xNoSuchComponent", "Enabled")
UNKNOWN_VARIABLE = variable("OCPPCommCtrlr", "V2xNoSuchVariable")
HEARTBEAT = variable("OCPPCommCtrlr", "HeartbeatInterval")


def _set(data: Payload, status: str, value: object = "10") -> Payload:
    return {"setVariableData": [{**data, "attributeValue": value}]}


def set_result(status: object) -> Payload:
    """Return a pattern of the response to SetVariables of one variable."""
    return {"setVariableResult": [{"attributeStatus": status}]}


def _get_result(**members: object) -> Payload:
    return {"getVariableResult": [members]}


def with_first(member: str, **change: object) -> Callable[[Payload], Payload]:
    """Return a change of the first element of a list."""

    def apply(payload: Payload) -> Payload:
        first = {**payload[member][0], **change}
        return {**payload, member: [{k: v for k, v in first.items() if v is not None}, *payload[member][1:]]}

    return apply


def _set_row(reference: str, stimulus: str, expectation: str, body: Payload, status: str, wrong: str) -> None:
    mutant = Answers("SetVariables", with_first("setVariableResult", attributeStatus=wrong))
    add(V2, reference, stimulus, expectation, mutant, exchange("SetVariables", body, set_result(status)))


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
    Answers("SetVariables", with_first("setVariableResult", component={"name": "Other"})),
    exchange("SetVariables", _set(UNKNOWN_VARIABLE, ""), {"setVariableResult": [UNKNOWN_VARIABLE]}),
)
add(
    V2,
    "B05.FR.03",
    "SetVariables with attributeType",
    "the result has it",
    Answers("SetVariables", with_first("setVariableResult", attributeType=None)),
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
    mutant = Answers("GetVariables", with_first("getVariableResult", **wrong))
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
