"""The main switch stands where the gateway wants it, as far as the switchgear allows; nobody's word is no word."""

from __future__ import annotations

import pytest

from emulators.scenario.loading import parse
from emulators.site.site import State
from emulators.site.switch import Position
from emulators.world import World, simulate

pytestmark = pytest.mark.virtual_time

HOUSE = """
name = "a house that can stand alone"
start = 2026-01-15T17:00:00+09:00
duration = "12m"
step = 1
[gateway]
min_soc_pct = 20
[gateway.energy]
step_s = 1
island = true
soft_transfer = true
reconnect_s = 20
off_grid_pct = 20
forming = ["CP1-1"]
[site]
kind = "home"
[[charger]]
id = "CP1"
forming = true
[[car]]
name = "car"
evse = "CP1-1"
soc_pct = 80
"""
BY_HAND = """
[[command]]
at = "90s"
target = "site"
verb = "backup"
action = "enter"
[[command]]
at = "4m"
target = "site"
verb = "backup"
action = "leave"
"""
OUTAGE = """
[[grid.events]]
kind = "outage"
at = "90s"
duration = "20s"
"""


def ordered(world: World) -> str | None:
    return world.site.switch_order


def told(world: World) -> bool | None:
    return world.site.cars["CP1-1"].told_to_form


def fed(world: World) -> State:
    return world.site.state


def test_an_island_by_command_is_entered_and_left_though_the_grid_is_there() -> None:
    outcome = simulate(parse(HOUSE + BY_HAND, "test"), fast_forward=True)
    told = [(event.kind, event.text) for event in outcome.recording.events if event.kind in ("site", "grid")]
    assert ("grid", "lost") not in told
    assert [text for _, text in told] == ["dark", "island formed", "back on the grid"]
    figures = outcome.figures
    assert figures["switch_operations"] == 2
    assert figures["unserved_critical_wh"] == 0
    assert figures["transfer_gap_s"] < 7
    assert figures["fed_dead_grid_wh"] == 0
    assert figures["decided.opening_main_switch"] == figures["decided.main_switch_closed"] == 1


async def test_a_gateway_that_dies_in_the_island_leaves_the_switch_to_the_switchgear() -> None:
    world = World(parse(HOUSE + OUTAGE, "test"), fast_forward=True)
    async with world.running():
        await world.clock.sleep(130)
        assert ordered(world) == "open"
        await world._stop_gateway()
        await world.clock.sleep(5)
        assert ordered(world) is None
        assert world.site.state is State.ISLAND  # the light stays on
        await world.clock.sleep(330)
        assert world.site.switch.position == Position.CLOSED
        assert world.site.fed_dead_grid_wh == 0


def test_a_switch_that_sticks_keeps_the_island_from_starting_and_the_person_is_told() -> None:
    stuck = '\n[[fault]]\nkind = "switch-stuck"\nat = "60s"\nduration = "5m"\n'
    outcome = simulate(parse(HOUSE + OUTAGE.replace("20s", "4m") + stuck, "test"), fast_forward=True)
    assert outcome.figures["decided.main_switch_not_proven"] >= 1
    assert outcome.figures["fed_dead_grid_wh"] == 0
    assert not any(event.text == "island formed" for event in outcome.recording.events)


BY_ORDER = HOUSE.replace("forming = true", 'forming = true\nvendor_profile = "vendor-island"')


def test_a_charger_that_waits_for_the_order_starts_the_dark_house_when_the_switch_is_proven_open() -> None:
    outcome = simulate(parse(BY_ORDER + OUTAGE.replace("20s", "4m"), "test"), fast_forward=True)
    figures = outcome.figures
    assert figures["decided.forming_ordered"] == 1
    assert figures["decided.following_ordered"] >= 1
    assert figures["unserved_critical_wh"] == figures["fed_dead_grid_wh"] == 0
    lived = [event.text for event in outcome.recording.events if event.kind in ("site", "switch", "interlock")]
    assert lived == ["dark", "confirmed open", "island formed", "back on the grid"]


async def test_without_the_proof_nobody_is_told_and_nothing_forms() -> None:
    world = World(parse(BY_ORDER + OUTAGE.replace("20s", "9m"), "test"), fast_forward=True)
    async with world.running():
        await world.clock.sleep(60)
        world.site.switch.stuck = True
        await world.clock.sleep(200)
        assert not told(world)
        assert fed(world) is State.DARK
        world.site.switch.stuck = False
        await world.clock.sleep(30)
        assert told(world)
        assert fed(world) is State.ISLAND
        assert world.site.unconfirmed_orders == 0
        assert world.site.fed_dead_grid_wh == 0


async def test_without_a_gateway_nobody_gives_the_order_and_one_that_comes_back_does() -> None:
    world = World(parse(BY_ORDER + OUTAGE.replace("20s", "9m"), "test"), fast_forward=True)
    async with world.running():
        await world.clock.sleep(60)
        await world._stop_gateway()
        await world.clock.sleep(90)
        assert world.site.switch.confirmed_open
        assert fed(world) is State.DARK
        await world.start_gateway()
        await world.clock.sleep(120)
        assert fed(world) is State.ISLAND
        await world.restart_gateway()  # in the middle of the night: the light stays on
        for _ in range(90):
            await world.clock.sleep(1)
            assert fed(world) is State.ISLAND
        assert world.site.unconfirmed_orders == 0
