"""Clock of a station: set ahead and back by any size, standing, drifting, with coarse stamps, behind a queue."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.csms.station_clock import LATE_S, StationClock
from gateway.model.event import Metered
from gateway.model.station import Answer
from protocols.ocpp.schema import Version
from protocols.ocpp.times import parse
from tests.gateway.csms.raw_station import Raw, power
from tests.gateway.csms.test_readings import IMPORT, sample, session_16, values_16
from tests.gateway.csms.test_units_and_clocks import schedule, station
from tests.rounds import some

pytestmark = pytest.mark.virtual_time

SIZES_S = (20.0, 3.0, -20.0, 50.0, -50.0, 300.0, -300.0, 86_400.0, -1.7e9, 1.7e9)


@given(
    st.sampled_from(SIZES_S) | st.floats(-1e6, 1e6),
    st.sampled_from(SIZES_S) | st.floats(-1e6, 1e6),
    st.floats(2, 900),
    st.lists(st.floats(0, 0.9), min_size=12, max_size=12),
)
def test_a_clock_that_is_set_is_recognised_within_a_few_messages(
    before_s: float, after_s: float, every_s: float, latencies_s: list[float]
) -> None:
    clock, now = StationClock(), 1e4
    for latency_s in latencies_s:
        now += every_s
        assert not clock.late(now + before_s - latency_s, now)
    fresh = []
    for latency_s in latencies_s:
        now += every_s
        fresh.append(not clock.late(now + after_s - latency_s, now))
    assert sum(fresh) >= len(fresh) - 4
    assert all(fresh[4:])
    present = clock.now(now)
    assert present is not None
    assert abs(present - (now + after_s)) <= 3.0


@given(st.floats(1, 600), st.floats(1, 120), st.floats(61, 86_400), st.integers(3, 60))
def test_a_queue_is_late_and_does_not_set_the_clock(every_s: float, pace: float, age_s: float, length: int) -> None:
    """Readings of a queue, `pace` times as fast as they were taken."""
    pace = max(pace, 1.6)
    clock, now = StationClock(), 1e6
    for _ in range(5):
        now += every_s
        clock.late(now, now)
    begun, now = now - age_s, now + 1.0
    clock.observe(now, now)
    for index in range(length):
        stamp = begun + index * every_s
        now += every_s / pace
        if stamp >= now - LATE_S:
            break
        if every_s * (1 - 1.2 / pace) > 1.0:  # else within the jitter
            assert clock.late(stamp, now)
    clock.observe(now, now)
    present = clock.now(now)
    assert present is not None
    assert abs(present - now) <= 3.0


COURSES: dict[str, tuple[Callable[[float], float], int]] = {  # offset by time, and readings of 60 that may be lost
    "stands": (lambda t: -t, 2),
    "stands in 1970": (lambda t: -t - 1.7e9, 2),
    "set back by 50 s": (lambda t: 0.0 if t < 100 else -50.0, 2),
    "set back by 5 s": (lambda t: 0.0 if t < 100 else -5.0, 2),
    "set back by an hour": (lambda t: 0.0 if t < 100 else -3600.0, 2),
    "back and forth": (lambda t: -50.0 if 100 < t < 300 else 0.0, 2),
    "one stamp an hour ahead": (lambda t: 3600.0 if t == 100 else 0.0, 0),
    "one stamp 50 s ahead": (lambda t: 50.0 if t == 100 else 0.0, 0),
    "two stamps 50 s ahead": (lambda t: 50.0 if t in (100, 110) else 0.0, 2),
    "1 % slow": (lambda t: -0.01 * t, 0),
    "1 % fast": (lambda t: 0.01 * t, 0),
    "whole minutes": (lambda t: -(t % 60), 0),
    "begin of 5 minutes": (lambda t: -(t % 300), 0),
    "begin of 15 minutes": (lambda t: -(t % 900), 0),
}


@pytest.mark.parametrize("course", COURSES)
async def test_the_power_is_read_whatever_the_clock_does(course: str) -> None:
    offset, lost = COURSES[course]
    async with Raw(Version.V16) as raw:
        number, begun = await session_16(raw), raw.clock.now()
        fresh = 0
        for index in range(60):
            await asyncio.sleep(10)
            known = len(raw.of(Metered))
            passed_s = round(raw.clock.now() - begun)
            await values_16(raw, [[sample(IMPORT, 1000 + index)]], offset(passed_s), number)
            fresh += any(event.power_w is not None for event in raw.of(Metered)[known:])
    assert fresh >= 60 - lost


@pytest.mark.parametrize(
    ("version", "offsets_s", "readings"),
    some(
        product(
            [Version.V16, Version.V201],
            [(20, 0), (50, 0), (300, 0), (0, -8), (-1.7e9, 0), (0, 20), (0, 300)],  # before it was set, and after
            [3, 30],
        ),
        3,
    ),
)
async def test_a_set_point_acts_after_the_clock_was_set(
    version: Version, offsets_s: tuple[float, float], readings: int
) -> None:
    valid_s, (before_s, after_s) = 15.0, offsets_s
    async with station(lambda *_: {"status": "Accepted"}, version, before_s, inventory=False) as (raw, calls):
        for index in range(readings):
            await asyncio.sleep(10)
            if version is Version.V16:
                await values_16(raw, [[sample(IMPORT, 5)]], after_s)
            else:
                await raw.event("Updated", index + 1, at=after_s, meterValue=power(raw, 5.0, after_s))
        await raw.csms.set_power("CP1-1", -5000.0, valid_s)
        sent = schedule(calls[-1][1])
        begins = parse(sent["startSchedule"])
        assert begins is not None
        ahead_s = begins - (raw.clock.wall() + after_s)
        assert -3.0 <= ahead_s <= 0.01
        assert ahead_s + sent["duration"] <= valid_s + 0.01  # never beyond the validity


@pytest.mark.parametrize("after_s", [-7.0, -3.0, 3.0, 6.0])
async def test_a_set_point_acts_at_both_clocks_while_it_is_not_known_which_one_is_right(after_s: float) -> None:
    async with station(lambda *_: {"status": "Accepted"}, Version.V16, inventory=False) as (raw, calls):
        for offset_s in (0.0, 0.0, after_s):
            await asyncio.sleep(10)
            await values_16(raw, [[sample(IMPORT, 5)]], offset_s)
        await raw.csms.set_power("CP1-1", -5000.0, 15.0)
        sent = schedule(calls[-1][1])
        begins = parse(sent["startSchedule"])
        assert begins is not None
        for clock_s in (0.0, after_s):
            ahead_s = begins - (raw.clock.wall() + clock_s)
            assert ahead_s <= 0.01
            assert 5.0 <= ahead_s + sent["duration"] <= 15.01


async def test_a_doubt_of_more_than_half_the_validity_does_not_move_a_set_point() -> None:
    async with station(lambda *_: {"status": "Accepted"}, Version.V16, inventory=False) as (raw, calls):
        for offset_s in (0.0, 0.0, -10.0):
            await asyncio.sleep(10)
            await values_16(raw, [[sample(IMPORT, 5)]], offset_s)
        await raw.csms.set_power("CP1-1", -5000.0, 15.0)
        begins = parse(schedule(calls[-1][1])["startSchedule"])
        assert begins is not None
        assert -3.0 <= begins - raw.clock.wall() <= 0.01


@pytest.mark.parametrize("version", [Version.V16, Version.V21])
@pytest.mark.parametrize("stamp", ["9999-12-31T23:59:59Z", "0001-01-01T00:00:00Z"])
async def test_a_clock_at_the_end_of_time_does_not_prevent_a_set_point(stamp: str, version: Version) -> None:
    """No date-time after these can be stated: the profile then begins by the gateway's own clock."""
    async with station(lambda *_: {"status": "Accepted"}, version) as (raw, _):
        for _ in range(12):
            await asyncio.sleep(10)
            raw.csms.stations["CP1"].clock.observe(parse(stamp) or 0.0, raw.clock.now())
        assert (await raw.csms.set_power("CP1-1", 0.0, 15.0)).answer is Answer.APPLIED
