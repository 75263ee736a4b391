"""Mirror with one value per topic, as in evcc: `<root>/<evse>/<name>`, retained, plain text; `.../set` for commands.

Off by default; for controllers that read scalars. The only answer to a command is the topic `result`; a power must be
written again before its lease of `LEASE_S` ends. Pure.
"""

from __future__ import annotations

import contextlib
import json
import math

from gateway.model.result import Result
from gateway.model.state import EvseState

LEASE_S = 60
RESULT = "result"
SETTABLE = ("setpoint", "discharge", "charge", "stop", "release", "reserve")


def scalars(state: EvseState) -> dict[str, str]:
    """Return the values of an EVSE as text; an unknown one is empty, which deletes the retained value."""
    values: dict[str, object] = {
        "connected": state.connection.value == "connected",
        "plugged": state.plugged,
        "session": state.session_state.value,
        "power": state.power_w,
        "setpoint": state.effective_w,
        "binding": state.binding,
        "soc": state.soc_pct,
        "reserve": state.floors.reserve_pct,
        "maxCharge": state.available.max_charge_w,
        "maxDischarge": state.available.max_discharge_w,
        "fault": state.fault,
    }
    return {name: _text(value) for name, value in values.items()}


NAMES = (
    *("connected", "plugged", "session", "power", "setpoint", "binding"),
    *("soc", "reserve", "maxCharge", "maxDischarge", "fault", RESULT),
)


def answer(result: Result) -> str:
    """Return a result in one line."""
    return f"{result.status.value} {result.reason.code.value}"


def command(name: str, payload: bytes, number: str) -> tuple[str, bytes] | None:
    """Return verb and body of a written value, None for a read-only topic. An invalid value makes an invalid body."""
    if name not in SETTABLE:
        return None
    body: dict[str, object] = {"id": f"mirror-{number}", "source": "mirror"}
    if name in ("stop", "release"):
        return name, json.dumps(body).encode()
    text = payload[:64].decode("utf-8", "replace").strip()
    value: object = text
    with contextlib.suppress(ValueError):
        value = float(text) if math.isfinite(float(text)) else text
    body |= {"min_soc_pct": value} if name == "reserve" else {"power_w": value, "lease_s": LEASE_S}
    return name, json.dumps(body).encode()


def _text(value: object) -> str:
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case float():
            return f"{value:.10g}"
    return str(value)
