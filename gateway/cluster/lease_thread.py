"""Writes of leases in a thread, with an event loop and a connection to NATS of its own.

A write crosses a loop several times. In a storm of stations each turn of the loop of the gateway takes long, and a
renewal that shared it with their messages would come too late: it takes six turns there and two here, one to hand it
over and one to learn the outcome, and its answer waits behind no messages of stations. What is written, and when, is
still decided by that loop: a gateway that hangs does not renew.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Protocol, TypeVar

from gateway.cluster.io import ClusterBus, Record, Records
from gateway.cluster.settings import ClusterSettings

STOP_WITHIN_S = 5.0
T = TypeVar("T")


class Leases(Protocol):
    """Records of leases: `gateway.cluster.io.Records`, or `LeasesInThread`."""

    async def update(self, key: str, value: bytes, last: int) -> int: ...
    async def get(self, key: str) -> Record | None: ...


class LeasesInThread:
    """`Leases` whose work is done by the loop of another thread."""

    def __init__(self, records: Records, loop: asyncio.AbstractEventLoop) -> None:
        self._records, self._loop = records, loop

    async def update(self, key: str, value: bytes, last: int) -> int:
        """See `Records.update`."""
        return await _elsewhere(self._records.update(key, value, last), self._loop)

    async def get(self, key: str) -> Record | None:
        """See `Records.get`."""
        return await _elsewhere(self._records.get(key), self._loop)


async def _elsewhere(work: Coroutine[object, None, T], loop: asyncio.AbstractEventLoop) -> T:
    return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, loop))


class LeaseThread:
    """A thread that is connected to NATS."""

    def __init__(self, bus: ClusterBus, loop: asyncio.AbstractEventLoop) -> None:
        self._bus, self._loop = bus, loop

    async def records(self, kind: str) -> Leases:
        """Return the records of a kind; see `ClusterBus.records`."""
        return LeasesInThread(await _elsewhere(self._bus.records(kind), self._loop), self._loop)


@asynccontextmanager
async def lease_thread(settings: ClusterSettings) -> AsyncIterator[LeaseThread]:
    """Run a thread while the context is entered. ClusterError where NATS cannot be used."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="leases", daemon=True)
    thread.start()
    connecting = ClusterBus(settings).connect()
    try:
        bus = await _elsewhere(connecting.__aenter__(), loop)
        try:
            yield LeaseThread(bus, loop)
        finally:
            await _elsewhere(connecting.__aexit__(None, None, None), loop)
    finally:
        await _elsewhere(_cancel_others(), loop)
        loop.call_soon_threadsafe(loop.stop)
        await asyncio.to_thread(thread.join, STOP_WITHIN_S)
        if not thread.is_alive():
            loop.close()


async def _cancel_others() -> None:
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    if others:
        await asyncio.wait(others, timeout=STOP_WITHIN_S)
