"""Secrets inside OCPP payloads: the password that a call sets, and payloads without secrets for the journal."""

from __future__ import annotations

from gateway.csms.pending_settings import REBOOT_REQUIRED
from protocols.ocpp.enums import v16, v21
from protocols.ocpp.events import Answered, Refused, Reply
from protocols.ocpp.schema import Payload

CHANGE_CONFIGURATION, AUTHORIZATION_KEY = v16.Action.change_configuration, v16.ConfigurationKey.authorization_key
SET_VARIABLES, SET_NETWORK_PROFILE = v21.Action.set_variables, v21.Action.set_network_profile
HIDDEN = "***"
ACCEPTED = v21.SetVariableStatusEnumType.accepted  # ChangeConfiguration of 1.6 has the same name


def password_in(action: str, payload: Payload) -> str | None:
    """Return the station password that a call sets, or None."""
    if action == CHANGE_CONFIGURATION and payload.get("key") == AUTHORIZATION_KEY:
        return str(payload.get("value", ""))
    if action == SET_VARIABLES:
        found = (one for one in payload.get("setVariableData", ()) if _is_password(one))
        return next((str(entry.get("attributeValue", "")) for entry in found), None)
    return None


def password_accepted(reply: Reply) -> bool | None:
    """Return True if the station accepted the password that a call set, None while that is not decided: without a
    response, or where the station uses it after its next boot."""
    if not isinstance(reply, Answered):
        return False if isinstance(reply, Refused) else None
    status = reply.payload.get("status")
    for result in reply.payload.get("setVariableResult", ()):
        if _is_password(result):
            status = result.get("attributeStatus")
    return None if status == REBOOT_REQUIRED else bool(status == ACCEPTED)


def without_secrets(action: str, payload: Payload) -> Payload:
    """Return a payload as it may be stored in the journal."""
    if action == CHANGE_CONFIGURATION and payload.get("key") == AUTHORIZATION_KEY:
        return {**payload, "value": HIDDEN}
    if action == SET_VARIABLES and isinstance(payload.get("setVariableData"), list):
        entries = payload["setVariableData"]
        shown = [{**one, "attributeValue": HIDDEN} if _is_password(one) else one for one in entries]
        return {**payload, "setVariableData": shown}
    if action == SET_NETWORK_PROFILE and isinstance(payload.get("connectionData"), dict):
        data = payload["connectionData"]
        hidden = dict.fromkeys(data.keys() & {"basicAuthPassword", "apn", "vpn"}, HIDDEN)
        return {**payload, "connectionData": {**data, **hidden}}
    return payload


def _is_password(entry: object) -> bool:
    match entry:
        case {"component": {"name": "SecurityCtrlr"}, "variable": {"name": "BasicAuthPassword"}}:
            return True
    return False
