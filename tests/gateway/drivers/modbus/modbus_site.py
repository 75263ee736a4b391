"""A gateway whose wallbox, meters, storage and inverter are Modbus devices, in memory and in virtual time."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from emulators.battery.pack import Pack, PackSpec
from emulators.modbus.device import EmulatedDevice
from emulators.modbus.sunspec import Measure, Measurements, StoragePlant, sunspec_device
from emulators.modbus.wallbox import Wallbox
from emulators.runtime.clock import VirtualClock
from emulators.runtime.memory_broker import MemoryBroker, MemoryBus
from emulators.site.storage import Storage
from gateway.app import Gateway, Parts, gateway
from gateway.config import from_table
from gateway.drivers.modbus.device import Client
from gateway.drivers.modbus.settings import ModbusSettings
from gateway.store.store import MemoryStore, Store
from protocols.modbus.io import ModbusClient
from protocols.modbus.register import Meaning
from protocols.modbus.register_map import RegisterMap, shipped
from protocols.ports import Bus, BusMessage, Clock
from tests.gateway.drivers.modbus.bench import Cable, wallbox

ROOT = "v2x/1/home"
EVSE = "BAY"


@dataclass
class ModbusSite:
    """The devices, a broker with a facility that only commands, and the gateway while it runs."""

    product: str = "bidipro-10"
    base_w: Callable[[float], float] = lambda at: 1500.0
    pv_w: float = 0.0
    store: Store = field(default_factory=MemoryStore)
    clock: VirtualClock = field(default_factory=VirtualClock)
    broker: MemoryBroker = field(default_factory=MemoryBroker)
    cables: dict[str, Cable] = field(default_factory=dict)
    received: list[BusMessage] = field(default_factory=list)
    running: Gateway | None = None
    client: MemoryBus | None = None
    highest_grid_w: float = 0.0
    box: Wallbox = field(init=False)
    storage: StoragePlant = field(init=False)

    def __post_init__(self) -> None:
        device, self.box = wallbox(shipped(self.product), self.clock)
        self.storage = StoragePlant(Storage(Pack(PackSpec("storage"), 50.0)))
        measured: dict[Meaning, Measure] = {Meaning.POWER_W: self.grid_w}
        measured |= {Meaning.VOLTAGE_V: lambda at: 230.0, Meaning.FREQUENCY_HZ: lambda at: 50.0}
        exponents = {"m203_v_sf": -1, "m203_hz_sf": -2, "m203_w_sf": 1}
        meter = sunspec_device(
            shipped("sunspec-meter"), [1, 203], Measurements(measured), self.clock, exponents=exponents
        )
        generated = Measurements({Meaning.POWER_W: lambda at: self.pv_w})
        pv = sunspec_device(shipped("sunspec-pv"), [1, 103], generated, self.clock, base=50_000)
        storage = sunspec_device(
            shipped("sunspec-storage"), [1, 701, 702, 713, 704], self.storage, self.clock, base=0,
            exponents={"m713_pct_sf": -1},
        )  # fmt: skip
        for name, one in (("box", device), ("meter", meter), ("pv", pv), ("storage", storage)):
            self.cables[name] = Cable(one)

    @property
    def device(self) -> EmulatedDevice:
        """The emulated wallbox."""
        return self.cables["box"].device

    def car_w(self, at: float) -> float:
        """Return the power of the wallbox."""
        self.box.advance(at)
        return self.box.stage.reading(at).ac_power_w

    def grid_w(self, at: float) -> float:
        """Return what the grid meter measures, + import."""
        return self.base_w(at) + self.car_w(at) - self.pv_w + self.storage.storage.power_w(at)

    def connect_modbus(self, settings: ModbusSettings, product: RegisterMap, clock: Clock) -> Callable[[], Client]:
        """Connect to the device that the address names."""
        return lambda: ModbusClient(self.cables[settings.address].connect, clock)

    @asynccontextmanager
    async def gateway(self, *sections: str, **tables: Any) -> AsyncIterator[Gateway]:
        """Run a gateway with these devices of the site beside the wallbox."""
        entries: dict[str, Any] = {
            "evses": [{"id": EVSE, "driver": "modbus", "product": self.product, "address": "box"}]
        }
        if "meters" in sections:
            entries["meters"] = [{"product": "sunspec", "address": "meter"}]
        if "pvs" in sections:
            entries["pvs"] = [{"product": "sunspec", "address": "pv"}]
        if "storages" in sections:
            entries["storages"] = [{"product": "sunspec", "address": "storage"}]
        table = {
            "site": {"id": "home"},
            "store": {"url": "memory:"},
            "ocpp": {"security_profile": 0},
            **entries,
            **tables,
        }
        parts = Parts(
            clock=self.clock, connect=self._connect, store=self.store, modbus=self.connect_modbus, listen=False, seed=1
        )
        async with gateway(from_table(table), parts) as self.running:
            yield self.running
        self.running = None

    def _connect(self, will: BusMessage) -> AbstractAsyncContextManager[Bus]:
        return self.broker.client("v2x-home-gw1", will=will, clean_start=False, session_expiry_s=60)

    @asynccontextmanager
    async def facility(self) -> AsyncIterator[None]:
        """Connect the facility."""
        async with self.broker.client("facility") as self.client:
            await self.client.subscribe(f"{ROOT}/#")
            receiving = asyncio.get_running_loop().create_task(self._receive(self.client))
            watching = asyncio.get_running_loop().create_task(self._watch())
            try:
                yield
            finally:
                for task in (receiving, watching):
                    task.cancel()
                await asyncio.gather(receiving, watching, return_exceptions=True)

    async def command(self, verb: str, **body: Any) -> str:
        """Send a command to the wallbox; return the status of its first result."""
        assert self.client is not None
        identifier = f"c{len(self.received)}-{self.clock.now():.1f}"
        payload = json.dumps({"id": identifier, "source": "bems", **body}).encode()
        await self.client.publish(BusMessage(f"{ROOT}/evse/{EVSE}/cmd/{verb}", payload, qos=1))
        for _ in range(100):
            await self.clock.sleep(0.1)
            found = [one for one in self.bodies(f"evse/{EVSE}/result") if one["id"] == identifier]
            if found:
                return str(found[0]["status"])
        raise AssertionError(f"no result of {verb}")

    def bodies(self, topic: str) -> list[dict[str, Any]]:
        """Return what was received on a topic."""
        return [json.loads(one.payload) for one in self.received if one.topic == f"{ROOT}/{topic}" and one.payload]

    async def _receive(self, client: MemoryBus) -> None:
        async for message in client.messages():
            self.received.append(replace(message))

    async def _watch(self) -> None:
        while True:
            await self.clock.sleep(0.25)
            self.highest_grid_w = max(self.highest_grid_w, self.grid_w(self.clock.now()))
