"""Faults that the supervisor detects itself: silence, deviation from the set-point, current that does not end. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.drivers.board.faults import FaultName
from gateway.drivers.board.ports import HOLD_S, OFF, Capability, MeterReading, Output, PowerStage, Setpoint, StageMode

STAGE_SILENT_S = 2.0  # without a measurement of the power stage
METER_RECENT_S = 3.0  # age of a reading that proves an absent current
METER_SILENT_S = 10.0  # without a reading of the meter
DEVIATION_S = 0.5  # of a current outside of the set-point, after the time to settle
OPEN_BELOW_A = 1.0  # largest current at which contactors open
OPEN_BELOW_W = 200.0  # the same at an AC meter: the standby power of a converter is no load
DEFAULT_SETTLE_S = 1.0
ZERO_WITHIN_S = 1.0  # besides the time to settle: until the current is 0 A after a stop; then the pilot goes to F
AC_ZERO_WITHIN_S = 6.0  # the same for AC: a vehicle ends its current within 3 s after X1 (IEC 61851-1)
SILENCE_MARGIN_S = 1.0  # beyond the stage's own silence time-out, until a silent stage counts as off
BLIND_S = 15.0  # the same for a stage without a known time-out; the longest known one is 10 s


def stage_silent(output: Output | None, since: float, now: float) -> bool:
    """Return True if the stage has not measured for too long; `since`: start of its operation."""
    return now - (since if output is None else max(output.at, since)) > STAGE_SILENT_S


def meter_silent(reading: MeterReading | None, since: float, now: float) -> bool:
    """Return True if the meter has not been read for too long."""
    return now - (since if reading is None else max(reading.at, since)) > METER_SILENT_S


def load_of(output: Output | None, reading: MeterReading | None, since: float, now: float) -> bool | None:
    """Return True if current flows, by recent measurements after `since`; None if there are none.

    The stage is the first source and has to be off; the meter is the second, for a stage that is silent.
    """
    if output is not None and output.at > since and now - output.at <= STAGE_SILENT_S:
        return abs(output.current_a) >= OPEN_BELOW_A or output.mode not in (StageMode.OFF, StageMode.FAULT)
    if reading is not None and reading.at > since and now - reading.at <= METER_RECENT_S:
        return meter_load(reading)
    return None


def may_carry_load(stage: PowerStage | None, reading: MeterReading | None, now: float) -> bool:
    """Return True if current flows through closed contactors, or if no recent measurement shows that none does."""
    output = None if stage is None else stage.output
    if output is not None and now - output.at <= STAGE_SILENT_S:
        return abs(output.current_a) >= OPEN_BELOW_A
    return reading is None or now - reading.at > METER_RECENT_S or meter_load(reading)


def meter_load(reading: MeterReading) -> bool:
    """Return True if the meter shows a load."""
    if reading.current_a is not None:
        return abs(reading.current_a) >= OPEN_BELOW_A
    return abs(reading.power_w) >= OPEN_BELOW_W


def blind_s(stage: PowerStage | None) -> float:
    """Return the time after a stop at which a stage without measurements is off by its own silence time-out."""
    silence = None if stage is None else stage.silence_s
    return HOLD_S + SILENCE_MARGIN_S + (BLIND_S if silence is None else silence)


def zero_within_s(stage: PowerStage | None) -> float:
    """Return the time after a stop within which the current has to be 0 A; `stage` None: AC."""
    if stage is None:
        return AC_ZERO_WITHIN_S
    return ZERO_WITHIN_S + (DEFAULT_SETTLE_S if stage.capability is None else stage.capability.settle_s)


@dataclass(slots=True)
class OutputWatch:
    """Compares the measured current with the set-point."""

    setpoint: Setpoint = OFF
    previous: Setpoint = OFF
    changed_at: float = 0.0
    outside_since: float | None = None

    def set(self, setpoint: Setpoint, now: float) -> None:
        """Record a set-point."""
        if setpoint != self.setpoint:
            self.previous, self.setpoint, self.changed_at = self.setpoint, setpoint, now

    def deviation(self, output: Output, capability: Capability | None, now: float) -> tuple[FaultName, str] | None:
        """Return the fault of a current outside of the set-point for longer than it may be."""
        tolerance = OPEN_BELOW_A if capability is None else max(OPEN_BELOW_A, 1.5 * capability.tolerance_a)
        settle = DEFAULT_SETTLE_S if capability is None else capability.settle_s
        allowed = [0.0, self.setpoint.current_a]
        if now - self.changed_at <= settle:
            allowed.append(self.previous.current_a)
        low, high = min(allowed) - tolerance, max(allowed) + tolerance
        if low <= output.current_a <= high:
            self.outside_since = None
            return None
        if self.outside_since is None:
            self.outside_since = now
        if now - self.outside_since < DEVIATION_S:
            return None
        text = f"{output.current_a:.1f} A, set {self.setpoint.current_a:.1f} A"
        opposite = output.current_a * self.setpoint.current_a < 0
        return (FaultName.HARDWARE if opposite else FaultName.OVER_CURRENT_DC), text
