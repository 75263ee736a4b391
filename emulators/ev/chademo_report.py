"""Lines of text for the events of both CHAdeMO engines, for `v2x ev --chademo` and `v2x charger --chademo`."""

from __future__ import annotations

from emulators.ev.report import Lines
from protocols.chademo import events

LINES: Lines = {
    events.StateEntered: lambda e: f"state {e.state}",
    events.ParametersAgreed: lambda e: (
        f"protocol {e.protocol}, discharging {'agreed' if e.discharge else 'not agreed'}"
    ),
    events.Stopping: lambda e: f"stop: {e.stop.text}",
    events.FrameIgnored: lambda e: f"frame {e.can_id:#05x} ignored: {e.reason}",
}
