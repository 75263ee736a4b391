"""Transaction ids that were never given, are of another station, or are used again after a boot."""

from __future__ import annotations

import asyncio

import pytest

from gateway.csms.admin import Admin
from gateway.csms.settings import UnknownStations
from gateway.model.event import Metered, SessionEnded, SessionStarted
from protocols.ocpp.schema import Version
from tests.gateway.csms.raw_station import Raw, power
from tests.gateway.csms.test_readings import IMPORT, sample, session_16, state, values_16

pytestmark = pytest.mark.virtual_time


@pytest.mark.parametrize("number", [0, -1, 1, 4711, 2**31 - 1, 9223372036854775807])
@pytest.mark.parametrize("status", ["Available", "Charging"])
async def test_an_id_that_was_never_given_opens_and_ends_no_session(number: int, status: str) -> None:
    async with Raw(Version.V16) as raw:
        await raw.boot()
        await raw.ok("StatusNotification", {"connectorId": 1, "errorCode": "NoError", "status": status})
        await values_16(raw, [[sample(IMPORT, 0)]], transaction=number)
        assert raw.of(SessionStarted) == []
        real = await session_16(raw)
        await values_16(raw, [[sample(IMPORT, -5000), sample("SoC", 80)]], transaction=real)
        await asyncio.sleep(10)
        await values_16(raw, [[sample(IMPORT, -4000)]], transaction=number)
        assert raw.of(SessionEnded) == []
        assert [e.session for e in raw.of(SessionStarted)] == [str(real)]
        assert (state(raw).session, state(raw).power_w, round(state(raw).soc_pct or 0)) == (str(real), -4000, 80)
        (row,) = Admin(raw.csms).transactions("CP1", None, None, 10)
        assert row["transactionId"] == real


async def test_the_id_of_a_session_of_before_the_store_was_lost_opens_it() -> None:
    async with Raw(Version.V16) as raw:
        await raw.boot()
        await raw.ok("StatusNotification", {"connectorId": 1, "errorCode": "NoError", "status": "Charging"})
        given = raw.csms.context.transactions.next_number(raw.clock.wall()) - 1000
        await values_16(raw, [[sample(IMPORT, 5000)]], transaction=given)
        assert [e.session for e in raw.of(SessionStarted)] == [str(given)]


@pytest.mark.parametrize("of", ["other", "later", "future", "long ago"])
@pytest.mark.parametrize("ended", [True, False])
async def test_an_id_of_another_station_or_never_given_opens_no_session(of: str, ended: bool) -> None:
    async with Raw(Version.V16, unknown_stations=UnknownStations.ACCEPT) as raw:
        given = await session_16(raw)
        if ended:
            await raw.ok("StopTransaction", {"transactionId": given, "meterStop": 5, "timestamp": raw.time()})
        await asyncio.sleep(100)
        number = {"other": given, "later": given + 50, "future": given + 1000, "long ago": given - 7_000_000}[of]
        async with Raw(Version.V16, csms=raw.csms, name="CP2") as other:
            await other.boot()
            await other.ok("StatusNotification", {"connectorId": 1, "errorCode": "NoError", "status": "Charging"})
            await values_16(other, [[sample(IMPORT, 5000)]], transaction=number)
        assert [e.evse for e in raw.of(SessionStarted)] == ["CP1-1"]


@pytest.mark.parametrize("number", [0, -1, 5, 200_000_000])
async def test_the_end_of_an_unknown_transaction_is_not_the_newest(number: int) -> None:
    async with Raw(Version.V16) as raw:
        real = await session_16(raw)
        end = {"transactionId": number, "meterStop": 100, "timestamp": raw.time()}
        assert await raw.ok("StopTransaction", end) == {}
        (newest,) = Admin(raw.csms).transactions("CP1", None, None, 1)
        assert newest["transactionId"] == real
        assert raw.of(SessionEnded) == []


async def test_a_free_connector_has_no_session_again() -> None:
    async with Raw(Version.V16) as raw:
        number = await session_16(raw)
        await raw.ok("StatusNotification", {"connectorId": 1, "errorCode": "NoError", "status": "Available"})
        await values_16(raw, [[sample(IMPORT, 0)]], transaction=number)
        assert len(raw.of(SessionStarted)) == len(raw.of(SessionEnded)) == 1


@pytest.mark.parametrize("skew_s", [0.0, -500.0])
@pytest.mark.parametrize("ended", [True, False])
@pytest.mark.parametrize("booted", [True, False])
async def test_an_id_used_again_after_a_boot_is_a_new_session(skew_s: float, ended: bool, booted: bool) -> None:
    if not booted and (not ended or skew_s):
        return
    async with Raw() as raw:
        await raw.boot()
        await raw.event("Started", 0, "1", info={"chargingState": "Charging"})
        await asyncio.sleep(100)
        if ended:
            await raw.event("Ended", 1, "1")
        await asyncio.sleep(10)
        if booted:
            await raw.boot()
        await raw.event("Started", 0, "1", at=skew_s)
        await raw.event("Updated", 1, "1", at=skew_s)
        assert len(raw.of(SessionStarted)) == 2
        assert len(raw.of(SessionEnded)) == 1
        assert state(raw).session == "1"
        rows = Admin(raw.csms).transactions("CP1", None, None, 10)
        assert [row["stoppedAt"] is None for row in rows] == [True, False]
        assert len({row["ref"] for row in rows}) == 2


@pytest.mark.parametrize("before", [["Updated"], ["Updated"] * 3, ["Ended"], ["Updated", "Ended"]])
@pytest.mark.parametrize("ended", [True, False])
async def test_an_id_used_again_after_a_boot_is_a_new_session_though_its_start_is_late(
    ended: bool, before: list[str]
) -> None:
    """`before`: events of the new session that are received before its start."""
    async with Raw() as raw:
        await raw.boot()
        await raw.event("Started", 0, "1")
        await raw.event("Updated", 1, "1")
        await asyncio.sleep(100)
        if ended:
            await raw.event("Ended", 2, "1")
        await asyncio.sleep(10)
        await raw.boot()
        await asyncio.sleep(10)
        for index, kind in enumerate(before):
            await raw.event(kind, index + 1, "1")
            await asyncio.sleep(1)
        await raw.event("Started", 0, "1", at=-15)
        runs = before[-1] != "Ended"
        sessions = len(raw.of(SessionStarted))
        assert sessions == 2 if runs or ended else 1
        assert len(raw.of(SessionEnded)) == sessions - runs
        assert state(raw).session == ("1" if runs else None)


async def test_in_16_a_session_that_begins_like_one_that_ended_is_new() -> None:
    """A station without a clock begins each session at the same time with the same card."""
    async with Raw(Version.V16) as raw:
        begin = {"connectorId": 1, "idTag": "A", "meterStart": 0, "timestamp": "1970-01-01T00:00:10Z"}
        numbers = []
        for _ in range(2):
            await raw.boot()
            numbers.append((await raw.ok("StartTransaction", begin))["transactionId"])
            end = {"transactionId": numbers[-1], "meterStop": 0, "timestamp": "1970-01-01T00:01:00Z"}
            await raw.ok("StopTransaction", end)
        assert numbers[0] != numbers[1]
        assert len(raw.of(SessionStarted)) == len(raw.of(SessionEnded)) == 2


async def test_events_of_an_unknown_transaction_of_before_do_not_end_the_running_one() -> None:
    async with Raw() as raw:
        await raw.boot()
        await raw.event("Started", 0, "new")
        value = [{"timestamp": raw.time(-600), "sampledValue": [{"value": 900.0, "measurand": IMPORT}]}]
        await raw.event("Updated", 4, "old", at=-600, meterValue=value)
        await raw.event("Ended", 5, "old", at=-500)
        assert [e.session for e in raw.of(SessionStarted)] == ["new"]
        assert raw.of(SessionEnded) == []
        assert state(raw).power_w is None


@pytest.mark.parametrize("version", [Version.V201, Version.V21])
@pytest.mark.parametrize("known", [False, True])
async def test_the_end_of_another_transaction_does_not_end_the_session(version: Version, known: bool) -> None:
    """A station that sends it late, with a wrong EVSE, or for a transaction that was never reported."""
    async with Raw(version) as raw:
        await raw.boot()
        if known:
            await raw.event("Started", 0, "other")
            await asyncio.sleep(10)
        await raw.event("Started", 0, "running")
        await asyncio.sleep(10)
        before = len(raw.of(SessionEnded))
        await raw.event("Ended", 7, "other", meterValue=power(raw, 3000.0))
        assert len(raw.of(SessionEnded)) == before
        assert [event.session for event in raw.of(SessionStarted)][-1] == "running"
        assert [one.power_w for one in raw.of(Metered)] == [None]
        await raw.event("Ended", 8, "running")
        assert raw.of(SessionEnded)[-1].session == "running"
