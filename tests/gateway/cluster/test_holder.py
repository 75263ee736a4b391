"""The holder of a site whose event loop and NATS are slow: what it sends arrives while its lease lasts."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest
from starlette.types import ASGIApp, Receive, Scope, Send

from emulators.runtime.clock import VirtualClock
from emulators.runtime.transports import text_wire_pair
from gateway.cluster.connections import SiteConnections
from gateway.cluster.control import End, LeaseView, SiteControl
from gateway.cluster.io import ClusterError, Record, WrongRevision
from gateway.cluster.lease import Timing
from gateway.cluster.messages import Attach, Close, Done, Down, Failed, HttpRequest, Message, Noticed, Resync
from gateway.cluster.site import CHECKED_EVERY_S, SiteNode
from protocols.ports import TextWire

pytestmark = pytest.mark.virtual_time
TIMING = Timing.of(5.0)
SLOW = (
    0.45 * TIMING.valid_s
)  # of a renewal: the next one is sent when it is answered, so that twice that is just in time
MESSAGES = 100


@dataclass
class Records:
    """Leases and owners in memory. A write takes `write_s`, or fails at once."""

    write_s: float = 0.0
    fails: bool = False
    writes: int = 0
    revision: int = 0
    found: dict[str, Record] = field(default_factory=dict)

    async def update(self, key: str, value: bytes, last: int) -> int:
        self.writes += 1
        if self.fails:
            raise ClusterError("NATS is not connected")
        await asyncio.sleep(self.write_s)
        present = self.found.get(key)
        if last != (0 if present is None else present.revision):
            raise WrongRevision(key)
        return await self.put(key, value)

    async def put(self, key: str, value: bytes) -> int:
        self.revision += 1
        self.found[key] = Record(key, value, self.revision)
        return self.revision

    async def get(self, key: str) -> Record | None:
        return self.found.get(key)

    async def delete(self, key: str, last: int) -> None:
        self.found.pop(key, None)


@dataclass
class Cluster:
    """The holder `gw1` and an instance `gw2` with connections. A message between them takes `way_s`."""

    clock: VirtualClock = field(default_factory=VirtualClock)
    leases: Records = field(default_factory=Records)
    owners: Records = field(default_factory=Records)
    way_s: float = 0.0
    wires: list[TextWire] = field(default_factory=list)  # served by the holder

    def __post_init__(self) -> None:
        self.holder = SiteNode("s", self, self.leases, self.owners, TIMING, self._start, self.clock)
        self.other = SiteConnections("s", "gw2/run", self, self.owners, TIMING, self.clock)

    # the instance

    name = "gw1"

    def broadcast(self, message: Message) -> None: ...

    def wait_s(self, site: str, last: str) -> float:
        return 0.0

    def send(self, to: str, message: Message) -> None:
        asyncio.get_running_loop().call_later(
            0.0 if to == self._sender(message) else self.way_s, self._take, to, message
        )

    def _sender(self, message: Message) -> str:
        return "gw1" if isinstance(message, Down | Close | Resync) else getattr(message, "instance", "gw1")

    def _take(self, to: str, message: Message) -> None:
        if to == "gw1" and isinstance(message, Down | Close):
            self.holder.connections.deliver(message)
        elif to == "gw1":
            self.holder.take(message)
        elif isinstance(message, Down | Close):
            self.other.deliver(message)

    async def request(self, to: str, message: Message, within_s: float = 2.0) -> Message:
        await asyncio.sleep(self.way_s)
        return await self.holder.handle(message) or Done("s")

    # the control

    apps: dict[str, ASGIApp] = field(default_factory=dict)
    ends_s: float = 0.0  # that the control takes to end

    @asynccontextmanager
    async def _start(self, lease: LeaseView) -> AsyncIterator[SiteControl]:
        yield self
        await asyncio.sleep(self.ends_s)

    async def serve(self, wire: TextWire, attached: Attach) -> None:
        self.wires.append(wire)
        while await wire.receive() is not None:
            pass

    def noticed(self, message: Noticed) -> None: ...

    def busy(self, station: str) -> bool:
        return False

    def calls_waiting(self) -> int:
        return 0

    def end(self, how: End) -> None: ...

    # running

    async def beat(self) -> None:
        while True:
            self.holder.connections.beat_regularly()
            self.other.beat_regularly()
            self.holder.check_presence()
            await asyncio.sleep(TIMING.beat_every_s)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Run the holder until it controls the site."""
        tasks = [asyncio.create_task(self.holder.hold()), asyncio.create_task(self.beat())]
        self.holder.observed(None)
        await asyncio.sleep(TIMING.lease_s)
        assert self.holder.stations is not None
        self.holder.connections.held_by("gw1", self.holder.term)
        self.other.held_by("gw1", self.holder.term)
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def exchange(self, connections: SiteConnections, over_s: float) -> list[str]:
        """Send messages to one station while time passes; return those that it received."""
        ours, theirs = text_wire_pair("CP1", "gateway", subprotocol="ocpp2.1")
        serving = asyncio.create_task(connections.serve(theirs, "CP1", 0))
        await asyncio.sleep(2 * TIMING.lease_s)
        received: list[str] = []

        async def listen() -> None:
            while (text := await ours.receive()) is not None:
                received.append(text)

        listening = asyncio.create_task(listen())
        for number in range(MESSAGES):
            await self.wires[-1].send(str(number))
            await asyncio.sleep(over_s / MESSAGES)
        await asyncio.sleep(TIMING.lease_s)
        await ours.close()
        await asyncio.gather(serving, listening)
        return received


ALL = [str(number) for number in range(MESSAGES)]


async def test_a_holder_whose_renewals_are_slow_refuses_nothing_to_its_own_stations() -> None:
    cluster = Cluster()
    cluster.leases.write_s = SLOW
    async with cluster.running():
        assert await cluster.exchange(cluster.holder.connections, 60.0) == ALL
        assert not cluster.holder.connections.refused


async def test_what_is_sent_to_a_slow_instance_waits_for_a_renewal_that_proves_the_lease() -> None:
    cluster = Cluster(way_s=0.4)
    cluster.leases.write_s = SLOW
    async with cluster.running():
        assert await cluster.exchange(cluster.other, 60.0) == ALL
        assert not cluster.other.refused


async def test_what_waits_for_a_renewal_ends_with_the_lease() -> None:
    cluster = Cluster()
    async with cluster.running():
        ours, theirs = text_wire_pair("CP1", "gateway", subprotocol="ocpp2.1")
        serving = asyncio.create_task(cluster.other.serve(theirs, "CP1", 0))
        await asyncio.sleep(TIMING.lease_s)
        wire = cluster.wires[-1]
        await wire.send("in time")
        assert await ours.receive() == "in time"
        cluster.leases.write_s = 2 * TIMING.lease_s
        await asyncio.sleep(TIMING.renew_every_s)
        await asyncio.sleep(TIMING.proved_s)
        assert cluster.holder.may_act()
        await wire.send("too late to be proved")
        await asyncio.sleep(3 * TIMING.lease_s)
        with pytest.raises(ConnectionError):
            await wire.send("after the lease")
        await ours.close()
        await serving
        assert cluster.other.refused == {}


async def test_a_control_that_is_handed_over_takes_no_more_connections_and_requests() -> None:
    """What it learnt of them would be lost: it has no effect any more, and the next holder would not be told."""

    async def page(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body"})

    cluster = Cluster(ends_s=2.0, apps={"page": page})
    attach = Attach("s", "gw2", "CP1", 1, "ocpp2.1", 0, "127.0.0.1", False, None)
    request = HttpRequest("s", "page", "1", "gw2", "GET", "/", b"", [], b"", "127.0.0.1")
    async with cluster.running():
        assert not isinstance(await cluster.holder.handle(request), Failed)
        ending = asyncio.create_task(cluster.holder.hand_over(others=True))
        await asyncio.sleep(1.0)
        assert cluster.holder.may_act()
        assert isinstance(await cluster.holder.handle(attach), Failed)
        assert isinstance(await cluster.holder.handle(request), Failed)
        assert cluster.wires == []
        await ending


async def test_writes_of_a_lease_that_fail_at_once_are_not_repeated_at_once() -> None:
    cluster = Cluster()
    async with cluster.running():
        before = cluster.leases.writes
        cluster.leases.fails = True
        await asyncio.sleep(4 * TIMING.lease_s)
        assert 1 < cluster.leases.writes - before <= 4 * TIMING.lease_s / CHECKED_EVERY_S
