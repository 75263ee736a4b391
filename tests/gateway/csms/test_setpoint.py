"""Set-points as they are sent to an OCPP 2.1 station: mode, duration, update or new profile, kinds of answer."""

from __future__ import annotations

import asyncio
import json
import math
from dataclasses import replace
from typing import Any

import pytest

from gateway.model.station import Answer
from tests.gateway.csms.raw_station import Raw
from tests.gateway.csms.scripted_transaction import (
    ACCEPTED,
    BPT,
    DC,
    PROFILE,
    SCHEDULE,
    UPDATE,
    period_of,
    schedule_of,
    session,
)

CENTRAL = {"startPeriod": 0, "operationMode": "CentralSetpoint"}
CHARGING = {"startPeriod": 0, "operationMode": "ChargingOnly"}


@pytest.mark.virtual_time
async def test_profiles_of_an_ev_before_the_first_order() -> None:
    """The fallback profile, and above it 0 W in the mode that the EV agreed on, which does not expire."""
    async with session(None) as one:
        safe = [call for call in one.calls if call[0] == PROFILE]
        assert [period_of(call) for call in safe] == [CHARGING | {"limit": 0.0}]
        calls = await one.needs(BPT)
        assert [period_of(call) for call in calls] == [CENTRAL | {"setpoint": 0.0}]
        assert "duration" not in schedule_of(calls[0])
        assert await one.needs(BPT) == calls  # each statement of needs is followed by a profile


@pytest.mark.virtual_time
async def test_an_ev_whose_transaction_ended_meanwhile_gets_nothing() -> None:
    async with session(None) as one:
        one.answers[PROFILE] = None
        order = asyncio.create_task(one.order(3000.0))
        await asyncio.sleep(1)
        await one.needs(BPT)  # waits for the order
        await one.raw.event("Ended", 1)
        one.answers[PROFILE] = ACCEPTED
        assert (await order)[0] is Answer.UNKNOWN
        one.calls.clear()
        await asyncio.sleep(10)
        assert one.calls == []


@pytest.mark.virtual_time
async def test_the_fallback_limit_is_sent_in_tenths_of_a_watt() -> None:
    async with session(None) as one:
        station = one.raw.csms.stations["CP1"]
        station.settings = replace(station.settings, fallback_limit_w=4100.26)
        one.calls.clear()
        await one.raw.csms.reconcile("CP1-1")
        assert period_of(one.calls[0]) == CHARGING | {"limit": 4100.3}


@pytest.mark.virtual_time
async def test_a_station_that_pulls_its_set_point_gets_the_active_one() -> None:
    async with session() as one:
        for power_w in (-5000.0, 3000.0):
            await one.order(power_w)
            reply = await one.raw.ok("PullDynamicScheduleUpdate", {"chargingProfileId": 2_000_001})
            assert reply == {"status": "Accepted", "scheduleUpdate": {"setpoint": power_w}}


@pytest.mark.virtual_time
async def test_an_ev_that_may_be_discharged_gets_0_w_whatever_the_fallback_limit() -> None:
    async with session(None) as one:
        station = one.raw.csms.stations["CP1"]
        station.settings = replace(station.settings, fallback_limit_w=4100.0)
        assert [period_of(call) for call in await one.needs(BPT)] == [CENTRAL | {"setpoint": 0.0}]


@pytest.mark.virtual_time
@pytest.mark.parametrize("given_up", [False, True])
async def test_after_a_profile_without_a_response_the_next_set_point_has_a_profile_of_its_own(given_up: bool) -> None:
    """The station may hold it, with its longer validity, which an update of the set-point alone would begin anew."""
    async with session() as one:
        await one.order(-3000.0, 5.0)
        one.answers[PROFILE] = None
        order = asyncio.create_task(one.order(-3000.0, 30.0))
        await asyncio.sleep(0.5)
        if given_up:
            order.cancel()
            await asyncio.sleep(30)
        else:
            assert (await order)[0] is Answer.UNKNOWN
        one.answers[PROFILE] = ACCEPTED
        _, calls = await one.order(-3000.0, 5.0)
        assert [(action, schedule_of((action, body))["duration"]) for action, body in calls] == [(PROFILE, 5)]


@pytest.mark.virtual_time
async def test_a_power_that_rounds_to_0_is_sent_without_a_sign() -> None:
    async with session() as one:
        _, calls = await one.order(-0.04)
        assert str(period_of(calls[0])["setpoint"]) == "0.0"


@pytest.mark.virtual_time
async def test_an_ev_that_is_only_charged_gets_the_fallback_limit_before_the_first_order() -> None:
    async with session(None) as one:
        station = one.raw.csms.stations["CP1"]
        station.settings = replace(station.settings, fallback_limit_w=4100.0)
        calls = await one.needs(DC)
        assert [period_of(call) for call in calls] == [CHARGING | {"limit": 4100.0}]


@pytest.mark.virtual_time
async def test_a_bidirectional_ev_gets_0_w_before_the_first_order_whatever_the_fallback_limit() -> None:
    async with session(None) as one:
        station = one.raw.csms.stations["CP1"]
        station.settings = replace(station.settings, fallback_limit_w=4100.0)
        calls = await one.needs(BPT)
        assert [period_of(call) for call in calls] == [CENTRAL | {"setpoint": 0.0}]


@pytest.mark.virtual_time
async def test_the_first_order_installs_a_profile_and_the_next_ones_update_it() -> None:
    async with session() as one:
        answer, calls = await one.order(-5000.0, 15.2)
        assert answer is Answer.APPLIED
        (call,) = calls
        profile = call[1]["chargingProfile"]
        assert call[1]["evseId"] == 1
        assert (profile["id"], profile["stackLevel"], profile["transactionId"]) == (2_000_001, 1, "t1")
        assert (profile["chargingProfilePurpose"], profile["chargingProfileKind"]) == ("TxProfile", "Dynamic")
        assert (schedule_of(call)["duration"], schedule_of(call)["chargingRateUnit"]) == (15, "W")
        assert period_of(call) == CENTRAL | {"setpoint": -5000.0}
        for power_w, sent in ((-5000.0, -5000.0), (-4000.27, -4000.3), (-0.0, 0.0), (-0.01, 0.0), (3000.0, 3000.0)):
            update = {"chargingProfileId": 2_000_001, "scheduleUpdate": {"setpoint": sent}}
            answer, calls = await one.order(power_w, 15.0)
            assert answer is Answer.APPLIED
            assert json.dumps(calls) == json.dumps([(UPDATE, update)])  # -0.0 equals 0.0, its text does not


@pytest.mark.parametrize(("valid_for_s", "duration"), [(8.0, 8), (7.999, 7), (0.2, 1), (16.5, 16)])
@pytest.mark.virtual_time
async def test_another_hold_time_needs_a_new_profile(valid_for_s: float, duration: int) -> None:
    """An update restarts the profile's own duration, so it cannot shorten or lengthen it."""
    async with session() as one:
        await one.order(-5000.0, 15.0)
        answer, calls = await one.order(-5000.0, valid_for_s)
        assert answer is Answer.APPLIED
        assert [schedule_of(call)["duration"] for call in calls] == [duration]
        assert [action for action, _ in (await one.order(-4000.0, valid_for_s))[1]] == [UPDATE]


@pytest.mark.parametrize(
    ("before", "after", "period"),
    [
        (BPT, DC, CHARGING | {"limit": 3000.0}),
        (DC, BPT, CENTRAL | {"setpoint": 3000.0}),
        (None, DC, CHARGING | {"limit": 3000.0}),
        (None, BPT, CENTRAL | {"setpoint": 3000.0}),
    ],
)
@pytest.mark.virtual_time
async def test_another_operation_mode_needs_a_new_profile(
    before: dict[str, Any] | None, after: dict[str, Any], period: dict[str, Any]
) -> None:
    """The value of one mode means nothing in the other: a limit sent to a CentralSetpoint period would be ignored."""
    async with session(before) as one:
        await one.order(3000.0)
        (installed,) = await one.needs(after)  # the profile of before the needs does not stay (Q02)
        assert period_of(installed) == period
        key = "limit" if after is DC else "setpoint"
        assert [body["scheduleUpdate"] for _, body in (await one.order(2000.0))[1]] == [{key: 2000.0}]


@pytest.mark.parametrize(
    ("before", "after", "period"),
    [(BPT, DC, CHARGING | {"limit": 2000.0}), (DC, BPT, CENTRAL | {"setpoint": 2000.0})],
)
@pytest.mark.virtual_time
async def test_a_profile_of_another_operation_mode_is_not_updated(
    before: dict[str, Any], after: dict[str, Any], period: dict[str, Any]
) -> None:
    """The station rejected the profile of the new mode, so that it still has that of the mode before."""
    async with session(before) as one:
        await one.order(3000.0)
        one.answers[PROFILE] = {"status": "Rejected"}
        await one.needs(after)
        one.answers[PROFILE] = ACCEPTED
        _, calls = await one.order(2000.0)
        assert [action for action, _ in calls] == [PROFILE]
        assert period_of(calls[0]) == period


@pytest.mark.virtual_time
async def test_another_transaction_gets_a_profile_of_its_own() -> None:
    async with session() as one:
        await one.order(-5000.0)
        await one.raw.event("Ended", 1)
        await one.raw.event("Started", 0, "t2")
        await asyncio.sleep(1)
        await one.needs(BPT)
        _, calls = await one.order(-5000.0)
        assert [call[1]["chargingProfile"]["transactionId"] for call in calls if call[0] == PROFILE] == ["t2"]


@pytest.mark.virtual_time
async def test_a_refused_update_installs_the_profile_anew() -> None:
    async with session() as one:
        await one.order(-5000.0)
        one.answers[UPDATE] = {"status": "Rejected"}
        answer, calls = await one.order(-4000.0)
        assert answer is Answer.APPLIED
        assert [action for action, _ in calls] == [UPDATE, PROFILE]
        assert period_of(calls[1]) == CENTRAL | {"setpoint": -4000.0}
        one.answers[UPDATE] = ACCEPTED
        assert [action for action, _ in (await one.order(-3000.0))[1]] == [UPDATE]


@pytest.mark.virtual_time
async def test_after_an_update_without_an_answer_the_profile_is_installed_anew() -> None:
    async with session() as one:
        await one.order(-5000.0)
        one.answers[UPDATE] = None
        answer, calls = await one.order(-4000.0)
        assert answer is Answer.UNKNOWN
        assert [action for action, _ in calls] == [UPDATE]
        one.answers[UPDATE] = ACCEPTED
        assert [action for action, _ in (await one.order(-3000.0))[1]] == [PROFILE]


@pytest.mark.virtual_time
async def test_a_rejected_profile_is_not_updated() -> None:
    async with session() as one:
        one.answers[PROFILE] = {"status": "Rejected", "statusInfo": {"reasonCode": "Busy", "additionalInfo": "now"}}
        outcome = await one.raw.csms.set_power("CP1-1", -5000.0, 15.0)
        assert (outcome.answer, outcome.code, outcome.text) == (Answer.REFUSED, "Busy", "now")
        one.answers[PROFILE] = {"status": "Rejected"}
        outcome = await one.raw.csms.set_power("CP1-1", -5000.0, 15.0)
        assert (outcome.answer, outcome.code, outcome.text) == (Answer.REFUSED, "Rejected", "")
        one.answers[PROFILE] = "InternalError"
        outcome = await one.raw.csms.set_power("CP1-1", -5000.0, 15.0)
        assert (outcome.answer, outcome.code, outcome.text) == (Answer.REFUSED, "InternalError", "not now")
        one.answers[PROFILE] = {"status": "Perhaps"}
        outcome = await one.raw.csms.set_power("CP1-1", -5000.0, 15.0)
        assert (outcome.answer, outcome.code) == (Answer.UNKNOWN, "InvalidAnswer")
        assert outcome.text
        one.answers[PROFILE] = None
        outcome = await one.raw.csms.set_power("CP1-1", -5000.0, 15.0)
        assert (outcome.answer, outcome.code) == (Answer.UNKNOWN, "TimedOut")
        assert outcome.text
        one.answers[PROFILE] = ACCEPTED
        assert [action for action, _ in (await one.order(-4000.0))[1]] == [PROFILE]


@pytest.mark.parametrize(
    ("power_w", "valid_for_s"),
    [(math.nan, 15.0), (math.inf, 15.0), (-math.inf, 15.0), (5.0, math.nan), (5.0, math.inf), (5.0, 0.0), (5.0, -1.0)],
)
@pytest.mark.virtual_time
async def test_an_invalid_order_is_rejected_and_not_sent(power_w: float, valid_for_s: float) -> None:
    async with session() as one:
        outcome = await one.raw.csms.set_power("CP1-1", power_w, valid_for_s)
        assert (outcome.answer, outcome.code) == (Answer.REFUSED, "InvalidOrder")
        assert await one.order(5.0, 0.5) != (Answer.REFUSED, [])


@pytest.mark.virtual_time
async def test_an_order_needs_a_transaction_and_a_connected_station() -> None:
    async with session() as one:
        await one.raw.event("Ended", 1)
        one.calls.clear()
        outcome = await one.raw.csms.set_power("CP1-1", 3000.0, 15.0)
        assert (outcome.answer, outcome.code) == (Answer.REFUSED, "TxNotFound")
        assert one.calls == []
        assert one.raw.wire is not None
        await one.raw.wire.close()
        await asyncio.sleep(1)
        outcome = await one.raw.csms.set_power("CP1-1", 3000.0, 15.0)
        assert (outcome.answer, outcome.code) == (Answer.UNKNOWN, "NotConnected")


@pytest.mark.virtual_time
async def test_a_station_that_has_not_booted_gets_no_order() -> None:
    async with Raw() as raw:
        await asyncio.sleep(1)
        station = raw.csms.stations["CP1"]
        station.evse(1)
        outcome = await raw.csms.set_power("CP1-1", 0.0, 15.0)
        assert (outcome.answer, outcome.code) == (Answer.REFUSED, "NotAccepted")


@pytest.mark.virtual_time
async def test_discharge_is_rejected_where_station_vehicle_or_driver_exclude_it_and_charging_is_not() -> None:
    async with session() as one:
        evse = one.raw.csms.stations["CP1"].evses[1]

        async def code(power_w: float) -> str:
            outcome = await one.raw.csms.set_power("CP1-1", power_w, 15.0)
            assert outcome.answer is (Answer.REFUSED if outcome.code else Answer.APPLIED)
            return outcome.code

        assert await code(-0.1) == ""
        evse.priority = True
        assert [await code(one) for one in (-0.1, 0.0, 100.0)] == ["PriorityCharging", "", ""]
        evse.bidirectional = False
        assert [await code(one) for one in (-0.1, 0.0, 100.0)] == ["NotBidirectional", "", ""]
        evse.can_discharge, evse.why_not = False, "no inverter"
        assert [await code(one) for one in (-0.1, 0.0, 100.0)] == ["CannotDischarge", "", ""]
        assert (await one.raw.csms.set_power("CP1-1", -1.0, 15.0)).text == "no inverter"


@pytest.mark.parametrize(("dynamic", "kind"), [("true", "Dynamic"), ("false", "Absolute"), (None, "Dynamic")])
@pytest.mark.parametrize("offline", ["true", "false", None])
@pytest.mark.virtual_time
async def test_the_kind_of_profile_depends_on_the_stations_support(
    dynamic: str | None, kind: str, offline: str | None
) -> None:
    async with session() as one:
        station = one.raw.csms.stations["CP1"]
        station.evses[1].reset_profiles()
        for name, value in (("SupportsDynamicProfiles", dynamic), ("SupportsMaxOfflineDuration", offline)):
            if value is not None:
                station.variables[("SmartChargingCtrlr", 0, name, "")] = value
        for _ in range(2):
            _, calls = await one.order(-5000.0, 15.5)
        assert (calls[0][0] == PROFILE) is (kind == "Absolute")  # one that is not dynamic cannot be updated
        one.answers[UPDATE] = {"status": "Rejected"}
        profile = (await one.order(-5000.0, 15.5))[1][-1][1]["chargingProfile"]
        assert profile["chargingProfileKind"] == kind
        assert ("startSchedule" in profile["chargingSchedule"][0]) is (kind == "Absolute")
        assert profile.get("maxOfflineDuration") == (15 if offline == "true" else None)


@pytest.mark.parametrize(
    ("reply", "held_w"),
    [
        ({"status": "Rejected"}, None),
        ({"status": "Accepted"}, None),
        ("NotSupported", None),
        ([{"startPeriod": 0, "setpoint": -3000.0}], -3000.0),
        ([{"startPeriod": 0, "limit": 2000.0}], 2000.0),
        ([{"startPeriod": 0, "limit": 2000.0, "setpoint": -1.0}], -1.0),
        ([{"startPeriod": 0, "limit": 2000.0}, {"startPeriod": 30, "limit": 9.0}], 2000.0),
        ([{"startPeriod": 0}], None),
    ],
)
@pytest.mark.virtual_time
async def test_the_set_point_in_force_is_that_of_the_composite_schedule(reply: Any, held_w: float | None) -> None:
    async with session() as one:
        if isinstance(reply, list):
            composite = {"evseId": 1, "duration": 60, "scheduleStart": one.raw.time(), "chargingRateUnit": "W"}
            one.answers[SCHEDULE] = {"status": "Accepted", "schedule": composite | {"chargingSchedulePeriod": reply}}
        else:
            one.answers[SCHEDULE] = reply
        one.calls.clear()
        assert await one.raw.csms.reconcile("CP1-1") == held_w
        assert [action for action, _ in one.calls] == [PROFILE, SCHEDULE]  # the fallback profile is put back first
        assert one.calls[-1][1] == {"duration": 60, "chargingRateUnit": "W", "evseId": 1}
