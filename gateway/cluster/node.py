"""One instance of a cluster: its sites, the routing of messages between instances, and its record of presence."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Protocol, TypeVar

import msgspec

from gateway.cluster import placement
from gateway.cluster.connections import OwnersOf
from gateway.cluster.control import Start
from gateway.cluster.cut_off import CutOff
from gateway.cluster.inbox import Outcome
from gateway.cluster.io import ClusterBus, ClusterError, Record, Records
from gateway.cluster.keys import key_of, name_of
from gateway.cluster.lease import Timing
from gateway.cluster.lease_thread import Leases, lease_thread
from gateway.cluster.messages import PROTOCOL, Barrier, Close, Done, Down, Failed, HttpPart, Message, Resync
from gateway.cluster.settings import ClusterSettings
from gateway.cluster.site import SiteNode
from protocols.ports import Clock

log = logging.getLogger("v2x.cluster")

PRESENCE_EVERY_S = 2.0
ABSENT_AFTER_S = 7.0  # of a record of presence that does not change
RETRY_S = 1.0
REBALANCE_EVERY_S = 30.0
DIVIDED_EVERY_S = 1.0
MAX_MOVING = 4  # sites at the same time: each start of a control takes computing time of the others
UNFIT_S = 30.0  # after a control that could not start or failed, others go first
LEASES, OWNERS, INSTANCES = "leases", "owners", "instances"


class Presence(msgspec.Struct, frozen=True, omit_defaults=True):
    """Record of one instance."""

    instance: str
    run: str
    version: str
    since: float
    at: float  # Unix time
    connections: int = 0
    sites: list[str] = []
    draining: bool = False
    protocol: int = 1  # `gateway.cluster.messages.PROTOCOL`
    fit: bool = True  # the control of no site has failed here of late
    stations: dict[str, int] = {}  # connected, by site
    waiting: int = 0  # messages of stations that wait for the holder of their site
    oldest_s: float = 0.0  # age of the oldest of them


T = TypeVar("T", covariant=True)


class _Source(Protocol[T]):
    """A connection to NATS that has records."""

    async def records(self, kind: str) -> T: ...


@dataclass(slots=True)
class _Known:
    presence: Presence
    revision: int
    seen_at: float


class Node:
    """One instance. `starts` has for each site what runs its control."""

    def __init__(
        self, settings: ClusterSettings, starts: Mapping[str, Start], version: str, clock: Clock, *, alone: bool = True
    ) -> None:
        """Not `alone`: the cluster serves several sites, whose stations may have the same ids."""
        self._alone = alone
        self.settings, self._clock, self._version = settings, clock, version
        self._starts = starts
        self.bus = ClusterBus(settings, self._received)
        self.cut_off = CutOff(lambda: self.bus.connected, clock)
        self.sites: dict[str, SiteNode] = {}
        self._known: dict[str, _Known] = {}
        self._presence: Records | None = None
        self._since = clock.wall()
        self.draining = False
        self._local: set[asyncio.Future[Outcome]] = set()

    # `gateway.cluster.connections.Instance`

    @property
    def name(self) -> str:
        """Name of this instance in the cluster."""
        return self.settings.instance

    def broadcast(self, message: Message) -> None:
        """Send a message to every instance."""
        self.bus.broadcast(message)

    def send(self, to: str, message: Message) -> None:
        """Send a message to an instance; to this one without NATS."""
        if to == self.settings.instance:
            asyncio.get_running_loop().call_soon(self._here, message)
        else:
            self.bus.send(to, message)

    async def request(self, to: str, message: Message, within_s: float = 2.0) -> Message:
        """Return the answer of an instance."""
        if to != self.settings.instance:
            return await self.bus.request(to, message, within_s)
        outcome = self._received(message)
        answer = await outcome if isinstance(outcome, Awaitable) else outcome
        return answer if answer is not None else Done(message.site)

    def _here(self, message: Message) -> None:
        outcome = self._received(message)
        if isinstance(outcome, Awaitable):
            task = asyncio.ensure_future(outcome)
            self._local.add(task)
            task.add_done_callback(self._local.discard)

    def _at_once(self, message: Message) -> bool:
        """Process a message; False for a request."""
        site = self.sites.get(message.site)
        if site is None:
            return True
        match message:
            case Down() | Close():
                site.connections.deliver(message)
            case Resync():
                site.connections.links()
            case HttpPart():
                for forwarding in site.forwarding.values():
                    forwarding.part(message)
            case _:
                return site.take(message)
        return True

    def _received(self, message: Message) -> Outcome | Awaitable[Outcome]:
        if self._at_once(message):
            return Failed(message.site, "this site is not served here") if message.site not in self.sites else None
        return self.sites[message.site].handle(message)

    # running

    async def run(self, ready: Callable[[], None]) -> None:
        """Take part in the cluster until cancelled; ClusterError where NATS cannot be used at the start."""
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(self.bus.connect())
            await self.bus.verify()
            leases, owners = await self._bucket(self.bus, LEASES), await self._bucket(self.bus, OWNERS)
            self._presence = await self._bucket(self.bus, INSTANCES)
            self._compare_protocols(await self._presence.all())
            thread = await stack.enter_async_context(lease_thread(self.settings))
            self._make_sites(await self._bucket(thread, LEASES), owners)
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._watch_leases(leases), name="leases")
                tasks.create_task(self._watch_instances(self._presence), name="instances")
                tasks.create_task(self._be_present(self._presence), name="presence")
                tasks.create_task(self._beat(), name="beats")
                tasks.create_task(self._rebalance(), name="balance")
                connections = [one.connections for one in self.sites.values()]
                tasks.create_task(self.cut_off.close(connections, self.settings.drain_per_s), name="without NATS")
                if not self._alone:
                    tasks.create_task(self._divide(), name="division of sites")
                for one in self.sites.values():
                    tasks.create_task(one.hold(), name=f"lease of {one.site}")
                ready()

    def _make_sites(self, leases: Leases, owners: Records) -> None:
        timing, clock = Timing.of(self.settings.lease_s), self._clock
        for site, start in self._starts.items():
            prefix = "" if self._alone else f"{site}/"
            self.sites[site] = SiteNode(site, self, leases, OwnersOf(owners, prefix), timing, start, clock)

    def _compare_protocols(self, records: list[Record]) -> None:
        """Raise ClusterError where an instance of another protocol is present: neither would understand the other."""
        for one in records:
            other = msgspec.json.decode(one.value or b"", type=Presence)
            absent = self._clock.wall() - other.at >= ABSENT_AFTER_S
            if other.protocol != PROTOCOL and other.instance != self.settings.instance and not absent:
                raise ClusterError(
                    f"instance {other.instance} of version {other.version} has protocol {other.protocol}, this one of "
                    f"version {self._version} has {PROTOCOL}; stop all instances before the upgrade"
                )

    async def _bucket(self, source: _Source[T], kind: str) -> T:
        """Return the records of a kind; NATS may need several attempts to create them when a server is missing."""
        for attempt in range(5):
            try:
                return await source.records(kind)
            except ClusterError as error:
                if attempt == 4:
                    raise
                log.warning("NATS: %s; it is tried again", error)
                await self._clock.sleep(RETRY_S)
        raise AssertionError

    async def _watch_leases(self, leases: Records) -> None:
        """Pass on every change of a lease; a watch that shows nothing for a lease's time is begun again."""
        while True:
            try:
                for one in self.sites.values():
                    one.observed(await leases.get(key_of(one.site)))
                async for record in leases.watch(self.settings.lease_s):
                    site = self.sites.get(name_of(record.key))
                    if site is not None:
                        site.observed(record)
            except ClusterError as error:
                log.info("the leases cannot be watched: %s", error)
                await self._clock.sleep(RETRY_S)

    async def _watch_instances(self, records: Records) -> None:
        while True:
            try:
                async for record in records.watch(self.settings.lease_s):
                    self._note(record)
            except ClusterError as error:
                log.info("the instances cannot be watched: %s", error)
                await self._clock.sleep(RETRY_S)

    def _note(self, record: Record) -> None:
        name = name_of(record.key)
        known = self._known.get(name)
        if record.value is None:
            self._known.pop(name, None)
        elif known is None or record.revision > known.revision:
            with contextlib.suppress(msgspec.MsgspecError):
                presence = msgspec.json.decode(record.value, type=Presence)
                self._known[name] = _Known(presence, record.revision, self._clock.now())

    async def _be_present(self, records: Records) -> None:
        while True:
            await self._write_presence(records)
            await self._clock.sleep(PRESENCE_EVERY_S)

    async def _write_presence(self, records: Records) -> None:
        with contextlib.suppress(ClusterError):
            await records.put(key_of(self.settings.instance), msgspec.json.encode(self.presence()))

    def presence(self) -> Presence:
        """Return the record of this instance."""
        sites = [one.site for one in self.sites.values() if one.control is not None]
        run = next((one.run for one in self.sites.values()), self.settings.instance)
        now, version = self._clock.wall(), self._version
        connected = {one.site: len(one.connections.by_station) for one in self.sites.values()}
        waiting = [one.connections.waiting() for one in self.sites.values()]
        return Presence(
            self.settings.instance, run, version, self._since, now, self.connections(), sites, self.draining, PROTOCOL,
            self._fit(), {site: number for site, number in connected.items() if number},
            sum(number for number, _ in waiting), round(max((age for _, age in waiting), default=0.0), 1),
        )  # fmt: skip

    def connections(self) -> int:
        """Return the number of stations that are connected to this instance."""
        return sum(len(one.connections.by_station) for one in self.sites.values())

    async def _beat(self) -> None:
        while True:
            for one in self.sites.values():
                one.connections.beat_regularly()
                one.check_presence()
            await self._clock.sleep(Timing.of(self.settings.lease_s).beat_every_s)

    # other instances

    def known(self) -> list[tuple[Presence, float]]:
        """Return the newest record of each instance, this one included, and the time in s since it was seen here."""
        now = self._clock.now()
        return [(one.presence, now - one.seen_at) for _, one in sorted(self._known.items())]

    def lease_ages(self) -> dict[str, float]:
        """Return the time in s since this instance saw a renewal of the lease, by site; without those of no lease."""
        now, leases = self._clock.now(), {name: one.lease.seen for name, one in self.sites.items()}
        return {name: now - seen.at for name, seen in leases.items() if seen is not None}

    def others(self) -> list[Presence]:
        """Return the other instances that are present and not draining."""
        return [
            one.presence
            for name, one in self._known.items()
            if name != self.settings.instance
            and not one.presence.draining
            and self._clock.now() - one.seen_at < ABSENT_AFTER_S
        ]

    def holders(self) -> dict[str, str | None]:
        """Return the holder of each site as far as it is known."""
        return {name: site.connections.holder for name, site in self.sites.items()}

    def ready(self) -> dict[str, str]:
        """Return what is wrong, by check; empty for what is in order."""
        waiting = [name for name, holder in self.holders().items() if holder is None]
        if len(waiting) < len(self.sites):  # the other sites are served
            waiting = []
        return {
            "gateway": "the gateway is being stopped" if self.draining else "",
            "cluster": "" if self.bus.connected else "NATS is not connected",
            "sites": "no instance controls any site" if waiting else "",  # without a token: no names
        }

    async def drain(self) -> None:
        """Hand all sites over, then close all connections in batches; for the end of this instance."""
        self.draining = True
        if self._presence is not None:
            await self._write_presence(self._presence)
        others = bool(self.others())
        slots = asyncio.Semaphore(MAX_MOVING)

        async def hand_over(site: SiteNode) -> None:
            async with slots:
                await site.hand_over(others)

        await asyncio.gather(*(hand_over(one) for one in self.sites.values()))
        for one in self.sites.values():
            await one.connections.drain(self.settings.drain_per_s)
        if self._presence is not None:
            with contextlib.suppress(ClusterError):
                found = await self._presence.get(key_of(self.settings.instance))
                if found is not None:
                    await self._presence.delete(found.key, found.revision)

    async def _rebalance(self) -> None:
        """Close connections of instances that have more than their share, at sites that are controlled here."""
        while True:
            await self._clock.sleep(REBALANCE_EVERY_S)
            present = [self.presence(), *self.others()]
            for one in self.sites.values():
                if one.stations is None or one.control is None or self.draining:
                    continue
                for instance in present:
                    counts = [other.connections for other in present if other is not instance]
                    number = placement.excess(instance.connections, counts, self.settings.rebalance_over_pct)
                    most = min(number, int(self.settings.drain_per_s * REBALANCE_EVERY_S))
                    mine = most * one.stations.connected(instance.instance) / max(1, instance.connections)
                    await one.stations.shed(instance.instance, math.ceil(mine), one.control.busy)

    # sites

    def _fit(self) -> bool:
        return all(self._clock.now() - one.failed_at > UNFIT_S for one in self.sites.values())

    def _held(self) -> dict[str, int]:
        """Return the number of sites that each instance controls: those that are present and fit, and this one."""
        held = {one.instance: len(one.sites) for one in self.others() if one.fit}
        held[self.settings.instance] = sum(one.holds for one in self.sites.values())
        return held

    def wait_s(self, site: str, last: str) -> float:
        """Return how long the free lease of a site is left to others than this one and its last holder."""
        if self._alone:
            return 0.0
        own, held = self.settings.instance, self._held()
        if sum(one.holds and one.control is None for one in self.sites.values()) >= MAX_MOVING:
            return float("inf")  # those that are starting first
        if not self._fit():
            return placement.TURN_S * len(held)
        if last != own:
            held.pop(last, None)
        return placement.wait_s(site, own, held, len(self.sites))

    async def _divide(self) -> None:
        """Hand over the sites beyond the share of this instance, some at a time, once another can take them."""
        own = self.settings.instance
        while True:
            await self._clock.sleep(DIVIDED_EVERY_S)
            held = self._held()
            number = min(placement.surplus(own, held, len(self.sites)), MAX_MOVING)
            running = [one for one in self.sites.values() if one.control is not None and one.may_act()]
            if not number or self.draining or len(running) < held[own]:
                continue
            taker = min(held, key=lambda name: held[name])
            given = sorted(running, key=lambda one: placement.preference(one.site, own))[-number:]
            try:
                await self.bus.request(taker, Barrier(given[0].site, 0))
            except ClusterError:
                continue
            log.info("handing over to %s or another instance: %s", taker, ", ".join(one.site for one in given))
            await asyncio.gather(*(one.give() for one in given))
