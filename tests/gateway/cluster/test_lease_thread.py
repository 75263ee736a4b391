"""Renewals in a thread: how long they wait for an event loop whose turns are long, as in a storm of stations."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest

from gateway.cluster.io import ClusterBus
from gateway.cluster.lease_thread import Leases, lease_thread
from gateway.cluster.settings import ClusterSettings
from tests.gateway.cluster.rig import Nats, nats

TURN_S = 0.02  # of the loop, without a pause for other threads
WRITES = 5


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nats]:
    with nats(tmp_path_factory.mktemp("nats")) as servers:
        yield servers[0]


class BusyLoop:
    """Makes each turn of the event loop take `TURN_S` of computing, and counts them."""

    def __init__(self) -> None:
        self.turns = 0
        self._running = True

    def turn(self) -> None:
        until = time.perf_counter() + TURN_S
        while time.perf_counter() < until:
            pass
        self.turns += 1
        if self._running:
            asyncio.get_running_loop().call_soon(self.turn)

    @asynccontextmanager
    async def busy(self) -> AsyncIterator[None]:
        self.turn()
        try:
            yield
        finally:
            self._running = False


async def turns_of_a_write(leases: Leases, key: str) -> float:
    """Return the turns of the loop that a renewal takes, in the mean."""
    revision, loop = await leases.update(key, b"{}", 0), BusyLoop()
    async with loop.busy():
        before = loop.turns
        for _ in range(WRITES):
            revision = await leases.update(key, b"{}", revision)
        return (loop.turns - before) / WRITES


async def test_a_renewal_in_the_thread_takes_fewer_turns_of_a_busy_loop(server: Nats) -> None:
    settings = ClusterSettings((server.url,), "gw1")
    async with ClusterBus(settings).connect() as bus, lease_thread(settings) as thread:
        beside = await turns_of_a_write(await thread.records("leases"), "thread")
        among = await turns_of_a_write(await bus.records("leases"), "loop")
    assert beside < among
