"""Ports of the emulated board: they store the last command and transmit it to the hardware while the link holds."""

from __future__ import annotations

import asyncio
from math import inf

from emulators.charger.hardware.board_hardware import BoardHardware
from emulators.charger.hardware.chademo_hardware import ChademoHardware
from emulators.charger.hardware.dc_output import OutputMode
from gateway.drivers.board.faults import Part
from gateway.drivers.board.ports import (
    HOLD_S,
    OFF,
    Capability,
    DutyCycle,
    MeterReading,
    Output,
    PilotLevel,
    PilotSignal,
    PilotState,
    PowerReason,
    Range,
    Setpoint,
    StageMode,
)
from protocols.ports import Clock


class EmulatedLink:
    """Link between the driver and its hardware. A `silent` part takes no commands and gives no measurements."""

    def __init__(self, hardware: BoardHardware, clock: Clock) -> None:
        self.hardware, self.clock = hardware, clock
        self.silent: set[Part] = set()
        self.running = False
        self._wake = asyncio.Event()

    def connected(self, part: Part) -> bool:
        """Return True if commands reach a part."""
        return self.running and part not in self.silent

    def wake(self) -> None:
        """Simulate and report at once, after a change from outside."""
        self._wake.set()


class EmulatedPilot:
    """Port of the pilot."""

    def __init__(self, board: EmulatedLink) -> None:
        self._board = board
        self.signal: PilotSignal = PilotLevel.F

    @property
    def state(self) -> PilotState | None:
        return PilotState(self._board.hardware.pilot_state)

    def set(self, signal: PilotSignal) -> None:
        """Output a signal."""
        if signal != self.signal:
            self.signal = signal
            self.transmit()
            self._board.wake()

    def transmit(self) -> None:
        """Send the signal."""
        if self._board.connected(Part.PILOT):
            signal = self.signal
            self._board.hardware.pilot_signal = signal.percent if isinstance(signal, DutyCycle) else str(signal)


class EmulatedLines:
    """Port of the lines of a CHAdeMO plug."""

    def __init__(self, board: EmulatedLink, hardware: ChademoHardware) -> None:
        self._board, self._hardware = board, hardware
        self._switches = (False, False)

    @property
    def plugged(self) -> bool | None:
        return None if Part.LINES in self._board.silent else self._hardware.plugged_in

    @property
    def k(self) -> bool | None:
        return None if Part.LINES in self._board.silent else self._hardware.k

    def set(self, d1: bool, d2: bool) -> None:
        """Close or open the switches."""
        if (d1, d2) != self._switches:
            self._switches = d1, d2
            self.transmit()
            self._board.wake()

    def transmit(self) -> None:
        """Send the command."""
        if self._board.connected(Part.LINES):
            self._hardware.d1, self._hardware.d2 = self._switches


class EmulatedContactors:
    """Port of the contactors."""

    def __init__(self, board: EmulatedLink) -> None:
        self._board = board
        self._closed = False

    @property
    def closed(self) -> bool | None:
        return None if Part.CONTACTORS in self._board.silent else self._board.hardware.closed

    def allow(self, closed: bool, reason: PowerReason) -> None:
        """Command the contactors."""
        self._closed = closed
        self.transmit(self._board.clock.now())
        self._board.wake()

    def transmit(self, now: float) -> None:
        """Send the command."""
        if self._board.connected(Part.CONTACTORS):
            self._board.hardware.order_contactors(self._closed, now)


class EmulatedStage:
    """Port of the power stage."""

    def __init__(self, board: EmulatedLink) -> None:
        self._board = board
        self._setpoint, self._set_at, self._sent_at = OFF, -inf, -inf
        self._last: Output | None = None

    @property
    def silence_s(self) -> float | None:
        return self._board.hardware.output.silence_s

    @property
    def capability(self) -> Capability | None:
        spec = self._board.hardware.stage.spec
        charge = Range(spec.min_voltage_v, spec.max_voltage_v, spec.max_current_a, spec.max_charge_w)
        discharge = Range(spec.min_voltage_v, spec.max_voltage_v, spec.max_current_a, spec.max_discharge_w)
        settle = (spec.max_charge_w + spec.max_discharge_w) / spec.ramp_w_per_s + 0.5
        return Capability(charge, discharge if spec.max_discharge_w else None, spec.forming, settle_s=settle)

    @property
    def output(self) -> Output | None:
        board = self._board
        if board.connected(Part.POWER):
            now, out = board.clock.now(), board.hardware.output
            board.hardware.advance(now)
            self._last = Output(now, StageMode(out.mode), out.voltage_v, out.current_a)
        return self._last

    def set(self, setpoint: Setpoint) -> None:
        """Set the output."""
        outwards = setpoint.mode in (StageMode.DISCHARGE, StageMode.FORM)
        if setpoint.mode is StageMode.FAULT or (setpoint.current_a > 0 if outwards else setpoint.current_a < 0):
            raise ValueError(f"{setpoint.current_a} A contradicts the mode {setpoint.mode}")
        changed = setpoint != self._setpoint
        self._setpoint, self._set_at = setpoint, self._board.clock.now()
        if changed:
            self.transmit(self._set_at, force=True)
            self._board.wake()

    def reset(self) -> None:
        """Clear the tripped protections."""
        now = self._board.clock.now()
        for fault in list(self._board.hardware.stage.faults):
            self._board.hardware.stage.reset(fault, now)

    def transmit(self, now: float, *, force: bool = False) -> None:
        """Send the set-point: changed, or repeated, or OFF if the supervisor does not repeat it."""
        if now - self._set_at > HOLD_S and self._setpoint != OFF:
            self._setpoint, force = OFF, True
        period = min(1.0, (self.silence_s or inf) / 2)
        if self._board.connected(Part.POWER) and (force or now - self._sent_at >= period):
            self._sent_at = now
            one = self._setpoint
            self._board.hardware.output.set(OutputMode(one.mode), one.voltage_v, one.current_a, now)


class EmulatedIsolation:
    """Port of the isolation monitor."""

    def __init__(self, board: EmulatedLink) -> None:
        self._board = board
        self._measuring = False

    @property
    def resistance_ohm(self) -> float | None:
        hardware = self._board.hardware
        return hardware.isolation_ohm if hardware.measuring else None

    def self_test(self, voltage_v: float) -> None:
        """Start the self-test."""
        if self._board.connected(Part.ISOLATION):
            self._board.hardware.start_self_test(self._board.clock.now())
            self._board.wake()

    def start(self) -> None:
        """Start measuring."""
        self._measuring = True
        self._board.wake()

    def stop(self) -> None:
        """Stop measuring."""
        self._measuring = False

    def transmit(self) -> None:
        """Send the command."""
        if self._board.connected(Part.ISOLATION):
            self._board.hardware.measuring = self._measuring


class EmulatedMeter:
    """Port of the meter, at the AC side."""

    def __init__(self, board: EmulatedLink) -> None:
        self._board = board
        self._last: MeterReading | None = None

    @property
    def reading(self) -> MeterReading | None:
        board = self._board
        if board.connected(Part.METER):
            now, meter = board.clock.now(), board.hardware.stage.meter
            board.hardware.advance(now)
            self._last = MeterReading(now, meter.charged_wh, meter.discharged_wh, meter.power_w)
        return self._last


class EmulatedLock:
    """Port of the lock."""

    def __init__(self, board: EmulatedLink) -> None:
        self._board = board
        self._locked = False

    @property
    def locked(self) -> bool | None:
        return self._board.hardware.locked

    def set(self, locked: bool) -> None:
        """Lock or unlock."""
        self._locked = locked
        self._board.wake()

    def transmit(self, now: float) -> None:
        """Send the command."""
        if self._board.connected(Part.LOCK):
            self._board.hardware.order_lock(self._locked, now)
