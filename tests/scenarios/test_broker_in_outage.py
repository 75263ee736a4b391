"""A broker that fails while the site is an island: what nobody reports is no collapse, and supply continues."""

from __future__ import annotations

from itertools import product

import pytest

from emulators.scenario.loading import parse
from emulators.world import SimulationResult, simulate
from tests.rounds import some

OUTAGE = """
name = "the broker fails in an outage"
start = 2026-01-15T17:00:00+09:00
duration = "15m"
telemetry = "10s"
[gateway]
min_soc_pct = 20
[gateway.energy]
island = true
off_grid_pct = 20
forming = ["CP1-1"]
tiers = [
    {{ name = "light and refrigerator", priority = 0, expected_w = 400, critical = true }},
    {{ name = "kitchen and bath", priority = 1, expected_w = 900 }},
    {{ name = "air conditioning", priority = 2, expected_w = 800 }},
]
[site]
kind = "home"
[[grid.events]]
kind = "outage"
at = "2m"
duration = "1m"
[[charger]]
id = "CP1"
forming = true
{profile}
[[car]]
name = "car"
evse = "CP1-1"
soc_pct = 80
[[fault]]
kind = "{fault}"
at = "{at}"
duration = "{lasts}"
"""


def outage(fault: str, at: str, lasts: str, profile: str = "vendor-island") -> SimulationResult:
    line = f'vendor_profile = "{profile}"'
    return simulate(parse(OUTAGE.format(fault=fault, at=at, lasts=lasts, profile=line), "test"), fast_forward=True)


@pytest.mark.parametrize(
    ("profile", "fault"), some(product(["vendor-island", "generic-2.1"], ["broker-stop", "broker-freeze"]), 3)
)
def test_a_grid_that_returns_while_the_broker_is_away_is_no_collapse_of_the_island(fault: str, profile: str) -> None:
    """The switchgear reconnects by itself; the charger's meter then shows nothing, and no input says why."""
    result = outage(fault, "7m", "4m", profile)
    figures = result.figures
    assert figures.get("decided.source_lost", 0) == figures.get("decided.black_start_failed", 0) == 0
    assert figures["alarms"] == figures["not_seen_on_meter"] == 0
    assert figures["dark_s"] <= 20.0
