"""Board driver `everest`: the ports over hardware programs with EVerest's MQTT API."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, suppress

from gateway.drivers.board.everest.engine import EverestEngine
from gateway.drivers.board.everest.io import connect
from gateway.drivers.board.everest.settings import EverestSettings
from gateway.drivers.board.faults import FaultName, Part
from gateway.drivers.board.ports import (
    OFF,
    Capability,
    FaultCleared,
    FaultRaised,
    MeterReading,
    Output,
    PilotLevel,
    PilotSignal,
    PilotState,
    PowerReason,
    Report,
    Setpoint,
    StageMode,
)
from gateway.drivers.board.registry import Driver
from protocols import everest_api
from protocols.everest_api import Kind
from protocols.ports import Bus, BusMessage, Clock

RECONNECT_S = 1.0
ZERO_WITHIN_S = 2.0
VEHICLE_OPENS_WITHIN_S = 0.5  # after the pilot has gone to F
SHORTEST_S = 0.001  # of a wait: a deadline may have passed by a rounding error


Connect = Callable[[], AbstractAsyncContextManager[Bus]]


class EverestBoard:
    """Board over the API. `connect` opens a link to the broker; it raises ConnectionError."""

    def __init__(self, settings: EverestSettings, clock: Clock, connect: Connect) -> None:
        self.clock, self._connect = clock, connect
        self.engine = EverestEngine(settings.modules, clock.now(), settings.settle_s)
        self.wake = asyncio.Event()
        board = Kind.BOARD in settings.modules
        self.pilot = EverestPilot(self) if board else None
        self.contactors = EverestContactors(self) if board else None
        self.lock = EverestLock(self) if board and settings.has_lock else None
        self.power = EverestStage(self, settings.silence_s) if Kind.POWER in settings.modules else None
        self.isolation = EverestIsolation(self) if Kind.ISOLATION in settings.modules else None
        self.meter = EverestMeter(self) if Kind.METER in settings.modules else None
        self._lost = False

    async def run(self, report: Report) -> None:
        """Exchange with the programs until cancelled; a lost broker is a fault of every part."""
        parts = [Part.PILOT, Part.POWER] if self.power is not None else [Part.PILOT]
        while True:
            try:
                async with self._connect() as bus:
                    await bus.subscribe(f"{everest_api.PREFIX}/+/+/m2e/+", 0)
                    if self._lost:
                        self._lost = False
                        for part in parts:
                            report(FaultCleared(part, FaultName.COMMUNICATION, self.clock.now()))
                    self.engine.start()
                    await self._exchange(bus, report)
            except ConnectionError as error:
                if not self._lost:
                    self._lost = True
                    for part in parts:
                        report(FaultRaised(part, FaultName.COMMUNICATION, str(error), self.clock.now()))
                await self.clock.sleep(RECONNECT_S)

    async def _exchange(self, bus: Bus, report: Report) -> None:
        receiving = asyncio.create_task(self._receive(bus, report))
        try:
            while True:
                await self._turn(bus, report)
                if receiving.done():
                    receiving.result()
                    raise ConnectionError("the broker closed the connection")
        except asyncio.CancelledError:
            with suppress(ConnectionError):
                await self._shut_down(bus, report)
            raise
        finally:
            receiving.cancel()
            with suppress(asyncio.CancelledError, ConnectionError):
                await receiving

    async def _turn(self, bus: Bus, report: Report, latest: float = float("inf")) -> None:
        for event in self.engine.expire(self.clock.now()):
            report(event)
        for topic, payload in self.engine.messages_to_send():
            await bus.publish(BusMessage(topic, payload, qos=0))
        self.wake.clear()
        with suppress(TimeoutError):
            now = self.clock.now()
            async with self.clock.timeout_at(min(max(self.engine.deadline(), now + SHORTEST_S), latest)):
                await self.wake.wait()

    async def _receive(self, bus: Bus, report: Report) -> None:
        try:
            async for message in bus.messages():
                address = everest_api.parse(message.topic)
                if address is not None:
                    for event in self.engine.receive(address, message.payload, self.clock.now()):
                        report(event)
                    self.wake.set()
        finally:
            self.wake.set()

    async def _shut_down(self, bus: Bus, report: Report) -> None:
        """Output off, 0 A, contactors open, pilot F; F first where the current does not end."""
        self.engine.set(OFF, self.clock.now())
        await self._turn_for(bus, report, 0.5)
        until = self.clock.now() + ZERO_WITHIN_S
        while self.clock.now() < until and self.power is not None and self.power.loaded:
            await self._turn_for(bus, report, 0.1)
        if self.contactors is not None and self.pilot is not None:
            if self.power is not None and self.power.loaded:
                self.pilot.set(PilotLevel.F)
                await self._turn_for(bus, report, VEHICLE_OPENS_WITHIN_S)
            if self.power is None or not self.power.loaded:  # under load they stay closed
                self.contactors.allow(False, PowerReason.POWER_OFF)
            self.pilot.set(PilotLevel.F)
        await self._turn_for(bus, report, 0.0)

    async def _turn_for(self, bus: Bus, report: Report, seconds: float) -> None:
        """Exchange for some time."""
        until = self.clock.now() + seconds
        await self._turn(bus, report, until)
        while self.clock.now() < until:
            await self._turn(bus, report, until)


class EverestPort:
    """Base of the ports."""

    def __init__(self, board: EverestBoard) -> None:
        self.board, self.engine = board, board.engine


class EverestPilot(EverestPort):
    """Pilot."""

    @property
    def state(self) -> PilotState | None:
        return self.engine.pilot_state

    def set(self, signal: PilotSignal) -> None:
        """Output a signal."""
        self.engine.set_pilot(signal)
        self.board.wake.set()


class EverestContactors(EverestPort):
    """Contactors; PowerOn and PowerOff confirm their position."""

    @property
    def closed(self) -> bool | None:
        return self.engine.closed

    def allow(self, closed: bool, reason: PowerReason) -> None:
        """Close or open the contactors."""
        self.engine.allow(closed, reason)
        self.board.wake.set()


class EverestStage(EverestPort):
    """Power stage."""

    def __init__(self, board: EverestBoard, silence_s: float | None) -> None:
        super().__init__(board)
        self.silence_s = silence_s

    @property
    def capability(self) -> Capability | None:
        return self.engine.capability

    @property
    def output(self) -> Output | None:
        return self.engine.output

    @property
    def loaded(self) -> bool:
        """True while current flows."""
        return self.engine.output is not None and abs(self.engine.output.current_a) > 0.5

    def set(self, setpoint: Setpoint) -> None:
        """Set the output; see `ports.PowerStage`."""
        outwards = setpoint.mode is StageMode.DISCHARGE
        if setpoint.current_a > 0 if outwards else setpoint.current_a < 0:
            raise ValueError(f"{setpoint.current_a} A contradicts the mode {setpoint.mode}")
        if setpoint.mode in (StageMode.FORM, StageMode.FAULT):
            raise ValueError(f"the API has no mode {setpoint.mode}")
        self.engine.set(setpoint, self.board.clock.now())
        self.board.wake.set()

    def reset(self) -> None:
        """The API has no reset: the program clears its errors itself."""


class EverestIsolation(EverestPort):
    """Isolation monitor."""

    @property
    def resistance_ohm(self) -> float | None:
        return self.engine.resistance_ohm

    def self_test(self, voltage_v: float) -> None:
        """Test the monitor."""
        self.engine.self_test(voltage_v)
        self.board.wake.set()

    def start(self) -> None:
        """Start measuring."""
        self.engine.measure(True)
        self.board.wake.set()

    def stop(self) -> None:
        """Stop measuring."""
        self.engine.measure(False)
        self.board.wake.set()


class EverestMeter(EverestPort):
    """Meter."""

    @property
    def reading(self) -> MeterReading | None:
        return self.engine.reading


class EverestLock(EverestPort):
    """Lock; the API confirms it by the absence of errors only."""

    @property
    def locked(self) -> bool | None:
        return self.engine.locked

    def set(self, locked: bool) -> None:
        """Lock or unlock."""
        self.engine.set_lock(locked, self.board.clock.now())
        self.board.wake.set()


def make(settings: EverestSettings, clock: Clock) -> EverestBoard:
    """Return the board over a broker."""
    return EverestBoard(settings, clock, lambda: connect(settings))


DRIVER = Driver("everest", EverestSettings, make)
