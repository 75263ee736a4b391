"""Rounds of faults against a cluster that serves light stations, judged by `judge`.

In each round the facility commands some EVSEs, a half of them before one part fails and the other half while it does.
`soak` repeats one round alone.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import signal
import socket
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import aiomqtt

from gateway.cluster import status
from gateway.cluster.io import ClusterBus, ClusterError
from gateway.cluster.node import INSTANCES, LEASES
from tests.gateway.cluster import sendings
from tests.gateway.cluster.fleet import Fleet, parts_of
from tests.gateway.cluster.judge import Evidence, Verdict, judge, power_of
from tests.gateway.cluster.light_station import Times
from tests.gateway.cluster.network import Namespaces, Network, Proxies
from tests.gateway.cluster.plan import Fault, Kind, Part, Round
from tests.gateway.cluster.rig import SITE, Nats, Rig, nats_parts, rig

REPEATED_EVERY_S = 3.0  # commands without a result
LAST_LEASE_S = 60.0  # of the commands after the faults

log = logging.getLogger("chaos")


@dataclass
class Facility:
    """Sends commands and notes their results."""

    client: aiomqtt.Client
    evidence: Evidence
    _unanswered: dict[str, tuple[str, str]] = field(default_factory=dict)  # topic and body, by command

    async def listen(self) -> None:
        """Receive until cancelled."""
        async for message in self.client.messages:
            payload = message.payload if isinstance(message.payload, bytes) else b""
            found = json.loads(payload)
            self.evidence.results.setdefault(found["id"], []).append(found)

    async def discharge(self, station: str, number: int, lease_s: float) -> str:
        """Send the command of a round to an EVSE; return its id."""
        command = f"r{number}-{station}"
        self.evidence.sent[command] = station, number
        body = {"id": command, "power_w": power_of(number), "lease_s": lease_s, "issued_at": time.time()}
        self._unanswered[command] = f"v2x/1/{SITE}/evse/{station}-1/cmd/discharge", json.dumps(body)
        await self._publish(command)
        return command

    async def repeat(self) -> None:
        """Send again what has no result, as the contract asks for, until cancelled."""
        while True:
            await asyncio.sleep(REPEATED_EVERY_S)
            for command in list(self._unanswered):
                if self.evidence.results.get(command):
                    del self._unanswered[command]
                else:
                    await self._publish(command)

    async def _publish(self, command: str) -> None:
        topic, body = self._unanswered[command]
        await self.client.publish(topic, body, qos=1)


@asynccontextmanager
async def facility(host: str, port: int, evidence: Evidence) -> AsyncIterator[Facility]:
    """Connect a facility to the broker."""
    nodelay = [(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)]
    async with aiomqtt.Client(
        host, port, protocol=aiomqtt.ProtocolVersion.V5, socket_options=nodelay, max_queued_incoming_messages=0
    ) as client:
        await client.subscribe(f"v2x/1/{SITE}/evse/+/result", qos=1)
        one = Facility(client, evidence)
        running = [asyncio.create_task(one.listen()), asyncio.create_task(one.repeat())]
        try:
            yield one
        finally:
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)


@dataclass(frozen=True)
class Size:
    """Size and times of a run."""

    stations: int
    instances: int = 4
    servers: int = 3  # of NATS
    groups: int = 2  # of stations
    commanded: int = 40
    lease_s: float = 10.0
    command_lease_s: float = 20.0
    within_s: float = 600.0  # to start, and to recover from a fault
    overlap: bool = False  # a round begins while stations still come back from the fault of the one before
    times: Times = field(default_factory=Times)

    @property
    def gateways(self) -> list[str]:
        """Names of the instances."""
        return [f"gw{number}" for number in range(1, self.instances + 1)]

    @property
    def names(self) -> list[str]:
        """Names of the stations."""
        return [f"CP{number}" for number in range(1, self.stations + 1)]

    @property
    def parts(self) -> list[str]:
        """All parts of the network but the host."""
        return [*self.gateways, *nats_parts(self.servers), "postgres", *parts_of(self.groups)]


@dataclass
class Report:
    """Result of all rounds."""

    verdict: Verdict = field(default_factory=Verdict)
    faults: Counter[str] = field(default_factory=Counter)
    recovered_s: list[float] = field(default_factory=list)
    started_s: float = 0.0


class NotServed(Exception):
    """The cluster does not serve all stations in time."""


class Chaos:
    """One run."""

    def __init__(self, size: Size, rig: Rig, rounds: Iterable[Round]) -> None:
        self.size, self.rig, self.rounds, self.network = size, rig, list(rounds), rig.network
        self.report = Report()
        self.failure = ""
        self.stopping = False  # after the present round
        self.evidence = Evidence()
        self.commanded = size.names[: size.commanded]
        seed = self.rounds[0].seed
        self.fleet = Fleet(self.network, size.names, frozenset(self.commanded), size.groups, seed, size.times)

    async def run(self) -> Report:
        """Run all rounds and judge them."""
        began, rig = time.monotonic(), self.rig
        urls = {part: [rig.url(part, name) for name in self.size.gateways] for part in self.fleet.parts}
        await self.network.ready()
        try:
            for name in self.size.gateways:
                rig.start(name)
            async with (
                ClusterBus(rig.settings).connect() as bus,
                facility(rig.broker.host, rig.broker.port, self.evidence) as client,
            ):
                self._leases, self._instances = await bus.records(LEASES), await bus.records(INSTANCES)
                await self._held(controlled=True)
                for part, found in urls.items():
                    self.fleet.start(part, found)
                await self._served()
                self.report.started_s = time.monotonic() - began
                for one in self.rounds:
                    if not self.stopping:
                        await self._round(client, one)
                await self._served()
                await self._settle()
                await self._serves_commands(client)
        except NotServed as error:
            self.failure = str(error)
        finally:
            self.fleet.stop()
            rig.stop()
            await self.network.close()
        self.evidence.offset = time.time() - time.monotonic()
        self.evidence.setpoints = self.fleet.setpoints
        self.evidence.sendings, self.evidence.began = sendings.read(rig.sendings.values())
        self.report.verdict = judge(self.evidence)
        if self.failure:
            self.report.verdict.add("not served", self.failure)
        return self.report

    async def _serves_commands(self, client: Facility) -> None:
        """Command all EVSEs once more, until each command of one time is achieved: the cluster is whole again."""
        number, deadline = self.rounds[-1].number, time.monotonic() + self.size.within_s
        while time.monotonic() < deadline:
            number += 1
            commands = [await client.discharge(one, number, LAST_LEASE_S) for one in self.commanded]
            await self._settle()
            results = [self.evidence.results.get(one, []) for one in commands]
            if all(any(one["status"] == "achieved" for one in of_command) for of_command in results):
                return
        raise NotServed(f"not all commands are achieved after the faults\n{self.rig.log()}")

    # a round

    async def _round(self, client: Facility, one: Round) -> None:
        log.info("%s", one)
        half = len(self.commanded) // 2
        for station in self.commanded[:half]:
            await client.discharge(station, one.number, self.size.command_lease_s)
        await asyncio.sleep(one.after_s)
        began = time.monotonic()
        self.report.faults[str(one.fault)] += 1
        failing = asyncio.create_task(self._fail(one))
        await asyncio.sleep(0.1)
        for station in self.commanded[half:]:
            await client.discharge(station, one.number, self.size.command_lease_s)
        await failing
        if not self.size.overlap:
            await self._served()
        self.report.recovered_s.append(time.monotonic() - began)
        log.info("round %d: over after %.1f s", one.number, self.report.recovered_s[-1])

    async def _fail(self, one: Round) -> None:
        """Let a part fail, and run again."""
        holder, term = await self._held()
        match one.fault.part:
            case Part.HOLDER:
                part = holder
            case Part.OTHER:
                part = one.choose([name for name in self.size.gateways if name != holder])
            case Part.NATS:
                part = one.choose(nats_parts(self.size.servers))
            case Part.POSTGRES:
                part = "postgres"
            case Part.STATIONS:
                part = one.choose(self.fleet.parts)
        log.info("round %d: %s is %s", one.number, one.fault.part, part)
        await self._begin(one, part)
        taken_over = one.fault.part is Part.HOLDER
        if taken_over and one.fault.kind is not Kind.KILL:  # the fault lasts until then
            await self._held(after=term)
            await asyncio.sleep(one.then_s)
        else:
            await asyncio.sleep(one.lasts_s)
        await self._end(one, part)
        if taken_over:
            await self._held(after=term)

    async def _begin(self, one: Round, part: str) -> None:
        match one.fault.kind:
            case Kind.KILL:
                self._signal(one.fault, part, signal.SIGKILL)
            case Kind.PAUSE:
                self._signal(one.fault, part, signal.SIGSTOP)
            case Kind.CUT:
                self.network.cut(part)
            case Kind.ISOLATE:
                self.network.separate(part, nats_parts(self.size.servers))
            case Kind.DRAIN:
                self._signal(one.fault, part, signal.SIGTERM)

    async def _end(self, one: Round, part: str) -> None:
        match one.fault.kind:
            case Kind.KILL:
                await self._start(one.fault, part)
            case Kind.PAUSE:
                self._signal(one.fault, part, signal.SIGCONT)
            case Kind.CUT | Kind.ISOLATE:
                self.network.heal()
            case Kind.DRAIN:
                await asyncio.to_thread(self.rig.processes[part].join, self.size.within_s)
                if self.rig.processes[part].is_alive():
                    raise NotServed(f"{part} drains and does not end\n{self.rig.log()}")
                self.rig.start(part)

    def _signal(self, fault: Fault, part: str, number: int) -> None:
        if fault.part is Part.NATS:
            self._server(part).signal(number)
        elif fault.part is Part.POSTGRES:
            self.rig.postgres.signal(number)
        elif fault.part is Part.STATIONS and number == signal.SIGKILL:
            self.fleet.kill(part)
        elif fault.part is Part.STATIONS:
            self.fleet.signal(part, number)
        else:
            self.rig.signal(part, number)

    def _server(self, part: str) -> Nats:
        return self.rig.nats[nats_parts(self.size.servers).index(part)]

    async def _start(self, fault: Fault, part: str) -> None:
        """Start a killed part again."""
        match fault.part:
            case Part.NATS:
                server = self._server(part)
                server.kill()  # its end is awaited
                await asyncio.to_thread(server.start)
            case Part.POSTGRES:
                await asyncio.to_thread(self.rig.postgres.start)
            case Part.STATIONS:
                self.fleet.start(part, [self.rig.url(part, name) for name in self.size.gateways])
            case _:
                await asyncio.to_thread(self.rig.processes[part].join, 10)
                self.rig.start(part)

    # states of the cluster

    async def _held(self, after: int = 0, controlled: bool = False) -> tuple[str, int]:
        """Return holder and term of the lease, when there is one of a later term, and when its control runs."""
        deadline = time.monotonic() + self.size.within_s
        while time.monotonic() < deadline:
            with contextlib.suppress(ClusterError):
                leases, instances = await self._leases.all(), await self._instances.all()
                found = status.summary("", leases, [], instances, time.time())
                running = {one.instance for one in found.instances if SITE in one.sites} if controlled else None
                for one in found.sites:
                    if one.holder and one.term > after and (running is None or one.holder in running):
                        return one.holder, one.term
            await asyncio.sleep(0.1)
        raise NotServed(f"no holder within {self.size.within_s} s\n{self.rig.log()}")

    async def _served(self) -> None:
        """Wait until the site has a holder and every station has been served."""
        deadline = time.monotonic() + self.size.within_s
        await self._held(controlled=True)
        while away := set(self.fleet.names) - self.fleet.ready:
            if time.monotonic() > deadline:
                raise NotServed(f"{len(away)} stations are not served: {sorted(away)[:5]}\n{self.rig.log()}")
            await asyncio.sleep(0.1)

    async def _settle(self) -> None:
        """Wait until every command has its final result: one that comes late is not lost."""
        deadline = time.monotonic() + self.size.command_lease_s + self.size.within_s
        while not all(map(self.evidence.complete, self.evidence.sent)):
            if time.monotonic() > deadline:
                return
            await asyncio.sleep(0.1)


async def perform(folder: Path, size: Size, rounds: Iterable[Round], network: Network) -> Report:
    """Run rounds in a rig of their own, in which the last instance sends what a next version would send."""
    with rig(folder, size.names, size.lease_s, size.servers, network) as one:
        one.next_version = frozenset(size.gateways[-1:])
        one.sendings = {name: folder / f"{name}.sendings" for name in size.gateways}
        chaos = Chaos(size, one, rounds)
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, setattr, chaos, "stopping", True)
        return await chaos.run()


def network_of(size: Size) -> Network:
    """Return namespaces where this process may make them, else proxies."""
    if Namespaces.possible():
        return Namespaces(size.parts)
    log.warning("network namespaces need root, iproute2 and nftables: paths are cut by proxies")
    return Proxies()
