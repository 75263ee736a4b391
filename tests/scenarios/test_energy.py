"""Energy management in the emulated world: real messages, real chargers, each scenario with the figures it promises."""

from __future__ import annotations

import pytest

from emulators.scenarios.scenario import load, shipped
from emulators.world import simulate

OURS = [name for name in shipped() if name.startswith("energy-")]
QUICK = ("energy-evacuation", "energy-storm")  # the others run in `make soak`


def test_each_part_of_energy_management_has_its_scenario() -> None:
    assert {
        "energy-evacuation",
        "energy-flapping-grid",
        "energy-peak-window",
        "energy-pv-storage-first",
        "energy-storm",
        "energy-welfare-night",
    } <= set(OURS)
    assert all(load(name).expect for name in OURS)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", [one if one in QUICK else pytest.param(one, marks=pytest.mark.soak) for one in OURS])
def test_the_scenario_ends_as_it_promises(name: str) -> None:
    outcome = simulate(load(name), fast_forward=True)
    assert outcome.broken == []
    assert outcome.figures["fed_dead_grid_wh"] == 0
