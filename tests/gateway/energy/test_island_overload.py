"""An island whose load is at or above the limit of its inverter: shed in time, seen when it collapses, and reported."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emulators.scenario.loading import parse
from emulators.world import simulate
from gateway.energy.resilience.collapse import CollapseWatch
from gateway.energy.settings import EnergySection, TierTable
from tests.gateway.commands.rig import ServiceRig, service_rig
from tests.gateway.energy.island_plant import RESTART_S, IslandPlant
from tests.rounds import rounds, some
from tests.virtual_time import virtual_examples

NAMES = ("medical", "light", "kitchen", "cooling")
TIERS = tuple(
    TierTable(name=name, priority=number, expected_w=1500, critical=number < 2) for number, name in enumerate(NAMES)
)
SECTION = EnergySection(island=True, forming=("CP1-1",), tiers=TIERS, off_grid_pct=15)


def decided(rig: ServiceRig, code: str) -> int:
    return sum(event.code == code for event in rig.published.events)


@pytest.mark.virtual_time
async def test_critical_tiers_at_the_limit_are_shed_before_the_start_and_the_rest_is_supplied() -> None:
    async with service_rig("CP1-1", energy=SECTION) as rig:
        plant = IslandPlant(rig, load_w=0.0, limit_w=10_000.0, tier_w=dict.fromkeys(NAMES, 5200.0))
        await plant.live(10)
        plant.present = False
        await plant.live(300)
        assert plant.collapses == []
        assert plant.lit
        assert rig.energy_service.state is not None
        assert rig.energy_service.state.tiers == {"medical": True, "light": False, "kitchen": False, "cooling": False}


@pytest.mark.virtual_time
async def test_a_load_step_beyond_the_inverter_is_seen_shed_and_over() -> None:
    async with service_rig("CP1-1", energy=SECTION) as rig:
        plant = IslandPlant(rig, load_w=0.0, tier_w=dict.fromkeys(NAMES, 1500.0))
        await plant.live(10)
        plant.present = False
        await plant.live(900)
        plant.tier_w["cooling"] = 9000.0
        await plant.live(300)
        assert len(plant.collapses) <= 1
        assert plant.lit
        assert decided(rig, "source_lost") == decided(rig, "source_back") == len(plant.collapses)
        assert rig.energy_service.forming == "CP1-1"
        state = rig.energy_service.state
        assert state is not None
        assert state.tiers["medical"]
        assert not state.tiers["cooling"]


@pytest.mark.virtual_time
async def test_an_overload_that_no_tier_can_shed_is_tried_less_and_less_often_and_reported() -> None:
    async with service_rig("CP1-1", energy=SECTION) as rig:
        plant = IslandPlant(rig, load_w=2000.0, tier_w=dict.fromkeys(NAMES, 500.0))
        await plant.live(10)
        plant.present = False
        await plant.live(60)
        plant.load_w = 11_000.0
        await plant.live(1800)
        gaps = [after - before for before, after in zip(plant.collapses, plant.collapses[1:], strict=False)]
        pauses = [gap for gap in gaps if gap > RESTART_S + 1]
        assert len(plant.collapses) <= 40
        assert pauses[-1] >= 300
        assert pauses[1:] == sorted(pauses[1:])
        assert decided(rig, "island_cannot_hold") >= 1
        [text, *_] = [event.text for event in rig.published.events if event.code == "island_cannot_hold"]
        assert "by hand" in text
        plant.load_w = 2000.0
        await plant.live(330)
        assert plant.lit
        assert rig.energy_service.forming == "CP1-1"


@settings(max_examples=rounds(3, 6), deadline=None)
@given(
    draws=st.lists(st.floats(0.3, 3.0), min_size=4, max_size=4),
    steps=st.lists(st.tuples(st.integers(30, 300), st.sampled_from(NAMES), st.floats(0.0, 3.0)), max_size=3),
    base_w=st.sampled_from([0.0, 300.0, 2000.0]),
)
@virtual_examples
async def test_collapses_are_few_and_seen(
    draws: list[float], steps: list[tuple[int, str, float]], base_w: float
) -> None:
    """Any draw of the tiers and any steps of it: few collapses, reported as lost and back, and supply at the end."""
    async with service_rig("CP1-1", energy=SECTION) as rig:
        tier_w = {name: 1500.0 * draw for name, draw in zip(NAMES, draws, strict=True)}
        plant = IslandPlant(rig, load_w=base_w, tier_w=tier_w)
        await plant.live(10)
        plant.present = False
        for seconds, name, draw in steps:
            await plant.live(seconds)
            plant.tier_w[name] = 1500.0 * draw
        await plant.live(400)
        assert len(plant.collapses) <= 10 * (len(steps) + 1)  # the inverter alone would try for ever, each 5 s
        assert decided(rig, "source_lost") <= 3 * (len(steps) + 1)
        assert decided(rig, "source_lost") == decided(rig, "source_back")
        assert bool(decided(rig, "source_lost")) is bool(plant.collapses)
        assert plant.lit
        assert rig.energy_service.forming == "CP1-1"


loads = st.lists(st.tuples(st.none() | st.sampled_from([0.0, 5.0, 40.0, 150.0, 900.0, 4000.0]), st.integers(1, 9)))


@given(loads, st.sampled_from([0.0, 1500.0]), st.sampled_from([0.0, 900.0]))
def test_a_collapse_needs_a_load_that_falls_to_nothing_for_a_while(
    steps: list[tuple[float | None, int]], expected_w: float, supplied_w: float
) -> None:
    """Missing readings, small loads, loads that are switched off, and a source that measurably supplies are none."""
    watch, now, zeros, live = CollapseWatch(), 0.0, 0, False
    for load_w, seconds in steps:
        for _ in range(seconds):
            now += 1.0
            change = watch.update(now, load_w, expected_w, supplied_w, now - 0.5)
            if load_w is not None:
                zeros = zeros + 1 if load_w <= 10.0 else 0
                live = live or load_w >= 200.0
            if change is False:
                assert live or zeros >= 15
                assert zeros >= 2
                assert expected_w > 0
                assert not supplied_w
            if change is True:
                assert load_w is not None
                assert load_w > 10.0


CASE = """
name = "the critical load of a shelter is at the limit of the inverter"
seed = 31
start = 2026-09-08T19:00:00+09:00
duration = "20m"
step = "1s"
telemetry = "30s"
[gateway]
min_soc_pct = 15
[gateway.energy]
step_s = 1
island = true
off_grid_pct = 15
forming = ["CP1-1"]
tiers = [
    { name = "radio, light and charging", priority = 0, expected_w = 1600, critical = true },
    { name = "medical and refrigeration", priority = 0, expected_w = 500, critical = true },
    { name = "water and kitchen", priority = 1, expected_w = 2000, wants_hours = 6 },
    { name = "ventilation and air", priority = 2, expected_w = 2600, wants_hours = 12 },
]
[site]
kind = "evacuation-centre"
scale = 1.6
[[grid.events]]
kind = "outage"
at = "3m"
duration = "16m"
[[charger]]
id = "CP1"
forming = true
max_charge_w = 3500
max_discharge_w = 3500
[[car]]
name = "a"
evse = "CP1-1"
soc_pct = 80
visits = [{ arrive = "20s", leave = "20m" }]
"""


@pytest.mark.timeout(300)
def test_a_shelter_at_the_limit_of_its_inverter_does_not_collapse() -> None:
    result = simulate(parse(CASE, "test"), fast_forward=True)
    assert not [event for event in result.recording.events if "collapsed" in event.text]
    assert result.figures["dark_s"] < 10


@pytest.mark.virtual_time
@pytest.mark.parametrize(("load_w", "reported"), some(product([10_500.0, 11_000.0, 25_000.0], [False, True]), 5))
async def test_a_collapse_is_seen_without_a_load_meter_by_the_charger_s_own(load_w: float, reported: bool) -> None:
    """The same pauses, events and shedding as with the input `load`, whether it never comes or ceases in the outage."""
    async with service_rig("CP1-1", energy=SECTION) as rig:
        plant = IslandPlant(rig, load_w=2000.0, tier_w=dict.fromkeys(NAMES, 500.0))
        plant.silent = set() if reported else {"load"}
        await plant.live(10)
        plant.present = False
        await plant.live(60)
        plant.silent = {"load"}
        await plant.live(30)
        assert plant.lit
        assert plant.collapses == []
        plant.load_w = load_w
        await plant.live(900)
        assert 1 <= len(plant.collapses) <= 41
        assert decided(rig, "source_lost") >= 1
        assert decided(rig, "tier_shed") >= 2
        assert decided(rig, "island_cannot_hold") >= 1
        plant.load_w = 2000.0
        await plant.live(330)
        assert plant.lit
        assert rig.energy_service.forming == "CP1-1"


@pytest.mark.virtual_time
@pytest.mark.parametrize("pv_w", some([None, 0.0, 500.0, 2000.0], 3))
async def test_an_island_that_holds_without_a_load_meter_is_not_seen_as_collapsed(pv_w: float | None) -> None:
    """Also where PV covers the load, so that the charger's meter reads nothing."""
    async with service_rig("CP1-1", energy=SECTION) as rig:
        plant = IslandPlant(rig, load_w=2000.0 - (pv_w or 0.0), tier_w=dict.fromkeys(NAMES, 0.0), silent={"load"})
        await plant.live(10)
        plant.present = False
        for _ in range(600):
            if pv_w is not None:
                plant.input("pv", power_w=pv_w)
            await plant.live(1)
        assert decided(rig, "source_lost") == 0
        assert plant.dark_since_formed_s == 0


@settings(max_examples=rounds(8, 25), deadline=None)
@given(st.lists(st.tuples(st.floats(0, 14_000), st.integers(1, 120)), min_size=1, max_size=8))
@virtual_examples
async def test_without_a_load_meter_no_island_collapses_on_unseen(steps: list[tuple[float, int]]) -> None:
    """Any course of loads: an island that collapsed thrice has been seen, and one that never did has not."""
    async with service_rig("CP1-1", energy=SECTION) as rig:
        plant = IslandPlant(rig, load_w=1000.0, tier_w=dict.fromkeys(NAMES, 300.0), silent={"load"})
        await plant.live(10)
        plant.present = False
        await plant.live(60)
        for load_w, seconds in steps:
            plant.load_w = max(250.0, load_w)
            await plant.live(seconds)
        lost = decided(rig, "source_lost")
        assert not lost or plant.collapses
        assert lost or len(plant.collapses) < 3
