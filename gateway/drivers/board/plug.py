"""State of the plug of a hosted EVSE, from its pilot and the faults of its hardware, and signals of its pilot. Pure."""

from __future__ import annotations

from gateway.drivers.board.fault_state import FaultState
from gateway.drivers.board.faults import rule_of
from gateway.drivers.board.phases import PLUGGED as PLUGGED
from gateway.drivers.board.ports import DutyCycle, PilotLevel, PilotSignal, PilotState
from gateway.model.event import PlugState
from protocols.iec61851 import OutputKind, PilotOutput

LEVELS = {OutputKind.X1: PilotLevel.X1, OutputKind.E: PilotLevel.E, OutputKind.F: PilotLevel.F}
SIGNALLED = frozenset({PilotState.ERROR, PilotState.UNAVAILABLE})  # a board measures its own E and F


def signal_of(output: PilotOutput) -> PilotSignal:
    """Return an output of the engine as a signal of the board."""
    return DutyCycle(output.duty_pct) if output.kind is OutputKind.PWM else LEVELS[output.kind]


def signalled_by(output: PilotOutput, state: PilotState) -> bool:
    """Return True if a measured state is the output itself, E or F, and nothing that the vehicle does."""
    return state in SIGNALLED and output.kind in (OutputKind.E, OutputKind.F)


def plug_state(pilot: PilotState | None, faults: FaultState | None) -> PlugState:
    """Return the state of the plug; a fault that stops the EVSE comes first."""
    if faults is not None:
        present = {*faults.active, *faults.latched}
        if any(rule_of(name, part).status is PlugState.FAULTED for part, name in present):
            return PlugState.FAULTED
    if pilot in PLUGGED:
        return PlugState.OCCUPIED
    return PlugState.AVAILABLE if pilot is PilotState.DISCONNECTED else PlugState.UNAVAILABLE
