"""The set-point in force across negotiations, orders that wait for no other, and attempts in either unit."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any, Literal

import pytest

from gateway.csms import negotiated_profile
from gateway.csms.charging_profile import Unit
from gateway.csms.csms import Csms
from gateway.csms.settings import CsmsSettings, StationSettings, UnknownTokens
from gateway.model.journal import Record
from gateway.model.station import Answer
from gateway.store.store import StoreError
from protocols.ocpp.schema import Version
from protocols.ocpp.vendor import Channel, Setpoint, VendorProfile
from tests.gateway.csms.raw_station import Raw
from tests.gateway.csms.scripted_transaction import (
    ACCEPTED,
    BPT,
    DC,
    PROFILE,
    UPDATE,
    Session,
    early,
    period_of,
    schedule_of,
    session,
)

pytestmark = pytest.mark.virtual_time

# negotiation ----------------------------------------------------------------------------------------------------------


def limits(calls: list[tuple[str, dict[str, Any]]]) -> list[tuple[Any, Any]]:
    """Return limit or set-point, and duration, of each profile."""
    found = []
    for call in calls:
        period = period_of(call)
        found.append((period.get("limit", period.get("setpoint")), schedule_of(call).get("duration")))
    return found


async def test_a_vehicle_that_can_only_be_charged_keeps_its_charge() -> None:
    async with session(BPT) as one:
        await one.order(3000.0, 15.0)
        await asyncio.sleep(4)
        assert limits(await one.needs(DC)) == [(3000.0, 11)]


async def test_a_vehicle_that_can_only_be_charged_is_not_discharged_any_more() -> None:
    async with session(BPT) as one:
        await one.order(-3000.0, 15.0)
        assert limits(await one.needs(DC)) == [(0.0, 15)]


async def test_after_an_order_without_a_response_the_earlier_one_is_not_sent_again() -> None:
    """The station may have carried out the later order, whose response was lost with the connection."""
    async with session(BPT) as one:
        await one.order(-3000.0, 90.0)
        one.answers |= {UPDATE: None, PROFILE: None}
        assert (await one.order(-2000.0, 90.0))[0] is Answer.UNKNOWN
        one.answers |= {UPDATE: ACCEPTED, PROFILE: ACCEPTED}
        ((power_w, _),) = limits(await one.needs(BPT))
        assert power_w == -2000.0


async def test_a_set_point_that_has_expired_is_not_sent_again() -> None:
    async with session(BPT) as one:
        await one.order(3000.0, 15.0)
        await asyncio.sleep(20)
        assert limits(await one.needs(DC)) == [(0.0, None)]  # the power without a command
    async with session(BPT) as one:
        assert limits(await one.needs(DC)) == [(0.0, None)]  # there was none


async def test_a_set_point_is_over_at_its_end() -> None:
    async with early(Version.V201, "negative-limit") as one:
        station = one.raw.csms.stations["CP1"]
        evse = station.evses[1]
        for left_s, sent in ((0.0, (0.0, 60)), (0.5, (3000.0, 1)), (-1.0, (0.0, 60))):
            evse.setpoint = 3000.0, one.raw.clock.now() + left_s
            one.calls.clear()
            await negotiated_profile.repeat(station, evse)
            assert limits(one.calls) == [sent]
        evse.setpoint = None
        one.calls.clear()
        await negotiated_profile.repeat(station, evse)
        assert limits(one.calls) == [(0.0, 60)]


# transactions that are not stored


class FailingWriter:
    """A store that cannot be written."""

    async def keep(self, *records: Record, within_s: float = 10.0) -> None:
        raise StoreError("disk full")

    def later(self, *records: Record) -> None: ...


async def test_a_transaction_that_is_not_confirmed_gets_no_set_point_but_0_w() -> None:
    entry = StationSettings("CP1", max_charge_w=1e4, max_discharge_w=1e4)
    raw = Raw()
    settings = CsmsSettings(stations=(entry,), unknown_tokens=UnknownTokens.ACCEPT, inventory=False)
    raw.csms = Csms(settings, raw.events.append, raw.clock, FailingWriter())
    async with raw:
        await raw.boot()
        started = {"eventType": "Started", "triggerReason": "Authorized", "seqNo": 0, "timestamp": raw.time()}
        place = {"evse": {"id": 1, "connectorId": 1}, "transactionInfo": {"transactionId": "t1"}}
        assert (await raw.call("TransactionEvent", started | place))[0] == 4
        outcome = await raw.csms.set_power("CP1-1", 3000.0, 15.0)
        assert (outcome.answer, outcome.code) == (Answer.UNKNOWN, "TxNotConfirmed")
        assert outcome.text == "the start of transaction t1 is not confirmed to the station"
        outcome = await raw.csms.set_power("CP1-1", 0.0, 15.0)  # a stop acts, whatever the store does
        assert outcome.code != "TxNotConfirmed"


# urgency --------------------------------------------------------------------------------------------------------------


async def sent_beside_a_call(one: Session, power_w: float, valid_for_s: float = 15.0) -> list[str]:
    """Return what is sent within 2 s while the station does not respond to another call."""
    station = one.raw.csms.stations["CP1"]
    one.answers["ClearCache"] = None
    station.spawn(station.call("ClearCache", {}))
    await asyncio.sleep(1)
    one.calls.clear()
    order = asyncio.create_task(one.raw.csms.set_power("CP1-1", power_w, valid_for_s))
    await asyncio.sleep(2)
    sent = [action for action, _ in one.calls]
    order.cancel()
    await asyncio.gather(order, return_exceptions=True)
    return sent


@pytest.mark.parametrize(("power_w", "sent"), [(-3000.0, []), (0.0, [UPDATE])])
async def test_an_update_to_0_w_waits_for_no_other_call(power_w: float, sent: list[str]) -> None:
    async with session(BPT) as one:
        await one.order(-5000.0)
        assert await sent_beside_a_call(one, power_w) == sent


@pytest.mark.parametrize(("power_w", "sent"), [(-3000.0, []), (0.0, [PROFILE])])
async def test_a_profile_of_0_w_waits_for_no_other_call(power_w: float, sent: list[str]) -> None:
    async with session(BPT) as one:
        await one.order(-5000.0)
        assert await sent_beside_a_call(one, power_w, 20.0) == sent
    async with early(Version.V16, "negative-limit") as one:
        assert await sent_beside_a_call(one, power_w) == sent


@pytest.mark.parametrize(("power_w", "within_s"), [(0.0, 1.5), (-3000.0, 20.0)])
async def test_0_w_does_not_wait_for_the_response_to_another_order(power_w: float, within_s: float) -> None:
    async with session(BPT) as one:
        await one.order(-5000.0)
        one.answers[UPDATE] = None
        first = asyncio.create_task(one.raw.csms.set_power("CP1-1", -4000.0, 15.0))
        await asyncio.sleep(0.5)
        one.answers[UPDATE] = ACCEPTED
        begun = one.raw.clock.now()
        assert (await one.raw.csms.set_power("CP1-1", power_w, 15.0)).answer is Answer.APPLIED
        assert within_s - 1.5 <= one.raw.clock.now() - begun <= within_s + 15
        assert (one.raw.clock.now() - begun <= 1.5) is (power_w == 0.0)
        await first


# the fallback profile in either unit ----------------------------------------------------------------------------------


async def attempts(one: Session, rate_unit: Unit | None, answer: dict[str, Any]) -> list[tuple[str, float]]:
    """Return unit and limit of each attempt to install the fallback profile."""
    station = one.raw.csms.stations["CP1"]
    station.settings = replace(station.settings, fallback_limit_w=4100.0)
    station.rate_unit = rate_unit
    one.answers[PROFILE] = answer
    one.calls.clear()
    await one.raw.csms.reconcile("CP1-1")
    await asyncio.sleep(700)
    rows = [body["csChargingProfiles"]["chargingSchedule"] for action, body in one.calls if action == PROFILE]
    return [(row["chargingRateUnit"], row["chargingSchedulePeriod"][0]["limit"]) for row in rows]


async def test_where_the_unit_is_unknown_a_rejected_profile_is_sent_in_the_other_one() -> None:
    watts, amperes = ("W", 4100.0), ("A", 5.9)
    async with early(Version.V16, "negative-limit") as one:
        assert await attempts(one, None, {"status": "Rejected"}) == [watts, amperes, watts, amperes]
    async with early(Version.V16, "negative-limit") as one:
        assert await attempts(one, None, {"status": "NotSupported"}) == [watts] * 4
    async with early(Version.V16, "negative-limit") as one:
        assert await attempts(one, Unit.w, {"status": "Rejected"}) == [watts] * 4
    async with early(Version.V16, "negative-limit") as one:
        assert await attempts(one, Unit.a, {"status": "Rejected"}) == [amperes] * 4


@pytest.mark.parametrize(("unit", "units"), [("W", ["W", "A"]), ("A", ["A"])])
async def test_a_rejected_set_point_in_the_unit_of_the_vendor_profile_is_not_sent_in_another_one(
    unit: Literal["W", "A"], units: list[str]
) -> None:
    async with early(Version.V16, "negative-limit") as one:
        one.raw.csms.stations["CP1"].vendor = VendorProfile(
            name="test", ocpp=("1.6",), setpoint=Setpoint(channel=Channel.LIMIT, unit=unit)
        )
        one.answers[PROFILE] = {"status": "Rejected"}
        answer, calls = await one.order(3000.0)
        rows = [body["csChargingProfiles"]["chargingSchedule"] for _, body in calls]
        assert (answer, [row["chargingRateUnit"] for row in rows]) == (Answer.REFUSED, units)


async def test_the_fallback_profile_waits_for_no_other_call() -> None:
    async with early(Version.V16, "negative-limit") as one:
        station = one.raw.csms.stations["CP1"]
        one.answers["ClearCache"] = None
        station.spawn(station.call("ClearCache", {}))
        await asyncio.sleep(1)
        one.calls.clear()
        reading = asyncio.create_task(one.raw.csms.reconcile("CP1-1"))
        await asyncio.sleep(2)
        assert [action for action, _ in one.calls][:1] == [PROFILE]
        await reading


async def test_a_station_without_charging_profiles_is_queried_less_often() -> None:
    async with early(Version.V16, "negative-limit") as one:
        one.answers[PROFILE] = "NotSupported"
        for _ in range(3):
            answer, calls = await one.order(3000.0)
            assert (answer, len(calls)) == (Answer.REFUSED, 1)
        outcome = await one.raw.csms.set_power("CP1-1", 3000.0, 15.0)
        assert (outcome.answer, outcome.code) == (Answer.REFUSED, "NotSupported")
        assert outcome.text.endswith("sent again later")
        assert (await one.order(3000.0))[1] == []
        await asyncio.sleep(41)
        assert len((await one.order(3000.0))[1]) == 1
