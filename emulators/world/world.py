"""World: an emulated site with its gateway, from the start of a scenario to its end.

The parts are built in `builders/`, connected in `network.py` and `sockets.py`, and driven by `timeline.py`.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Sequence

from emulators.charger.station.csms_link.network_profiles import Connect, NetworkProfile
from emulators.faults import injector
from emulators.faults.fault import Fault
from emulators.runtime.clock import SkewedClock, VirtualClock
from emulators.runtime.memory_broker import MemoryBroker
from emulators.runtime.memory_echonet import MemoryLan, MemoryNode
from emulators.runtime.transcript import Transcript
from emulators.runtime.transports import Link
from emulators.scenario.scenario import Scenario
from emulators.world import timeline
from emulators.world.builders.gateway import check_gateway, gateway_config, inverters
from emulators.world.builders.stations import add_cars, add_hosted, add_stations
from emulators.world.echonet_bay import GATEWAY_ADDRESS, EchonetBay, box_addresses
from emulators.world.emulated_site import EmulatedSite
from emulators.world.gateway_process import GatewayProcess
from emulators.world.hosted_bay import HostedBay
from emulators.world.hosted_chademo_bay import HostedChademoBay
from emulators.world.inverter import Inverter
from emulators.world.modbus_bay import ModbusBay
from emulators.world.network import MemoryNetwork, Network
from emulators.world.sockets import SocketNetwork, Sockets
from gateway.app import Gateway, Parts
from gateway.store.store import MemoryStore
from protocols.echonet.engine import Node
from protocols.echonet.events import Event
from protocols.ports import BusMessage, Clock, TextWire, Wire


class World(EmulatedSite):
    """An emulated site with its gateway. `run` executes the scenario; `running` leaves the time to the caller.

    `leader` is another site of the same multi-site scenario, whose clock, broker and transcript this one uses;
    `network` replaces the connections in memory of a site of its own.
    """

    def __init__(
        self,
        scenario: Scenario,
        seed: int | None = None,
        *,
        keep_transcript: bool = True,
        fast_forward: bool = False,
        progress: Callable[[float], None] = lambda fraction: None,
        sockets: Sockets | None = None,
        leader: World | None = None,
        network: MemoryNetwork | None = None,
    ) -> None:
        if sockets is not None and fast_forward:
            raise ValueError("charge loops can be skipped with transports in memory only, not over sockets")
        check_gateway(scenario)
        connections: Network
        if leader is not None:
            connections = MemoryNetwork(leader.broker, f"{scenario.gateway.site}-")
        elif sockets is not None:
            connections = SocketNetwork(sockets, self._record_published)
        else:
            connections = network or MemoryNetwork(MemoryBroker())
            connections.broker.on_published = self._record_published
        super().__init__(
            scenario,
            scenario.seed if seed is None else seed,
            VirtualClock(scenario.start.timestamp()) if leader is None else leader.clock,
            Transcript(keep=keep_transcript and leader is None),
            connections,
            fast_forward,
            tls=sockets is not None and sockets.tls,
        )
        self.transports = "memory" if sockets is None else "sockets"
        self.gateway: Gateway | None = None
        self.lan = MemoryLan(self.clock)  # of V2H boxes over ECHONET Lite
        arrays = zip(inverters(scenario.site), self.site.pv, strict=False)
        self.inverters = {name: Inverter(array, self.clock) for name, array in arrays}
        self._progress = progress
        self._store = MemoryStore()
        self._process: GatewayProcess | None = None
        self._gateway_clock = SkewedClock(self.clock)
        self.injection_points.add_process("gateway", self._gateway_clock, self.restart_gateway)
        for charger in scenario.charger:
            if charger.hosted:
                add_hosted(self, charger, self._connect_hosted)
            else:
                add_stations(self, charger, self._station_connect)
        for car in scenario.car:
            add_cars(self, car)

    @property
    def broker(self) -> MemoryBroker:
        """The broker in memory; AttributeError where a real one is used."""
        if isinstance(self.network, MemoryNetwork):
            return self.network.broker
        raise AttributeError("a world connected by sockets has no broker in memory")

    async def run(self) -> None:
        """Run from the start of the scenario to its end."""
        async with self.running():
            await self.clock.sleep(max(0.0, self.scenario.duration - self.clock.now()))

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[World]:
        """Run the world and its timeline while the context is entered; the caller lets the time pass."""
        async with self.network.opened(), asyncio.TaskGroup() as tasks:
            await self.start_gateway()
            started = [tasks.create_task(self.facility.run(), name="facility")]
            for name, station in self.stations.items():
                started.append(tasks.create_task(station.run(), name=name))
            started.append(tasks.create_task(self._run_site(), name="site"))
            for name, step in timeline.steps(self):
                started.append(tasks.create_task(step, name=name))
            try:
                yield self
            finally:
                self.recording.close(self.clock.now())
                self.transcript.keep = False  # the shutdown has no deterministic order
                for task in [*started, *self.tasks]:
                    task.cancel()
                await self._stop_gateway(graceful=True)
                for bay in self.bays.values():
                    await bay.abandon()

    async def _run_site(self) -> None:
        scenario, clock = self.scenario, self.clock
        sampled, count = -1.0, 0
        while True:
            count += 1
            await clock.sleep(max(0.0, count * scenario.step - clock.now()))
            now, wall = count * scenario.step, clock.wall()
            for supply in self.supplies:
                supply.share()
            balance = self.site.step(now, wall, scenario.step)
            for bay in self.bays.values():
                bay.update(now)
            for inverter in self.inverters.values():
                inverter.update(now)
            self.recording.step(balance, wall, scenario.step)
            await self.facility.sense(balance, wall)
            if now - sampled >= scenario.sample - 1e-6:
                sampled = now
                self.recording.sample(now, balance)
                self._progress(min(1.0, now / scenario.duration))

    # Gateway

    async def start_gateway(self) -> None:
        """Start the gateway with the present content of its store."""
        config = gateway_config(self.scenario, self.network.settings())
        boards = {bay.evse: bay.board for bay in self.bays.values() if isinstance(bay, HostedBay)}
        buses = {bay.evse: bay.open_bus for bay in self.bays.values() if isinstance(bay, HostedChademoBay)}
        parts = Parts(self._gateway_clock, echonet=self._open_node, boards=boards, buses=buses, seed=self.seed)
        self._process = GatewayProcess(config, parts, self.network, self._store, self._open_device)
        self.gateway = await self._process.start()

    async def _stop_gateway(self, *, graceful: bool = False) -> None:
        """Kill the gateway: its connections are cut before it can react. `graceful`: stop it while it has them."""
        process, self._process, self.gateway = self._process, None, None
        if process is not None and graceful:
            await process.stop()
        if process is not None:
            process.killed = True
        for bay in self.bays.values():
            if isinstance(bay, HostedBay):
                bay.kill_driver()
        for link in self.injection_points.text_links.values():
            link.cut()
        for device_link in self.injection_points.device_links.values():
            device_link.cut()
        self.lan.cut.add(GATEWAY_ADDRESS)
        self.network.disconnect_gateway()
        if process is not None:
            await process.stop()

    async def restart_gateway(self, downtime_s: float = 5.0) -> None:
        """Kill the gateway and start it again after a while; only its store survives."""
        self.record_event("gateway", "killed")
        await self._stop_gateway()
        await self.clock.sleep(downtime_s)
        await self.start_gateway()
        self.record_event("gateway", "started again")

    def _station_connect(self, name: str) -> Connect:
        """Return the function by which a station connects to the gateway."""

        def record(sender: str, text: str) -> None:
            self.transcript.ocpp(self.clock.now(), name, sender, text)

        async def connect(target: NetworkProfile) -> TextWire:
            if self.gateway is None:
                raise ConnectionRefusedError("the gateway is not running")
            link: Link[str] = Link(on_write=record)
            self.injection_points.attach_station(name, link)
            return await self.network.station(name, target.version, self.gateway, link)

        return connect

    async def _connect_hosted(self, evse: str, link: Link[bytes]) -> Wire:
        """Connect a vehicle to the gateway, which hosts the EVSE."""
        if self.gateway is None:
            raise ConnectionRefusedError("the gateway is not running")
        return await self.network.hosted(evse, self.gateway, link)

    async def _open_device(self, name: str) -> Wire:
        """Connect the gateway to a device over Modbus: a wallbox, or the inverter of an array."""
        bay = self.bays.get(name)
        device = bay.device if isinstance(bay, ModbusBay) else self.inverters[name].device
        link: Link[bytes] = Link()
        self.injection_points.attach_device(name, link)
        return await self.network.modbus(name, device, link)

    def _open_node(self, node: Node, clock: Clock, report: Callable[[Sequence[Event]], None]) -> MemoryNode:
        """Join the gateway to the network of the V2H boxes, which are switched on with it."""
        for evse, address in box_addresses(self.scenario).items():
            bay = self.bays[evse]
            if address not in self.lan.nodes and isinstance(bay, EchonetBay):
                box = self.lan.node(address, bay.node)
                self.tasks.add(asyncio.get_running_loop().create_task(box.run(), name=f"echonet {evse}"))
        self.lan.cut.discard(GATEWAY_ADDRESS)
        return self.lan.node(GATEWAY_ADDRESS, node, report)

    # Live faults

    async def inject_command(self, command: str) -> None:
        """Inject the fault of a live command, such as "cut ocpp:CP1"; FaultError if it is invalid."""
        await self.inject(injector.parse_fault(command, self.clock.now()))

    async def inject(self, fault: Fault) -> None:
        """Begin a fault now; it ends after its duration, for which this does not wait."""
        await injector.begin(self.injection_points, fault)
        self.record_fault("begins", fault)
        if fault.duration_s is not None:
            task = asyncio.get_running_loop().create_task(timeline.end_fault(self, fault, fault.duration_s))
            self.tasks.add(task)
            task.add_done_callback(self.tasks.discard)

    def _record_published(self, client: str, message: BusMessage) -> None:
        text = message.payload.decode("utf-8", "replace")
        self.transcript.add(self.clock.now(), f"mqtt:{message.topic}", client, text)
