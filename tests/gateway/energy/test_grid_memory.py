"""The state of grid and island outlives the gateway: a loss stays a loss, a running island continues."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.energy.resilience.grid_watch import GridReading, GridWatch
from gateway.energy.resilience.island import Island
from gateway.energy.resilience.phase import IslandInputs, IslandSettings, Source
from gateway.energy.settings import EnergySection
from gateway.store.store import MemoryStore
from tests.gateway.commands.rig import ServiceRig, service_rig
from tests.gateway.energy.island_plant import IslandPlant
from tests.gateway.energy.test_island_commands import ISLAND, command
from tests.rounds import rounds
from tests.virtual_time import virtual_examples

GRID_CODES = {"grid_lost", "input_stale"}


def phase_and_switch(rig: ServiceRig) -> tuple[str, str | None]:
    state = rig.energy_service.state
    assert state is not None
    return state.phase, state.main_switch


@pytest.mark.virtual_time
@pytest.mark.parametrize("verb", ["discharge", "charge", "setpoint"])
@pytest.mark.parametrize("energy", [EnergySection(enabled=False), ISLAND])
async def test_after_a_loss_no_power_is_granted_by_a_gateway_that_was_restarted(
    verb: str, energy: EnergySection
) -> None:
    store = MemoryStore()
    async with service_rig("CP1-1", store=store, energy=energy) as rig:
        plant = IslandPlant(rig, silent={"switch", "load"})
        plant.input("grid", present=True)
        plant.input("grid", present=False)
        await rig.journal.flush()
    async with service_rig("CP1-1", store=store, energy=energy) as rig:
        rig.energy_service.restore(await store.kept(10))
        if energy.enabled:
            rig.energy_service.step()
        refused = await command(rig, "CP1-1", verb, -3000.0)
        assert refused.status == "refused"
        assert refused.reason.code == "grid_lost"
        IslandPlant(rig).input("grid", present=True)
        if not energy.enabled:
            assert (await command(rig, "CP1-1", verb, -3000.0)).status == "accepted"


@pytest.mark.virtual_time
@pytest.mark.parametrize("verb", ["discharge", "charge", "setpoint"])
async def test_a_lost_grid_without_further_reports_stays_lost(verb: str) -> None:
    async with service_rig("CP1-1") as rig:
        IslandPlant(rig).input("grid", present=False)
        await rig.wait(60)
        refused = await command(rig, "CP1-1", verb, 3000.0)
        assert (refused.status, refused.reason.code) == ("refused", "grid_lost")


@pytest.mark.virtual_time
async def test_a_grid_that_was_present_before_the_restart_allows_charging_and_no_infeed_until_it_is_reported() -> None:
    store = MemoryStore()
    async with service_rig("CP1-1", store=store) as rig:
        IslandPlant(rig).input("grid", present=True)
        await rig.journal.flush()
    async with service_rig("CP1-1", store=store) as rig:
        refused = await command(rig, "CP1-1", "discharge", 3000.0)
        assert (refused.status, refused.reason.code) == ("refused", "input_stale")
        assert (await command(rig, "CP1-1", "charge", 3000.0)).status == "accepted"


reports = st.lists(st.sampled_from(["present", "lost", "silent", "restart"]), min_size=1, max_size=8)


@settings(max_examples=rounds(15, 40), deadline=None)
@given(reports)
@virtual_examples
async def test_the_last_report_decides_whatever_lies_between(steps: list[str]) -> None:
    """Reports, silence and restarts in any order: after a loss nothing is granted until the grid is reported."""
    store, last, fresh, number = MemoryStore(), None, False, 0
    while number < len(steps):
        async with service_rig("CP1-1", store=store) as rig:
            while number < len(steps):
                step, number = steps[number], number + 1
                if step == "restart":
                    fresh = False
                    break
                if step == "silent":
                    await rig.wait(30)
                    fresh = False
                    continue
                IslandPlant(rig).input("grid", present=step == "present")
                last, fresh = step, True
            result = await command(rig, "CP1-1", "discharge", 2000.0)
            if step != "restart":
                expected = last is None or (last == "present" and fresh)
                assert (result.status == "accepted") is expected
                if not expected:
                    assert result.reason.code in GRID_CODES
            await rig.journal.flush()


@pytest.mark.virtual_time
async def test_an_island_without_inputs_after_a_restart_stays_as_it_is_until_something_is_known() -> None:
    store = MemoryStore()
    async with service_rig("CP1-1", "CP2-1", store=store, energy=ISLAND) as rig:
        plant = IslandPlant(rig)
        await plant.live(5)
        plant.present = False
        await plant.live(60)
        forming = rig.energy_service.forming
        shed = {name for name, on in rig.energy_service.state.tiers.items() if not on}  # type: ignore[union-attr]
        await rig.journal.flush()
    async with service_rig("CP1-1", "CP2-1", store=store, energy=ISLAND, plugged=False) as rig:
        rig.energy_service.restore(await store.kept(10))
        plant = IslandPlant(rig, present=False, silent={"grid", "load", "switch"}, open=True)
        await plant.live(300)  # neither the facility nor the car is there
        assert rig.energy_service.forming == forming
        for number, name in enumerate(("CP1-1", "CP2-1")):
            rig.stations.plug(name, f"tx{number}")
        await plant.live(600)
        state = rig.energy_service.state
        assert state is not None
        assert (state.forming, state.phase) == (forming, "island")
        assert {name for name, on in state.tiers.items() if not on} == shed
        assert [power for one in rig.stations.evses.values() for _, power, _ in one.orders] == []
        assert not rig.energy_service.controller.island.sure  # nobody is ordered to follow
        plant.silent = set()
        await plant.live(30)
        assert rig.energy_service.forming == forming
        assert plant.dark_since_formed_s == 0
        assert rig.energy_service.controller.island.sure


@pytest.mark.virtual_time
async def test_after_a_loss_the_main_switch_is_not_moved_before_the_facility_reports() -> None:
    """A gateway that starts after the grid has returned must not open a main switch that the facility has closed."""
    store = MemoryStore()
    async with service_rig("CP1-1", store=store, energy=ISLAND, plugged=False) as rig:
        plant = IslandPlant(rig)
        await plant.live(5)
        plant.present = False
        await plant.live(60)
        await rig.journal.flush()
    async with service_rig("CP1-1", store=store, energy=ISLAND) as rig:
        rig.energy_service.restore(await store.kept(10))
        plant = IslandPlant(rig, present=True, silent={"grid", "load", "switch"})
        for _ in range(30):
            await plant.live(1)
            assert phase_and_switch(rig)[1] is None
        plant.silent = set()
        await plant.live(30)
        assert phase_and_switch(rig)[1] is None
        assert rig.evse("CP1-1").decision.power_w == 0  # type: ignore[union-attr]
        await plant.live(700)
        assert phase_and_switch(rig)[0] == "on_grid"


sources = st.sampled_from(["away", "unknown", "able", "empty"])


@settings(max_examples=rounds(50, 200), deadline=None)
@given(st.lists(st.tuples(sources, st.booleans(), st.integers(1, 100)), max_size=8), st.booleans())
def test_an_adopted_island_ends_only_for_what_is_known(steps: list[tuple[str, bool, int]], other: bool) -> None:
    """Whatever appears in which order: the source changes only where it is known to be empty, or late."""
    watch = GridWatch()
    island = Island(IslandSettings(parallel_forming=True), watch, formed_before="A")
    island.restore_loss()
    now, reported_at, able = 0.0, None, False
    for state, reported, seconds in steps:
        for _ in range(seconds):
            now += 1.0
            here = {
                "away": [],
                "unknown": [Source("A", 0.0, 0.0, reported=False)],
                "able": [Source("A", 5000.0, 6000.0)],
                "empty": [Source("A", 0.0, 0.0)],
            }[state]
            found = [*here, Source("B", 9000.0, 6000.0)] if other else here
            if reported:
                reported_at = now if reported_at is None else reported_at
                watch.update(GridReading(present=False, closed=False), now)
            inputs = IslandInputs(
                now, True if reported else None, None, found, True if reported else None, reported=reported
            )
            before = island.forming
            island.step(inputs)
            able = able or state == "able"
            if before == "A" and island.forming != "A":
                late = reported_at is not None and now - reported_at >= 180.0
                assert state == "empty" or able or late
                return
            assert reported_at is not None or not island.sure
