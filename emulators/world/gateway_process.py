"""The gateway as a process of the world: it starts with what its store remembers, and it can be killed at any moment.

Killed means killed: nothing more is said to anybody, and nothing more is kept.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, cast

from emulators.world.network import Network
from gateway.app import Gateway, Parts, gateway
from gateway.config import Config
from gateway.model.journal import Record
from gateway.store.memory import MemoryStore
from gateway.store.ports import Store
from protocols.ports import Clock

KILLS = 20  # times a gateway is told to die before the world gives up on it


class Process:
    """One life of the gateway. Once dead, its links are refused and its store keeps nothing."""

    def __init__(self, config: Config, clock: Clock, network: Network, store: MemoryStore, seed: int) -> None:
        self.dead = False
        self._config, self._network = config, network
        mortal = cast("Store", _MortalStore(self, store))
        self._parts = Parts(clock, network.gateway(lambda: not self.dead), mortal, listen=network.listens, seed=seed)
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> Gateway:
        """Returns when it is ready; what keeps it from starting is raised."""
        ready: asyncio.Future[Gateway] = asyncio.get_running_loop().create_future()
        self._task = asyncio.get_running_loop().create_task(self._run(ready), name="gateway")
        self._task.add_done_callback(lambda task: None if ready.done() else _pass_on(task, ready))
        return await ready

    async def _run(self, ready: asyncio.Future[Gateway]) -> None:
        async with gateway(self._config, self._parts) as running:
            ready.set_result(running)
            await asyncio.get_running_loop().create_future()

    async def die(self) -> None:
        """Its rooms see that their links are gone before they are told to stop."""
        for _ in range(KILLS):
            await asyncio.sleep(0.01)
            if self._task is None or self._task.done():
                break
            self._task.cancel()
            await asyncio.wait({self._task}, timeout=1.0)


class _MortalStore:
    """The store as one life of the gateway sees it."""

    def __init__(self, process: Process, store: MemoryStore) -> None:
        self._process, self._store = process, store

    async def write(self, records: Sequence[Record]) -> None:
        if not self._process.dead:
            await self._store.write(records)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)


def _pass_on(task: asyncio.Task[None], ready: asyncio.Future[Gateway]) -> None:
    """A gateway that ends before it is ready says why to whoever waits for it."""
    error = None if task.cancelled() else task.exception()
    ready.set_exception(error or RuntimeError("the gateway ended before it was ready"))
