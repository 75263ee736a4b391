"""The certification test cases of OCPP 2.0.1 part 6 that are mandatory for a CSMS, as tables: what the operator sends
and what the station answers. Ids are the specification's; wording and values are ours.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

Payload = dict[str, Any]
TOKEN = {"idToken": "VALID", "type": "ISO14443"}
FUTURE = "2030-01-01T00:00:00.000Z"
OK: Payload = {"status": "Accepted"}
FIRMWARE: Payload = {
    "requestId": 1,
    "firmware": {
        "location": "https://example.org/fw",
        "retrieveDateTime": "2026-01-01T00:00:00.000Z",
        "signingCertificate": "cert",
        "signature": "c2ln",
    },
}
VARIABLE = {"component": {"name": "OCPPCommCtrlr"}, "variable": {"name": "OfflineThreshold"}}
LATER = {"component": {"name": "OCPPCommCtrlr"}, "variable": {"name": "HeartbeatInterval"}}


@dataclass(frozen=True)
class Sent:
    """A call of an operator, the station's response, and the messages that it sends afterwards."""

    action: str
    payload: Payload
    answer: Payload
    reports: tuple[tuple[str, Payload], ...] = ()


def profile(number: int = 1, purpose: str = "TxDefaultProfile", **more: Any) -> Payload:
    schedule = {"id": 1, "chargingRateUnit": "W", "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 6000.0}]}
    about = {"id": number, "stackLevel": 0, "chargingProfilePurpose": purpose, "chargingProfileKind": "Absolute"}
    return {**about, "chargingSchedule": [{"startSchedule": FUTURE, **schedule}], **more}


def charging(evse: int, **more: Any) -> Payload:
    return {"evseId": evse, "chargingProfile": profile(**more)}


def wanted(**criterion: Any) -> Payload:
    evse = {"evseId": criterion.pop("evse")} if "evse" in criterion else {}
    return {"requestId": 7, **evse, "chargingProfile": criterion}


def reported(evse: int = 1) -> tuple[str, Payload]:
    body = {"requestId": 7, "chargingLimitSource": "CSO", "evseId": evse, "chargingProfile": [profile()]}
    return "ReportChargingProfiles", body


def firmware(*statuses: str) -> tuple[tuple[str, Payload], ...]:
    return tuple(("FirmwareStatusNotification", {"status": status, "requestId": 1}) for status in statuses)


def log(*statuses: str) -> tuple[tuple[str, Payload], ...]:
    return tuple(("LogStatusNotification", {"status": status, "requestId": 1}) for status in statuses)


def available(kind: str, evse: int | None = None, connector: int | None = None) -> Sent:
    place = {} if evse is None else {"evse": {"id": evse, **({} if connector is None else {"connectorId": connector})}}
    return Sent("ChangeAvailability", {"operationalStatus": kind, **place}, OK)


def network(status: str) -> Sent:
    data = {
        "ocppVersion": "OCPP20",
        "ocppTransport": "JSON",
        "ocppCsmsUrl": "ws://example.org/ocpp",
        "messageTimeout": 30,
        "securityProfile": 0,
        "ocppInterface": "Wired0",
    }
    return Sent("SetNetworkProfile", {"configurationSlot": 1, "connectionData": data}, {"status": status})


def local_list(version: int, kind: str, tokens: list[Payload] | None, status: str = "Accepted") -> Sent:
    body: Payload = {"versionNumber": version, "updateType": kind}
    if tokens is not None:
        body["localAuthorizationList"] = tokens
    return Sent("SendLocalList", body, {"status": status})


def triggered(requested: str, evse: int | None = None, reports: tuple[tuple[str, Payload], ...] = ()) -> Sent:
    place = {} if evse is None else {"evse": {"id": evse}}
    return Sent("TriggerMessage", {"requestedMessage": requested, **place}, OK, reports)


def report(request: int = 3) -> tuple[str, Payload]:
    entry = {**VARIABLE, "variableAttribute": [{"value": "60"}]}
    body = {"requestId": request, "generatedAt": FUTURE, "seqNo": 0, "reportData": [entry]}
    return "NotifyReport", body


def monitors(request: int = 3) -> tuple[str, Payload]:
    monitor = {"id": 1, "transaction": False, "value": 1.0, "type": "UpperThreshold", "severity": 5}
    entry = {**VARIABLE, "variableMonitoring": [monitor]}
    return "NotifyMonitoringReport", {"requestId": request, "generatedAt": FUTURE, "seqNo": 0, "monitor": [entry]}


def monitoring(*values: float, status: str = "Accepted") -> Sent:
    wanted_ = [{"value": value, "type": "UpperThreshold", "severity": 5, **VARIABLE} for value in values]
    result = [{"status": status, "type": "UpperThreshold", "severity": 5, **VARIABLE} for _ in values]
    return Sent("SetVariableMonitoring", {"setMonitoringData": wanted_}, {"setMonitoringResult": result})


def event(
    trigger: str = "Delta", component: str = "Connector", variable: str = "AvailabilityState"
) -> tuple[str, Payload]:
    data = {
        "eventId": 1,
        "timestamp": FUTURE,
        "trigger": trigger,
        "actualValue": "true",
        "eventNotificationType": "HardWiredNotification",
        "component": {"name": component, "evse": {"id": 1, "connectorId": 1}},
        "variable": {"name": variable},
    }
    return "NotifyEvent", {"generatedAt": FUTURE, "seqNo": 0, "eventData": [data]}


def customer(report_: bool, clear: bool, status: str = "Accepted", reports: int = 0) -> Sent:
    body = {"requestId": 5, "report": report_, "clear": clear, "idToken": TOKEN}
    after = ("NotifyCustomerInformation", {"data": "x", "seqNo": 0, "generatedAt": FUTURE, "requestId": 5})
    return Sent("CustomerInformation", body, {"status": status}, (after,) * reports)


def reserve(number: int = 1, status: str = "Accepted", **more: Any) -> Sent:
    body = {"id": number, "expiryDateTime": FUTURE, "idToken": TOKEN, **more}
    return Sent("ReserveNow", body, {"status": status})


def remote_start(**more: Any) -> Sent:
    return Sent("RequestStartTransaction", {"idToken": TOKEN, "remoteStartId": 9, **more}, OK)


def install(kind: str, status: str = "Accepted") -> Sent:
    return Sent("InstallCertificate", {"certificateType": kind, "certificate": "pem"}, {"status": status})


HASHES = {"hashAlgorithm": "SHA256", "issuerNameHash": "a", "issuerKeyHash": "b", "serialNumber": "1"}


def installed(*kinds: str, status: str = "Accepted") -> Sent:
    chain = [{"certificateType": kind, "certificateHashData": HASHES} for kind in kinds]
    answer: Payload = {"status": status} if not chain else {"status": status, "certificateHashDataChain": chain}
    return Sent("GetInstalledCertificateIds", {"certificateType": list(kinds)} if kinds else {}, answer)


def reset(kind: str, status: str = "Accepted", **more: Any) -> Sent:
    return Sent("Reset", {"type": kind, **more}, {"status": status})


def read(*variables: Payload) -> Sent:
    found = [{"attributeStatus": "Accepted", "attributeValue": "1", **one} for one in variables]
    return Sent("GetVariables", {"getVariableData": list(variables)}, {"getVariableResult": found})


def write(*variables: Payload) -> Sent:
    data = [{"attributeValue": "1", **one} for one in variables]
    done = [{"attributeStatus": "Accepted", **one} for one in variables]
    return Sent("SetVariables", {"setVariableData": data}, {"setVariableResult": done})


def get_log(kind: str, *statuses: str, answer: str = "Accepted") -> Sent:
    body = {"logType": kind, "requestId": 1, "log": {"remoteLocation": "https://example.org/logs"}}
    return Sent("GetLog", body, {"status": answer, "filename": "x"}, log(*statuses))


INSTALL = ("Downloading", "Downloaded", "SignatureVerified", "Installing", "Installed")
ENTRY = {"idToken": TOKEN, "idTokenInfo": {"status": "Accepted"}}
COMPOSITE: Payload = {
    "status": "Accepted",
    "schedule": {
        "evseId": 1,
        "duration": 300,
        "scheduleStart": FUTURE,
        "chargingRateUnit": "W",
        "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 0.0}],
    },
}
NOT_SUPPORTED: Payload = {"status": "NotSupported"}
BASE = {"requestId": 3, "reportBase": "SummaryInventory"}
RECURRING = {
    "chargingProfileKind": "Recurring",
    "recurrencyKind": "Daily",
}

OPERATOR: dict[str, tuple[Sent, ...]] = {
    # Core
    "B_06": (read(VARIABLE),),
    "B_07": (read(VARIABLE, LATER),),
    "B_09": (write(VARIABLE),),
    "B_10": (write(VARIABLE, LATER),),
    "B_12": (Sent("GetBaseReport", {**BASE, "reportBase": "ConfigurationInventory"}, OK, (report(),)),),
    "B_13": (Sent("GetBaseReport", {**BASE, "reportBase": "FullInventory"}, OK, (report(),)),),
    "B_14": (Sent("GetBaseReport", BASE, OK, (report(),)),),
    "B_18": (
        Sent("GetReport", {"requestId": 3, "componentVariable": [VARIABLE]}, OK, (report(),)),
        Sent("GetReport", {"requestId": 3, "componentCriteria": ["Problem"]}, {"status": "EmptyResultSet"}),
    ),
    "B_20": (reset("OnIdle"),),
    "B_21": (reset("OnIdle", "Scheduled"),),
    "B_22": (reset("Immediate"),),
    "B_25": (reset("OnIdle", evseId=1),),
    "B_26": (reset("OnIdle", "Scheduled", evseId=1),),
    "B_27": (reset("Immediate", evseId=1),),
    "B_42": (network("Accepted"),),
    "B_44": (network("Failed"),),
    "C_37": (Sent("ClearCache", {}, OK),),
    "C_38": (Sent("ClearCache", {}, {"status": "Rejected"}),),
    "E_29": (
        Sent("GetTransactionStatus", {"transactionId": "t"}, {"ongoingIndicator": True, "messagesInQueue": True}),
    ),
    "E_30": (
        Sent("GetTransactionStatus", {"transactionId": "t"}, {"ongoingIndicator": True, "messagesInQueue": False}),
    ),
    "E_31": (
        Sent("GetTransactionStatus", {"transactionId": "t"}, {"ongoingIndicator": False, "messagesInQueue": True}),
    ),
    "E_33": (Sent("GetTransactionStatus", {}, {"messagesInQueue": True}),),
    "E_34": (Sent("GetTransactionStatus", {}, {"messagesInQueue": False}),),
    "E_21": (Sent("RequestStopTransaction", {"transactionId": "t"}, OK),),
    "F_01": (remote_start(evseId=1),),
    "F_02": (remote_start(evseId=1),),
    "F_03": (remote_start(evseId=1),),
    "F_04": (remote_start(evseId=1),),
    "F_06": (Sent("UnlockConnector", {"evseId": 1, "connectorId": 1}, {"status": "Unlocked"}),),
    "F_11": (triggered("MeterValues", 1),),
    "F_12": (triggered("MeterValues"),),
    "F_13": (triggered("TransactionEvent", 1),),
    "F_14": (triggered("TransactionEvent"),),
    "F_15": (triggered("LogStatusNotification", None, (("LogStatusNotification", {"status": "Idle"}),)),),
    "F_18": (triggered("FirmwareStatusNotification", None, (("FirmwareStatusNotification", {"status": "Idle"}),)),),
    "F_20": (triggered("Heartbeat", None, (("Heartbeat", {}),)),),
    "F_23": (triggered("StatusNotification", 1),),
    "F_24": (triggered("StatusNotification", 1),),
    "F_27": (Sent("TriggerMessage", {"requestedMessage": "Heartbeat"}, {"status": "NotImplemented"}),),
    "G_03": (available("Inoperative", 1),),
    "G_04": (available("Operative", 1),),
    "G_05": (available("Inoperative"),),
    "G_06": (available("Operative"),),
    "G_07": (available("Inoperative", 1, 1),),
    "G_08": (available("Operative", 1, 1),),
    "G_11": (
        Sent("ChangeAvailability", {"operationalStatus": "Inoperative", "evse": {"id": 1}}, {"status": "Scheduled"}),
    ),
    "G_14": (Sent("ChangeAvailability", {"operationalStatus": "Inoperative"}, {"status": "Scheduled"}),),
    "G_17": (
        Sent(
            "ChangeAvailability",
            {"operationalStatus": "Inoperative", "evse": {"id": 1, "connectorId": 1}},
            {"status": "Scheduled"},
        ),
    ),
    "L_01": (Sent("UpdateFirmware", FIRMWARE, OK, firmware(*INSTALL)),),
    "L_02": (Sent("UpdateFirmware", FIRMWARE, OK, firmware("Downloading", "Downloaded", "InstallScheduled")),),
    "L_03": (Sent("UpdateFirmware", FIRMWARE, OK, firmware("DownloadScheduled", *INSTALL)),),
    "L_04": (Sent("UpdateFirmware", FIRMWARE, {"status": "RevokedCertificate"}),),
    "L_05": (Sent("UpdateFirmware", FIRMWARE, {"status": "InvalidCertificate"}),),
    "L_06": (Sent("UpdateFirmware", FIRMWARE, OK, firmware("Downloading", "Downloaded", "InvalidSignature")),),
    "L_07": (Sent("UpdateFirmware", FIRMWARE, OK, firmware("Downloading", "DownloadFailed")),),
    "L_08": (Sent("UpdateFirmware", FIRMWARE, OK, firmware(*INSTALL[:4], "InstallVerificationFailed")),),
    "L_09": (Sent("UpdateFirmware", FIRMWARE, OK, firmware(*INSTALL[:4], "InstallationFailed")),),
    "L_10": (
        Sent("UpdateFirmware", FIRMWARE, OK, firmware("Downloading")),
        Sent("UpdateFirmware", {**FIRMWARE, "requestId": 2}, {"status": "AcceptedCanceled"}, firmware(*INSTALL)),
    ),
    "L_11": (Sent("UpdateFirmware", FIRMWARE, {"status": "Rejected"}),),
    "L_13": (Sent("UpdateFirmware", FIRMWARE, OK, firmware("DownloadScheduled")),),
    "M_01": (install("CSMSRootCertificate"),),
    "M_02": (install("ManufacturerRootCertificate"),),
    "M_05": (install("CSMSRootCertificate", "Failed"),),
    "M_12": (installed("CSMSRootCertificate"),),
    "M_13": (installed("ManufacturerRootCertificate"),),
    "M_17": (installed("CSMSRootCertificate", "ManufacturerRootCertificate"),),
    "M_18": (installed(),),
    "M_19": (installed(status="NotFound"),),
    "M_20": (Sent("DeleteCertificate", {"certificateHashData": HASHES}, OK),),
    "M_21": (Sent("DeleteCertificate", {"certificateHashData": HASHES}, {"status": "Failed"}),),
    "N_25": (get_log("DiagnosticsLog", "Uploading", "Uploaded"),),
    "N_27": (customer(True, False, reports=1),),
    "N_28": (customer(True, False, reports=1),),
    "N_29": (customer(True, False, "Rejected"),),
    "N_30": (customer(True, True, reports=2),),
    "N_31": (customer(True, True, reports=1),),
    "N_32": (customer(False, True),),
    "N_34": (get_log("DiagnosticsLog", answer="Rejected"),),
    "N_35": (get_log("SecurityLog", "Uploading", "Uploaded"),),
    "N_36": (
        get_log("DiagnosticsLog", "Uploading"),
        get_log("DiagnosticsLog", "AcceptedCanceled", "Uploading", "Uploaded", answer="AcceptedCanceled"),
    ),
    "N_62": (customer(True, True, reports=1),),
    # Local Authorization List Management
    "D_01": (local_list(2, "Full", [ENTRY]),),
    "D_02": (local_list(3, "Differential", [ENTRY]),),
    "D_03": (local_list(4, "Differential", [{"idToken": TOKEN}]),),
    "D_04": (local_list(5, "Full", None),),
    "D_08": (Sent("GetLocalListVersion", {}, {"versionNumber": 5}),),
    "D_09": (Sent("GetLocalListVersion", {}, {"versionNumber": 0}),),
    "N_46": (customer(True, True, reports=1), local_list(6, "Differential", [ENTRY])),
    # Smart Charging
    "K_01": (Sent("SetChargingProfile", charging(1), OK),),
    "K_02": (Sent("SetChargingProfile", charging(1, purpose="TxProfile"), {"status": "Rejected"}),),
    "K_03": (Sent("SetChargingProfile", charging(0, purpose="ChargingStationMaxProfile"), OK),),
    "K_04": (Sent("SetChargingProfile", charging(1), OK), Sent("SetChargingProfile", charging(1, stackLevel=0), OK)),
    "K_05": (Sent("ClearChargingProfile", {"chargingProfileId": 1}, OK),),
    "K_06": (
        Sent(
            "ClearChargingProfile",
            {"chargingProfileCriteria": {"chargingProfilePurpose": "TxDefaultProfile", "stackLevel": 0}},
            OK,
        ),
    ),
    "K_08": (Sent("ClearChargingProfile", {"chargingProfileId": 9}, {"status": "Unknown"}),),
    "K_10": (Sent("SetChargingProfile", charging(0), OK),),
    "K_15": (Sent("SetChargingProfile", charging(1), {"status": "Rejected"}),),
    "K_19": (Sent("SetChargingProfile", charging(1, **RECURRING), OK),),
    "K_29": (Sent("GetChargingProfiles", wanted(evse=0, chargingProfilePurpose="TxProfile"), OK, (reported(0),)),),
    "K_30": (Sent("GetChargingProfiles", wanted(evse=1, chargingProfilePurpose="TxProfile"), OK, (reported(),)),),
    "K_31": (Sent("GetChargingProfiles", wanted(chargingProfilePurpose="TxProfile"), OK, (reported(),)),),
    "K_32": (Sent("GetChargingProfiles", wanted(chargingProfileId=[1]), OK, (reported(),)),),
    "K_33": (Sent("GetChargingProfiles", wanted(evse=1, stackLevel=0), OK, (reported(),)),),
    "K_34": (Sent("GetChargingProfiles", wanted(evse=1, chargingLimitSource=["CSO"]), OK, (reported(),)),),
    "K_35": (Sent("GetChargingProfiles", wanted(evse=1, chargingProfilePurpose="TxProfile"), OK, (reported(),)),),
    "K_36": (
        Sent(
            "GetChargingProfiles", wanted(evse=1, chargingProfilePurpose="TxProfile", stackLevel=0), OK, (reported(),)
        ),
    ),
    "K_37": (remote_start(evseId=1, chargingProfile=profile(purpose="TxProfile")),),
    "K_43": (Sent("GetCompositeSchedule", {"duration": 300, "evseId": 1}, COMPOSITE),),
    "K_44": (Sent("GetCompositeSchedule", {"duration": 300, "evseId": 0, "chargingRateUnit": "A"}, COMPOSITE),),
    "K_60": (Sent("SetChargingProfile", charging(1, purpose="TxProfile", transactionId="t"), OK),),
    "K_70": (
        Sent("SetChargingProfile", charging(1), OK),
        Sent("SetChargingProfile", charging(1, number=2, stackLevel=1), OK),
    ),
    # Advanced Device Management
    "N_01": (
        Sent(
            "GetMonitoringReport",
            {"requestId": 3, "monitoringCriteria": ["DeltaMonitoring"]},
            {"status": "EmptyResultSet"},
        ),
        Sent("GetMonitoringReport", {"requestId": 3, "monitoringCriteria": ["ThresholdMonitoring"]}, OK, (monitors(),)),
    ),
    "N_02": (Sent("GetMonitoringReport", {"requestId": 3, "componentVariable": [VARIABLE]}, OK, (monitors(),)),),
    "N_03": (
        Sent(
            "GetMonitoringReport",
            {"requestId": 3, "monitoringCriteria": ["ThresholdMonitoring"], "componentVariable": [VARIABLE]},
            OK,
            (monitors(),),
        ),
    ),
    "N_05": (Sent("SetMonitoringBase", {"monitoringBase": "All"}, OK),),
    "N_08": (monitoring(70.0),),
    "N_09": (monitoring(70.0, 80.0),),
    "N_16": (Sent("SetMonitoringLevel", {"severity": 4}, OK),),
    "N_17": (Sent("SetMonitoringLevel", {"severity": 9}, {"status": "Rejected"}),),
    "N_18": (
        Sent("ClearVariableMonitoring", {"id": [1]}, {"clearMonitoringResult": [{"status": "Accepted", "id": 1}]}),
    ),
    "N_44": (
        Sent("ClearVariableMonitoring", {"id": [1]}, {"clearMonitoringResult": [{"status": "Rejected", "id": 1}]}),
    ),
    "N_47": (Sent("GetMonitoringReport", {"requestId": 3}, OK, (monitors(),)),),
    "N_48": (monitoring(1.0, status="Rejected"),),
    "N_60": (
        Sent(
            "GetMonitoringReport",
            {"requestId": 3, "monitoringCriteria": ["ThresholdMonitoring"], "componentVariable": [VARIABLE, LATER]},
            OK,
            (monitors(), monitors()),
        ),
    ),
    # Reservation
    "H_01": (reserve(evseId=1),),
    "H_08": (reserve(),),
    "H_14": (reserve(1), reserve(2)),
    "H_15": (reserve(connectorType="cType2"),),
    "H_17": (reserve(evseId=1), Sent("CancelReservation", {"reservationId": 1}, OK)),
    "H_19": (reserve(evseId=1, groupIdToken={"idToken": "GROUP", "type": "Central"}),),
    "H_22": (reserve(status="Rejected"),),
}

# Reports of a station that get an empty response.
HEARD: dict[str, tuple[tuple[str, Payload], ...]] = {
    "G_20": (event(component="ConnectorPlugRetentionLock", variable="Problem"),),
    "N_21": (event(),),
    "N_24": (event("Periodic"), event("Periodic")),
    "N_49": (event("Alerting"),),
    "N_50": (event("Periodic"),),
    "H_07": (("ReservationStatusUpdate", {"reservationId": 1, "reservationUpdateStatus": "Expired"}),),
    "H_20": (("ReservationStatusUpdate", {"reservationId": 1, "reservationUpdateStatus": "Removed"}),),
}
