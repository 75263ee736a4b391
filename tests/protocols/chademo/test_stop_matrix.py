"""Every row of the stop matrix: what is injected, which stop both sides report, which bits are sent, how it ends."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

import pytest

from emulators.charger.chademo.pair import Pair
from protocols.can import CanFrame
from protocols.chademo import timers
from protocols.chademo.charger_session import ChargerInputs, ChargerSettings, Reset, SetCurrent, Start, StopSession
from protocols.chademo.events import Event
from protocols.chademo.frames import FROM_VEHICLE, ChargerStatus, DischargeLimits, VehicleStatus
from protocols.chademo.layout import decode
from protocols.chademo.profile import PROFILES
from protocols.chademo.states import ChargerState, VehicleState
from protocols.chademo.stops import MATRIX, Cause, Severity
from protocols.chademo.vehicle_session import StopVehicle
from protocols.errors import LocalProtocolError
from tests.protocols.chademo.pairs import SETTINGS, causes, changed, flowing, pair, powered, started, states, stop_of
from tests.protocols.chademo.test_recordings import failing_charger
from tests.protocols.chademo.traces import FAILING_2

Inject = Callable[[Pair], None]
Carry = Callable[[str, CanFrame], Iterable[tuple[float, CanFrame]]]


def tamper(who: str, **values: int | bool) -> Carry:
    """Return a link that changes values of the status of one side."""
    message = VehicleStatus if who == "vehicle" else ChargerStatus

    def carry(sender: str, frame: CanFrame) -> list[tuple[float, CanFrame]]:
        return [(0.0, changed(frame, message, **values) if sender == who else frame)]

    return carry


def silence(who: str) -> Carry:
    """Return a link that loses all frames of one side."""
    return lambda sender, frame: [] if sender == who else [(0.0, frame)]


def condition(**values: object) -> Inject:
    """Set conditions of the pair."""

    def inject(made: Pair) -> None:
        for name, value in values.items():
            setattr(made.conditions, name, value)

    return inject


def dc(**values: object) -> Inject:
    """Set faults of the DC side."""

    def inject(made: Pair) -> None:
        for name, value in values.items():
            setattr(made.dc, name, value)

    return inject


def link(carry: Carry) -> Inject:
    """Replace the link between both sides."""

    def inject(made: Pair) -> None:
        made.carry = carry

    return inject


@dataclass(frozen=True, kw_only=True)
class Case:
    """A row: cause, the side that detects it, what causes it, what the other side reports."""

    cause: Cause
    side: str
    inject: Inject
    other: Cause
    within_s: float = 0.5  # injection to the stop
    current_a: float = 12.0
    before_power: bool = False
    settings: ChargerSettings = SETTINGS


STOP, WITHDRAWN, FAULT = Cause.CHARGER_STOP, Cause.VEHICLE_STOP, Cause.VEHICLE_FAULT
MALFUNCTION, SYSTEM, NO_START = Cause.CHARGER_MALFUNCTION, Cause.CHARGER_SYSTEM_FAULT, Cause.NO_POWER_START
OF_BATTERY = (Cause.BATTERY_OVERVOLTAGE, Cause.BATTERY_UNDERVOLTAGE, Cause.BATTERY_OVERTEMPERATURE)


def stop_vehicle(made: Pair) -> None:
    made.order_vehicle(StopVehicle())


def unplug(made: Pair) -> None:
    made.conditions.plugged = False


def forbid_with_stuck_current(made: Pair) -> None:
    made.dc.stuck_current = True
    made.conditions.max_charge_a = made.conditions.max_discharge_a = 0.0


CASES = [
    Case(cause=Cause.STOP_ORDERED, side="charger", inject=lambda one: one.order(StopSession()), other=STOP),
    Case(cause=Cause.STOP_ORDERED, side="vehicle", inject=stop_vehicle, other=WITHDRAWN),
    Case(cause=WITHDRAWN, side="charger", inject=condition(k_broken=True), other=STOP),
    Case(
        cause=Cause.TARGET_VOLTAGE_ZERO, side="charger", other=STOP,
        inject=link(tamper("vehicle", target_voltage_v=0)),
    ),
    Case(
        cause=Cause.VEHICLE_STOP_BEFORE_CHARGE, side="charger", before_power=True,
        inject=link(tamper("vehicle", stop_before_charge=True)), other=NO_START,
    ),
    Case(cause=Cause.NOT_IN_PARK, side="vehicle", inject=condition(parked=False), other=Cause.NOT_IN_PARK),
    *(Case(cause=one, side="vehicle", inject=condition(faults=frozenset({one})), other=FAULT) for one in OF_BATTERY),
    Case(cause=FAULT, side="charger", inject=link(tamper("vehicle", battery_overtemperature=True)), other=STOP),
    Case(
        cause=Cause.CURRENT_DEVIATION, side="vehicle", inject=forbid_with_stuck_current, other=FAULT, within_s=5.5,
        current_a=28.0,
    ),
    Case(
        cause=Cause.CURRENT_DEVIATION, side="vehicle", inject=forbid_with_stuck_current, other=FAULT, within_s=5.5,
        current_a=-15.0,
    ),
    Case(
        cause=Cause.VOLTAGE_DEVIATION, side="vehicle", inject=condition(vehicle_voltage_v=300.0), other=FAULT,
        within_s=11.0,
    ),
    Case(cause=STOP, side="vehicle", inject=link(tamper("charger", stopped=True)), other=WITHDRAWN),
    Case(cause=STOP, side="vehicle", inject=condition(d2_broken=True), other=WITHDRAWN),
    Case(cause=MALFUNCTION, side="charger", inject=condition(malfunction="fan"), other=MALFUNCTION),
    Case(cause=SYSTEM, side="vehicle", inject=link(tamper("charger", system_fault=True)), other=WITHDRAWN),
    Case(
        cause=Cause.BATTERY_INCOMPATIBLE, side="charger", before_power=True, within_s=8.0,
        inject=lambda _: None, other=Cause.BATTERY_INCOMPATIBLE, settings=replace(SETTINGS, max_voltage_v=400),
    ),
    Case(cause=Cause.LOCK_LOST, side="charger", inject=dc(stuck_lock=True), other=MALFUNCTION),
    Case(cause=Cause.LOCK_LOST, side="vehicle", inject=link(tamper("charger", locked=False)), other=WITHDRAWN),
    Case(cause=Cause.UNPLUGGED, side="charger", inject=unplug, other=Cause.UNPLUGGED),
    Case(cause=Cause.EARTH_FAULT, side="charger", inject=condition(earth_fault=True), other=SYSTEM),
    Case(
        cause=Cause.PROTECTIVE_EARTH_LOST, side="charger", inject=condition(protective_earth=False), other=SYSTEM,
    ),
    Case(cause=Cause.INSULATION, side="charger", inject=dc(insulation_ohm=20_000.0), other=SYSTEM),
    Case(
        cause=Cause.INSULATION, side="charger", inject=dc(insulation_ohm=40_000.0), other=SYSTEM, before_power=True,
        within_s=9.0,
    ),
    Case(
        cause=Cause.NO_VOLTAGE, side="charger", inject=dc(open_path=True), other=SYSTEM, before_power=True,
        within_s=9.5,
    ),
    Case(cause=Cause.OVERVOLTAGE, side="charger", inject=condition(charger_voltage_v=440.0), other=STOP),
    Case(
        cause=Cause.UNDERVOLTAGE, side="charger", inject=condition(charger_voltage_v=240.0), other=STOP,
        current_a=-10.0, within_s=1.5,
    ),
    Case(
        cause=Cause.REQUEST_TOO_HIGH, side="charger", inject=link(tamper("vehicle", charge_request_a=60)),
        other=SYSTEM, settings=replace(SETTINGS, strict=True), within_s=1.5,
    ),
    Case(
        cause=Cause.PERMISSION_INCONSISTENT, side="charger", inject=condition(k_broken=True), other=SYSTEM,
        before_power=True, within_s=4.5,
    ),
    Case(
        cause=Cause.NO_VEHICLE, side="charger", inject=link(silence("vehicle")), other=Cause.NO_CHARGER,
        before_power=True, within_s=6.5,
    ),
    Case(
        cause=Cause.NO_CHARGER, side="vehicle", inject=link(silence("charger")), other=NO_START, before_power=True,
        within_s=5.5,
    ),
    Case(
        cause=NO_START, side="vehicle", inject=condition(d2_broken=True), other=NO_START, before_power=True,
        within_s=12.0,
    ),
    Case(
        cause=Cause.VEHICLE_SILENT, side="charger", inject=link(silence("vehicle")), other=SYSTEM, within_s=1.2,
    ),
    Case(
        cause=Cause.CHARGER_SILENT, side="vehicle", inject=link(silence("charger")), other=WITHDRAWN, within_s=1.2,
    ),
]  # fmt: skip
ELSEWHERE = {
    Cause.TIME_UP, Cause.IDLE, Cause.WELDED, Cause.NO_CURRENT, Cause.OVERVOLTAGE_SUSTAINED, Cause.CURRENT_REMAINS,
    Cause.UNDERVOLTAGE_SUSTAINED, Cause.CONTACTORS_REMAIN_CLOSED,
}  # fmt: skip


def test_every_cause_has_a_row_and_a_test() -> None:
    assert set(MATRIX) == set(Cause)
    assert {case.cause for case in CASES} | ELSEWHERE == set(Cause)


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.side}-{case.cause}-{case.current_a:g}")
def test_rows(case: Case) -> None:
    made = pair(settings=case.settings)
    if case.before_power:
        case.inject(made)
        started(made, case.current_a)
    else:
        flowing(made, case.current_a)
        case.inject(made)
    injected, other = made.now, "vehicle" if case.side == "charger" else "charger"
    detector = made.charger if case.side == "charger" else made.vehicle
    assert made.run(case.within_s, lambda one: detector.session.stop is not None), (made.charger.state, made.log)
    stop = detector.session.stop
    assert stop is not None
    assert stop.cause is case.cause, stop
    detected = made.now
    made.dc.stuck_current, made.conditions.charger_voltage_v = False, None
    assert made.run(timers.CURRENT_OFF, lambda one: abs(one.dc.current_a) < 0.1)
    assert made.now - detected <= 1.0
    if case.side == "charger":
        _check_bits(made, case.cause)
    assert made.run(timers.CONTACTORS_OPEN, lambda one: not one.dc.closed), "the contactors stay closed"
    made.run(25)
    ended = stop_of(made, other)
    assert ended is not None, f"{other} did not end: {made.charger.state} {made.vehicle.state}"
    assert ended.cause is case.other, ended
    _check_end(made, injected)


def _check_bits(made: Pair, cause: Cause) -> None:
    bit = MATRIX[cause].charger_bit
    made.frames = []
    made.run(0.25)
    sent = [decode(frame) for _, frame in made.frames if frame.can_id == 0x109]
    made.frames = None
    for status in sent:
        assert isinstance(status, ChargerStatus)
        assert status.stopped
        assert status.fault == "" if not bit else getattr(status, bit)


def _check_end(made: Pair, injected: float) -> None:
    """Assert that both sides are at rest, lines and all, in the fault state after an error only."""
    stop = stop_of(made, "charger")
    assert stop is not None
    unplugged = not made.conditions.plugged
    assert made.charger.state is (ChargerState.FAULT if stop.error and not unplugged else ChargerState.IDLE)
    outputs = made.charger.outputs
    assert (outputs.d1, outputs.d2, outputs.lock, outputs.current_a) == (False, False, False, 0.0)
    assert made.dc.voltage_v <= timers.SAFE_V
    assert made.vehicle.outputs == type(made.vehicle.outputs)(False, False)
    assert made.now - injected < 60


def test_a_fault_is_latched_until_it_is_reset_or_unplugged() -> None:
    made = flowing(pair(), -10.0)
    made.conditions.malfunction = "fan"
    made.run(20)
    assert states(made) == (ChargerState.FAULT, VehicleState.FAULT)
    with pytest.raises(LocalProtocolError, match="cannot start in state fault"):
        made.order(Start())
    made.conditions.malfunction = ""
    made.order(Reset())
    assert states(made) == (ChargerState.IDLE, VehicleState.FAULT)
    made.conditions.plugged = False
    made.run(0.2)
    assert states(made) == (ChargerState.IDLE, VehicleState.SLEEP)
    with pytest.raises(LocalProtocolError, match="without a plug"):
        made.order(Start())
    made.conditions.plugged = True
    made.run(0.2)
    flowing(made, -10.0)


def test_the_time_of_a_charging_session_is_limited_by_both_sides() -> None:
    made = powered(pair(settings=replace(SETTINGS, session_min=1)), 10.0)
    began = made.now
    assert made.run(70, lambda one: one.charger.session.stop is not None)
    assert made.charger.session.stop is not None
    assert made.charger.session.stop.cause is Cause.TIME_UP
    assert made.now - began == pytest.approx(60, abs=0.3)
    assert made.vehicle.session.stop is None or made.vehicle.session.stop.cause in (STOP, Cause.TIME_UP)


def test_without_keep_alive_a_leaf_ends_a_session_without_current_after_six_minutes() -> None:
    made = powered(pair(settings=replace(SETTINGS, keep_alive=None)))
    began = made.now
    assert made.run(400, lambda one: one.vehicle.session.stop is not None)
    assert made.vehicle.session.stop is not None
    assert made.vehicle.session.stop.cause is Cause.IDLE
    assert made.now - began == pytest.approx(360, abs=1)
    made.run(20)
    assert made.charger.state is ChargerState.IDLE


def test_the_keep_alive_prevents_it_without_current() -> None:
    made = powered(pair())
    made.run(400)
    assert made.charger.state is ChargerState.POWER
    assert made.dc.energy_in_wh == made.dc.energy_out_wh == 0.0


@pytest.mark.parametrize("current_a", [-0.9, -0.1, 0.4])
def test_the_keep_alive_prevents_it_with_the_current_of_a_converter_at_rest(current_a: float) -> None:
    made = powered(pair())
    made.dc.stuck_current, made.dc.current_a = True, current_a
    made.run(400)
    assert (made.charger.state, made.vehicle.session.stop) == (ChargerState.POWER, None)


def test_a_vehicle_without_the_quirk_keeps_the_session() -> None:
    made = powered(pair("strict", settings=replace(SETTINGS, keep_alive=None)))
    made.run(370)
    assert made.charger.state is ChargerState.POWER


def test_a_welded_contactor_locks_the_vehicle_until_service() -> None:
    made = flowing(pair(), 12.0)
    made.dc.welded = True
    made.order(StopSession())
    made.run(20)
    vehicle, charger = stop_of(made, "vehicle"), made.charger.session.stop
    assert vehicle is not None
    assert vehicle.cause is Cause.WELDED
    assert charger is not None
    assert charger.error
    held = made.charger.outputs.lock
    assert held, "the plug stays locked while the cable has a voltage"
    made.dc.welded = False
    made.run(10)
    assert not made.charger.outputs.lock
    made.conditions.plugged = False
    made.run(1)
    made.conditions.plugged = True
    made.order(Reset())
    made.run(1)
    made.order(Start())
    made.run(12)
    stop = stop_of(made, "charger")
    assert stop is not None
    assert stop.cause is Cause.NO_VEHICLE


@pytest.mark.parametrize(
    ("voltage_v", "current_a", "first", "then"),
    [
        (440.0, 12.0, Cause.OVERVOLTAGE, Cause.OVERVOLTAGE_SUSTAINED),
        (240.0, -10.0, Cause.UNDERVOLTAGE, Cause.UNDERVOLTAGE_SUSTAINED),
    ],
)
def test_a_voltage_that_stays_out_of_range_becomes_an_error(
    voltage_v: float, current_a: float, first: Cause, then: Cause
) -> None:
    made = flowing(pair("leaf-24"), current_a)
    made.conditions.charger_voltage_v = voltage_v
    made.run(2, lambda one: one.charger.session.stop is not None)
    assert causes(made) == [first]
    made.run(1.2)
    assert causes(made) == [first, then]
    made.conditions.charger_voltage_v = None
    made.run(20)
    assert made.charger.state is ChargerState.FAULT


def test_a_current_that_remains_is_an_error_and_the_lines_stay_until_the_vehicle_opens() -> None:
    made = flowing(pair(), 12.0)
    made.dc.stuck_current = True
    made.order(StopSession())
    made.run(2.2)
    assert made.charger.session.stop is not None
    assert made.charger.session.stop.cause is Cause.CURRENT_REMAINS
    assert made.charger.outputs.d2
    made.run(20)
    assert made.charger.state is ChargerState.FAULT
    vehicle = stop_of(made, "vehicle")
    assert vehicle is not None
    assert vehicle.error


def test_contactors_that_are_not_reported_open() -> None:
    made = flowing(pair(), 12.0)
    made.carry = tamper("vehicle", contactors_open=False)
    made.order(StopSession())
    made.run(20)
    stop = stop_of(made, "charger")
    assert stop is not None
    assert stop.cause is Cause.CONTACTORS_REMAIN_CLOSED


def test_no_current_at_the_target_voltage_is_a_malfunction() -> None:
    outcome = failing_charger(FAILING_2, -0.1, 1.63, 7.6, 20.0)
    assert outcome.stop is not None
    assert outcome.stop.severity is Severity.ERROR


def test_frames_of_the_own_role_and_of_wrong_length_are_counted_once_each() -> None:
    made = powered(pair())
    events: list[Event] = []
    for _ in range(3):
        events += made.charger.receive(CanFrame(0x109, bytes(8)), made.now)
        events += made.charger.receive(CanFrame(0x102, bytes(7)), made.now)
        events += made.charger.receive(CanFrame(0x102, bytes(8), extended=True), made.now)
        events += made.charger.receive(CanFrame(0x555, bytes(3)), made.now)
    assert [type(event).__name__ for event in events] == ["FrameIgnored"] * 2
    assert made.charger.ignored == {0x109: 3, 0x102: 6, 0x555: 3}
    for can_id in range(0x300, 0x400):
        made.charger.receive(CanFrame(can_id, b""), made.now)
    assert len(made.charger.ignored) <= 64
    assert made.charger.state is ChargerState.POWER


def test_orders_that_do_not_fit_the_state() -> None:
    made = powered(pair())
    with pytest.raises(LocalProtocolError, match="cannot start in state power"):
        made.order(Start())
    idle = pair()
    idle.order(StopSession())
    idle.order(Reset())
    idle.order(SetCurrent(5.0))
    assert idle.charger.state is ChargerState.IDLE
    assert idle.charger.command(ChargerInputs(), 0.0) == ()
    assert PROFILES.keys() == {"leaf-24", "leaf-30", "leaf-40", "leaf-62", "e-nv200", "outlander", "strict"}
    assert 0x110 in FROM_VEHICLE


def test_an_absurd_discharge_voltage_of_the_vehicle_only_forbids_discharging() -> None:
    made = pair()
    made.carry = lambda sender, frame: [(0.0, changed(frame, DischargeLimits, min_voltage_v=0xFFFF))]
    powered(made, -10.0)
    made.run(0.8)
    assert made.dc.current_a == 0
    assert made.charger.session.floor_v == 0xFFFF


def test_a_battery_below_its_discharge_voltage_can_be_charged() -> None:
    made = flowing(pair(), 10.0)
    made.conditions.charger_voltage_v = 245.0
    made.run(3)
    assert made.charger.state is ChargerState.POWER
    assert made.dc.current_a == pytest.approx(10, abs=0.1)
    assert made.charger.session.voltage_blocked


def test_no_insulation_test_on_a_cable_with_a_voltage() -> None:
    made = pair()
    made.conditions.charger_voltage_v = 60.0
    started(made, -10.0)
    made.run(25)
    assert made.charger.session.test_v == 0
    assert made.charger.session.tested_at is None
    assert causes(made) == [Cause.NO_POWER_START]
