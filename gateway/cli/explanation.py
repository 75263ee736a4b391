"""Text of an explanation: the layers of the control hierarchy and the limiting constraint. Pure."""

from __future__ import annotations

from gateway.model import foreign_text
from gateway.model.message import rfc3339
from gateway.model.state import Explanation


def as_text(explanation: Explanation) -> str:
    """Return a table for people; the limiting constraint is marked."""
    set_w = "not known" if explanation.setpoint_w is None else f"{explanation.setpoint_w:.0f} W"
    granted = f"{explanation.effective_w:.0f} W, bound by {explanation.binding}"
    lines = [f"{explanation.evse}: {granted}. {explanation.reason.text}", f"  the station holds {set_w}"]
    if explanation.command is not None:
        command = explanation.command
        until = f" until {rfc3339(explanation.lease_until)}" if explanation.lease_until is not None else ""
        sender = command.client or command.source
        who = f" from {sender}" if sender else ""
        lines.append(f"  in force: {command.verb} {command.id}{who}, priority {command.priority}{until}")
    lines += ["", f"  {'layer':<16}{'allows':>24}{'leaves':>24}  why"]
    marked = False
    for layer in explanation.layers:
        here = not marked and layer.layer == explanation.binding and layer.code == explanation.reason.code.value
        marked = marked or here
        allows, leaves = _span(layer.low_w, layer.high_w), _span(layer.left_low_w, layer.left_high_w)
        lines.append(f"{'>' if here else ' '} {layer.layer:<16}{allows:>24}{leaves:>24}  {layer.text}")
    return "\n".join(foreign_text.line(one) for one in lines) + "\n"


def _span(low_w: float | None, high_w: float | None) -> str:
    if low_w is None and high_w is None:
        return "anything"
    low, high = ("..." if edge is None else f"{edge:.0f}" for edge in (low_w, high_w))
    return f"{low} W" if low == high else f"{low} to {high} W"
