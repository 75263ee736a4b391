"""V2H boxes in an outage: what their interconnection status shows, and the permission to re-connect."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from emulators.scenario.loading import parse
from emulators.world import World
from emulators.world.echonet_bay import EchonetBay
from gateway.energy.resilience.grid_watch import GridLimits, GridReading, judge
from gateway.model import event as model
from gateway.model.grid_report import GridReport
from gateway.model.site import Site, SitePolicy
from gateway.model.station import Answer
from tests.gateway.drivers.echonet.bench import Bench, bench

pytestmark = pytest.mark.virtual_time

SITE = """
name = "a V2H box in an outage"
start = 2026-01-15T18:00:00+09:00
duration = "20m"
telemetry = 1
step = 0.5
[site]
kind = "home"
[gateway]
min_soc_pct = 20
[[charger]]
id = "BOX1"
hosted = true
driver = "echonet"
forming = true
[[car]]
name = "leaf"
evse = "BOX1"
soc_pct = 80
[[car.visits]]
arrive = 1
leave = 1190
[gateway.energy]
step_s = 1
island = true
reconnect_s = 20
off_grid_pct = 20
forming = ["BOX1"]
[[grid.events]]
kind = "outage"
at = "60s"
duration = "45s"
"""


def phase(world: World) -> str:
    energy = world.facility.states.get("site", {}).get("energy") or {}
    return str(energy.get("phase"))


async def until(world: World, what: str, reached: Callable[[], object], within_s: float = 120.0) -> None:
    began = world.clock.now()
    while not reached():
        assert world.clock.now() < began + within_s, what
        await world.clock.sleep(0.25)


async def test_the_permission_to_reconnect_is_withheld_in_the_island_and_given_for_the_return() -> None:
    world = World(parse(SITE, "test"))
    async with world.running():
        bay = world.bays["BOX1"]
        assert isinstance(bay, EchonetBay)
        box = bay.box
        await until(world, "the island", lambda: phase(world) == "island", 100)
        state = world.facility.states["BOX1"]
        assert (state["independent"], box.settings[0xDF], box.settings[0xDA]) == (True, "prohibited", "discharge")
        assert box.settings[0xDD] == "loadFollowing", "should the gateway fail, nothing is fed into the grid"
        await until(world, "the return", lambda: phase(world) == "returning")
        assert (box.settings[0xDF], box.settings[0xDA]) == ("permitted", "standby")
        await until(world, "the grid at the box", lambda: world.facility.states["BOX1"]["independent"] is False)
        assert abs(bay.stage.reading(world.clock.now()).ac_power_w) < 50
        assert world.site.unconfirmed_orders == 0
        answer = await world.facility.command("BOX1", "discharge", power_w=1000, lease_s=60)
        assert answer["status"] in ("accepted", "clamped", "refused"), answer


async def test_an_island_continues_without_the_broker_and_a_lease() -> None:
    world = World(parse(SITE, "test"))
    async with world.running():
        await until(world, "the island", lambda: phase(world) == "island", 100)
        bay = world.bays["BOX1"]
        assert isinstance(bay, EchonetBay)
        world.broker.stop()
        await world.clock.sleep(20)
        assert bay.box.settings[0xDA] == "discharge"
        assert bay.stage.reading(world.clock.now()).ac_power_w < -100


async def outage(one: Bench, present: bool) -> None:
    one.box.set_grid(present, one.clock.now())
    await one.clock.sleep(12)


async def test_independent_operation_is_evidence_only_where_the_box_would_reconnect() -> None:
    async with bench() as one:
        stated = one.of(model.InterconnectionReported)
        assert [(one.independent, one.grid_present) for one in stated] == [(False, True)]
        await outage(one, False)
        assert one.of(model.InterconnectionReported)[-1].grid_present is False
        one.evse._outage.grid_reported = lambda: True
        assert (await one.evse.form("BAY", True)).answer is Answer.APPLIED
        assert one.box.settings[0xDF] == "prohibited"
        await one.clock.sleep(12)
        last = one.of(model.InterconnectionReported)[-1]
        assert (last.independent, last.may_reconnect, last.grid_present) == (True, False, None)
        await outage(one, True)
        assert one.of(model.InterconnectionReported)[-1].independent, "it waits for the permission"
        assert (await one.evse.form("BAY", False)).answer is Answer.APPLIED
        await one.clock.sleep(12)
        assert one.of(model.InterconnectionReported)[-1].grid_present is True
        assert one.mode == "standby"


async def test_a_box_gets_its_permission_back_when_no_source_reports_the_grid() -> None:
    async with bench() as one:
        reported = True
        one.evse._outage.grid_reported = lambda: reported
        await outage(one, False)
        await one.evse.form("BAY", True)
        await one.clock.sleep(100)
        assert one.box.settings[0xDF] == "prohibited"
        reported = False
        await one.clock.sleep(90)
        assert one.box.settings[0xDF] == "permitted"
        assert one.mode == "discharge", "the supply continues"


async def test_no_watchdog_and_no_end_of_the_gateway_ends_an_island() -> None:
    async with bench() as one:
        one.evse._outage.grid_reported = lambda: True
        await one.evse.set_power("BAY", -2000.0, 15.0)
        await outage(one, False)
        await one.evse.form("BAY", True)
        await one.clock.sleep(60)
        assert one.mode == "discharge"
        await one.evse.close()
        assert (one.mode, one.box.settings[0xDF]) == ("discharge", "permitted")


async def test_a_box_that_supplies_the_house_by_itself_is_stopped_once_the_grid_is_back() -> None:
    async with bench() as one:
        await one.evse.set_power("BAY", -2000.0, 15.0)
        one.box.set_grid(False, one.clock.now())
        await one.clock.sleep(30)
        assert one.mode == "discharge"
        one.box.set_grid(True, one.clock.now())
        await one.clock.sleep(15)
        assert one.mode == "standby"


@pytest.mark.parametrize("after_s", [0.5, 1.5, 2.5, 3.5, 4.5])
async def test_an_order_to_form_waits_for_the_answer_that_is_due(after_s: float) -> None:
    """Each of its steps is sent, whichever step of another order it replaces."""
    async with bench() as one:
        one.faults.answer_s = 1.0
        one.evse._outage.grid_reported = lambda: True
        ordering = asyncio.ensure_future(one.evse.set_power("BAY", -2000.0, 60.0))
        await one.clock.sleep(after_s)
        before = len(one.writes())
        assert (await one.evse.form("BAY", True)).answer is Answer.APPLIED
        sent = one.writes()[before:]
        assert sent[-3:] == [
            ("reInterconnectionPermission", "prohibited"),
            ("dischargingMethod", "loadFollowing"),
            ("operationMode", "discharge"),
        ]
        assert (await ordering).answer is not Answer.REFUSED
        assert one.most_pending() == 1


async def test_a_permission_that_is_not_known_is_given() -> None:
    """An order to form was replaced after its first step, which was not read back."""
    async with bench() as one:
        one.faults.answer_s = 2.5
        one.evse._outage.grid_reported = lambda: True
        forming = asyncio.ensure_future(one.evse.form("BAY", True))
        await one.until("the first step", lambda: one.box.settings[0xDF] == "prohibited")
        await one.evse.set_power("BAY", -2000.0, 20.0)
        assert (await forming).answer is Answer.UNKNOWN
        assert (await one.evse.form("BAY", False)).answer is Answer.APPLIED
        assert (one.mode, one.box.settings[0xDF]) == ("standby", "permitted")


async def test_a_box_without_interconnection_status_forms_by_its_hardware_only() -> None:
    async with bench(omitted={0xDB}) as one:
        outcome = await one.evse.form("BAY", True)
        assert (outcome.answer, outcome.code) == (Answer.REFUSED, "NoForming")
        assert not one.of(model.InterconnectionReported)


async def test_the_box_is_the_main_switch_of_the_site() -> None:
    positions: list[bool] = []
    async with bench() as one:
        one.evse._outage.report_switch = positions.append
        await one.clock.sleep(12)
        await outage(one, False)
        assert (positions[0], positions[-1]) == (False, True)


def test_the_grid_is_lost_where_a_charger_has_lost_it_unless_power_is_measured() -> None:
    limits = GridLimits()
    lost = judge(GridReading(present=True, independent="BOX1"), limits)
    assert (lost.bad, lost.why) == (True, "BOX1 operates independently of it")
    assert lost.contradiction == "The facility reports the grid as present, but BOX1 operates independently of it."
    flows = judge(GridReading(True, 200.0, 50.0, 900.0, independent="BOX1"), limits)
    assert flows.bad is False
    assert "there is voltage and power flows" in flows.contradiction
    alone = judge(GridReading(interconnected=True), limits)
    assert (alone.bad, alone.why) == (False, "a charger is connected to it")
    assert judge(GridReading(interconnected=True, open=True), limits).bad, "it may be connected to an island"
    assert judge(GridReading(present=False, interconnected=True), limits).bad


def test_the_site_without_an_input_of_the_grid_follows_its_chargers() -> None:
    site = Site(SitePolicy("home"))
    site.interconnections.report("BOX1", False, 1000.0)
    site.interconnections.report("BOX1", False, 1010.0)
    assert site.last_grid == GridReport(False, 1000.0)
    assert site.interconnections.independent == ("BOX1",)
    site.interconnections.report("BOX1", True, 1020.0)
    assert site.last_grid is None
