"""Laboratory of the conformance checks: a driver in operation, with its bench if there is one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

from gateway.drivers.board.bench import Bench
from gateway.drivers.board.ports import (
    OFF,
    BoardEvent,
    Capability,
    DutyCycle,
    Output,
    PartialBoard,
    PowerReason,
    PowerStage,
    Range,
    Setpoint,
    StageMode,
    lines_of,
)
from gateway.drivers.board.registry import BoardDriver
from gateway.drivers.board.setpoint_limits import largest_current_a
from gateway.drivers.board.supervision import OPEN_BELOW_A
from protocols.ports import Clock

STARTED_WITHIN_S = 15.0  # capability and first measurements of a driver
STEP_S = 0.1
CLOSES_S = 0.5  # for a CHAdeMO vehicle, whose contactors close onto an output without voltage


class NotConforming(AssertionError):
    """The driver breaks a rule."""


class NotApplicable(Exception):
    """The check needs a part, or a bench, that is not there."""


@dataclass
class Lab:
    """A driver in operation, with its bench if there is one."""

    driver: BoardDriver
    board: PartialBoard
    bench: Bench | None
    clock: Clock
    voltage_v: float  # of the vehicle
    events: list[BoardEvent] = field(default_factory=list)
    setpoint: Setpoint = OFF
    running: asyncio.Task[None] | None = None

    @property
    def stage(self) -> PowerStage:
        """The power stage. Raises `NotApplicable`."""
        if self.board.power is None:
            raise NotApplicable("this driver has no power stage")
        return self.board.power

    @property
    def capability(self) -> Capability:
        """The published capability."""
        capability = self.stage.capability
        if capability is None:
            raise NotConforming("no capability is published")
        return capability

    @property
    def output(self) -> Output:
        """The last measurement."""
        output = self.stage.output
        if output is None:
            raise NotConforming("the output is not measured")
        return output

    @property
    def current_a(self) -> float:
        """Current by the bench, otherwise by the driver."""
        return self.output.current_a if self.bench is None else self.bench.current_a

    def equipped(self) -> Bench:
        """Return the bench. Raises `NotApplicable`."""
        if self.bench is None:
            raise NotApplicable("needs a bench")
        return self.bench

    async def wait(self, seconds: float) -> None:
        """Wait, repeating the set-point as the supervisor does."""
        until = self.clock.now() + seconds
        while self.clock.now() < until:
            if self.board.power is not None:
                self.board.power.set(self.setpoint)
            await self.clock.sleep(STEP_S)

    async def until(self, condition: Callable[[], bool], within_s: float, what: str) -> None:
        """Wait for a condition. Raises `NotConforming`."""
        deadline = self.clock.now() + within_s
        while not condition():
            if self.clock.now() >= deadline:
                raise NotConforming(f"{what}: not within {within_s:g} s")
            await self.wait(STEP_S)

    async def hold(self, setpoint: Setpoint, seconds: float) -> None:
        """Set the output and repeat it."""
        self.setpoint = setpoint
        await self.wait(seconds)

    def range_of(self, mode: StageMode) -> Range:
        """Return the range of a direction. Raises `NotApplicable`."""
        found = self.capability.charge if mode is StageMode.CHARGE else self.capability.discharge
        if found is None:
            raise NotApplicable("this stage does not discharge")
        return found

    def setpoint_of(self, mode: StageMode, fraction: float = 0.3) -> Setpoint:
        """Return a set-point for the vehicle of the bench, at a fraction of the largest current."""
        limits = self.range_of(mode)
        amps = fraction * largest_current_a(limits, self.voltage_v)
        if mode is StageMode.CHARGE:
            return Setpoint(mode, min(self.voltage_v * 1.15, limits.max_voltage_v), amps)
        return Setpoint(mode, max(self.voltage_v * 0.85, limits.min_voltage_v), -amps)

    async def energise(self) -> None:
        """Close the contactors for the vehicle, as after a cable check."""
        contactors, lines = self.board.contactors, lines_of(self.board)
        if lines is not None:
            lines.set(True, True)
        if self.board.pilot is not None:
            self.board.pilot.set(DutyCycle(5.0))
        if contactors is not None:
            contactors.allow(True, PowerReason.PRECHARGE)
            await self.until(lambda: contactors.closed is True, 2.0, "contactors closed")
        if lines is not None:
            await self.hold(OFF, CLOSES_S)
        await self.hold(Setpoint(StageMode.CHARGE, self.voltage_v, min(2.0, self.capability.charge.max_current_a)), 2.0)
        if contactors is not None:
            contactors.allow(True, PowerReason.FULL_POWER)

    async def flow(self, mode: StageMode, fraction: float = 0.3) -> Setpoint:
        """Energise and wait for the current of a set-point."""
        await self.energise()
        setpoint = self.setpoint_of(mode, fraction)
        await self.hold(setpoint, self.capability.settle_s + 1.0)
        near = max(2.0 * self.capability.tolerance_a, 0.1 * abs(setpoint.current_a))
        if abs(self.current_a - setpoint.current_a) > near:
            raise NotConforming(f"{self.current_a:.1f} A, set {setpoint.current_a:.1f} A")
        return setpoint

    def of(self, *kinds: type[BoardEvent]) -> list[BoardEvent]:
        """Return the events of some kinds."""
        return [event for event in self.events if isinstance(event, kinds)]

    async def zero(self, within_s: float, what: str) -> None:
        """Wait for 0 A without repeating the set-point. Raises `NotConforming`."""
        deadline = self.clock.now() + within_s
        while abs(self.current_a) >= OPEN_BELOW_A:
            if self.clock.now() >= deadline:
                raise NotConforming(f"{what}: {self.current_a:.1f} A after {within_s:g} s")
            await self.clock.sleep(STEP_S)

    async def stop(self) -> None:
        """Cancel the driver."""
        assert self.running is not None
        self.running.cancel()
        with suppress(asyncio.CancelledError):
            await self.running


@asynccontextmanager
async def lab_of(driver: BoardDriver, settings: Mapping[str, object], clock: Clock) -> AsyncIterator[Lab]:
    """Operate a driver with its bench, a vehicle connected, until the end of the block."""
    bench = driver.bench(settings, clock)
    board = driver.build(settings, clock) if bench is None else bench.board
    voltage = 400.0 if bench is None else bench.attach()
    lab = Lab(driver, board, bench, clock, voltage)
    equipment = None if bench is None else asyncio.create_task(bench.run())
    lab.running = asyncio.create_task(board.run(lab.events.append))
    try:
        stage, meter = board.power, board.meter
        if stage is not None:
            await lab.until(
                lambda: stage.capability is not None and stage.output is not None, STARTED_WITHIN_S, "first measurement"
            )
        if meter is not None:
            await lab.until(lambda: meter.reading is not None, STARTED_WITHIN_S, "first reading")
        yield lab
    finally:
        await lab.stop()
        if equipment is not None:
            equipment.cancel()
            with suppress(asyncio.CancelledError):
                await equipment
