"""The OCPP call of each typed operation, and its outcome in the terms of every version.

A call that sets the power of a station through a channel of its vendor profile is no operation: it would bypass the
control hierarchy.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeAlias

from gateway.csms.errors import RequestRejected
from gateway.csms.pending_settings import REBOOT_REQUIRED
from gateway.csms.station import Station
from gateway.csms.tokens import CENTRAL
from gateway.model import operation as op
from protocols.ocpp.events import Answered, Lost, Refused, Reply, TimedOut
from protocols.ocpp.schema import Payload, Version
from protocols.ocpp.times import stamp
from protocols.ocpp.vendor import Channel

Call: TypeAlias = tuple[str, Payload]
TRIGGERS_16 = frozenset(
    {
        "BootNotification",
        "DiagnosticsStatusNotification",
        "FirmwareStatusNotification",
        "Heartbeat",
        "MeterValues",
        "StatusNotification",
    }
)
APPLIED = frozenset({"Accepted", "AcceptedCanceled", "Scheduled", "Unlocked", REBOOT_REQUIRED})  # statuses
RESETS_16 = {"immediate": "Hard", "on_idle": "Soft"}
RESETS = {"immediate": "Immediate", "on_idle": "OnIdle"}
LOGS = {"diagnostics": "DiagnosticsLog", "security": "SecurityLog"}


def call_of(station: Station, operation: op.Operation) -> Call:
    """Return action and payload of an operation at a connected station. Raises RequestRejected."""
    translations = _CALLS[type(operation)]
    early = station.version is Version.V16
    translate = translations.of_16 if early else translations.of_2
    if translate is None:
        raise RequestRejected(501, f"OCPP {station.version and station.version.number} has no such operation")
    action, payload = translate(station, operation)
    if sets_power(station, action, payload):
        text = f"{action} is the set-point channel of {station.id}: it would bypass the control hierarchy"
        raise RequestRejected(403, text)
    return action, {key: value for key, value in payload.items() if value is not None}


def sets_power(station: Station, action: str, payload: Payload) -> bool:
    """Return True for a call that the vendor profile uses for set-points or grid-forming."""
    profile = station.vendor_profile
    used = {(action, name) for name in _names_set(action, payload)}
    own: set[tuple[str, str]] = set()
    for one in (profile.setpoint, profile.forming):
        if one.channel is Channel.DATA_TRANSFER:
            own.add(("DataTransfer", f"{one.vendor_id} {one.message_id}".casefold()))
        elif one.channel is Channel.VARIABLE:
            own.add(("SetVariables", f"{one.component} {one.variable}".casefold()))
            keys = {profile.forming.key_of(evse) for evse in station.evses} if one is profile.forming else {one.key}
            own |= {("ChangeConfiguration", key.casefold()) for key in keys if key}
    return not used.isdisjoint(own)


def _names_set(action: str, payload: Payload) -> list[str]:
    """Return what a call sets, in one form for all actions."""
    match action:
        case "DataTransfer":
            return [f"{payload['vendorId']} {payload.get('messageId') or ''}".casefold()]
        case "ChangeConfiguration":
            return [str(payload["key"]).casefold()]
        case "SetVariables":
            entries = payload["setVariableData"]
            return [f"{one['component']['name']} {one['variable']['name']}".casefold() for one in entries]
    return []


def outcome(reply: Reply) -> op.OperationResult:
    """Return the outcome of a call."""
    match reply:
        case Answered(violation=None):
            return _answered(reply.payload)
        case Answered():
            return op.OperationResult(answer="unknown", code="InvalidAnswer", payload=reply.payload)
        case Refused():
            return op.OperationResult(answer="refused", code=reply.code, text=reply.description)
        case Lost() | TimedOut():
            text = "the station did not respond"
            return op.OperationResult(answer="unknown", code=type(reply).__name__, text=text)


def _answered(payload: Payload) -> op.OperationResult:
    results = payload.get("setVariableResult", ())
    statuses = [one["attributeStatus"] for one in results] or [payload.get("status", "Accepted")]
    status = next((one for one in statuses if one not in APPLIED), None)
    info = payload.get("statusInfo", {})
    if status is not None:
        code, text = info.get("reasonCode", status), info.get("additionalInfo", "")
        return op.OperationResult(answer="refused", code=code, text=text, payload=payload)
    code = next((one for one in statuses if one != "Accepted"), "")
    return op.OperationResult(answer="applied", code=code, payload=payload)


# one translation for each operation ----------------------------------------------------------------------------------


def _reset_16(station: Station, request: op.Reset) -> Call:
    if request.evse is not None:
        raise RequestRejected(501, "a station of OCPP 1.6 is reset as a whole")
    return "Reset", {"type": RESETS_16[request.type]}


def _reset(station: Station, request: op.Reset) -> Call:
    return "Reset", {"type": RESETS[request.type], "evseId": request.evse}


def _unlock_16(station: Station, request: op.UnlockConnector) -> Call:
    return "UnlockConnector", {"connectorId": request.evse}


def _unlock(station: Station, request: op.UnlockConnector) -> Call:
    return "UnlockConnector", {"evseId": request.evse, "connectorId": request.connector}


def _availability_16(station: Station, request: op.ChangeAvailability) -> Call:
    return "ChangeAvailability", {"connectorId": request.evse or 0, "type": request.status}


def _availability(station: Station, request: op.ChangeAvailability) -> Call:
    return "ChangeAvailability", {"operationalStatus": request.status, "evse": _place(request)}


def _trigger_16(station: Station, request: op.TriggerMessage) -> Call:
    action = "TriggerMessage" if request.message in TRIGGERS_16 else "ExtendedTriggerMessage"
    return action, {"requestedMessage": request.message, "connectorId": request.evse}


def _trigger(station: Station, request: op.TriggerMessage) -> Call:
    return "TriggerMessage", {"requestedMessage": request.message, "evse": _place(request)}


def _start_16(station: Station, request: op.StartTransaction) -> Call:
    return "RemoteStartTransaction", {"idTag": request.token, "connectorId": request.evse}


def _start(station: Station, request: op.StartTransaction) -> Call:
    token = _token(station, request.token, request.type)
    return "RequestStartTransaction", {
        "idToken": token,
        "remoteStartId": station.next_request_id(),
        "evseId": request.evse,
    }


def _reserve_16(station: Station, request: op.Reserve) -> Call:
    return "ReserveNow", {
        "connectorId": request.evse or 0,
        "expiryDate": _time(request.expiry),
        "idTag": request.token,
        "parentIdTag": request.parent,
        "reservationId": _reservation(station, request),
    }


def _reserve(station: Station, request: op.Reserve) -> Call:
    parent = None if request.parent is None else _token(station, request.parent, request.type)
    return "ReserveNow", {
        "id": _reservation(station, request),
        "expiryDateTime": _time(request.expiry),
        "idToken": _token(station, request.token, request.type),
        "groupIdToken": parent,
        "evseId": request.evse,
        "connectorType": request.connector_type,
    }


def _reservation(station: Station, request: op.Reserve) -> int:
    return station.next_request_id() if request.reservation is None else request.reservation


def _cancel(station: Station, request: op.CancelReservation) -> Call:
    return "CancelReservation", {"reservationId": request.reservation}


def _clear_cache(station: Station, request: op.ClearCache) -> Call:
    return "ClearCache", {}


def _get_variables(station: Station, request: op.GetVariables) -> Call:
    return "GetVariables", {"getVariableData": [_variable(one) for one in request.variables]}


def _set_variables(station: Station, request: op.SetVariables) -> Call:
    entries = [_variable(one) | {"attributeValue": one.value} for one in request.variables]
    return "SetVariables", {"setVariableData": entries}


def _get_configuration(station: Station, request: op.GetConfiguration) -> Call:
    return "GetConfiguration", {"key": request.keys or None}


def _change_configuration(station: Station, request: op.ChangeConfiguration) -> Call:
    return "ChangeConfiguration", {"key": request.key, "value": request.value}


def _firmware_16(station: Station, request: op.UpdateFirmware) -> Call:
    retries: Payload = {"retries": request.retries, "retryInterval": request.retry_interval_s}
    if request.signature is not None:
        number = {"requestId": station.next_request_id(), "firmware": _firmware(station, request)}
        return "SignedUpdateFirmware", retries | number
    if request.install_at is not None:
        raise RequestRejected(501, "a time of installation exists in OCPP 1.6 for signed firmware only")
    retrieve = _firmware(station, request)["retrieveDateTime"]
    return "UpdateFirmware", retries | {"location": request.location, "retrieveDate": retrieve}


def _update_firmware(station: Station, request: op.UpdateFirmware) -> Call:
    return "UpdateFirmware", {
        "requestId": station.next_request_id(),
        "retries": request.retries,
        "retryInterval": request.retry_interval_s,
        "firmware": _firmware(station, request),
    }


def _firmware(station: Station, request: op.UpdateFirmware) -> Payload:
    now = stamp(station.context.clock.wall())
    return _present(
        {
            "location": request.location,
            "retrieveDateTime": now if request.retrieve_at is None else _time(request.retrieve_at),
            "installDateTime": None if request.install_at is None else _time(request.install_at),
            "signingCertificate": request.signing_certificate,
            "signature": request.signature,
        }
    )


def _log_16(station: Station, request: op.GetLog) -> Call:
    if request.log == "security":
        return _log(station, request)
    return "GetDiagnostics", {
        "location": request.location,
        "retries": request.retries,
        "retryInterval": request.retry_interval_s,
        "startTime": None if request.oldest is None else _time(request.oldest),
        "stopTime": None if request.latest is None else _time(request.latest),
    }


def _log(station: Station, request: op.GetLog) -> Call:
    oldest, latest = request.oldest, request.latest
    log = {
        "remoteLocation": request.location,
        "oldestTimestamp": None if oldest is None else _time(oldest),
        "latestTimestamp": None if latest is None else _time(latest),
    }
    return "GetLog", {
        "logType": LOGS[request.log],
        "requestId": station.next_request_id(),
        "retries": request.retries,
        "retryInterval": request.retry_interval_s,
        "log": _present(log),
    }


def _data_transfer(station: Station, request: op.DataTransfer) -> Call:
    return "DataTransfer", {"vendorId": request.vendor, "messageId": request.message, "data": request.data}


def _place(request: op.ConnectorOperation) -> Payload | None:
    return None if request.evse is None else _present({"id": request.evse, "connectorId": request.connector})


def _token(station: Station, name: str, kind: str | None) -> Payload:
    known = station.context.tokens.get(name)
    return {"idToken": name, "type": kind or (known.type if known is not None else CENTRAL)}


def _variable(one: op.Variable) -> Payload:
    place = None if one.evse is None else _present({"id": one.evse, "connectorId": one.connector})
    return {
        "component": _present({"name": one.component, "instance": one.instance, "evse": place}),
        "variable": _present({"name": one.variable, "instance": one.variable_instance}),
        **({} if one.attribute == "Actual" else {"attributeType": one.attribute}),
    }


def _present(members: Payload) -> Payload:
    """Return the members that are given."""
    return {key: value for key, value in members.items() if value is not None}


def _time(at: datetime) -> str:
    return stamp(at.timestamp())


Translation: TypeAlias = Callable[[Station, Any], Call]


@dataclass(frozen=True, slots=True)
class _Translations:
    """Translations of one operation; None where a version does not have it."""

    of_16: Translation | None
    of_2: Translation | None


_CALLS: dict[type[op.Operation], _Translations] = {
    op.Reset: _Translations(_reset_16, _reset),
    op.UnlockConnector: _Translations(_unlock_16, _unlock),
    op.ChangeAvailability: _Translations(_availability_16, _availability),
    op.TriggerMessage: _Translations(_trigger_16, _trigger),
    op.StartTransaction: _Translations(_start_16, _start),
    op.Reserve: _Translations(_reserve_16, _reserve),
    op.CancelReservation: _Translations(_cancel, _cancel),
    op.ClearCache: _Translations(_clear_cache, _clear_cache),
    op.GetVariables: _Translations(None, _get_variables),
    op.SetVariables: _Translations(None, _set_variables),
    op.GetConfiguration: _Translations(_get_configuration, None),
    op.ChangeConfiguration: _Translations(_change_configuration, None),
    op.UpdateFirmware: _Translations(_firmware_16, _update_firmware),
    op.GetLog: _Translations(_log_16, _log),
    op.DataTransfer: _Translations(_data_transfer, _data_transfer),
}
