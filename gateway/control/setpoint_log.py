"""Log lines of confirmed set-points: one for each change, none for steps of a ramp and of tracking a load."""

from __future__ import annotations

import logging

from gateway.authority.priority import Decision

log = logging.getLogger("v2x.setpoint")

LEAST_STEP_W, LEAST_STEP = 100.0, 0.05  # of the power that was logged last


class SetpointLog:
    """Logs the confirmed set-points of one EVSE."""

    def __init__(self, evse: str) -> None:
        self._evse = evse
        self._logged_w = 0.0

    def confirmed(self, decision: Decision, power_w: float, ramping: bool) -> None:
        """Log a set-point that the station accepted, + into the vehicle, with its limiting constraint."""
        before_w = self._logged_w
        if ramping:
            return
        if bool(power_w) != bool(before_w) or abs(power_w - before_w) > max(LEAST_STEP_W, LEAST_STEP * abs(before_w)):
            self._logged_w = power_w
            log.info("%s: set-point %.0f W (limit: %s)", self._evse, power_w, decision.binding.value)
