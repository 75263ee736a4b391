"""Physical checks of a vehicle on its charger in the charge loop; the vehicle ends the session with the reason.

For all protocols: it works on currents, voltages and powers, + into the vehicle. The engines have a guard of
the limits of their own, which is faster than this one.
"""

from __future__ import annotations

from protocols.frozen import frozen
from protocols.iso15118.iso20.limits import Limits

NO_CURRENT_A = 2.0  # a measurement below counts as none
NO_POWER_W = 100.0
TOLERANCE = 1.05  # of limits
PRE_CHARGE_V = 20.0  # permitted difference of output and battery when current begins to flow
DIRECTION_WITHIN_S = 0.5  # an AC charger may take so long to react
LIMITS_WITHIN_S = 4.0
REFUSED = "charger refused"  # termination code


@frozen(kw_only=True)
class ChargerOutput:
    """Output of the charger as reported, and what the vehicle has agreed to."""

    current_a: float
    voltage_v: float | None
    battery_v: float
    contactors_closed: bool
    discharge_agreed: bool
    limits: Limits


class ChargerCheck:
    """Checks of one session. `refusal` returns why the vehicle ends it, None as long as all is well."""

    def __init__(self) -> None:
        self._since: dict[str, float] = {}
        self._flowed = False

    def ac_refusal(self, power_w: float, *, discharge_agreed: bool, now: float) -> str | None:
        """Check the power that an AC charger requests or measures."""
        if self._lasts("direction", power_w < -NO_POWER_W and not discharge_agreed, DIRECTION_WITHIN_S, now):
            return f"the charger discharges with {-power_w:.0f} W, which was not negotiated"
        return None

    def refusal(self, output: ChargerOutput, now: float) -> str | None:
        """Check one DC charge loop response."""
        current = output.current_a
        if abs(current) <= NO_CURRENT_A:
            self._since.clear()
            return None
        if not output.contactors_closed:
            return f"the charger supplies {current:.1f} A while the contactors of the vehicle are open"
        first, self._flowed = not self._flowed, True
        if first and output.voltage_v is not None and abs(output.voltage_v - output.battery_v) > PRE_CHARGE_V:
            return (
                f"current flows before pre-charge is reached: {output.voltage_v:.0f} V at the output, "
                f"{output.battery_v:.0f} V at the battery"
            )
        if output.voltage_v is not None and output.voltage_v > output.limits.max_voltage_v * TOLERANCE:
            limit_v = output.limits.max_voltage_v
            return f"the charger's voltage of {output.voltage_v:.0f} V is beyond the limit of {limit_v:.0f} V"
        if current < 0 and not output.discharge_agreed:
            return f"the charger discharges with {-current:.1f} A, which was not negotiated"
        limit = output.limits.max_charge_a if current > 0 else output.limits.max_discharge_a
        if self._lasts("limits", abs(current) > limit * TOLERANCE + NO_CURRENT_A, LIMITS_WITHIN_S, now):
            return f"the charger's current of {current:.1f} A is beyond the limit of {limit:.1f} A"
        return None

    def _lasts(self, check: str, wrong: bool, within_s: float, now: float) -> bool:
        """Return whether a state has been wrong for longer than is permitted."""
        if not wrong:
            self._since.pop(check, None)
            return False
        return now - self._since.setdefault(check, now) >= within_s
