"""Stores of each kind in virtual time, whose contents at a moment can be copied: what a killed gateway leaves."""

from __future__ import annotations

import asyncio
import contextlib
import copy
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

from sqlalchemy import Row

from emulators.runtime.clock import VirtualLoop
from gateway.model.journal import Record
from gateway.store.sql import SqlStore
from gateway.store.store import MemoryStore, Sample, Store
from tests.gateway.store.postgres import Cluster


class Copies(Protocol):
    """Stores of one kind."""

    def new(self) -> Store:
        """Return an empty store."""

    async def copy(self, store: Store) -> Store:
        """Return a store with the present contents of another one."""


class MemoryCopies:
    """Stores in memory."""

    def new(self) -> Store:
        return MemoryStore()

    async def copy(self, store: Store) -> Store:
        return copy.deepcopy(store)


class SqliteCopies:
    """Files in a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._number = folder, 0
        self._paths: dict[Store, Path] = {}

    def new(self) -> Store:
        self._number += 1
        path = self._folder / f"{self._number}.db"
        store = SqlStore(f"sqlite:///{path}", "gw1", "normal")
        self._paths[store] = path
        return store

    async def copy(self, store: Store) -> Store:
        copied = self.new()
        with (
            contextlib.closing(sqlite3.connect(self._paths[store])) as one,
            contextlib.closing(sqlite3.connect(self._paths[copied])) as other,
        ):
            one.backup(other)
        return copied


class PostgresCopies:
    """Databases of a cluster."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._urls: dict[Store, str] = {}

    def new(self) -> Store:
        return self._store(self._cluster.database())

    async def copy(self, store: Store) -> Store:
        """See `Copies`; the store is closed and opened again meanwhile."""
        with _held():
            await store.close()
            copied = self._store(self._cluster.database(self._urls[store]))
            await store.open()
        return copied

    def _store(self, url: str) -> Store:
        store = HeldSqlStore(url, "gw1")
        self._urls[store] = url
        return store


class HeldSqlStore(SqlStore):
    """A store behind a socket; the time stands still while it answers."""

    async def open(self) -> None:
        with _held():
            await super().open()

    async def close(self) -> None:
        with _held():
            await super().close()

    async def write(self, records: Sequence[Record]) -> None:
        with _held():
            await super().write(records)

    async def sample(self, samples: Sequence[Sample]) -> None:
        with _held():
            await super().sample(samples)

    async def prune(self, commands_before: float, entries_before: float, samples_before: float | None = None) -> int:
        with _held():
            return await super().prune(commands_before, entries_before, samples_before)

    async def _read(self, query: Any) -> Sequence[Row[Any]]:
        with _held():
            return await super()._read(query)


def _held() -> contextlib.AbstractContextManager[None]:
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualLoop)
    return loop.hold()
