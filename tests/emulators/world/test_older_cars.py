"""Cars of ISO 15118-2 and DIN 70121 in the emulated world: they charge on command, a discharge is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from emulators.scenario.loading import parse
from emulators.world import simulate

pytestmark = pytest.mark.virtual_time
PROFILE = Path(__file__).parents[3] / "emulators" / "ev" / "profiles" / "ccs-63.toml"
PLAN = """
name = "older cars"
start = 2026-01-15T17:00:00+09:00
duration = "2m"
[gateway]
min_soc_pct = 10
[site]
kind = "home"
[[charger]]
id = "CP"
[[car]]
name = "car"
evse = "CP-1"
profile = "{profile}"
soc_pct = 62
[[command]]
at = "40s"
target = "CP-1"
verb = "discharge"
power_w = 5000
lease_s = 30
[[command]]
at = "60s"
target = "CP-1"
verb = "charge"
power_w = 6000
lease_s = 60
"""


@pytest.mark.parametrize("protocol", ["iso2", "din"])
def test_a_discharge_is_refused_and_charging_works(protocol: str, tmp_path: Path) -> None:
    own = tmp_path / "older.toml"
    own.write_text(PROFILE.read_text("utf-8").replace('protocols = ["iso20"]', f'protocols = ["{protocol}"]'), "utf-8")
    outcome = simulate(parse(PLAN.format(profile=own), "test"), fast_forward=True)
    figures = outcome.figures
    assert figures["cars_discharged_wh"] == 0.0
    assert figures["cars_charged_wh"] == pytest.approx(6_000 * 60 / 3_600, rel=0.1)
    assert figures["commands_refused"] >= 1
    refused = [line for line in map(str, outcome.transcript.lines) if '"status":"refused"' in line]
    assert refused
    assert all('"code":"charging_only"' in line for line in refused)
