"""Objects over ECHONET Lite that are inputs of the site, and what their properties mean."""

from __future__ import annotations

from dataclasses import dataclass, field

from gateway.drivers.echonet.finding import ObjectLink
from gateway.drivers.echonet.reader import ObjectReader
from gateway.drivers.site_inputs import Values
from gateway.model.site import InputKind
from protocols.echonet import classes
from protocols.echonet.events import ObjectDescribed
from protocols.modbus.register import Meaning

_Number = tuple[int, str | None]  # property, and an element of a structure
_MEANINGS: dict[int, dict[Meaning, _Number]] = {
    classes.STORAGE_BATTERY: {
        Meaning.POWER_W: (0xD3, None),
        Meaning.SOC_PCT: (0xE4, None),
        Meaning.CAPACITY_WH: (0xD0, None),
        Meaning.MAX_CHARGE_W: (0xC8, "maxValue"),
        Meaning.MAX_DISCHARGE_W: (0xC9, "maxValue"),
    },
    classes.SOLAR: {Meaning.POWER_W: (0xE0, None)},
    classes.DISTRIBUTION_BOARD: {Meaning.POWER_W: (0xC6, None)},
    classes.SMART_METER: {Meaning.POWER_W: (0xE7, None)},
    classes.MULTIPLE_INPUT_PCS: {Meaning.POWER_W: (0xE7, None)},
}
_SLOW = (0xC8, 0xC9, 0xD0)
_OTHERS = {classes.STORAGE_BATTERY: (0xA0, 0xA1, 0xE2), classes.DISTRIBUTION_BOARD: (0xC8,)}  # of derived values
VOLTAGES = 0xC8  # of a distribution board: of both halves of a three-wire supply


@dataclass(slots=True)
class SiteObject:
    """One object, see `gateway.drivers.site_inputs.SiteSource`.

    `behind_box`: in an outage a V2H box supplies it, so that it states nothing about the grid.
    """

    name: str
    kind: InputKind
    link: ObjectLink
    sign: int = 1
    values: Values = field(default_factory=dict)
    read_at: float = 0.0
    behind_box: bool = True


def properties_of(code: int) -> tuple[list[int], list[int]]:
    """Return the properties of a class that are read each time, and those that are read seldom."""
    wanted = [*(epc for epc, _ in _MEANINGS[code].values()), *_OTHERS.get(code, ())]
    slow = _SLOW if code == classes.STORAGE_BATTERY else ()
    return [epc for epc in wanted if epc not in slow], list(slow)


def reader_of(described: ObjectDescribed) -> ObjectReader:
    """Return the reader of an object."""
    return ObjectReader(described, *properties_of(described.eoj.class_code))


def values_of(code: int, box: ObjectReader) -> Values:
    """Return the values of an object by their meaning; what it does not state is left out."""
    found: dict[Meaning, float | str] = {}
    for meaning, (epc, element) in _MEANINGS[code].items():
        if (value := box.number(epc, element)) is not None:
            found[meaning] = value
    if code == classes.STORAGE_BATTERY:
        capacity_wh = found.get(Meaning.CAPACITY_WH) or box.number(0xA1) or box.number(0xA0)
        stored_wh = box.number(0xE2)
        if capacity_wh:
            found[Meaning.CAPACITY_WH] = capacity_wh
            if Meaning.SOC_PCT not in found and stored_wh is not None:
                found[Meaning.SOC_PCT] = min(100.0, 100.0 * stored_wh / float(capacity_wh))
    elif code == classes.DISTRIBUTION_BOARD:
        halves = [box.number(VOLTAGES, "rS"), box.number(VOLTAGES, "sT")]
        if stated := [one for one in halves if one is not None]:
            found[Meaning.VOLTAGE_V] = sum(stated)
    return found
