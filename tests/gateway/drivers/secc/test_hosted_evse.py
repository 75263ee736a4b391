"""An EVSE that the gateway hosts: vehicles of all generations, faults of its hardware, and what is published."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

import pytest

from emulators.boards.emulated import EmulatedBoard
from emulators.ev.car import Car
from emulators.ev.session import EvSession
from emulators.runtime.transports import wire_pair
from emulators.scenario.loading import parse
from emulators.world import World
from emulators.world.hosted_bay import HostedBay
from gateway.drivers.board.faults import FaultName, Part
from gateway.drivers.secc.evse import SeccEvse
from gateway.model.state import EvseState
from gateway.model.station import Answer, OutcomeCode
from protocols.iso15118.iso20 import orders
from protocols.iso15118.iso20.common import ChargingSession

pytestmark = pytest.mark.virtual_time

SITE = """
name = "a charger without OCPP"
start = 2026-01-15T18:00:00+09:00
duration = "1h"
telemetry = 1
[site]
kind = "home"
[[charger]]
id = "BAY1"
hosted = true
meter_class_pct = 0
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
    """A running site with one hosted EVSE; the car is plugged in by the test."""

    world: World

    @property
    def bay(self) -> HostedBay:
        bay = self.world.bays[EVSE]
        assert isinstance(bay, HostedBay)
        return bay

    @property
    def board(self) -> EmulatedBoard:
        return self.bay._boards[-1]

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
    def current_a(self) -> float:
        self.bay.stage.advance(self.world.clock.now())
        return self.bay.stage.current_a

    def events(self) -> list[str]:
        return [str(one["event"]) for one in self.world.facility.events if one.get("evse") == EVSE]

    async def until(self, what: str, reached: Callable[[], object], within_s: float = 60.0) -> None:
        deadline = self.world.clock.now() + within_s
        while not reached():
            assert self.world.clock.now() < deadline, f"{what}; {self.state}; {self.bay.session_ends}"
            await self.world.clock.sleep(0.1)

    async def plug(self) -> None:
        """Plug the car in and wait for its charge loop."""
        await self.bay.plug(self.car)
        await self.until("the charge loop", lambda: self.car.contactors_closed)
        await self.until("its state of charge", lambda: self.state.soc_pct is not None)

    async def command(self, verb: str, power_w: float) -> dict[str, object]:
        return await self.world.facility.command(EVSE, verb, power_w=power_w, lease_s=600)

    async def discharge(self) -> None:
        assert (await self.command("discharge", 5000))["status"] == "accepted"
        await self.until("5 kW out of the vehicle", lambda: abs((self.state.power_w or 0) + 5000) < 150)


@asynccontextmanager
async def scene() -> AsyncIterator[Scene]:
    world = World(parse(SITE, "test"))
    async with world.running():
        await world.clock.sleep(2)
        yield Scene(world)


@pytest.mark.parametrize("protocol", ["iso2", "din"])
async def test_vehicles_of_the_older_generations_charge_and_are_not_discharged(protocol: str) -> None:
    async with scene() as one:
        one.car.spec = replace(one.car.spec, protocols=(protocol,))
        await one.plug()
        vehicle = one.state.vehicle
        assert vehicle is not None
        assert (vehicle.bidirectional, vehicle.energy_transfer, vehicle.control_mode) == (False, "DC", "scheduled")
        assert (await one.command("charge", 6000))["status"] == "accepted"
        await one.until("6 kW into the vehicle", lambda: abs((one.state.power_w or 0) - 6000) < 300)
        refused = await one.command("discharge", 5000)
        assert refused["status"] == "refused"
        assert (await one.evse.set_power(EVSE, -1000.0, 15.0)).code == OutcomeCode.NOT_BIDIRECTIONAL
        await one.world.facility.command(EVSE, "stop")
        await one.until("0 A", lambda: one.current_a == 0)
        assert one.car.violations == []


async def test_a_vehicle_in_scheduled_control_renegotiates_for_another_power() -> None:
    async with scene() as one:
        one.evse.settings = replace(one.evse.settings, controls=one.evse.settings.controls[1:])
        await one.plug()
        assert one.state.vehicle is not None
        assert one.state.vehicle.control_mode == "scheduled"
        await one.discharge()
        await one.world.facility.command(EVSE, "stop")
        await one.until("0 A", lambda: one.current_a == 0, 5)


async def test_a_fault_of_the_power_stage_ends_the_session_and_a_new_one_begins_when_it_clears() -> None:
    async with scene() as one:
        await one.plug()
        await one.discharge()
        one.board.raise_fault(Part.POWER, FaultName.HARDWARE, "fan")
        await one.until("open contactors", lambda: not one.bay.hardware.closed, 5)
        assert max(map(abs, one.bay.hardware.opened_at_a)) < 1.0, "not under load"
        await one.until("the fault", lambda: one.state.fault == "HardwareFault: fan")
        await one.until("the end of the session", lambda: one.state.session is None)
        assert one.state.command is None
        refused = await one.command("discharge", 5000)
        assert refused["status"] == "refused"
        one.board.clear_fault(Part.POWER, FaultName.HARDWARE)
        await one.until("the vehicle again", lambda: one.state.session is not None and one.car.contactors_closed, 90)
        assert one.state.fault is None
        await one.until("its state of charge", lambda: one.state.soc_pct is not None)
        await one.discharge()
        kinds = one.events()
        assert (kinds.count("fault"), kinds.count("fault_cleared"), kinds.count("session_started")) == (1, 1, 2)


async def test_a_silent_power_module_is_a_fault_with_its_name_and_recovers() -> None:
    async with scene() as one:
        await one.plug()
        await one.discharge()
        one.board.silent.add(Part.POWER)
        await one.until("the fault", lambda: "CommunicationFault" in (one.state.fault or ""), 5)
        await one.until("0 A by the silence time-out of the module", lambda: one.current_a == 0, 20)
        one.board.silent.clear()
        one.board.wake()
        await one.until("no fault", lambda: one.state.fault is None, 30)
        await one.until("the vehicle again", lambda: one.state.session is not None and one.car.contactors_closed, 90)


async def test_a_plug_that_is_pulled_under_load_ends_session_and_power() -> None:
    async with scene() as one:
        await one.plug()
        await one.discharge()
        await one.bay.unplug()
        await one.until("the EVSE to be free", lambda: one.state.session_state == "available", 5)
        assert one.current_a == 0
        await one.until("open contactors", lambda: not one.bay.hardware.closed, 5)
        await one.until("the unlocked plug", lambda: not one.bay.hardware.locked, 5)
        assert one.state.fault is None
        await one.plug()
        await one.discharge()


async def test_a_set_point_that_nobody_renews_ends_by_itself() -> None:
    async with scene() as one:
        await one.plug()
        assert (await one.evse.set_power(EVSE, -4000.0, 5.0)).answer is Answer.APPLIED
        await one.world.clock.sleep(4.5)
        assert one.current_a < -5
        assert await one.evse.reconcile(EVSE) == -4000.0
        await one.world.clock.sleep(3.0)
        assert one.current_a == 0
        assert await one.evse.reconcile(EVSE) == 0.0


async def test_orders_that_cannot_be_carried_out_are_refused_with_a_code() -> None:
    async with scene() as one:
        evse = one.evse
        assert (await evse.set_power(EVSE, 1000.0, 15.0)).code == OutcomeCode.TX_NOT_FOUND
        assert (await evse.form(EVSE, True)).code == OutcomeCode.NO_FORMING
        await one.plug()
        assert (await evse.set_power(EVSE, float("nan"), 15.0)).code == OutcomeCode.INVALID_ORDER
        one.board.raise_fault(Part.POWER, FaultName.OVER_TEMPERATURE)
        await one.world.clock.sleep(0.5)
        assert (await evse.set_power(EVSE, 1000.0, 15.0)).code == "Faulted"
        assert (await evse.set_power(EVSE, 0.0, 15.0)).answer is Answer.APPLIED
        assert one.state.session is not None, "the reaction to this fault is 0 A, not an open contactor"
        one.board.clear_fault(Part.POWER, FaultName.OVER_TEMPERATURE)
        await one.until("no fault", lambda: one.state.fault is None, 5)
        await one.until("its state of charge", lambda: one.state.available.max_discharge_w > 0)
        await one.discharge()


async def test_what_the_board_can_no_longer_do_is_published() -> None:
    async with scene() as one:
        assert one.state.station_limits is not None
        assert one.state.station_limits.max_discharge_w == 9500
        spec = one.bay.stage.spec
        one.bay.stage.spec = replace(spec, max_discharge_w=4000.0)
        await one.until("the new limit", lambda: one.state.station_limits.max_discharge_w == 3800, 15)  # type: ignore[union-attr]


async def test_a_board_that_fails_is_a_lost_station_and_returns() -> None:
    async with scene() as one:
        await one.plug()
        await one.discharge()
        failing = one.board

        def fail(now: float) -> list[object]:
            raise OSError("the bus is gone")

        failing.advance = fail  # type: ignore[assignment, method-assign]
        failing.wake()
        await one.until("the lost station", lambda: one.state.connection == "offline", 5)
        assert one.state.command is None
        await one.until("the station again", lambda: one.state.connection == "connected", 15)
        await one.until("the vehicle again", lambda: one.state.session is not None and one.car.contactors_closed, 90)


async def test_a_paused_session_stays_and_the_vehicle_is_woken_for_power() -> None:
    async with scene() as one:
        await one.plug()
        session = one.state.session
        assert one.bay.session is not None
        one.bay.session._command(orders.Stop(ChargingSession.Pause))
        await one.until("the pause", lambda: not one.car.contactors_closed)
        await one.until("open contactors", lambda: not one.bay.hardware.closed, 5)
        assert one.state.session == session, "the stay goes on"
        assert (await one.evse.set_power(EVSE, 0.0, 15.0)).answer is Answer.APPLIED
        assert (await one.evse.set_power(EVSE, 3000.0, 15.0)).answer is Answer.UNKNOWN
        await one.until("the vehicle again", lambda: one.car.contactors_closed, 20)
        await one.until("its state of charge", lambda: one.state.available.max_discharge_w > 0)
        await one.discharge()
        one.bay.session._command(orders.Stop(ChargingSession.Pause))
        await one.until("the pause", lambda: not one.car.contactors_closed)
        await one.bay.unplug()
        await one.until("the end of the stay", lambda: one.state.session is None, 5)


async def test_an_operator_resets_a_latched_fault_and_ends_a_session() -> None:
    async with scene() as one:
        assert one.world.gateway is not None
        hosted = one.world.gateway.hosted
        await one.plug()
        one.board.raise_fault(Part.ISOLATION, FaultName.GROUND)
        await one.until("the fault", lambda: one.state.fault is not None, 5)
        assert (await hosted.reset(EVSE)).text == "still active: MREC2GroundFailure"
        one.board.clear_fault(Part.ISOLATION, FaultName.GROUND)
        await one.world.clock.sleep(30)
        assert one.state.session is None, "a latched fault needs the operator"
        assert one.state.session_state == "faulted"
        assert (await hosted.reset(EVSE)).answer is Answer.APPLIED
        await one.until("the vehicle again", lambda: one.state.session is not None and one.car.contactors_closed, 90)
        assert (await hosted.end_session(EVSE)).answer is Answer.APPLIED
        await one.until("the end of the session", lambda: one.state.session is None, 15)
        assert one.bay.session_ends[-1].startswith("requested by the charger")
        assert (await hosted.end_session(EVSE)).code == OutcomeCode.TX_NOT_FOUND
        with pytest.raises(LookupError, match="no EVSE BAY9"):
            await hosted.reset("BAY9")


async def test_a_client_without_a_plug_gets_no_session() -> None:
    async with scene() as one:
        near, far = wire_pair("stranger", "secc")
        serving = asyncio.create_task(one.evse.serve(far))
        session = EvSession(Car(), one.world.clock)
        ended = await session.run(near)
        assert not ended.ok
        assert await serving is False
        assert one.state.session is None
        assert "session_started" not in one.events()
        await one.plug()
