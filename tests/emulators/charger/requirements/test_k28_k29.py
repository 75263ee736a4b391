"""OCPP 2.1 K28 and K29 over the wire: dynamic profiles from the CSMS and from an external system."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.model.event import EvseDescribed
from gateway.model.station import Answer
from protocols.ocpp.times import parse
from tests.emulators.charger.station_rig import Rig, dynamic
from tests.requirements import requirement

pytestmark = pytest.mark.virtual_time
EXTERNAL_ID = -1  # of the profile of the external system for EVSE 1


def near(watts: float) -> object:
    return pytest.approx(watts, rel=0.01)


async def install(rig: Rig, profile: dict[str, Any], evse: int = 1) -> dict[str, Any]:
    if profile["chargingProfilePurpose"] == "TxProfile" and "transactionId" not in profile:
        transaction = rig.evse(evse).transaction
        assert transaction is not None
        profile = profile | {"transactionId": transaction.id}
    return await rig.request("SetChargingProfile", {"evseId": evse, "chargingProfile": profile})


def reason(answer: dict[str, Any]) -> tuple[str, str]:
    return answer["status"], answer.get("statusInfo", {}).get("reasonCode", "")


@requirement("K28.FR.01", "K28.FR.02", "K28.FR.03", "K29.FR.01", "K29.FR.02")
async def test_a_dynamic_profile_is_one_schedule_of_one_period_from_zero() -> None:
    async with Rig() as rig:
        await rig.charging()
        base = dynamic()
        one = base["chargingSchedule"][0]
        second = {"startPeriod": 60, "operationMode": "CentralSetpoint", "setpoint": 0.0}
        late = {"startPeriod": 5, "operationMode": "CentralSetpoint", "setpoint": 0.0}
        for schedules in (
            [one, one | {"id": 2}],
            [one | {"chargingSchedulePeriod": [one["chargingSchedulePeriod"][0], second]}],
            [one | {"chargingSchedulePeriod": [late]}],
        ):
            answer = await install(rig, base | {"chargingSchedule": schedules})
            assert reason(answer) == ("Rejected", "InvalidSchedule")
        assert (await install(rig, base))["status"] == "Accepted"
        for call in rig.calls("SetChargingProfile"):  # and what the gateway itself sends keeps to it
            profile = call["chargingProfile"]
            if profile["chargingProfileKind"] == "Dynamic" and profile["id"] > 1_000_000:
                (schedule,) = profile["chargingSchedule"]
                (period,) = schedule["chargingSchedulePeriod"]
                assert period["startPeriod"] == 0


@requirement("K28.FR.04")
async def test_update_fields_belong_to_dynamic_profiles_only() -> None:
    async with Rig() as rig:
        await rig.charging()
        absolute = dynamic(chargingProfileKind="Absolute")
        absolute["chargingSchedule"][0]["startSchedule"] = "2026-01-15T00:00:00Z"
        assert reason(await install(rig, absolute | {"dynUpdateInterval": 60})) == ("Rejected", "InvalidProfile")
        assert (await install(rig, absolute))["status"] == "Accepted"


async def reported(rig: Rig, number: int) -> dict[str, Any]:
    """The profile with an id, as the station reports it."""
    before = len(rig.calls("ReportChargingProfiles"))
    body = {"requestId": 7, "chargingProfile": {"chargingProfileId": [number]}}
    assert (await rig.request("GetChargingProfiles", body))["status"] == "Accepted"
    await rig.until(lambda: len(rig.calls("ReportChargingProfiles")) > before)
    profile: dict[str, Any]
    (profile,) = rig.calls("ReportChargingProfiles")[-1]["chargingProfile"]
    return profile


async def update_time(rig: Rig, number: int = 10) -> float:
    time = parse((await reported(rig, number))["dynUpdateTime"])
    assert time is not None
    return time


async def set_smart_charging(rig: Rig, variable: str, value: str) -> None:
    data = {"attributeValue": value, "component": {"name": "SmartChargingCtrlr"}, "variable": {"name": variable}}
    (result,) = (await rig.request("SetVariables", {"setVariableData": [data]}))["setVariableResult"]
    assert result["attributeStatus"] == "Accepted"


@requirement("K28.FR.05", "K28.FR.06", "K28.FR.09")
async def test_an_update_applies_at_once_and_sets_the_time() -> None:
    async with Rig() as rig:
        await rig.charging()
        assert (await install(rig, dynamic(-5000.0)))["status"] == "Accepted"
        assert await update_time(rig) == pytest.approx(rig.clock.wall(), abs=0.5)
        await rig.sleep(10)
        assert rig.evse().reading.power_w == near(-5000)
        answer = await rig.request(
            "UpdateDynamicSchedule", {"chargingProfileId": 10, "scheduleUpdate": {"setpoint": 2000}}
        )
        assert answer["status"] == "Accepted"
        assert rig.evse().setpoint_w == 2000
        assert await update_time(rig) == pytest.approx(rig.clock.wall(), abs=0.5)
        await rig.sleep(5)
        assert rig.evse().reading.power_w == near(2000)


@requirement("K28.FR.07", "K28.FR.08", "K28.FR.09", "K28.FR.10")
async def test_a_station_pulls_and_applies_updates() -> None:
    async with Rig() as rig:
        await rig.charging()
        await rig.csms.set_power("CP1-1", -3000.0, 120.0)
        profile = await reported(rig, 2_000_001)
        del profile["dynUpdateTime"]
        profile["dynUpdateInterval"] = 20
        profile["chargingSchedule"][0]["chargingSchedulePeriod"][0]["setpoint"] = -1000.0
        assert (await install(rig, profile))["status"] == "Accepted"  # the gateway's set-point is still -3000 W
        installed_at = rig.clock.wall()
        await rig.sleep(22)
        (pull,) = rig.calls("PullDynamicScheduleUpdate")
        assert pull == {"chargingProfileId": 2_000_001}
        assert rig.answers("PullDynamicScheduleUpdate")[0] == {
            "status": "Accepted",
            "scheduleUpdate": {"setpoint": -3000.0},
        }
        assert rig.evse().setpoint_w == -3000.0
        assert await update_time(rig, 2_000_001) > installed_at + 15
        await rig.sleep(20)
        assert len(rig.calls("PullDynamicScheduleUpdate")) == 2


@requirement("K28.FR.11")
async def test_only_a_dynamic_profile_is_updated() -> None:
    async with Rig() as rig:
        await rig.charging()
        body = {"chargingProfileId": 1_000_001, "scheduleUpdate": {"limit": 2000}}
        assert reason(await rig.request("UpdateDynamicSchedule", body)) == ("Rejected", "InvalidProfile")
        body["chargingProfileId"] = 77
        assert reason(await rig.request("UpdateDynamicSchedule", body)) == ("Rejected", "InvalidProfile")


@requirement("K28.FR.12")
async def test_the_gateway_rejects_a_pull_of_an_unknown_profile() -> None:
    async with Rig() as rig:
        await rig.charging()
        for number in (77, 1_000_001):  # unknown, and known but not dynamic
            await rig.station.call("PullDynamicScheduleUpdate", {"chargingProfileId": number})
        for answer in rig.answers("PullDynamicScheduleUpdate"):
            assert reason(answer) == ("Rejected", "InvalidProfile")


@requirement("K28.FR.13", "K28.FR.14", "K28.FR.15")
async def test_a_dynamic_profile_expires_and_an_update_renews_it() -> None:
    async with Rig() as rig:
        await rig.charging()
        assert (await install(rig, dynamic(-5000.0, duration=30) | {"stackLevel": 5}))["status"] == "Accepted"
        began = rig.clock.now()
        await rig.until(lambda: rig.evse().composite.profile != 10)
        assert rig.clock.now() - began == pytest.approx(30.0, abs=0.2)
        await rig.sleep(2)
        assert rig.evse().reading.power_w == 0.0  # what the gateway laid beneath
        await rig.sleep(100)
        body = {"chargingProfileId": 10, "scheduleUpdate": {"setpoint": -2000}}
        assert (await rig.request("UpdateDynamicSchedule", body))["status"] == "Accepted"
        await rig.sleep(2)
        assert rig.evse().reading.power_w == near(-2000)


@requirement("K28.FR.15")
async def test_without_a_duration_a_dynamic_profile_does_not_expire() -> None:
    async with Rig() as rig:
        await rig.charging()
        await install(rig, dynamic(-1000.0, duration=None) | {"stackLevel": 5})
        await rig.sleep(900)
        assert rig.evse().reading.power_w == near(-1000)


def granted(mode: str, duration: int | None = None) -> dict[str, Any]:
    schedule: dict[str, Any] = {
        "id": 1,
        "chargingRateUnit": "W",
        "chargingSchedulePeriod": [{"startPeriod": 0, "operationMode": mode}],
    }
    if duration is not None:
        schedule["duration"] = duration
    return {
        "id": 30,
        "stackLevel": 6,
        "chargingProfilePurpose": "TxProfile",
        "chargingProfileKind": "Dynamic",
        "chargingSchedule": [schedule],
    }


@requirement("K29.FR.03", "Q05.FR.01", "Q05.FR.03", "Q05.FR.05")
async def test_a_granted_set_point_is_the_external_systems() -> None:
    async with Rig() as rig:
        await rig.charging()
        await set_smart_charging(rig, "ExternalConstraintsProfileDisallowed", "true")
        assert (await install(rig, granted("ExternalSetpoint")))["status"] == "Accepted"
        assert rig.station.external_control.setpoint(1, -2500.0)
        await rig.sleep(3)
        assert rig.evse().reading.power_w == near(-2500)
        await rig.sleep(30)
        assert rig.station.external_control.setpoint(1, -1500.0)
        assert await update_time(rig, 30) == pytest.approx(rig.clock.wall(), abs=0.5)
        await rig.sleep(3)
        assert rig.evse().reading.power_w == near(-1500)
        assert rig.evse().composite.mode == "ExternalSetpoint"


@requirement("K29.FR.03", "Q05.FR.02", "Q05.FR.04", "Q05.FR.06")
async def test_granted_limits_are_the_external_systems() -> None:
    async with Rig() as rig:
        await rig.charging()
        assert (await install(rig, granted("ExternalLimits")))["status"] == "Accepted"
        assert rig.station.external_control.limits(1, limit_w=3000.0, discharge_limit_w=-1000.0)
        await rig.sleep(3)
        assert rig.evse().reading.power_w == near(3000)
        assert rig.station.external_control.limits(1, limit_w=1500.0)
        assert await update_time(rig, 30) == pytest.approx(rig.clock.wall(), abs=0.5)
        await rig.sleep(3)
        assert rig.evse().reading.power_w == near(1500)
        assert rig.evse().composite.discharge_limit_w == -1000.0


@requirement("Q05.FR.07", "Q05.FR.08", "K29.FR.07", "K29.FR.08")
async def test_external_values_expire_without_updates() -> None:
    async with Rig() as rig:
        await rig.charging()
        await install(rig, granted("ExternalSetpoint", duration=20))
        assert rig.station.external_control.setpoint(1, -2500.0)
        await rig.sleep(10)
        assert rig.evse().reading.power_w == near(-2500)
        await rig.sleep(15)
        assert rig.evse().composite.mode == "CentralSetpoint"  # the gateway's own profile, at 0 W
        assert rig.evse().reading.power_w == 0.0
        assert rig.station.external_control.setpoint(1, -2000.0)
        await rig.sleep(3)
        assert rig.evse().reading.power_w == near(-2000)


@requirement("K29.FR.04", "K29.FR.05", "K29.FR.06", "Q06.FR.02", "Q06.FR.05", "Q06.FR.07")
async def test_an_external_limit_is_a_dynamic_constraint() -> None:
    async with Rig() as rig:
        await rig.charging()
        await rig.csms.set_power("CP1-1", 8000.0, 300.0)
        assert rig.station.external_control.limits(1, limit_w=4000.0, discharge_limit_w=-2000.0)
        await rig.sleep(4)
        assert rig.evse().reading.power_w == near(4000)  # V2X.03
        limits = rig.of(EvseDescribed)[-1].limits  # reported to the core
        assert (limits.max_charge_w, limits.max_discharge_w) == (4000.0, 2000.0)
        held = await reported(rig, EXTERNAL_ID)
        assert held["chargingProfilePurpose"] == "ChargingStationExternalConstraints"
        assert held["chargingProfileKind"] == "Dynamic"
        assert held["chargingSchedule"][0]["chargingSchedulePeriod"] == [
            {"startPeriod": 0, "operationMode": "ExternalLimits", "limit": 4000.0, "dischargeLimit": -2000.0}
        ]
        await rig.sleep(20)
        assert rig.station.external_control.limits(1, limit_w=2000.0)
        assert await update_time(rig, EXTERNAL_ID) == pytest.approx(rig.clock.wall(), abs=0.5)
        await rig.sleep(4)
        assert rig.evse().reading.power_w == near(2000)
        assert (await rig.csms.set_power("CP1-1", -8000.0, 300.0)).answer is Answer.APPLIED
        await rig.sleep(4)
        assert rig.evse().reading.power_w == near(-2000)  # V2X.04
        rig.station.external_control.clear(1)
        await rig.sleep(4)
        assert rig.of(EvseDescribed)[-1].limits.max_discharge_w == 10_000.0
        assert rig.evse().reading.power_w == near(-8000)
        assert rig.calls("ClearedChargingLimit")[-1]["chargingLimitSource"] == "EMS"
