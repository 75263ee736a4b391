"""Board driver of an emulated AC charger: pilot, contactors, meter and lock, and the vehicle's own converter.

The converter of `hardware/power_stage.py` is that of the vehicle here: it is connected while the contactors are closed.
The vehicle is that of a world (`AcVehicle`), or by the setting `vehicle` one that stays.
"""

from __future__ import annotations

import asyncio
from typing import Literal

from pydantic import Field

from emulators.battery.pack import Pack
from emulators.boards.ac_vehicle import AcVehicle
from emulators.boards.emulated import EmulatedBoard, EmulatedSettings
from emulators.charger.hardware.board_hardware import BoardHardware
from emulators.charger.hardware.dc_output import DcOutput
from emulators.charger.hardware.power_stage import PowerStage, StageSpec
from emulators.ev.car import Car
from gateway.drivers.board.ports import Report
from gateway.drivers.board.registry import BoardSettings, Driver
from protocols.ports import Clock

PERIOD_S = 0.05  # of the vehicle that stays


class EmulatedAcSettings(BoardSettings):
    """Settings of the emulated AC board."""

    max_charge_w: float = Field(default=11_000.0, gt=0, description="of the vehicle's converter")
    max_discharge_w: float = Field(default=11_000.0, ge=0, description="of the vehicle's converter")
    lock: bool = Field(default=True, description="socket with a lock")
    vehicle: Literal["none", "basic", "communicating"] = Field(
        default="none", description="a vehicle that stays: one without communication, or one whose session is elsewhere"
    )
    soc_pct: float = Field(default=60.0, ge=0, le=100, description="state of charge of that vehicle at the start")


class VehicleConverter(DcOutput):
    """The converter behind the contactors, which the vehicle controls and no board."""

    def _apply(self, now: float) -> None:
        """Leave the set-point to the vehicle."""


def ac_hardware(stage: PowerStage, now: float) -> BoardHardware:
    """Return the hardware of an AC charger in front of a vehicle's converter."""
    hardware = BoardHardware(stage, now, silence_s=None)
    hardware.output = VehicleConverter(stage, now, silence_s=None)
    return hardware


class EmulatedAcBoard:
    """Driver and hardware of one AC EVSE: ports of the emulated board without power stage and isolation monitor."""

    power = isolation = lines = None

    def __init__(self, settings: EmulatedAcSettings, clock: Clock, hardware: BoardHardware | None = None) -> None:
        self.driver = EmulatedBoard(EmulatedSettings(lock=settings.lock), clock)
        if hardware is None:
            spec = StageSpec(max_charge_w=settings.max_charge_w, max_discharge_w=settings.max_discharge_w)
            hardware = ac_hardware(PowerStage(spec, step_s=0.02), clock.now())
        self.driver.hardware = hardware
        self.pilot, self.contactors = self.driver.pilot, self.driver.contactors
        self.meter, self.lock = self.driver.meter, self.driver.lock
        self._settings, self._clock = settings, clock

    async def run(self, report: Report) -> None:
        """Operate hardware, driver and the vehicle that stays until cancelled."""
        if self._settings.vehicle == "none":
            await self.driver.run(report)
            return
        driver = self.driver
        vehicle = AcVehicle(driver.hardware, self._clock, driver.wake, basic=self._settings.vehicle == "basic")
        vehicle.plug(Car(pack=Pack(soc_start_pct=self._settings.soc_pct)))
        vehicle.requests_energy()
        staying = asyncio.create_task(self._stay(vehicle))
        try:
            await driver.run(report)
        finally:
            staying.cancel()

    async def _stay(self, vehicle: AcVehicle) -> None:
        while True:
            vehicle.update()
            await self._clock.sleep(PERIOD_S)


DRIVER = Driver("emulated-ac", EmulatedAcSettings, EmulatedAcBoard, simulated=True)
