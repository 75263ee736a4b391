"""Rules of the supervisor under random orders, random faults and random times."""

from __future__ import annotations

from typing import ClassVar

from hypothesis import HealthCheck, settings
from hypothesis import Phase as Stage
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from emulators.charger.hardware.power_stage import Contactors
from gateway.drivers.board.faults import FaultName, Part, rule_of
from gateway.drivers.board.orders import CheckCable, Deliver, Precharge, Reset, SetLock, SetPilot, Stop, SwitchOff
from gateway.drivers.board.phases import Phase
from gateway.drivers.board.ports import OFF, DutyCycle, PilotLevel, Setpoint, StageMode
from gateway.drivers.board.setpoint_limits import within
from gateway.drivers.board.supervision import OPEN_BELOW_A
from tests.gateway.drivers.board.bay import Bay
from tests.rounds import rounds

CURRENTS = st.floats(-100.0, 100.0)
VOLTAGES = st.floats(0.0, 900.0)
SILENCE_S = 10.0


class Rules(RuleBasedStateMachine):
    """One EVSE; `check` holds after each step of 0.05 s."""

    parts: ClassVar = st.sampled_from(sorted(Part))

    def __init__(self) -> None:
        super().__init__()
        self.bay = Bay()
        self.bay.after_step = self.check
        self.set = self.bay.board.power.set
        self.bay.board.power.set = self.guarded_set  # type: ignore[method-assign]
        self.seen_openings = 0

    # what may never happen

    def guarded_set(self, setpoint: Setpoint) -> None:
        """Set-points are within the capability, and OFF without confirmed contactors or a test."""
        power = self.bay.board.power
        if setpoint != OFF:
            assert within(setpoint, power.capability, self.bay.hardware.stage.voltage_v) == setpoint
            assert self.bay.board.contactors.closed is True
            assert self.bay.tested or self.bay.supervisor.phase is Phase.CABLE_CHECK
            assert setpoint.current_a <= 1.0 or self.bay.tested
        self.set(setpoint)

    def check(self) -> None:
        """No opening under load, no current without a test, no energised unlocked plug."""
        hardware, supervisor = self.bay.hardware, self.bay.supervisor
        for amps in hardware.opened_at_a[self.seen_openings :]:
            assert abs(amps) < OPEN_BELOW_A, f"opened with {amps} A"
        self.seen_openings = len(hardware.opened_at_a)
        if abs(hardware.stage.current_a) > 1.1 and supervisor.phase is not Phase.STOPPING:
            assert self.bay.tested
        output = hardware.output
        if output.ordered not in (StageMode.OFF, "off"):
            assert self.bay.clock.at - output.fed_at <= SILENCE_S + 0.1

    @rule(seconds=st.sampled_from([0.05, 0.3, 1.0, 3.0, 12.0]))
    def wait(self, seconds: float) -> None:
        self.bay.run(seconds)

    @rule()
    def plug(self) -> None:
        if self.bay.hardware.pilot_state == "A":
            self.bay.plug()

    @rule(current_a=CURRENTS)
    def charge(self, current_a: float) -> None:
        """The way of an engine, whatever its state."""
        self.plug()
        self.bay.order(SetPilot(DutyCycle(5.0)))
        self.bay.start(current_a)

    @rule(state=st.sampled_from("ABCDEF"))
    def pilot(self, state: str) -> None:
        if state == "A":
            self.bay.hardware.unplug(self.bay.clock.at)
        else:
            self.bay.hardware.pilot_state = state
        self.bay.run(0.05)

    @rule(
        order=st.one_of(
            st.builds(CheckCable, VOLTAGES),
            st.builds(Precharge, VOLTAGES, CURRENTS),
            st.builds(Deliver, CURRENTS, VOLTAGES, VOLTAGES, st.booleans()),
            st.just(Stop()),
            st.just(SwitchOff()),
            st.builds(SetLock, st.booleans()),
            st.just(Reset()),
            st.builds(SetPilot, st.sampled_from([*PilotLevel, DutyCycle(5.0), DutyCycle(50.0)])),
        ),
        repeated=st.booleans(),
    )
    def order(self, order: Deliver, repeated: bool) -> None:
        self.bay.order(order)
        self.bay.order_again = order if repeated else None

    @rule(part=parts)
    def cut(self, part: Part) -> None:
        self.bay.board.silent.add(part)

    @rule()
    def restore(self) -> None:
        self.bay.board.silent.clear()

    @rule(part=parts, name=st.sampled_from(sorted(FaultName)))
    def fault(self, part: Part, name: FaultName) -> None:
        self.bay.board.raise_fault(part, name)

    @rule(part=parts, name=st.sampled_from(sorted(FaultName)))
    def clear(self, part: Part, name: FaultName) -> None:
        self.bay.board.clear_fault(part, name)

    @rule()
    def restart_module(self) -> None:
        self.bay.hardware.output.restart(self.bay.clock.at)
        self.bay.board.restarted.add(Part.POWER)

    @rule(obeys=st.booleans())
    def module_ignores_set_points(self, obeys: bool) -> None:
        self.bay.hardware.stage.follows_setpoint = obeys

    @rule(stuck=st.booleans())
    def contactors_stuck(self, stuck: bool) -> None:
        self.bay.hardware.contactors_stuck = stuck

    @rule()
    def weld(self) -> None:
        if self.bay.hardware.closed:
            self.bay.hardware.stage.contactors = Contactors.WELDED

    @rule(ohm=st.sampled_from([100.0, 49_000.0, 1e6]))
    def isolation(self, ohm: float) -> None:
        self.bay.hardware.isolation_ohm = ohm

    @rule(defective=st.booleans())
    def monitor(self, defective: bool) -> None:
        self.bay.hardware.monitor_defective = defective

    @rule(stuck=st.booleans())
    def lock(self, stuck: bool) -> None:
        self.bay.hardware.lock_stuck = stuck

    @rule()
    def hang_and_return(self) -> None:
        self.bay.frozen = True
        self.bay.run(14.0)
        assert self.bay.hardware.output.ordered == "off"
        self.bay.frozen = False

    @invariant()
    def faults_have_rules(self) -> None:
        for part, name in self.bay.supervisor.faults.active:
            assert rule_of(name, part)

    def teardown(self) -> None:
        """Repaired hardware charges again without a restart of the process."""
        bay = self.bay
        bay.order_again, bay.frozen = None, False
        bay.board.silent.clear()
        hardware = bay.hardware
        hardware.contactors_stuck = hardware.lock_stuck = hardware.monitor_defective = False
        hardware.stage.follows_setpoint, hardware.isolation_ohm = True, 1e6
        for part in Part:
            for name in FaultName:
                bay.board.clear_fault(part, name)
        bay.order(Stop())
        hardware.unplug(bay.clock.at)
        bay.run(15.0)
        if hardware.stage.contactors is Contactors.WELDED:
            hardware.stage.contactors = Contactors.OPEN
            bay.run(2.0)
        bay.order(Reset())
        bay.run(3.0)
        assert bay.supervisor.phase is Phase.IDLE, bay.supervisor.faults
        bay.plug()
        bay.start(-10.0)
        assert -10.6 < hardware.stage.current_a < -9.4, bay.events[-12:]


TestRules = Rules.TestCase
TestRules.settings = settings(
    max_examples=rounds(20, 400),
    stateful_step_count=20,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=(Stage.explicit, Stage.reuse, Stage.generate),  # shrinking simulates for minutes
)
