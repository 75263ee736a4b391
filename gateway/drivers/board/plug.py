"""State of the plug of a hosted EVSE, from its pilot and the faults of its hardware. Pure."""

from __future__ import annotations

from gateway.drivers.board.fault_state import FaultState
from gateway.drivers.board.faults import rule_of
from gateway.drivers.board.phases import PLUGGED as PLUGGED
from gateway.drivers.board.ports import PilotState
from gateway.model.event import PlugState


def plug_state(pilot: PilotState | None, faults: FaultState | None) -> PlugState:
    """Return the state of the plug; a fault that stops the EVSE comes first."""
    if faults is not None:
        present = {*faults.active, *faults.latched}
        if any(rule_of(name, part).status is PlugState.FAULTED for part, name in present):
            return PlugState.FAULTED
    if pilot in PLUGGED:
        return PlugState.OCCUPIED
    return PlugState.AVAILABLE if pilot is PilotState.DISCONNECTED else PlugState.UNAVAILABLE
