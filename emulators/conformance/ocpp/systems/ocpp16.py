"""OCPP 1.6: what a central system answers and sends, by section, and the RPC framework of 1.6-J."""

from __future__ import annotations

from emulators.conformance.case import expect
from emulators.conformance.ocpp.csms_under_test import BLOCKED, EXPIRED, GROUP, KNOWN, UNKNOWN, CsmsUnderTest
from emulators.conformance.ocpp.declarations import V16, Declared, Procedure
from emulators.conformance.ocpp.mutants import Answers, AnswersAgain, Errors, Mutant, Sends
from emulators.conformance.ocpp.pattern import ANY
from emulators.conformance.ocpp.peer import Kind
from emulators.conformance.ocpp.tester_station import TesterStation
from protocols.ocpp.schema import ErrorCode, Payload
from protocols.ocpp.times import parse

DECLARED: Declared[CsmsUnderTest] = Declared("CSMS", "Core 1.6")
case, add = DECLARED.case, DECLARED.add
TOKENS, OPERATOR = "lab.tokens", "lab.operator"
NOW = "2026-01-01T00:00:00Z"
STATUS: Payload = {"connectorId": 1, "errorCode": "NoError", "status": "Available"}
START, STOP = "StartTransaction", "StopTransaction"


def answered(action: str, payload: Payload, expected: object = ANY) -> Procedure[CsmsUnderTest]:
    """Return a procedure that sends one message of a booted station and expects a response."""

    async def procedure(csms: CsmsUnderTest) -> None:
        await csms.station.booted()
        await csms.station.request(action, payload, expected)

    return procedure


def _recent(station: TesterStation, text: str) -> bool:
    at = parse(text)
    return at is not None and abs(at - station.clock.wall()) < 60


@case(
    V16,
    "4.2 response",
    "BootNotification",
    "status, interval and the present time",
    Answers("BootNotification", {"currentTime": "2020-01-01T00:00:00Z"}),
)
async def _(csms: CsmsUnderTest) -> None:
    await csms.station.ready()
    found = await csms.station.boot()
    expect(_recent(csms.station, found["currentTime"]), f"currentTime {found['currentTime']}")


@case(
    V16,
    "4.2 not accepted",
    "boot of an unknown station",
    "Pending or Rejected, with an interval above 0",
    Answers("BootNotification", {"interval": 0}),
    "csms.not-accepted",
)
async def _(csms: CsmsUnderTest) -> None:
    async with csms.other() as station:
        found = await station.boot()
        expect(found["status"] != "Accepted", "an unknown station is Accepted")
        expect(found["interval"] > 0, f"interval {found['interval']}")


@case(V16, "4.6 response", "Heartbeat", "the present time", Answers("Heartbeat", {"currentTime": NOW}))
async def _(csms: CsmsUnderTest) -> None:
    await csms.station.booted()
    found = await csms.station.request("Heartbeat", {})
    expect(_recent(csms.station, found["currentTime"]), f"currentTime {found['currentTime']}")


def _authorize(reference: str, token: str, statuses: set[str], wrong: str, *needs: str) -> None:
    add(
        V16,
        reference,
        f"Authorize of {token}",
        " or ".join(sorted(statuses)),
        Answers("Authorize", {"idTagInfo": {"status": wrong}}),
        answered("Authorize", {"idTag": token}, {"idTagInfo": {"status": frozenset(statuses)}}),
        *needs,
    )


_authorize("4.1 known token", KNOWN, {"Accepted"}, "Invalid", TOKENS)
_authorize("4.1 unknown token", UNKNOWN, {"Invalid"}, "Accepted", TOKENS)
_authorize("4.1 blocked token", BLOCKED, {"Blocked"}, "Accepted", TOKENS)
_authorize("4.1 expired token", EXPIRED, {"Expired"}, "Accepted", TOKENS)
add(
    V16,
    "3.10 parentIdTag",
    "Authorize of a token of a group",
    "parentIdTag",
    Answers("Authorize", {"idTagInfo": {"parentIdTag": None}}),
    answered("Authorize", {"idTag": KNOWN}, {"idTagInfo": {"parentIdTag": GROUP}}),
    TOKENS,
)
add(
    V16,
    "7.28 upper and lower case",
    "Authorize of a known token in lower case",
    "Accepted",
    Answers("Authorize", {"idTagInfo": {"status": "Invalid"}}),
    answered("Authorize", {"idTag": KNOWN.lower()}, {"idTagInfo": {"status": "Accepted"}}),
    TOKENS,
)


async def _start(csms: CsmsUnderTest, token: str = KNOWN, **more: object) -> Payload:
    body: Payload = {"connectorId": 1, "idTag": token, "meterStart": 0, "timestamp": csms.station.time(), **more}
    return await csms.station.request(START, body)


async def _stop(csms: CsmsUnderTest, number: int, **more: object) -> Payload:
    body: Payload = {"transactionId": number, "meterStop": 10, "timestamp": csms.station.time(), **more}
    return await csms.station.request(STOP, body)


@case(V16, "4.8 transaction id", "two transactions", "two transaction ids", Answers(START, {"transactionId": 5}))
async def _(csms: CsmsUnderTest) -> None:
    await csms.station.booted()
    numbers = []
    for second in range(2):
        found = await _start(csms, timestamp=csms.station.time(-60 + second))
        numbers.append(found["transactionId"])
        await _stop(csms, found["transactionId"])
    expect(numbers[0] != numbers[1], f"transactionId {numbers[0]} twice")


@case(
    V16,
    "4.8 repeated",
    "StartTransaction is sent again",
    "the same transactionId",
    AnswersAgain(START, {"transactionId": 77_001}),
)
async def _(csms: CsmsUnderTest) -> None:
    await csms.station.booted()
    at = csms.station.time(-5)
    first, again = await _start(csms, timestamp=at), await _start(csms, timestamp=at)
    await _stop(csms, first["transactionId"])
    expect(first["transactionId"] == again["transactionId"], f"transactionId {again['transactionId']} the second time")


@case(
    V16,
    "4.8 token",
    "StartTransaction with a blocked token",
    "it is not Accepted",
    Answers(START, {"idTagInfo": {"status": "Accepted"}}),
    TOKENS,
)
async def _(csms: CsmsUnderTest) -> None:
    await csms.station.booted()
    found = await _start(csms, BLOCKED)
    expect(found["idTagInfo"]["status"] == "Blocked", f"status {found['idTagInfo']['status']}")


@case(
    V16,
    "4.8 accepted",
    "StartTransaction with a known token",
    "Accepted",
    Answers(START, {"idTagInfo": {"status": "Invalid"}}),
    TOKENS,
)
async def _(csms: CsmsUnderTest) -> None:
    await csms.station.booted()
    found = await _start(csms)
    await _stop(csms, found["transactionId"])
    expect(found["idTagInfo"]["status"] == "Accepted", f"status {found['idTagInfo']['status']}")


@case(V16, "4.10 response", "StopTransaction", "a response", Errors(STOP))
async def _(csms: CsmsUnderTest) -> None:
    await csms.station.booted()
    await _stop(csms, (await _start(csms))["transactionId"])


@case(
    V16,
    "4.10 unknown",
    "StopTransaction of a transaction that the central system does not know",
    "a response",
    Errors(STOP),
)
async def _(csms: CsmsUnderTest) -> None:
    await csms.station.booted()
    await _stop(csms, 987_654)


@case(V16, "4.10 token", "StopTransaction with a token", "idTagInfo", Answers(STOP, {"idTagInfo": None}), TOKENS)
async def _(csms: CsmsUnderTest) -> None:
    await csms.station.booted()
    found = await _stop(csms, (await _start(csms))["transactionId"], idTag=KNOWN)
    expect(found.get("idTagInfo", {}).get("status") == "Accepted", f"response {found}")


@case(V16, "3.7 offline", "StartTransaction with a time one hour ago", "a transaction id", Errors(START))
async def _(csms: CsmsUnderTest) -> None:
    await csms.station.booted()
    found = await _start(csms, timestamp=csms.station.time(-3600))
    await _stop(csms, found["transactionId"], timestamp=csms.station.time(-1800))


def _report(reference: str, action: str, payload: Payload) -> None:
    add(V16, reference, action, "a response", Errors(action), answered(action, payload))


SAMPLES = [{"timestamp": NOW, "sampledValue": [{"value": "1", "measurand": "Energy.Active.Import.Register"}]}]
_report("4.7 response", "MeterValues", {"connectorId": 1, "meterValue": SAMPLES})
_report("4.9 response", "StatusNotification", STATUS)
add(
    V16,
    "4.9 connector 0",
    "StatusNotification of the station as a whole, connector 0",
    "a response",
    Errors("StatusNotification", when={"connectorId": 0}),
    answered("StatusNotification", STATUS | {"connectorId": 0}),
)
_report("4.4 response", "DiagnosticsStatusNotification", {"status": "Idle"})
_report("4.5 response", "FirmwareStatusNotification", {"status": "Idle"})
_report("W A04 response", "SecurityEventNotification", {"type": "StartupOfTheDevice", "timestamp": NOW})
_report("W N01 response", "LogStatusNotification", {"status": "Idle"})
_report("W L01 response", "SignedFirmwareStatusNotification", {"status": "Idle"})
add(
    V16,
    "W A02 response",
    "SignCertificate",
    "Accepted or Rejected",
    Errors("SignCertificate"),
    answered("SignCertificate", {"csr": "no request"}, {"status": frozenset({"Accepted", "Rejected"})}),
)
add(
    V16,
    "4.3 unknown vendor",
    "DataTransfer of an unknown vendor",
    "UnknownVendorId",
    Answers("DataTransfer", {"status": "Accepted"}),
    answered("DataTransfer", {"vendorId": "org.example.v2x-no-such-vendor"}, {"status": "UnknownVendorId"}),
)

# RPC framework of 1.6-J


def _wrong(reference: str, stimulus: str, action: str, payload: Payload, *codes: ErrorCode, mutant: Mutant) -> None:
    async def procedure(csms: CsmsUnderTest) -> None:
        await csms.station.booted()
        await csms.station.refused(action, payload, *codes)

    add(V16, f"J {reference}", stimulus, f"CALLERROR {' or '.join(codes)}", mutant, procedure)


FORM = (ErrorCode.FORMATION_VIOLATION, ErrorCode.PROTOCOL_ERROR)
_wrong(
    "4.2.3 unknown action",
    "an action that 1.6 does not have",
    "V2xNoSuchAction",
    {},
    ErrorCode.NOT_IMPLEMENTED,
    ErrorCode.NOT_SUPPORTED,
    mutant=Errors("V2xNoSuchAction", "InternalError"),
)
_wrong(
    "4.2.3 required member",
    "StatusNotification without status",
    "StatusNotification",
    {"connectorId": 1, "errorCode": "NoError"},
    *FORM,
    ErrorCode.OCCURENCE_CONSTRAINT_VIOLATION,
    mutant=Answers("StatusNotification", {}, whole=True),
)
_wrong(
    "4.2.3 type",
    "StatusNotification with a text for connectorId",
    "StatusNotification",
    STATUS | {"connectorId": "one"},
    *FORM,
    ErrorCode.TYPE_CONSTRAINT_VIOLATION,
    mutant=Answers("StatusNotification", {}, whole=True),
)
_wrong(
    "4.2.3 value",
    "StatusNotification with an unknown status",
    "StatusNotification",
    STATUS | {"status": "V2x"},
    *FORM,
    ErrorCode.PROPERTY_CONSTRAINT_VIOLATION,
    ErrorCode.TYPE_CONSTRAINT_VIOLATION,
    mutant=Answers("StatusNotification", {}, whole=True),
)


@case(
    V16, "J 4.2.3 unmatched result", "a CALLRESULT without a CALL", "the connection goes on", Errors("Heartbeat", None)
)
async def _(csms: CsmsUnderTest) -> None:
    await csms.station.booted()
    assert csms.station.peer is not None
    await csms.station.peer.send_text('[3, "v2x-no-such-call", {}]')
    await csms.station.request("Heartbeat", {})


@case(V16, "J 4.2 unreadable", "a text that is no JSON", "the connection goes on", Errors("Heartbeat", None))
async def _(csms: CsmsUnderTest) -> None:
    await csms.station.booted()
    assert csms.station.peer is not None
    await csms.station.peer.send_text("this is no JSON")
    await csms.station.request("Heartbeat", {})


# orders of the operator


@case(
    V16,
    "5.12 transaction id",
    "the operator stops a transaction",
    "RemoteStopTransaction with its id",
    Sends("RemoteStopTransaction", {"transactionId": 0}),
    OPERATOR,
)
async def _(csms: CsmsUnderTest) -> None:
    transaction = await csms.charging()
    csms.station.stimulus()
    await csms.operator.stop(csms.station.name)
    sent = await csms.station.expect("RemoteStopTransaction", within=10)
    expect(str(sent["transactionId"]) == transaction, f"transactionId {sent['transactionId']}")


async def _profiles(csms: CsmsUnderTest) -> list[tuple[int, Payload]]:
    """Order a power in a transaction, and return connector and profile of each SetChargingProfile."""
    await csms.charging()
    since = len(csms.station.recorded.messages)
    await csms.operator.power(csms.station.name, 3000.0, 60.0)
    await csms.station.recorded.wait_for(lambda: bool(csms.station.find(SET, since=since)), 15.0)
    await csms.station.clock.sleep(1)
    sent = [m for m in csms.station.recorded.messages[since:] if m.from_device and m.kind is Kind.CALL]
    found = [(m.payload["connectorId"], m.payload["csChargingProfiles"]) for m in sent if m.action == SET]
    expect(bool(found), f"no SetChargingProfile; sent: {[m.action for m in sent]}")
    for message in sent:
        expect(message.violation is None, f"{message.action} breaks its schema: {message.violation}")
    return found


SET = "SetChargingProfile"


@case(
    V16,
    "5.16.3 connector",
    "the operator orders a power in a transaction",
    "a TxProfile for connector 1",
    Sends(SET, {"connectorId": 0}, {"csChargingProfiles": {"chargingProfilePurpose": "TxProfile"}}),
    OPERATOR,
)
async def _(csms: CsmsUnderTest) -> None:
    for connector, profile in await _profiles(csms):
        of_transaction = profile["chargingProfilePurpose"] == "TxProfile"
        expect(not of_transaction or connector == 1, f"a TxProfile for connector {connector}")


@case(
    V16,
    "7.14 first period",
    "the operator orders a power in a transaction",
    "the first period starts at 0",
    Sends(
        SET,
        {"csChargingProfiles": {"chargingSchedule": {"chargingSchedulePeriod": [{"startPeriod": 5, "limit": 1.0}]}}},
    ),
    OPERATOR,
)
async def _(csms: CsmsUnderTest) -> None:
    for _, profile in await _profiles(csms):
        first = profile["chargingSchedule"]["chargingSchedulePeriod"][0]
        expect(first["startPeriod"] == 0, f"startPeriod {first['startPeriod']}")


@case(
    V16,
    "7.14 limit",
    "the operator orders 3 kW in a transaction",
    "a limit of 3 kW",
    Sends(
        SET,
        {"csChargingProfiles": {"chargingSchedule": {"chargingSchedulePeriod": [{"startPeriod": 0, "limit": 9e3}]}}},
    ),
    OPERATOR,
)
async def _(csms: CsmsUnderTest) -> None:
    limits = []
    for _, profile in await _profiles(csms):
        schedule = profile["chargingSchedule"]
        watts = 1.0 if schedule["chargingRateUnit"] == "W" else 690.0
        limits += [p["limit"] * watts for p in schedule["chargingSchedulePeriod"]]
    expect(any(2500 < limit < 3500 for limit in limits), f"limits {limits} W")
