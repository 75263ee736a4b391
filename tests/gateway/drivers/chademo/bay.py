"""A hosted CHAdeMO EVSE and an emulated LEAF on a bus in memory, in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TypeVar

from emulators.boards.chademo import ChademoBoard
from emulators.boards.chademo_vehicle import ChademoVehicle
from emulators.boards.emulated import EmulatedSettings
from emulators.charger.hardware.chademo_hardware import ChademoHardware
from emulators.ev.car import Car
from emulators.ev.profile import load
from emulators.runtime.clock import VirtualClock
from emulators.runtime.memory_can import MemoryCan
from gateway.drivers.chademo.bus import ReopeningBus
from gateway.drivers.chademo.evse import ChademoEvse
from gateway.drivers.chademo.settings import ChademoEvseSettings
from gateway.model import event as model
from protocols.chademo.profile import PROFILES, VehicleProfile
from protocols.dc_modules.bus import CanBus

E = TypeVar("E")
EVSE = "LEAF1"
SETTINGS = ChademoEvseSettings(EVSE, "emulated-chademo", "memory:test")
BOARD = EmulatedSettings(max_charge_w=6000, max_discharge_w=6000, forming=True)


def leaf(model: str, soc_pct: float) -> tuple[Car, VehicleProfile]:
    """Return a LEAF with a pack of the capacity that its frames state."""
    spec, profile = load("leaf-40"), PROFILES[model]
    share = profile.capacity_wh / spec.pack.usable_wh
    pack = replace(spec.pack, capacity_ah=spec.pack.capacity_ah * share)
    return Car(replace(spec, name=model, pack=pack), soc_pct), profile


class Bay:
    """One EVSE with its hardware, and a car. `events` are those that the gateway would get."""

    def __init__(
        self,
        vehicle: str = "leaf-40",
        soc_pct: float = 60.0,
        settings: ChademoEvseSettings = SETTINGS,
        board: EmulatedSettings = BOARD,
    ) -> None:
        self.clock, self.can = VirtualClock(), MemoryCan()
        self.events: list[model.Event] = []
        self.settings, self._board_settings = settings, board
        self.hardware: ChademoHardware | None = None
        self.board = self._new_board()
        self.car, self.profile = leaf(vehicle, soc_pct)
        self.bus_fails = False
        self.vehicle = self._new_vehicle()
        self.evse = ChademoEvse(settings, self._new_board, self._open, self.events.append, self.clock)
        self.tasks: list[asyncio.Future[None]] = []

    def _new_board(self) -> ChademoBoard:
        """Return a driver of the hardware, which stays."""
        self.board = ChademoBoard(self._board_settings, self.clock, self.hardware)
        self.hardware = self.board.plug
        return self.board

    def _new_vehicle(self) -> ChademoVehicle:
        wake: Callable[[], None] = lambda: self.board.wake()  # noqa: E731
        port = ReopeningBus(self.can.port, self.clock, lambda reason: None)  # no bus ends a car
        return ChademoVehicle(self.board.plug, self.car, port, self.clock, wake, profile=self.profile)

    def _open(self) -> CanBus:
        if self.bus_fails:
            raise ConnectionError("no such device")
        return self.can.port()

    @property
    def current_a(self) -> float:
        self.board.plug.advance(self.clock.now())
        return self.board.plug.stage.current_a

    def of(self, kind: type[E]) -> list[E]:
        """Return the events of a kind."""
        return [event for event in self.events if isinstance(event, kind)]

    def faults(self) -> list[str]:
        """Return the active faults, as the model has them."""
        active: list[str] = []
        for event in self.events:
            if isinstance(event, model.FaultRaised):
                active.append(event.code)
            elif isinstance(event, model.FaultCleared) and event.code in active:
                active.remove(event.code)
        return active

    @property
    def metered(self) -> model.Metered:
        return [event for event in self.events if isinstance(event, model.Metered)][-1]

    async def until(self, what: str, reached: Callable[[], object], within_s: float = 60.0) -> None:
        """Wait for a condition."""
        deadline = self.clock.now() + within_s
        while not reached():
            assert self.clock.now() < deadline, f"{what}; {self.events[-8:]}"
            await self.clock.sleep(0.05)

    async def plug(self) -> None:
        """Plug the car in and wait until power can flow."""
        self.vehicle.plug()
        await self.powered()

    async def powered(self, within_s: float = 90.0) -> None:
        """Wait until power can flow."""
        await self.until("power", lambda: self.evse._session is not None and self.evse._session.powered, within_s)

    async def restart_gateway(self) -> None:
        """End the driver and run it anew."""
        self.tasks[0].cancel()
        await asyncio.gather(self.tasks[0], return_exceptions=True)
        self.evse = ChademoEvse(self.settings, self._new_board, self._open, self.events.append, self.clock)
        self.tasks[0] = asyncio.ensure_future(self.evse.run())

    async def order(self, power_w: float, valid_for_s: float = 600.0) -> None:
        """Order a power."""
        outcome = await self.evse.set_power(EVSE, power_w, valid_for_s)
        assert outcome.answer == "applied", outcome

    async def flowing(self, power_w: float) -> None:
        """Order a power and wait until the meter shows it."""
        await self.order(power_w)
        meter = self.board.plug.stage.meter
        await self.until(f"{power_w} W", lambda: abs(meter.power_w - power_w) < 0.02 * abs(power_w))


@asynccontextmanager
async def running(bay: Bay) -> AsyncIterator[Bay]:
    """Run EVSE and vehicle."""
    tasks = bay.tasks = [asyncio.ensure_future(one) for one in (bay.evse.run(), bay.vehicle.run())]
    try:
        await bay.until("the EVSE", lambda: bay.evse.connected)
        yield bay
        for task in tasks:
            if task.done():
                task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
