"""A gateway that hosts a CHAdeMO EVSE, an emulated LEAF and a facility, in memory and in virtual time."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from typing import Any

from emulators.boards.chademo import ChademoBoard
from emulators.boards.chademo_vehicle import ChademoVehicle
from emulators.boards.emulated import EmulatedSettings
from emulators.charger.hardware.chademo_hardware import ChademoHardware
from emulators.runtime.clock import VirtualClock
from emulators.runtime.memory_broker import MemoryBroker, MemoryBus
from emulators.runtime.memory_can import MemoryCan
from gateway.app import Gateway, Parts, gateway
from gateway.config import from_table
from gateway.model.state import EvseState
from gateway.store.store import MemoryStore
from protocols.ports import Bus, BusMessage, Clock
from tests.gateway.drivers.chademo.bay import leaf

ROOT = "v2x/1/shelter"
EVSE = "LEAF1"


class ChademoSite:
    """The hardware, the car, a broker with a facility that only commands, and the gateway while it runs."""

    def __init__(self, vehicle: str = "leaf-40", soc_pct: float = 60.0) -> None:
        self.clock, self.can, self.broker = VirtualClock(), MemoryCan(), MemoryBroker()
        self.store = MemoryStore()
        self.received: list[BusMessage] = []
        self.running: Gateway | None = None
        self.hardware: ChademoHardware | None = None
        self._board: ChademoBoard | None = None
        self.car, self.profile = leaf(vehicle, soc_pct)
        self._client: MemoryBus | None = None
        self.vehicle: ChademoVehicle | None = None

    def board(self, clock: Clock) -> ChademoBoard:
        """Return a driver of the hardware, which stays."""
        settings = EmulatedSettings(max_charge_w=6000, max_discharge_w=6000)
        self._board = ChademoBoard(settings, clock, self.hardware)
        self.hardware = self._board.plug
        return self._board

    def wake(self) -> None:
        """Let the driver read its hardware at once."""
        if self._board is not None:
            self._board.wake()

    @property
    def plug(self) -> ChademoHardware:
        assert self.hardware is not None
        return self.hardware

    @property
    def power_w(self) -> float:
        """Power at the meter, which is that of the grid."""
        self.plug.advance(self.clock.now())
        return self.plug.stage.meter.power_w

    @property
    def state(self) -> EvseState:
        assert self.running is not None
        found = self.running.service.state(EVSE)
        assert found is not None
        return found

    @asynccontextmanager
    async def gateway(self, **tables: Any) -> AsyncIterator[Gateway]:
        """Run a gateway."""
        table = {
            "site": {"id": "shelter", "min_soc_pct": 30},
            "store": {"url": "memory:"},
            "ocpp": {"security_profile": 0},
            "evses": [{"id": EVSE, "driver": "chademo", "board": "emulated-chademo", "can": "memory:site"}],
            **tables,
        }
        parts = Parts(
            clock=self.clock,
            connect=self._connect,
            store=self.store,
            boards={EVSE: self.board},
            buses={EVSE: self.can.port},
            listen=False,
            seed=1,
        )
        async with gateway(from_table(table), parts) as self.running:
            await self.until("the EVSE", lambda: self.state.connection == "connected")
            yield self.running
        self.running = None

    def _connect(self, will: BusMessage) -> AbstractAsyncContextManager[Bus]:
        return self.broker.client("v2x-shelter-gw1", will=will, clean_start=False, session_expiry_s=60)

    @asynccontextmanager
    async def facility(self) -> AsyncIterator[None]:
        """Connect the facility."""
        async with self.broker.client("facility") as self._client:
            await self._client.subscribe(f"{ROOT}/#")
            receiving = asyncio.get_running_loop().create_task(self._receive(self._client))
            try:
                yield
            finally:
                receiving.cancel()
                await asyncio.gather(receiving, return_exceptions=True)

    @asynccontextmanager
    async def plugged(self) -> AsyncIterator[ChademoVehicle]:
        """Plug the car in and wait until it can be discharged."""
        port = self.can.port()
        one = ChademoVehicle(self.plug, self.car, port, self.clock, self.wake, profile=self.profile)
        self.vehicle = one
        running = asyncio.ensure_future(one.run())
        one.plug()
        try:
            await self.until("the vehicle", lambda: self.state.vehicle_limits is not None)
            yield one
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)

    async def until(self, what: str, reached: Callable[[], object], within_s: float = 60.0) -> None:
        """Wait for a condition."""
        deadline = self.clock.now() + within_s
        while not reached():
            assert self.clock.now() < deadline, f"{what}; {self.state}"
            await self.clock.sleep(0.1)

    async def command(self, verb: str, **body: Any) -> str:
        """Send a command to the EVSE; return the status of its first result."""
        identifier = await self.publish(f"evse/{EVSE}/cmd/{verb}", **body)
        for _ in range(100):
            await self.clock.sleep(0.1)
            found = [one for one in self.bodies(f"evse/{EVSE}/result") if one["id"] == identifier]
            if found:
                return str(found[0]["status"])
        raise AssertionError(f"no result of {verb}")

    async def publish(self, topic: str, **body: Any) -> str:
        """Publish a command on a topic; return its id."""
        assert self._client is not None
        identifier = f"c{len(self.received)}-{self.clock.now():.1f}"
        payload = json.dumps({"id": identifier, "source": "bems", **body}).encode()
        await self._client.publish(BusMessage(f"{ROOT}/{topic}", payload, qos=1))
        return identifier

    def bodies(self, topic: str) -> list[dict[str, Any]]:
        """Return what was received on a topic."""
        return [json.loads(one.payload) for one in self.received if one.topic == f"{ROOT}/{topic}" and one.payload]

    def events(self) -> list[str]:
        """Return the names of the events of the EVSE."""
        return [str(one["event"]) for one in self.bodies(f"evse/{EVSE}/event")]

    async def _receive(self, client: MemoryBus) -> None:
        async for message in client.messages():
            self.received.append(replace(message))
