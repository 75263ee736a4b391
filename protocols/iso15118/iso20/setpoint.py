"""Power of a SECC in dynamic control: the operator's set-point, narrowed by all higher constraints.

Pure functions of limits, the EV's energy requests and its departure. Signed W, + into the vehicle. The constraints,
each of which may only narrow the range: limits of both sides, the EV's energy and V2X windows, its departure, the dead
band. Source: ISO 15118-20 dynamic control; energy requests of ScheduleExchangeReq and the charge loop.
"""

from __future__ import annotations

from protocols.frozen import frozen
from protocols.iso15118.iso20.limits import PowerRange
from protocols.quantities import clamp

DEPARTURE_MARGIN = 0.9  # of full charge power: above it the remaining time is needed for charging


@frozen(kw_only=True)
class EnergyRequests:
    """Energy requests of the EV, in Wh from now; negative above the respective level.

    `maximum_v2x_wh` and `minimum_v2x_wh` are the window for V2X cycling (both or none, V2G20-2681).
    """

    target_wh: float
    maximum_wh: float
    minimum_wh: float
    maximum_v2x_wh: float | None = None
    minimum_v2x_wh: float | None = None

    def disorder(self) -> str | None:
        """Return the violated order (minimum ≤ target ≤ maximum; V2X window ordered and complete), or None."""
        if not self.minimum_wh <= self.target_wh <= self.maximum_wh:
            return "the energy requests are not in the order minimum, target, maximum"
        if (self.maximum_v2x_wh is None) != (self.minimum_v2x_wh is None):
            return "a V2X energy window requires both limits"
        if (
            self.maximum_v2x_wh is not None
            and self.minimum_v2x_wh is not None
            and self.minimum_v2x_wh > self.maximum_v2x_wh
        ):
            return "the lower limit of the V2X energy window is above the upper one"
        return None


@frozen
class Target:
    """Signed power to apply and the limiting constraint (None: the set-point itself)."""

    power_w: float
    binding: str | None = None


def narrowed_by_needs(
    limits: PowerRange, needs: EnergyRequests | None, departure_s: float | None, *, cycling: bool = False
) -> PowerRange:
    """Return the range that the EV's energy requests and departure permit.

    `departure_s`: seconds until departure. `cycling`: V2X cycling only, so charging also ends at the upper edge of the
    V2X window.
    """
    if needs is None:
        return limits
    result = limits
    if needs.minimum_wh > 0:
        result = result.without_discharge("ev_energy")
    if needs.minimum_v2x_wh is not None and needs.minimum_v2x_wh >= 0:
        result = result.without_discharge("ev_v2x_window")
    if needs.maximum_wh <= 0:
        result = result.without_charge("ev_energy")
    if cycling and needs.maximum_v2x_wh is not None and needs.maximum_v2x_wh <= 0:
        result = result.without_charge("ev_v2x_window")
    if departure_s is not None and needs.target_wh > 0:
        needed_w = needs.target_wh * 3600 / max(departure_s, 1.0)
        if needed_w >= DEPARTURE_MARGIN * result.high_w:
            result = result.without_discharge("departure")
    return result


def decide(setpoint_w: float, limits: PowerRange) -> Target:
    """Return the power nearest to the set-point within `limits`; 0 W inside a dead band."""
    power = clamp(setpoint_w, limits.low_w, limits.high_w)
    binding: str | None = None
    if power > setpoint_w:
        binding = limits.low_by
    elif power < setpoint_w:
        binding = limits.high_by
    if (0 < power < limits.dead_high_w) or (limits.dead_low_w < power < 0):
        return Target(0.0, "dead_band")
    return Target(power, binding)
