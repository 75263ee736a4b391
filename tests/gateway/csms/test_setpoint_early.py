"""Set-points of stations that follow a vendor profile, and the fallback profile beneath all set-points."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from gateway.model.station import Answer
from protocols.ocpp.schema import Version
from tests.gateway.csms.scripted_transaction import (
    ACCEPTED,
    DC,
    PROFILE,
    SCHEDULE,
    early,
    schedule_of,
)


def values(calls: list[tuple[str, dict[str, Any]]]) -> list[str]:
    return [body["value"] for action, body in calls if action == "ChangeConfiguration"]


@pytest.mark.virtual_time
async def test_where_the_station_has_no_watchdog_the_gateway_sends_0_w_when_the_time_is_over() -> None:
    async with early(Version.V16, "vendor-variable") as one:
        assert values((await one.order(-3000.0, 10.0))[1])
        one.calls.clear()
        await asyncio.sleep(9)
        assert values(one.calls) == []
        await one.order(-3500.0, 10.0)  # renewed in time
        one.calls.clear()
        await asyncio.sleep(9)
        assert values(one.calls) == []
        await asyncio.sleep(2)
        (value,) = values(one.calls)
        assert float(value) == 0.0
        one.calls.clear()
        await asyncio.sleep(60)
        assert values(one.calls) == []  # 0 W needs no end
        await one.order(-3000.0, 10.0)
        assert (await one.order(0.0, 10.0))[0] is Answer.APPLIED
        assert (await one.order(-2000.0, 10.0))[0] is Answer.APPLIED  # 0 W has ended the watchdog


@pytest.mark.virtual_time
async def test_without_a_watchdog_a_refused_order_needs_no_end_and_one_without_an_answer_does() -> None:
    async with early(Version.V16, "vendor-variable") as one:
        one.answers["ChangeConfiguration"] = {"status": "Rejected"}
        assert (await one.order(-3000.0, 10.0))[0] is Answer.REFUSED
        one.calls.clear()
        await asyncio.sleep(60)
        assert values(one.calls) == []
        one.answers["ChangeConfiguration"] = None
        assert (await one.order(-3000.0, 10.0))[0] is Answer.UNKNOWN
        one.answers["ChangeConfiguration"] = ACCEPTED
        one.calls.clear()
        await asyncio.sleep(12)
        assert [float(value) for value in values(one.calls)] == [0.0]


@pytest.mark.virtual_time
async def test_a_set_point_in_a_variable_has_the_outcome_that_the_station_reports() -> None:
    async with early(Version.V201, "vendor-variable") as one:
        named = {"component": {"name": "V2XSetpoint"}, "variable": {"name": "Current"}}
        for status in ("Accepted", "Rejected", "UnknownVariable"):
            one.answers["SetVariables"] = {"setVariableResult": [named | {"attributeStatus": status}]}
            outcome = await one.raw.csms.set_power("CP1-1", -3000.0, 10.0)
            expected = (Answer.APPLIED, "") if status == "Accepted" else (Answer.REFUSED, status)
            assert (outcome.answer, outcome.code) == expected
        one.answers["SetVariables"] = "NotSupported"
        outcome = await one.raw.csms.set_power("CP1-1", -3000.0, 10.0)
        assert (outcome.answer, outcome.code) == (Answer.REFUSED, "NotSupported")
        one.answers["SetVariables"] = {"setVariableResult": []}
        outcome = await one.raw.csms.set_power("CP1-1", -3000.0, 10.0)
        assert (outcome.answer, outcome.code) == (Answer.UNKNOWN, "InvalidAnswer")


@pytest.mark.virtual_time
async def test_a_vehicle_that_negotiates_anew_gets_the_order_in_force_for_the_rest_of_its_time() -> None:
    async with early(Version.V201, "negative-limit") as one:
        await one.order(3000.0, 15.0)
        await asyncio.sleep(4)
        (again,) = await one.needs(DC)
        assert schedule_of(again)["chargingSchedulePeriod"][0]["limit"] == 3000.0
        assert 10 <= schedule_of(again)["duration"] <= 12
        await asyncio.sleep(5.5)
        (last,) = await one.needs(DC)  # less than a second is left
        assert schedule_of(last)["chargingSchedulePeriod"][0]["limit"] == 3000.0
        assert schedule_of(last)["duration"] == 1
        await asyncio.sleep(20)
        (late,) = await one.needs(DC)
        assert schedule_of(late)["chargingSchedulePeriod"][0]["limit"] == 0.0
        assert schedule_of(late)["duration"] == 60


@pytest.mark.virtual_time
async def test_a_profile_of_1_6_has_its_own_form() -> None:
    async with early(Version.V16, "negative-limit") as one:
        safe = [body for action, body in one.calls if action == PROFILE]
        assert [body["csChargingProfiles"]["chargingProfilePurpose"] for body in safe][:1] == ["TxDefaultProfile"]
        assert "operationMode" not in safe[0]["csChargingProfiles"]["chargingSchedule"]["chargingSchedulePeriod"][0]
        assert (await one.order(-3000.0, 14.5))[0] is Answer.APPLIED
        (_, body) = one.calls[-1]
        profile = body["csChargingProfiles"]
        assert body["connectorId"] == 1
        assert profile["chargingProfileId"] == 2_000_001
        assert isinstance(profile["transactionId"], int)
        assert profile["chargingProfileKind"] == "Absolute"
        assert profile["chargingSchedule"]["startSchedule"]
        assert profile["chargingSchedule"]["duration"] == 14
        composite = {
            "duration": 60,
            "chargingRateUnit": "W",
            "chargingSchedulePeriod": [{"startPeriod": 0, "limit": -9.0}],
        }
        one.answers[SCHEDULE] = {"status": "Accepted", "connectorId": 1, "chargingSchedule": composite}
        assert await one.raw.csms.reconcile("CP1-1") == -9.0
        assert one.calls[-1] == (SCHEDULE, {"duration": 60, "chargingRateUnit": "W", "connectorId": 1})


@pytest.mark.parametrize("version", [Version.V16, Version.V201])
@pytest.mark.virtual_time
async def test_without_a_vendor_profile_a_station_is_limited_and_never_discharged(version: Version) -> None:
    async with early(version, None) as one:
        assert (await one.order(-3000.0))[0] is Answer.REFUSED
        assert (await one.order(3000.0))[0] is Answer.APPLIED


@pytest.mark.virtual_time
async def test_the_fallback_profile_is_installed_once_in_its_own_form_and_tried_again_after_pauses() -> None:
    async with early(Version.V21, None) as one:
        (first,) = [call for call in one.calls if call[0] == PROFILE]
        profile = first[1]["chargingProfile"]
        assert (profile["id"], profile["stackLevel"], first[1]["evseId"]) == (1_000_001, 0, 1)
        assert (profile["chargingProfilePurpose"], profile["chargingProfileKind"]) == (
            "TxDefaultProfile",
            "Relative",
        )
        assert "transactionId" not in profile
        assert schedule_of(first)["chargingRateUnit"] == "W"
        station = one.raw.csms.stations["CP1"]
        fallback = station.evses[1].fallback
        assert (fallback.installed, fallback.failures, fallback.error) == (True, 0, "")
        one.answers[PROFILE] = {"status": "Rejected", "statusInfo": {"reasonCode": "Busy", "additionalInfo": "x"}}
        await one.raw.csms.reconcile("CP1-1")
        assert (fallback.installed, fallback.failures, fallback.error) == (False, 1, "Busy x")
        begun = one.raw.clock.now()
        at: list[float] = []
        for _ in range(2800):
            one.calls.clear()
            await asyncio.sleep(0.5)
            at += [one.raw.clock.now() - begun for action, _ in one.calls if action == PROFILE]
        assert at == pytest.approx([5.5, 36, 156, 757, 1358], abs=4)
        refused = await one.raw.csms.set_power("CP1-1", -3000.0, 15.0)
        assert (refused.answer, refused.code) == (Answer.REFUSED, "CannotDischarge")
        refused = await one.raw.csms.set_power("CP1-1", 3000.0, 15.0)
        assert (refused.answer, refused.code) == (Answer.REFUSED, "NoSafeProfile")
        assert "Busy x" in refused.text
