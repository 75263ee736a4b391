"""Emulated vehicle and SECC, in memory and in virtual time."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from emulators.charger.hardware.power_stage import PowerStage
from emulators.charger.secc.events import (
    AuthorizationRequested,
    ChargingStarted,
    Measured,
    NeedsStated,
    SeccEvent,
    SessionEnded,
    VehicleIdentified,
)
from emulators.charger.secc.evse_hardware import stage_settings
from emulators.charger.secc.secc import EvseSecc
from emulators.ev.car import Car, CarSpec, Quirks
from emulators.ev.session import EvSession, _ac_target, car_settings
from emulators.runtime.clock import VirtualClock
from emulators.runtime.transports import Link, split, wire_pair
from protocols.iso15118.iso20 import orders
from protocols.iso15118.iso20.common import ChargingSession
from protocols.iso15118.iso20.services import ControlMode, ServiceId

pytestmark = pytest.mark.virtual_time


async def test_a_set_point_discharges_the_battery() -> None:
    clock = VirtualClock()
    events: list[Any] = []
    stage, car = PowerStage(), Car(soc_pct=80)
    secc = EvseSecc(stage, clock, events.append)
    session = EvSession(car, clock)
    ev_end, secc_end = wire_pair("ev", "secc")
    serving = asyncio.create_task(secc.serve(secc_end))
    driving = asyncio.create_task(session.run(ev_end))
    await clock.sleep(10)
    secc.set_power(-5_000)
    await clock.sleep(600)
    secc.set_power(0)
    await clock.sleep(10)
    secc.terminate()
    ended = await driving
    await serving
    assert ended.ok, ended
    measured = [event for event in events if isinstance(event, Measured)]
    assert min(event.power_w for event in measured) == pytest.approx(-5_000, rel=0.02)
    assert abs(measured[-1].power_w) < 1
    assert car.soc_pct < 79
    assert car.energy_out_wh > stage.meter.discharged_wh > 750
    assert any(isinstance(event, ChargingStarted) for event in events)
    assert next(event for event in events if isinstance(event, NeedsStated)).service == "DC_BPT"
    assert isinstance(events[-1], SessionEnded)
    assert events[-1].ok


@pytest.mark.parametrize("service", list(ServiceId))
@pytest.mark.parametrize("control", list(ControlMode))
async def test_every_service_with_a_set_point_that_changes_its_sign(service: ServiceId, control: ControlMode) -> None:
    clock = VirtualClock()
    events: list[Any] = []
    stage, car = PowerStage(), Car(soc_pct=60)
    secc = EvseSecc(stage, clock, events.append, settings=stage_settings(stage, services=list(ServiceId)))
    session = EvSession(car, clock, settings=car_settings(car, services=(service,), controls=(control,)))
    ev_end, secc_end = wire_pair("ev", "secc")
    ev_end.link.tamper = split(5)
    secc.set_power(4_000)
    serving = asyncio.create_task(secc.serve(secc_end))
    driving = asyncio.create_task(session.run(ev_end))
    for ordered_w in (4_000, -4_000, 0, 3_000):
        secc.set_power(ordered_w)
        await clock.sleep(30)
        last = next(event for event in reversed(events) if isinstance(event, Measured))
        expected = ordered_w if ordered_w >= 0 or "BPT" in service.name else 0
        assert last.power_w == pytest.approx(expected, rel=0.03, abs=50), (ordered_w, last)
    session.stop()
    await driving
    await serving
    assert session.ended is not None
    assert session.ended.ok
    assert isinstance(events[-1], SessionEnded)


SCHEDULED = ControlMode.SCHEDULED
Bay = tuple[VirtualClock, PowerStage, EvseSecc, list[SeccEvent]]


def bay(**arguments: Any) -> Bay:
    clock, stage = VirtualClock(), PowerStage()
    events: list[Any] = []
    return clock, stage, EvseSecc(stage, clock, events.append, **arguments), events


def plug(secc: EvseSecc, session: EvSession) -> tuple[asyncio.Task[Any], asyncio.Task[Any], Link[bytes]]:
    ev_end, secc_end = wire_pair("ev", "secc")
    serving, driving = asyncio.create_task(secc.serve(secc_end)), asyncio.create_task(session.run(ev_end))
    return serving, driving, ev_end.link


def flowing(stage: PowerStage, clock: VirtualClock) -> bool:
    return bool(stage.reading(clock.now()).current_a)


async def test_a_session_is_paused_and_resumed() -> None:
    clock, stage, secc, events = bay()
    car = Car(soc_pct=70)
    secc.set_power(-4_000)
    session = EvSession(car, clock)
    serving, driving, _ = plug(secc, session)
    await clock.sleep(20)
    assert session.engine is not None
    session.engine.command(orders.Stop(ChargingSession.Pause), clock.now())
    await asyncio.gather(serving, driving)
    assert session.paused is not None
    assert isinstance(events[-1], SessionEnded)
    assert events[-1].paused
    assert not flowing(stage, clock)
    again = EvSession(car, clock, settings=car_settings(car, resume=session.paused))
    serving, driving, _ = plug(secc, again)
    await clock.sleep(20)
    assert flowing(stage, clock)
    again.stop()
    await asyncio.gather(serving, driving)
    identified = [event for event in events if isinstance(event, VehicleIdentified)]
    assert [event.resumed for event in identified] == [False, True]


@pytest.mark.parametrize("who", ["car", "charger", "cable"])
async def test_no_power_flows_after_unplugging(who: str) -> None:
    clock, stage, secc, events = bay()
    secc.set_power(-4_000)
    session = EvSession(Car(soc_pct=70), clock)
    serving, driving, link = plug(secc, session)
    await clock.sleep(20)
    assert flowing(stage, clock)
    if who == "car":
        await session.unplug()
    elif who == "charger":
        await secc.unplug()
    else:
        link.cut()
    await asyncio.gather(serving, driving)
    assert not flowing(stage, clock)
    assert isinstance(events[-1], SessionEnded)
    assert not events[-1].ok
    assert session.ended is not None
    assert not session.ended.ok
    assert not session.car.contactors_closed
    assert not secc.connected


@pytest.mark.parametrize(
    ("quirks", "why"),
    [
        (Quirks(silent_after_s=15), "sequence timeout"),
        (Quirks(late_frames_s=0.4), "sequence timeout"),
        (Quirks(ignores_stop=True), "ignored the notification"),
    ],
)
async def test_the_session_of_a_faulty_car_is_ended(quirks: Quirks, why: str) -> None:
    clock, stage, secc, events = bay()
    secc.set_power(-4_000)
    session = EvSession(Car(CarSpec(quirks=quirks), soc_pct=70), clock)
    serving, driving, link = plug(secc, session)
    await clock.sleep(20)
    secc.terminate(within_s=3)
    await serving
    link.cut()
    await driving
    assert not flowing(stage, clock)
    assert isinstance(events[-1], SessionEnded)
    assert why in events[-1].reason


async def test_a_car_with_negative_discharge_limits_discharges() -> None:
    clock, stage, secc, _ = bay()
    secc.set_power(-4_000)
    session = EvSession(Car(CarSpec(quirks=Quirks(negative_discharge_limits=True)), soc_pct=70), clock)
    serving, driving, _ = plug(secc, session)
    await clock.sleep(20)
    assert stage.reading(clock.now()).ac_power_w == pytest.approx(-4_000, rel=0.02)
    session.stop()
    await asyncio.gather(serving, driving)


async def test_discharge_ends_at_the_v2x_minimum_within_the_session() -> None:
    clock, stage, secc, events = bay()
    secc.set_power(-9_000)
    car = Car(soc_pct=25.5)
    session = EvSession(car, clock)
    serving, driving, _ = plug(secc, session)
    await clock.sleep(1_800)
    assert secc.connected
    assert abs(stage.reading(clock.now()).current_a) < 1
    assert car.soc_pct == pytest.approx(25, abs=0.3)
    last = next(event for event in reversed(events) if isinstance(event, Measured))
    assert last.binding in ("ev", "ev_v2x_window")
    session.stop()
    await asyncio.gather(serving, driving)


async def test_a_second_car_is_rejected() -> None:
    clock, _, secc, events = bay()
    first, second = EvSession(Car(), clock), EvSession(Car(), clock)
    serving, driving, _ = plug(secc, first)
    await clock.sleep(5)
    turned_away, waiting, _ = plug(secc, second)
    await asyncio.gather(turned_away, waiting)
    assert second.ended is not None
    assert not second.ended.ok
    assert secc.connected
    first.stop()
    await asyncio.gather(serving, driving)
    assert events[-1] == SessionEnded("ended by the car", ok=True)


async def test_a_connection_without_a_message_ends_by_the_communication_setup_timer() -> None:
    clock, _, secc, events = bay()
    _, silent = wire_pair("ev", "secc")
    began = clock.now()
    await secc.serve(silent)
    assert clock.now() - began == pytest.approx(secc.settings.setup_timeout)
    assert events[-1] == SessionEnded("the car did not set up a session in time", ok=False)


async def test_an_insulation_fault_prevents_power_transfer() -> None:
    clock, stage, secc, events = bay()
    stage.insulation_ohm = 1_000.0
    session = EvSession(Car(), clock)
    serving, driving, _ = plug(secc, session)
    await asyncio.gather(serving, driving)
    assert not any(isinstance(event, ChargingStarted) for event in events)
    assert isinstance(events[-1], SessionEnded)
    assert "insulation" in events[-1].reason


async def test_authorization_waits_for_the_station() -> None:
    clock, _, secc, events = bay(free_vend=False)
    session = EvSession(Car(), clock)
    serving, driving, _ = plug(secc, session)
    await clock.sleep(1)
    assert AuthorizationRequested(session.car.spec.evcc_id) in events
    secc.wait_for_customer()
    await clock.sleep(120)
    assert secc.connected
    secc.authorize(True)
    await clock.sleep(5)
    assert any(isinstance(event, ChargingStarted) for event in events)
    session.stop()
    await asyncio.gather(serving, driving)


async def test_an_ac_car_follows_its_profile_without_a_target_of_the_charger() -> None:
    clock, _, secc, events = bay()
    secc.settings = stage_settings(secc.stage, services=[ServiceId.AC])
    secc.set_power(4_000)
    car = Car(soc_pct=50)
    session = EvSession(car, clock, settings=car_settings(car, services=(ServiceId.AC,), controls=(SCHEDULED,)))
    serving, driving, _ = plug(secc, session)
    await clock.sleep(20)
    assert session.engine is not None
    assert session.engine.planned_power(clock.now()) == pytest.approx(4_000, abs=1)
    measured = [event for event in events if isinstance(event, Measured)]
    assert measured[-1].power_w == pytest.approx(4_000, abs=1)
    session.stop()
    await asyncio.gather(serving, driving)
    assert session.engine.planned_power(clock.now()) == 0


@pytest.mark.parametrize(
    ("stated", "expected"), [(None, 4_000), (2_000.0, 2_000), (9_000.0, 4_000), (-3_000.0, 0), (0.0, 0)]
)
async def test_a_target_of_the_charger_only_narrows_an_ac_cars_profile(stated: float | None, expected: float) -> None:
    clock, _, secc, _ = bay()
    secc.settings = stage_settings(secc.stage, services=[ServiceId.AC_BPT])
    secc.set_power(4_000)
    car = Car(soc_pct=50)
    wanted = car_settings(car, services=(ServiceId.AC_BPT,), controls=(SCHEDULED,))
    session = EvSession(car, clock, settings=wanted)
    serving, driving, _ = plug(secc, session)
    await clock.sleep(20)
    assert session.engine is not None
    assert _ac_target(session.engine, stated, clock.now()) == pytest.approx(expected, abs=1)
    session.stop()
    await asyncio.gather(serving, driving)


async def test_a_repeated_set_point_causes_no_renegotiation() -> None:
    clock, _, secc, events = bay()
    secc.set_power(3_000)
    car = Car(soc_pct=50)
    session = EvSession(car, clock, settings=car_settings(car, controls=(SCHEDULED,)))
    serving, driving, _ = plug(secc, session)
    await clock.sleep(10)
    for power in (3_000, 3_000, 2_950):
        secc.set_power(power)
        await clock.sleep(5)
    assert sum(isinstance(event, NeedsStated) for event in events) == 1
    secc.set_power(1_000)
    await clock.sleep(5)
    assert sum(isinstance(event, NeedsStated) for event in events) == 2
    session.stop()
    await asyncio.gather(serving, driving)


async def test_the_charger_receives_display_parameters() -> None:
    clock, _, secc, _ = bay()
    secc.set_power(9_000)
    session = EvSession(Car(soc_pct=50), clock)
    serving, driving, _ = plug(secc, session)
    await clock.sleep(30)
    assert secc.engine is not None
    assert secc.engine.session.car is not None
    display = secc.engine.session.car.display
    assert display is not None
    assert display.to_minimum_s == 0
    assert display.to_target_s is not None
    assert display.to_maximum_s is not None
    assert 3_600 < display.to_target_s < display.to_maximum_s
    assert display.capacity_wh is not None
    assert display.capacity_wh > 50_000
    session.stop()
    await asyncio.gather(serving, driving)
