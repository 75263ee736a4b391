"""Why a set-point of a hosted EVSE is not applied. Pure."""

from __future__ import annotations

from typing import Protocol

from gateway.drivers.board.fault_state import FaultState
from gateway.drivers.secc.output import EvseOutput
from gateway.model.station import Answer, Outcome, OutcomeCode, setpoint_refusal


class SessionState(Protocol):
    """State of a session on which a refusal depends."""

    @property
    def id(self) -> str | None: ...

    @property
    def bidirectional(self) -> bool | None: ...


def refusal(
    evse: str,
    power_w: float,
    valid_for_s: float,
    output: EvseOutput,
    session: SessionState | None,
    paused: str | None,
    faults: FaultState,
) -> Outcome | None:
    """Return the reason, or None. `paused`: session that the vehicle has paused; a power wakes it."""
    bidirectional = None if session is None else session.bidirectional
    refused = setpoint_refusal(power_w, valid_for_s, why_not=output.why_not or None, bidirectional=bidirectional)
    if refused is not None:
        return refused
    if session is None or session.id is None:
        if power_w and paused is not None:
            text = "the vehicle has paused the session and is woken"
            return Outcome(Answer.UNKNOWN, OutcomeCode.TX_NOT_FOUND, text)
        if paused is None:
            return Outcome(Answer.REFUSED, OutcomeCode.TX_NOT_FOUND, f"no session is active on {evse}")
    elif power_w < 0 and bidirectional is None:
        text = "the vehicle has not stated its charging needs"
        return Outcome(Answer.REFUSED, OutcomeCode.NEEDS_NOT_STATED, text)
    if power_w and not output.available:
        names = ", ".join(name for _, name in faults.active) or "a latched fault"
        return Outcome(Answer.REFUSED, "Faulted", f"the hardware is in fault: {names}")
    return None
