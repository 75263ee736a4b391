"""One round: a real OCPP station with its car, a whole gateway, a facility, and one fault at a random moment.

Judged from the station's meter and from the client: no power without a lease, no command acts twice or late, each gets
one final result, and a new command is served once the fault is over.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
import resource
import signal
import socket
import sqlite3
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from multiprocessing.process import BaseProcess
from typing import Any

import aiomqtt

from emulators.charger.station.run import Charger, Options, make
from emulators.ev import profile
from emulators.ev.car import Car
from gateway.model.message import parse_moment
from tests.forked import processes
from tests.gateway.crash.power_record import PowerRecord
from tests.gateway.crash.whole_gateway_process import ProcessConfig, main
from tests.gateway.mqtt.facility import Mosquitto, free_port
from tests.gateway.store.postgres import Cluster

EVSE = "CP1-1"
POWER_W = 5000
LEASE_S = 5.0
SLACK_S = 3.0  # of power after the end of a lease: ramp, step of the station, loaded machine
PAUSED_S = 20.0  # longer than lease, validity of a set-point (15 s) and keep-alive
SERVED_WITHIN_S = 60.0  # the station connects again, boots and continues its transaction
RUN_WITHIN_S = 240.0


@dataclass
class Client:
    """A facility that keeps its session over lost links and sends a command until it has a response.

    `jumps`: the gateway's clock does not show the time.
    """

    broker: int
    site: str
    jumps: bool = False
    sent: dict[str, float] = field(default_factory=dict)  # when each command was sent first
    results: dict[str, list[tuple[float, dict[str, Any]]]] = field(default_factory=dict)
    _link: aiomqtt.Client | None = None

    async def run(self) -> None:
        """Receive until cancelled."""
        nodelay = [(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)]
        while True:
            with contextlib.suppress(aiomqtt.MqttError):
                five = aiomqtt.ProtocolVersion.V5
                async with aiomqtt.Client("127.0.0.1", self.broker, protocol=five, socket_options=nodelay) as link:
                    await link.subscribe(f"v2x/1/{self.site}/evse/+/result", qos=1)
                    self._link = link
                    async for message in link.messages:
                        one = json.loads(message.payload if isinstance(message.payload, bytes) else b"{}")
                        self.results.setdefault(one["id"], []).append((time.time(), one))
            self._link = None
            await asyncio.sleep(0.2)

    async def send(self, body: dict[str, Any]) -> None:
        """Send once, if there is a link."""
        if self._link is not None:
            self.sent.setdefault(body["id"], time.time())
            with contextlib.suppress(aiomqtt.MqttError):
                await self._link.publish(f"v2x/1/{self.site}/evse/{EVSE}/cmd/discharge", json.dumps(body), qos=1)

    async def send_until_final(self, body: dict[str, Any]) -> dict[str, Any]:
        """Send until there is a final result, every 2 s; return it."""
        while not self.finals(body["id"]):
            await self.send(body)
            deadline = time.monotonic() + 2.0
            while not self.finals(body["id"]) and time.monotonic() < deadline:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        return self.finals(body["id"])[0]

    def grants(self, command: str) -> list[tuple[float, dict[str, Any]]]:
        """Return what granted power, with the time of its arrival."""
        return [(at, one) for at, one in self.results.get(command, []) if one["status"] in ("accepted", "clamped")]

    def finals(self, command: str) -> list[dict[str, Any]]:
        """Return final results of a command; a refusal is one."""
        found = self.results.get(command, [])
        return [one for _, one in found if one["status"] not in ("accepted", "clamped")]

    def lease_end(self, command: str) -> float:
        """Return the end of its lease; where the clock jumps, at the latest: a result may have been on its way."""
        ends = [
            at + parse_moment(one["lease_until"]) - parse_moment(one["ts"])
            if self.jumps
            else parse_moment(one["lease_until"])
            for at, one in self.grants(command)
            if one.get("lease_until")
        ]
        return max(ends, default=0.0)


class Station:
    """An emulated OCPP 2.1 station with a car in session, over a real WebSocket; its power is sampled."""

    def __init__(self, charger: Charger) -> None:
        self.charger = charger
        self.power = PowerRecord()

    async def run(self) -> None:
        """Operate and sample until cancelled."""
        operating = asyncio.create_task(self.charger.run())
        try:
            while True:
                path, clock = self.charger.power_paths[0], self.charger.station.clock
                self.power.add(time.time(), path.reading(clock.now()).power_w)
                await asyncio.sleep(0.05)
                if operating.done():
                    operating.result()
        finally:
            operating.cancel()
            await asyncio.gather(operating, return_exceptions=True)


@dataclass
class Round:
    """Everything of one round. `cluster`: of the round with PostgreSQL."""

    kind: str
    settings: ProcessConfig
    broker: Mosquitto
    chance: random.Random
    cluster: Cluster | None = None
    gateway: BaseProcess | None = None

    def start(self) -> None:
        """Start the gateway."""
        self.gateway = processes().Process(target=main, args=(self.settings,), daemon=True)
        assert self.gateway is not None
        self.gateway.start()

    @property
    def pid(self) -> int:
        assert self.gateway is not None
        assert self.gateway.pid is not None
        return self.gateway.pid

    def ended(self) -> str | None:
        """Return how the gateway ended by itself, None while it runs."""
        if self.gateway is None or self.gateway.is_alive():
            return None
        return f"the gateway ended by itself with status {self.gateway.exitcode}"

    async def end(self) -> None:
        """Kill the gateway and wait for its end."""
        if self.gateway is not None:
            self.gateway.kill()
            await asyncio.to_thread(self.gateway.join)

    # faults -----------------------------------------------------------------------------------------------------------

    async def kill(self) -> None:
        """SIGKILL and a new start."""
        await self.end()
        await asyncio.sleep(self.chance.choice([0.0, 0.0, 1.0]))
        self.start()

    async def pause(self) -> None:
        """SIGSTOP for longer than every time-out, then SIGCONT."""
        os.kill(self.pid, signal.SIGSTOP)
        await asyncio.sleep(PAUSED_S)
        os.kill(self.pid, signal.SIGCONT)

    async def broker_restart(self) -> None:
        """The broker is killed and started again."""
        await asyncio.to_thread(self.broker.stop)
        await asyncio.sleep(self.chance.uniform(0.0, 3.0))
        await asyncio.to_thread(self.broker.start)

    async def disk_full(self) -> None:
        """No file of the gateway grows any more: SQLite reports a failing disk. Sometimes it is killed meanwhile."""
        soft, hard = resource.prlimit(self.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(self.pid, resource.RLIMIT_FSIZE, (1, hard))
        await asyncio.sleep(self.chance.uniform(0.5, 6.0))
        if self.chance.random() < 0.5:
            await self.kill()
        else:
            resource.prlimit(self.pid, resource.RLIMIT_FSIZE, (soft, hard))

    async def lock(self) -> None:
        """Another process holds the database."""
        other = sqlite3.connect(
            self.settings.database.partition(":///")[2], isolation_level=None, timeout=10, check_same_thread=False
        )
        try:
            await asyncio.to_thread(other.execute, "BEGIN IMMEDIATE")
            await asyncio.sleep(self.chance.uniform(0.3, 6.0))
            other.execute("ROLLBACK")
        finally:
            other.close()

    async def database_restart(self) -> None:
        """PostgreSQL is killed and started again."""
        assert self.cluster is not None
        await asyncio.to_thread(self.cluster.restart)

    async def clock(self) -> None:
        """The wall clock jumps ahead and back."""
        for _ in range(self.chance.randint(1, 3)):
            os.kill(self.pid, signal.SIGUSR1)
            await asyncio.sleep(self.chance.uniform(0.0, 1.5))
        if self.chance.random() < 0.5:
            await self.kill()


FAULTS: dict[str, Callable[[Round], Awaitable[None]]] = {
    "kill": Round.kill,
    "pause": Round.pause,
    "broker": Round.broker_restart,
    "disk": Round.disk_full,
    "lock": Round.lock,
    "postgres": Round.database_restart,
    "clock": Round.clock,
}


@asynccontextmanager
async def _tasks(*work: Awaitable[None]) -> AsyncIterator[None]:
    running = [asyncio.ensure_future(one) for one in work]
    try:
        yield
    finally:
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)


async def run_round(one: Round) -> list[str]:
    """Run a round and return the violated rules, one sentence each."""
    options = Options(f"ws://127.0.0.1:{one.settings.ocpp_port}/ocpp", "CP1", meter_interval_s=1.0)
    charger = await make(options)
    path, station = charger.power_paths[0], Station(charger)
    charger.station.plug_in(1, path.plug(Car(profile.load("leaf-62"), 80.0), charger.station.clock.now()))  # type: ignore[attr-defined]
    client = Client(one.broker.port, one.settings.site, jumps=one.kind == "clock")
    one.start()
    try:
        async with asyncio.timeout(RUN_WITHIN_S), _tasks(station.run(), client.run()):
            if not await _served(client, "ready", SERVED_WITHIN_S):
                return [f"{one.kind}: not served before the fault: {one.ended() or _short(client)}"]
            await asyncio.sleep(LEASE_S + SLACK_S)
            first_at = time.time()  # from here on: before the first connection the car charges as the station lets it
            sending = asyncio.create_task(client.send_until_final(_body("a")))
            await asyncio.sleep(one.chance.uniform(0.0, 2.5))
            await FAULTS[one.kind](one)
            await sending
            await asyncio.sleep(max(0.0, client.lease_end("a") + SLACK_S - time.time()) + 0.5)
            second_at = time.time()
            served = await _served(client, "b", SERVED_WITHIN_S)
            await asyncio.sleep(max(0.0, client.lease_end(served) - time.time()) + SLACK_S + 0.5 if served else 0.0)
            ended = one.ended()
    except TimeoutError:
        return [f"{one.kind}: {one.ended() or ''}; no end within {RUN_WITHIN_S:.0f} s; results {client.results}"]
    finally:
        await one.end()
    violations = [*filter(None, [ended]), *_violations(client, station, first_at, second_at, served)]
    return [f"{one.kind}: {violation}" for violation in violations]


def _body(command: str) -> dict[str, Any]:
    return {"id": command, "power_w": POWER_W, "lease_s": LEASE_S}


async def _served(client: Client, name: str, within_s: float) -> str:
    """Send new commands until the meter has shown one, as a controller does; return its id, empty where none was."""
    deadline, number = time.monotonic() + within_s, 0
    while time.monotonic() < deadline:
        number += 1
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(deadline - time.monotonic()):
                final = await client.send_until_final(_body(f"{name}{number}"))
                if final["status"] == "achieved":
                    return f"{name}{number}"
        await asyncio.sleep(1.0)
    return ""


def _violations(client: Client, station: Station, first_at: float, second_at: float, served: str) -> list[str]:
    found = []
    if not served:
        found.append(f"not served after the fault: {_short(client)}")
    if len(runs := station.power.runs(first_at, second_at)) > 1:
        found.append(f"the command acted {len(runs)} times: {runs}; {_short(client)}")
    ends = [(client.sent[command], client.lease_end(command)) for command in client.results if client.grants(command)]
    for begin, end in station.power.runs(first_at, time.time(), apart=True):
        lease_until = max((until for sent_at, until in ends if sent_at <= begin), default=0.0)
        if end > lease_until + SLACK_S + station.power.unseen_s(lease_until, end):
            found.append(f"power {end - lease_until:.2f} s after the end of the lease: {runs}; {_short(client)}")
    for command in client.results:
        finals = {json.dumps(one, sort_keys=True) for one in client.finals(command)}
        stored = {text for text in finals if '"journal_unavailable"' not in text}  # those leave the id free
        if len(stored) > 1:
            found.append(f"second final of {command}: {finals}")
        if client.grants(command) and not finals:
            found.append(f"{command} has no final result")
    return found


def _short(client: Client) -> dict[str, list[str]]:
    return {
        command: [f"{at % 1000:.1f} {one['status']} {one['reason']['code']}" for at, one in found]
        for command, found in client.results.items()
    }


def round_of(
    kind: str, number: int, seed: int, broker: Mosquitto, database: str, cluster: Cluster | None = None
) -> Round:
    """Return a round with its own site."""
    settings = ProcessConfig(f"site{number}", broker.port, database, free_port())
    return Round(kind, settings, broker, random.Random(f"{seed}/{kind}/{number}"), cluster)
