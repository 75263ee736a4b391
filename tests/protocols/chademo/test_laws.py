"""Laws of charge and discharge between both engines, whatever is ordered and whatever happens to the frames."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from itertools import pairwise
from random import Random

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from emulators.charger.chademo.pair import Pair
from protocols.can import CanFrame
from protocols.chademo import timers
from protocols.chademo.charger_session import SetCapability, SetCurrent, StopSession
from protocols.chademo.events import Direction, DirectionChanged, StateEntered
from protocols.chademo.frames import ChargerStatus, VehicleStatus
from protocols.chademo.layout import decode
from protocols.chademo.profile import PROFILES
from protocols.chademo.states import (
    CHARGER_FOLLOWS,
    VEHICLE_FOLLOWS,
    ChargerState,
    VehicleState,
    follows_102,
    follows_109,
)
from protocols.chademo.stops import Cause
from protocols.chademo.vehicle_session import StopVehicle
from tests.protocols.chademo.pairs import SETTINGS, flowing, pair, powered, started
from tests.rounds import rounds

LAG_S = 1.5  # a limit applies at the latest so long after it was stated: loss of frames ends it after 1 s
TOLERANCE_A = 0.6


@dataclass
class Watch:
    """Checks the laws at each step of a pair."""

    recent: deque[tuple[float, float, float, float]] = field(default_factory=deque)  # time, charge, discharge, order
    steps: int = 0

    def __call__(self, made: Pair) -> None:
        """Check one step."""
        self.steps += 1
        charger, vehicle, dc = made.charger.session, made.vehicle.session, made.dc
        current = dc.current_a
        self._remember(made)
        outputs = made.charger.outputs
        if outputs.current_a:
            assert charger.state is ChargerState.POWER
        assert -charger.max_discharge_a <= outputs.current_a <= charger.max_charge_a
        reverse = outputs.current_a * current < 0
        assert not reverse or abs(current) <= timers.DIRECTION_A, "the direction changed under current"
        if abs(current) > 0.01:
            assert dc.closed, "current without contactors"
            assert charger.tested_at is not None, "current before the insulation test"
            assert charger.power_at is not None, "current before power was permitted"
            assert outputs.d1, "d1 opened under current"
            assert outputs.d2 or abs(current) <= timers.LOW_CURRENT_A, "d2 opened under current"
        charge = max(one[1] for one in self.recent)
        discharge = max(one[2] for one in self.recent)
        assert -discharge - TOLERANCE_A <= current <= charge + TOLERANCE_A, (current, discharge, charge)
        if current > TOLERANCE_A:
            assert any(one[3] > 0 for one in self.recent), "charging was not ordered"
        if current < -TOLERANCE_A:
            assert any(one[3] < 0 for one in self.recent), "discharging was not ordered"
            assert vehicle.profile.discharge
        if vehicle.state is VehicleState.CLOSING and vehicle.contactors:
            assert outputs.d2 or vehicle.stop is not None

    def _remember(self, made: Pair) -> None:
        charger, vehicle = made.charger.session, made.vehicle.session
        charge = min(vehicle.request_a, charger.max_charge_a)
        discharge = min(vehicle.ceiling_a, charger.max_discharge_a)
        self.recent.append((made.now, charge, discharge, charger.requested_a))
        while self.recent[0][0] < made.now - LAG_S:
            self.recent.popleft()


def check_sequences(made: Pair) -> None:
    """Assert the sequences of states and, without losses, of status bytes."""
    for table, side in ((CHARGER_FOLLOWS, "charger"), (VEHICLE_FOLLOWS, "vehicle")):
        for _, who, event in made.log:
            if who == side and isinstance(event, StateEntered):
                fresh = event.state in (ChargerState.IDLE, VehicleState.SLEEP)
                assert fresh or event.state in table[event.previous]  # type: ignore[index]
    before: dict[int, int] = {}
    for _, frame in made.frames or []:
        message = decode(frame)
        if isinstance(message, ChargerStatus | VehicleStatus):
            value, last = frame.data[5], before.get(frame.can_id)
            follows = follows_109 if isinstance(message, ChargerStatus) else follows_102
            first = value == 0x20 or value & 0x09 in (0, 8)  # a new session
            assert last is None or first or follows(last, value), (hex(last), hex(value))
            before[frame.can_id] = value


ACTIONS = st.one_of(
    st.tuples(st.just("current"), st.integers(-40, 60)),
    st.tuples(st.just("capability"), st.integers(0, 30)),
    st.tuples(st.just("battery"), st.integers(0, 100)),
    st.tuples(st.just("stop"), st.just(0)),
    st.tuples(st.just("driver"), st.just(0)),
    st.tuples(st.just("fault"), st.sampled_from(["malfunction", "earth_fault", "unplugged", "insulation", "battery"])),
    st.tuples(st.just("wait"), st.integers(1, 8)),
)
PLANS = st.lists(st.tuples(st.floats(0.05, 6.0), ACTIONS), min_size=1, max_size=8)
LINKS = st.tuples(st.integers(0, 2**32), st.sampled_from([0.0, 0.02, 0.2, 0.6]), st.sampled_from([0.0, 0.1, 0.4]))


def act(made: Pair, action: str, value: int | str) -> None:
    """Do what a plan says."""
    conditions = made.conditions
    if action == "current":
        made.order(SetCurrent(float(value)))
    elif action == "capability":
        made.order(SetCapability(int(value), int(value) // 2))
    elif action == "battery":
        conditions.max_charge_a = conditions.max_discharge_a = float(value)
    elif action == "stop":
        made.order(StopSession())
    elif action == "driver":
        made.order_vehicle(StopVehicle())
    elif value == "malfunction":
        conditions.malfunction = "fan"
    elif value == "earth_fault":
        conditions.earth_fault = True
    elif value == "unplugged":
        conditions.plugged = False
    elif value == "insulation":
        made.dc.insulation_ohm = 1000.0
    elif value == "battery":
        conditions.faults = frozenset({Cause.BATTERY_OVERTEMPERATURE})


@settings(max_examples=rounds(12, 500), deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.sampled_from(sorted(PROFILES)), st.floats(5, 99), st.integers(-40, 40), st.floats(0, 20), PLANS, LINKS,
    st.booleans(),
)  # fmt: skip
@example("outlander", 56.0, 0, 4.0, [(6.0, ("current", 0))], (0, 0.0, 0.0), False)  # a stop before 0x05 was sent
def test_laws(
    model: str,
    soc_pct: float,
    current_a: int,
    lead_s: float,
    plan: list[tuple[float, tuple[str, int | str]]],
    link: tuple[int, float, float],
    strict: bool,
) -> None:
    seed, loss, late = link
    chance = Random(seed)

    def carry(sender: str, frame: CanFrame) -> list[tuple[float, CanFrame]]:
        if chance.random() < loss:
            damaged = CanFrame(frame.can_id, frame.data[: chance.randrange(8)])
            return [(0.0, damaged)] if chance.random() < 0.3 else []
        delay = chance.random() * 0.3 if chance.random() < late else 0.0
        return [(delay, frame)] * (2 if chance.random() < late / 4 else 1)

    made = pair(model, settings=type(SETTINGS)(max_charge_a=30, max_discharge_a=15, strict=strict), soc_pct=soc_pct)
    made.on_step, made.carry, made.frames = Watch(), carry if loss or late else None, []
    started(made, float(current_a))
    made.run(lead_s)
    for wait, (action, value) in plan:
        act(made, action, value)
        made.run(wait)
    made.order(StopSession())
    made.run(30)
    assert made.dc.current_a == 0
    assert not made.dc.closed
    assert made.charger.state in (ChargerState.IDLE, ChargerState.FAULT), (made.charger.state, made.dc.voltage_v)
    assert not made.vehicle.outputs.k
    check_sequences(made)


@settings(max_examples=rounds(10, 300), deadline=None)
@given(
    st.sampled_from(["malfunction", "earth_fault", "unplugged", "battery", "stop", "driver"]),
    st.sampled_from([-15.0, -3.0, 0.0, 5.0, 30.0]),
    st.floats(0, 1),
)
def test_every_fault_ends_in_no_current_and_then_open_contactors_in_time(
    fault: str, current_a: float, phase: float
) -> None:
    made = powered(pair(), current_a)
    made.on_step = Watch()
    made.run(2 + phase)
    act(made, fault if fault in ("stop", "driver") else "fault", fault)
    at = made.now
    assert made.run(1.0, lambda one: one.dc.current_a == 0), "the current remains"
    assert made.run(timers.CONTACTORS_OPEN, lambda one: not one.dc.closed), "the contactors remain closed"
    assert made.now - at <= 4.0
    made.run(20)
    assert made.charger.state in (ChargerState.IDLE, ChargerState.FAULT)


# -------------------------------------------------------------------------------------------------- discharge in detail


def test_a_leaf_discharges_and_the_energy_leaves_its_battery() -> None:
    made = flowing(pair("leaf-24", soc_pct=60), -12.0)
    stored = made.dc.pack.stored_wh
    made.run(120)
    out = made.dc.energy_out_wh
    assert out == pytest.approx(12 * 363 / 30, rel=0.05)  # 12 A for two minutes
    assert stored - made.dc.pack.stored_wh == pytest.approx(out, rel=0.03)
    assert made.charger.session.direction is Direction.DISCHARGE


def test_the_direction_changes_without_a_new_negotiation() -> None:
    made = flowing(pair(), -10.0)
    made.on_step = Watch()
    made.run(0.2)
    states = len([1 for _, _, event in made.log if isinstance(event, StateEntered)])
    for current in (8.0, -8.0, 20.0, -15.0):
        made.order(SetCurrent(current))
        assert made.run(5, lambda one, a=current: abs(one.dc.current_a - a) < 0.1), current  # type: ignore[misc]
    assert len([1 for _, _, event in made.log if isinstance(event, StateEntered)]) == states
    changes = [event.direction for _, _, event in made.log if isinstance(event, DirectionChanged)]
    assert changes[0] is Direction.DISCHARGE
    assert all(a is Direction.NONE or b is Direction.NONE for a, b in pairwise(changes))


def test_the_vehicle_stops_its_request_before_the_charger_discharges() -> None:
    made = flowing(pair(), 20.0)
    made.frames = []
    made.order(SetCurrent(-10.0))
    made.run(5, lambda one: one.dc.current_a < -0.1)
    requests = [decode(frame) for _, frame in made.frames if frame.can_id == 0x102]
    assert isinstance(requests[-1], VehicleStatus)
    assert requests[-1].charge_request_a == 0


@pytest.mark.parametrize(("model", "floor"), [("leaf-24", 30), ("leaf-40", 10)])
def test_discharging_ends_at_the_level_of_the_vehicle_and_charging_stays_possible(model: str, floor: int) -> None:
    made = powered(pair(model, soc_pct=floor + 0.8), -15.0)
    assert made.run(300, lambda one: one.dc.current_a == 0 and one.dc.energy_out_wh > 0)
    assert made.charger.session.discharge_blocked
    assert made.dc.pack.soc_pct == pytest.approx(floor + 0.5, abs=0.1)  # the whole % that the vehicle states
    made.run(10)
    assert made.charger.state is ChargerState.POWER
    assert made.dc.current_a == 0
    made.order(SetCurrent(10.0))
    made.run(5)
    assert made.dc.current_a == pytest.approx(10, abs=0.1)


def test_charging_ends_at_the_level_of_the_vehicle_and_discharging_stays_possible() -> None:
    made = powered(pair("leaf-24", soc_pct=79.2), 20.0)
    assert made.run(300, lambda one: one.dc.current_a == 0 and one.dc.energy_in_wh > 0)
    assert made.dc.pack.soc_pct == pytest.approx(79.5, abs=0.1)
    made.run(20)
    assert made.charger.state is ChargerState.POWER
    made.order(SetCurrent(-10.0))
    made.run(5)
    assert made.dc.current_a == pytest.approx(-10, abs=0.1)


def test_no_discharge_without_the_permission_of_both_sides() -> None:
    quick = pair(settings=type(SETTINGS)(v2h=False, max_charge_a=30))
    powered(quick, -10.0)
    quick.run(10)
    assert quick.dc.current_a == 0
    assert quick.dc.energy_out_wh == 0
    fixed = type(PROFILES["leaf-40"])(name="charge-only", source="test", discharge=False)
    car = powered(pair(fixed), -10.0)
    car.run(10)
    assert car.dc.energy_out_wh == 0


def test_a_capability_of_the_site_limits_a_running_discharge_at_once() -> None:
    made = flowing(pair(), -15.0)
    made.order(SetCapability(30, 4))
    assert made.charger.outputs.current_a == -4
    made.run(0.5)
    assert made.dc.current_a == pytest.approx(-4)
    made.conditions.max_discharge_a = 2.0
    made.run(0.5)
    assert made.dc.current_a == pytest.approx(-2)


@pytest.mark.parametrize(("current_a", "limit_a"), [(20.0, 6.0), (-12.0, 5.0)])
def test_the_vehicle_limits_the_current(current_a: float, limit_a: float) -> None:
    made = pair()
    made.conditions.max_charge_a = made.conditions.max_discharge_a = limit_a
    made.on_step = Watch()
    powered(made, current_a)
    made.run(5)
    assert abs(made.dc.current_a) == limit_a


@pytest.mark.parametrize(("can_id", "current_a"), [(0x200, -10.0)])
def test_limits_that_are_not_repeated_end_the_discharge(can_id: int, current_a: float) -> None:
    made = flowing(pair(), current_a)
    made.carry = lambda sender, frame: [] if frame.can_id == can_id else [(0.0, frame)]
    made.run(1.3)
    assert made.dc.current_a == 0
    assert made.charger.state is ChargerState.POWER


def test_the_current_rises_by_the_ramp_and_falls_at_once() -> None:
    made = powered(pair("leaf-24"))
    made.run(2)
    made.order(SetCurrent(-15.0))
    made.run(0.32)
    assert -9 <= made.dc.current_a <= -3
    made.run(1)
    made.order(SetCurrent(0.0))
    made.run(0.25)
    assert made.dc.current_a == 0


def test_a_single_lost_frame_and_frames_each_225_ms_do_not_end_a_session() -> None:
    made = flowing(pair(), -10.0)
    lost = [0x102, 0x200, 0x109, 0x208]

    def lose_one(sender: str, frame: CanFrame) -> list[tuple[float, CanFrame]]:
        if frame.can_id in lost:
            lost.remove(frame.can_id)
            return []
        return [(0.0, frame)]

    made.carry = lose_one
    made.run(5)
    assert not lost
    assert made.dc.current_a == pytest.approx(-10, abs=0.1)


@pytest.mark.parametrize("current_a", [10.0, -10.0])
def test_the_direction_does_not_change_while_current_flows(current_a: float) -> None:
    made = flowing(pair(), current_a)
    made.dc.stuck_current = True
    made.order(SetCurrent(-current_a))
    made.run(3)
    assert made.charger.state is ChargerState.POWER
    assert made.charger.outputs.current_a == 0
    made.dc.stuck_current = False
    made.run(2)
    assert made.dc.current_a == -current_a
