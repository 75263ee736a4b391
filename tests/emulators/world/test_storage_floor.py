"""Floor of a storage that supplies the protected board by its own hardware, once the gateway has ended the supply."""

from __future__ import annotations

from emulators.scenario.loading import parse
from emulators.world import simulate

ALONE = """
name = "the storage supplies the protected board alone"
start = 2026-01-15T19:00:00+09:00
duration = "45m"
step = "2s"
telemetry = "10s"
[gateway.energy]
island = true
off_grid_pct = 20
storage = { controlled = true, forming = true, capacity_wh = 5000 }
tiers = [{ name = "light and refrigerator", priority = 0, expected_w = 400, critical = true }]
[site]
kind = "home"
storage = [{ kind = "new", capacity_wh = 5000, soc_pct = 24, max_w = 5000, backs_critical = true }]
[[grid.events]]
kind = "outage"
at = "2m"
duration = "3h"
[[charger]]
id = "CP1"
"""


ARRIVES = """
forming = true
max_charge_w = 6000
max_discharge_w = 6000
vendor_profile = "vendor-island"
[[car]]
name = "first"
profile = "ccs-63"
evse = "CP1-1"
soc_pct = 70
visits = [{ arrive = "40m", leave = "3h" }]
"""


def test_the_hardware_of_a_storage_is_judged_by_its_own_floor_where_the_site_has_no_other_supply() -> None:
    result = simulate(parse(ALONE, "test"), fast_forward=True)
    figures = result.figures
    assert figures["storage.0.soc_pct"] < 19.0
    assert figures["dark_s"] > 60.0
    assert figures["unserved_critical_wh"] == 0.0
    assert figures["floor_crossed_pct"] <= 0.5


def test_the_step_in_which_a_vehicle_takes_over_from_the_board_is_no_discharge_below_the_floor_of_the_island() -> None:
    text = (ALONE + ARRIVES).replace('"45m"', '"43m"').replace('"2s"', '"5s"')
    text = text.replace("island = true", 'island = true\nforming = ["CP1-1"]\nparallel_forming = true')
    figures = simulate(parse(text, "test"), fast_forward=True).figures
    assert figures["decided.island_adopted"] == 2.0
    assert figures["storage.0.soc_pct"] < 16.0
    assert figures["floor_crossed_pct"] <= 0.5
