"""What a write and a read send to Postgres, and connections of the pool that do not work any more."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event, text
from sqlalchemy.ext.asyncio import AsyncEngine

from gateway.model.journal import Kept
from gateway.store import postgres_pool as pool_module
from gateway.store import postgres_writer
from gateway.store.postgres_pool import postgres_pool
from gateway.store.sql import SqlStore
from gateway.store.store import StoreError
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


async def test_a_write_that_a_paused_server_begins_too_late_writes_nothing(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was reported as failed, so that the command was rejected, or the line is written again."""
    pool = postgres_pool(cluster.database(), fenced=True, connections=1)
    store = SqlStore("postgresql://shared", "gw1", term=1, pool=pool)
    try:
        await store.open()
        await store.write([record("1")])  # the server has prepared the statement
        async with pool.connect() as connection:
            backend = (await connection.execute(text("SELECT pg_backend_pid()"))).scalar_one()
        monkeypatch.setattr(postgres_writer, "BEGUN_WITHIN_S", 0.2)
        monkeypatch.setattr(postgres_writer, "ANSWER_WITHIN_S", 0.4)
        cluster.signal(signal.SIGSTOP)
        try:
            with pytest.raises(StoreError, match="did not answer"):
                await store.write([record("2")])
        finally:
            cluster.signal(signal.SIGCONT)
        monkeypatch.undo()
        while Path(f"/proc/{backend}").exists():  # noqa: ASYNC110, ASYNC240 - the server has processed what it received
            await asyncio.sleep(0.02)
        assert [one.body for one in await store.kept_of(("token", "t"))] == ["1"]
        await store.write([record("3")])
        assert [one.body for one in await store.kept_of(("token", "t"))] == ["3"]
    finally:
        await store.close()
        await pool.dispose()


async def test_a_clock_of_the_server_that_was_set_costs_no_write(cluster: Cluster) -> None:
    store = SqlStore(cluster.database(), "gw1", term=1)
    await store.open()
    try:
        for clock in (0.0, 1e12):
            await store.write([record("1")])
            store._groups._received(clock)
            await store.write([record(str(clock))])
            assert [one.body for one in await store.kept_of(("token", "t"))] == [str(clock)]
    finally:
        await store.close()
