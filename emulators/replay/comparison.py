"""Comparison of a live message with the recorded one, field by field.

Session ids, times, challenges and signatures differ in every session and are not compared. Measured values differ with
the hardware; they are compared with a tolerance if one is given.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from emulators.replay.adaptation import SESSION_ID, TIMES
from protocols.iso15118.dialogue import Seen, body
from protocols.iso15118.measurements import number

NEW_IN_EACH_SESSION = TIMES | {SESSION_ID, "Header", "GenChallenge", "Signature", "SchemaID"}
MEASURED = frozenset(
    {
        "EVSEPresentVoltage",
        "EVSEPresentCurrent",
        "EVSEPresentActivePower",
        "EVPresentVoltage",
        "EVPresentActivePower",
        "EVPresentReactivePower",
        "EVTargetVoltage",
        "EVTargetCurrent",
        "EVTargetEnergyRequest",
        "EVMaximumEnergyRequest",
        "EVMinimumEnergyRequest",
        "EVMaximumV2XEnergyRequest",
        "EVMinimumV2XEnergyRequest",
        "EVSEPowerLimitAchieved",
        "EVSECurrentLimitAchieved",
        "EVSEVoltageLimitAchieved",
        "MeterReading",
        "ChargedEnergyReadingWh",
        "BPT_DischargedEnergyReadingWh",
        "PresentSOC",
        "EVRESSSOC",
        "RemainingTimeToMinimumSOC",
        "RemainingTimeToTargetSOC",
        "RemainingTimeToMaximumSOC",
        "RemainingTimeToFullSoC",
        "RemainingTimeToBulkSoC",
        "BulkChargingComplete",
        "ChargingComplete",
        "DepartureTime",
        "EAmount",
        "EVEnergyRequest",
    }
)
SMALLEST_TOLERANCE = 1.0  # of measured values, in their unit
ABSENT = "absent"


@dataclass(frozen=True, slots=True)
class Difference:
    """One field that differs; `path` is "" for the message as a whole."""

    message: str
    path: str
    recorded: object
    found: object

    def __str__(self) -> str:
        place = f"{self.message}{f' {self.path}' if self.path else ''}"
        return f"{place}: recorded {self.recorded}, now {self.found}"


def compare(recorded: Seen, found: Seen, measured_pct: float | None = None) -> list[Difference]:
    """Return where a live message differs from the recorded one."""
    if found.error:
        return [] if recorded.error else [Difference(recorded.name, "", "a readable message", found.error)]
    if recorded.name != found.name:
        return [Difference(recorded.name or "message", "", recorded.name or "unreadable", found.name)]
    before, now = (dict(_leaves(body(one.plain)[1])) for one in (recorded, found))
    return [
        Difference(recorded.name, path, before.get(path, ABSENT), now.get(path, ABSENT))
        for path in dict.fromkeys([*before, *now])
        if not _equal(path, before.get(path, ABSENT), now.get(path, ABSENT), measured_pct)
    ]


def _equal(path: str, before: object, now: object, measured_pct: float | None) -> bool:
    if before == now:
        return True
    if path.rpartition(".")[2] not in MEASURED or ABSENT in (before, now):
        return False
    if measured_pct is None or isinstance(before, bool) or not isinstance(before, float) or not isinstance(now, float):
        return True
    return abs(before - now) <= max(SMALLEST_TOLERANCE, abs(before) * measured_pct / 100)


def _leaves(plain: object, path: str = "") -> Iterator[tuple[str, object]]:
    """Yield path and value of all fields; physical values as numbers."""
    value = number(plain)
    if value is not None:
        yield path, value
    elif isinstance(plain, dict) and plain:
        for name, inner in plain.items():
            if name not in NEW_IN_EACH_SESSION:
                yield from _leaves(inner, f"{path}.{name}" if path else name)
    elif isinstance(plain, list) and plain:
        for index, item in enumerate(plain):
            yield from _leaves(item, f"{path}[{index}]")
    else:
        yield path, plain
