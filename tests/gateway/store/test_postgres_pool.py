"""What a write and a read send to Postgres, and connections of the pool that do not work any more."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncEngine

from gateway.model.journal import Kept
from gateway.store import postgres_pool as pool_module
from gateway.store.postgres_pool import postgres_pool
from gateway.store.sql import SqlStore
from tests.gateway.store.postgres import Cluster


def record(body: str) -> Kept:
    return Kept("token", "t", body, 1.0)


def sent_by(pool: AsyncEngine) -> list[str]:
    """Collect what the connections of a pool send from now on: the first word of each statement."""
    found: list[str] = []
    logged: set[Any] = set()

    def taken(connection: Any, *_: object) -> None:
        driver = connection.driver_connection
        if driver not in logged:  # begins and ends of transactions are statements of the driver
            logged.add(driver)
            driver.add_query_logger(lambda one: found.append(one.query.split()[0].strip(";")))

    def executed(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        found.append(statement.split()[0])

    event.listen(pool.sync_engine, "checkout", taken)
    event.listen(pool.sync_engine, "after_cursor_execute", executed)
    return found


async def test_a_write_and_a_read_send_few_statements(cluster: Cluster) -> None:
    pool = postgres_pool(cluster.database(), fenced=True, connections=1)
    store = SqlStore("postgresql://shared", "gw1", term=5, pool=pool)
    try:
        await store.open()
        await store.write([record("1")])
        await store.kept_of(("token", "t"))
        sent = sent_by(pool)
        await store.write([record("2")])
        assert sent == ["WITH"]  # a transaction by itself, the check of the term included
        sent.clear()
        assert [one.body for one in await store.kept_of(("token", "t"))] == ["2"]
        assert sent == ["SELECT"]
        sent.clear()
        await store.kept_of(*(("token", str(number)) for number in range(300)))
        assert sent == ["SELECT"]
    finally:
        await store.close()
        await pool.dispose()


async def noticed(pool: AsyncEngine, cluster: Cluster) -> None:
    """End the connections of the server; the one of the pool has received that."""
    async with pool.connect() as connection:
        driver = (await connection.get_raw_connection()).driver_connection
    assert driver is not None
    closed = asyncio.Event()
    driver.add_termination_listener(lambda _: closed.set())
    cluster.restart()
    async with asyncio.timeout(10):
        await closed.wait()


async def unnoticed(pool: AsyncEngine, cluster: Cluster) -> None:
    """End the connections of the server; nothing has been received since."""
    async with pool.connect():
        pass
    cluster.restart()


@pytest.mark.parametrize(("lost", "verified_for_s"), [(noticed, 3600.0), (unnoticed, 0.0)])
async def test_a_connection_that_failed_while_it_was_not_used_costs_no_write(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch, lost: Callable[..., Any], verified_for_s: float
) -> None:
    monkeypatch.setattr(pool_module, "VERIFIED_FOR_S", verified_for_s)
    pool = postgres_pool(cluster.database(), fenced=False, connections=1)
    store = SqlStore("postgresql://shared", "gw1", pool=pool)
    try:
        await store.migrate()
        await store.open()
        await lost(pool, cluster)
        await store.write([record("2")])
        assert [one.body for one in await store.kept_of(("token", "t"))] == ["2"]
    finally:
        await store.close()
        await pool.dispose()


async def test_connections_to_a_server_that_does_not_answer_are_closed_in_time(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A gateway that is stopped would else not end until the server, or the network to it, works again."""
    monkeypatch.setattr(pool_module, "CLOSED_WITHIN_S", 0.2)
    store = SqlStore(cluster.database(), "gw1", term=1)
    await store.open()
    await store.write([record("1")])
    await asyncio.gather(*(store.kept(1) for _ in range(3)))  # several connections
    cluster.signal(signal.SIGSTOP)
    try:
        async with asyncio.timeout(5):
            await store.close()
    finally:
        cluster.signal(signal.SIGCONT)
    assert caplog.messages == []
