"""A command never ends the supply of an island: whatever is commanded, and whether before or during the outage."""

from __future__ import annotations

import itertools
from itertools import product
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.energy.settings import EnergySection, TierTable
from gateway.model.result import Result
from gateway.model.site import SitePolicy
from tests.gateway.commands.rig import ServiceRig, service_rig
from tests.gateway.energy.island_plant import IslandPlant
from tests.rounds import rounds, some
from tests.virtual_time import virtual_examples

TIERS = (
    TierTable(name="medical", priority=0, expected_w=2000, critical=True),
    TierTable(name="cooling", priority=1, expected_w=2000, wants_hours=4),
)
ISLAND = EnergySection(island=True, parallel_forming=True, forming=("CP1-1", "CP2-1"), tiers=TIERS, off_grid_pct=15)
NUMBERS = itertools.count()
POWER_VERBS = ("discharge", "charge", "setpoint", "stop", "schedule")


def body_of(verb: str, power_w: float, lease_s: float, wall: float, starts_s: float) -> dict[str, Any]:
    match verb:
        case "discharge" | "charge":
            return {"power_w": abs(power_w), "lease_s": lease_s}
        case "setpoint":
            return {"power_w": power_w, "lease_s": lease_s}
        case "schedule":
            return {"periods": [{"start": wall + starts_s, "duration_s": 600.0, "power_w": power_w}]}
    return {}


async def command(
    rig: ServiceRig, target: str | None, verb: str, power_w: float, lease_s: float = 30.0, starts_s: float = 0.0
) -> Result:
    body = body_of(verb, power_w, lease_s, rig.clock.wall(), starts_s)
    return await rig.send(target, verb, f"{verb}-{next(NUMBERS)}", **body)


@pytest.mark.virtual_time
@pytest.mark.parametrize("verb", POWER_VERBS)
async def test_a_command_to_the_grid_forming_source_changes_no_supply_and_the_answer_says_so(verb: str) -> None:
    async with service_rig("CP1-1", energy=ISLAND) as rig:
        plant = IslandPlant(rig, load_w=2000.0)
        await plant.live(5)
        plant.present = False
        await plant.live(30)
        assert rig.energy_service.forming == "CP1-1"
        result = await command(rig, "CP1-1", verb, -1000.0, 60.0)
        assert result.binding == "island"
        assert result.reason.code == "island"
        assert result.status == ("refused" if verb == "charge" else "clamped")
        if verb != "charge":
            assert result.effective_w == pytest.approx(-2000.0, abs=100)
        sent = len(rig.stations.evses["CP1-1"].orders)
        await plant.live(120)
        assert plant.dark_since_formed_s == 0
        assert rig.energy_service.forming == "CP1-1"
        assert len(rig.stations.evses["CP1-1"].orders) == sent
        if verb in ("discharge", "setpoint", "stop"):
            assert rig.published.final(result.id).status == "achieved"  # the meter shows what was granted


@pytest.mark.virtual_time
async def test_a_stop_of_the_grid_forming_source_ends_where_the_load_is_only_estimated() -> None:
    """A stop has no lease: it would stay open for as long as the meter differs from the estimate."""
    async with service_rig("CP1-1", energy=ISLAND) as rig:
        plant = IslandPlant(rig, load_w=900.0, silent={"load"})
        await plant.live(5)
        plant.present = False
        await plant.live(30)
        result = await command(rig, "CP1-1", "stop", 0.0)
        assert (result.status, result.binding) == ("clamped", "island")
        await plant.live(30)
        assert rig.published.final(result.id).status == "achieved"


@pytest.mark.virtual_time
@pytest.mark.parametrize("verb", ["discharge", "charge", "setpoint", "stop"])
async def test_a_command_to_the_site_leaves_the_island_what_it_needs(verb: str) -> None:
    async with service_rig("CP1-1", "CP2-1", energy=ISLAND) as rig:
        plant = IslandPlant(rig, load_w=4000.0)
        await plant.live(5)
        plant.present = False
        await plant.live(60)
        forming = rig.energy_service.forming
        result = await command(rig, None, verb, -9000.0, 60.0)
        assert result.status in ("clamped", "refused")
        assert result.binding == "island"
        assert result.reason.code == "island"
        await plant.live(90)
        assert plant.dark_since_formed_s == 0
        assert rig.energy_service.forming == forming


@pytest.mark.virtual_time
@pytest.mark.parametrize(
    ("verb", "target"),
    [("schedule", "CP1-1"), *((verb, one) for verb in ("stop", "discharge", "setpoint") for one in ("CP1-1", None))],
)
async def test_an_outage_finds_a_source_that_a_command_holds(verb: str, target: str | None) -> None:
    async with service_rig("CP1-1", energy=ISLAND) as rig:
        plant = IslandPlant(rig, load_w=2000.0)
        await plant.live(5)
        result = await command(rig, target, verb, -1000.0, 3600.0, starts_s=7200.0)
        assert result.status == "accepted"
        await plant.live(70)
        plant.present = False
        await plant.live(120)
        assert rig.energy_service.forming == "CP1-1"
        assert plant.dark_since_formed_s == 0


@pytest.mark.virtual_time
async def test_sources_under_a_stop_supply_what_the_grid_forming_one_cannot() -> None:
    async with service_rig("CP1-1", "CP2-1", energy=ISLAND) as rig:
        plant = IslandPlant(rig, load_w=8000.0)
        await plant.live(5)
        plant.present = False
        await plant.live(30)
        plant.load_w = 14_000.0
        await plant.live(30)
        forming = rig.energy_service.forming
        other = "CP2-1" if forming == "CP1-1" else "CP1-1"
        result = await command(rig, other, "stop", 0.0)
        assert result.status == "clamped"
        assert result.effective_w is not None
        assert result.effective_w < -3000
        await plant.live(60)
        assert plant.dark_since_formed_s == 0
        assert rig.power(other) <= -4000.0  # 14 kW of load, 10 kW of the grid-forming source


@pytest.mark.virtual_time
async def test_the_floor_of_a_command_does_not_end_the_supply() -> None:
    async with service_rig("CP1-1", energy=ISLAND) as rig:
        plant = IslandPlant(rig, load_w=2000.0)
        await plant.live(5)
        plant.present = False
        await plant.live(30)
        result = await rig.send("CP1-1", "discharge", "d", power_w=1000, lease_s=60, min_soc_pct=95)
        assert result.binding == "island"
        await plant.live(30)
        assert plant.dark_since_formed_s == 0
        assert rig.energy_service.forming == "CP1-1"


@pytest.mark.virtual_time
@pytest.mark.parametrize(
    ("body", "target"), some(product([{"min_soc_pct": 95}, {"energy_wh": 60_000}], ["CP1-1", None]), 3)
)
async def test_a_reserve_commanded_in_an_island_does_not_end_the_supply(
    target: str | None, body: dict[str, float]
) -> None:
    async with service_rig("CP1-1", energy=ISLAND) as rig:
        plant = IslandPlant(rig, load_w=2000.0)
        await plant.live(5)
        plant.present = False
        await plant.live(30)
        result = await rig.send(target, "reserve", "r", **body)
        assert (result.status, result.reason.code) == ("clamped", "island")
        await plant.live(60)
        assert plant.dark_since_formed_s == 0
        assert rig.energy_service.forming == "CP1-1"
        assert rig.published.final("r").status == "achieved"
        plant.present = True
        await plant.live(320)
        assert not rig.energy_service.controller.island.forming
        assert rig.evse("CP1-1").floor_reached  # it is kept again


@pytest.mark.virtual_time
async def test_an_outage_uses_the_only_vehicle_although_a_reserve_is_commanded() -> None:
    async with service_rig("CP1-1", energy=ISLAND) as rig:
        plant = IslandPlant(rig, load_w=2000.0)
        await plant.live(5)
        assert (await rig.send("CP1-1", "reserve", "r", min_soc_pct=95)).status == "accepted"
        await plant.live(5)
        plant.present = False
        await plant.live(60)
        assert rig.energy_service.forming == "CP1-1"
        assert plant.dark_since_formed_s == 0
        assert any(event.code == "reserve_in_use" and "EVSE" in event.text for event in rig.published.events)


@pytest.mark.virtual_time
async def test_a_reserve_is_kept_while_another_source_supplies_the_island() -> None:
    async with service_rig("CP1-1", "CP2-1", energy=ISLAND) as rig:
        plant = IslandPlant(rig, load_w=3000.0)
        await plant.live(5)
        await rig.send("CP2-1", "reserve", "r", min_soc_pct=95)
        plant.present = False
        await plant.live(120)
        assert rig.energy_service.forming == "CP1-1"
        assert rig.power("CP2-1") == 0.0
        rig.stations.unplug("CP1-1")
        await plant.live(60)
        assert rig.energy_service.forming == "CP2-1"
        assert plant.lit


@pytest.mark.virtual_time
async def test_a_reserve_gives_way_where_the_others_cannot_supply_the_critical_load() -> None:
    drawn_w = {"medical": 8000.0, "cooling": 4000.0}
    tiers = tuple(TierTable(name=name, priority=0, expected_w=watts, critical=True) for name, watts in drawn_w.items())
    async with service_rig("CP1-1", "CP2-1", energy=ISLAND.model_copy(update={"tiers": tiers})) as rig:
        plant = IslandPlant(rig, load_w=0.0, tier_w=drawn_w)
        await plant.live(5)
        await rig.send("CP2-1", "reserve", "r", min_soc_pct=95)
        plant.present = False
        await plant.live(90)
        assert plant.served_w == 12_000.0
        other = "CP2-1" if rig.energy_service.forming == "CP1-1" else "CP1-1"
        assert rig.power(other) <= -2000.0


@pytest.mark.virtual_time
async def test_a_site_behind_an_open_main_switch_is_supplied_although_nothing_reports_the_grid() -> None:
    async with service_rig("CP1-1", energy=ISLAND) as rig:
        plant = IslandPlant(rig, load_w=2000.0)
        await plant.live(30)
        plant.present, plant.open = False, True  # the switchgear opens by itself
        plant.silent = {"grid"}
        plant.trips = True
        await plant.live(60)
        assert rig.energy_service.forming == "CP1-1"
        assert plant.lit


@pytest.mark.virtual_time
async def test_the_emergency_stop_the_floor_and_the_hardware_end_the_supply() -> None:
    async with service_rig("CP1-1", energy=ISLAND, policy=SitePolicy("home", min_soc_pct=79.9)) as rig:
        plant = IslandPlant(rig, load_w=8000.0)
        await plant.live(5)
        plant.present = False
        await plant.live(60)
        assert rig.energy_service.forming is None  # 0.1 % of 63 kWh last for half a minute
    async with service_rig("CP1-1", energy=ISLAND) as rig:
        plant = IslandPlant(rig, load_w=2000.0)
        await plant.live(5)
        plant.present = False
        await plant.live(30)
        await rig.send(None, "emergency_stop", "e")
        await plant.live(3)
        assert rig.energy_service.forming is None
        assert rig.evse("CP1-1").decision.power_w == 0  # type: ignore[union-attr]


orders = st.tuples(
    st.integers(0, 60),
    st.sampled_from(["CP1-1", "CP2-1", None]),
    st.sampled_from((*POWER_VERBS, "release", "renew")),
    st.sampled_from([-12_000.0, -5000.0, -500.0, 0.0, 700.0, 6000.0]),
    st.sampled_from([5.0, 30.0, 3600.0]),
)


@settings(max_examples=rounds(8, 20), deadline=None)
@given(
    given_orders=st.lists(orders, max_size=6),
    lost_at=st.integers(2, 50),
    load_w=st.sampled_from([300.0, 2000.0, 7000.0, 9000.0]),
    cars=st.integers(1, 2),
)
@virtual_examples
async def test_no_order_of_commands_and_outage_ends_the_supply(
    given_orders: list[tuple[int, str | None, str, float, float]], lost_at: int, load_w: float, cars: int
) -> None:
    """Commands at random times before, in and after the start of the outage: supply lasts from the black start on."""
    names = ["CP1-1", "CP2-1"][:cars]
    async with service_rig(*names, energy=ISLAND) as rig:
        plant = IslandPlant(rig, load_w=load_w)
        renewed: tuple[str | None, str, float, float] | None = None
        for second in range(100):
            plant.present = second < lost_at
            for at, target, verb, power_w, lease_s in given_orders:
                if at != second or (target not in (None, *names)):
                    continue
                if verb == "renew":
                    if renewed is not None:
                        await command(rig, *renewed)
                elif verb != "schedule" or target is not None:
                    await command(rig, target, verb, power_w, lease_s, starts_s=60.0)
                    if verb in ("discharge", "charge", "setpoint"):
                        renewed = (target, verb, power_w, lease_s)
            await plant.live(1)
        assert plant.formed_at is not None
        assert plant.formed_at - lost_at < 20
        assert plant.dark_since_formed_s == 0
