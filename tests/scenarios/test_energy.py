"""Energy management in simulation: each scenario meets its expected figures."""

from __future__ import annotations

from typing import Any

import pytest

from emulators.scenario.loading import check, load, shipped
from emulators.scenario.scenario import Scenario, ScenarioError
from emulators.world import SimulationResult, simulate

OURS = [name for name in shipped() if name.startswith("energy-")]
QUICK = (
    "energy-black-start",
    "energy-grid-service",
)  # the others run in `make soak`
OF = {  # functions, and the scenarios that test them
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


def test_each_function_of_energy_management_has_a_scenario() -> None:
    assert set(OF.values()) <= set(OURS)
    for name in OURS:
        assert load(name).expect
        assert {"fed_dead_grid_wh", "fed_dead_grid_steps", "floor_crossed_pct"} & set(load(name).expect), name


@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", [one if one in QUICK else pytest.param(one, marks=pytest.mark.soak) for one in OURS])
def test_the_scenario_meets_its_expectations(name: str) -> None:
    result = simulate(load(name), fast_forward=True)
    assert result.violations == []
    assert result.figures["fed_dead_grid_wh"] == 0
    assert result.figures["not_seen_on_meter"] == 0  # no alarm for a source that supplies an island
    assert result.figures["fed_dead_grid_steps"] == 0  # counted in each step of the site
    assert all(value == 0 for figure, value in result.figures.items() if figure.endswith(".fed_dead_grid_steps"))


def _bill(result: SimulationResult) -> float:
    """Return the cost of the day, with the energy left in car and storage at the low night price."""
    night = 16 / 0.94 / 1000
    remaining = result.figures["car.family.soc_pct"] / 100 * 39_000 + result.figures["storage.0.soc_pct"] / 100 * 10_000
    return result.figures["energy_cost"] - remaining * night


@pytest.mark.soak
@pytest.mark.timeout(1800)
def test_the_plan_is_cheaper_than_rules_on_the_same_day() -> None:
    def day(plan: bool) -> SimulationResult:
        scenario = load("energy-price-day")
        energy = {**scenario.gateway.energy, "plan": plan}
        return simulate(
            scenario.model_copy(update={"gateway": scenario.gateway.model_copy(update={"energy": energy})}),
            fast_forward=True,
        )

    planned, ruled = day(True), day(False)
    assert "decided.mode_plan" not in ruled.figures
    assert planned.figures["energy_cost"] < ruled.figures["energy_cost"]
    assert _bill(ruled) - _bill(planned) > 0.1 * ruled.figures["energy_cost"]


def _multi_site(**changes: Any) -> dict[str, Any]:
    table: dict[str, Any] = load("energy-blue-switch").model_dump(exclude_unset=True)
    table["town"] |= changes
    return table


def test_a_multi_site_table_is_validated() -> None:
    assert isinstance(check(_multi_site(), "town.toml"), Scenario)
    with pytest.raises(ScenarioError, match="VAN9 is not in the agreements"):
        check(_multi_site(lent=[{"vehicle": "VAN9"}]), "town.toml")
    twice = [*_multi_site()["town"]["neighbour"]] * 2
    with pytest.raises(ScenarioError, match=r"the same gateway\.site"):
        check(_multi_site(neighbour=twice), "town.toml")
