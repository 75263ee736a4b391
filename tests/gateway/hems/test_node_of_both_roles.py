"""A gateway whose node is a device for a HEMS and the controller of a V2H box at once, in memory and virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import pytest

from emulators.battery.pack import Pack
from emulators.charger.echonet.box import BOX_EOJ, V2hBox, box_object
from emulators.runtime.clock import VirtualClock
from emulators.runtime.memory_broker import MemoryBroker
from emulators.runtime.memory_echonet import MemoryLan, MemoryNode
from gateway.app import Gateway, Parts, gateway
from gateway.config import from_table
from protocols.echonet.classes import EV_CHARGER_DISCHARGER, object_class
from protocols.echonet.engine import Node
from protocols.echonet.events import Discover, Event, ObjectDescribed, Request, RequestAnswered
from protocols.echonet.frames import CONTROLLER, Eoj, Esv, Property
from protocols.echonet.values import Value
from protocols.ports import Bus, BusMessage

pytestmark = pytest.mark.virtual_time
BOX, GATEWAY, HEMS = "192.0.2.10", "192.0.2.20", "192.0.2.30"
CLASS = object_class(EV_CHARGER_DISCHARGER)
CONFIG = {
    "site": {"id": "home"},
    "store": {"url": "memory:"},
    "evses": [{"id": "BAY", "driver": "echonet", "address": BOX}],
    "echonet": {"device": {"evses": ["BAY"], "lease_s": 60}},
}


class Home:
    """The gateway, the box, and a HEMS."""

    def __init__(self, clock: VirtualClock, lan: MemoryLan) -> None:
        self.clock, self.box, self.events = clock, V2hBox(), list[Event]()
        self.box.connect(Pack(), clock.now())
        self.box_node = lan.node(BOX, Node([box_object(self.box)]))
        self.hems: MemoryNode = lan.node(HEMS, Node(), self._report)

    def _report(self, events: Sequence[Event]) -> None:
        self.events += events

    async def ask(self, esv: Esv, name: str, data: bytes = b"") -> RequestAnswered:
        request = Request(GATEWAY, BOX_EOJ, esv, (Property(CLASS.named(name).epc, data),))
        self.hems.command(request)
        while True:
            for one in self.events:
                if isinstance(one, RequestAnswered) and one.request is request:
                    return one
            await self.clock.sleep(0.05)

    async def get(self, name: str) -> Value | None:
        answered = await self.ask(Esv.GET, name)
        assert answered.answer is not None
        return None if answered.refused else CLASS.named(name).kind.decode(answered.answer.properties[0].data)

    async def set(self, name: str, value: Value) -> bool:
        return not (await self.ask(Esv.SETC, name, CLASS.named(name).kind.encode(value))).refused

    def power_w(self) -> float:
        self.box.advance(self.clock.now())
        return self.box.stage.reading(self.clock.now()).ac_power_w


@asynccontextmanager
async def home() -> AsyncIterator[tuple[Home, Gateway]]:
    clock, broker = VirtualClock(), MemoryBroker()
    lan = MemoryLan(clock)

    def connect(will: BusMessage) -> AbstractAsyncContextManager[Bus]:
        return broker.client("v2x-home-gw1", will=will, clean_start=False, session_expiry_s=60, version=5)

    parts = Parts(clock=clock, connect=connect, listen=False, seed=1, echonet=lambda node, clock, report: lan.node(
        GATEWAY, node, report
    ))  # fmt: skip
    one = Home(clock, lan)
    tasks = [asyncio.create_task(node.run()) for node in (one.box_node, one.hems)]
    try:
        async with gateway(from_table(CONFIG), parts) as running:
            yield one, running
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def test_an_order_of_a_hems_reaches_the_box_and_ends_with_its_lease() -> None:
    async with home() as (one, running):
        one.hems.command(Discover())
        await one.clock.sleep(40)
        described = {(event.node, event.eoj) for event in one.events if isinstance(event, ObjectDescribed)}
        assert described == {(BOX, BOX_EOJ), (GATEWAY, CONTROLLER), (GATEWAY, Eoj(2, 0x7E))}
        assert await one.get("chargeDischargeStatus") == "chargeableDischargeable"
        assert await one.set("dischargingElectricPower", 1800)
        assert await one.set("operationMode", "discharge")
        assert not await one.set("operationMode", "automatic")
        assert 'v2x_hems_refused_total{reason="mode"} 1.0' in running.metrics.render().decode()
        await one.clock.sleep(20)
        assert one.power_w() == pytest.approx(-1800, abs=30)
        assert await one.get("instantaneousElectricPower") == pytest.approx(-1800, abs=30)
        state = running.service.state("BAY")
        assert state is not None
        assert state.command is not None
        assert state.command.source == f"hems {HEMS}"
        await one.clock.sleep(90)
        assert one.power_w() == pytest.approx(0, abs=5)
        assert one.box.settings[0xDA] == "standby"
        assert await one.get("operationMode") == "standby"
