"""A hosted EVSE with an AC board: sessions of ISO 15118-20 and -2, and charging by duty cycle."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

import pytest

from emulators.boards.ac_vehicle import AcVehicle
from emulators.ev.car import Car
from emulators.scenario.loading import parse
from emulators.world import World
from emulators.world.hosted_bay import HostedBay
from gateway.drivers.secc.evse import SeccEvse
from gateway.model.state import EvseState

pytestmark = pytest.mark.virtual_time

SITE = """
name = "an AC charger without OCPP"
start = 2026-01-15T18:00:00+09:00
duration = "1h"
telemetry = 1
[site]
kind = "home"
[[charger]]
id = "BAY1"
hosted = true
board = "ac"
meter_class_pct = 0
max_charge_w = 11000
max_discharge_w = {discharge_w}
[[car]]
name = "car"
evse = "BAY1"
soc_pct = 60
[[car.visits]]
arrive = 3000
leave = 3500
"""
EVSE = "BAY1"


@dataclass
class Scene:
    """A running site with one AC EVSE; the car is plugged in by the test."""

    world: World

    @property
    def bay(self) -> HostedBay:
        bay = self.world.bays[EVSE]
        assert isinstance(bay, HostedBay)
        return bay

    @property
    def car(self) -> Car:
        return self.world.cars["car"]

    @property
    def evse(self) -> SeccEvse:
        assert self.world.gateway is not None
        found = self.world.gateway.hosted.by_name[EVSE]
        assert isinstance(found, SeccEvse)
        return found

    @property
    def state(self) -> EvseState:
        assert self.world.gateway is not None
        found = self.world.gateway.service.state(EVSE)
        assert found is not None
        return found

    @property
    def signal(self) -> str | float:
        return self.bay.hardware.pilot_signal

    def events(self) -> list[str]:
        return [str(one["event"]) for one in self.world.facility.events if one.get("evse") == EVSE]

    async def until(self, what: str, reached: Callable[[], object], within_s: float = 60.0) -> None:
        deadline = self.world.clock.now() + within_s
        while not reached():
            assert self.world.clock.now() < deadline, f"{what}; {self.signal} {self.state}; {self.bay.session_ends}"
            await self.world.clock.sleep(0.1)

    async def command(self, verb: str, power_w: float | None = None) -> dict[str, Any]:
        fields = {} if power_w is None else {"power_w": power_w, "lease_s": 600}
        return await self.world.facility.command(EVSE, verb, **fields)

    async def power(self, power_w: float) -> None:
        await self.until(f"{power_w} W on the meter", lambda: abs((self.state.power_w or 0) - power_w) < 110)


@asynccontextmanager
async def scene(*protocols: str, services: tuple[str, ...] = (), discharge_w: float = 0) -> AsyncIterator[Scene]:
    world = World(parse(SITE.format(discharge_w=discharge_w), "test"))
    async with world.running():
        await world.clock.sleep(2)
        one = Scene(world)
        one.car.spec = replace(one.car.spec, protocols=protocols, services=services)
        await one.bay.plug(one.car)
        yield one
        assert one.bay.hardware.opened_at_a == [0.0] * len(one.bay.hardware.opened_at_a)


async def test_a_vehicle_charges_and_discharges_over_ac_bpt() -> None:
    async with scene("iso20", services=("ac_bpt", "ac"), discharge_w=9000) as one:
        await one.until("a session", lambda: one.state.soc_pct is not None)
        vehicle = one.state.vehicle
        assert vehicle is not None
        assert (vehicle.bidirectional, vehicle.energy_transfer, vehicle.control_mode) == (True, "AC_BPT", "dynamic")
        assert one.signal == 5.0
        await one.until("closed contactors", lambda: one.bay.hardware.closed)
        assert (await one.command("charge", 7000))["status"] == "accepted"
        await one.power(7000)
        assert (await one.command("discharge", 5000))["status"] == "accepted"
        await one.power(-5000)
        limited = await one.command("charge", 50_000)
        assert limited["status"] == "clamped"
        assert limited["effective_w"] == pytest.approx(11_000, abs=10)
        await one.power(11_000)
        await one.command("stop")
        await one.power(0)
        assert one.bay.hardware.closed
        await one.bay.unplug()
        await one.until("the end of the session", lambda: "session_ended" in one.events())
        await one.until("open contactors", lambda: not one.bay.hardware.closed)
        assert one.car.violations == []


async def test_battery_and_meter_agree_in_energy() -> None:
    async with scene("iso20", services=("ac_bpt",), discharge_w=9000) as one:
        await one.until("a session", lambda: one.state.soc_pct is not None)
        stage, car, now = one.bay.stage, one.car, one.world.clock.now

        def moved() -> tuple[float, float]:
            stage.advance(now())
            out_wh = car.energy_out_wh - car.energy_in_wh
            return out_wh - stage.loss_wh, stage.meter.true_discharged_wh - stage.meter.true_charged_wh

        for verb in ("discharge", "charge"):
            before = moved()
            await one.command(verb, 9000)
            await one.world.clock.sleep(60)
            await one.command("stop")
            await one.world.clock.sleep(6)
            battery, meter = (after - start for after, start in zip(moved(), before, strict=True))
            assert abs(meter) > 100
            assert battery == pytest.approx(meter, rel=0.005)


async def test_a_vehicle_of_iso_15118_2_charges_over_ac_and_is_not_discharged() -> None:
    async with scene("iso2", services=("ac",), discharge_w=9000) as one:
        await one.until("a session", lambda: one.state.session_state == "in_session")
        await one.until("its needs", lambda: one.state.vehicle is not None)
        assert (await one.command("charge", 6000))["status"] == "accepted"
        await one.power(6000)
        assert (await one.command("charge", 3000))["status"] == "accepted"
        await one.power(3000)
        refused = await one.command("discharge", 5000)
        assert (refused["status"], refused["reason"]["code"]) == ("refused", "charging_only")
        await one.command("stop")
        await one.power(0)


async def test_no_bidirectional_service_without_a_discharge_power() -> None:
    async with scene("iso20", services=("ac_bpt", "ac")) as one:
        await one.until("a session", lambda: one.state.vehicle is not None)
        assert one.state.vehicle is not None
        assert one.state.vehicle.energy_transfer == "AC"
        assert not one.state.can_discharge
        assert (await one.command("discharge", 5000))["status"] == "refused"


async def test_a_vehicle_without_communication_charges_by_duty_cycle() -> None:
    async with scene("basic") as one:
        clock, hardware = one.world.clock, one.bay.hardware
        await clock.sleep(2)
        assert one.signal == 5.0  # digital communication first
        await clock.sleep(30)
        assert (one.signal, one.state.session_state, hardware.closed) == (5.0, "plugged", False)
        await one.until("the fallback", lambda: one.state.session_state == "in_session")
        assert str(one.signal) == "X1"  # no power is ordered
        vehicle = one.state.vehicle
        assert vehicle is not None
        assert (vehicle.bidirectional, vehicle.energy_transfer) == (False, "AC")
        refused = await one.command("discharge", 3000)
        assert (refused["status"], refused["reason"]["code"]) == ("refused", "charging_only")
        assert (await one.command("charge", 6900))["status"] == "accepted"
        await one.power(6900)
        assert one.signal == pytest.approx(10 / 0.6)  # 10 A in three phases
        assert (hardware.closed, hardware.pilot_state, hardware.locked) == (True, "C", True)
        assert (await one.command("charge", 4500))["status"] == "accepted"
        await one.power(4500)
        await one.command("stop")
        await one.power(0)
        await one.until("open contactors", lambda: not hardware.closed)
        assert (str(one.signal), hardware.pilot_state) == ("X1", "B")
        assert (await one.command("charge", 4500))["status"] == "accepted"
        await one.power(4500)
        await one.bay.unplug()
        await one.until("the end of the session", lambda: "session_ended" in one.events())
        await one.until("open contactors", lambda: not hardware.closed)
        assert one.state.session_state == "available"
        assert "fault" not in one.events()


async def test_less_than_6_a_is_no_charging_by_duty_cycle() -> None:
    async with scene("basic") as one:
        await one.until("the fallback", lambda: one.state.session_state == "in_session")
        assert (await one.command("charge", 2000))["status"] == "refused"
        await one.world.clock.sleep(10)
        assert one.signal == "X1"
        assert not one.bay.hardware.closed


async def test_the_lease_ends_the_charging_by_duty_cycle() -> None:
    async with scene("basic") as one:
        await one.until("the fallback", lambda: one.state.session_state == "in_session")
        await one.world.facility.command(EVSE, "charge", power_w=6900, lease_s=20)
        await one.power(6900)
        await one.world.clock.sleep(25)
        await one.power(0)
        assert one.signal == "X1"


async def test_the_next_vehicle_communicates_again() -> None:
    async with scene("basic") as one:
        await one.until("the fallback", lambda: one.state.session_state == "in_session")
        await one.command("charge", 6900)
        await one.power(6900)
        await one.bay.unplug()
        await one.until("open contactors", lambda: not one.bay.hardware.closed)
        one.car.spec = replace(one.car.spec, protocols=("iso20",), services=("ac",))
        await one.bay.plug(one.car)
        await one.until("a session", lambda: one.state.soc_pct is not None)
        assert one.signal == 5.0
        assert (await one.command("charge", 6000))["status"] == "accepted"
        await one.power(6000)


async def test_a_vehicle_that_begins_to_communicate_late_gets_a_session() -> None:
    async with scene("basic") as one:
        await one.until("the fallback", lambda: one.state.session_state == "in_session")
        await one.command("charge", 6900)
        await one.power(6900)
        before, vehicle = one.state.session, one.bay.vehicle
        assert isinstance(vehicle, AcVehicle)
        vehicle.basic = False
        one.car.spec = replace(one.car.spec, protocols=("iso20",), services=("ac",))
        running = asyncio.create_task(one.bay._run_one(one.car))
        await one.until("a session", lambda: one.state.soc_pct is not None)
        assert one.state.session != before
        await one.until("5 %", lambda: one.signal == 5.0)
        await one.until("closed contactors", lambda: one.bay.hardware.closed)
        assert one.events().count("session_ended") == 1
        running.cancel()
