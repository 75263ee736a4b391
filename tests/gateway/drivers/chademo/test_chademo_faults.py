"""Faults of vehicle, plug, hardware and bus at a hosted CHAdeMO EVSE: 0 A first, then open, then recovery."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from random import Random

import pytest

from emulators.boards.emulated import EmulatedSettings
from gateway.drivers.board.faults import FaultName, Part
from gateway.model import event as model
from gateway.model.event import PlugState
from gateway.model.station import Answer, OutcomeCode
from protocols.can import CanFrame
from protocols.chademo.frames import FROM_CHARGER, FROM_VEHICLE
from protocols.chademo.states import ChargerState
from protocols.chademo.stops import Cause
from tests.gateway.drivers.chademo.bay import BOARD, EVSE, SETTINGS, Bay, running

pytestmark = pytest.mark.virtual_time


def silent(frame: CanFrame) -> CanFrame | None:
    """Lose the frames of the vehicle."""
    return None if frame.can_id in FROM_VEHICLE else frame


def frozen() -> Callable[[CanFrame], CanFrame]:
    """Repeat the first frame of each identifier of the vehicle."""
    first: dict[int, CanFrame] = {}
    return lambda frame: first.setdefault(frame.can_id, frame) if frame.can_id in FROM_VEHICLE else frame


def opened_without_load(bay: Bay) -> None:
    """Check that no contactor was opened under load, on either side."""
    assert all(abs(one) < 1.0 for one in bay.board.plug.opened_at_a)
    assert all(abs(one) < 5.0 for one in bay.board.plug.vehicle_opened_at_a)


async def test_frames_that_stop_end_the_power_and_a_new_session_begins_by_itself() -> None:
    async with running(Bay()) as bay:
        await bay.plug()
        await bay.flowing(-3000.0)
        bay.can.tamper = silent
        await bay.until("0 A", lambda: bay.current_a == 0, 2.5)
        await bay.until("the fault", lambda: bay.faults() == ["CommunicationFault"], 1)
        await bay.until("the end", lambda: bay.evse._session is not None and not bay.evse._session.active, 20)
        opened_without_load(bay)
        assert bay.of(model.PlugChanged)[-1].state is PlugState.FAULTED
        bay.can.tamper = lambda frame: frame
        bay.vehicle.reset()
        await bay.powered(120)
        assert bay.faults() == []
        await bay.flowing(-3000.0)


async def test_frozen_frames_do_not_hide_that_the_vehicle_opens_k() -> None:
    async with running(Bay()) as bay:
        await bay.plug()
        await bay.flowing(-3000.0)
        bay.can.tamper = frozen()
        await bay.clock.sleep(3)
        assert bay.current_a < -5, "frames of CHAdeMO have no counter: the vehicle may state the same for long"
        bay.vehicle.ev.stop("the driver")
        await bay.until("0 A", lambda: bay.current_a == 0, 1)
        await bay.until("the end", lambda: bay.of(model.SessionEnded), 20)
        opened_without_load(bay)


async def test_the_driver_of_the_vehicle_stops_and_a_session_begins_later() -> None:
    async with running(Bay()) as bay:
        await bay.plug()
        await bay.flowing(3000.0)
        bay.vehicle.ev.stop("the driver")
        await bay.until("the end", lambda: bay.of(model.SessionEnded), 15)
        assert bay.of(model.SessionEnded)[0].reason.startswith("the vehicle withdrew")
        assert bay.faults() == []
        assert not bay.board.plug.locked
        opened_without_load(bay)
        refused = await bay.evse.set_power(EVSE, -1000.0, 15.0)
        assert refused.code == OutcomeCode.TX_NOT_FOUND
        await bay.clock.sleep(50)
        assert not bay.board.plug.locked, "free for a minute"
        await bay.powered(30)
        await bay.flowing(-3000.0)


async def test_a_plug_that_is_removed_under_load() -> None:
    async with running(Bay()) as bay:
        await bay.plug()
        await bay.flowing(-3000.0)
        bay.vehicle.unplug()
        await bay.until("the fault", lambda: bay.faults() == ["MREC23ProximityFault"], 1)
        await bay.until("open contactors", lambda: not bay.board.plug.closed, 3)
        await bay.until("a free EVSE", lambda: bay.faults() == [], 10)
        assert bay.of(model.PlugChanged)[-1].state is PlugState.AVAILABLE
        assert bay.of(model.SessionEnded)
        await bay.plug()
        await bay.flowing(-3000.0)


async def test_a_plug_that_is_removed_before_it_is_locked_is_no_fault() -> None:
    async with running(Bay()) as bay:
        bay.vehicle.plug()
        await bay.clock.sleep(2)
        bay.vehicle.unplug()
        await bay.clock.sleep(5)
        assert bay.of(model.FaultRaised) == []
        await bay.plug()


async def test_a_cable_with_an_earth_fault_gets_no_power_until_it_is_repaired_and_reset() -> None:
    async with running(Bay()) as bay:
        bay.board.plug.isolation_ohm = 10_000.0
        bay.vehicle.plug()
        await bay.until("the fault", lambda: bay.faults() == ["MREC2GroundFailure"], 20)
        await bay.clock.sleep(90)
        assert not bay.board.plug.vehicle_closed
        assert not bay.board.plug.d1
        assert (await bay.evse.reset(EVSE)).answer is Answer.APPLIED
        bay.vehicle.reset()
        assert bay.faults() == [], "the test found it, and the contactors are open: it ends with the reset"
        await bay.until("the fault again", lambda: bay.faults() == ["MREC2GroundFailure"], 90)
        bay.board.plug.isolation_ohm = 1e6
        await bay.clock.sleep(10)
        bay.vehicle.reset()
        assert (await bay.evse.reset(EVSE)).answer is Answer.APPLIED
        await bay.powered()


async def test_an_earth_fault_under_load() -> None:
    async with running(Bay()) as bay:
        await bay.plug()
        await bay.flowing(-3000.0)
        bay.board.plug.isolation_ohm = 1_000.0
        await bay.until("0 A", lambda: bay.current_a == 0, 3)
        assert "MREC2GroundFailure" in bay.faults()
        await bay.until("the end", lambda: bay.of(model.SessionEnded), 20)
        opened_without_load(bay)


async def test_a_fault_of_the_power_stage_ends_the_session_and_a_new_one_begins_when_it_clears() -> None:
    async with running(Bay()) as bay:
        await bay.plug()
        await bay.flowing(-3000.0)
        bay.board.raise_fault(Part.POWER, FaultName.HARDWARE, "fan")
        await bay.until("open contactors", lambda: not bay.board.plug.closed, 8)
        opened_without_load(bay)
        assert bay.faults() == ["HardwareFault"]
        await bay.until("the end", lambda: bay.of(model.SessionEnded), 20)
        bay.vehicle.reset()
        bay.board.clear_fault(Part.POWER, FaultName.HARDWARE)
        await bay.powered()
        assert bay.faults() == []
        await bay.flowing(-3000.0)


async def test_a_hot_power_stage_is_0_a_and_the_session_stays() -> None:
    async with running(Bay()) as bay:
        await bay.plug()
        await bay.flowing(-3000.0)
        bay.board.raise_fault(Part.POWER, FaultName.OVER_TEMPERATURE)
        await bay.until("0 A", lambda: bay.current_a == 0, 3)
        assert (await bay.evse.set_power(EVSE, -1000.0, 60.0)).code == "Faulted"
        await bay.clock.sleep(20)
        assert bay.of(model.SessionEnded) == []
        bay.board.clear_fault(Part.POWER, FaultName.OVER_TEMPERATURE)
        await bay.until("no fault", lambda: bay.faults() == [], 2)
        await bay.flowing(-3000.0)


async def test_a_silent_power_stage() -> None:
    async with running(Bay()) as bay:
        await bay.plug()
        await bay.flowing(-3000.0)
        bay.board.silent.add(Part.POWER)
        await bay.until("the fault", lambda: bay.faults() == ["CommunicationFault"], 5)
        await bay.until("0 A by its own time-out", lambda: bay.current_a == 0, 20)
        await bay.clock.sleep(20)
        bay.board.silent.clear()
        bay.board.wake()
        bay.vehicle.reset()
        await bay.powered(120)
        assert bay.faults() == []


async def test_a_slow_power_stage_follows_within_the_limits_and_stops_in_time() -> None:
    async with running(Bay()) as bay:
        bay.board.plug.stage.spec = replace(bay.board.plug.stage.spec, ramp_w_per_s=1000.0)
        await bay.plug()
        await bay.flowing(-3000.0)
        await bay.flowing(3000.0)
        bay.vehicle.ev.stop("the driver")
        await bay.until("the end", lambda: bay.of(model.SessionEnded), 20)
        opened_without_load(bay)


async def test_a_can_bus_that_fails_and_returns() -> None:
    async with running(Bay()) as bay:
        await bay.plug()
        await bay.flowing(-3000.0)
        bay.can.down = bay.bus_fails = True
        await bay.until("the fault", lambda: bay.faults() == ["CommunicationFault"], 1)
        await bay.until("0 A", lambda: bay.current_a == 0, 3)
        opened_without_load(bay)
        await bay.clock.sleep(30)
        assert bay.faults() == ["CommunicationFault"]
        bay.can.down = bay.bus_fails = False
        bay.vehicle.reset()
        await bay.powered(90)
        assert bay.faults() == []
        await bay.flowing(-3000.0)


async def test_a_can_bus_that_cannot_be_opened_is_a_fault_until_it_can() -> None:
    bay = Bay()
    bay.bus_fails = True
    async with running(bay):
        await bay.until("the fault", lambda: bay.faults() == ["CommunicationFault"], 1)
        bay.vehicle.plug()
        await bay.clock.sleep(10)
        assert not bay.board.plug.d1
        bay.bus_fails = False
        await bay.powered()
        assert bay.faults() == []


async def test_a_set_point_that_nobody_renews_ends() -> None:
    async with running(Bay()) as bay:
        await bay.plug()
        await bay.order(-4000.0, 5.0)
        await bay.clock.sleep(4.5)
        assert bay.current_a < -5
        await bay.clock.sleep(2.0)
        assert bay.current_a == 0
        assert await bay.evse.reconcile(EVSE) == 0.0
        assert bay.of(model.SessionEnded) == [], "the session stays"


async def test_a_set_point_does_not_outlive_its_session() -> None:
    async with running(Bay()) as bay:
        await bay.plug()
        await bay.flowing(-3000.0)
        bay.vehicle.ev.stop("the driver")
        await bay.until("the end", lambda: bay.of(model.SessionEnded), 15)
        assert await bay.evse.reconcile(EVSE) == 0.0
        await bay.powered(90)
        await bay.clock.sleep(5)
        assert bay.current_a == 0, "nothing resumes"


async def test_a_restart_of_the_gateway_ends_the_session_and_begins_another() -> None:
    bay = Bay()
    async with running(bay):
        await bay.plug()
        await bay.flowing(-3000.0)
        await bay.evse.close()
        assert bay.current_a == 0
        await bay.restart_gateway()
        opened_without_load(bay)
        assert bay.of(model.StationLost)
        await bay.powered()
        await asyncio.sleep(2)
        assert bay.current_a == 0, "nothing resumes"
        await bay.flowing(-3000.0)


async def test_a_gateway_that_is_killed_switches_off() -> None:
    bay = Bay()
    async with running(bay):
        await bay.plug()
        await bay.flowing(-3000.0)
    await bay.clock.sleep(3)
    assert bay.current_a == 0
    assert not bay.board.plug.closed
    assert not bay.board.plug.d1
    opened_without_load(bay)


@pytest.mark.parametrize(("silence_s", "loaded"), [(2.5, False), (10.0, True)])
async def test_a_process_that_dies_needs_a_module_that_switches_off_before_the_vehicle_opens(
    silence_s: float, loaded: bool
) -> None:
    """Nothing of the gateway runs any more: no frames, no commands. The vehicle opens 2.5 s after it noticed."""
    async with running(Bay(board=replace_board(silence_s=silence_s))) as bay:
        await bay.plug()
        await bay.flowing(-3000.0)
        bay.board.running = False
        bay.can.tamper = lambda frame: None if frame.can_id in FROM_CHARGER else frame
        await bay.until("open contactors of the vehicle", lambda: not bay.board.plug.vehicle_closed, 5)
        assert (abs(bay.board.plug.vehicle_opened_at_a[-1]) > 5.0) is loaded


async def test_a_welded_contactor_of_the_vehicle_is_latched_until_the_reset() -> None:
    async with running(Bay()) as bay:
        await bay.plug()
        await bay.flowing(-3000.0)
        bay.board.plug.welded = True
        assert (await bay.evse.end_session(EVSE)).answer is Answer.APPLIED
        await bay.until("the fault of the vehicle", lambda: bay.faults() == ["VendorError"], 15)
        await bay.clock.sleep(30)
        assert bay.board.plug.locked, "the cable has a voltage"
        bay.board.plug.welded = False
        await bay.until("the unlocked plug", lambda: not bay.board.plug.locked, 5)
        assert bay.evse._session is not None
        assert bay.evse._session.engine.state is ChargerState.FAULT
        opened_without_load(bay)
        assert (await bay.evse.reset(EVSE)).answer is Answer.APPLIED
        assert bay.faults() == []


async def test_a_battery_fault_is_published_by_its_name() -> None:
    async with running(Bay()) as bay:
        await bay.plug()
        await bay.flowing(-3000.0)
        bay.vehicle.ev.battery_faults = frozenset({Cause.BATTERY_OVERTEMPERATURE})
        await bay.until("the fault", lambda: bay.faults() == ["MREC3HighTemperature"], 3)
        await bay.until("the end", lambda: bay.of(model.SessionEnded), 20)
        opened_without_load(bay)


async def test_the_operator_ends_a_session_and_it_stays_ended_until_the_plug_is_removed() -> None:
    async with running(Bay()) as bay:
        await bay.plug()
        assert (await bay.evse.end_session(EVSE)).answer is Answer.APPLIED
        await bay.until("the end", lambda: bay.of(model.SessionEnded), 15)
        await bay.clock.sleep(700)
        assert len(bay.of(model.SessionStarted)) == 1
        assert (await bay.evse.end_session(EVSE)).code == OutcomeCode.TX_NOT_FOUND
        bay.vehicle.unplug()
        await bay.clock.sleep(1)
        await bay.plug()


async def test_an_idle_session_is_kept_alive_and_without_that_the_leaf_ends_it() -> None:
    async def idle(keep_alive_s: float | None) -> list[model.SessionEnded]:
        bay = Bay(settings=replace(SETTINGS, keep_alive_s=keep_alive_s))
        bay.vehicle.ev.engine.profile = replace(bay.profile, idle_end=20.0)
        async with running(bay):
            await bay.plug()
            await bay.clock.sleep(40)
            return bay.of(model.SessionEnded)

    assert await idle(5.0) == []
    assert len(await idle(None)) == 1


async def test_an_island() -> None:
    async with running(Bay()) as bay:
        assert (await bay.evse.form(EVSE, True)).code == OutcomeCode.TX_NOT_FOUND
        await bay.plug()
        assert (await bay.evse.form(EVSE, True)).answer is Answer.APPLIED
        await bay.until("grid-forming", lambda: bay.board.plug.output.ordered == "form", 3)
        bay.board.plug.stage.form(-2500.0, bay.clock.now())
        await bay.clock.sleep(5)
        assert bay.board.plug.stage.meter.power_w == pytest.approx(-2500.0, rel=0.02)
        bay.board.raise_fault(Part.POWER, FaultName.POWER_LOSS, "the grid is gone")
        await bay.clock.sleep(5)
        session = bay.evse._session
        assert session is not None
        assert session.engine.outputs.current_a < -10, "the island is the supply"
        assert bay.board.plug.stage.meter.power_w == pytest.approx(-2500.0, rel=0.02)
        bay.board.clear_fault(Part.POWER, FaultName.POWER_LOSS)
        await bay.clock.sleep(1)
        assert (await bay.evse.form(EVSE, False)).answer is Answer.APPLIED
        await bay.until("0 A", lambda: bay.current_a == 0, 3)
    async with running(Bay(board=replace_board(forming=False))) as bay:
        assert (await bay.evse.form(EVSE, True)).code == OutcomeCode.NO_FORMING


async def test_orders_that_cannot_be_carried_out_are_refused_with_a_code() -> None:
    async with running(Bay("leaf-40", settings=replace(Bay().settings, v2h=None))) as bay:
        await bay.plug()
        assert (await bay.evse.set_power(EVSE, float("nan"), 15.0)).code == OutcomeCode.INVALID_ORDER
        assert (await bay.evse.set_power(EVSE, -1000.0, 15.0)).code == OutcomeCode.CANNOT_DISCHARGE
        described = bay.of(model.EvseDescribed)[-1]
        assert described.why_not == 'no discharging is configured (v2h = "none")'
        await bay.flowing(3000.0)


def replace_board(**values: object) -> EmulatedSettings:
    """Return the settings of the board with other values."""
    return EmulatedSettings.model_validate({**BOARD.model_dump(), **values})


async def test_a_permission_that_is_withdrawn_ends_the_insulation_test_at_once() -> None:
    async with running(Bay()) as bay:
        bay.vehicle.plug()
        await bay.until("the test voltage", lambda: bay.board.plug.inlet_v > 400, 20)
        bay.vehicle.ev.stop("the driver")
        await bay.until("no test voltage", lambda: bay.board.plug.inlet_v == 0, 0.5)
        await bay.until("a released plug", lambda: not bay.board.plug.locked and not bay.board.plug.d1, 5)
        assert bay.faults() == []


async def test_foreign_and_malformed_frames_do_not_disturb_a_session() -> None:
    async with running(Bay()) as bay:
        await bay.plug()
        await bay.flowing(-3000.0)
        stranger = bay.can.port()
        random = Random(1)
        for _ in range(3000):
            can_id = random.choice([*FROM_VEHICLE, *set(range(0x800)) - FROM_VEHICLE - FROM_CHARGER])
            size = random.randrange(8) if can_id in FROM_VEHICLE else 8
            await stranger.send(CanFrame(can_id, random.randbytes(size)))
        await bay.clock.sleep(5)
        assert bay.current_a < -5
        assert bay.of(model.SessionEnded) == []
        assert bay.faults() == []
