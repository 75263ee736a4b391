"""An emulated car at an emulated charger, in memory and in virtual time."""

from __future__ import annotations

import asyncio

import pytest

from emulators.charger.power_stage import PowerStage
from emulators.charger.secc import (
    ChargingStarted,
    EvseSecc,
    Measured,
    NeedsStated,
    SeccEvent,
    SessionEnded,
    stage_settings,
)
from emulators.clock import VirtualClock, run_virtual
from emulators.ev.car import Car
from emulators.ev.session import EvSession, car_settings
from emulators.wires import split, wire_pair
from protocols.iso15118.iso20.services import ControlMode, ServiceId


def test_a_discharge_from_set_point_to_battery_and_back() -> None:
    async def main() -> tuple[Car, list[SeccEvent], EvSession, PowerStage]:
        clock, said = VirtualClock(), []
        stage, car = PowerStage(), Car(soc_pct=80)
        secc = EvseSecc(stage, clock, said.append)
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
        return car, said, session, stage

    car, said, _, stage = run_virtual(main())
    measured = [event for event in said if isinstance(event, Measured)]
    assert min(event.power_w for event in measured) == pytest.approx(-5_000, rel=0.02)
    assert abs(measured[-1].power_w) < 1
    assert car.soc_pct < 79
    assert car.energy_out_wh > stage.meter.discharged_wh > 750
    assert any(isinstance(event, ChargingStarted) for event in said)
    assert next(event for event in said if isinstance(event, NeedsStated)).service == "DC_BPT"
    assert isinstance(said[-1], SessionEnded)
    assert said[-1].ok


@pytest.mark.parametrize("service", list(ServiceId))
@pytest.mark.parametrize("control", list(ControlMode))
def test_every_service_with_a_set_point_that_changes_its_sign(service: ServiceId, control: ControlMode) -> None:
    async def main() -> tuple[list[SeccEvent], EvSession]:
        clock, said = VirtualClock(), []
        stage, car = PowerStage(), Car(soc_pct=60)
        secc = EvseSecc(stage, clock, said.append, settings=stage_settings(stage, services=list(ServiceId)))
        session = EvSession(car, clock, settings=car_settings(car, services=(service,), controls=(control,)))
        ev_end, secc_end = wire_pair("ev", "secc")
        ev_end.link.tamper = split(5)
        secc.set_power(4_000)
        serving = asyncio.create_task(secc.serve(secc_end))
        driving = asyncio.create_task(session.run(ev_end))
        for wish in (4_000, -4_000, 0, 3_000):
            secc.set_power(wish)
            await clock.sleep(30)
            last = next(event for event in reversed(said) if isinstance(event, Measured))
            expected = wish if wish >= 0 or "BPT" in service.name else 0
            assert last.power_w == pytest.approx(expected, rel=0.03, abs=50), (wish, last)
        session.stop()
        await driving
        await serving
        return said, session

    said, session = run_virtual(main())
    assert session.ended is not None
    assert session.ended.ok
    assert isinstance(said[-1], SessionEnded)
