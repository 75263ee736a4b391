"""Engines against recorded sessions: recorded states in recorded times; failing sessions end in the named fault."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable
from itertools import pairwise

import pytest

from protocols.chademo.charger_session import ChargerSettings
from protocols.chademo.frames import ChargerStatus
from protocols.chademo.layout import decode
from protocols.chademo.profile import PROFILES, VehicleProfile
from protocols.chademo.states import follows_102, follows_109
from protocols.chademo.stops import Cause
from protocols.chademo.vehicle_session import Battery
from tests.protocols.chademo.replay import Host, Outcome, charger_against, frames_of, vehicle_against
from tests.protocols.chademo.traces import FAILING_1, FAILING_2, LEAF_24, NAMES, ZE1, of_charger, of_vehicle, trace

BOX = ChargerSettings(max_charge_a=15, max_discharge_a=15)
QUICK = ChargerSettings(v2h=False, max_charge_a=31)
LEAF_24_HOST = Host(
    start_at=-0.2, locked_at=12.66, tested_at=15.26, opened_at=48.9, end_at=51.5, stop_at=46.76,
    setpoints=((0.0, 0.0), (24.2, 15.0)),
)  # fmt: skip
ZE1_HOST = Host(
    start_at=-0.2, locked_at=10.39, tested_at=10.4, opened_at=82.5, end_at=86.5, stop_at=81.84,
    setpoints=((0.0, 31.0),),
)  # fmt: skip


def recorded(name: str, can_id: int, byte: int) -> list[tuple[float, int]]:
    """Return the changes of a byte in a recording."""
    changes: list[tuple[float, int]] = []
    for at, frame in trace(name):
        if frame.can_id == can_id and (not changes or changes[-1][1] != frame.data[byte]):
            changes.append((at, frame.data[byte]))
    return changes


def assert_near(found: list[tuple[float, int]], expected: list[tuple[float, int]], within_s: float) -> None:
    """Assert the same values in order, each at its time."""
    assert [value for _, value in found] == [value for _, value in expected]
    for (at, value), (then, _) in zip(found, expected, strict=True):
        assert at == pytest.approx(then, abs=within_s), hex(value)


# ------------------------------------------------------------------------------------------ a charger with the vehicle


def test_a_charger_passes_the_states_of_the_v2h_session() -> None:
    outcome = charger_against(LEAF_24, LEAF_24_HOST, BOX)
    assert_near(outcome.values(0x109, 5), recorded(LEAF_24, 0x109, 5), 0.5)
    times = [
        ("wake", -0.2), ("negotiate", 0.02), ("lock", 3.924), ("insulation", 12.664), ("ready", 16.06),
        ("wait_request", 17.338), ("power", 19.040), ("stopping", 46.762), ("weld_check", 46.96), ("release", 49.87),
        ("idle", 51.06),
    ]  # fmt: skip
    for state, at in times:
        assert outcome.entered[state] == pytest.approx(at, abs=0.25), state
    assert outcome.stop is not None
    assert outcome.stop.cause is Cause.STOP_ORDERED


def test_a_charger_forbids_and_permits_charging_as_recorded() -> None:
    outcome = charger_against(LEAF_24, LEAF_24_HOST, BOX)
    offered = [(at, value) for at, value in outcome.values(0x108, 3) if at < 46]
    assert_near(offered, recorded(LEAF_24, 0x108, 3), 0.5)
    assert_near(outcome.values(0x208, 3), recorded(LEAF_24, 0x208, 3), 0.2)  # limits from the second frame on
    assert {value for _, value in outcome.values(0x208, 0)} == {0xFF}  # no discharge in this session
    current = outcome.values(0x109, 3)
    assert all(value == 0 for at, value in current if at < 24.3)
    assert max(value for _, value in current) == 14  # what the vehicle requests, of 15 A offered


def test_a_charger_passes_the_states_of_the_charging_session() -> None:
    outcome = charger_against(ZE1, ZE1_HOST, QUICK)
    assert_near(outcome.values(0x109, 5), recorded(ZE1, 0x109, 5), 0.65)
    for state, at in (("lock", 3.421), ("insulation", 10.397), ("wait_request", 11.621), ("power", 13.321)):
        assert outcome.entered[state] == pytest.approx(at, abs=0.2), state
    assert {frame.can_id for _, frame in outcome.sent} == {0x108, 0x109}  # without V2H
    assert outcome.stop is not None
    assert outcome.stop.cause is Cause.STOP_ORDERED


def test_frames_of_the_automaker_alone_are_no_session() -> None:
    host = Host(start_at=-375.5, locked_at=0, tested_at=0, end_at=-366.0)
    outcome = charger_against(ZE1, host, QUICK)
    assert outcome.stop is not None
    assert outcome.stop.cause is Cause.NO_VEHICLE
    assert outcome.sent == []


def test_a_late_session_is_stopped_by_the_timer_of_the_charger() -> None:
    outcome = charger_against(LEAF_24, Host(start_at=-0.2, locked_at=99, tested_at=99, end_at=30.0), BOX)
    assert outcome.entered["stopping"] == pytest.approx(3.93 + 20, abs=0.15)
    assert outcome.stop is not None
    assert outcome.stop.cause is Cause.NO_POWER_START


# ------------------------------------------------------------------------------------------ a vehicle with the charger


def test_a_24_kwh_leaf_behaves_as_recorded() -> None:
    battery = Battery(voltage_v=376, soc_pct=73, max_charge_a=14, max_discharge_a=60)
    outcome = vehicle_against(LEAF_24, PROFILES["leaf-24"], 16.25, battery)
    assert_near(outcome.values(0x102, 5), recorded(LEAF_24, 0x102, 5), 0.2)
    ceiling, expected = outcome.values(0x200, 0), recorded(LEAF_24, 0x200, 0)
    assert_near(ceiling, [expected[0], *expected[-len(ceiling) + 1 :]], 0.2)
    for byte in (6, 7):
        assert_near(outcome.values(0x200, byte), recorded(LEAF_24, 0x200, byte), 0.2)
    request = dict(outcome.values(0x102, 3))
    first = min(at for at, value in request.items() if value)
    assert first == pytest.approx(19.04, abs=0.2)
    assert [value for at, value in request.items() if at < first + 0.45] == [0, 2, 4, 6, 8, 10][: len(request)][:6]
    assert [value for at, value in request.items() if 24 < at < 46] == [2, 4, 6, 8, 10, 12, 14]
    assert outcome.stop is not None
    assert outcome.stop.cause is Cause.CHARGER_STOP


def test_a_40_kwh_leaf_behaves_as_recorded() -> None:
    battery = Battery(voltage_v=384, soc_pct=72, max_charge_a=100, max_discharge_a=60)
    outcome = vehicle_against(ZE1, PROFILES["leaf-40"], 10.85, battery)
    assert_near(outcome.values(0x102, 5), recorded(ZE1, 0x102, 5), 0.25)
    assert_near(outcome.values(0x102, 3), recorded(ZE1, 0x102, 3), 0.2)
    assert {value for _, value in outcome.values(0x200, 0)} == {0xFF}  # the charger has no V2H
    assert outcome.stop is not None
    assert outcome.stop.cause is Cause.CHARGER_STOP


@pytest.mark.parametrize(
    ("name", "model", "soc_pct"), [(LEAF_24, "leaf-24", 73), (ZE1, "leaf-40", 72)], ids=["leaf-24", "leaf-40"]
)
def test_the_first_and_the_settled_frames_are_those_of_the_recording(name: str, model: str, soc_pct: float) -> None:
    outcome = vehicle_against(name, PROFILES[model], 99, Battery(soc_pct=soc_pct), d1_off=6.0)
    with_identifier = {frame.can_id for at, frame in of_vehicle(name) if at >= 0}
    assert {frame.can_id for _, frame in outcome.sent} == with_identifier
    order = [frame.can_id for _, frame in outcome.sent][: len(with_identifier)]
    recorded_order = [frame.can_id for at, frame in of_vehicle(name) if at >= 0][: len(with_identifier)]
    assert order == recorded_order
    for can_id in with_identifier:
        sent = frames_of(outcome, can_id)
        theirs = [frame for at, frame in of_vehicle(name) if frame.can_id == can_id and 0 <= at < 5]
        assert sent[0] == theirs[0]
        assert sent[50] == theirs[-1]  # 5 s after d1, before d2


# ---------------------------------------------------------------------------------------------------- failing sessions


def measured(name: str) -> Callable[[float], tuple[float, float]]:
    """Return voltage and current as the recorded charger measured them."""
    values = [(at, decode(frame)) for at, frame in of_charger(name) if frame.can_id == 0x109]
    found = [(at, float(one.voltage_v), float(one.charge_a)) for at, one in values if isinstance(one, ChargerStatus)]
    times = [at for at, _, _ in found]

    def at_time(now: float) -> tuple[float, float]:
        position = bisect_right(times, now) - 1
        return found[position][1:] if position >= 0 else (0.0, 0.0)

    return at_time


def failing_charger(name: str, start_at: float, locked_at: float, tested_at: float, end_at: float) -> Outcome:
    settings = ChargerSettings(v2h=False, max_charge_a=111, max_voltage_v=500)
    host = Host(
        start_at=start_at, locked_at=locked_at, tested_at=tested_at, end_at=end_at, measured=measured(name),
        setpoints=((start_at, 111.0),),
    )  # fmt: skip
    return charger_against(name, host, settings)


@pytest.mark.parametrize(("start", "locked_at"), [(-0.1, 1.097), (177.5, 178.633)])
def test_the_first_failing_session_has_no_power_start(start: float, locked_at: float) -> None:
    outcome = failing_charger(FAILING_1, start, locked_at, 1e9, locked_at + 12)
    assert outcome.stop is not None
    assert outcome.stop.cause is Cause.NO_POWER_START
    assert "power" not in outcome.entered
    assert {value for _, value in outcome.values(0x109, 5)} == {0x20, 0x24}  # no fault bit, as recorded
    assert outcome.entered["stopping"] - locked_at == pytest.approx(3.02, abs=1.0)


def test_the_second_failing_session_is_a_malfunction_of_the_charger() -> None:
    outcome = failing_charger(FAILING_2, -0.1, 1.63, 7.6, 20.0)
    assert outcome.entered["power"] == pytest.approx(8.938, abs=0.1)
    assert outcome.entered["stopping"] == pytest.approx(9.840, abs=0.1)
    assert outcome.stop is not None
    assert outcome.stop.cause is Cause.NO_CURRENT
    assert outcome.stop.text.startswith("charger malfunction")
    assert [value for _, value in outcome.values(0x109, 5)] == [0x20, 0x24, 0x05, 0x27, 0x26, 0x22]
    assert "fault" in outcome.entered


HOME_BUILT = VehicleProfile(
    name="home-built", source="the vehicle of both failing sessions", target_voltage_v=393, max_voltage_v=400,
    discharge=False, permitted_after=0.3, close_after=0.03, request_after=0.4,
)  # fmt: skip
EMPTY = Battery(voltage_v=349, soc_pct=40, max_charge_a=20)


@pytest.mark.parametrize(("start", "end"), [(0.0, 5.0), (177.6, 182.0)])
def test_a_vehicle_reports_no_power_start_in_the_first_failing_session(start: float, end: float) -> None:
    outcome = vehicle_against(FAILING_1, HOME_BUILT, 1e9, EMPTY, start_at=start, d1_off=end)
    assert outcome.stop is not None
    assert outcome.stop.cause is Cause.NO_POWER_START
    assert outcome.entered["stopping"] == pytest.approx(4.118 if start == 0 else 181.652, abs=0.15)


def test_a_vehicle_reports_the_malfunction_in_the_second_failing_session() -> None:
    outcome = vehicle_against(FAILING_2, HOME_BUILT, 8.4, EMPTY)
    assert outcome.stop is not None
    assert outcome.stop.cause is Cause.CHARGER_MALFUNCTION
    assert outcome.entered["stopping"] == pytest.approx(9.840, abs=0.1)
    assert outcome.entered["opening"] - outcome.entered["stopping"] < 0.6
    assert [value for _, value in outcome.values(0x102, 5)][-2:] == [0x00, 0x08]


# ------------------------------------------------------------------------------------------------- sequences of status


@pytest.mark.parametrize("name", NAMES)
def test_recorded_status_bytes_follow_the_tables(name: str) -> None:
    charger = [value for _, value in recorded(name, 0x109, 5)]
    assert all(follows_109(a, b) or (a in (0x20, 0x22)) for a, b in pairwise(charger))
    vehicle = [value for _, value in recorded(name, 0x102, 5)]
    assert all(follows_102(a, b) or b & 0x09 == 0 for a, b in pairwise(vehicle))


def test_what_the_tables_forbid() -> None:
    assert not follows_109(0x20, 0x05)
    assert not follows_109(0x05, 0x20)
    assert not follows_109(0x26, 0x24)  # a malfunction is latched
    assert not follows_102(0x08, 0x01)
