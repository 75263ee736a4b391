"""Vendors' own ways to order power from the emulated station: a message or a variable, as the vendor profile says."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from emulators.charger.station.evse import EvseState
    from emulators.charger.station.station import Station


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


def formed(station: Station, number: int, value: str) -> bool:
    """An order to form an island's voltage, or to follow a grid, for one EVSE; whether it was understood."""
    say = station.vendor.forming
    evse = station.evses.get(number)
    if evse is None or value not in (say.form, say.follow):
        return False
    evse.told_to_form = evse.outlet.stage.told_to_form = value == say.form
    return True


def forming_message(station: Station, data: object) -> bool:
    """The vendor message that says the same, as the profile's template has it."""
    found = vendor_pattern(station.vendor.forming.data, value=".+?").fullmatch(data) if isinstance(data, str) else None
    return found is not None and formed(station, int(found.groupdict().get("evse") or 1), found["value"])


def _order(station: Station, evse: EvseState, value: float) -> bool:
    if evse.transaction is None:
        return False
    evse.held_power_w = station.vendor.power_w(value)
    station.wake()
    station.step()
    return True


def vendor_pattern(template: str, value: str = r"-?[0-9.]+") -> re.Pattern[str]:
    """The template of a vendor message read backwards; `value` is what its value looks like."""
    pattern = re.escape(template)
    for name, shape in (("value", value), ("seconds", "[0-9]+"), ("evse", "[0-9]+"), ("transaction", ".*")):
        pattern = pattern.replace(re.escape(f"${name}"), f"(?P<{name}>{shape})", 1)
    return re.compile(pattern)
