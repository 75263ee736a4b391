"""The driver and emulated V2H boxes on a network in memory, in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

from emulators.battery.pack import Pack, PackSpec
from emulators.charger.echonet.box import BOX_EOJ, Ratings, V2hBox, box_object
from emulators.runtime.clock import VirtualClock
from emulators.runtime.memory_echonet import Flight, MemoryLan
from gateway.drivers.echonet.evse import EchonetEvse
from gateway.drivers.echonet.finding import ObjectLink
from gateway.drivers.echonet.network import EchonetNetwork
from gateway.drivers.echonet.profile import BoxProfile
from gateway.drivers.echonet.session import BoxSession
from gateway.model import event as model
from protocols.echonet.classes import EV_CHARGER_DISCHARGER, object_class
from protocols.echonet.engine import Node
from protocols.echonet.frames import EchonetFrameError, Eoj, Esv, Frame
from protocols.echonet.objects import LocalObject
from protocols.echonet.values import Value

BOX, GATEWAY, STRANGER = "192.0.2.10", "192.0.2.20", "192.0.2.66"
CLASS = object_class(EV_CHARGER_DISCHARGER)
REQUESTS = (Esv.SETC, Esv.SETI, Esv.GET, Esv.SETGET, Esv.INF_REQ)
E = TypeVar("E", bound=model.Event)


def epc_of(name: str) -> int:
    return CLASS.named(name).epc


@dataclass
class Faults:
    """Faults of the box towards the gateway."""

    answer_s: float = 0.002
    silent: bool = False  # receives and does not answer
    deaf: bool = False  # receives nothing
    loss: Callable[[Frame], bool] = lambda frame: False


@dataclass
class Bench:
    """One box, the gateway's network and its EVSE."""

    box: V2hBox
    clock: VirtualClock
    lan: MemoryLan
    network: EchonetNetwork
    evse: EchonetEvse
    faults: Faults
    events: list[model.Event] = field(default_factory=list)
    pack: Pack = field(default_factory=lambda: Pack(PackSpec("leaf"), 60.0))

    def of(self, kind: type[E]) -> list[E]:
        """Return the events of a kind."""
        return [one for one in self.events if isinstance(one, kind)]

    @property
    def power_w(self) -> float:
        """Power of the box, + into the vehicle."""
        now = self.clock.now()
        self.box.advance(now)
        return self.box.stage.reading(now).ac_power_w

    @property
    def mode(self) -> Value:
        return self.box.settings[0xDA]

    def sent(self, *services: Esv) -> list[tuple[float, Frame]]:
        """Return the requests of the gateway to the box, with their times."""
        wanted = services or REQUESTS
        flights = [one for one in self.lan.trace if (one.sender, one.receiver) == (GATEWAY, BOX) and not one.multicast]
        found = [(one.at, Frame.decode(one.data)) for one in flights]
        return [(at, frame) for at, frame in found if frame.esv in wanted]

    def writes(self) -> list[tuple[str, Value]]:
        """Return what the gateway has set, by short name."""
        found = []
        for _, frame in self.sent(Esv.SETC):
            for one in frame.properties:
                rule = CLASS.properties()[one.epc]
                found.append((rule.name, rule.kind.decode(one.data)))
        return found

    async def until(self, what: str, reached: Callable[[], object], within_s: float = 60.0) -> float:
        """Wait in steps of virtual time; return how long it took."""
        began = self.clock.now()
        while not reached():
            assert self.clock.now() < began + within_s, f"{what} after {within_s} s; {self.events[-5:]}"
            await self.clock.sleep(0.1)
        return self.clock.now() - began

    def most_pending(self) -> int:
        """Return the most requests that the box had at once, but for discovery, which is multicast."""
        most = 0
        pending: dict[int, float] = {}
        within_s = self.evse.control.profile.answer_within_s
        for one in self.lan.trace:
            try:
                frame = Frame.decode(one.data)
            except EchonetFrameError:
                continue
            pending = {tid: at for tid, at in pending.items() if at + within_s > one.at + 1e-6}
            if (one.sender, one.receiver) == (GATEWAY, BOX) and frame.esv in REQUESTS and not one.multicast:
                pending[frame.tid] = one.at
                most = max(most, len(pending))
            elif (one.sender, one.receiver) == (BOX, GATEWAY):
                pending.pop(frame.tid, None)
        return most


@asynccontextmanager
async def bench(
    box: V2hBox | None = None,
    *,
    plugged: bool = True,
    profile: BoxProfile | None = None,
    link: ObjectLink | None = None,
    made: Callable[[V2hBox], LocalObject] = box_object,
    most_w: float | None = None,
    ready: bool = True,
    **ratings: Any,
) -> AsyncIterator[Bench]:
    """Run the driver against an emulated box."""
    clock = VirtualClock()
    box = box or V2hBox(Ratings(**ratings))
    lan, faults = MemoryLan(clock), Faults()
    events: list[model.Event] = []
    network = EchonetNetwork(Node(), lambda node, clock, report: lan.node(GATEWAY, node, report), clock)
    found = link or ObjectLink([EV_CHARGER_DISCHARGER], BOX)
    session = BoxSession("BAY", "V2H box", None, most_w)
    evse = EchonetEvse(session, found, profile or BoxProfile(), network, events.append, clock)
    one = Bench(box, clock, lan, network, evse, faults, events)
    lan.tamper = _tamper(faults)
    if plugged:
        box.connect(one.pack, clock.now())
    node = lan.node(BOX, Node([made(box)]))
    tasks = [asyncio.get_running_loop().create_task(run) for run in (node.run(), network.run(), evse.run())]
    try:
        if ready:
            await one.until("the box", lambda: evse.connected)
        yield one
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _tamper(faults: Faults) -> Callable[[Flight], list[tuple[float, bytes]]]:
    def arrivals(flight: Flight) -> list[tuple[float, bytes]]:
        to_box = flight.receiver == BOX
        frame = Frame.decode(flight.data)
        if faults.loss(frame) or (to_box and faults.deaf) or (not to_box and faults.silent):
            return []
        return [(0.001 if to_box else faults.answer_s, flight.data)]

    return arrivals


__all__ = ["BOX", "BOX_EOJ", "GATEWAY", "STRANGER", "Bench", "Eoj", "Faults", "bench", "epc_of"]
