"""Orders through vendor messages and variables, as they are sent to the station."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from gateway.csms import composite_schedule, vendor_channel
from gateway.csms.charging_profile import Unit
from gateway.csms.station import Station
from gateway.model.station import Answer
from protocols.ocpp.schema import Version
from protocols.ocpp.vendor import Forming, Setpoint, VendorProfile
from tests.gateway.csms.scripted_transaction import ACCEPTED, SCHEDULE, Session, early

pytestmark = pytest.mark.virtual_time

MESSAGE: dict[str, Any] = {
    "channel": "data-transfer", "sign": 1, "unit": "kW", "decimals": 2, "watchdog": False, "vendor_id": "com.example",
    "message_id": "Set", "data": "$evse $value $seconds $transaction",
}  # fmt: skip


def use(one: Session, setpoint: dict[str, Any], **forming: Any) -> Station:
    station = one.raw.csms.stations["CP1"]
    profile = VendorProfile(name="test", ocpp=("1.6", "2.0.1"))
    update = {"setpoint": Setpoint(**setpoint), "forming": Forming(**forming)}
    station.vendor = profile.model_copy(update=update)
    return station


@pytest.mark.parametrize("version", [Version.V16, Version.V201])
async def test_a_set_point_in_a_vendor_message(version: Version) -> None:
    async with early(version, "vendor-message") as one:
        station = use(one, MESSAGE)
        transaction = station.context.transactions.active_at("CP1", 1)
        assert transaction is not None
        one.answers["DataTransfer"] = ACCEPTED
        answer, calls = await one.order(-3000.0, 15.7)
        assert answer is Answer.APPLIED
        body = {"vendorId": "com.example", "messageId": "Set", "data": f"1 3.0 15 {transaction.id}"}
        assert calls == [("DataTransfer", body)]
        one.answers["DataTransfer"] = {"status": "Rejected"}
        assert (await one.order(-3000.0))[0] is Answer.REFUSED


async def test_a_set_point_in_a_configuration_key_has_its_unit_and_sign() -> None:
    async with early(Version.V16, "vendor-variable") as one:
        assert (await one.order(-6900.0))[1] == [
            ("ChangeConfiguration", {"key": "V2XSetpointCurrent", "value": "-10.0"})
        ]
        one.answers["ChangeConfiguration"] = {"status": "NotSupported"}
        outcome = await one.raw.csms.set_power("CP1-1", -6900.0, 15.0)
        assert (outcome.answer, outcome.code) == (Answer.REFUSED, "NotSupported")


async def test_a_set_point_in_a_variable_has_its_unit_and_sign() -> None:
    async with early(Version.V201, "vendor-variable") as one:
        named = {"component": {"name": "V2XSetpoint"}, "variable": {"name": "Current"}}
        one.answers["SetVariables"] = {"setVariableResult": [named | {"attributeStatus": "Accepted"}]}
        assert await one.order(6900.0) == (
            Answer.APPLIED, [("SetVariables", {"setVariableData": [named | {"attributeValue": "10.0"}]})]
        )  # fmt: skip


@pytest.mark.parametrize(
    ("reply", "answer", "code"),
    [
        ("Rejected", Answer.REFUSED, "Rejected"),
        ("UnknownVariable", Answer.REFUSED, "UnknownVariable"),
        ("Perhaps", Answer.UNKNOWN, "InvalidAnswer"),
        (None, Answer.REFUSED, "NotSupported"),
    ],
)
async def test_a_variable_that_is_not_set_is_no_acceptance(reply: str | None, answer: Answer, code: str) -> None:
    async with early(Version.V201, "vendor-variable") as one:
        named = {"component": {"name": "V2XSetpoint"}, "variable": {"name": "Current"}}
        result = {"setVariableResult": [named | {"attributeStatus": reply}]}
        one.answers["SetVariables"] = "NotSupported" if reply is None else result
        outcome = await one.raw.csms.set_power("CP1-1", 6900.0, 15.0)
        assert (outcome.answer, outcome.code) == (answer, code)


@pytest.mark.parametrize(
    ("version", "setpoint"),
    [
        (Version.V16, MESSAGE),
        (Version.V16, {"channel": "variable", "key": "K", "watchdog": False}),
        (Version.V201, {"channel": "variable", "component": "C", "variable": "V", "watchdog": False}),
    ],
)
async def test_zero_watts_wait_for_no_other_call(version: Version, setpoint: dict[str, Any]) -> None:
    """A station that does not respond delays a set-point, and not 0 W."""
    for power_w, waits in ((-3000.0, True), (0.0, False)):
        async with early(version, "vendor-message") as one:
            station = use(one, setpoint)
            station.spawn(station.call("ClearCache", {}))
            one.answers |= {"ClearCache": None, "DataTransfer": ACCEPTED, "ChangeConfiguration": ACCEPTED}
            await asyncio.sleep(1)
            one.calls.clear()
            order = asyncio.create_task(one.raw.csms.set_power("CP1-1", power_w, 15.0))
            await asyncio.sleep(2)
            sent = [action for action, _ in one.calls]
            assert (sent == []) is waits
            order.cancel()
            await asyncio.gather(order, return_exceptions=True)


async def test_a_newer_set_point_replaces_the_watchdog_of_the_one_before() -> None:
    async with early(Version.V16, "vendor-message") as one:
        use(one, MESSAGE)
        one.answers["DataTransfer"] = ACCEPTED
        await one.order(-3000.0, 15.0)
        await asyncio.sleep(10)
        await one.order(-3000.0, 15.0)
        one.calls.clear()
        await asyncio.sleep(10)  # 20 s after the first
        assert one.calls == []
        await asyncio.sleep(6)
        assert [action for action, _ in one.calls] == ["DataTransfer"]


async def test_a_set_point_that_has_waited_ends_no_later_where_the_station_has_no_watchdog() -> None:
    async with early(Version.V16, "vendor-message") as one:
        station = use(one, MESSAGE)
        one.answers |= {"ClearCache": None, "DataTransfer": ACCEPTED}
        station.spawn(station.call("ClearCache", {}, 8.0))
        await asyncio.sleep(0.1)
        assert (await one.order(-3000.0, 14.0))[0] is Answer.APPLIED
        one.calls.clear()
        await asyncio.sleep(5)
        assert one.calls == []
        await asyncio.sleep(2)  # 15 s after the order
        assert [action for action, _ in one.calls] == ["DataTransfer"]


# grid-forming ---------------------------------------------------------------------------------------------------------


FORMING: dict[str, Any] = {"form": "island", "follow": "grid"}
BY_MESSAGE = FORMING | {"channel": "data-transfer", "vendor_id": "com.example", "data": "$evse $value"}


@pytest.mark.parametrize("version", [Version.V16, Version.V201])
@pytest.mark.parametrize("message_id", ["", "Mode"])
async def test_grid_forming_by_a_vendor_message(version: Version, message_id: str) -> None:
    async with early(version, "vendor-message") as one:
        station = use(one, MESSAGE, **BY_MESSAGE, message_id=message_id)
        one.answers["DataTransfer"] = ACCEPTED
        one.calls.clear()
        outcomes = [await vendor_channel.switch_forming(station, 2, forms) for forms in (True, False)]
        assert [outcome.answer for outcome in outcomes] == [Answer.APPLIED] * 2
        named = {"messageId": message_id} if message_id else {}
        bodies = [{"vendorId": "com.example", "data": f"2 {value}", **named} for value in ("island", "grid")]
        assert one.calls == [("DataTransfer", body) for body in bodies]
        one.answers["DataTransfer"] = {"status": "Rejected"}
        assert (await vendor_channel.switch_forming(station, 2, True)).answer is Answer.REFUSED


async def test_grid_forming_by_a_configuration_key() -> None:
    async with early(Version.V16, "vendor-message") as one:
        station = use(one, MESSAGE, **FORMING, channel="variable", key="Mode$evse")
        one.calls.clear()
        assert (await vendor_channel.switch_forming(station, 2, True)).answer is Answer.APPLIED
        assert (await vendor_channel.switch_forming(station, 2, False)).answer is Answer.APPLIED
        values = [{"key": "Mode2", "value": value} for value in ("island", "grid")]
        assert one.calls == [("ChangeConfiguration", value) for value in values]


async def test_grid_forming_by_a_variable_of_the_evse() -> None:
    async with early(Version.V201, "vendor-message") as one:
        station = use(one, MESSAGE, **FORMING, channel="variable", component="C", variable="V")
        named = {"component": {"name": "C", "evse": {"id": 2}}, "variable": {"name": "V"}}
        one.answers["SetVariables"] = {"setVariableResult": [named | {"attributeStatus": "Accepted"}]}
        one.calls.clear()
        assert (await vendor_channel.switch_forming(station, 2, True)).answer is Answer.APPLIED
        assert (await vendor_channel.switch_forming(station, 2, False)).answer is Answer.APPLIED
        values = [named | {"attributeValue": value} for value in ("island", "grid")]
        assert one.calls == [("SetVariables", {"setVariableData": [value]}) for value in values]


@pytest.mark.parametrize(
    ("version", "forming"),
    [
        (Version.V16, {}),
        (Version.V16, {"channel": "variable", "component": "C", "variable": "V"}),
        (Version.V201, {"channel": "variable", "key": "K"}),
        (Version.V201, {}),
    ],
)
async def test_without_a_channel_only_the_hardware_selects_grid_forming(
    version: Version, forming: dict[str, Any]
) -> None:
    async with early(version, "vendor-message") as one:
        station = use(one, MESSAGE, **FORMING, **forming)
        one.calls.clear()
        outcome = await vendor_channel.switch_forming(station, 1, True)
        assert (outcome.answer, outcome.code) == (Answer.REFUSED, "NoForming")
        assert "profile test has no channel" in outcome.text
        assert one.calls == []


# the composite schedule -----------------------------------------------------------------------------------------------

LIMIT: dict[str, Any] = {"channel": "limit"}


async def composite(one: Session, setpoint: dict[str, Any], answer: dict[str, Any]) -> float | None:
    station = use(one, setpoint)
    one.answers[SCHEDULE] = {"status": "Accepted"} | answer
    one.calls.clear()
    return await composite_schedule.composite_power(station, station.evses[1])


def periods(*values: tuple[int, float], **schedule: Any) -> dict[str, Any]:
    rows = [{"startPeriod": start, "limit": limit} for start, limit in values]
    return {"chargingSchedule": {"chargingRateUnit": "W", "chargingSchedulePeriod": rows} | schedule}


async def test_the_composite_schedule_has_sign_and_unit_of_the_vendor_profile() -> None:
    async with early(Version.V16, "negative-limit") as one:
        amperes = {"unit": "A", "voltage_v": 200.0, "phases": 2}
        assert await composite(one, LIMIT, periods((0, -3000.0))) == -3000.0
        assert await composite(one, LIMIT | {"sign": 1}, periods((0, -3000.0))) == 3000.0
        assert str(await composite(one, LIMIT | {"sign": 1}, periods((0, 0.0)))) == "0.0"
        assert await composite(one, MESSAGE, periods((0, -3000.0))) == -3000.0  # the sign is that of its message
        assert one.calls == [(SCHEDULE, {"duration": 60, "chargingRateUnit": "W", "connectorId": 1})]
        assert await composite(one, LIMIT | amperes, periods((0, 10.0), chargingRateUnit="A")) == 4000.0
        assert one.calls == [(SCHEDULE, {"duration": 60, "chargingRateUnit": "A", "connectorId": 1})]
        assert await composite(one, LIMIT | amperes, periods((0, 10.0))) == 10.0  # it answers in W all the same


async def test_the_period_of_the_present_counts() -> None:
    async with early(Version.V16, "negative-limit") as one:
        rows = (0, 1000.0), (30, 2000.0), (40, 3000.0)
        for passed_s, power_w in ((0.0, 1000.0), (29.0, 1000.0), (31.0, 2000.0), (90.0, 3000.0), (-50.0, 1000.0)):
            begun = {"scheduleStart": one.raw.time(-passed_s)}
            assert await composite(one, LIMIT, periods(*rows) | begun) == power_w
        assert await composite(one, LIMIT, periods(*rows)) == 1000.0  # of unknown begin
        assert await composite(one, LIMIT, periods((5, 1000.0), (9, 2000.0))) == 1000.0  # the first one to come
        assert await composite(one, LIMIT, periods((0, 1000.0), (1, 2000.0))) == 1000.0
        ahead = {"scheduleStart": one.raw.time(5.0)}
        assert await composite(one, LIMIT, periods((0, 1000.0), (1, 2000.0)) | ahead) == 1000.0
        assert await composite(one, LIMIT, periods((0, 1000.0), (0, 2000.0))) == 2000.0
        assert await composite(one, LIMIT, periods()) is None


async def test_amperes_are_read_with_the_measured_voltage() -> None:
    async with early(Version.V16, "negative-limit") as one:
        station = one.raw.csms.stations["CP1"]
        station.rate_unit, station.evses[1].meter.voltage_v = Unit.a, 200.0
        assert await composite(one, LIMIT, periods((0, 10.0), chargingRateUnit="A")) == 6000.0
        assert one.calls == [(SCHEDULE, {"duration": 60, "chargingRateUnit": "A", "connectorId": 1})]


async def test_the_composite_schedule_waits_for_no_housekeeping() -> None:
    async with early(Version.V16, "negative-limit") as one:
        one.answers["GetLocalListVersion"] = None
        one.raw.csms.stations["CP1"].spawn(one.raw.csms.stations["CP1"].request("GetLocalListVersion", {}))
        await asyncio.sleep(0.5)
        assert await composite(one, LIMIT, periods((0, 1000.0))) == 1000.0


async def test_a_period_may_leave_out_what_is_usual() -> None:
    async with early(Version.V201, "negative-limit") as one:
        schedule = {"evseId": 1, "duration": 60, "scheduleStart": one.raw.time(-35.0), "chargingRateUnit": "W"}
        rows = [{"startPeriod": 0, "limit": 1000.0}, {"startPeriod": 30, "limit": 2000.0}]
        assert await composite(one, LIMIT, {"schedule": schedule | {"chargingSchedulePeriod": rows}}) == 2000.0
        assert one.calls == [(SCHEDULE, {"duration": 60, "chargingRateUnit": "W", "evseId": 1})]
        assert await composite(one, LIMIT, {"chargingSchedule": {}}) is None


async def test_a_schedule_that_was_not_accepted_has_no_power() -> None:
    async with early(Version.V16, "negative-limit") as one:
        assert await composite(one, LIMIT, periods((0, 1000.0)) | {"status": "Rejected"}) is None
        assert await composite(one, LIMIT, {}) is None
