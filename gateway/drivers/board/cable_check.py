"""Cable check of a DC output (IEC 61851-23): lock, close, test voltage, self-test of the monitor, resistance. Pure.

The vehicle's contactors are open during it, so that no current flows. The steps have bounded times; the first that is
exceeded fails the check with the fault of its part.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from math import inf

from gateway.drivers.board.faults import FaultName, Part
from gateway.drivers.board.ports import OFF, Capability, Setpoint, StageMode

TEST_CURRENT_A = 1.0  # limit of the output during the test; the load is the capacitance of the cable
VOLTAGE_TOLERANCE_PCT = 5.0
SAFE_V = 60.0  # limit of touchable voltages
MIN_OHM_PER_V = 100.0  # of the largest output voltage, IEC 61851-23


class Step(StrEnum):
    """Step of the cable check."""

    LOCK = "lock"
    CLOSE = "close"
    DEAD = "no voltage"  # a vehicle whose contactors are closed would be charged by the test voltage
    RAISE = "raise the voltage"
    TEST = "self-test"
    MEASURE = "measure"


WITHIN_S = {Step.LOCK: 3.0, Step.CLOSE: 2.0, Step.DEAD: 3.0, Step.RAISE: 10.0, Step.TEST: 10.0, Step.MEASURE: 3.0}
ORDER = tuple(Step)
TIME_OUT_FAULT = {
    Step.LOCK: (Part.LOCK, FaultName.LOCK_FAILED_LOCK),
    Step.CLOSE: (Part.CONTACTORS, FaultName.CONTACTOR),
    Step.DEAD: (Part.CONTACTORS, FaultName.CONNECTOR_VOLTAGE),
    Step.RAISE: (Part.POWER, FaultName.UNDER_VOLTAGE_DC),
    Step.TEST: (Part.ISOLATION, FaultName.COMMUNICATION),
    Step.MEASURE: (Part.ISOLATION, FaultName.COMMUNICATION),
}


def required_ohm(capability: Capability | None) -> float:
    """Return the lowest isolation resistance of an output; without a capability none is high enough."""
    return inf if capability is None else MIN_OHM_PER_V * capability.charge.max_voltage_v


@dataclass(slots=True)
class Inputs:
    """State of the hardware for a step."""

    locked: bool
    closed: bool
    voltage_v: float | None  # measured in this step


@dataclass(slots=True)
class CableCheck:
    """One cable check. `failed`: the fault that ended it; `passed`: it ended well."""

    voltage_v: float
    required_ohm: float
    since: float  # start of the step
    step: Step = Step.LOCK
    tested: bool | None = None
    resistance_ohm: float | None = None
    passed: bool = False
    failed: tuple[Part, FaultName, str] | None = None

    @property
    def close_required(self) -> bool:
        """True from the step that closes the contactors."""
        return self.step is not Step.LOCK

    @property
    def setpoint(self) -> Setpoint:
        """Set-point of the stage in this step."""
        if self.step in (Step.LOCK, Step.CLOSE, Step.DEAD):
            return OFF
        return Setpoint(StageMode.CHARGE, self.voltage_v, TEST_CURRENT_A)

    @property
    def deadline(self) -> float:
        """Time at which the step has failed."""
        return self.since + WITHIN_S[self.step]

    def advance(self, inputs: Inputs, now: float) -> None:
        """Take the steps whose condition holds; fail the check where one took too long."""
        while not self.passed and self.failed is None and self._complete(inputs):
            if self.step is Step.MEASURE:
                self._judge()
                return
            self.step, self.since = ORDER[ORDER.index(self.step) + 1], now
        if not self.passed and self.failed is None and now >= self.deadline:
            self.failed = (*TIME_OUT_FAULT[self.step], f"cable check: no success of '{self.step}' in time")

    def _complete(self, inputs: Inputs) -> bool:
        if self.step is Step.TEST and self.tested is False:
            self.failed = (Part.ISOLATION, FaultName.DEVICE, "the self-test of the isolation monitor failed")
            return False
        return {
            Step.LOCK: inputs.locked,
            Step.CLOSE: inputs.closed,
            Step.DEAD: inputs.voltage_v is not None and inputs.voltage_v < SAFE_V,
            Step.RAISE: abs((inputs.voltage_v or 0.0) - self.voltage_v) <= self.voltage_v * VOLTAGE_TOLERANCE_PCT / 100,
            Step.TEST: self.tested is True,
            Step.MEASURE: self.resistance_ohm is not None,
        }[self.step]

    def _judge(self) -> None:
        assert self.resistance_ohm is not None
        if self.resistance_ohm >= self.required_ohm:
            self.passed = True
        else:
            text = f"isolation {self.resistance_ohm:.0f} Ω, required {self.required_ohm:.0f} Ω"
            self.failed = (Part.ISOLATION, FaultName.GROUND, text)
