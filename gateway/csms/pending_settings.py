"""Settings that a station has accepted and applies with its next boot (status RebootRequired)."""

from __future__ import annotations

from protocols.ocpp.enums import v16, v21
from protocols.ocpp.schema import Payload

CHANGE_CONFIGURATION, SET_VARIABLES = v16.Action.change_configuration, v21.Action.set_variables
REBOOT_REQUIRED = v21.SetVariableStatusEnumType.reboot_required.value  # ChangeConfiguration of 1.6 has the same name


def settings_in(action: str, payload: Payload, answer: Payload) -> list[str]:
    """Return the settings of a call that take effect with the next boot."""
    if action == CHANGE_CONFIGURATION and answer.get("status") == REBOOT_REQUIRED:
        return [str(payload["key"])]
    if action != SET_VARIABLES:
        return []
    results = answer.get("setVariableResult", ())
    return [
        f"{one['component']['name']}.{one['variable']['name']}"
        for one in results
        if one.get("attributeStatus") == REBOOT_REQUIRED
    ]
