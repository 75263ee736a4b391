"""Board driver of emulated hardware: implements the six ports over `charger/hardware/board_hardware.py`.

Measurements are those of the moment at which they are read. Faults of the link are attributes: a silent part takes no
commands and gives no measurements, while its hardware works on.
"""

from __future__ import annotations

import asyncio
from math import inf

from pydantic import Field

from emulators.charger.hardware.board_hardware import BoardHardware
from emulators.charger.hardware.dc_output import OutputMode
from emulators.charger.hardware.power_stage import PowerStage, StageSpec
from gateway.drivers.board.bench import Bench
from gateway.drivers.board.faults import FaultName, Part
from gateway.drivers.board.ports import (
    HOLD_S,
    OFF,
    BoardEvent,
    Capability,
    ContactorsChanged,
    DutyCycle,
    FaultCleared,
    FaultRaised,
    IsolationMeasured,
    IsolationTested,
    LockChanged,
    MeterReading,
    Output,
    PartRestarted,
    PilotChanged,
    PilotLevel,
    PilotSignal,
    PilotState,
    PowerReason,
    Range,
    Report,
    Setpoint,
    StageMode,
)
from gateway.drivers.board.registry import BoardSettings, Driver
from protocols.ports import Clock

MEASURE_S = 1.0  # period of the isolation monitor
SILENT_S = 1.0  # after which the driver reports a silent part
ZERO_WITHIN_S = 2.0
LATEST_S = 0.5  # longest time between two simulation steps


class EmulatedSettings(BoardSettings):
    """Settings of the emulated board."""

    max_charge_w: float = Field(default=10_000.0, gt=0, description="at the AC side")
    max_discharge_w: float = Field(default=10_000.0, ge=0, description="at the AC side; 0: charging only")
    max_current_a: float = Field(default=30.0, gt=0, description="at the connector")
    min_voltage_v: float = Field(default=150.0, ge=0, description="of the output")
    max_voltage_v: float = Field(default=500.0, gt=0, description="of the output")
    silence_s: float | None = Field(default=10.0, gt=0, description="silence time-out of the module")
    forming: bool = Field(default=False, description="capable of grid-forming")
    isolation_ohm: float = Field(default=1_000_000.0, ge=0, description="isolation resistance")
    lock: bool = Field(default=True, description="socket with a lock")


class EmulatedBoard:
    """Driver and hardware of one EVSE. `hardware` is public: the vehicle and tests act on it."""

    def __init__(self, settings: EmulatedSettings, clock: Clock) -> None:
        self.settings, self.clock = settings, clock
        spec = StageSpec(
            max_charge_w=settings.max_charge_w,
            max_discharge_w=settings.max_discharge_w,
            max_current_a=settings.max_current_a,
            min_voltage_v=settings.min_voltage_v,
            max_voltage_v=settings.max_voltage_v,
            forming=settings.forming,
        )
        now = clock.now()
        self.hardware = BoardHardware(PowerStage(spec, step_s=0.02), now, settings.silence_s)
        self.hardware.isolation_ohm = settings.isolation_ohm
        self.silent: set[Part] = set()
        self.restarted: set[Part] = set()
        self.running = False
        self.pilot, self.contactors = EmulatedPilot(self), EmulatedContactors(self)
        self.power, self.isolation = EmulatedStage(self), EmulatedIsolation(self)
        self.meter = EmulatedMeter(self)
        self.lock = EmulatedLock(self) if settings.lock else None
        self._wake = asyncio.Event()
        self._events: list[BoardEvent] = []
        self._shown: dict[str, object] = {}
        self._measure_at = inf
        self._silent_since: dict[Part, float] = {}
        self._faults: set[tuple[Part, FaultName]] = set()

    def connected(self, part: Part) -> bool:
        """Return True if commands reach a part."""
        return self.running and part not in self.silent

    def wake(self) -> None:
        """Simulate and report at once, after a change from outside."""
        self._wake.set()

    # the driver's cycle

    def advance(self, now: float) -> list[BoardEvent]:
        """Simulate up to now, transmit what is due, return what happened."""
        hardware = self.hardware
        hardware.advance(now)
        self._transmit(now)
        self._report_change("pilot", hardware.pilot_state, PilotChanged(PilotState(hardware.pilot_state), now))
        if Part.CONTACTORS not in self.silent:
            self._report_change("contactors", hardware.closed, ContactorsChanged(hardware.closed, now))
        if self.lock is not None:
            self._report_change("lock", hardware.locked, LockChanged(hardware.locked, now))
        self._isolation(now)
        self._watch_parts(now)
        events, self._events = self._events, []
        return events

    def deadline(self) -> float:
        """Time of the next `advance` at the latest."""
        return min(self.clock.now() + LATEST_S, self.hardware.deadline(), self._measure_at)

    async def run(self, report: Report) -> None:
        """Operate hardware and driver until cancelled; see `ports.Board`."""
        self.start()
        try:
            while True:
                self._wake.clear()
                for event in self.advance(self.clock.now()):
                    report(event)
                try:
                    async with self.clock.timeout_at(max(self.deadline(), self.clock.now() + 1e-3)):
                        await self._wake.wait()
                except TimeoutError:
                    pass
        finally:
            await self._shut_down()

    def start(self) -> None:
        """Begin to operate: commands take effect."""
        self.running = True

    async def _shut_down(self) -> None:
        """Output off, 0 A, contactors open, pilot F; F first where the current does not end."""
        self.power.set(OFF)
        until = self.clock.now() + ZERO_WITHIN_S
        while abs(self.hardware.stage.current_a) > 0.1:
            if self.clock.now() >= until:
                self.pilot.set(PilotLevel.F)  # the vehicle opens its contactors
            if self.clock.now() >= until + ZERO_WITHIN_S:
                self.running = False  # under load they stay closed; the module's silence time-out follows
                return
            await self.clock.sleep(0.05)
            self.hardware.advance(self.clock.now())
        self.contactors.allow(False, PowerReason.POWER_OFF)
        await self.clock.sleep(0.1)
        self.hardware.advance(self.clock.now())
        self.hardware.pilot_signal = "F"
        self.running = False

    def _transmit(self, now: float) -> None:
        """Send the last commands: those that a silent part missed take effect when it answers again."""
        self.power.transmit(now)
        self.pilot.transmit()
        self.contactors.transmit(now)
        self.isolation.transmit()
        if self.lock is not None:
            self.lock.transmit(now)

    def _report_change(self, name: str, value: object, event: BoardEvent) -> None:
        if self._shown.get(name) != value:
            self._shown[name] = value
            self._events.append(event)

    def _isolation(self, now: float) -> None:
        result = self.hardware.self_test_result(now)
        if Part.ISOLATION in self.silent:
            return
        if result is not None:
            self._events.append(IsolationTested(result, now))
        if not self.hardware.measuring:
            self._measure_at = inf
        elif self._measure_at == inf:
            self._measure_at = now + MEASURE_S
        elif now >= self._measure_at:
            self._measure_at = now + MEASURE_S
            self._events.append(IsolationMeasured(self.hardware.isolation_ohm, now))

    def _watch_parts(self, now: float) -> None:
        for part in Part:
            if part in self.silent:
                since = self._silent_since.setdefault(part, now)
                if now - since >= SILENT_S:
                    self._fault(part, FaultName.COMMUNICATION, "no answer", now)
            else:
                self._silent_since.pop(part, None)
                self._clear(part, FaultName.COMMUNICATION, now)
        for part in list(self.restarted - self.silent):
            self.restarted.discard(part)
            self._events.append(PartRestarted(part, now))

    def _fault(self, part: Part, name: FaultName, detail: str, now: float) -> None:
        if (part, name) not in self._faults:
            self._faults.add((part, name))
            self._events.append(FaultRaised(part, name, detail, now))

    def _clear(self, part: Part, name: FaultName, now: float) -> None:
        if (part, name) in self._faults:
            self._faults.discard((part, name))
            self._events.append(FaultCleared(part, name, now))

    def raise_fault(self, part: Part, name: FaultName, detail: str = "injected") -> None:
        """Report a fault of the hardware, until `clear_fault`."""
        self._fault(part, name, detail, self.clock.now())
        self.wake()

    def clear_fault(self, part: Part, name: FaultName) -> None:
        """Report the end of a fault."""
        self._clear(part, name, self.clock.now())
        self.wake()


class EmulatedPilot:
    """Port of the pilot."""

    def __init__(self, board: EmulatedBoard) -> None:
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


class EmulatedContactors:
    """Port of the contactors."""

    def __init__(self, board: EmulatedBoard) -> None:
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

    def __init__(self, board: EmulatedBoard) -> None:
        self._board = board
        self._setpoint, self._set_at, self._sent_at = OFF, -inf, -inf
        self._last: Output | None = None

    @property
    def silence_s(self) -> float | None:
        return self._board.hardware.output.silence_s

    @property
    def capability(self) -> Capability | None:
        spec, rated = self._board.hardware.stage.spec, self._board.settings
        charge = Range(spec.min_voltage_v, spec.max_voltage_v, spec.max_current_a, spec.max_charge_w)
        discharge = Range(spec.min_voltage_v, spec.max_voltage_v, spec.max_current_a, spec.max_discharge_w)
        settle = (spec.max_charge_w + spec.max_discharge_w) / spec.ramp_w_per_s + 0.5
        return Capability(charge, discharge if rated.max_discharge_w else None, spec.forming, settle_s=settle)

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

    def __init__(self, board: EmulatedBoard) -> None:
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

    def __init__(self, board: EmulatedBoard) -> None:
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

    def __init__(self, board: EmulatedBoard) -> None:
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


def _bench(settings: EmulatedSettings, clock: Clock) -> Bench:
    from emulators.boards.emulated_bench import EmulatedBench

    return EmulatedBench(settings, clock)


DRIVER = Driver("emulated", EmulatedSettings, EmulatedBoard, _bench, simulated=True)
