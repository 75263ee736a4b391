"""Console output of the events of a session, one line each, as text or JSON; shared by `v2x ev` and `v2x secc`."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from dataclasses import fields, is_dataclass
from enum import Enum
from math import isfinite
from typing import Any, TextIO, TypeAlias

Lines: TypeAlias = dict[type[Any], Callable[[Any], str | None]]  # event class to its line, None for none
NO_POWER_W = 50.0  # a lower power is shown as none
SOC_STEP_PCT = 5.0


def plain(value: Any) -> Any:
    """Return a value for JSON: dataclasses become objects, bytes hexadecimal, infinite numbers null."""
    if isinstance(value, Enum):
        return value.value if isinstance(value.value, str) else value.name.lower()
    if is_dataclass(value) and not isinstance(value, type):
        return {one.name: plain(getattr(value, one.name)) for one in fields(value)}
    if isinstance(value, bytes):
        return value.hex().upper()
    if isinstance(value, float):
        return round(value, 6) if isfinite(value) else None
    if isinstance(value, tuple | list | frozenset | set):
        return [plain(one) for one in value]
    if isinstance(value, dict):
        return {str(key): plain(one) for key, one in value.items()}
    return value


def print_error(command: str, text: str) -> None:
    """Print an error of a command on standard error."""
    sys.stderr.write(f"{command}: {text}\n")


def power_text(power_w: float) -> str:
    """Return a signed power in words."""
    if abs(power_w) < NO_POWER_W:
        return "no power"
    return f"{'charging' if power_w > 0 else 'discharging'} {abs(power_w) / 1000:.1f} kW"


def limits_text(max_charge_w: float, max_discharge_w: float) -> str:
    """Return the range of power that one side permits."""
    return f"charging up to {max_charge_w / 1000:.1f} kW, discharging up to {max_discharge_w / 1000:.1f} kW"


class PowerChanges:
    """Selects the measurements that deserve a line: a steady power or target that differs from the one last shown, or a
    state of charge that has changed by `SOC_STEP_PCT`. At first there is no power and no target."""

    def __init__(self) -> None:
        self._last: tuple[float, float] | None = None
        self._shown = (0.0, 0.0)
        self._soc_pct: float | None = None

    def select(self, power_w: float, target_w: float, soc_pct: float | None) -> bool:
        """Return True if these values are to be shown."""
        values = (power_w, target_w)
        steady = self._last is not None and not _differ(values, self._last, 0.02)
        self._last = values
        self._soc_pct = soc_pct if self._soc_pct is None else self._soc_pct
        moved = _differ(values, self._shown, 0.1)
        stepped = soc_pct is not None and self._soc_pct is not None and abs(soc_pct - self._soc_pct) >= SOC_STEP_PCT
        if not steady or not (moved or stepped):
            return False
        self._shown, self._soc_pct = values, soc_pct
        return True


def _differ(values: tuple[float, float], others: tuple[float, float], part: float) -> bool:
    return any(
        abs(one - other) > max(2 * NO_POWER_W, part * abs(other)) for one, other in zip(values, others, strict=True)
    )


class Reporter:
    """Prints events to `out` as JSON lines, or as text by the table `lines`, which omits other events.

    `observe` gets each event, too.
    """

    def __init__(
        self, out: TextIO, as_json: bool, lines: Lines, observe: Callable[[object], None] | None = None
    ) -> None:
        self._observe = observe
        self._out = out
        self._json = as_json
        self._lines = lines
        self._began = time.monotonic()

    def __call__(self, event: Any) -> None:
        if self._observe is not None:
            self._observe(event)
        if self._json:
            self.write_record(type(event).__name__, plain(event))
            return
        build = self._lines.get(type(event))
        line = build(event) if build is not None else None
        if line is not None:
            self._write(line)

    def write_record(self, name: str, values: dict[str, Any]) -> None:
        """Print one JSON line, with `at` in seconds after the start; nothing in text mode."""
        if self._json:
            self._write(json.dumps({"event": name, "at": round(time.monotonic() - self._began, 6), **values}))

    def write_text(self, text: str) -> None:
        """Print a line of text; nothing in JSON mode."""
        if not self._json:
            self._write(text)

    def _write(self, line: str) -> None:
        self._out.write(line + "\n")
        self._out.flush()
