"""Scenario of the emulated world of a test, from the arguments of the mark `v2x`."""

from __future__ import annotations

import tomllib
from typing import TYPE_CHECKING, Any, TypeAlias

import pytest

from emulators.pytest_plugin.handles import FOREVER_S

if TYPE_CHECKING:
    from emulators.scenario.scenario import Scenario

START = "2026-01-15T09:00:00+09:00"
Table: TypeAlias = dict[str, Any]
_AWAY = {"arrive": FOREVER_S - 2, "leave": FOREVER_S - 1}  # absent until a test plugs it in


def plan_of(options: Table) -> Scenario:
    """Return the scenario; empties `options`. Raises UsageError."""
    from emulators.scenario import loading

    if (named := options.pop("scenario", None)) is not None:
        if options:
            raise pytest.UsageError(f"the mark v2x has a scenario, so {', '.join(options)} cannot be given too")
        return loading.load(named)
    cars = options.pop("cars", {"ev": "ccs-63"})
    chargers, soc = options.pop("chargers", 1), options.pop("soc_pct", 80.0)
    equipment = {name: options.pop(name) for name in ("ocpp", "forming", "vehicle_link") if name in options}
    table = {
        "name": "test",
        "start": START,
        "duration": FOREVER_S,
        "telemetry": options.pop("telemetry_s", 10.0),
        "gateway": {"min_soc_pct": options.pop("min_soc_pct", 0.0)},
        "site": {"kind": options.pop("site", "home")},
        "inject": options.pop("inject", []),
        "charger": [{"id": f"CP{n + 1}", **equipment} for n in range(chargers)],
        "car": [
            {"name": name, "profile": profile, "evse": f"CP{n % chargers + 1}-1", "soc_pct": soc, "visits": [_AWAY]}
            for n, (name, profile) in enumerate(cars.items())
        ],
    }
    overlay = options.pop("toml", "")
    if options:
        raise pytest.UsageError(f"the mark v2x has no argument {', '.join(options)}")
    try:
        return loading.check(_merged(table, tomllib.loads(overlay)), "the mark v2x")
    except tomllib.TOMLDecodeError as error:
        raise pytest.UsageError(f"the mark v2x: its toml is not TOML: {error}") from error


def _merged(table: Table, above: Table) -> Table:
    """Merge tables key by key; values that are no tables are replaced."""
    merged = {
        key: _merged(table[key], value) if isinstance(value, dict) and isinstance(table.get(key), dict) else value
        for key, value in above.items()
    }
    return {**table, **merged}
