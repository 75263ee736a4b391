"""Supervisor over the emulated board: sequence, limits, faults and recovery."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import pytest

from emulators.charger.hardware.power_stage import Contactors
from gateway.drivers.board.faults import FaultName, Part
from gateway.drivers.board.orders import (
    CableChecked,
    CheckCable,
    Deliver,
    DeliveryStarted,
    OrderExpired,
    OrderRefused,
    OutputStopped,
    Precharge,
    Recovered,
    Reset,
    SetLock,
    SetPilot,
    Stop,
)
from gateway.drivers.board.phases import Phase
from gateway.drivers.board.ports import DutyCycle, FaultRaised
from gateway.drivers.board.registry import WholeBoard
from gateway.drivers.board.supervision import OPEN_BELOW_A
from gateway.drivers.board.supervisor import Supervisor
from tests.gateway.drivers.board.bay import Bay

T = TypeVar("T")


def one(events: Sequence[object], kind: type[T]) -> T:
    found = [event for event in events if isinstance(event, kind)]
    assert len(found) == 1, f"{len(found)} of {kind.__name__}: {found}"
    return found[0]


@pytest.fixture
def bay() -> Bay:
    return Bay()


def open_at_rest(bay: Bay) -> None:
    assert not bay.hardware.closed
    assert bay.hardware.opened_at_a
    assert max(map(abs, bay.hardware.opened_at_a)) < OPEN_BELOW_A


@pytest.mark.parametrize("current_a", [12.0, -12.0])
def test_a_session_ends_with_0_a_before_the_contactors_open(bay: Bay, current_a: float) -> None:
    bay.plug()
    bay.start(current_a)
    assert one(bay.events, CableChecked).passed
    one(bay.events, DeliveryStarted)
    assert bay.hardware.stage.current_a == pytest.approx(current_a, abs=0.5)
    assert bay.hardware.locked
    bay.order_again = None
    bay.order(Stop())
    one(bay.run(4.0), OutputStopped)
    open_at_rest(bay)
    assert bay.supervisor.phase is Phase.IDLE
    bay.order(SetLock(False))
    bay.run(1.0)
    assert not bay.hardware.locked


def test_nothing_is_energised_without_a_passed_isolation_test(bay: Bay) -> None:
    bay.plug()
    for order in (Precharge(350.0), Deliver(10.0, 420.0, 300.0)):
        assert one(bay.order(order), OrderRefused).reason == "not in phase idle"
    bay.hardware.isolation_ohm = 20_000.0
    events = bay.start(10.0)
    assert not one(events, CableChecked).passed
    assert bay.hardware.stage.current_a == 0.0
    assert FaultName.GROUND in [event.name for event in events if isinstance(event, FaultRaised)]
    assert bay.supervisor.phase is Phase.FAULTED
    assert bay.hardware.pilot_signal == "F"


def test_a_vehicle_with_closed_contactors_gets_no_test_voltage(bay: Bay) -> None:
    bay.plug()
    bay.hardware.stage.connect(bay.battery)
    bay.hardware.open_vehicle = lambda now: None  # type: ignore[method-assign]
    bay.order(CheckCable(500.0))
    bay.run(6.0)
    assert one(bay.events, FaultRaised).name is FaultName.CONNECTOR_VOLTAGE
    assert bay.battery.energy_in_wh == 0.0


def test_the_test_is_void_after_the_output_or_the_plug(bay: Bay) -> None:
    bay.plug()
    bay.start(10.0)
    bay.order_again = None
    bay.order(Stop())
    bay.run(4.0)
    one(bay.order(Precharge(350.0)), OrderRefused)


def test_a_set_point_beyond_the_capability_is_reduced(bay: Bay) -> None:
    bay.plug()
    bay.start(400.0)
    capability = bay.board.power.capability
    assert capability is not None
    assert 20.0 < bay.hardware.stage.current_a <= capability.charge.max_current_a
    bay.deliver(-400.0)
    bay.run(5.0)
    assert capability.discharge is not None
    assert -capability.discharge.max_current_a <= bay.hardware.stage.current_a < -20.0


def test_an_order_that_is_not_repeated_ends_at_0_a(bay: Bay) -> None:
    bay.plug()
    bay.start(10.0)
    bay.order_again = None
    one(bay.run(8.0), OrderExpired)
    assert bay.hardware.stage.current_a == 0.0
    assert bay.hardware.closed
    bay.deliver(-8.0)
    bay.run(3.0)
    assert bay.hardware.stage.current_a == pytest.approx(-8.0, abs=0.5)


def test_a_process_that_hangs_is_outlived_by_neither_driver_nor_module(bay: Bay) -> None:
    bay.plug()
    bay.start(10.0)
    bay.frozen = True
    bay.run(5.0)
    assert bay.hardware.stage.current_a == 0.0  # the driver sends OFF: HOLD_S
    other = Bay()
    other.plug()
    other.start(10.0)
    other.board.running = False  # the driver hangs too
    other.frozen = True
    other.run(9.0)
    assert other.hardware.stage.current_a > 5.0
    other.run(4.0)
    assert other.hardware.stage.current_a == 0.0  # the module's own time-out


def test_a_silent_module_opens_the_contactors_after_its_own_time_out(bay: Bay) -> None:
    bay.plug()
    bay.start(10.0)
    bay.board.silent.add(Part.POWER)
    bay.board.silent.add(Part.METER)
    bay.run(6.0)
    assert FaultName.COMMUNICATION in [event.name for event in bay.events if isinstance(event, FaultRaised)]
    assert bay.hardware.closed
    bay.run(12.0)
    open_at_rest(bay)
    bay.order_again = None
    bay.board.silent.clear()
    one(bay.run(3.0), Recovered)
    bay.events.clear()
    bay.start(-10.0)
    assert bay.hardware.stage.current_a == pytest.approx(-10.0, abs=0.5)


def test_a_current_that_does_not_end_is_ended_by_the_vehicle(bay: Bay) -> None:
    bay.plug()
    bay.start(10.0)
    bay.hardware.stage.follows_setpoint = False
    bay.order_again = None
    bay.order(Stop())
    bay.run(15.0)
    assert bay.hardware.pilot_signal in ("F", 5.0)
    open_at_rest(bay)
    assert any(isinstance(event, FaultRaised) and event.name is FaultName.OVER_CURRENT_DC for event in bay.events)


def test_a_module_that_restarts_ends_the_output_and_recovers(bay: Bay) -> None:
    bay.plug()
    bay.start(10.0)
    bay.hardware.output.restart(bay.clock.at)
    bay.board.restarted.add(Part.POWER)
    bay.order_again = None
    events = bay.run(6.0)
    assert one(events, FaultRaised).name is FaultName.HARDWARE
    one(events, Recovered)
    open_at_rest(bay)
    bay.events.clear()
    bay.start(10.0)
    assert bay.hardware.stage.current_a == pytest.approx(10.0, abs=0.5)


def test_a_bouncing_pilot_is_a_fault_until_it_is_steady(bay: Bay) -> None:
    bay.plug()
    bay.start(10.0)
    for n in range(14):
        bay.hardware.pilot_state = "BC"[n % 2]
        bay.run(0.1)
    assert [event.name for event in bay.events if isinstance(event, FaultRaised)] == [FaultName.PILOT]
    bay.order_again = None
    bay.run(4.0)
    open_at_rest(bay)
    assert bay.supervisor.phase is Phase.IDLE


def test_a_welded_contactor_is_latched(bay: Bay) -> None:
    bay.plug()
    bay.start(10.0)
    bay.hardware.stage.contactors = Contactors.WELDED
    bay.order_again = None
    bay.order(Stop())
    bay.run(8.0)
    assert (Part.CONTACTORS, FaultName.CONTACTOR) in bay.supervisor.faults.latched
    assert bay.hardware.pilot_signal == "F"
    bay.hardware.stage.contactors = Contactors.OPEN  # replaced
    bay.run(3.0)
    assert bay.supervisor.phase is Phase.FAULTED
    one(bay.order(Reset()), Recovered)


def test_a_fault_of_the_grid_pauses_charging_and_does_not_stop_grid_forming(bay: Bay) -> None:
    bay.plug()
    bay.start(10.0)
    bay.board.raise_fault(Part.POWER, FaultName.UNDER_VOLTAGE_AC)
    bay.run(4.0)
    assert bay.hardware.stage.current_a == 0.0
    assert bay.hardware.closed
    bay.deliver(-20.0, forming=True)
    bay.run(1.0)
    bay.hardware.stage.form(-3000.0, bay.clock.at)
    bay.run(1.0)
    assert bay.hardware.stage.current_a < -5.0


def test_an_ac_board_closes_for_delivery_and_opens_without_load() -> None:
    bay = Bay()
    board = bay.board
    bay.supervisor = Supervisor(
        WholeBoard(board.pilot, board.contactors, None, None, board.meter, board.lock, board), 0
    )
    bay.hardware.plug(None)
    bay.hardware.pilot_state = "C"
    bay.run(0.5)
    assert one(bay.order(CheckCable(500.0)), OrderRefused).reason == "an AC board has no cable check and no precharge"
    bay.deliver(0.0)
    bay.run(2.0)
    assert bay.hardware.closed
    assert bay.hardware.locked
    bay.order_again = None
    bay.hardware.stage.meter.power_w = 7000.0  # the vehicle does not end its current
    bay.hardware.stage.meter.stuck = True
    bay.order(SetPilot(DutyCycle(50.0)))
    bay.order(Stop())
    bay.run(0.2)
    assert bay.hardware.pilot_signal == "X1"
    bay.run(5.0)
    assert bay.hardware.pilot_signal == "X1"  # a vehicle has 3 s to end its current
    bay.run(2.0)
    assert bay.hardware.closed
    assert bay.hardware.pilot_signal == "F"
    bay.hardware.stage.meter.stuck, bay.hardware.stage.meter.power_w = False, 0.0
    bay.run(2.0)
    assert not bay.hardware.closed


def test_an_ac_output_ends_with_its_order() -> None:
    bay = Bay()
    board = bay.board
    bay.supervisor = Supervisor(
        WholeBoard(board.pilot, board.contactors, None, None, board.meter, board.lock, board), 0
    )
    bay.hardware.plug(None)
    bay.hardware.pilot_state = "C"
    bay.run(0.5)
    bay.deliver(0.0)
    bay.run(2.0)
    bay.order_again = None
    bay.run(8.0)
    assert not bay.hardware.closed
    assert bay.supervisor.phase is Phase.IDLE


def test_a_latched_fault_shows_f_after_the_current_has_ended(bay: Bay) -> None:
    """F lets the vehicle open its contactors at once, which is under load before that."""
    bay.plug()
    bay.start(20.0)
    shown: list[tuple[object, float]] = []
    bay.after_step = lambda: shown.append((bay.hardware.pilot_signal, abs(bay.hardware.stage.current_a)))
    bay.order_again = None
    bay.board.raise_fault(Part.CONTACTORS, FaultName.TILT)
    bay.run(4.0)
    assert shown[-1][0] == "F"
    assert max(amps for signal, amps in shown if signal == "F") < OPEN_BELOW_A
    open_at_rest(bay)
