"""Whole boards in operation: supervisor, drivers and emulated hardware; bad cables and broken modules."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

import pytest

from emulators.battery.pack import Pack
from emulators.boards.emulated import EmulatedBoard, EmulatedSettings
from emulators.charger.hardware.dc_modules import EmulatedBeg
from emulators.runtime.clock import VirtualClock
from emulators.runtime.memory_can import MemoryCan
from gateway.drivers.board import registry
from gateway.drivers.board.can.drivers import BegSettings, infypower_beg
from gateway.drivers.board.combined import CombinedBoard, Member
from gateway.drivers.board.faults import FaultName, Part
from gateway.drivers.board.orders import (
    CheckCable,
    Deliver,
    DeliveryStarted,
    Event,
    OutputStopped,
    Precharge,
    Recovered,
    SetPilot,
)
from gateway.drivers.board.ports import DutyCycle, FaultRaised
from gateway.drivers.board.runner import BoardRunner
from gateway.drivers.board.supervision import OPEN_BELOW_A
from protocols.can import CanFrame

IO_PORTS = frozenset(Part) - {Part.POWER}


class CanBay:
    """A BEG module on CAN in a bay whose other hardware is emulated; both share one converter and one battery."""

    def __init__(self) -> None:
        self.clock = VirtualClock()
        settings = EmulatedSettings(
            max_charge_w=22_000, max_discharge_w=22_000, max_current_a=73.3, min_voltage_v=200, max_voltage_v=1000
        )
        self.io = EmulatedBoard(settings, self.clock)
        self.io.silent.add(Part.POWER)  # its own power stage is not used
        self.hardware = self.io.hardware
        self.bus = MemoryCan()
        self.module = EmulatedBeg(self.hardware.output)
        stage = infypower_beg(BegSettings(), self.clock, self.bus.port)
        combined = CombinedBoard([Member(self.io, IO_PORTS), Member(stage, frozenset({Part.POWER}))])
        self.events: list[Event] = []
        self.board = BoardRunner(registry.whole(combined, "test"), self.clock, self.events.append)
        self.battery = Pack(soc_start_pct=50.0)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        tasks = [
            asyncio.create_task(one)
            for one in (self.module.run(self.bus.port(), self.clock), self._vehicle(), self.board.run())
        ]
        try:
            await asyncio.sleep(2.0)
            self.hardware.plug(self.battery)
            self.hardware.pilot_state = "C"
            self.board.command(SetPilot(DutyCycle(5.0)))
            await asyncio.sleep(1.0)
            yield
        finally:
            for task in reversed(tasks):
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task

    async def _vehicle(self) -> None:
        while True:
            now = self.clock.now()
            if not self.hardware.closed:
                self.hardware.open_vehicle(now)
            elif self.hardware.pilot_state == "C" and self.hardware.pilot_signal not in ("E", "F"):
                self.hardware.close_vehicle(now)
            await asyncio.sleep(0.1)

    async def session(self, current_a: float, seconds: float = 8.0) -> None:
        """Run a session and keep it until the output stops."""
        self.board.command(CheckCable(500.0))
        await asyncio.sleep(6.0)
        self.board.command(Precharge(self.battery.voltage_v))
        await asyncio.sleep(3.0)
        await self.deliver(current_a, seconds)

    async def deliver(self, current_a: float, seconds: float) -> None:
        for _ in range(int(seconds)):
            self.board.command(Deliver(current_a, max_voltage_v=420.0, min_voltage_v=260.0))
            await asyncio.sleep(1.0)

    def names(self) -> list[FaultName]:
        return [event.name for event in self.events if isinstance(event, FaultRaised)]


def silence(bay: CanBay) -> None:
    bay.bus.tamper = lambda frame: None


def half_frames(bay: CanBay) -> None:
    bay.bus.tamper = lambda frame: CanFrame(frame.can_id, frame.data[:3], frame.extended)


def crc_errors(bay: CanBay) -> None:
    """A controller drops frames with CRC errors: two of three are lost."""
    count = iter(range(10**9))
    bay.bus.tamper = lambda frame: frame if next(count) % 29 == 0 else None


def wrong_answers(bay: CanBay) -> None:
    """The module answers each request with error 3, data invalid."""
    bay.bus.tamper = lambda frame: frame if frame.can_id & 0xFF == 0xF0 else frame._replace(can_id=0x0EA4F000)


def bus_lost(bay: CanBay) -> None:
    bay.bus.down = True


def restart(bay: CanBay) -> None:
    bay.module.restart(bay.clock.now())


@pytest.mark.virtual_time
@pytest.mark.parametrize(
    ("fault", "name"),
    [
        (silence, FaultName.COMMUNICATION),
        (half_frames, FaultName.COMMUNICATION),
        (crc_errors, FaultName.COMMUNICATION),
        (wrong_answers, FaultName.COMMUNICATION),
        (bus_lost, FaultName.COMMUNICATION),
        (restart, FaultName.HARDWARE),
    ],
)
@pytest.mark.parametrize("current_a", [20.0, -20.0])
async def test_a_fault_of_the_module_stops_in_order_and_recovers(
    fault: Callable[[CanBay], None], name: FaultName, current_a: float
) -> None:
    bay = CanBay()
    async with bay.running():
        await bay.session(current_a)
        assert bay.hardware.stage.current_a == pytest.approx(current_a, abs=1.0)
        bay.events.clear()
        fault(bay)
        await bay.deliver(current_a, 25.0)
        assert name in bay.names()
        assert bay.hardware.stage.current_a == 0.0
        assert not bay.hardware.closed
        assert any(isinstance(event, OutputStopped) for event in bay.events)
        assert max(map(abs, bay.hardware.opened_at_a)) < OPEN_BELOW_A
        bay.bus.tamper, bay.bus.down = (lambda frame: frame), False
        await asyncio.sleep(10.0)
        assert any(isinstance(event, Recovered) for event in bay.events)
        bay.events.clear()
        await bay.session(-current_a)
        assert any(isinstance(event, DeliveryStarted) for event in bay.events)
        assert bay.hardware.stage.current_a == pytest.approx(-current_a, abs=1.0)
    assert not bay.hardware.closed  # the end of the process stops in order too
    assert max(map(abs, bay.hardware.opened_at_a)) < OPEN_BELOW_A


@pytest.mark.virtual_time
async def test_energy_of_battery_and_meter_agree() -> None:
    """Battery, losses and meter of the same hardware: within 0.5 %."""
    bay = CanBay()
    async with bay.running():
        await bay.session(-40.0, 60.0)
    stage = bay.hardware.stage
    at_meter = stage.meter.true_charged_wh - stage.meter.true_discharged_wh
    in_battery = bay.battery.energy_in_wh - bay.battery.energy_out_wh
    assert in_battery < -150.0
    assert at_meter == pytest.approx(in_battery + stage.loss_wh, rel=0.005)


@pytest.mark.virtual_time
async def test_a_bus_that_is_lost_for_a_moment_is_no_lasting_fault() -> None:
    bay = CanBay()
    async with bay.running():
        bay.bus.down = True
        await asyncio.sleep(0.5)
        bay.bus.down = False
        await asyncio.sleep(8.0)
        assert bay.names() == [FaultName.COMMUNICATION]
        assert any(isinstance(event, Recovered) for event in bay.events)
        await bay.session(10.0)
        assert bay.hardware.stage.current_a == pytest.approx(10.0, abs=1.0)
