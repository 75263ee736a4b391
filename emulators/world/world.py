"""The parts of a world, joined, and their life: from the start of a scenario to its end.

Everything may be reached into while it lives. What is built stands in `building.py`, what happens in `happenings.py`,
how the parts are joined in `network.py` and `sockets.py`.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

from emulators.charger.hardware.shared_supply import Supply
from emulators.charger.station.csms_link.network_profiles import Connect, NetworkProfile
from emulators.charger.station.station import Station
from emulators.ev.car import Car
from emulators.faults import injector
from emulators.runtime.clock import SkewedClock, VirtualClock
from emulators.runtime.memory_broker import MemoryBroker
from emulators.runtime.pcap import Capture
from emulators.runtime.transcript import Transcript
from emulators.runtime.transports import Link
from emulators.scenario.scenario import Scenario
from emulators.site.build import build_site
from emulators.site.facility import Facility
from emulators.world import build, timeline
from emulators.world.gateway_process import Process
from emulators.world.network import MemoryNetwork, Network
from emulators.world.parking_bay import ParkingBay
from emulators.world.recording import Recording
from emulators.world.sockets import SocketNetwork, Sockets
from gateway.app import Gateway
from gateway.store.memory import MemoryStore
from protocols.ports import BusMessage, TextWire


@dataclass
class World:
    """The parts, joined. `run` lives it; everything may be reached into while it does."""

    scenario: Scenario
    seed: int | None = None
    keep_transcript: bool = True
    fast_forward: bool = False  # leave out charge loops that only repeat
    progress: Callable[[float], None] = lambda part: None
    sockets: Sockets | None = None  # None joins the parts in memory
    beside: World | None = None  # another site of the same town: its time, its broker, its diary
    stations: dict[str, Station] = field(default_factory=dict)
    bays: dict[str, ParkingBay] = field(default_factory=dict)
    cars: dict[str, Car] = field(default_factory=dict)
    captures: dict[str, Capture] = field(default_factory=dict)  # of each EVSE's sessions, with a transcript
    supplies: list[Supply] = field(default_factory=list)  # fuses that several EVSEs share
    gateway: Gateway | None = None

    def __post_init__(self) -> None:
        plan = self.scenario
        if self.sockets is not None and self.fast_forward:
            raise ValueError("charge loops can be left out in memory only, not over sockets")
        build.check_gateway(plan)
        self.seed = plan.seed if self.seed is None else self.seed
        self.clock: VirtualClock = VirtualClock(plan.start.timestamp()) if self.beside is None else self.beside.clock
        self.transcript = Transcript(keep=self.keep_transcript and self.beside is None)
        self.network: Network = MemoryNetwork() if self.sockets is None else SocketNetwork(self.sockets)
        if self.beside is not None:
            self.network = MemoryNetwork(self.beside.broker, f"{plan.gateway.site}-")
        else:
            self.network.published = self._published
        self.store = MemoryStore()
        self.site = build_site(plan, int(self.seed))
        self.parts = injector.Parts(self.clock, broker=self.network.broker, site=self.site, seed=self.seed)
        self.facility = Facility(plan.gateway.site, self.network.facility, self.clock, self.site)
        self.facility.mute = self.parts.mute_inputs
        self.facility.sense_every_s = plan.step
        self.places = dict(plan.cars())  # the EVSE of each car
        self.tasks: set[asyncio.Task[None]] = set()  # of whoever reaches into the world: they end with it
        self._process: Process | None = None
        self._gateway_clock = SkewedClock(self.clock)
        self.parts.clocks["gateway"] = self._gateway_clock
        self.parts.restarts["gateway"] = self.restart_gateway
        for charger in plan.charger:
            build.add_stations(self, charger, self._door)
        for car in plan.car:
            build.add_cars(self, car)
        self.record = Recording(self.site, self.cars, self.bays, self.facility, plan.gateway.min_soc_pct)
        self.record.prices = build.prices(plan)
        self.site.report = self.happened

    @property
    def broker(self) -> MemoryBroker:
        """The broker in memory; AttributeError where a real one is used."""
        if isinstance(self.network, MemoryNetwork):
            return self.network.broker
        raise AttributeError("a world joined by sockets has no broker in memory")

    # Living

    async def run(self) -> None:
        """From the start of the scenario to its end."""
        async with contextlib.AsyncExitStack() as life:
            await life.enter_async_context(self.living())
            await self.clock.sleep(max(0.0, self.scenario.duration - self.clock.now()))

    @contextlib.asynccontextmanager
    async def living(self) -> AsyncIterator[World]:
        """The world lives while this context is entered: for tests that do things of their own to it."""
        async with self.network.opened(), asyncio.TaskGroup() as tasks:
            await self.start_gateway()
            started = [tasks.create_task(self.facility.run(), name="facility")]
            for name, station in self.stations.items():
                started.append(tasks.create_task(station.run(), name=name))
            started.append(tasks.create_task(self._live_site(), name="site"))
            for name, happening in timeline.everything(self):
                started.append(tasks.create_task(happening, name=name))
            try:
                yield self
            finally:
                self.transcript.keep = False  # what follows is the end of the process, in no order
                for task in [*started, *self.tasks]:
                    task.cancel()
                await self._stop_gateway(orderly=True)
                for bay in self.bays.values():
                    await bay.abandon()

    async def _live_site(self) -> None:
        plan, clock = self.scenario, self.clock
        sampled, count = -1.0, 0
        while True:
            count += 1
            await clock.sleep(max(0.0, count * plan.step - clock.now()))
            now, wall = count * plan.step, clock.wall()
            for supply in self.supplies:
                supply.share()
            balance = self.site.step(now, wall, plan.step)
            for bay in self.bays.values():
                bay.glance(now)
            self.record.step(balance, wall, plan.step)
            await self.facility.sense(balance, wall)
            if now - sampled >= plan.sample - 1e-6:
                sampled = now
                self.record.sample(now, balance)
                self.progress(min(1.0, now / plan.duration))

    # The gateway and the way to it

    async def start_gateway(self) -> None:
        """Start it, with what its store remembers."""
        config = build.gateway_config(self.scenario, self.network.settings())
        self._process = Process(config, self._gateway_clock, self.network, self.store, int(self.seed or 0))
        self.gateway = await self._process.start()

    async def _stop_gateway(self, *, orderly: bool = False) -> None:
        """Killed, its links lie in pieces before it knows; `orderly` it is told to stop while it has them."""
        process, self._process, self.gateway = self._process, None, None
        if process is not None and orderly:
            await process.die()
        if process is not None:
            process.dead = True
        for link in self.parts.text_links.values():
            link.cut()
        self.network.lose_gateway()
        if process is not None:
            await process.die()

    async def restart_gateway(self, dark_s: float = 5.0) -> None:
        """Kill it and start it again after a while; its store is what survives."""
        self.happened("gateway", "killed")
        await self._stop_gateway()
        await self.clock.sleep(dark_s)
        await self.start_gateway()
        self.happened("gateway", "started again")

    def _door(self, name: str) -> Connect:
        """How a station reaches the gateway."""

        async def connect(target: NetworkProfile) -> TextWire:
            if self.gateway is None:
                raise ConnectionRefusedError("the gateway is not running")
            link: Link[str] = Link()
            link.spy = lambda sender, text: self.transcript.ocpp(self.clock.now(), name, sender, text)
            self.parts.join_text(name, link)
            return await self.network.station(name, target.version, self.gateway, link)

        return connect

    # What is broken by hand

    async def break_now(self, command: str) -> None:
        """A live command: "<kind> [<target> [<seconds>]]", such as "cut ocpp:CP1". FaultError if that cannot be."""
        await self.begin(timeline.spoken_fault(command, self.clock.now()))

    async def begin(self, fault: injector.Fault) -> None:
        """Let a fault begin now, and end when its time is over; this does not wait for that."""
        await injector.begin(self.parts, fault)
        self.fault_told("begins", fault)
        if fault.duration_s is not None:
            task = asyncio.get_running_loop().create_task(timeline.mend(self, fault, fault.duration_s))
            self.tasks.add(task)
            task.add_done_callback(self.tasks.discard)

    def wake(self) -> None:
        """Something was done to the world from outside: no charge loop that follows is left out unspoken."""
        for bay in self.bays.values():
            bay.wake()

    # What is written down

    def _published(self, client: str, message: BusMessage) -> None:
        text = message.payload.decode("utf-8", "replace")
        self.transcript.add(self.clock.now(), f"mqtt:{message.topic}", client, text)

    def happened(self, what: str, text: str) -> None:
        """A line of the diary, and of the transcript."""
        self.record.note(self.clock.now(), what, text)
        self.transcript.add(self.clock.now(), "world", what, text)

    def fault_told(self, what: str, fault: injector.Fault) -> None:
        """A fault "begins", "ends" or was "missed"."""
        self.wake()
        self.happened("fault", f"{fault.kind} {fault.target} {what}".replace("  ", " "))
