"""Output of a DC module in volts and amperes, over the converter of `power_stage.py`.

Adds the module's own behaviour to the converter: modes, limits of voltage and current, the silence time-out, restarts.
Current is + into the vehicle. Time is an argument.
"""

from __future__ import annotations

from enum import StrEnum

from emulators.charger.hardware.power_stage import Bounds, Contactors, Fault, PowerStage

NO_CURRENT_A = 0.05  # below it the output may switch off
HYSTERESIS_V = 0.5  # around a voltage limit


class OutputMode(StrEnum):
    """Mode of the output."""

    OFF = "off"
    CHARGE = "charge"
    DISCHARGE = "discharge"
    FORM = "form"
    FAULT = "fault"


class DcOutput:
    """Module of one connector. `silence_s`: it switches off without a command for this time; None: never."""

    def __init__(self, stage: PowerStage, now: float, silence_s: float | None = 10.0) -> None:
        self.stage, self.silence_s = stage, silence_s
        self.ordered = OutputMode.OFF
        self.voltage_limit_v = self.current_limit_a = 0.0
        self.fed_at = now
        self.timed_out = False  # switched off by the silence time-out
        self.restarts = 0

    @property
    def current_a(self) -> float:
        """Current at the connector."""
        return self.stage.current_a

    @property
    def voltage_v(self) -> float:
        """Voltage at the connector."""
        return self.stage.voltage_v

    @property
    def mode(self) -> OutputMode:
        """Mode; OFF only without current, FAULT while a protection has tripped."""
        if self.stage.faults:
            return OutputMode.FAULT
        if self.ordered is OutputMode.OFF and abs(self.current_a) > NO_CURRENT_A:
            return OutputMode.CHARGE if self.current_a > 0 else OutputMode.DISCHARGE
        return self.ordered

    def feed(self, now: float) -> None:
        """Restart the silence time-out: a command arrived."""
        self.advance(now)
        self.fed_at = now
        self.timed_out = False

    def set(self, mode: OutputMode, voltage_v: float, current_a: float, now: float) -> None:
        """Set mode and limits; `current_a` + into the vehicle, `voltage_v` the upper (charge) or lower limit."""
        self.feed(now)
        spec = self.stage.spec
        self.voltage_limit_v = min(voltage_v, spec.max_voltage_v)
        self.current_limit_a = max(-spec.max_current_a, min(spec.max_current_a, current_a))
        if mode is not self.ordered:
            self.ordered = mode
            self.stage.form(0.0 if mode is OutputMode.FORM else None, now)
        self._apply(now)

    def restart(self, now: float) -> None:
        """Restart the module: output off at once, set-points lost."""
        self.advance(now)
        self.stage.interrupt(now)
        self.ordered, self.current_limit_a, self.voltage_limit_v = OutputMode.OFF, 0.0, 0.0
        self.stage.set_point(0.0, now)
        self.restarts += 1

    def advance(self, now: float) -> None:
        """Simulate up to now."""
        if self.silence_s is not None and self.ordered is not OutputMode.OFF and now - self.fed_at >= self.silence_s:
            self.stage.advance(self.fed_at + self.silence_s)
            self.ordered, self.timed_out = OutputMode.OFF, True
            self.stage.form(None, now)
        self._apply(now)
        self.stage.advance(now)

    def _apply(self, now: float) -> None:
        stage, spec = self.stage, self.stage.spec
        amps = 0.0 if self.ordered is OutputMode.OFF else self.current_limit_a
        if stage.contactors is Contactors.OPEN or stage.battery is None:
            if self.ordered is OutputMode.CHARGE:
                stage.precharge(self.voltage_limit_v)
            elif self.ordered is OutputMode.OFF:
                stage.precharge(0.0)
            amps = 0.0
        elif (self.ordered is OutputMode.CHARGE and stage.voltage_v > self.voltage_limit_v - HYSTERESIS_V) or (
            self.ordered is OutputMode.DISCHARGE and stage.voltage_v < self.voltage_limit_v + HYSTERESIS_V
        ):
            amps = 0.0
        if self.ordered is not OutputMode.FORM:
            stage.set_point(spec.max_charge_w if amps > 0 else -spec.max_discharge_w if amps < 0 else 0.0, now)
        if amps:  # on the way to 0 A the ramp of the converter limits the current
            stage.limit(Bounds(max_charge_a=max(0.0, amps), max_discharge_a=max(0.0, -amps)), now)

    def trip(self, fault: Fault, now: float) -> None:
        """Trip a protection."""
        self.advance(now)
        self.stage.trip(fault, now)
