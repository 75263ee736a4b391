"""A gateway whose V2H box, storage, PV and meters are objects of one node, in memory and in virtual time."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from emulators.charger.echonet.box import V2hBox, box_object
from emulators.echonet.home import Home
from emulators.echonet.run import BESIDE, BoxOptions, create, create_home
from emulators.runtime.clock import VirtualClock
from emulators.runtime.memory_broker import MemoryBroker, MemoryBus
from emulators.runtime.memory_echonet import MemoryLan, MemoryNode
from gateway.app import Gateway, Parts, gateway
from gateway.config import from_table
from gateway.store.store import MemoryStore, Store
from protocols.echonet.engine import Node
from protocols.echonet.events import Event
from protocols.ports import Bus, BusMessage, Clock

ROOT, EVSE = "v2x/1/home", "BOX"
BOX, GATEWAY = "192.0.2.10", "192.0.2.20"


@dataclass
class EchonetHome:
    """The home, a broker with a facility that only commands, and the gateway while it runs."""

    options: BoxOptions = field(default_factory=lambda: BoxOptions(beside=tuple(BESIDE), car="ccs-63"))
    store: Store = field(default_factory=MemoryStore)
    clock: VirtualClock = field(default_factory=VirtualClock)
    broker: MemoryBroker = field(default_factory=MemoryBroker)
    received: list[BusMessage] = field(default_factory=list)
    client: MemoryBus | None = None
    box: V2hBox = field(init=False)
    home: Home = field(init=False)
    lan: MemoryLan = field(init=False)

    def __post_init__(self) -> None:
        self.box = create(self.options, self.clock.now())
        self.home = create_home(self.options, self.box, self.clock.wall() - self.clock.now())
        self.lan = MemoryLan(self.clock)

    @property
    def car_w(self) -> float:
        """Power of the box."""
        self.home.advance(self.clock.now())
        return self.box.stage.reading(self.clock.now()).ac_power_w

    def open_node(self, node: Node, clock: Clock, report: Callable[[Sequence[Event]], None]) -> MemoryNode:
        """Join the gateway to the network."""
        return self.lan.node(GATEWAY, node, report)

    @asynccontextmanager
    async def gateway(self, **tables: Any) -> AsyncIterator[Gateway]:
        """Run the devices, the facility and a gateway with these tables of the configuration."""
        objects = [box_object(self.box), *(BESIDE[name](self.home) for name in self.options.beside)]
        node = self.lan.node(BOX, Node(objects))
        table = {
            "site": {"id": "home"},
            "store": {"url": "memory:"},
            "ocpp": {"security_profile": 0},
            "evses": [{"id": EVSE, "driver": "echonet", "address": BOX}],
            **tables,
        }
        parts = Parts(
            clock=self.clock, connect=self._connect, store=self.store, echonet=self.open_node, listen=False, seed=1
        )
        loop = asyncio.get_running_loop()
        async with self.broker.client("facility") as self.client:
            await self.client.subscribe(f"{ROOT}/#")
            tasks = [loop.create_task(node.run()), loop.create_task(self._receive(self.client))]
            try:
                async with gateway(from_table(table), parts) as running:
                    yield running
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)

    def _connect(self, will: BusMessage) -> AbstractAsyncContextManager[Bus]:
        return self.broker.client("v2x-home-gw1", will=will, clean_start=False, session_expiry_s=60)

    async def _receive(self, client: MemoryBus) -> None:
        async for message in client.messages():
            self.received.append(message)

    def bodies(self, topic: str) -> list[dict[str, Any]]:
        """Return what was received on a topic."""
        return [json.loads(one.payload) for one in self.received if one.topic == f"{ROOT}/{topic}" and one.payload]

    def in_session(self) -> bool:
        """Return whether the box has a vehicle in session, as published."""
        states = self.bodies(f"evse/{EVSE}/state")
        return bool(states) and states[-1]["session_state"] == "in_session"

    async def command(self, verb: str, **body: Any) -> list[dict[str, Any]]:
        """Send a command to the box; return its results of the next seconds."""
        assert self.client is not None
        identifier = f"c{len(self.received)}"
        payload = json.dumps({"id": identifier, "source": "bems", **body}).encode()
        await self.client.publish(BusMessage(f"{ROOT}/evse/{EVSE}/cmd/{verb}", payload, qos=1))
        await self.clock.sleep(10)
        return [one for one in self.bodies(f"evse/{EVSE}/result") if one["id"] == identifier]

    async def until(self, what: str, reached: Callable[[], object], within_s: float = 60.0) -> None:
        """Wait in steps of virtual time."""
        began = self.clock.now()
        while not reached():
            assert self.clock.now() < began + within_s, what
            await self.clock.sleep(0.2)
