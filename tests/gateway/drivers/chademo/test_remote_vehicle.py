"""The emulated CHAdeMO board with a vehicle of another process: the wires of the plug are frames on the bus."""

from __future__ import annotations

import asyncio

import pytest

from emulators.boards.remote_chademo import RemoteChademoBoard, RemoteChademoSettings
from emulators.ev.car import Car
from emulators.ev.chademo import ChademoEv
from emulators.ev.profile import load
from emulators.runtime.clock import VirtualClock
from emulators.runtime.memory_can import MemoryCan
from gateway.drivers.board.ports import Board
from gateway.drivers.chademo.evse import ChademoEvse
from gateway.drivers.chademo.settings import ChademoEvseSettings
from gateway.model import event as model
from protocols.dc_modules.bus import CanBus

pytestmark = pytest.mark.virtual_time
EVSE = "LEAF1"


class Remote:
    """A hosted EVSE whose vehicle is on the bus only."""

    def __init__(self) -> None:
        self.clock, self.can = VirtualClock(), MemoryCan()
        self.events: list[model.Event] = []
        self.fails = False
        self.boards: list[RemoteChademoBoard] = []
        settings = ChademoEvseSettings(EVSE, "emulated-chademo", "memory:remote")
        self.evse = ChademoEvse(settings, self._board, self._open, self.events.append, self.clock)
        self.car = Car(load("leaf-40"), 60.0)
        self.ev = ChademoEv(self.car, self.can.port(), self.clock)

    def _board(self) -> Board:
        board = RemoteChademoBoard(RemoteChademoSettings(channel="memory:remote"), self.clock, self._open)
        self.boards.append(board)
        return board

    def _open(self) -> CanBus:
        if self.fails:
            raise ConnectionError("no such device")
        return self.can.port()

    async def until(self, what: str, reached: object, within_s: float = 60.0) -> None:
        """Wait for a condition."""
        assert callable(reached)
        deadline = self.clock.now() + within_s
        while not reached():
            assert self.clock.now() < deadline, f"{what}; {self.events[-6:]}"
            await self.clock.sleep(0.1)

    def powered(self) -> bool:
        """Return True while power can flow."""
        return self.evse._session is not None and self.evse._session.powered


async def test_a_vehicle_on_the_bus_discharges_charges_and_leaves() -> None:
    one = Remote()
    tasks = [asyncio.ensure_future(run) for run in (one.evse.run(), one.ev.run())]
    await one.until("power", one.powered)
    assert (await one.evse.set_power(EVSE, -3000.0, 600.0)).answer == "applied"
    stage = one.boards[0].plug.stage
    await one.until("3 kW out", lambda: abs(stage.meter.power_w + 3000) < 60)
    await one.clock.sleep(10)
    stored, out, at_meter = one.car.pack.stored_wh, one.car.energy_out_wh, stage.meter.true_discharged_wh
    await one.clock.sleep(60)
    assert stage.meter.true_discharged_wh - at_meter == pytest.approx(50, rel=0.01)
    assert one.car.energy_out_wh - out == pytest.approx(50 / 0.93, rel=0.03), "the losses of the converter"
    assert one.car.pack.stored_wh < stored
    assert (await one.evse.set_power(EVSE, 2000.0, 600.0)).answer == "applied"
    await one.until("2 kW in", lambda: abs(stage.meter.power_w - 2000) < 60)
    one.ev.stop("the driver")
    await one.until("the end", lambda: one.ev.ended is not None and not one.ev.charger.d1, 15)
    one.ev.plugged = False
    await one.until("no vehicle", lambda: not one.boards[0].plug.plugged_in, 5)
    assert not [event for event in one.events if isinstance(event, model.FaultRaised)]
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def test_a_bus_that_cannot_be_opened_is_a_fault_of_the_lines() -> None:
    one = Remote()
    one.fails = True
    running = asyncio.ensure_future(one.evse.run())
    await one.until("the fault", lambda: [event for event in one.events if isinstance(event, model.FaultRaised)], 5)
    assert one.evse.connected
    one.fails = False
    driving = asyncio.ensure_future(one.ev.run())
    await one.until("power", one.powered, 90)
    for task in (running, driving):
        task.cancel()
    await asyncio.gather(running, driving, return_exceptions=True)
