"""Energy management in the emulated world: real messages, real chargers, each scenario with the figures it promises."""

from __future__ import annotations

from typing import Any

import pytest

from emulators.scenario.loading import check, load, shipped
from emulators.scenario.scenario import Scenario, ScenarioError
from emulators.world import SimulationResult, simulate

OURS = [name for name in shipped() if name.startswith("energy-")]
QUICK = (
    "energy-black-start",
    "energy-evacuation",
    "energy-grid-service",
    "energy-storm",
)  # the others run in `make soak`
OF = {  # what is promised, and the scenario that shows it
    "self-consumption, renewable energy stored first": "energy-pv-storage-first",
    "peak shaving on the demand window": "energy-peak-window",
    "price, with a plan": "energy-price-day",
    "grid service": "energy-grid-service",
    "an outage, cars that take turns": "energy-evacuation",
    "an outage through the night": "energy-welfare-night",
    "a grid that comes and goes": "energy-flapping-grid",
    "a reserve before a storm": "energy-storm",
    "a black start by order": "energy-black-start",
    "Blue Switch over several sites": "energy-blue-switch",
}


def test_each_part_of_energy_management_has_its_scenario() -> None:
    assert set(OF.values()) <= set(OURS)
    for name in OURS:
        assert load(name).expect
        assert {"fed_dead_grid_wh", "fed_dead_grid_steps", "floor_crossed_pct"} & set(load(name).expect), name


@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", [one if one in QUICK else pytest.param(one, marks=pytest.mark.soak) for one in OURS])
def test_the_scenario_ends_as_it_promises(name: str) -> None:
    outcome = simulate(load(name), fast_forward=True)
    assert outcome.violations == []
    assert outcome.figures["fed_dead_grid_wh"] == 0
    assert outcome.figures["fed_dead_grid_steps"] == 0  # looked at in each step of the site
    assert all(value == 0 for figure, value in outcome.figures.items() if figure.endswith(".fed_dead_grid_steps"))


def _bill(outcome: SimulationResult) -> float:
    """What the day cost, with what is left in car and store worth a cheap night's price."""
    night = 16 / 0.94 / 1000
    left = outcome.figures["car.family.soc_pct"] / 100 * 39_000 + outcome.figures["storage.0.soc_pct"] / 100 * 10_000
    return outcome.figures["energy_cost"] - left * night


@pytest.mark.soak
@pytest.mark.timeout(1800)
def test_the_plan_is_cheaper_than_rules_of_thumb_on_the_same_day() -> None:
    def day(plan: bool) -> SimulationResult:
        told = load("energy-price-day")
        energy = {**told.gateway.energy, "plan": plan}
        return simulate(
            told.model_copy(update={"gateway": told.gateway.model_copy(update={"energy": energy})}), fast_forward=True
        )

    planned, ruled = day(True), day(False)
    assert "decided.mode_plan" not in ruled.figures
    assert planned.figures["energy_cost"] < ruled.figures["energy_cost"]
    assert _bill(ruled) - _bill(planned) > 0.1 * ruled.figures["energy_cost"]


def _town(**changes: Any) -> dict[str, Any]:
    table: dict[str, Any] = load("energy-blue-switch").model_dump(exclude_unset=True)
    table["town"] |= changes
    return table


def test_a_town_is_checked_like_everything_else() -> None:
    assert isinstance(check(_town(), "town.toml"), Scenario)
    with pytest.raises(ScenarioError, match="VAN9 is not in the agreements"):
        check(_town(lent=[{"vehicle": "VAN9"}]), "town.toml")
    twice = [*_town()["town"]["neighbour"]] * 2
    with pytest.raises(ScenarioError, match=r"the same gateway\.site"):
        check(_town(neighbour=twice), "town.toml")
