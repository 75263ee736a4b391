"""Settings that a station has accepted and applies with its next boot (status RebootRequired)."""

from __future__ import annotations

from protocols.ocpp.enums import v21
from protocols.ocpp.schema import Payload

REBOOT_REQUIRED = v21.SetVariableStatusEnumType.reboot_required.value  # ChangeConfiguration of 1.6 has the same name


def settings_in(action: str, payload: Payload, answer: Payload) -> list[str]:
    """Return the settings of a call that take effect with the next boot."""
    if action == "ChangeConfiguration" and answer.get("status") == REBOOT_REQUIRED:
        return [str(payload["key"])]
    if action != "SetVariables":
        return []
    results = answer.get("setVariableResult", ())
    return [
        f"{one['component']['name']}.{one['variable']['name']}"
        for one in results
        if one.get("attributeStatus") == REBOOT_REQUIRED
    ]
