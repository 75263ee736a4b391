"""Validation of a vehicle by toggles of the control pilot (CM_VALIDATE): an EVSE counts them for one vehicle only.

The message has no run id; the vehicle is recognised by its address.
"""

from __future__ import annotations

from protocols.iec61851 import PilotState
from protocols.pilot_engines import ToggleCounter
from protocols.slac import timers
from protocols.slac.messages import ValidateCnf, ValidateReq, ValidationResult

_WINDOW_UNIT = 0.1  # s; a window of (timer + 1) units
_READY = ValidateCnf(0, ValidationResult.READY)


class ToggleValidation:
    """The validation in progress. `deadline`: of the next repeated confirmation, or the end of the window."""

    def __init__(self) -> None:
        self.vehicle: bytes | None = None
        self.deadline: float | None = None
        self._counter = ToggleCounter()
        self._repeats: int | None = None  # of the first confirmation; None in the second step

    def observe(self, state: PilotState, now: float) -> None:
        """Process a change of the control pilot."""
        self._counter.observe(state, now)

    def take(self, vehicle: bytes, request: ValidateReq, now: float) -> ValidateCnf | None:
        """Process a request; return the confirmation to send now, None for none."""
        if self.vehicle not in (None, vehicle):
            return ValidateCnf(0, ValidationResult.NOT_READY)
        counting = self.vehicle is not None and self._repeats is None
        if counting or (self.vehicle is None and request.timer != 0):
            return None  # a late copy, or the first step is missing
        if request.timer == 0:
            self.vehicle, self._repeats, self.deadline = vehicle, 0, now + timers.VALIDATION_REPEAT
            return _READY
        if request.result != ValidationResult.READY:
            self.end(vehicle)
            return None
        self._counter.reset()
        self._repeats = None
        self.deadline = now + min((request.timer + 1) * _WINDOW_UNIT, timers.VALIDATION_TOGGLES)
        return None

    def expire(self, now: float) -> ValidateCnf | None:
        """Process the deadline; return the confirmation to send to the vehicle, which may be the last one."""
        if self._repeats is None:
            count = self._counter.count
            self.end(self.vehicle)
            return ValidateCnf(count, ValidationResult.SUCCESS if count else ValidationResult.FAILURE)
        if self._repeats < timers.VALIDATION_REPEATS:
            self._repeats += 1
            self.deadline = now + timers.VALIDATION_REPEAT
            return _READY
        self.end(self.vehicle)
        return None

    def end(self, vehicle: bytes | None) -> None:
        """End the validation of a vehicle, if it is in progress."""
        if vehicle is not None and vehicle == self.vehicle:
            self.vehicle = self.deadline = self._repeats = None
