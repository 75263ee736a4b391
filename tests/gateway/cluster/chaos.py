"""Rounds of faults against a cluster that serves light stations, and the rules that hold in every order of events.

In each round the facility commands some EVSEs, each with a power that no other round has, and one part fails while the
commands act. At the end: every command has its results, each of one kind; at no station does a power of an earlier
round follow one of a later round; none is in force beyond its lease.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import signal
import socket
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aiomqtt

from gateway.cluster import status
from gateway.cluster.io import ClusterBus, ClusterError
from gateway.cluster.node import INSTANCES, LEASES
from gateway.model.moment import parse_moment
from tests.gateway.cluster.light_station import LightStation
from tests.gateway.cluster.rig import SITE, Rig

FIRST = ("accepted", "clamped")
STEP_W = 10.0  # between the powers of two rounds
SLACK_S = 3.0  # beyond a lease: ramp, whole seconds of the station, a loaded machine
FAULTS = ("kill holder", "pause holder", "cut holder", "kill other", "drain holder", "restart nats", "pause nats")


def power_of(round_number: int) -> float:
    return 1000.0 + STEP_W * round_number


@dataclass
class Facility:
    """Sends commands and records their results, by command id."""

    client: aiomqtt.Client
    results: dict[str, list[dict[str, Any]]] = field(default_factory=dict)

    async def listen(self) -> None:
        """Receive until cancelled."""
        async for message in self.client.messages:
            payload = message.payload if isinstance(message.payload, bytes) else b""
            found = json.loads(payload)
            self.results.setdefault(found["id"], []).append(found)

    async def discharge(self, command: str, evse: str, power_w: float, lease_s: float) -> None:
        """Send a command."""
        body = {"id": command, "power_w": power_w, "lease_s": lease_s, "issued_at": time.time()}
        await self.client.publish(f"v2x/1/{SITE}/evse/{evse}/cmd/discharge", json.dumps(body), qos=1)

    def of(self, command: str, first: bool) -> set[str]:
        """Return the statuses of the first or the final results of a command; a refusal is its only one."""
        found = self.results.get(command, [])
        return {one["status"] for one in found if (one["status"] in FIRST) is first}

    def complete(self, command: str) -> bool:
        return bool(self.of(command, first=False))


@asynccontextmanager
async def facility(port: int) -> AsyncIterator[Facility]:
    """Connect a facility to the broker."""
    nodelay = [(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)]
    async with aiomqtt.Client(
        "127.0.0.1", port, protocol=aiomqtt.ProtocolVersion.V5, socket_options=nodelay, max_queued_incoming_messages=0
    ) as client:
        await client.subscribe(f"v2x/1/{SITE}/evse/+/result", qos=1)
        one = Facility(client)
        listening = asyncio.create_task(one.listen())
        try:
            yield one
        finally:
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)


@dataclass
class Report:
    """Result of all rounds."""

    violations: list[str] = field(default_factory=list)
    outcomes: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    recovered_s: list[float] = field(default_factory=list)


@dataclass
class Chaos:
    """One run."""

    rig: Rig
    instances: list[str]
    commanded: int = 20
    rounds: int = 10
    seed: int = 1
    command_lease_s: float = 10.0
    within_s: float = 60.0  # to start, and to recover from a fault
    faults: tuple[str, ...] = FAULTS

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)
        self.report = Report()
        self.fleet: list[LightStation] = []
        self._sent: dict[str, tuple[str, int]] = {}  # EVSE and round, by command

    async def run(self) -> Report:
        """Run all rounds and judge them."""
        async with ClusterBus(self.rig.settings).connect() as bus:
            self._leases, self._instances = await bus.records(LEASES), await bus.records(INSTANCES)
            return await self._run()

    async def _run(self) -> Report:
        await self.rig.connect(self.instances)
        for name in self.instances:
            self.rig.start(name)
        urls = [self.rig.url(name) for name in self.instances]
        for number, name in enumerate(self.rig.stations):
            self.fleet.append(LightStation(name, urls, session=number < self.commanded, seed=self.seed))
        await self._holder(self.within_s)
        running = [asyncio.create_task(one.run()) for one in self.fleet]
        try:
            async with facility(self.rig.broker.port) as client:
                await self._connected(self.within_s)
                for number in range(1, self.rounds + 1):
                    await self._round(client, number)
                await self._settle(client)
                self._judge(client)
        finally:
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)
            self.rig.stop()
            await self.rig.disconnect()
        return self.report

    # a round

    async def _round(self, client: Facility, number: int) -> None:
        for station in self.fleet[: self.commanded]:
            command = f"r{number}-{station.name}"
            self._sent[command] = f"{station.name}-1", number
            await client.discharge(command, f"{station.name}-1", power_of(number), self.command_lease_s)
        await asyncio.sleep(self._random.uniform(0.0, 1.0))
        fault = self.faults[(number - 1) % len(self.faults)]
        self.report.faults[fault] += 1
        began = time.monotonic()
        await self._fail(fault)
        await self._connected(self.within_s)
        self.report.recovered_s.append(time.monotonic() - began)

    async def _fail(self, fault: str) -> None:
        rig = self.rig
        holder = await self._holder(self.within_s)
        other = self._random.choice([name for name in self.instances if name != holder])
        match fault:
            case "kill holder" | "kill other":
                name = holder if fault == "kill holder" else other
                rig.signal(name, signal.SIGKILL)
                await asyncio.to_thread(rig.processes[name].join, 10)
                rig.start(name)
                if name == holder:
                    await self._holder(self.within_s, without=holder)
            case "pause holder":
                rig.signal(holder, signal.SIGSTOP)
                await self._holder(self.within_s, without=holder)
                await asyncio.sleep(self._random.uniform(0.0, 1.0))
                rig.signal(holder, signal.SIGCONT)
            case "cut holder":  # it still reaches its stations, the broker and the database
                for path in rig.paths[holder]:
                    path.cut()
                await self._holder(self.within_s, without=holder)
                await asyncio.sleep(self._random.uniform(0.0, 1.0))
                for path in rig.paths[holder]:
                    path.heal()
            case "drain holder":
                rig.signal(holder, signal.SIGTERM)
                await self._holder(self.within_s, without=holder)
                await asyncio.to_thread(rig.processes[holder].join, 20)
                if rig.processes[holder].is_alive():
                    self.report.violations.append("an instance that drains does not end")
                    rig.processes[holder].kill()
                rig.start(holder)
            case "restart nats":
                server = self._random.choice(rig.nats)
                server.kill()
                await asyncio.sleep(self._random.uniform(0.1, 1.0))
                server.start()
            case "pause nats":
                server = self._random.choice(rig.nats)
                assert server.process is not None
                server.process.send_signal(signal.SIGSTOP)
                await asyncio.sleep(rig.lease_s * self._random.uniform(0.2, 1.5))
                server.process.send_signal(signal.SIGCONT)

    async def _holder(self, within_s: float, without: str | None = None) -> str:
        """Return the holder, when there is one that runs its control."""
        deadline = time.monotonic() + within_s
        while time.monotonic() < deadline:
            with contextlib.suppress(ClusterError):
                leases, instances = await self._leases.all(), await self._instances.all()
                found = status.summary("", leases, [], instances, time.time())
                holder = next((one.holder for one in found.sites if one.site == SITE), None)
                present = [one for one in found.instances if one.instance == holder and SITE in one.sites]
                if holder is not None and holder != without and present:
                    return holder
            await asyncio.sleep(0.2)
        raise AssertionError(f"no holder within {within_s} s\n{self.rig.log()}")

    async def _connected(self, within_s: float) -> None:
        """Wait until the site has a holder and every station has been served."""
        deadline = time.monotonic() + within_s
        await self._holder(within_s)
        while not all(one.ready.is_set() for one in self.fleet):
            if time.monotonic() > deadline:
                away = [one.name for one in self.fleet if not one.ready.is_set()]
                raise AssertionError(f"{len(away)} stations are not served: {away[:5]}\n{self.rig.log()}")
            await asyncio.sleep(0.1)

    async def _settle(self, client: Facility) -> None:
        """Wait until every command has its final result, or its lease is over for a while."""
        deadline = time.monotonic() + self.command_lease_s + 15
        while time.monotonic() < deadline:
            await asyncio.sleep(0.2)
            if all(client.complete(one) for one in self._sent):
                return

    # the rules

    def _judge(self, client: Facility) -> None:
        found = self.report.violations
        for command in self._sent:
            first, final = client.of(command, first=True), client.of(command, first=False)
            self.report.outcomes["/".join(sorted(first | final)) or "none"] += 1
            for one in client.results.get(command, []):
                self.report.reasons[f"{one['status']}: {one['reason']['text']}"] += 1
            journal = {one["reason"]["code"] for one in client.results.get(command, [])} == {"journal_unavailable"}
            if len(first) > 1 or (len(final) != 1 and not journal):
                found.append(f"{command}: results {client.results.get(command)}")
        offset = time.time() - time.monotonic()
        for station in self.fleet[: self.commanded]:
            found.extend(self._judge_station(client, station, offset))

    def _judge_station(self, client: Facility, station: LightStation, offset: float) -> list[str]:
        found, latest = [], 0
        for setpoint in station.setpoints:
            if not setpoint.power_w:
                continue
            number = round((-setpoint.power_w - power_of(0)) / STEP_W)
            if abs(-setpoint.power_w - power_of(number)) > 1e-6:
                continue  # of a ramp
            if number < latest:
                found.append(f"{station.name}: the power of round {number} after that of round {latest}")
            latest = max(latest, number)
            results = client.results.get(f"r{number}-{station.name}", [])
            until = max((parse_moment(one["lease_until"]) for one in results if one.get("lease_until")), default=None)
            ends = setpoint.at + (setpoint.valid_for_s or 0.0) + offset
            if until is None or setpoint.at + offset > until + SLACK_S or ends > until + SLACK_S:
                late = f"received {until - offset - setpoint.at:.2f} s before its end" if until else "without a lease"
                found.append(
                    f"{station.name}: the power of round {number} outlives its lease: {late}, "
                    f"valid for {setpoint.valid_for_s} s: {results}"
                )
        return found
