"""Drivers of DC modules with emulated modules at the other end of a bus in memory, for the conformance kit.

Entry points `emulated-infypower-beg`, `emulated-infypower` and `emulated-winline`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from emulators.battery.pack import Pack
from emulators.charger.hardware.dc_modules import EmulatedBeg, EmulatedModule, EmulatedV113, EmulatedWinline
from emulators.charger.hardware.dc_output import DcOutput
from emulators.charger.hardware.power_stage import PowerStage, StageSpec
from emulators.runtime.memory_can import MemoryCan
from gateway.drivers.board.can import drivers
from gateway.drivers.board.can.drivers import BegSettings, InfySettings, WinlineSettings
from gateway.drivers.board.can.stage import CanStage
from gateway.drivers.board.faults import Part
from gateway.drivers.board.registry import Driver
from protocols.can import CanFrame
from protocols.dc_modules.infypower import SILENCE_S
from protocols.ports import Clock

SPEC = StageSpec(
    max_charge_w=22_000.0, max_discharge_w=22_000.0, max_current_a=73.3, min_voltage_v=200.0, max_voltage_v=1000.0,
    ramp_w_per_s=20_000.0,
)  # fmt: skip
RESTART_S = 3.0


class CanBench:
    """A vehicle directly at the output of one emulated module."""

    parts = frozenset({Part.POWER})
    opened_at_a: list[float]

    def __init__(
        self, module: Callable[[DcOutput], EmulatedModule], board: Callable[[MemoryCan], CanStage], clock: Clock
    ):
        self.opened_at_a = []
        self.bus, self._clock = MemoryCan(), clock
        self.output = DcOutput(PowerStage(SPEC, step_s=0.02), clock.now(), SILENCE_S)
        self.module = module(self.output)
        self.board = board(self.bus)
        self._port = self.bus.port()

    @property
    def current_a(self) -> float:
        self.output.advance(self._clock.now())
        return self.output.current_a

    @property
    def voltage_v(self) -> float:
        return self.output.voltage_v

    async def run(self) -> None:
        """Operate the module."""
        await self.module.run(self._port, self._clock)

    def attach(self) -> float:
        """Connect a vehicle; the contactors in between are closed."""
        battery = Pack(soc_start_pct=50.0)
        self.output.stage.connect(battery)
        self.output.stage.close(self._clock.now())
        return battery.voltage_v

    def detach(self) -> None:
        """Disconnect the vehicle."""
        self.output.stage.disconnect()

    def cut(self, part: Part) -> None:
        """Cut the bus."""
        self.bus.tamper = lambda frame: None

    def restore(self, part: Part) -> None:
        """Restore the bus."""
        self.bus.tamper = lambda frame: frame

    def corrupt(self, part: Part) -> None:
        """Cut the frames of both sides in half."""

        def halved(frame: CanFrame) -> CanFrame:
            return CanFrame(frame.can_id, frame.data[:4], frame.extended)

        self.bus.tamper = halved

    def restart(self, part: Part) -> None:
        """Interrupt the supply of the module for RESTART_S."""
        self.module.restart(self._clock.now())
        self.module.powered = False
        asyncio.get_running_loop().call_later(RESTART_S, setattr, self.module, "powered", True)


def _beg(settings: BegSettings, clock: Clock) -> CanBench:
    return CanBench(EmulatedBeg, lambda bus: drivers.infypower_beg(settings, clock, bus.port), clock)


def _infypower(settings: InfySettings, clock: Clock) -> CanBench:
    return CanBench(EmulatedV113, lambda bus: drivers.infypower(settings, clock, bus.port), clock)


def _winline(settings: WinlineSettings, clock: Clock) -> CanBench:
    return CanBench(EmulatedWinline, lambda bus: drivers.winline(settings, clock, bus.port), clock)


INFYPOWER_BEG = Driver("emulated-infypower-beg", BegSettings, lambda s, c: _beg(s, c).board, _beg, simulated=True)
INFYPOWER = Driver("emulated-infypower", InfySettings, lambda s, c: _infypower(s, c).board, _infypower, simulated=True)
WINLINE = Driver("emulated-winline", WinlineSettings, lambda s, c: _winline(s, c).board, _winline, simulated=True)
