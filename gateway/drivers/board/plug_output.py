"""Outputs of the plug: the signal of the control pilot, or the switches d1 and d2 of CHAdeMO.

The supervisor states what it requires, and this is the only caller of the two ports.
"""

from __future__ import annotations

from gateway.drivers.board.fault_state import FaultState, PilotWatch
from gateway.drivers.board.faults import FaultName, Part
from gateway.drivers.board.ports import Board, DutyCycle, LinesChanged, PilotLevel, PilotSignal, PilotState

PILOT_SETTLE_S = 1.0  # from a new signal to the state that it causes


def state_of(event: LinesChanged) -> PilotState:
    """Return the state of a control pilot that corresponds to the lines: k is the permission of the vehicle."""
    if not event.plugged:
        return PilotState.DISCONNECTED
    return PilotState.READY if event.k else PilotState.CONNECTED


class PlugOutput:
    """Outputs of one plug, as the charging protocol and the supervisor order them."""

    def __init__(self, board: Board, now: float) -> None:
        self._board = board
        self.part = Part.PILOT if board.lines is None else Part.LINES
        self._signal: PilotSignal = PilotLevel.F
        self._lines = (False, False)  # d1 and d2
        self._watch = PilotWatch()
        self._shown: PilotSignal | None = None
        self._shown_lines = (False, False)
        self._shown_at = now

    def order_signal(self, signal: PilotSignal) -> None:
        """Apply the signal that the charging protocol orders."""
        self._signal = signal

    def order_lines(self, d1: bool, d2: bool) -> None:
        """Apply the switches that the charging protocol orders."""
        self._lines = d1, d2

    def output(self, now: float, *, withdrawn: bool, stopping_ac: bool, tested: bool, loaded: bool) -> None:
        """Output the signals.

        `withdrawn`: the vehicle must open its contactors. `stopping_ac`: an AC output waits for the end of the current.
        `tested`: the cable check of this output passed. `loaded`: current flows, or may flow.
        """
        if self._board.lines is not None:
            self._shown_lines = self._required_lines(withdrawn, tested, loaded)
            self._board.lines.set(*self._shown_lines)
        if self._board.pilot is not None:
            shown = self._required_signal(withdrawn, stopping_ac)
            if shown != self._shown:
                self._shown, self._shown_at = shown, now
            self._board.pilot.set(shown)

    def _required_signal(self, withdrawn: bool, stopping_ac: bool) -> PilotSignal:
        """Return the signal: F where the vehicle must open, X1 to stop an AC vehicle."""
        if withdrawn:
            return PilotLevel.F
        return PilotLevel.X1 if stopping_ac and isinstance(self._signal, DutyCycle) else self._signal

    def _required_lines(self, withdrawn: bool, tested: bool, loaded: bool) -> tuple[bool, bool]:
        """Return d1 and d2: d2 supplies the contactors of many vehicles, and does not open under load."""
        if withdrawn:
            return False, False
        (d1, d2), (before_1, before_2) = self._lines, self._shown_lines
        d2 = (before_2 and (d2 or loaded)) or (d1 and d2 and tested and not loaded)
        return d1 or (before_1 and (loaded or d2)), d2

    def changed(self, faults: FaultState, now: float) -> None:
        """Record a change of the state of the plug, and detect one that bounces."""
        if self._watch.changed(now):
            faults.detect(self.part, FaultName.PILOT, f"the {self.part} bounces", now)

    def supervise(self, state: PilotState | None, faults: FaultState, now: float) -> None:
        """States E and F that this board does not signal are faults: a cut wire, a vehicle without diode."""
        odd = state in (PilotState.ERROR, PilotState.UNAVAILABLE)
        signalled = self._shown in (None, PilotLevel.E, PilotLevel.F) or now - self._shown_at < PILOT_SETTLE_S
        if odd and not signalled:
            faults.detect(self.part, FaultName.PILOT, f"state {state}", now)
        elif not odd and self._watch.steady(now):
            faults.end_own(self.part, FaultName.PILOT, now)
