"""The driver of a storage battery and an emulated one on a network in memory, in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from emulators.echonet.home import Home
from emulators.echonet.plant import device
from emulators.echonet.run import BoxOptions, create, create_home
from emulators.echonet.storage_battery import StorageBattery
from emulators.runtime.clock import VirtualClock
from emulators.runtime.memory_echonet import Flight, MemoryLan
from gateway.drivers.echonet.finding import ObjectLink
from gateway.drivers.echonet.network import EchonetNetwork
from gateway.drivers.echonet.site import EchonetSiteObjects
from gateway.drivers.echonet.site_object import SiteObject
from gateway.drivers.site_inputs import SiteInputs
from gateway.model.site import InputKind
from protocols.echonet.classes import STORAGE_BATTERY, object_class
from protocols.echonet.engine import Node
from protocols.echonet.frames import Esv, Frame
from protocols.echonet.values import Value

BATTERY, GATEWAY = "192.0.2.11", "192.0.2.20"
CLASS = object_class(STORAGE_BATTERY)
DA, C1, C2, EB, EC, DB = 0xDA, 0xC1, 0xC2, 0xEB, 0xEC, 0xDB


class FaultyBattery(StorageBattery):
    """A battery that acknowledges some settings and keeps its value, or refuses some values."""

    keeps: frozenset[int] = frozenset()
    refuses: frozenset[Value | int] = frozenset()  # values of the mode, and properties
    independent = False

    def read(self, epc: int, now: float) -> Value | None:
        return "independent" if epc == DB and self.independent else super().read(epc, now)

    def write(self, epc: int, value: Value, now: float) -> bool:
        if epc in self.keeps:
            return True
        if epc in self.refuses or (epc == DA and value in self.refuses):
            return False
        return super().write(epc, value, now)


@dataclass
class StorageBench:
    """One battery, its driver, and the set-point of energy management."""

    battery: FaultyBattery
    home: Home
    clock: VirtualClock
    lan: MemoryLan
    driver: EchonetSiteObjects
    inputs: list[bytes]
    storage_w: float | None = None
    answer_s: float = 0.002
    silent: bool = False
    deaf: bool = False
    loss: Callable[[Frame], bool] = field(default=lambda frame: False)

    @property
    def power_w(self) -> float:
        """Power of the battery, + charge."""
        self.home.advance(self.clock.now())
        assert self.home.storage is not None
        return self.home.storage.power_w(self.clock.now())

    @property
    def mode(self) -> Value:
        return self.battery.settings[DA]

    @property
    def follower(self) -> asyncio.Task[None]:
        """The task that orders what energy management wants."""
        return next(task for task in asyncio.all_tasks() if task.get_name() == "storage storages.0")

    def writes(self) -> list[tuple[int, Value]]:
        """Return what the gateway has set."""
        flights = [one for one in self.lan.trace if one.sender == GATEWAY and not one.multicast]
        frames = [Frame.decode(one.data) for one in flights]
        rules = CLASS.properties()
        return [
            (one.epc, rules[one.epc].kind.decode(one.data))
            for frame in frames
            if frame.esv is Esv.SETC
            for one in frame.properties
        ]

    async def until(self, what: str, reached: Callable[[], object], within_s: float = 60.0) -> float:
        """Wait in steps of virtual time; return how long it took."""
        began = self.clock.now()
        while not reached():
            assert self.clock.now() < began + within_s, f"{what} after {within_s} s: {self.mode!r} {self.power_w}"
            await self.clock.sleep(0.2)
        return self.clock.now() - began


@asynccontextmanager
async def storage_bench(
    release: str = "R", *, controlled: bool = True, omitted: Collection[int] = ()
) -> AsyncIterator[StorageBench]:
    """Run the driver; `omitted`: properties that cannot be set."""
    clock = VirtualClock()
    options = BoxOptions(beside=("storage",), car="")
    home = create_home(options, create(options, clock.now()), clock.wall() - clock.now())
    assert home.storage is not None
    battery = FaultyBattery(home, home.storage, release)
    settable = None if not omitted else {0x81, 0x97, 0x98, 0xAA, 0xAB, DA, C1, C2, EB, EC} - {*omitted}
    made = device(STORAGE_BATTERY, battery, release, settable=settable)
    lan = MemoryLan(clock)
    bodies: list[bytes] = []
    network = EchonetNetwork(Node(), lambda node, clock, report: lan.node(GATEWAY, node, report), clock)
    inputs = SiteInputs(lambda kind, body: bodies.append(body), clock)
    one = SiteObject("storages.0", InputKind.STORAGE, ObjectLink([STORAGE_BATTERY], BATTERY))
    driver = EchonetSiteObjects(
        [one], network, inputs, clock, storage_w=(lambda: bench.storage_w) if controlled else None
    )
    bench = StorageBench(battery, home, clock, lan, driver, bodies)

    def tamper(flight: Flight) -> list[tuple[float, bytes]]:
        to_battery = flight.receiver == BATTERY
        lost = bench.loss(Frame.decode(flight.data)) or (bench.deaf if to_battery else bench.silent)
        return [] if lost else [(0.001 if to_battery else bench.answer_s, flight.data)]

    lan.tamper = tamper
    node = lan.node(BATTERY, Node([made]))
    loop = asyncio.get_running_loop()
    tasks = [loop.create_task(run) for run in (node.run(), network.run(), driver.run())]
    try:
        await bench.until("the input", lambda: one.values)
        yield bench
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
