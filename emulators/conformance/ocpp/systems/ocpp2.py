"""OCPP 2.x: what a CSMS answers and sends, and the RPC framework of part 4."""

from __future__ import annotations

import asyncio

from emulators.conformance.case import Inconclusive, expect
from emulators.conformance.ocpp import pattern
from emulators.conformance.ocpp.csms_under_test import BLOCKED, EXPIRED, GROUP, KNOWN, SECOND, UNKNOWN, CsmsUnderTest
from emulators.conformance.ocpp.declarations import V2, Declared, Procedure
from emulators.conformance.ocpp.mutants import Answers, AnswersAgain, Errors, Intrudes, Mutant
from emulators.conformance.ocpp.pattern import ABSENT, ANY
from emulators.conformance.ocpp.tester_csms import SILENT
from emulators.conformance.ocpp.tester_station import TesterStation, check_refused
from protocols.ocpp.events import Answered, TimedOut
from protocols.ocpp.schema import ErrorCode, Payload
from protocols.ocpp.times import parse

DECLARED: Declared[CsmsUnderTest] = Declared("CSMS")
case, add = DECLARED.case, DECLARED.add
TOKENS, NOT_ACCEPTED, OPERATOR = "lab.tokens", "csms.not-accepted", "lab.operator"
EVENT, SET = "TransactionEvent", "SetChargingProfile"
OK: Payload = {"status": "Accepted"}
NOW = "2026-01-01T00:00:00Z"


def answered(action: str, payload: Payload, expected: object = ANY) -> Procedure[CsmsUnderTest]:
    """Return a procedure that sends one message of a booted station and expects a response."""

    async def procedure(csms: CsmsUnderTest) -> None:
        await csms.station.booted()
        await csms.station.request(action, payload, expected)

    return procedure


# B: boot


@case(
    V2,
    "B01.FR.02",
    "BootNotification",
    "a response with status, time and interval",
    Answers("BootNotification", {"status": None}),
)
async def _(csms: CsmsUnderTest) -> None:
    await csms.station.ready()
    found = await csms.station.boot()
    at = parse(found["currentTime"])
    expect(at is not None and abs(at - csms.station.clock.wall()) < 60, f"currentTime {found['currentTime']}")


@case(
    V2,
    "B01.FR.10",
    "Heartbeat of a station that has not been accepted",
    "CALLERROR SecurityError",
    Answers("Heartbeat", {"currentTime": NOW}, whole=True),
    NOT_ACCEPTED,
)
async def _(csms: CsmsUnderTest) -> None:
    async with csms.other() as station:
        await _not_accepted(station)
        await station.refused("Heartbeat", {}, ErrorCode.SECURITY_ERROR)


async def _not_accepted(station: TesterStation) -> str:
    status = str((await station.boot())["status"])
    if status == "Accepted":
        raise Inconclusive("the CSMS accepts every station")
    return status


@case(
    V2,
    "B03.FR.03",
    "boot answered Rejected",
    "the CSMS sends nothing",
    Intrudes(
        "GetBaseReport", {"requestId": 1, "reportBase": "FullInventory"}, after="BootNotification", on_response=True
    ),
    "csms.rejects",
)
async def _(csms: CsmsUnderTest) -> None:
    async with csms.other() as station:
        if await _not_accepted(station) != "Rejected":
            raise Inconclusive("the CSMS answers an unknown station Pending")
        await station.clock.sleep(10)
        sent = [m.action for m in station.recorded.messages if m.from_device and m.kind == 2]
        expect(not sent, f"sent to a rejected station: {sent}")


@case(
    V2,
    "B02.FR.06",
    "boot answered Pending",
    "the connection stays open",
    Errors("BootNotification", None),
    "csms.pending",
)
async def _(csms: CsmsUnderTest) -> None:
    async with csms.other() as station:
        await _not_accepted(station)
        await station.clock.sleep(5)
        expect(station.peer is not None and not station.peer.closed.is_set(), "the CSMS closed the connection")
        await station.boot()


# C: authorization


def _authorize(token: str, kind: str = "ISO14443") -> Payload:
    return {"idToken": {"idToken": token, "type": kind}}


def _status(*statuses: str) -> Payload:
    return {"idTokenInfo": {"status": frozenset(statuses)}}


def _info(**change: object) -> Answers:
    return Answers("Authorize", {"idTokenInfo": change})


add(
    V2,
    "C01.FR.07",
    "Authorize of a known token",
    "Accepted",
    _info(status="Invalid"),
    answered("Authorize", _authorize(KNOWN), _status("Accepted")),
    TOKENS,
)
add(
    V2,
    "C06.FR.04",
    "Authorize of a token of type Local",
    "a status",
    Answers("Authorize", {"idTokenInfo": None}),
    answered("Authorize", _authorize(KNOWN, "Local"), {"idTokenInfo": {"status": ANY}}),
)
add(
    V2,
    "C01.FR.06",
    "Authorize of a token of a group",
    "groupIdToken",
    _info(groupIdToken=None),
    answered("Authorize", _authorize(KNOWN), {"idTokenInfo": {"groupIdToken": {"idToken": GROUP}}}),
    TOKENS,
)
add(
    V2,
    "C09.FR.02",
    "Authorize of two tokens of a group",
    "the same groupIdToken",
    Answers("Authorize", {"idTokenInfo": {"groupIdToken": {"idToken": "OTHER"}}}, {"idToken": {"idToken": SECOND}}),
    answered("Authorize", _authorize(SECOND), {"idTokenInfo": {"groupIdToken": {"idToken": GROUP}}}),
    TOKENS,
)
add(
    V2,
    "C09.FR.13",
    "Authorize of a token of a group",
    "the group's type is Central",
    Answers("Authorize", {"idTokenInfo": {"groupIdToken": {"type": "ISO14443"}}}),
    answered("Authorize", _authorize(KNOWN), {"idTokenInfo": {"groupIdToken": {"type": "Central"}}}),
    TOKENS,
)
add(
    V2,
    "C04.FR.01",
    "Authorize of an unknown key code",
    "Invalid or Unknown",
    _info(status="Accepted"),
    answered("Authorize", _authorize("000000", "KeyCode"), _status("Invalid", "Unknown")),
    TOKENS,
)
add(
    V2,
    "C01 AuthorizeResponse unknown",
    "Authorize of an unknown token",
    "Invalid or Unknown",
    _info(status="Accepted"),
    answered("Authorize", _authorize(UNKNOWN), _status("Invalid", "Unknown")),
    TOKENS,
)
add(
    V2,
    "C09.FR.10",
    "Authorize of a blocked token",
    "Blocked",
    _info(status="Accepted"),
    answered("Authorize", _authorize(BLOCKED), _status("Blocked")),
    TOKENS,
)
add(
    V2,
    "C01 AuthorizeResponse expired",
    "Authorize of a token that has expired",
    "Expired",
    _info(status="Accepted"),
    answered("Authorize", _authorize(EXPIRED), _status("Expired")),
    TOKENS,
)
add(
    V2,
    "C01.FR.25",
    "Authorize of a known token in lower case",
    "the same status as in upper case",
    Answers("Authorize", {"idTokenInfo": {"status": "Invalid"}}, {"idToken": {"idToken": KNOWN.lower()}}),
    answered("Authorize", _authorize(KNOWN.lower()), _status("Accepted")),
    TOKENS,
)


def _expects(expected: object, token: str | None, **more: object) -> Procedure[CsmsUnderTest]:
    """Return a procedure that starts a transaction and expects a response to TransactionEvent."""

    async def procedure(csms: CsmsUnderTest) -> None:
        await csms.station.booted()
        found = await csms.station.event("Started", 0, csms.station.new_transaction(), token, **more)
        expect(pattern.matches(found, expected), f"TransactionEvent: {found}")

    return procedure


FREE: Payload = {"idToken": "", "type": "NoAuthorization"}
add(
    V2,
    "C02.FR.02",
    "TransactionEvent with a token of type NoAuthorization",
    "Accepted",
    Answers(EVENT, {"idTokenInfo": {"status": "Invalid"}}),
    _expects(_status("Accepted"), None, idToken=FREE),
)
add(
    V2,
    "E01.FR.11",
    "TransactionEvent with a blocked token",
    "its status is not Accepted",
    Answers(EVENT, {"idTokenInfo": {"status": "Accepted"}}),
    _expects(_status("Blocked"), BLOCKED),
    TOKENS,
)
add(
    V2,
    "E01.FR.12",
    "TransactionEvent with a token",
    "idTokenInfo",
    Answers(EVENT, {"idTokenInfo": None}),
    _expects({"idTokenInfo": {"status": ANY}}, KNOWN),
)
add(
    V2,
    "C09.FR.12",
    "TransactionEvent with a token of a group",
    "groupIdToken",
    Answers(EVENT, {"idTokenInfo": {"groupIdToken": None}}),
    _expects({"idTokenInfo": {"groupIdToken": {"idToken": GROUP}}}, KNOWN),
    TOKENS,
)
add(
    V2,
    "E05.FR.01",
    "TransactionEvent with an unknown token",
    "its status is not Accepted",
    Answers(EVENT, {"idTokenInfo": {"status": "Accepted"}}),
    _expects(_status("Invalid", "Unknown"), UNKNOWN),
    TOKENS,
)
add(
    V2,
    "C12.FR.03",
    "TransactionEvent with a token that has expired",
    "Expired",
    Answers(EVENT, {"idTokenInfo": {"status": "Accepted"}}),
    _expects(_status("Expired"), EXPIRED),
    TOKENS,
)
add(
    V2,
    "J02.FR.19",
    "TransactionEvent without a token",
    "a response",
    Errors(EVENT),
    _expects({"idTokenInfo": ABSENT}, None),
)


@case(
    V2,
    "E04 TransactionEventResponse",
    "events of a transaction while offline, sent later",
    "each is answered",
    Errors(EVENT),
)
async def _(csms: CsmsUnderTest) -> None:
    await csms.station.booted()
    number = csms.station.new_transaction()
    late = csms.station.time(-3600)
    await csms.station.event("Started", 0, number, KNOWN, timestamp=late, offline=True)
    await csms.station.event("Ended", 1, number, timestamp=late, offline=True)


@case(
    V2,
    "E13 TransactionEventResponse",
    "a TransactionEvent is sent again",
    "it is answered as the first time",
    AnswersAgain(EVENT, {"idTokenInfo": {"status": "ConcurrentTx"}}),
    TOKENS,
)
async def _(csms: CsmsUnderTest) -> None:
    await csms.station.booted()
    number, at = csms.station.new_transaction(), csms.station.time()
    first = await csms.station.event("Started", 0, number, KNOWN, timestamp=at)
    again = await csms.station.event("Started", 0, number, KNOWN, timestamp=at)
    same = first.get("idTokenInfo", {}).get("status") == again.get("idTokenInfo", {}).get("status") == "Accepted"
    expect(same, f"answered {again} the second time")


async def _heartbeat(csms: CsmsUnderTest) -> None:
    await csms.station.booted()
    found = await csms.station.request("Heartbeat", {})
    at = parse(found["currentTime"])
    expect(at is not None and abs(at - csms.station.clock.wall()) < 60, f"currentTime {found['currentTime']}")


# messages that are answered
STATUS: Payload = {"timestamp": NOW, "connectorStatus": "Available", "evseId": 1, "connectorId": 1}
SAMPLES = [{"timestamp": NOW, "sampledValue": [{"value": 1.0}]}]
MONITOR: Payload = {
    "eventId": 1,
    "timestamp": NOW,
    "trigger": "Delta",
    "actualValue": "Occupied",
    "component": {"name": "Connector"},
    "eventNotificationType": "HardWiredNotification",
    "variable": {"name": "AvailabilityState"},
}
HASHES: Payload = {
    "hashAlgorithm": "SHA256",
    "issuerNameHash": "00",
    "issuerKeyHash": "00",
    "serialNumber": "1",
    "responderURL": "http://127.0.0.1:9/ocsp",
}
LIMIT: Payload = {"chargingLimit": {"chargingLimitSource": "EMS"}, "evseId": 1}
EV_SCHEDULE: Payload = {
    "timeBase": NOW,
    "evseId": 1,
    "chargingSchedule": {
        "id": 1,
        "chargingRateUnit": "W",
        "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 1000.0}],
    },
}


def _report(reference: str, action: str, payload: Payload, expectation: str = "a response") -> None:
    add(V2, reference, action, expectation, Errors(action), answered(action, payload))


_report("G01 StatusNotificationResponse", "StatusNotification", STATUS)
_report("J01.FR.18", "MeterValues", {"evseId": 1, "meterValue": SAMPLES})
_report("A04.FR.03", "SecurityEventNotification", {"type": "StartupOfTheDevice", "timestamp": NOW})
_report("L01 FirmwareStatusNotificationResponse", "FirmwareStatusNotification", {"status": "Idle"})
_report("N01 LogStatusNotificationResponse", "LogStatusNotification", {"status": "Idle"})
_report("N07 NotifyEventResponse", "NotifyEvent", {"generatedAt": NOW, "seqNo": 0, "eventData": [MONITOR]})
_report(
    "N02 NotifyMonitoringReportResponse", "NotifyMonitoringReport", {"requestId": 1, "seqNo": 0, "generatedAt": NOW}
)
_report("B07 NotifyReportResponse", "NotifyReport", {"requestId": 1, "seqNo": 0, "generatedAt": NOW})
_report(
    "N09 NotifyCustomerInformationResponse",
    "NotifyCustomerInformation",
    {"requestId": 1, "seqNo": 0, "generatedAt": NOW, "data": "none"},
)
_report("O03 NotifyDisplayMessagesResponse", "NotifyDisplayMessages", {"requestId": 1})
_report(
    "H04 ReservationStatusUpdateResponse",
    "ReservationStatusUpdate",
    {"reservationId": 1, "reservationUpdateStatus": "Expired"},
)
_report("K12 NotifyChargingLimitResponse", "NotifyChargingLimit", LIMIT)
_report("K13 ClearedChargingLimitResponse", "ClearedChargingLimit", {"chargingLimitSource": "EMS", "evseId": 1})
_report(
    "K09 ReportChargingProfilesResponse",
    "ReportChargingProfiles",
    {
        "requestId": 1,
        "chargingLimitSource": "CSO",
        "evseId": 1,
        "chargingProfile": [
            {
                "id": 1,
                "stackLevel": 0,
                "chargingProfilePurpose": "TxDefaultProfile",
                "chargingProfileKind": "Relative",
                "chargingSchedule": [
                    {"id": 1, "chargingRateUnit": "W", "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 1.0}]}
                ],
            }
        ],
    },
)
add(
    V2,
    "G02.FR.03",
    "Heartbeat",
    "the present time",
    Answers("Heartbeat", {"currentTime": "2020-01-01T00:00:00Z"}),
    _heartbeat,
)
add(
    V2,
    "A02.FR.11",
    "SignCertificate",
    "Accepted or Rejected",
    Errors("SignCertificate"),
    answered("SignCertificate", {"csr": "no request"}, {"status": frozenset({"Accepted", "Rejected"})}),
)
add(
    V2,
    "M06.FR.04",
    "GetCertificateStatus that cannot be retrieved",
    "Failed",
    Answers("GetCertificateStatus", OK | {"ocspResult": "AA"}, whole=True),
    answered("GetCertificateStatus", {"ocspRequestData": HASHES}, {"status": "Failed"}),
    "csms.ocsp",
)
add(
    V2,
    "P02.FR.06",
    "DataTransfer of an unknown vendor",
    "UnknownVendorId",
    Answers("DataTransfer", OK),
    answered("DataTransfer", {"vendorId": "org.example.v2x-no-such-vendor"}, {"status": "UnknownVendorId"}),
)
add(
    V2,
    "K15.FR.11",
    "NotifyEVChargingSchedule",
    "Accepted or Rejected",
    Errors("NotifyEVChargingSchedule"),
    answered("NotifyEVChargingSchedule", EV_SCHEDULE, {"status": frozenset({"Accepted", "Rejected"})}),
)
FIRST_NEEDS: Payload = {
    "evseId": 1,
    "chargingNeeds": {
        "requestedEnergyTransfer": "DC",
        "dcChargingParameters": {"evMaxCurrent": 100, "evMaxVoltage": 500},
    },
}


@case(
    V2,
    "K15.FR.02",
    "NotifyEVChargingNeeds",
    "Accepted, Rejected, Processing or NoChargingProfile",
    Errors("NotifyEVChargingNeeds"),
)
async def _(csms: CsmsUnderTest) -> None:
    await csms.station.booted()
    await csms.station.event("Started", 0, csms.station.new_transaction(), KNOWN)
    await csms.station.request("NotifyEVChargingNeeds", FIRST_NEEDS, {"status": ANY})


# RPC framework (part 4)


def _wrong(reference: str, stimulus: str, action: str, payload: object, *codes: ErrorCode, mutant: Mutant) -> None:
    async def procedure(csms: CsmsUnderTest) -> None:
        await csms.station.booted()
        await csms.station.refused(action, payload, *codes)

    add(V2, f"RPC {reference}", stimulus, f"CALLERROR {' or '.join(codes)}", mutant, procedure)


FORM = (ErrorCode.FORMAT_VIOLATION,)
_wrong(
    "4.3 unknown action",
    "an action that OCPP does not have",
    "V2xNoSuchAction",
    {},
    ErrorCode.NOT_IMPLEMENTED,
    mutant=Errors("V2xNoSuchAction", "InternalError"),
)
_wrong(
    "4.3 required member",
    "StatusNotification without connectorStatus",
    "StatusNotification",
    {k: v for k, v in STATUS.items() if k != "connectorStatus"},
    *FORM,
    ErrorCode.OCCURRENCE_CONSTRAINT_VIOLATION,
    ErrorCode.PROTOCOL_ERROR,
    mutant=Answers("StatusNotification", {}, whole=True),
)
_wrong(
    "4.3 type",
    "StatusNotification with a text for evseId",
    "StatusNotification",
    STATUS | {"evseId": "one"},
    *FORM,
    ErrorCode.TYPE_CONSTRAINT_VIOLATION,
    mutant=Answers("StatusNotification", {}, whole=True),
)
_wrong(
    "4.3 value",
    "StatusNotification with an unknown connectorStatus",
    "StatusNotification",
    STATUS | {"connectorStatus": "V2x"},
    *FORM,
    ErrorCode.PROPERTY_CONSTRAINT_VIOLATION,
    mutant=Answers("StatusNotification", {}, whole=True),
)
_wrong(
    "4.3 additional member",
    "Heartbeat with a member that it does not have",
    "Heartbeat",
    {"v2x": 1},
    *FORM,
    ErrorCode.OCCURRENCE_CONSTRAINT_VIOLATION,
    ErrorCode.PROPERTY_CONSTRAINT_VIOLATION,
    ErrorCode.PROTOCOL_ERROR,
    mutant=Answers("Heartbeat", {"currentTime": NOW}, whole=True),
)
_wrong(
    "4.3 length",
    "SecurityEventNotification with a type of 200 characters",
    "SecurityEventNotification",
    {"type": "x" * 200, "timestamp": NOW},
    *FORM,
    ErrorCode.PROPERTY_CONSTRAINT_VIOLATION,
    mutant=Answers("SecurityEventNotification", {}, whole=True),
)
_wrong(
    "4.2.1 payload",
    "a CALL whose payload is a list",
    "Heartbeat",
    [],
    *FORM,
    ErrorCode.RPC_FRAMEWORK_ERROR,
    ErrorCode.TYPE_CONSTRAINT_VIOLATION,
    mutant=Errors("", "GenericError", refusals=True),
)


@case(
    V2,
    "RPC 4.2.3 unreadable",
    "a text that is no JSON",
    "CALLERROR with the id -1, or none, and the connection goes on",
    Errors("Heartbeat", None),
)
async def _(csms: CsmsUnderTest) -> None:
    await csms.station.booted()
    assert csms.station.peer is not None
    await csms.station.peer.frame("-1", "", "this is no JSON", within=5)
    await csms.station.request("Heartbeat", {})


@case(
    V2, "RPC 4.2.3 unmatched result", "a CALLRESULT without a CALL", "the connection goes on", Errors("Heartbeat", None)
)
async def _(csms: CsmsUnderTest) -> None:
    await csms.station.booted()
    assert csms.station.peer is not None
    await csms.station.peer.send_text('[3, "v2x-no-such-call", {}]')
    await csms.station.request("Heartbeat", {})


@case(
    V2,
    "RPC 4.2.2 message id",
    "a CALL with a message id of 36 characters",
    "a CALLRESULT with the same id",
    Errors("Heartbeat", "InternalError", mid="other"),
)
async def _(csms: CsmsUnderTest) -> None:
    await csms.station.booted()
    assert csms.station.peer is not None
    mid = "v" * 36
    reply = await csms.station.peer.call("Heartbeat", {}, within=10, mid=mid)
    expect(isinstance(reply, Answered), f"no CALLRESULT with the id of the CALL: {reply}")


@case(
    V2,
    "RPC 4.2 message type",
    "a message of the unknown type 9",
    "MessageTypeNotSupported or none, and it goes on",
    Errors("Heartbeat", None),
)
async def _(csms: CsmsUnderTest) -> None:
    await csms.station.booted()
    assert csms.station.peer is not None
    reply = await csms.station.peer.frame("v2x-9", "", '[9, "v2x-9", "Heartbeat", {}]', within=5)
    if not isinstance(reply, TimedOut):
        check_refused("type 9", reply, ErrorCode.MESSAGE_TYPE_NOT_SUPPORTED, ErrorCode.RPC_FRAMEWORK_ERROR)
    await csms.station.request("Heartbeat", {})


@case(
    V2,
    "RPC 4.1.1 one call",
    "a request of the CSMS is not answered",
    "no other one meanwhile",
    Intrudes("GetVariables", {"getVariableData": [{"component": {"name": "A"}, "variable": {"name": "B"}}]}, after=SET),
    OPERATOR,
)
async def _(csms: CsmsUnderTest) -> None:
    await csms.charging()
    await csms.station.clock.sleep(3)
    _silence(csms.station)
    csms.station.stimulus()
    await _order_without_answer(csms)
    sent = [m for m in csms.station.recorded.messages[csms.station.recorded.mark :] if m.from_device and m.kind == 2]
    expect(len(sent) <= 1, f"{len(sent)} requests without an answer: {[m.action for m in sent]}")


def _silence(station: TesterStation) -> None:
    for action in (SET, "UpdateDynamicSchedule", "GetVariables"):
        station.answers[action] = SILENT


async def _order_without_answer(csms: CsmsUnderTest) -> None:
    order = asyncio.ensure_future(csms.operator.power(csms.station.name, 3000.0, 60.0))
    await csms.station.clock.sleep(5)
    order.cancel()
    await asyncio.gather(order, return_exceptions=True)
