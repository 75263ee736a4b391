"""OCPP 1.6, core: what the CSMS requests (5.2 to 5.18), and the RPC framework of 1.6-J."""

from __future__ import annotations

from functools import partial

from emulators.conformance.case import expect
from emulators.conformance.ocpp.declarations import V16, Declared
from emulators.conformance.ocpp.mutants import Answers, Errors, Intrudes, Misreads, Omits, Pretends, Sends
from emulators.conformance.ocpp.pattern import ANY
from emulators.conformance.ocpp.stations.ocpp16 import START, STATUS, STOP, TAG, VEHICLE, profile_16, status_is
from emulators.conformance.ocpp.stations.procedures import ACCEPTED, REJECTED, Station, StationProcedure, exchange
from protocols.ocpp.schema import ErrorCode, Payload

DECLARED: Declared[Station] = Declared("CS", "Core 1.6")
core = partial(DECLARED.case, V16)

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
        await station.expect(STATUS, status_is("Unavailable"), within=20)
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
            await station.expect(STATUS, status_is("Unavailable", connector), within=20)
    finally:
        await station.call("ChangeAvailability", ON | {"connectorId": 0})


@core(
    "5.2 persistent",
    "an Inoperative connector, reset",
    "it stays Unavailable",
    Sends(STATUS, {"status": "Available"}, status_is("Unavailable")),
    "lab.vacant",
)
async def _(station: Station) -> None:
    await station.prepare("ChangeAvailability", OFF, ACCEPTED)
    try:
        await station.boot()
        await station.expect(STATUS, status_is("Unavailable"), within=30)
    finally:
        await station.call("ChangeAvailability", ON)


DECLARED.add(
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
    DECLARED.add(V16, reference, stimulus, status, mutant, exchange("ChangeConfiguration", body, {"status": status}))


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


DECLARED.add(
    V16,
    "5.8 unknown key",
    "GetConfiguration of an unknown key",
    "unknownKey names it",
    Answers("GetConfiguration", {"unknownKey": None}),
    exchange("GetConfiguration", {"key": ["V2xNoSuchKey"]}, {"unknownKey": ["V2xNoSuchKey"]}),
)
DECLARED.add(
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
DECLARED.add(
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
DECLARED.add(
    V16,
    "5.4 ClearCache",
    "ClearCache",
    "Accepted or Rejected",
    Errors("ClearCache"),
    exchange("ClearCache", {}, {"status": {"Accepted", "Rejected"}}),
)
DECLARED.add(
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
    await station.expect(STATUS, status_is("Preparing"), within=20)
    await station.expect(STATUS, status_is("Available"), within=30)
    expect(not station.find(START), "StartTransaction without a vehicle")


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
    await station.start(chargingProfile=profile_16(3000.0))
    await station.power_becomes(3000.0, within=60)
    await station.power_stays(3000.0)


# 5.12 RemoteStopTransaction
DECLARED.add(
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
DECLARED.add(
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


DECLARED.add(
    V16,
    "J 4.2.3 unknown action",
    "an action that 1.6 does not have",
    "NotImplemented",
    Errors("V2xNoSuchAction", "InternalError"),
    _refused("V2xNoSuchAction", {}, ErrorCode.NOT_IMPLEMENTED, ErrorCode.NOT_SUPPORTED),
)
DECLARED.add(
    V16,
    "J 4.2.3 missing member",
    "Reset without its type",
    "FormationViolation or OccurenceConstraintViolation",
    Answers("Reset", ACCEPTED, whole=True),
    _refused(
        "Reset", {}, ErrorCode.FORMATION_VIOLATION, ErrorCode.OCCURENCE_CONSTRAINT_VIOLATION, ErrorCode.PROTOCOL_ERROR
    ),
)
DECLARED.add(
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
DECLARED.add(
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
