"""Worlds whose stations have CHAdeMO: a LEAF is discharged over OCPP and CHAdeMO, with faults of the link."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from emulators.faults.fault import Fault
from emulators.runtime import candump
from emulators.scenario.loading import parse
from emulators.scenario.scenario import ScenarioError
from emulators.world import World
from emulators.world.chademo_bay import ChademoBay
from gateway.cli.chademo_report import observed
from gateway.model.state import EvseState
from protocols.chademo.states import ChargerState
from tests.rounds import some

pytestmark = pytest.mark.virtual_time

SITE = """
name = "a LEAF"
start = 2026-01-15T18:00:00+09:00
duration = "2h"
step = 0.5
[site]
kind = "home"
[[charger]]
id = "CP1"
vehicle_link = "chademo"
meter_class_pct = 0
[[car]]
name = "leaf"
profile = "{profile}"
evse = "CP1-1"
soc_pct = 70
[[car.visits]]
arrive = 1
leave = "110m"
"""


class Parked:
    """A LEAF at the station of a running world."""

    def __init__(self, world: World) -> None:
        self.world = world

    @property
    def bay(self) -> ChademoBay:
        bay = self.world.bays["CP1-1"]
        assert isinstance(bay, ChademoBay)
        return bay

    @property
    def charger(self) -> ChargerState:
        assert self.bay.pair is not None
        return self.bay.pair.charger.state

    @property
    def state(self) -> EvseState:
        assert self.world.gateway is not None
        found = self.world.gateway.service.state("CP1-1")
        assert found is not None
        return found

    @property
    def current_a(self) -> float:
        self.bay.stage.advance(self.world.clock.now())
        return self.bay.stage.current_a

    async def charger_in(self, state: ChargerState, within_s: float = 60.0) -> None:
        began = self.world.clock.now()
        while self.charger is not state:
            assert self.world.clock.now() < began + within_s, f"{self.charger}; {self.bay.session_ends}"
            await self.world.clock.sleep(0.5)

    async def order(self, verb: str, power_w: float) -> dict[str, Any]:
        answer = await self.world.facility.command("CP1-1", verb, power_w=power_w, lease_s=3600)
        assert answer["status"] == "accepted", answer
        return answer


def world_of(profile: str = "leaf-40", *, fast_forward: bool = False) -> World:
    return World(parse(SITE.format(profile=profile), "test"), fast_forward=fast_forward)


async def moved_wh(world: World) -> tuple[float, float, float, float]:
    """Discharge and charge for some minutes; return energy out of the car and into it, and the meter's registers."""
    async with world.running():
        parked = Parked(world)
        await world.clock.sleep(20)
        await parked.charger_in(ChargerState.POWER)
        await parked.order("discharge", 4000)
        await world.clock.sleep(90)
        await parked.order("charge", 3000)
        await world.clock.sleep(60)
        await world.facility.command("CP1-1", "stop")
        await world.clock.sleep(30)
        meter, car = parked.bay.stage.meter, world.cars["leaf"]
        assert car.violations == []
        assert parked.bay.session_ends == []
        return car.energy_out_wh, car.energy_in_wh, meter.true_discharged_wh, meter.true_charged_wh


@pytest.mark.parametrize("profile", some(["leaf-24", "leaf-40"], 2))
async def test_a_leaf_is_discharged_and_charged_and_fast_forward_moves_the_same_energy(
    profile: str, tmp_path: Path
) -> None:
    full, fast = world_of(profile), world_of(profile, fast_forward=True)
    moved = out_wh, in_wh, discharged_wh, charged_wh = await moved_wh(full)
    assert 102 < out_wh < 115
    assert 41 < in_wh < 50
    assert (discharged_wh, charged_wh) == pytest.approx((4000 / 40, 3000 / 60), rel=0.03)
    assert await moved_wh(fast) == pytest.approx(moved, rel=0.004)
    assert Parked(fast).bay.skipped_s > 120
    assert Parked(full).bay.skipped_s < 1
    for number, world in enumerate((full, fast)):
        path = tmp_path / f"{number}.candump"
        world.captures["CP1-1"].write(path)
        (session,) = observed(candump.read(path)).sessions
        assert (session.energy_out_wh, session.energy_in_wh) == pytest.approx((out_wh, in_wh), rel=0.05)


async def test_an_idle_leaf_keeps_its_session_and_states_whole_percents() -> None:
    world = world_of("leaf-24", fast_forward=True)
    async with world.running():
        parked = Parked(world)
        await world.clock.sleep(500)
        assert parked.charger is ChargerState.POWER
        assert parked.bay.session_ends == []
        state = parked.state
        assert (state.session_state, state.soc_pct, state.protocol) == ("in_session", 70.0, "ocpp2.1")
        assert state.vehicle is not None
        assert state.vehicle.energy_transfer == "DC_BPT"
        await world.facility.command("CP1-1", "discharge", power_w=3000, lease_s=60)
        await world.clock.sleep(10)
        assert parked.current_a < -8


async def test_a_car_that_is_unplugged_under_load_can_be_plugged_in_again() -> None:
    world = world_of()
    async with world.running():
        parked = Parked(world)
        await world.clock.sleep(15)
        await parked.charger_in(ChargerState.POWER)
        await parked.order("discharge", 5000)
        await world.clock.sleep(10)
        assert parked.current_a < -10
        car = world.cars["leaf"]
        await parked.bay.unplug()
        assert (parked.current_a, car.contactors_closed) == (0.0, False)
        await world.clock.sleep(5)
        assert parked.state.session_state == "available"
        await parked.bay.plug(car)
        await parked.charger_in(ChargerState.POWER)
        await world.clock.sleep(3)
        assert parked.state.session_state == "in_session"


async def test_frames_that_are_lost_end_the_session_and_the_next_one_begins() -> None:
    world = world_of(fast_forward=True)
    async with world.running():
        parked = Parked(world)
        await world.clock.sleep(15)
        await parked.charger_in(ChargerState.POWER)
        await parked.order("discharge", 5000)
        await world.clock.sleep(60)
        await world.inject(Fault("half-open", "chademo:CP1-1", world.clock.now(), 10.0))
        await world.clock.sleep(1.5)
        assert parked.current_a == 0
        await world.clock.sleep(5)
        assert "no frame of the vehicle" in parked.bay.session_ends[0]
        await parked.charger_in(ChargerState.POWER)
        assert await parked.order("discharge", 5000)


async def test_a_fault_of_the_charger_ends_the_session_until_it_is_cleared() -> None:
    world = world_of()
    async with world.running():
        parked = Parked(world)
        await world.clock.sleep(15)
        await parked.charger_in(ChargerState.POWER)
        await world.inject(Fault("insulation", "CP1-1", world.clock.now(), 40.0))
        await world.clock.sleep(20)
        assert parked.charger is ChargerState.FAULT
        assert "earth fault" in parked.bay.session_ends[0]
        assert parked.state.session_state == "faulted"
        await world.clock.sleep(40)
        await parked.charger_in(ChargerState.POWER)


@pytest.mark.parametrize(
    ("old", "new", "error"),
    [
        ('"leaf-40"', '"ccs-63"', 'not CHAdeMO: set vehicle_link = "iso15118-20" or "none" at CP1-1'),
        ('"chademo"', '"iso15118-20"', 'not ISO 15118-20: set vehicle_link = "chademo" or "none" at CP1-1'),
        ("[[car]]", '[[fault]]\nkind = "cut"\ntarget = "iso15118:CP1-1"\n[[car]]', "valid targets: .*chademo:CP1-1"),
        ("[[car]]", '[[fault]]\nkind = "split"\ntarget = "chademo:CP1-1"\n[[car]]', "must begin with iso15118:"),
    ],
)
def test_a_link_that_does_not_fit_is_an_error(old: str, new: str, error: str) -> None:
    text = SITE.format(profile="leaf-40").replace(old, new, 1)
    with pytest.raises(ScenarioError, match=error):
        parse(text, "test")
