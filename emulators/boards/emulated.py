"""Board driver of emulated hardware: implements the six ports over `charger/hardware/board_hardware.py`.

Measurements are those of the moment at which they are read. Faults of the link are attributes: a silent part takes no
commands and gives no measurements, while its hardware works on.
"""

from __future__ import annotations

from math import inf

from pydantic import Field

from emulators.boards.emulated_ports import (
    EmulatedContactors,
    EmulatedIsolation,
    EmulatedLines,
    EmulatedLink,
    EmulatedLock,
    EmulatedMeter,
    EmulatedPilot,
    EmulatedStage,
)
from emulators.charger.hardware.board_hardware import BoardHardware
from emulators.charger.hardware.power_stage import PowerStage, StageSpec
from gateway.drivers.board.faults import FaultName, Part
from gateway.drivers.board.ports import (
    OFF,
    BoardEvent,
    ContactorsChanged,
    FaultCleared,
    FaultRaised,
    IsolationMeasured,
    IsolationTested,
    LockChanged,
    PartRestarted,
    PilotChanged,
    PilotLevel,
    PilotState,
    PowerReason,
    Report,
)
from gateway.drivers.board.registry import BoardSettings
from protocols.ports import Clock

MEASURE_S = 1.0  # period of the isolation monitor
SILENT_S = 1.0  # after which the driver reports a silent part
ZERO_WITHIN_S = 2.0
STEP_S = 0.02  # of the converter
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


def stage_of(settings: EmulatedSettings) -> PowerStage:
    """Return the converter of a board."""
    spec = StageSpec(
        max_charge_w=settings.max_charge_w,
        max_discharge_w=settings.max_discharge_w,
        max_current_a=settings.max_current_a,
        min_voltage_v=settings.min_voltage_v,
        max_voltage_v=settings.max_voltage_v,
        forming=settings.forming,
    )
    return PowerStage(spec, step_s=STEP_S)


class EmulatedBoard(EmulatedLink):
    """Driver and hardware of one EVSE. `hardware` is public: the vehicle and tests act on it."""

    pilot: EmulatedPilot | None
    lines: EmulatedLines | None

    def __init__(self, settings: EmulatedSettings, clock: Clock, hardware: BoardHardware | None = None) -> None:
        """`hardware`: instead of new hardware with these settings."""
        if hardware is None:
            hardware = BoardHardware(stage_of(settings), clock.now(), settings.silence_s)
            hardware.isolation_ohm = settings.isolation_ohm
        super().__init__(hardware, clock)
        self.restarted: set[Part] = set()
        self.pilot, self.lines, self.contactors = EmulatedPilot(self), None, EmulatedContactors(self)
        self.power, self.isolation = EmulatedStage(self), EmulatedIsolation(self)
        self.meter = EmulatedMeter(self)
        self.lock = EmulatedLock(self) if settings.lock else None
        self._events: list[BoardEvent] = []
        self._shown: dict[str, object] = {}
        self._measure_at = inf
        self._silent_since: dict[Part, float] = {}
        self._faults: set[tuple[Part, FaultName]] = set()

    # the driver's cycle

    def advance(self, now: float) -> list[BoardEvent]:
        """Simulate up to now, transmit what is due, return what happened."""
        hardware = self.hardware
        hardware.advance(now)
        self._transmit(now)
        self._report_plug(now)
        if Part.CONTACTORS not in self.silent:
            self._report_change("contactors", hardware.closed, ContactorsChanged(hardware.closed, now))
        if self.lock is not None:
            self._report_change("lock", hardware.locked, LockChanged(hardware.locked, now))
        self._isolation(now)
        self._watch_parts(now)
        events, self._events = self._events, []
        return events

    def _report_plug(self, now: float) -> None:
        state = self.hardware.pilot_state
        self._report_change("pilot", state, PilotChanged(PilotState(state), now))

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
                self._withdraw()  # the vehicle opens its contactors
            if self.clock.now() >= until + ZERO_WITHIN_S:
                self.running = False  # under load they stay closed; the module's silence time-out follows
                return
            await self.clock.sleep(0.05)
            self.hardware.advance(self.clock.now())
        self.contactors.allow(False, PowerReason.POWER_OFF)
        await self.clock.sleep(0.1)
        self.hardware.advance(self.clock.now())
        self._withdraw()
        self.hardware.pilot_signal = "F"
        self.running = False

    def _withdraw(self) -> None:
        """Output the signals of the plug with which a vehicle opens its contactors."""
        if self.pilot is not None:
            self.pilot.set(PilotLevel.F)

    def _transmit(self, now: float) -> None:
        """Send the last commands: those that a silent part missed take effect when it answers again."""
        self.power.transmit(now)
        if self.pilot is not None:
            self.pilot.transmit()
        if self.lines is not None:
            self.lines.transmit()
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
