"""Vendor channels to the power of an emulated station: messages and variables as its vendor profile states them."""

from __future__ import annotations

import re

from emulators.charger.station.context import StationContext
from emulators.charger.station.evse import EvseState
from emulators.charger.station.smart_charging.smart_charging import SmartCharging


class VendorPower:
    """Receiver of set-points and grid-forming orders outside OCPP's own smart charging."""

    def __init__(self, context: StationContext, smart_charging: SmartCharging) -> None:
        self._context, self._evses, self._smart_charging = context, context.evses, smart_charging

    def setpoint_message(self, data: object) -> bool:
        """Apply a set-point in a vendor message; return False if it does not match the template."""
        pattern = vendor_pattern(self._context.vendor.setpoint.data)
        found = pattern.fullmatch(data) if isinstance(data, str) else None
        fields = {} if found is None else found.groupdict()
        number = int(fields.get("evse") or 1)
        if number not in self._evses or "value" not in fields:
            return False
        return self._set_power(self._evses[number], float(fields["value"]))

    def setpoint_variable(self, value: str) -> bool:
        """Apply a set-point for the first EVSE in a variable or configuration key; return False if rejected."""
        try:
            return self._set_power(self._evses[1], float(value))
        except ValueError:
            return False

    def grid_forming(self, number: int, value: str) -> bool:
        """Set one EVSE to grid-forming or grid-following; return False for an unknown value."""
        forming = self._context.vendor.forming
        evse = self._evses.get(number)
        if evse is None or value not in (forming.form, forming.follow):
            return False
        evse.power_path.stage.grid_forming_ordered = value == forming.form
        return True

    def grid_forming_message(self, data: object) -> bool:
        """Apply a grid-forming order in a vendor message; return False if it does not match the template."""
        pattern = vendor_pattern(self._context.vendor.forming.data, value=".+?")
        found = pattern.fullmatch(data) if isinstance(data, str) else None
        return found is not None and self.grid_forming(int(found.groupdict().get("evse") or 1), found["value"])

    def _set_power(self, evse: EvseState, value: float) -> bool:
        if evse.transaction is None:
            return False
        evse.vendor_setpoint_w = self._context.vendor.power_w(value)
        self._smart_charging.wake()
        self._smart_charging.step()
        return True


def vendor_pattern(template: str, value: str = r"-?[0-9.]+") -> re.Pattern[str]:
    """Return the pattern that a vendor message's template produces; `value` is the pattern of its value."""
    pattern = re.escape(template)
    for name, shape in (("value", value), ("seconds", "[0-9]+"), ("evse", "[0-9]+"), ("transaction", ".*")):
        pattern = pattern.replace(re.escape(f"${name}"), f"(?P<{name}>{shape})", 1)
    return re.compile(pattern)
