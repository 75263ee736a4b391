"""One run: a command, a gateway that is killed at one moment, a restart, and the rules that hold.

As the contract requires, the facility sends the same id again while it has no response.
"""

from __future__ import annotations

import asyncio
import json
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from multiprocessing.process import BaseProcess
from typing import Any

import aiomqtt

from gateway.model.message import parse_moment
from gateway.store.sql import SqlStore
from tests.forked import processes
from tests.gateway.crash.gateway_process import ProcessConfig, main
from tests.gateway.crash.stations import StationSide

LEASE_S = 5.0
AFTER_LEASE_S = 2.5  # the ramp of 5 kW at 10 kW/s, the watchdog's slack, and a loaded machine
RUN_WITHIN_S = 60.0


@dataclass
class Facility:
    """Sends one command until there is a response, and records every result."""

    client: aiomqtt.Client
    site: str
    results: list[dict[str, Any]] = field(default_factory=list)
    received: asyncio.Event = field(default_factory=asyncio.Event)

    async def listen(self) -> None:
        """Receive until cancelled."""
        async for message in self.client.messages:
            payload = message.payload if isinstance(message.payload, bytes) else b""
            if str(message.topic).endswith("/result"):
                self.results.append(json.loads(payload))
                self.received.set()

    async def send_until_final(self, body: dict[str, Any]) -> None:
        """Send until there is a final result."""
        while not self.final():
            await self.client.publish(f"v2x/1/{self.site}/evse/CP1-1/cmd/discharge", json.dumps(body), qos=1)
            deadline = time.monotonic() + 1.0
            while not self.final() and time.monotonic() < deadline:
                self.received.clear()
                try:
                    async with asyncio.timeout(max(0.01, deadline - time.monotonic())):
                        await self.received.wait()
                except TimeoutError:
                    break
            if self.first():
                while not self.final():
                    self.received.clear()
                    await self.received.wait()

    def first(self) -> list[dict[str, Any]]:
        """Return the results that grant power."""
        return [one for one in self.results if one["status"] in ("accepted", "clamped")]

    def final(self) -> list[dict[str, Any]]:
        """Return the final results."""
        return [one for one in self.results if one["status"] not in ("accepted", "clamped")]


@asynccontextmanager
async def facility(broker: int, site: str) -> AsyncIterator[Facility]:
    """Connect a facility to the broker."""
    nodelay = [(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)]
    protocol = aiomqtt.ProtocolVersion.V5
    async with aiomqtt.Client("127.0.0.1", broker, protocol=protocol, socket_options=nodelay) as client:
        await client.subscribe(f"v2x/1/{site}/evse/+/result", qos=1)
        one = Facility(client, site)
        listening = asyncio.create_task(one.listen())
        try:
            yield one
        finally:
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)


async def run_once(broker: int, database: str, site: str, moment: str) -> list[str]:
    """Run one kill and return the violated rules, one sentence each."""
    station = StationSide()
    await station.start()
    context = processes()
    power: list[tuple[float, float]] = []
    first = _start(context, ProcessConfig(site, broker, database, station.port, moment))
    watching = asyncio.create_task(_watch(station, power))
    second: BaseProcess | None = None
    try:
        async with asyncio.timeout(RUN_WITHIN_S), facility(broker, site) as client:
            body = {"id": f"{site}-a", "power_w": 5000, "lease_s": LEASE_S, "issued_at": time.time()}
            sending = asyncio.create_task(client.send_until_final(body))
            while first.is_alive() and not _over(client, station):  # noqa: ASYNC110 (a process is no event)
                await asyncio.sleep(0.02)
            killed = not first.is_alive()
            if killed:
                second = _start(context, ProcessConfig(site, broker, database, station.port))
            await sending
            while not _over(client, station) or station.power_w:  # noqa: ASYNC110 (nor is power)
                await asyncio.sleep(0.05)
            await asyncio.sleep(0.5)  # until anything that is left would act
    except TimeoutError:
        return [f"{moment}: no end within {RUN_WITHIN_S:.0f} s; results {client.results}, calls {station.log}"]
    finally:
        watching.cancel()
        for process in (first, second):
            if process is not None:
                process.kill()
                await asyncio.to_thread(process.join)
        await station.stop()
    return await _violations(moment, killed, client, station, power, database, f"{site}-a")


def _start(context: Any, orders: ProcessConfig) -> BaseProcess:
    process: BaseProcess = context.Process(target=main, args=(orders,), daemon=True)
    process.start()
    return process


def _over(client: Facility, station: StationSide) -> bool:
    """Return whether the command has its final result and its lease has ended."""
    leases = [parse_moment(one["lease_until"]) for one in client.results if one.get("lease_until")]
    return bool(client.final()) and time.time() > max(leases, default=0.0) + AFTER_LEASE_S


async def _watch(station: StationSide, power: list[tuple[float, float]]) -> None:
    while True:
        power.append((time.time(), station.power_w))
        await asyncio.sleep(0.02)


async def _violations(
    moment: str,
    killed: bool,
    client: Facility,
    station: StationSide,
    power: list[tuple[float, float]],
    database: str,
    command: str,
) -> list[str]:
    found = []
    if not killed:
        found.append("the gateway was not killed: the moment did not occur")
    runs = sum(1 for (_, a), (_, b) in pairwise(power) if a == 0 and b != 0)
    if runs > 1:
        found.append(f"the command acted {runs} times")
    for results, name in ((client.first(), "first"), (client.final(), "final")):
        if len({json.dumps(one, sort_keys=True) for one in results}) > 1:
            found.append(f"{name} results differ: {results}")
    not_back = [one for one in client.final() if one["reason"]["code"] == "offline"]
    if not client.first() and not (runs == 0 and not_back):  # accepted again before the station was back, and rejected
        found.append(f"it was neither granted nor rejected as offline: {client.results}")
    lease_until = max((parse_moment(one["lease_until"]) for one in client.first()), default=0.0)
    late = [at for at, power_w in power if power_w != 0 and at > lease_until + AFTER_LEASE_S]
    if late:
        found.append(f"power {late[-1] - lease_until:.2f} s after the end of the lease")
    fresh = False
    for _, call, _ in station.log:
        if call == "link":
            fresh = True
        elif fresh:
            if call != "reconcile":
                found.append(f"{call} before reconciliation")
            fresh = False
    store = SqlStore(database)
    await store.open()
    try:
        stored = await store.find_command(command)
        last = (stored.final if client.first() else stored.first) if stored is not None else None
        if stored is None or last is None or stored.in_force:
            found.append(f"the store holds {stored}")
        elif json.loads(last) != client.final()[0]:
            found.append(f"the store's last result is another one: {last}")
        steps = [entry.step.value for entry in await store.entries(command=command)]
        ended = "ended" in steps or not client.first()
        if [steps.count(step) for step in ("journalled", "bound")] != [1, 1] or not ended:
            found.append(f"the journal holds {steps}")
    finally:
        await store.close()
    return [f"{moment}: {one}" for one in found]
