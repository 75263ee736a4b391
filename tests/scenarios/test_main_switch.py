"""Main switch: follows the order of the gateway within the interlock of the switchgear."""

from __future__ import annotations

import pytest

from emulators.scenario.loading import parse
from emulators.site.balance import State
from emulators.site.switch import Position
from emulators.world import World, simulate

pytestmark = pytest.mark.virtual_time

SITE = """
name = "a home with island operation"
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


def grid_forming_ordered(world: World) -> bool | None:
    return world.site.cars["CP1-1"].grid_forming_ordered


def supply(world: World) -> State:
    return world.site.state


def test_a_commanded_island_begins_and_ends_while_the_grid_is_present() -> None:
    result = simulate(parse(SITE + BY_HAND, "test"), fast_forward=True)
    events = [(event.kind, event.text) for event in result.recording.events if event.kind in ("site", "grid")]
    assert ("grid", "lost") not in events
    assert [text for _, text in events] == ["dark", "island formed", "back on the grid"]
    figures = result.figures
    assert figures["switch_operations"] == 2
    assert figures["unserved_critical_wh"] == 0
    assert figures["transfer_gap_s"] < 7
    assert figures["fed_dead_grid_wh"] == 0
    assert figures["decided.opening_main_switch"] == figures["decided.main_switch_closed"] == 1


async def test_without_a_gateway_the_switchgear_controls_the_switch_in_the_island() -> None:
    world = World(parse(SITE + OUTAGE, "test"), fast_forward=True)
    async with world.running():
        await world.clock.sleep(130)
        assert ordered(world) == "open"
        await world._stop_gateway()
        await world.clock.sleep(5)
        assert ordered(world) is None
        assert world.site.state is State.ISLAND  # the supply continues
        await world.clock.sleep(330)
        assert world.site.switch.position == Position.CLOSED
        assert world.site.fed_dead_grid_wh == 0


def test_a_stuck_switch_prevents_the_island_and_is_reported() -> None:
    stuck = '\n[[fault]]\nkind = "switch-stuck"\nat = "60s"\nduration = "5m"\n'
    result = simulate(parse(SITE + OUTAGE.replace("20s", "4m") + stuck, "test"), fast_forward=True)
    assert result.figures["decided.main_switch_not_proven"] >= 1
    assert result.figures["fed_dead_grid_wh"] == 0
    assert not any(event.text == "island formed" for event in result.recording.events)


BY_ORDER = SITE.replace("forming = true", 'forming = true\nvendor_profile = "vendor-island"')


def test_a_commanded_charger_black_starts_after_the_switch_is_confirmed_open() -> None:
    result = simulate(parse(BY_ORDER + OUTAGE.replace("20s", "4m"), "test"), fast_forward=True)
    figures = result.figures
    assert figures["decided.forming_ordered"] == 1
    assert figures["decided.following_ordered"] >= 1
    assert figures["unserved_critical_wh"] == figures["fed_dead_grid_wh"] == 0
    texts = [event.text for event in result.recording.events if event.kind in ("site", "switch", "interlock")]
    assert texts == ["dark", "confirmed open", "island formed", "back on the grid"]


async def test_without_confirmation_no_charger_is_commanded_to_form() -> None:
    world = World(parse(BY_ORDER + OUTAGE.replace("20s", "9m"), "test"), fast_forward=True)
    async with world.running():
        await world.clock.sleep(60)
        world.site.switch.stuck = True
        await world.clock.sleep(200)
        assert not grid_forming_ordered(world)
        assert supply(world) is State.DE_ENERGISED
        world.site.switch.stuck = False
        await world.clock.sleep(30)
        assert grid_forming_ordered(world)
        assert supply(world) is State.ISLAND
        assert world.site.unconfirmed_orders == 0
        assert world.site.fed_dead_grid_wh == 0


async def test_a_gateway_that_returns_commands_the_charger_to_form() -> None:
    world = World(parse(BY_ORDER + OUTAGE.replace("20s", "9m"), "test"), fast_forward=True)
    async with world.running():
        await world.clock.sleep(60)
        await world._stop_gateway()
        await world.clock.sleep(90)
        assert world.site.switch.confirmed_open
        assert supply(world) is State.DE_ENERGISED
        await world.start_gateway()
        await world.clock.sleep(120)
        assert supply(world) is State.ISLAND
        await world.restart_gateway()  # the supply continues
        for _ in range(90):
            await world.clock.sleep(1)
            assert supply(world) is State.ISLAND
        assert world.site.unconfirmed_orders == 0
