"""Three shelters and two deployed vehicles over three gateways, compared with the best order of visits."""

from __future__ import annotations

from itertools import pairwise
from statistics import fmean

import pytest

from emulators.scenario.loading import load
from emulators.scenario.scenario import Scenario
from emulators.scenario.tables import NeighbourPart
from emulators.site.load import Loads
from emulators.world import SimulationResult, simulate
from gateway.authority.soc_floors import METER_EFFICIENCY
from tests.gateway.blue_switch.visits import Case, least_dark_h

FLOOR_PCT, CEILING_PCT, STORAGE_EFFICIENCY = 25.0, 95.0, 0.94
STORAGE_FLOOR_PCT = 10.0  # of the hardware, which supplies the critical load down to it
LATE_H = 0.1  # of all three together: vehicles plug in, are checked and start


def case_of(scenario: Scenario) -> Case:
    """Return the scenario in the terms of the search: from the outage to the end, with the energies that are there."""
    assert scenario.town is not None
    sites: list[Scenario | NeighbourPart] = [scenario, *scenario.town.neighbour]
    storages = [one.site.storage[0] for one in sites]
    [way_min] = {float(one["minutes"]) for one in scenario.town.agreements["way"]}
    [way_km] = {float(one["km"]) for one in scenario.town.agreements["way"]}
    above_wh = [(one.soc_pct - FLOOR_PCT) / 100 * 63_000 * METER_EFFICIENCY for one in scenario.town.lent]
    begins_h = max(one.grid.events[0].at for one in sites) / 3600
    east, north, west = (
        (one.soc_pct - STORAGE_FLOOR_PCT) / 100 * one.capacity_wh * STORAGE_EFFICIENCY for one in storages
    )
    return Case(
        way_min / 60,
        (east, north, west),
        critical_w(scenario),
        tuple(above_wh),
        (CEILING_PCT - STORAGE_FLOOR_PCT) / 100 * storages[0].capacity_wh * STORAGE_EFFICIENCY,
        storages[0].max_w,
        scenario.charger[0].max_discharge_w,
        scenario.duration / 3600 - begins_h,
        way_km * 160 * METER_EFFICIENCY,
    )


def critical_w(scenario: Scenario) -> float:
    """Return the mean critical load of one shelter."""
    loads, found = Loads.of(scenario.site.kind, scenario.site.scale, scenario.seed), []
    start = scenario.start.timestamp()
    for minute in range(0, int(scenario.duration // 60), 5):
        loads.update(start + 60 * minute, scenario.site.utc_offset)
        found.append(loads.critical_w)
    return fmean(found)


def dark_h(result: SimulationResult, scenario: Scenario) -> float:
    """Return the hours without critical supply, of all shelters together."""
    unserved = [wh for name, wh in result.figures.items() if name.split(".")[-1] == "unserved_critical_wh"]
    assert len(unserved) == 3
    return sum(unserved) / critical_w(scenario)


@pytest.mark.soak
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("soc_pct", [75.0, 45.0])
def test_two_vehicles_supply_three_shelters_as_well_as_the_best_order_of_visits(soc_pct: float) -> None:
    scenario = load("energy-three-shelters")
    assert scenario.town is not None
    if soc_pct != 75.0:  # too little energy for all
        lent = [one.model_copy(update={"soc_pct": soc_pct}) for one in scenario.town.lent]
        agreements = scenario.town.agreements
        cars = [one | {"soc_pct": soc_pct} for one in agreements["car"]]
        town = scenario.town.model_copy(update={"lent": lent, "agreements": agreements | {"car": cars}})
        scenario = scenario.model_copy(update={"town": town, "expect": {}})
    result = simulate(scenario, fast_forward=True, keep_transcript=False)
    assert result.violations == []
    best_h = least_dark_h(case_of(scenario))
    assert dark_h(result, scenario) <= best_h + LATE_H
    assert all(value <= 0.5 for name, value in result.figures.items() if name.endswith("floor_crossed_pct"))


def test_the_search_finds_supply_for_all_three() -> None:
    scenario = load("energy-three-shelters")
    case = case_of(scenario)
    assert least_dark_h(case) == 0.0
    hours = sum(case.stored_wh) / case.draw_w / 3
    assert hours < 0.6 * case.horizon_h  # not by the storages alone
    assert all(a >= b for a, b in pairwise(case.stored_wh))
