"""Gateway process of a world: starts with the content of its store and can be killed at any time.

Once killed it sends and stores nothing more.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Any, cast

from emulators.world.network import Network
from gateway.app import Gateway, Parts, gateway
from gateway.config import Config
from gateway.drivers.modbus.device import Client
from gateway.drivers.modbus.settings import ModbusSettings
from gateway.model.journal import Record
from gateway.store.store import MemoryStore, Store
from protocols.modbus.register_map import RegisterMap
from protocols.ports import Clock, Wire

STOP_ATTEMPTS = 20  # cancellations of the gateway's task before the world gives up


class GatewayProcess:
    """One run of the gateway. Once `killed`, its connections are refused and its writes are discarded."""

    def __init__(
        self,
        config: Config,
        parts: Parts,
        network: Network,
        store: MemoryStore,
        open_device: Callable[[str], Awaitable[Wire]],
    ) -> None:
        """`open_device`: connects to a wallbox over Modbus."""
        self.killed = False
        self._config, self._network, self._open_device = config, network, open_device
        self._parts = replace(
            parts,
            connect=network.gateway(lambda: not self.killed),
            store=cast("Store", _GuardedStore(self, store)),
            modbus=self._modbus,
            listen=network.listens,
        )
        self._task: asyncio.Task[None] | None = None

    def _modbus(self, settings: ModbusSettings, product: RegisterMap, clock: Clock) -> Callable[[], Client]:
        """Return how the gateway connects to the wallbox that an address names."""
        from protocols.modbus.io import ModbusClient  # pymodbus is an extra, and only loaded where it is used

        async def open_wire() -> Wire:
            if self.killed:
                raise ConnectionRefusedError("this gateway process was killed")
            return await self._open_device(settings.address)

        return lambda: ModbusClient(open_wire, clock)

    async def start(self) -> Gateway:
        """Return the gateway when it is ready; raise the error that prevents its start."""
        ready: asyncio.Future[Gateway] = asyncio.get_running_loop().create_future()
        self._task = asyncio.get_running_loop().create_task(self._run(ready), name="gateway")
        self._task.add_done_callback(lambda task: None if ready.done() else _fail(task, ready))
        return await ready

    async def _run(self, ready: asyncio.Future[Gateway]) -> None:
        async with gateway(self._config, self._parts) as running:
            ready.set_result(running)
            await asyncio.get_running_loop().create_future()

    async def stop(self) -> None:
        """Cancel the gateway's task; its services see the loss of their connections first."""
        for _ in range(STOP_ATTEMPTS):
            await asyncio.sleep(0.01)
            if self._task is None or self._task.done():
                break
            self._task.cancel()
            await asyncio.wait({self._task}, timeout=1.0)


class _GuardedStore:
    """Store of one gateway process."""

    def __init__(self, process: GatewayProcess, store: MemoryStore) -> None:
        self._process, self._store = process, store

    async def write(self, records: Sequence[Record]) -> None:
        if not self._process.killed:
            await self._store.write(records)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)


def _fail(task: asyncio.Task[None], ready: asyncio.Future[Gateway]) -> None:
    """Set the error of a gateway that ends before it is ready."""
    error = None if task.cancelled() else task.exception()
    ready.set_exception(error or RuntimeError("the gateway ended before it was ready"))
