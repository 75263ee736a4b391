"""A HEMS at the gateway's node, in memory and virtual time; values by their short names."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from gateway.hems.device import HemsDevice
from gateway.hems.settings import HemsSettings, Plug, SiteObject
from gateway.model.site import SitePolicy
from gateway.store.store import Store
from protocols.echonet.classes import EV_CHARGER_DISCHARGER, object_class
from protocols.echonet.engine import Node, NodeSettings
from protocols.echonet.events import Announce
from protocols.echonet.frames import CONTROLLER, Eoj, Esv, Frame, Property
from protocols.echonet.values import Value
from tests.gateway.commands.rig import POLICY, ServiceRig, service_rig

EVSE, HEMS, OTHER = "CP1-1", "192.0.2.20", "192.0.2.30"
OBJECT = Eoj(0x02, 0x7E)
STORAGE, PV, BOARD = Eoj(0x02, 0x7D), Eoj(0x02, 0x79), Eoj(0x02, 0x87)
SITE = (SiteObject.STORAGE, SiteObject.PV, SiteObject.BOARD)
CLASS = object_class(EV_CHARGER_DISCHARGER)


@dataclass
class HemsBench:
    """The service, the gateway as a device, and what it has sent."""

    rig: ServiceRig
    device: HemsDevice
    sent: list[tuple[str | None, Frame]] = field(default_factory=list)

    def ask(self, frame: Frame, sender: str = HEMS) -> Frame | None:
        """Return the answer to a frame, None without any."""
        events = self.device.node.receive(frame.encode(), sender, self.rig.clock.now())
        for one in events:
            self.device.report(one)
        found = self.collect()
        return next((one for to, one in found if to == sender), None)

    def collect(self) -> list[tuple[str | None, Frame]]:
        """Return the datagrams that the node sends now."""
        found = [(one.destination, Frame.decode(one.data)) for one in self.device.node.data_to_send()]
        self.sent += found
        return found

    def get(self, name: str, eoj: Eoj = OBJECT, sender: str = HEMS) -> Value | None:
        """Return a value, None where it has none."""
        rule = object_class(eoj.class_code).named(name)
        answer = self.ask(Frame(1, CONTROLLER, eoj, Esv.GET, (Property(rule.epc),)), sender)
        assert answer is not None
        return rule.kind.decode(answer.properties[0].data) if answer.esv is Esv.GET_RES else None

    def set(self, name: str, value: Value, sender: str = HEMS) -> bool:
        """Set a value; return whether the gateway accepts it."""
        rule = CLASS.named(name)
        answer = self.ask(
            Frame(1, CONTROLLER, OBJECT, Esv.SETC, (Property(rule.epc, rule.kind.encode(value)),)), sender
        )
        assert answer is not None
        return answer.esv is Esv.SET_RES

    def order(self, *values: tuple[str, Value], sender: str = HEMS) -> list[bool]:
        """Set values one after the other."""
        return [self.set(name, value, sender) for name, value in values]

    async def wait(self, seconds: float) -> None:
        """Let time pass; what changes is announced."""
        end = self.rig.clock.now() + seconds
        while self.rig.clock.now() < end:
            await self.rig.clock.sleep(min(0.5, end - self.rig.clock.now()))
            for one in self.device.node.expire(self.rig.clock.now()):
                self.device.report(one)
            self.collect()

    def announced(self, name: str) -> list[Value]:
        """Return the values of a property in announcements."""
        rule = CLASS.named(name)
        return [
            rule.kind.decode(one.data)
            for to, frame in self.sent
            if to is None and frame.esv is Esv.INF and frame.source == OBJECT
            for one in frame.properties
            if one.epc == rule.epc
        ]

    @property
    def power_w(self) -> float:
        return self.rig.power(EVSE)


@asynccontextmanager
async def hems_bench(
    *,
    policy: SitePolicy = POLICY,
    plugged: bool = True,
    lease_s: float = 180.0,
    controllers: frozenset[str] = frozenset(),
    requests_per_s: float = 50.0,
    store: Store | None = None,
) -> AsyncIterator[HemsBench]:
    """Run a service with one EVSE that is object 027E01."""
    async with service_rig(EVSE, policy=policy, plugged=plugged, store=store) as running:
        node = Node(settings=NodeSettings(finds=False, requests_per_s=requests_per_s, controllers=controllers))
        chosen = HemsSettings((EVSE,), SITE, lease_s, plug=Plug.CHADEMO)
        device = HemsDevice(running.service, chosen, running.clock, node)
        task = asyncio.create_task(device.run())
        bench = HemsBench(running, device)
        await bench.wait(1.5)  # values are known before the first comparison
        device.node.command(Announce(), running.clock.now())
        try:
            yield bench
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
