"""Writes of an earlier holder of the site are refused by Postgres once a later term is noted."""

from __future__ import annotations

import asyncio
import subprocess

import pytest
from asyncpg.exceptions import InternalClientError
from sqlalchemy import event, text
from sqlalchemy.exc import DBAPIError

from gateway.model.journal import CommandOpened, Entry, Forgotten, Kept, Phase, Record, ResultGiven, Step
from gateway.store.fence import EarlierTerm, TermFence
from gateway.store.postgres_pool import postgres_pool
from gateway.store.sql import SqlStore, translated_errors
from gateway.store.store import Sample, StoreError
from tests.gateway.store.postgres import Cluster, server_program


def opened(name: str) -> CommandOpened:
    return CommandOpened(name, "CP1-1", "discharge", "f" * 64, "{}", None, "mqtt", 1.0, True)


def record(body: str) -> Kept:
    return Kept("token", "t", body, 1.0)


async def test_an_earlier_term_writes_nothing_once_a_later_one_is_noted(cluster: Cluster) -> None:
    url = cluster.database()
    first, second = SqlStore(url, "gw1", term=5), SqlStore(url, "gw1", term=7)
    await first.open()
    try:
        await first.write([record("1")])
        await second.open()
        with pytest.raises(StoreError, match="another instance of the cluster controls this site"):
            await first.write([record("2")])
        with pytest.raises(StoreError, match="another instance"):
            await first.sample([Sample("CP1-1", 1.0)])
        await second.write([record("3")])
        assert [one.body for one in await second.kept(10) if one.kind == "token"] == ["3"]
        with pytest.raises(StoreError, match="another instance"):
            await SqlStore(url, "gw1", term=6).open()
    finally:
        await first.close()
        await second.close()


async def test_a_later_term_waits_for_a_write_that_is_under_way(cluster: Cluster) -> None:
    """What the new holder reads is all that the former one has written."""
    url = cluster.database()
    first = SqlStore(url, "gw1", term=1)
    await first.open()
    writing = [asyncio.create_task(first.write([record(str(number))])) for number in range(20)]
    second = SqlStore(url, "gw1", term=2)
    try:
        await asyncio.sleep(0)
        await second.open()
        read = [one.body for one in await second.kept(10) if one.kind == "token"]
        await asyncio.gather(*writing, return_exceptions=True)
        assert [one.body for one in await second.kept(10) if one.kind == "token"] == read
    finally:
        await first.close()
        await second.close()


async def test_a_write_that_waits_while_a_later_term_is_noted_writes_none_of_its_parts(cluster: Cluster) -> None:
    url = cluster.database()
    first, pool = SqlStore(url, "gw1", term=1), postgres_pool(url, fenced=True)
    await first.open()
    try:
        await first.write([opened("a"), record("1"), Kept("token", "u", "1", 1.0)])
        group: list[Record] = [
            opened("b"), ResultGiven("a", Phase.FINAL, "{}", 2.0), Entry(2.0, Step.ENDED, "lease", "a"), record("2"),
            Forgotten("token", "u"),
        ]  # fmt: skip
        async with pool.begin() as later:
            await TermFence("gw1", 2).raise_to(later)
            writing = asyncio.create_task(first.write(group))
            async with pool.connect() as watching, asyncio.timeout(10):
                while not await watching.scalar(text("SELECT count(*) FROM pg_locks WHERE NOT granted")):
                    pass
        with pytest.raises(EarlierTerm):
            await writing
        assert {one.key: one.body for one in await first.kept(10) if one.kind == "token"} == {"t": "1", "u": "1"}
        assert [(one.id, one.final) for one in await first.recent_commands(10)] == [("a", None)]
        assert await first.entries() == []
    finally:
        await first.close()
        await pool.dispose()


def awaited_without_a_turn(url: str, body: str) -> bool:
    """Return whether a record is stored soon, although nothing else runs in this thread meanwhile."""
    read = [server_program("psql"), url, "-Atc", "SELECT body FROM kept WHERE kind = 'token'"]
    return any(subprocess.run(read, check=True, capture_output=True, text=True).stdout == body for _ in range(100))


async def test_a_group_is_written_without_a_turn_of_the_event_loop(cluster: Cluster) -> None:
    """A gateway whose loop is busy with stations journals a command meanwhile."""
    url = cluster.database()
    store = SqlStore(url, "gw1", term=1)
    await store.open()
    try:
        await store.write([record("1")])
        writing = asyncio.create_task(store.write([record("2")]))
        await asyncio.sleep(0)
        assert (awaited_without_a_turn(url, "2\n"), writing.done()) == (True, False)
        await writing
    finally:
        await store.close()


async def test_another_gateway_of_the_database_has_terms_of_its_own(cluster: Cluster) -> None:
    url = cluster.database()
    first, other = SqlStore(url, "gw1", term=9), SqlStore(url, "gw2", term=1)
    await first.open()
    await other.open()
    try:
        await first.write([record("1")])
        await other.write([record("1")])
    finally:
        await first.close()
        await other.close()


async def test_an_error_of_the_driver_that_sqlalchemy_does_not_translate_is_one_of_the_store() -> None:
    with pytest.raises(StoreError, match="cannot switch to state"):
        async with translated_errors():
            raise InternalClientError('cannot switch to state 11; protocol is in the "failed" state')
    with pytest.raises(ValueError, match="ours"):
        async with translated_errors():
            raise ValueError("ours")


async def test_a_store_is_opened_although_connections_of_its_pool_are_broken(cluster: Cluster) -> None:
    pool = postgres_pool(cluster.database(), fenced=True)
    broken = [InternalClientError("cannot switch to state 11; another operation (4) is in progress") for _ in range(3)]

    def checkout(*_: object) -> None:
        if broken:
            raise broken.pop()

    event.listen(pool.sync_engine, "checkout", checkout)
    store = SqlStore("postgresql://shared", "gw1", term=5, pool=pool)
    try:
        await store.open()
        await store.write([record("1")])
        assert not broken
    finally:
        await store.close()
        await pool.dispose()


async def test_a_holder_that_is_paused_inside_a_statement_delays_the_next_one_for_a_limited_time(
    cluster: Cluster,
) -> None:
    """Between the preparation of a statement and its execution a transaction is not idle to Postgres."""
    url = cluster.database()
    first, second = SqlStore(url, "gw1", term=1), SqlStore(url, "gw1", term=2)
    await first.open()
    await first.close()
    pool = postgres_pool(url, fenced=True)
    paused = await pool.connect()
    try:
        await TermFence("gw1", 1).raise_to(paused)
        driver = (await paused.get_raw_connection()).driver_connection
        assert driver is not None
        await driver.prepare("SELECT 2")  # and nothing after it
        async with asyncio.timeout(15):
            await second.open()
        with pytest.raises(DBAPIError):
            await TermFence("gw1", 1).raise_to(paused)
    finally:
        await second.close()
        await paused.invalidate()
        await pool.dispose()
