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
from gateway.csms.outcomes import ACCEPTED
from gateway.csms.pending_settings import REBOOT_REQUIRED
from gateway.csms.station import Station
from gateway.csms.tokens import CENTRAL
from gateway.model import operation as op
from protocols.ocpp.enums import v16, v21
from protocols.ocpp.events import Answered, Lost, Refused, Reply, TimedOut
from protocols.ocpp.schema import Payload, Version
from protocols.ocpp.times import stamp
from protocols.ocpp.vendor import Channel

Call: TypeAlias = tuple[str, Payload]
Trigger16 = v16.MessageTrigger
TRIGGERS_16 = frozenset(  # those of 1.6 itself; the security whitepaper has more
    {
        Trigger16.boot_notification,
        Trigger16.diagnostics_status_notification,
        Trigger16.firmware_status_notification,
        Trigger16.heartbeat,
        Trigger16.meter_values,
        Trigger16.status_notification,
    }
)
APPLIED = frozenset(  # statuses of responses to all operations; 1.6 and UpdateFirmware have the same names
    {
        ACCEPTED,
        v21.LogStatusEnumType.accepted_canceled,
        v21.ChangeAvailabilityStatusEnumType.scheduled,
        v21.UnlockStatusEnumType.unlocked,
        REBOOT_REQUIRED,
    }
)
RESETS_16 = {"immediate": v16.ResetType.hard, "on_idle": v16.ResetType.soft}
RESETS = {"immediate": v21.ResetEnumType.immediate, "on_idle": v21.ResetEnumType.on_idle}
LOGS = {"diagnostics": v21.LogEnumType.diagnostics_log, "security": v21.LogEnumType.security_log}


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
            own.add((v21.Action.data_transfer, f"{one.vendor_id} {one.message_id}".casefold()))
        elif one.channel is Channel.VARIABLE:
            own.add((v21.Action.set_variables, f"{one.component} {one.variable}".casefold()))
            keys = {profile.forming.key_of(evse) for evse in station.evses} if one is profile.forming else {one.key}
            own |= {(v16.Action.change_configuration, key.casefold()) for key in keys if key}
    return not used.isdisjoint(own)


def _names_set(action: str, payload: Payload) -> list[str]:
    """Return what a call sets, in one form for all actions."""
    match action:
        case v21.Action.data_transfer:
            return [f"{payload['vendorId']} {payload.get('messageId') or ''}".casefold()]
        case v16.Action.change_configuration:
            return [str(payload["key"]).casefold()]
        case v21.Action.set_variables:
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
    statuses = [one["attributeStatus"] for one in results] or [payload.get("status", ACCEPTED)]
    status = next((one for one in statuses if one not in APPLIED), None)
    info = payload.get("statusInfo", {})
    if status is not None:
        code, text = info.get("reasonCode", status), info.get("additionalInfo", "")
        return op.OperationResult(answer="refused", code=code, text=text, payload=payload)
    code = next((one for one in statuses if one != ACCEPTED), "")
    return op.OperationResult(answer="applied", code=code, payload=payload)


# one translation for each operation ----------------------------------------------------------------------------------


def _reset_16(station: Station, request: op.Reset) -> Call:
    if request.evse is not None:
        raise RequestRejected(501, "a station of OCPP 1.6 is reset as a whole")
    return v16.Action.reset, {"type": RESETS_16[request.type]}


def _reset(station: Station, request: op.Reset) -> Call:
    return v21.Action.reset, {"type": RESETS[request.type], "evseId": request.evse}


def _unlock_16(station: Station, request: op.UnlockConnector) -> Call:
    return v16.Action.unlock_connector, {"connectorId": request.evse}


def _unlock(station: Station, request: op.UnlockConnector) -> Call:
    return v21.Action.unlock_connector, {"evseId": request.evse, "connectorId": request.connector}


def _availability_16(station: Station, request: op.ChangeAvailability) -> Call:
    return v16.Action.change_availability, {"connectorId": request.evse or 0, "type": request.status}


def _availability(station: Station, request: op.ChangeAvailability) -> Call:
    return v21.Action.change_availability, {"operationalStatus": request.status, "evse": _place(request)}


def _trigger_16(station: Station, request: op.TriggerMessage) -> Call:
    action = v16.Action.trigger_message if request.message in TRIGGERS_16 else v16.Action.extended_trigger_message
    return action, {"requestedMessage": request.message, "connectorId": request.evse}


def _trigger(station: Station, request: op.TriggerMessage) -> Call:
    return v21.Action.trigger_message, {"requestedMessage": request.message, "evse": _place(request)}


def _start_16(station: Station, request: op.StartTransaction) -> Call:
    return v16.Action.remote_start_transaction, {"idTag": request.token, "connectorId": request.evse}


def _start(station: Station, request: op.StartTransaction) -> Call:
    token = _token(station, request.token, request.type)
    return v21.Action.request_start_transaction, {
        "idToken": token,
        "remoteStartId": station.next_request_id(),
        "evseId": request.evse,
    }


def _reserve_16(station: Station, request: op.Reserve) -> Call:
    return v16.Action.reserve_now, {
        "connectorId": request.evse or 0,
        "expiryDate": _time(request.expiry),
        "idTag": request.token,
        "parentIdTag": request.parent,
        "reservationId": _reservation(station, request),
    }


def _reserve(station: Station, request: op.Reserve) -> Call:
    parent = None if request.parent is None else _token(station, request.parent, request.type)
    return v21.Action.reserve_now, {
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
    return v21.Action.cancel_reservation, {"reservationId": request.reservation}


def _clear_cache(station: Station, request: op.ClearCache) -> Call:
    return v21.Action.clear_cache, {}


def _get_variables(station: Station, request: op.GetVariables) -> Call:
    return v21.Action.get_variables, {"getVariableData": [_variable(one) for one in request.variables]}


def _set_variables(station: Station, request: op.SetVariables) -> Call:
    entries = [_variable(one) | {"attributeValue": one.value} for one in request.variables]
    return v21.Action.set_variables, {"setVariableData": entries}


def _get_configuration(station: Station, request: op.GetConfiguration) -> Call:
    return v16.Action.get_configuration, {"key": request.keys or None}


def _change_configuration(station: Station, request: op.ChangeConfiguration) -> Call:
    return v16.Action.change_configuration, {"key": request.key, "value": request.value}


def _firmware_16(station: Station, request: op.UpdateFirmware) -> Call:
    retries: Payload = {"retries": request.retries, "retryInterval": request.retry_interval_s}
    if request.signature is not None:
        number = {"requestId": station.next_request_id(), "firmware": _firmware(station, request)}
        return v16.Action.signed_update_firmware, retries | number
    if request.install_at is not None:
        raise RequestRejected(501, "a time of installation exists in OCPP 1.6 for signed firmware only")
    retrieve = _firmware(station, request)["retrieveDateTime"]
    return v16.Action.update_firmware, retries | {"location": request.location, "retrieveDate": retrieve}


def _update_firmware(station: Station, request: op.UpdateFirmware) -> Call:
    return v21.Action.update_firmware, {
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
    return v16.Action.get_diagnostics, {
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
    return v21.Action.get_log, {
        "logType": LOGS[request.log],
        "requestId": station.next_request_id(),
        "retries": request.retries,
        "retryInterval": request.retry_interval_s,
        "log": _present(log),
    }


def _data_transfer(station: Station, request: op.DataTransfer) -> Call:
    return v21.Action.data_transfer, {"vendorId": request.vendor, "messageId": request.message, "data": request.data}


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
