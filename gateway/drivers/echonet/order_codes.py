"""Properties and codes by which the objects of a class are ordered. Mode, power and limits have the same EPC in all."""

from __future__ import annotations

from protocols.echonet import classes
from protocols.frozen import frozen

STANDBY, AUTO = "standby", "auto"


@frozen
class OrderCodes:
    """Codes of one class.

    `at_rest`: modes without power. `own`: modes whose power the device decides itself. `ends`: modes in which a power
    that was not renewed ends, the first one that the device has. `most_charge`: the charging method without a power,
    None where a device is not to be charged without one.
    """

    noun: str
    charge: str
    discharge: str
    charge_method: int
    discharge_method: int
    designated: str
    limits: tuple[str, str]  # elements of C8 and C9: least and greatest power
    at_rest: tuple[str, ...] = (STANDBY,)
    own: tuple[str, ...] = ()
    ends: tuple[str, ...] = (STANDBY,)
    most_charge: str | None = None

    @property
    def unordered(self) -> tuple[str, ...]:
        """Modes that no order for a power leaves behind."""
        return self.at_rest + self.own


_BOX = OrderCodes(
    "box", "charge", "discharge", 0xDC, 0xDD, "designatedElectricPower",
    ("minimumElectricPower", "maximumElectricPower"),
    at_rest=(STANDBY, "idle"), most_charge="maximumChargingElectricPower",
)  # fmt: skip
_BATTERY = OrderCodes(
    "battery", "charging", "discharging", 0xC1, 0xC2, "designatedPower", ("minValue", "maxValue"),
    own=(AUTO, "test", "restart", "capacityRecalculation", "other"), ends=(AUTO, STANDBY),
)  # fmt: skip


def codes_of(class_code: int) -> OrderCodes:
    """Return the codes of a class."""
    return _BATTERY if class_code == classes.STORAGE_BATTERY else _BOX
