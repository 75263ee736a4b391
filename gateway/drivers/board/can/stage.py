"""Power stage over a controller of DC modules on a CAN bus: ports on one side, frames on the other."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress

from gateway.drivers.board.faults import FaultName, Part
from gateway.drivers.board.ports import (
    OFF,
    Capability,
    FaultCleared,
    FaultRaised,
    Output,
    PartRestarted,
    Range,
    Report,
    Setpoint,
    StageMode,
)
from protocols.dc_modules import controller
from protocols.dc_modules.bus import CanBus
from protocols.dc_modules.controller import Alarm, Controller, Mode, Order, Rating
from protocols.ports import Clock

REOPEN_S = 1.0  # between two attempts to open the bus
ZERO_WITHIN_S = 2.0  # of the current at the end of the driver
SHORTEST_S = 0.001  # of a wait: a deadline may have passed by a rounding error
ALARM_FAULTS: dict[Alarm, FaultName] = {
    Alarm.FAULT: FaultName.HARDWARE,
    Alarm.PROTECTION: FaultName.VENDOR_ERROR,
    Alarm.OVER_TEMPERATURE: FaultName.OVER_TEMPERATURE,
    Alarm.OUTPUT_OVER_VOLTAGE: FaultName.OVER_VOLTAGE_DC,
    Alarm.OUTPUT_SHORT: FaultName.OVER_CURRENT_DC,
    Alarm.INPUT_LOW: FaultName.UNDER_VOLTAGE_AC,
    Alarm.INPUT_HIGH: FaultName.OVER_VOLTAGE_AC,
    Alarm.INPUT_PHASE: FaultName.VENDOR_ERROR,
    Alarm.FAN: FaultName.VENDOR_WARNING,
    Alarm.SILENCE: FaultName.VENDOR_WARNING,
    Alarm.OTHER: FaultName.VENDOR_WARNING,
    Alarm.DERATED: FaultName.VENDOR_WARNING,
}


class CanStage:
    """Board of a power stage only. `open_bus` raises ConnectionError while there is no bus."""

    pilot = contactors = isolation = meter = lock = None

    def __init__(
        self,
        engine: Controller,
        open_bus: Callable[[], CanBus],
        clock: Clock,
        *,
        silence_s: float | None,
        settle_s: float,
        min_current_a: float = 0.0,
        tolerance_a: float = 1.0,
    ) -> None:
        self._engine, self._open_bus, self._clock = engine, open_bus, clock
        self.silence_s = silence_s
        self._settle_s, self._min_a, self._tolerance_a = settle_s, min_current_a, tolerance_a
        self._output: Output | None = None
        self._rating: Rating | None = None
        self._faults: set[FaultName] = set()
        self._wake = asyncio.Event()
        self._report: Report = lambda event: None

    @property
    def power(self) -> CanStage:
        return self

    @property
    def output(self) -> Output | None:
        return self._output

    @property
    def capability(self) -> Capability | None:
        rating = self._rating
        if rating is None:
            return None
        one = Range(rating.min_voltage_v, rating.max_voltage_v, rating.max_current_a, rating.max_power_w, self._min_a)
        discharge = one if self._engine.bidirectional else None
        return Capability(one, discharge, tolerance_a=self._tolerance_a, settle_s=self._settle_s)

    def set(self, setpoint: Setpoint) -> None:
        """Set the output; see `ports.PowerStage`."""
        outwards = setpoint.mode is StageMode.DISCHARGE
        if setpoint.current_a > 0 if outwards else setpoint.current_a < 0:
            raise ValueError(f"{setpoint.current_a} A contradicts the mode {setpoint.mode}")
        if setpoint.mode in (StageMode.FORM, StageMode.FAULT) or (outwards and not self._engine.bidirectional):
            raise ValueError(f"these modules have no mode {setpoint.mode}")
        self._engine.command(self._order(setpoint), self._clock.now())
        self._wake.set()

    def reset(self) -> None:
        """Clear latched faults: an order of OFF releases a module that was found off."""
        self.set(OFF)

    def _order(self, setpoint: Setpoint) -> Order:
        if setpoint == OFF:
            return controller.OFF
        amps = abs(setpoint.current_a)
        if self._rating is not None:
            amps = min(amps, self._rating.max_current_a)
        return Order(Mode(setpoint.mode), setpoint.voltage_v, amps)

    # adapter

    async def run(self, report: Report) -> None:
        """Exchange with the modules until cancelled; a lost bus is opened again."""
        self._report = report
        while True:
            bus: CanBus | None = None
            try:
                bus = self._open_bus()
                await self._exchange(bus)
            except ConnectionError as error:
                self._fault(FaultName.COMMUNICATION, str(error))
                await self._clock.sleep(REOPEN_S)
            finally:
                if bus is not None:
                    await bus.close()

    async def _exchange(self, bus: CanBus) -> None:
        receiving = asyncio.create_task(self._receive(bus))
        try:
            while True:
                await self._turn(bus, receiving)
        finally:
            with suppress(ConnectionError):
                await self._switch_off(bus, receiving)
            receiving.cancel()
            with suppress(asyncio.CancelledError, ConnectionError):
                await receiving

    async def _turn(self, bus: CanBus, receiving: asyncio.Task[None]) -> None:
        """Send what is due, then wait for the next frame, order or deadline."""
        self._process(self._engine.expire(self._clock.now()))
        for frame in self._engine.frames_to_send():
            await bus.send(frame)
        if receiving.done():
            receiving.result()
        self._wake.clear()
        with suppress(TimeoutError):
            async with self._clock.timeout_at(max(self._engine.deadline(), self._clock.now() + SHORTEST_S)):
                await self._wake.wait()

    async def _receive(self, bus: CanBus) -> None:
        while True:
            frame = await bus.receive()
            self._process(self._engine.receive(frame, self._clock.now()))

    async def _switch_off(self, bus: CanBus, receiving: asyncio.Task[None]) -> None:
        self._engine.command(controller.OFF, self._clock.now())
        until = self._clock.now() + ZERO_WITHIN_S
        while self._clock.now() < until and not self._engine.at_rest:
            await self._turn(bus, receiving)

    # events of the engine

    def _process(self, events: list[controller.Event]) -> None:
        for event in events:
            match event:
                case controller.Measured(mode, volts, amps, at):
                    self._output = Output(at, StageMode(mode), volts, amps)
                    self._clear(FaultName.COMMUNICATION)  # of a bus that was lost for less than the silence
                case controller.RatingReported(rating):
                    self._rating = rating
                case controller.AlarmsChanged(alarms):
                    self._alarms(alarms)
                case controller.ModulesSilent(detail):
                    self._fault(FaultName.COMMUNICATION, f"the modules are silent; {detail}")
                case controller.ModulesAnswered():
                    self._clear(FaultName.COMMUNICATION)
                case controller.ModuleOff(_, at):
                    self._report(PartRestarted(Part.POWER, at))

    def _alarms(self, alarms: frozenset[Alarm]) -> None:
        found = {ALARM_FAULTS[alarm]: str(alarm) for alarm in sorted(alarms)}
        for name in self._faults - set(found) - {FaultName.COMMUNICATION}:
            self._clear(name)
        for name, detail in found.items():
            self._fault(name, detail)

    def _fault(self, name: FaultName, detail: str) -> None:
        if name not in self._faults:
            self._faults.add(name)
            self._report(FaultRaised(Part.POWER, name, detail, self._clock.now()))

    def _clear(self, name: FaultName) -> None:
        if name in self._faults:
            self._faults.discard(name)
            self._report(FaultCleared(Part.POWER, name, self._clock.now()))
