"""OCPP 2.1 Q06 over the wire: an external system controls the station on its own."""

from __future__ import annotations

import pytest

from tests.emulators.charger.requirements.test_k28_k29 import EXTERNAL_ID, near, reported, set_smart_charging
from tests.emulators.charger.station_rig import Rig
from tests.requirements import requirement

pytestmark = pytest.mark.virtual_time

# Q06: an external system on its own


@requirement("Q06.FR.01", "Q06.FR.10")
async def test_a_schedule_of_external_limits() -> None:
    async with Rig() as rig:
        await rig.charging()
        await rig.csms.set_power("CP1-1", 9000.0, 600.0)
        periods = [{"startPeriod": 0, "limit": 3000.0}, {"startPeriod": 60, "limit": 1000.0}]
        assert rig.station.external_control.schedule(1, "ExternalLimits", periods)
        await rig.sleep(5)
        assert rig.evse().reading.power_w == near(3000)
        await rig.sleep(60)
        assert rig.evse().reading.power_w == near(1000)
        (notice,) = rig.calls("NotifyChargingLimit")
        assert notice["chargingLimit"]["chargingLimitSource"] == "EMS"
        assert [p["limit"] for p in notice["chargingSchedule"][0]["chargingSchedulePeriod"]] == [3000.0, 1000.0]
        assert (await reported(rig, EXTERNAL_ID))["chargingProfileKind"] == "Absolute"


@requirement("Q06.FR.03")
async def test_a_schedule_of_external_set_points() -> None:
    async with Rig() as rig:
        await rig.charging()
        periods = [{"startPeriod": 0, "setpoint": -1000.0}, {"startPeriod": 60, "setpoint": -2000.0}]
        assert rig.station.external_control.schedule(1, "ExternalSetpoint", periods)
        await rig.sleep(5)
        assert rig.evse().reading.power_w == near(-1000)
        await rig.sleep(60)
        assert rig.evse().reading.power_w == near(-2000)


@requirement("Q06.FR.04", "Q06.FR.06", "Q06.FR.20", "Q06.FR.21", "Q06.FR.22")
async def test_set_point_priority() -> None:
    async with Rig() as rig:
        await rig.charging()
        await rig.csms.set_power("CP1-1", -4000.0, 600.0)
        assert rig.station.external_control.setpoint(1, 1500.0)
        await rig.sleep(4)
        assert rig.evse().reading.power_w == near(1500)  # ExternalControl is the default
        await set_smart_charging(rig, "SetpointPriority", "CSMS")
        await rig.sleep(4)
        assert rig.evse().reading.power_w == near(-4000)


@requirement("Q06.FR.08")
async def test_disabled_external_control_is_rejected() -> None:
    async with Rig() as rig:
        await rig.charging()
        await set_smart_charging(rig, "ExternalConstraintsProfileDisallowed", "true")
        assert not rig.station.external_control.limits(1, limit_w=1000.0)
        assert not rig.station.external_control.setpoint(1, 1000.0)
        assert not rig.station.external_control.schedule(1, "ExternalLimits", [{"startPeriod": 0, "limit": 1.0}])
        body = {"requestId": 7, "chargingProfile": {"chargingLimitSource": ["EMS"]}}
        assert (await rig.request("GetChargingProfiles", body))["status"] == "NoProfiles"
        assert rig.calls("NotifyChargingLimit") == []


@requirement("Q06.FR.11")
async def test_significant_changes_are_notified() -> None:
    async with Rig() as rig:
        await rig.charging()
        for limit, notice in ((4000.0, 1), (4100.0, 1), (3000.0, 2), (3000.0, 2)):
            rig.station.external_control.limits(1, limit_w=limit)
            await rig.sleep(1)
            assert len(rig.calls("NotifyChargingLimit")) == notice


@requirement("Q06.FR.30", "Q06.FR.31")
async def test_station_limits_are_divided_among_evses() -> None:
    async with Rig(evses=2) as rig:
        for number in (1, 2):
            await rig.charging(number)
            await rig.csms.set_power(f"CP1-{number}", 8000.0, 600.0)
        assert rig.station.external_control.limits(0, limit_w=6000.0)
        await rig.sleep(5)
        total = sum(rig.evse(n).reading.power_w for n in (1, 2))
        assert total <= 6000.0 + 1
        assert total == near(6000)
        assert rig.station.external_control.setpoint(0, -4000.0)
        await rig.sleep(5)
        assert sum(rig.evse(n).reading.power_w for n in (1, 2)) == near(-4000)


@requirement("Q06.FR.40", "Q06.FR.41")
async def test_an_external_constraint_expires_and_is_renewed() -> None:
    async with Rig() as rig:
        await rig.charging()
        await rig.csms.set_power("CP1-1", 5000.0, 600.0)
        assert rig.station.external_control.limits(1, limit_w=2000.0, duration=20)
        await rig.sleep(10)
        assert rig.evse().reading.power_w == near(2000)
        await rig.sleep(15)
        assert rig.evse().reading.power_w == near(5000)
        assert rig.station.external_control.limits(1, limit_w=1000.0)
        await rig.sleep(3)
        assert rig.evse().reading.power_w == near(1000)
