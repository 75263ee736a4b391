"""Rules of the supervisor for the lines of a CHAdeMO plug, under random orders, faults and times."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from emulators.battery.pack import Pack
from emulators.boards.chademo import ChademoBoard
from emulators.boards.emulated import EmulatedSettings
from gateway.drivers.board.faults import FaultName, Part
from gateway.drivers.board.orders import (
    CableChecked,
    CheckCable,
    Deliver,
    Event,
    Order,
    OutputStopped,
    Precharge,
    SetLines,
    SetLock,
    Stop,
    SwitchOff,
)
from gateway.drivers.board.phases import Phase as OutputPhase
from gateway.drivers.board.ports import BoardEvent
from gateway.drivers.board.supervisor import Supervisor
from tests.gateway.drivers.board.bay import STEP_S, SetClock
from tests.rounds import rounds


class LineBay:
    """A CHAdeMO board with its supervisor, and a vehicle that closes with d2 onto a cable without voltage."""

    def __init__(self) -> None:
        self.clock = SetClock()
        self.board = ChademoBoard(EmulatedSettings(), self.clock)
        self.plug = self.board.plug
        self.board.start()
        self.supervisor = Supervisor(self.board, 0.0)
        self.events: list[Event] = []
        self.after_step: Callable[[], None] = lambda: None
        self._queued: list[BoardEvent] = []

    def insert(self) -> None:
        """Plug in a vehicle whose k is closed."""
        self.plug.plug(Pack(soc_start_pct=50.0))
        self.plug.k = True
        self.run(0.2)

    def order(self, order: Order) -> None:
        """Give an order."""
        self.events += self.supervisor.command(order, self.clock.at)

    def run(self, seconds: float) -> None:
        """Simulate."""
        until = self.clock.at + seconds
        while self.clock.at < until - 1e-9:
            self.clock.at = round(self.clock.at + STEP_S, 6)
            now = self.clock.at
            self._queued += self.board.advance(now)
            if self.plug.d2:
                self.plug.close_vehicle(now)
            queued, self._queued = self._queued, []
            for event in queued:
                self.events += self.supervisor.receive(event, now)
            if now >= self.supervisor.deadline():
                self.events += self.supervisor.expire(now)
            self.after_step()

    def start(self, current_a: float) -> None:
        """Run a session until the current flows."""
        self.order(SetLines(True, False))
        self.order(CheckCable(500.0))
        self.run(6.0)
        self.order(SetLines(True, True))
        self.run(1.0)
        self.order(Precharge(self.plug.inlet_v, current_a=0.0))
        self.order(Deliver(current_a, max_voltage_v=420.0, min_voltage_v=260.0))
        self.run(4.0)

    def of(self, kind: type[Event]) -> list[Event]:
        """Return the events of a kind."""
        return [event for event in self.events if isinstance(event, kind)]


def test_a_session_with_a_welding_check() -> None:
    bay = LineBay()
    bay.insert()
    bay.start(-10.0)
    assert bay.plug.stage.current_a == pytest.approx(-10, abs=0.5)
    bay.order(SwitchOff())
    bay.plug.k = False
    bay.run(5.0)
    assert bay.supervisor.phase is OutputPhase.DELIVERY, "the contactors of the EVSE stay closed"
    assert bay.plug.closed
    assert bay.plug.stage.current_a == 0
    assert bay.plug.inlet_v > 300, "the vehicle has not opened its contactors"
    bay.order(SetLines(True, False))
    bay.run(1.0)
    assert bay.plug.inlet_v == 0, "it has, without d2"
    bay.order(Stop())
    bay.run(1.0)
    assert bay.of(OutputStopped)
    assert not bay.plug.closed


def test_d2_needs_a_passed_test_and_stays_under_load() -> None:
    bay = LineBay()
    bay.insert()
    bay.order(SetLines(True, True))
    bay.run(1.0)
    assert (bay.plug.d1, bay.plug.d2) == (True, False), "no test has passed"
    bay.start(-10.0)
    bay.order(SetLines(False, False))
    bay.run(0.5)
    assert bay.plug.stage.current_a < -5, "the current is not interrupted"
    assert (bay.plug.d1, bay.plug.d2) == (True, True)
    bay.order(SwitchOff())
    bay.run(4.0)
    assert (bay.plug.d1, bay.plug.d2) == (False, False)


def test_a_current_that_does_not_end_takes_the_lines() -> None:
    bay = LineBay()
    bay.insert()
    bay.start(-10.0)
    bay.plug.stage.follows_setpoint = False
    shown: list[tuple[bool, bool]] = []
    bay.after_step = lambda: shown.append((bay.plug.d1, bay.plug.d2))
    bay.order(Stop())
    bay.run(12.0)
    assert (False, False) in shown, "the last means: the vehicle opens"
    assert not bay.plug.vehicle_closed
    assert all(abs(one) < 1 for one in bay.plug.opened_at_a)


ORDERS = st.one_of(
    st.builds(SetLines, st.booleans(), st.booleans()),
    st.just(CheckCable(500.0)),
    st.builds(Precharge, st.floats(0, 500), st.just(0.0)),
    st.builds(Deliver, st.floats(-40, 40), st.just(420.0), st.just(260.0), st.booleans()),
    st.just(SwitchOff()),
    st.just(Stop()),
    st.builds(SetLock, st.booleans()),
)
HAPPENINGS = st.sampled_from(["unplug", "insert", "k", "fault", "clear", "start", "silent", "restored"])


@settings(
    max_examples=rounds(30, 600),
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
)
@given(steps=st.lists(st.tuples(st.one_of(ORDERS, HAPPENINGS), st.sampled_from([0.05, 0.5, 2.0, 6.0])), max_size=15))
def test_lines_switch_on_after_the_test_and_off_without_load(steps: list[tuple[Order | str, float]]) -> None:
    bay = LineBay()
    before = (False, False)

    def check() -> None:
        nonlocal before
        plug, lines = bay.plug, (bay.plug.d1, bay.plug.d2)
        if lines[1] and not before[1]:
            assert bay.supervisor.isolation_passed or bay.of(CableChecked), "d2 without a passed test"
            assert lines[0], "d2 without d1"
        if before[1] and not lines[1] and not bay.supervisor._overdue:
            assert abs(plug.stage.current_a) < 1.0, "d2 opened under load"
        assert all(abs(one) < 1.0 for one in plug.opened_at_a)
        before = lines

    bay.after_step = check
    bay.insert()
    for what, seconds in steps:
        if isinstance(what, str):
            happen(bay, what)
        else:
            bay.order(what)
        bay.run(seconds)


def happen(bay: LineBay, what: str) -> None:
    """Let something happen to plug or hardware."""
    match what:
        case "unplug":
            bay.plug.unplug(bay.clock.at)
        case "insert" if not bay.plug.plugged_in:
            bay.insert()
        case "k":
            bay.plug.k = not bay.plug.k
        case "fault":
            bay.board.raise_fault(Part.POWER, FaultName.HARDWARE)
        case "clear":
            bay.board.clear_fault(Part.POWER, FaultName.HARDWARE)
        case "start" if bay.plug.plugged_in:
            bay.start(-15.0)
        case "silent":
            bay.board.silent.add(Part.POWER)
        case "restored":
            bay.board.silent.clear()
