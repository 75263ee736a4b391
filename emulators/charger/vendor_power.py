"""Vendors' own ways to order power from the emulated station: a message or a variable, as the vendor profile says."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from emulators.charger.evse import EvseState
    from emulators.charger.station import Station


def message(station: Station, data: object) -> bool:
    """A vendor message with a set-point, as the profile's template says it; whether it was understood."""
    pattern = vendor_pattern(station.vendor.setpoint.data)
    found = pattern.fullmatch(data) if isinstance(data, str) else None
    if found is None:
        return False
    fields = found.groupdict()
    number = int(fields.get("evse") or 1)
    if number not in station.evses or "value" not in fields:
        return False
    return _order(station, station.evses[number], float(fields["value"]))


def variable(station: Station, value: str) -> bool:
    """A variable or configuration key with a set-point for the first EVSE."""
    try:
        return _order(station, station.evses[1], float(value))
    except ValueError:
        return False


def _order(station: Station, evse: EvseState, value: float) -> bool:
    if evse.transaction is None:
        return False
    evse.held_power_w = station.vendor.power_w(value)
    station.wake()
    station.step()
    return True


def vendor_pattern(template: str) -> re.Pattern[str]:
    """The template of a vendor message read backwards."""
    pattern = re.escape(template)
    for name, shape in (("value", r"-?[0-9.]+"), ("seconds", "[0-9]+"), ("evse", "[0-9]+"), ("transaction", ".*")):
        pattern = pattern.replace(re.escape(f"${name}"), f"(?P<{name}>{shape})", 1)
    return re.compile(pattern)
