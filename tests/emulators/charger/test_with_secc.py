"""From gateway to battery in virtual time: OCPP 2.1 to the station, ISO 15118-20 from there to the car."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from emulators.charger.hardware.power_stage import PowerStage
from emulators.charger.secc.events import NeedsStated as SeccNeeds
from emulators.charger.station.secc_power_path import SeccPowerPath
from emulators.ev.car import Car
from emulators.ev.session import EvSession, car_settings
from emulators.runtime.transports import wire_pair
from gateway.csms.settings import CsmsSettings, StationSettings, UnknownTokens
from gateway.model.event import NeedsStated, PlugChanged, PlugState, SessionEnded, SessionStarted
from gateway.model.station import Answer
from protocols.iso15118.iso20.services import ControlMode, ServiceId
from protocols.ocpp.schema import Version
from tests.emulators.charger.station_rig import Rig

pytestmark = pytest.mark.virtual_time


def near(watts: float) -> object:
    return pytest.approx(watts, rel=0.02)


@asynccontextmanager
async def rig_with_secc(
    version: Version = Version.V21, profile: str | None = None
) -> AsyncIterator[tuple[Rig, SeccPowerPath]]:
    known = StationSettings("CP1", vendor_profile=profile, max_charge_w=10_000.0, max_discharge_w=10_000.0)
    settings = CsmsSettings(stations=(known,), unknown_tokens=UnknownTokens.ACCEPT)
    from emulators.runtime.clock import VirtualClock

    power_path = SeccPowerPath(PowerStage(), VirtualClock())
    rig = Rig(version, settings=settings, power_paths=[power_path], vendor_profile=profile)
    async with rig:
        yield rig, power_path


def drive(rig: Rig, power_path: SeccPowerPath, car: Car, **about: object) -> tuple[EvSession, asyncio.Task[object]]:
    session = EvSession(car, rig.clock, **about)  # type: ignore[arg-type]
    ours, theirs = wire_pair("ev", "secc")
    rig._tasks.append(asyncio.create_task(power_path.secc.serve(theirs)))
    return session, asyncio.create_task(session.run(ours))


async def test_a_discharge_from_the_gateway_to_the_battery() -> None:
    async with rig_with_secc() as (rig, power_path):
        car = Car(soc_pct=80)
        _, driving = drive(rig, power_path, car)
        await rig.until(lambda: rig.csms.context.transactions.active_at("CP1", 1) is not None)
        await rig.sleep(15)
        (started,) = rig.of(SessionStarted)
        assert started.vehicle == car.spec.evcc_id
        needs = rig.of(NeedsStated)[-1].needs
        assert (needs.energy_transfer, needs.control_mode, needs.bidirectional) == ("DC_BPT", "dynamic", True)
        assert needs.target_energy_wh is not None
        for _ in range(6):
            assert (await rig.csms.set_power("CP1-1", -5000.0, 30.0)).answer is Answer.APPLIED
            await rig.sleep(20)
        assert rig.evse().reading.power_w == near(-5000)
        assert car.energy_out_wh > 100
        await rig.sleep(35)  # not refreshed
        assert rig.evse().reading.power_w == 0.0
        assert not driving.done()
        assert (await rig.csms.end_session("CP1-1")).answer is Answer.APPLIED
        ended = await driving
        assert getattr(ended, "ok", False), ended
        await rig.until(lambda: rig.of(PlugChanged)[-1].state is PlugState.AVAILABLE)
        assert rig.of(SessionEnded)[-1].reason == "Remote"
        assert rig.errors() == []


async def test_a_car_that_leaves_ends_the_transaction() -> None:
    async with rig_with_secc() as (rig, power_path):
        session, driving = drive(rig, power_path, Car(soc_pct=60))
        await rig.until(lambda: rig.csms.context.transactions.active_at("CP1", 1) is not None)
        await rig.csms.set_power("CP1-1", 3000.0, 60.0)
        await rig.sleep(10)
        assert rig.evse().reading.power_w == near(3000)
        session.stop()
        await driving
        await rig.until(lambda: bool(rig.of(SessionEnded)))
        assert rig.of(SessionEnded)[-1].reason == "StoppedByEV"
        _, driving = drive(rig, power_path, Car(soc_pct=60))  # the next one is welcome
        await rig.until(lambda: len(rig.of(SessionStarted)) == 2)
        driving.cancel()
        await asyncio.gather(driving, return_exceptions=True)


async def test_a_car_that_only_charges_is_not_discharged() -> None:
    async with rig_with_secc() as (rig, power_path):
        car = Car(soc_pct=60)
        settings = car_settings(car, services=(ServiceId.DC,), controls=(ControlMode.DYNAMIC,))
        _, driving = drive(rig, power_path, car, settings=settings)
        await rig.until(lambda: bool(rig.of(NeedsStated)))
        await rig.sleep(10)
        assert not rig.of(NeedsStated)[-1].needs.bidirectional
        outcome = await rig.csms.set_power("CP1-1", -3000.0, 60.0)
        assert (outcome.answer, outcome.code) == (Answer.REFUSED, "NotBidirectional")
        assert (await rig.csms.set_power("CP1-1", 4000.0, 60.0)).answer is Answer.APPLIED
        await rig.sleep(10)
        assert rig.evse().reading.power_w == near(4000)
        driving.cancel()
        await asyncio.gather(driving, return_exceptions=True)


async def test_a_16_station_with_a_car_on_iso_15118() -> None:
    async with rig_with_secc(Version.V16, "negative-limit") as (rig, power_path):
        _, driving = drive(rig, power_path, Car(soc_pct=80))
        await rig.until(lambda: rig.csms.context.transactions.active_at("CP1", 1) is not None)
        assert (await rig.csms.set_power("CP1-1", -4000.0, 60.0)).answer is Answer.APPLIED
        await rig.sleep(15)
        assert rig.evse().reading.power_w == near(-4000)
        driving.cancel()
        await asyncio.gather(driving, return_exceptions=True)


async def test_a_2_0_1_station_sends_needs_once_per_change() -> None:
    """K15, K17; K16.FR.09: in scheduled control a set-point causes a renegotiation, but no new needs."""
    async with rig_with_secc(Version.V201) as (rig, power_path):
        car = Car(soc_pct=60)
        settings = car_settings(car, services=(ServiceId.DC,), controls=(ControlMode.SCHEDULED,))
        session, driving = drive(rig, power_path, car, settings=settings)
        await rig.until(lambda: bool(rig.calls("NotifyEVChargingNeeds")))
        assert rig.calls("NotifyEVChargingNeeds")[0]["chargingNeeds"]["dcChargingParameters"]["evMaxPower"] > 0
        await rig.until(lambda: rig.evse().reading.power_w > 1000)
        seen: list[object] = []
        power_path._observe = seen.append
        assert (await rig.csms.set_power("CP1-1", 4000.0, 120.0)).answer is Answer.APPLIED
        await rig.sleep(20)
        assert [e for e in seen if isinstance(e, SeccNeeds) and e.renegotiation]
        assert rig.evse().reading.power_w == near(4000)
        assert len(rig.calls("NotifyEVChargingNeeds")) == 1
        schedule = rig.calls("NotifyEVChargingSchedule")[-1]["chargingSchedule"]
        assert schedule["chargingSchedulePeriod"][0]["limit"] == 4000.0
        assert rig.answers("NotifyEVChargingSchedule")[-1] == {"status": "Accepted"}
        assert rig.errors() == []
        session.stop()
        await driving
