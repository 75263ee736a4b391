"""Physical values in decoded messages of all generations: what both sides state, and which limits the values breach.

Works on messages as JSON (`protocols.exi.plain`), by the names of the standards, which differ little between
generations. + is into the vehicle.
"""

from __future__ import annotations

from collections.abc import Iterator

VOLTAGES = ("EVSEPresentVoltage", "EVPresentVoltage")
CURRENTS = ("EVSEPresentCurrent",)
STATES_OF_CHARGE = ("PresentSOC", "EVRESSSOC")
_CHARGE_LIMITS = ("EVMaximumChargeCurrent", "EVMaximumCurrentLimit", "EVMaximumCurrent")
_DISCHARGE_LIMITS = ("EVMaximumDischargeCurrent",)
_VOLTAGE_LIMITS = ("EVMaximumVoltage", "EVMaximumVoltageLimit")
_EVSE_LIMITS = (
    ("EVTargetCurrent", ("EVSEMaximumCurrentLimit", "EVSEMaximumChargeCurrent")),
    ("EVTargetVoltage", ("EVSEMaximumVoltageLimit", "EVSEMaximumVoltage")),
)
TOLERANCE, TOLERANCE_UNITS = 0.02, 1.0  # a charger may be out by 2 % or 1 A, 1 V


def number(plain: object) -> float | None:
    """Return a physical value (-2, DIN), a rational number (-20) or a plain number as SI value; None for others."""
    if isinstance(plain, bool):
        return None
    if isinstance(plain, int | float):
        return float(plain)
    if isinstance(plain, dict) and isinstance(plain.get("Value"), int):
        exponent = plain.get("Exponent", plain.get("Multiplier"))
        return float(plain["Value"] * 10.0**exponent) if isinstance(exponent, int) else None
    return None


def values(plain: object) -> dict[str, float]:
    """Return the numbers of a message by element name; of a repeated name the first."""
    found: dict[str, float] = {}
    for name, value in _numbers(plain):
        found.setdefault(name, value)
    return found


def _numbers(plain: object) -> Iterator[tuple[str, float]]:
    if isinstance(plain, list):
        for item in plain:
            yield from _numbers(item)
    if not isinstance(plain, dict):
        return
    for name, value in plain.items():
        found = number(value)
        if found is not None:
            yield name, found
        else:
            yield from _numbers(value)


class StatedLimits:
    """Limits that both sides have stated so far in a session."""

    def __init__(self) -> None:
        self._stated: dict[str, float] = {}

    def check(self, message: dict[str, float]) -> list[str]:
        """Return the limits that the values of a message breach; then adopt the limits that it states."""
        found = [
            breach
            for value, limits in ((n, ls) for names, ls in _CHECKS for n in names)
            if value in message
            for breach in self._over(value, message[value], limits)
        ]
        current = message.get("EVSEPresentCurrent")
        if current is not None and current < 0:
            limit = max((abs(x) for x in self._known(_DISCHARGE_LIMITS)), default=0.0)
            if _exceeds(-current, limit):
                found.append(f"EVSEPresentCurrent {current:g} exceeds the discharge limit {limit:g} of the EV")
        self._stated |= message
        return found

    def _over(self, name: str, value: float, limits: tuple[str, ...]) -> Iterator[str]:
        for limit in limits:
            if limit in self._stated and _exceeds(value, self._stated[limit]):
                yield f"{name} {value:g} exceeds {limit} {self._stated[limit]:g}"
                return

    def _known(self, names: tuple[str, ...]) -> list[float]:
        return [self._stated[name] for name in names if name in self._stated]


_CHECKS: tuple[tuple[tuple[str, ...], tuple[str, ...]], ...] = (
    (CURRENTS, _CHARGE_LIMITS),
    (("EVSEPresentVoltage",), _VOLTAGE_LIMITS),
    *(((name,), limits) for name, limits in _EVSE_LIMITS),
)


def _exceeds(value: float, limit: float) -> bool:
    return value > limit * (1 + TOLERANCE) + TOLERANCE_UNITS
