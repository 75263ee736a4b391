"""A device of the driver and an emulated one, connected in memory, in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from emulators.battery.pack import Pack, PackSpec
from emulators.charger.hardware.power_stage import PowerStage, StageSpec
from emulators.modbus.device import EmulatedDevice
from emulators.modbus.wallbox import Wallbox
from emulators.runtime.clock import VirtualClock
from emulators.runtime.transports import Link, MemoryWire, wire_pair
from gateway.drivers.modbus.device import ModbusDevice
from gateway.drivers.modbus.events import DeviceReady, DeviceSilent, Event, ValuesRead
from protocols.modbus.io import Framing, ModbusClient, serve
from protocols.modbus.register_map import RegisterMap, shipped
from protocols.ports import Clock, Wire

WALLBOXES = ("quasar-1", "bidipro-10", "ambibox", "sigenergy-evdc")


@dataclass
class Cable:
    """Connections to an emulated device; each has a new stream."""

    device: EmulatedDevice
    framing: Framing = Framing.TCP
    link: Link[bytes] = field(default_factory=Link)
    open: bool = True
    opened: int = 0
    tasks: list[asyncio.Task[None]] = field(default_factory=list)
    _ends: list[MemoryWire] = field(default_factory=list)

    async def connect(self) -> Wire:
        """Open a stream. Raises ConnectionError while the cable is cut."""
        if not self.open:
            raise ConnectionError("no route to the device")
        self.opened += 1
        near, far = wire_pair("gateway", "device", link=self.link)
        self._ends = [near, far]
        task = asyncio.get_running_loop().create_task(serve(far, self.device.handle, self.framing))
        self.tasks.append(task)
        return near

    def cut(self) -> None:
        """End the connection, and allow no other."""
        self.open = False
        self.link.cut()
        for task in self.tasks:
            task.cancel()

    def restore(self) -> None:
        """Allow connections again."""
        self.open, self.link = True, Link(tamper=self.link.tamper)


@dataclass
class Bench:
    """The driver's device, the emulated one, and the events of the driver."""

    driver: ModbusDevice
    cable: Cable
    events: list[Event]
    clock: Clock

    @property
    def device(self) -> EmulatedDevice:
        """The emulated device."""
        return self.cable.device

    def of(self, kind: type[Event]) -> list[Event]:
        """Return the events of a kind."""
        return [event for event in self.events if isinstance(event, kind)]

    @property
    def silences(self) -> list[str]:
        """Reasons of the silences reported."""
        return [event.reason for event in self.events if isinstance(event, DeviceSilent)]

    @property
    def rounds(self) -> list[ValuesRead]:
        """Values read."""
        return [event for event in self.events if isinstance(event, ValuesRead)]

    async def until_ready(self, within_s: float = 60.0) -> None:
        """Wait until the device is set up."""
        known = len(self.of(DeviceReady))
        async with asyncio.timeout(within_s):
            while len(self.of(DeviceReady)) == known:
                await self.clock.sleep(0.1)


@asynccontextmanager
async def connected(
    device: EmulatedDevice, product: RegisterMap, framing: Framing = Framing.TCP
) -> AsyncIterator[Bench]:
    """Run the driver against an emulated device."""
    clock = device.clock
    cable = Cable(device, framing)
    events: list[Event] = []
    driver = ModbusDevice(product, ModbusClient(cable.connect, clock, framing), clock, events.append)
    running = asyncio.get_running_loop().create_task(driver.run())
    try:
        yield Bench(driver, cable, events, clock)
    finally:
        for task in (running, *cable.tasks):
            task.cancel()
        await asyncio.gather(running, *cable.tasks, return_exceptions=True)


def wallbox(product: RegisterMap, clock: Clock, soc_pct: float = 60.0) -> tuple[EmulatedDevice, Wallbox]:
    """Return an emulated wallbox with a vehicle connected."""
    spec = StageSpec(
        max_charge_w=product.max_charge_w or 12_500.0,
        max_discharge_w=product.max_discharge_w or 12_500.0,
        ramp_w_per_s=20_000.0,
    )
    plant = Wallbox(product, PowerStage(spec))
    plant.connect(Pack(PackSpec("wallbox"), soc_pct), clock.now())
    return EmulatedDevice(product, plant, clock), plant


@asynccontextmanager
async def wallbox_bench(name: str, framing: Framing = Framing.TCP) -> AsyncIterator[tuple[Bench, Wallbox]]:
    """Run the driver against an emulated wallbox, set up."""
    product = shipped(name)
    device, plant = wallbox(product, VirtualClock())
    async with connected(device, product, framing) as bench:
        await bench.until_ready()
        yield bench, plant
