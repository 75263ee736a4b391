"""Orders to a device as writes, in the order of its register map, and the only place where a write is made. Pure.

A write that the map forbids raises `ForbiddenWrite` and is never sent.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from protocols.modbus.messages import Write
from protocols.modbus.register import Meaning, Register
from protocols.modbus.register_map import Control, Quantity, RegisterMap, Step, When
from protocols.quantities import clamp


class ForbiddenWrite(Exception):
    """A value that the register map does not permit to write; the text names the register."""


@dataclass(frozen=True, slots=True)
class Amounts:
    """Values that the steps of an order take."""

    power_w: float
    watchdog_s: int = 0
    running: bool = False
    running_w: float = 0.0  # power that it was set to before
    values: Mapping[Meaning, float | str] = field(default_factory=dict)  # as read, for what refers to a rating

    def of(self, quantity: Quantity) -> float:
        """Return one of them. Raises ForbiddenWrite where the device does not state its rating."""
        match quantity:
            case Quantity.POWER_W:
                return self.power_w
            case Quantity.CHARGE_W:
                return max(0.0, self.power_w)
            case Quantity.DISCHARGE_W:
                return max(0.0, -self.power_w)
            case Quantity.CHARGE_PCT:
                return self._pct(self.power_w, Meaning.MAX_CHARGE_W)
            case Quantity.DISCHARGE_PCT:
                return self._pct(-self.power_w, Meaning.MAX_DISCHARGE_W, Meaning.MAX_CHARGE_W)
            case Quantity.LIMIT_PCT:
                return clamp(100.0 + self._pct(self.power_w, Meaning.RATED_W), 0.0, 100.0)
        return float(self.watchdog_s)

    def _pct(self, power_w: float, *ratings: Meaning) -> float:
        """Return a power in per cent of the first rating that the device states."""
        for meaning in ratings if power_w else ():
            rating = self.values.get(meaning)
            if isinstance(rating, float) and rating > 0:
                return clamp(power_w / rating * 100.0, -100.0, 100.0)
        if power_w:
            raise ForbiddenWrite(f"the device does not state {ratings[0]}, to which its orders refer")
        return 0.0

    def applies(self, when: When) -> bool:
        """Return whether a step is written for this order."""
        match when:
            case When.CHARGE:
                return self.power_w > 0
            case When.DISCHARGE:
                return self.power_w < 0
            case When.REVERSAL:
                return self.power_w * self.running_w < 0
            case When.RESTING:
                return not self.running
        return True


Exponent = Callable[[Register], int | None]


def writes(product: RegisterMap, steps: tuple[Step, ...], amounts: Amounts, exponent: Exponent) -> Iterator[Write]:
    """Yield the writes of a sequence."""
    for step in steps:
        if amounts.applies(step.when):
            value = step.value if step.quantity is None else amounts.of(step.quantity)
            yield write(product, product.by_name[step.register_], value, exponent)


def write(product: RegisterMap, register: Register, value: float | str, exponent: Exponent) -> Write:
    """Return the write of one value, within the bounds of its register. Raises ForbiddenWrite."""
    power = exponent(register)
    if power is None or register.address is None:
        raise ForbiddenWrite(f"{register.name}: its scale factor is not known")
    if not isinstance(value, str):
        value = clamp(value, register.least if register.least is not None else value,
                      register.most if register.most is not None else value)  # fmt: skip
    try:
        words = register.encode(value, power)
    except ValueError as error:
        raise ForbiddenWrite(str(error)) from None
    made = Write(product.unit_of(register), register.address, words, register.single)
    if (reason := product.forbidden(made)) is not None:
        raise ForbiddenWrite(reason)
    return made


def watchdog_s(product: RegisterMap, valid_s: float) -> int | None:
    """Return the silence time-out for a power that is valid for so long: 0 where the device has none, None where even
    its shortest one would outlive the power.

    Where each request restarts it, a third of the time: it must end with the power although requests go on.
    """
    watchdog = product.watchdog
    if watchdog is None:
        return 0
    longest = int(min(valid_s, watchdog.most_s))
    if longest < watchdog.least_s:
        return None
    return longest if watchdog.restarts == "write" else int(max(watchdog.least_s, longest // 3))


def rounded(control: Control, power_w: float) -> float:
    """Return the power, 0 where it is below what the device can do."""
    return 0.0 if abs(power_w) < max(control.least_w, 1.0) else power_w
