"""Board driver of emulated hardware with a vehicle at its connector, for a gateway that vehicles reach over a network.

The battery is that of the hardware, the messages are those of `v2x ev`: its plug is in, its pilot ready, and its
contactors close when the voltages are equal.
"""

from __future__ import annotations

import asyncio

from pydantic import Field

from emulators.battery.pack import Pack
from emulators.boards.emulated import EmulatedBoard, EmulatedSettings
from gateway.drivers.board.ports import Report
from gateway.drivers.board.registry import Driver
from protocols.ports import Clock

PERIOD_S = 0.05  # of the vehicle's contactors


class ParkedSettings(EmulatedSettings):
    """Settings of the emulated board with a vehicle."""

    soc_pct: float = Field(default=80.0, ge=0, le=100, description="state of charge of the battery at the start")


class ParkedBoard(EmulatedBoard):
    """Emulated board whose vehicle stays."""

    def __init__(self, settings: ParkedSettings, clock: Clock) -> None:
        super().__init__(settings, clock)
        self.hardware.plug(Pack(soc_start_pct=settings.soc_pct))
        self.hardware.pilot_state = "C"

    async def run(self, report: Report) -> None:
        """Operate hardware, driver and vehicle until cancelled."""
        vehicle = asyncio.create_task(self._vehicle())
        try:
            await super().run(report)
        finally:
            vehicle.cancel()

    async def _vehicle(self) -> None:
        while True:
            now = self.clock.now()
            if self.hardware.closed:
                self.hardware.close_vehicle(now)
            else:
                self.hardware.open_vehicle(now)
            await self.clock.sleep(PERIOD_S)


DRIVER = Driver("emulated-parked", ParkedSettings, ParkedBoard, simulated=True)
