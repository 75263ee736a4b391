"""First results that the store does not have, where the gateway or its link is lost before the broker has them."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from emulators.runtime.clock import VirtualClock
from emulators.runtime.memory_broker import MemoryBroker, MemoryBus
from gateway.app import Ending, Gateway, Parts, gateway
from gateway.bench.plain_station import PlainStations
from gateway.config import from_table
from gateway.store.store import MemoryStore, Store
from protocols.ports import Bus, BusMessage
from tests.gateway.commands.test_journal import BreakingStore

pytestmark = pytest.mark.virtual_time

ROOT = "v2x/1/home"
EVSE = f"{ROOT}/evse/CP1-1"
CLIENT = "v2x-home-gw1"
LATENCY_S = 1.0
STARTED_S = 20.0  # with that latency a new gateway has subscribed, read what is retained and published its states


@dataclass
class Site:
    """A broker with latency, a facility, and gateways one after the other."""

    client: MemoryBus
    broker: MemoryBroker = field(default_factory=MemoryBroker)
    clock: VirtualClock = field(default_factory=VirtualClock)
    results: list[tuple[str, str, str]] = field(default_factory=list)  # id, status, reason

    async def send(self, verb: str, topic: str = EVSE, **body: Any) -> None:
        body["issued_at"] = self.clock.wall()
        await self.client.publish(BusMessage(f"{topic}/cmd/{verb}", json.dumps(body).encode(), qos=1))

    @asynccontextmanager
    async def gateway(self, store: Store | None = None) -> AsyncIterator[Gateway]:
        """Run a gateway that is killed at the end of the context."""

        def connect(will: BusMessage) -> AbstractAsyncContextManager[Bus]:
            return self.broker.client(CLIENT, will=will, clean_start=False, session_expiry_s=300, acknowledges=True)

        table = {
            "site": {"id": "home"},
            "mqtt": {"gateway_id": "gw1", "homeassistant": "off", "telemetry_s": 60},
            "commands": {"evse_rate_per_s": 0.1},
        }
        parts = Parts(
            clock=self.clock, connect=connect, stations=lambda report, clock: PlainStations(clock, report),
            store=store or MemoryStore(), seed=1,
        )  # fmt: skip
        async with gateway(from_table(table), parts) as running:
            await self.clock.sleep(STARTED_S)
            yield running
            running.ending = Ending.ABANDON


@asynccontextmanager
async def site() -> AsyncIterator[Site]:
    broker = MemoryBroker()
    broker.latency_s = LATENCY_S
    async with broker.client("facility") as client:
        one = Site(client, broker)
        await client.subscribe(f"{EVSE}/result", qos=1)
        await client.subscribe(f"{ROOT}/site/result", qos=1)

        async def listen() -> None:
            async for message in client.messages():
                body = json.loads(message.payload)
                one.results.append((body["id"], body["status"], body["reason"]["code"]))

        listening = asyncio.create_task(listen())
        try:
            yield one
        finally:
            listening.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await listening


async def test_a_refusal_on_its_way_when_the_gateway_is_killed_is_given_by_the_next_one() -> None:
    async with site() as home:
        async with home.gateway():
            await home.send("discharge", id="a", power_w=-1)
            await home.clock.sleep(1.5 * LATENCY_S)  # the command has arrived, its result has not
        assert home.results == []
        async with home.gateway():
            await home.clock.sleep(STARTED_S)
        assert home.results == [("a", "refused", "bad_command")]


async def test_a_refusal_on_its_way_when_the_link_is_lost_stays_the_only_decision() -> None:
    async with site() as home, home.gateway():
        await asyncio.gather(*(home.send("discharge", id=f"c{number}", power_w=1000) for number in range(4)))
        await home.clock.sleep(1.5 * LATENCY_S)
        home.broker.cut(CLIENT)
        await home.clock.sleep(STARTED_S)
        of = {name: {(status, code) for one, status, code in home.results if one == name} for name in ("c0", "c3")}
        assert of == {"c0": {("refused", "unknown_evse")}, "c3": {("refused", "rate_limited")}}
        assert [one for one, *_ in home.results].count("c3") == 1


async def test_a_stop_that_the_store_does_not_have_reaches_the_next_gateway() -> None:
    async with site() as home:
        store = BreakingStore()
        async with home.gateway(store):
            store.trouble = "the disk is full"
            await home.send("emergency_stop", f"{ROOT}/site", id="a")
            await home.clock.sleep(1.5 * LATENCY_S)
        assert home.results == []
        async with home.gateway() as running:
            await home.clock.sleep(STARTED_S)
            assert running.service.site_state().emergency_stop is True
        assert [(one, status) for one, status, _ in home.results][:1] == [("a", "accepted")]
