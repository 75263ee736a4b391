"""One EVSE, reached in each way: over OCPP, hosted by the gateway itself, over Modbus, and over ECHONET Lite.

What a facility, an operator and the owner of the vehicle see must be the same: each test runs over all ways, in
`make test` one test over all ways and each other one over two or three of them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from emulators.ev.car import Car
from emulators.scenario.loading import parse
from emulators.world import World
from emulators.world.parking_bay import ParkingBay
from gateway.model.journal import Step
from gateway.model.state import EvseState

pytestmark = pytest.mark.virtual_time

SITE = """
name = "one EVSE"
start = 2026-01-15T18:00:00+09:00
duration = "20m"
telemetry = 1
step = {step}
[site]
kind = "home"
[gateway]
min_soc_pct = 30
[[charger]]
id = "{charger}"
{reached}
forming = {forming}
meter_class_pct = 0
[[car]]
name = "car"
profile = "{profile}"
evse = "{evse}"
soc_pct = 80
[[car.visits]]
arrive = 1
leave = 1190
"""
ISLAND = """
[gateway.energy]
step_s = 1
island = true
reconnect_s = 20
off_grid_pct = 20
forming = ["{evse}"]
[[grid.events]]
kind = "outage"
at = "15s"
duration = "45s"
"""
POWER_W = 5000.0


@dataclass(frozen=True)
class Way:
    """How the gateway reaches the EVSE.

    `forming`: keys of a charger that forms an island by order of the gateway, None where the way has no such order.
    `charges_first`: its state of charge is known only after power has flowed. `continues`: its power continues without
    the gateway.
    """

    charger: str
    evse: str
    reached: str = ""
    forming: str | None = None
    charges_first: bool = False
    continues: bool = False
    profile: str = "ccs-63"
    link: str | None = "iso15118-20"  # between vehicle and charger, as the state names it

    def world(self, *, forming: bool = False, step: float = 0.5, more: str = "") -> World:
        """Return a site with the EVSE and one vehicle; `forming`: it forms an island by order of the gateway."""
        reached = self.forming if forming else self.reached
        names = {"charger": self.charger, "evse": self.evse, "reached": reached, "profile": self.profile}
        text = (SITE + more).format(**names, step=step, forming=str(forming).lower())
        return World(parse(text, "test"))


HOSTED = "hosted = true"
HOSTED_AC = """
hosted = true
board = "ac"
"""
MODBUS = """
hosted = true
driver = "modbus"
product = "bidipro-10"
"""
ECHONET = """
hosted = true
driver = "echonet"
"""
CHADEMO = 'vehicle_link = "chademo"'
HOSTED_CHADEMO = f"{HOSTED}\n{CHADEMO}"
WAYS = {
    "behind OCPP": Way("CP1", "CP1-1", forming='vendor_profile = "vendor-island"'),
    "hosted": Way("BAY1", "BAY1", HOSTED, forming=HOSTED),
    "hosted, AC": Way("BAY1", "BAY1", HOSTED_AC),
    "over Modbus": Way("BOX1", "BOX1", MODBUS, charges_first=True, link=None),
    "over ECHONET Lite": Way("BOX2", "BOX2", ECHONET, forming=ECHONET, continues=True, link=None),
    "a LEAF behind OCPP": Way(
        "CP1",
        "CP1-1",
        CHADEMO,
        forming=CHADEMO + '\nvendor_profile = "vendor-island"',
        profile="leaf-40",
        link="chademo",
    ),
    "a hosted LEAF": Way("BAY1", "BAY1", HOSTED_CHADEMO, forming=HOSTED_CHADEMO, profile="leaf-40", link="chademo"),
}
FORMING = {name: way for name, way in WAYS.items() if way.forming is not None}


def over(*each_run: str, ways: dict[str, Way] = WAYS) -> pytest.MarkDecorator:
    """Run a test over all ways, in `make test` over those named."""
    assert set(each_run) <= set(ways)
    rows = [
        pytest.param(way, id=name, marks=() if name in each_run else pytest.mark.soak) for name, way in ways.items()
    ]
    return pytest.mark.parametrize("way", rows)


class Evse:
    """The EVSE of a running world, as the facility and the owner see it."""

    def __init__(self, world: World, way: Way) -> None:
        self.world, self.name, self.charges_first = world, way.evse, way.charges_first

    @property
    def state(self) -> EvseState:
        assert self.world.gateway is not None
        found = self.world.gateway.service.state(self.name)
        assert found is not None
        return found

    @property
    def bay(self) -> ParkingBay:
        return self.world.bays[self.name]

    @property
    def car(self) -> Car:
        return self.world.cars["car"]

    @property
    def current_w(self) -> float:
        """True power at the connector, + into the vehicle."""
        stage = self.bay.stage
        stage.advance(self.world.clock.now())
        return stage.current_a * stage.voltage_v

    def exists(self) -> bool:
        return self.world.gateway is not None and self.world.gateway.service.state(self.name) is not None

    def can_discharge(self) -> bool:
        return self.exists() and self.state.available.max_discharge_w > 0

    def in_session(self) -> bool:
        return self.exists() and self.state.session_state == "in_session"

    async def ready(self) -> None:
        """Wait until the vehicle can be discharged; charge a little where its state of charge is not known before."""
        await self.until("a session", self.in_session)
        if self.charges_first:
            await self.command("charge", power_w=1000, lease_s=60)
            await self.until("the state of charge", lambda: self.state.soc_pct is not None)
            await self.command("stop")
            await self.until("0 W on the meter", lambda: abs(self.state.power_w or 0) < 50)
        await self.until("power to discharge", self.can_discharge)

    def events(self) -> list[str]:
        return [str(one["event"]) for one in self.world.facility.events if one.get("evse") == self.name]

    async def command(self, verb: str, **fields: Any) -> dict[str, Any]:
        return await self.world.facility.command(self.name, verb, **fields)

    async def discharge(self, lease_s: float = 60.0) -> dict[str, Any]:
        """Discharge and wait until the vehicle does."""
        answer = await self.command("discharge", power_w=POWER_W, lease_s=lease_s)
        assert (answer["status"], answer["effective_w"], answer["binding"]) == ("accepted", -POWER_W, "command")
        await self.until("the power on the meter", lambda: abs((self.state.power_w or 0) + POWER_W) < 150)
        return answer

    async def until(self, what: str, reached: Callable[[], object], within_s: float = 60.0) -> float:
        """Wait in steps of virtual time; return how long it took."""
        began = self.world.clock.now()
        while not reached():
            assert self.world.clock.now() < began + within_s, f"{what}; {self.state}"
            await self.world.clock.sleep(0.1)
        return self.world.clock.now() - began

    def final(self, command: dict[str, Any]) -> tuple[str, str]:
        """Return status and reason code of the last result of a command."""
        last = [one for one in self.world.facility.results if one["id"] == command["id"]][-1]
        return last["status"], last["reason"]["code"]


@over(*WAYS)
async def test_a_discharge_its_lease_and_what_is_published(way: Way) -> None:
    world = way.world()
    async with world.running():
        evse = Evse(world, way)
        await evse.ready()
        answer = await evse.discharge(lease_s=30)
        assert evse.state.setpoint_w == -POWER_W
        await evse.until("the result", lambda: evse.final(answer) == ("achieved", "seen_on_meter"))
        await evse.until("the end of the lease", lambda: evse.state.effective_w == 0, 40)
        assert await evse.until("0 W at the connector", lambda: evse.current_w == 0) < 5
        await evse.until("0 W on the meter", lambda: abs(evse.state.power_w or 0) < 50)
        state = evse.state
        assert (state.connection, state.session_state) == ("connected", "in_session")
        assert state.vehicle is not None
        assert state.vehicle.link == way.link
        assert state.soc_pct is not None
        assert world.facility.states[evse.name]["session_state"] == "in_session"
        assert world.gateway is not None
        summary = world.gateway.service.site_summary()
        assert summary.in_session == (evse.name,)
        steps = {one.step for one in await world.gateway.service.entries(evse=evse.name)}
        assert {Step.RECEIVED, Step.BOUND, Step.SET, Step.CONFIRMED, Step.METERED, Step.RESULT} <= steps
        await evse.bay.unplug()
        await evse.until("the EVSE to be free", lambda: evse.state.session_state == "available")
        await evse.until("the end of the session", lambda: "session_ended" in evse.events())
        kinds = evse.events()
        for kind in ("station_connected", "plugged", "session_started", "negotiated", "lease_ended", "session_ended"):
            assert kind in kinds, kind
        assert evse.car.violations == []


@over("hosted, AC", "a LEAF behind OCPP")
async def test_battery_meter_and_grid_agree_in_energy(way: Way) -> None:
    world = way.world(step=0.1)
    async with world.running():
        evse, site = Evse(world, way), world.site
        await evse.ready()

        def totals() -> tuple[float, ...]:
            stage, now = evse.bay.stage, world.clock.now()
            stage.advance(now)
            meter, car = stage.meter, evse.car
            grid_wh = site.import_wh - site.export_wh
            moved_wh = car.energy_out_wh - car.energy_in_wh
            return (
                moved_wh,
                stage.loss_wh,
                meter.true_discharged_wh - meter.true_charged_wh,
                grid_wh,
                site.loads.served_wh,
            )

        for verb in ("discharge", "charge"):
            before = totals()
            answer = await evse.command(verb, power_w=9000, lease_s=120)
            assert answer["status"] == "accepted"
            await world.clock.sleep(40)
            await evse.command("stop")
            await world.clock.sleep(6)
            battery, loss, meter, grid, load = (after - start for after, start in zip(totals(), before, strict=True))
            assert abs(meter) > 80
            assert battery - loss == pytest.approx(meter, rel=0.005)
            assert load - grid == pytest.approx(meter, rel=0.005)
        registers, state = evse.bay.stage.meter, world.facility.telemetry[evse.name]
        assert state["energy_discharged_wh"] == pytest.approx(registers.true_discharged_wh, rel=0.005, abs=1.0)
        assert state["energy_charged_wh"] == pytest.approx(registers.true_charged_wh, rel=0.005, abs=1.0)


@over("behind OCPP", "over ECHONET Lite")
async def test_no_vehicle_is_discharged_below_its_floor(way: Way) -> None:
    world = way.world()
    async with world.running():
        evse = Evse(world, way)
        await evse.ready()
        await evse.discharge(lease_s=300)
        await evse.command("reserve", min_soc_pct=85)
        assert await evse.until("0 W at the connector", lambda: evse.current_w == 0) < 5
        assert "floor_reached" in evse.events()
        assert (evse.state.session_state, evse.state.floors.reached) == ("in_session", True)
        again = await evse.command("discharge", power_w=POWER_W, lease_s=60)
        assert (again["status"], again["reason"]["code"]) == ("refused", "below_floor")


@over("hosted", "a hosted LEAF")
async def test_a_stop_takes_the_power_away_at_once(way: Way) -> None:
    await stopped(way, "stop")


@over("over Modbus", "behind OCPP")
async def test_an_emergency_stop_takes_the_power_away_at_once(way: Way) -> None:
    await stopped(way, "emergency_stop")


async def stopped(way: Way, verb: str) -> None:
    world = way.world()
    async with world.running():
        evse = Evse(world, way)
        await evse.ready()
        await evse.discharge()
        answer = await world.facility.command(evse.name if verb == "stop" else "site", verb)
        assert answer["status"] == "accepted"
        assert await evse.until("0 W at the connector", lambda: evse.current_w == 0) < 3
        assert evse.state.effective_w == 0
        again = await evse.command("discharge", power_w=POWER_W, lease_s=60)
        if verb == "stop":
            assert again["status"] == "accepted"
            return
        assert (again["status"], again["reason"]["code"]) == ("refused", "emergency_stop")
        await world.facility.command("site", "release")
        await evse.discharge()


@over("hosted, AC", "over Modbus")
async def test_a_facility_that_falls_silent_loses_the_power(way: Way) -> None:
    world = way.world()
    async with world.running():
        evse = Evse(world, way)
        await evse.ready()
        await evse.discharge(lease_s=300)
        world.broker.stop()
        assert await evse.until("0 W at the connector", lambda: evse.current_w == 0, 60) < 40, "grace and ramp"
        await world.clock.sleep(20)
        world.broker.start()
        await evse.until("the broker", lambda: world.facility.online is True)
        assert evse.state.command is None, "nothing that follows resumes it"
        assert evse.state.session_state == "in_session"
        await evse.until("fresh inputs", evse.can_discharge)
        assert evse.current_w == 0
        await evse.discharge()


@over("behind OCPP", "hosted", "over ECHONET Lite")
async def test_power_falls_to_0_w_when_the_gateway_dies_and_it_discharges_again_after_its_restart(way: Way) -> None:
    world = way.world()
    async with world.running():
        evse = Evse(world, way)
        await evse.ready()
        await evse.discharge(lease_s=300)
        restarting, stated = world.clock.now(), evse.state.fail_safe
        await world.restart_gateway(30.0)
        assert stated is not None or way.reached == HOSTED_AC, "an AC output states no time-out"
        if stated is not None:
            assert stated.within_s is None if way.continues else 0 < (stated.within_s or 0) <= 30, stated
        assert (evse.current_w < -4000) if way.continues else evse.current_w == 0, "as the state has it"
        await evse.until("the session again", evse.in_session, 120)
        await evse.until("0 W at the connector", lambda: evse.current_w == 0, 20)
        assert world.clock.now() - restarting < 120
        assert evse.state.command is None, "a command of before does not act again"
        assert evse.current_w == 0
        await evse.ready()
        await evse.discharge()


@over("behind OCPP", "a hosted LEAF", ways=FORMING)
async def test_an_island_is_formed_and_ended(way: Way) -> None:
    world = way.world(forming=True, more=ISLAND)
    async with world.running():
        evse = Evse(world, way)
        await world.clock.sleep(45)
        assert world.facility.states["site"]["energy"]["phase"] == "island"
        assert evse.current_w < -100, "the vehicle supplies the site"
        await evse.until("the grid", lambda: world.facility.states["site"]["energy"]["phase"] == "returning", 100)
        await world.clock.sleep(10)
        assert evse.state.session_state == "in_session"
        assert abs(evse.current_w) < 50
        world.recording.close(world.clock.now())
        figures = world.recording.figures()
        assert figures["dark_s"] <= 20
        assert figures["fed_dead_grid_wh"] == 0
        assert figures["not_seen_on_meter"] == 0
        assert world.site.unconfirmed_orders == 0
