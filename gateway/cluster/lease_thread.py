"""Writes of leases in a thread, with an event loop and a connection to NATS of its own.

A write crosses a loop several times. In a storm of stations each turn of the loop of the gateway takes long, and a
renewal that shared it with their messages would come too late: it takes six turns there and two here, one to hand it
over and one to learn the outcome, and its answer waits behind no messages of stations. What is written, and when, is
still decided by that loop: a gateway that hangs does not renew.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Protocol

from gateway.cluster.io import ClusterBus, Record, Records
from gateway.cluster.settings import ClusterSettings
from gateway.loop_thread import LoopThread


class Leases(Protocol):
    """Records of leases: `gateway.cluster.io.Records`, or `LeasesInThread`."""

    async def update(self, key: str, value: bytes, last: int) -> int: ...
    async def get(self, key: str) -> Record | None: ...


class LeasesInThread:
    """`Leases` whose work is done by the loop of another thread."""

    def __init__(self, records: Records, thread: LoopThread) -> None:
        self._records, self._thread = records, thread

    async def update(self, key: str, value: bytes, last: int) -> int:
        """See `Records.update`."""
        return await self._thread.run(self._records.update(key, value, last))

    async def get(self, key: str) -> Record | None:
        """See `Records.get`."""
        return await self._thread.run(self._records.get(key))


class LeaseThread:
    """A thread that is connected to NATS."""

    def __init__(self, bus: ClusterBus, thread: LoopThread) -> None:
        self._bus, self._thread = bus, thread

    async def records(self, kind: str) -> Leases:
        """Return the records of a kind; see `ClusterBus.records`."""
        return LeasesInThread(await self._thread.run(self._bus.records(kind)), self._thread)


@asynccontextmanager
async def lease_thread(settings: ClusterSettings) -> AsyncIterator[LeaseThread]:
    """Run a thread while the context is entered. ClusterError where NATS cannot be used."""
    thread = LoopThread("leases")
    connecting = ClusterBus(settings).connect()
    try:
        bus = await thread.run(connecting.__aenter__())
        try:
            yield LeaseThread(bus, thread)
        finally:
            await thread.run(connecting.__aexit__(None, None, None))
    finally:
        await thread.stop()
