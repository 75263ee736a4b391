"""Contract of every store: memory, SQLite and Postgres pass the same tests."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from gateway.model.journal import (
    CommandEnded,
    CommandOpened,
    Entry,
    Forgotten,
    Kept,
    Phase,
    Record,
    ReplyTo,
    ResultDelivered,
    ResultGiven,
    Step,
)
from gateway.store.sql import SqlStore
from gateway.store.store import MemoryStore, RecordRefused, Sample, Store, StoreError
from tests.gateway.store.postgres import Cluster

KEPT = ["sqlite", pytest.param("postgres", marks=pytest.mark.peer)]


def address(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if kind == "memory":
        return "memory:"
    if kind == "sqlite":
        return f"sqlite:///{tmp_path / 'v2x.db'}"
    cluster: Cluster = request.getfixturevalue("cluster")
    return cluster.database()


@pytest.fixture(params=["memory", *KEPT])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return address(request.param, request, tmp_path)


@pytest.fixture(params=KEPT)
def kept_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Of a store that outlives its process."""
    return address(request.param, request, tmp_path)


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[Store]:
    store: Store = MemoryStore() if url == "memory:" else SqlStore(url, "gw1")
    await store.open()
    try:
        yield store
    finally:
        await store.close()


def command(name: str, received: float = 1000.0, in_force: bool = True, evse: str | None = "CP1-1") -> list[Record]:
    reply = ReplyTo("facility/answers", b"\x00\xff")
    return [
        Entry(received, Step.RECEIVED, "mqtt", name, evse, {"verb": "discharge"}),
        CommandOpened(name, evse, "discharge", "f" * 64, "{}", "bems", "mqtt", received, in_force, reply),
        ResultGiven(name, Phase.FIRST, '{"first": 1}', received),
    ]


async def test_the_lifecycle_of_a_command(url: str) -> None:
    async with opened(url) as store:
        await store.write([*command("a", 1000.0), *command("b", 1001.0, evse=None), *command("c", 1002.0, False)])
        found = await store.find_command("a")
        assert found is not None
        assert (found.evse, found.source, found.first, found.final) == ("CP1-1", "bems", '{"first": 1}', None)
        assert found.reply == ReplyTo("facility/answers", b"\x00\xff")
        assert await store.find_command("zz") is None
        assert [one.id for one in await store.in_force()] == ["a", "b"]
        assert [one.id for one in await store.recent_commands(2)] == ["c", "b"]
        assert [one.id for one in await store.undelivered(10)] == ["a", "b", "c"]
        await store.write([ResultDelivered(name, Phase.FIRST) for name in "abc"])
        assert await store.undelivered(10) == []
        await store.write([ResultGiven("a", Phase.FINAL, '{"final": 1}', 1003.0), CommandEnded("a", 1003.0)])
        assert [(one.id, one.final_delivered) for one in await store.undelivered(10)] == [("a", False)]
        assert [one.id for one in await store.in_force()] == ["b"]
        ended = await store.find_command("a")
        assert ended is not None
        assert (ended.ended, ended.final) == (1003.0, '{"final": 1}')


async def test_all_events_of_a_session_in_one_transaction(url: str) -> None:
    async with opened(url) as store:
        final: list[Record] = [
            ResultGiven("a", Phase.FINAL, "{}", 1.0),
            ResultDelivered("a", Phase.FINAL),
            CommandEnded("a", 2.0),
        ]
        await store.write([*command("a"), *final])
        found = await store.find_command("a")
        assert found is not None
        assert (found.in_force, found.final, found.final_delivered, found.ended) == (False, "{}", True, 2.0)


async def test_the_journal_is_read_by_time_evse_command_and_position(url: str) -> None:
    async with opened(url) as store:
        for number in range(10):
            evse, name = f"CP{number % 2}-1", f"c{number}"
            await store.write([Entry(1000.0 + number, Step.EVENT, "x" * 400, name, evse, {"n": number, "ü": None})])
        everything = await store.entries()
        assert [entry.data["n"] for entry in everything] == list(range(10))
        assert [entry.data["n"] for entry in await store.entries(limit=3)] == [7, 8, 9]
        assert [entry.data["n"] for entry in await store.entries(since=1003.0, until=1006.0)] == [3, 4, 5]
        assert [entry.data["n"] for entry in await store.entries(evse="CP1-1", limit=2)] == [7, 9]
        assert [entry.data["n"] for entry in await store.entries(command="c4")] == [4]
        assert [entry.data["n"] for entry in await store.entries(after_seq=everything[5].seq, limit=2)] == [6, 7]


async def test_old_records_are_deleted_except_active_ones(url: str) -> None:
    async with opened(url) as store:
        await store.write([*command("old", 10.0, False), *command("held", 10.0), *command("new", 2000.0, False)])
        await store.sample([Sample("CP1-1", 10.0, -5000.0, 80.0, 1.0, 2.0), Sample("CP1-1", 2000.0)])
        assert await store.prune(1000.0, 1000.0, 1000.0) == 1 + 2 + 1
        assert [one.id for one in await store.recent_commands(9)] == ["new", "held"]
        assert await store.samples("CP1-1", 0, 9999) == [Sample("CP1-1", 2000.0)]


async def test_telemetry_is_read_as_means_of_periods(url: str) -> None:
    async with opened(url) as store:
        powers = (-1000.0, -3000.0, None, 500.0)
        await store.sample(
            [Sample("CP1-1", 600.0 + 30 * n, power, 60.0 - n, None, 10.0 * n) for n, power in enumerate(powers)]
        )
        await store.sample([Sample("CP2-1", 600.0, 9.0)])
        first, second = await store.samples("CP1-1", 600.0, 9999.0, every_s=60.0)
        assert first == Sample("CP1-1", 600.0, -2000.0, 59.5, None, 10.0)
        assert second == Sample("CP1-1", 660.0, 500.0, 57.5, None, 30.0)
        assert await store.samples("CP1-1", 600.0, 9999.0, limit=1, every_s=60.0) == [first]


async def test_a_failed_write_leaves_nothing_and_the_next_one_works(kept_url: str) -> None:
    async with opened(kept_url) as store:
        await store.write(command("a"))
        with pytest.raises(StoreError):
            await store.write([*command("b"), *command("a")])  # an id twice
        assert await store.find_command("b") is None
        await store.write(command("b"))
        assert [one.id for one in await store.in_force()] == ["a", "b"]


async def test_a_restarted_gateway_restores_what_was_stored(kept_url: str) -> None:
    async with opened(kept_url) as store:
        await store.write(command("a"))
    async with opened(kept_url) as store:
        assert [one.id for one in await store.in_force()] == ["a"]


async def test_commands_in_force_come_in_the_order_of_their_journal_though_the_clock_was_set_back(url: str) -> None:
    async with opened(url) as store:
        await store.write(command("earlier", 5000.0))
        await store.write(command("later", 1000.0))
        assert [one.id for one in await store.in_force()] == ["earlier", "later"]


async def test_a_database_locked_by_another_process_is_reported_soon(tmp_path: Path) -> None:
    import sqlite3

    path = tmp_path / "v2x.db"
    async with opened(f"sqlite:///{path}") as store:
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(StoreError, match="another process has locked the database"):
            await store.write(command("a"))
        other.execute("ROLLBACK")
        other.close()
        await store.write(command("a"))


async def test_parameters_of_the_url_are_no_part_of_the_name_of_the_file(tmp_path: Path) -> None:
    async with opened(f"sqlite:///{tmp_path / 'v2x.db'}?timeout=1") as store:
        await store.write(command("a"))
        assert [one.id for one in await store.in_force()] == ["a"]
    assert os.listdir(tmp_path) == ["v2x.db"]


@pytest.mark.peer
async def test_a_database_without_an_encoding_holds_every_text(cluster: Cluster) -> None:
    """A server whose system has no locale makes databases in SQL_ASCII."""
    entry, kept = Entry(1.0, Step.EVENT, "\u907f\u96e3\u6240", data={"name": "\u00fc"}), Kept("a", "b", "\u20ac", 1.0)
    async with opened(cluster.database(encoding="SQL_ASCII")) as store:
        await store.write([entry, kept])
        assert [(one.cause, one.data) for one in await store.entries()] == [(entry.cause, entry.data)]
        assert await store.kept(1) == [kept]


@pytest.mark.parametrize("number", [1, 20])
async def test_text_that_a_database_cannot_hold_is_rejected_and_stops_nothing(kept_url: str, number: int) -> None:
    async with opened(kept_url) as store:
        with pytest.raises(RecordRefused):
            await store.write([Kept("token", str(key), "half of a pair: \ud800", 1.0) for key in range(number)])
        await store.write([Kept("token", "t", "\U0001f50b", 1.0)])
        assert [one.body for one in await store.kept(10)] == ["\U0001f50b"]


async def test_a_foreign_database_and_one_that_cannot_be_created_are_rejected(tmp_path: Path) -> None:
    import sqlite3

    other = sqlite3.connect(tmp_path / "other.db")
    other.execute("CREATE TABLE recipes (id INTEGER)")
    other.close()
    with pytest.raises(StoreError, match=r"another application \(recipes\)"):
        await SqlStore(f"sqlite:///{tmp_path / 'other.db'}").open()
    with pytest.raises(StoreError, match="does not exist"):
        await SqlStore(f"sqlite:///{tmp_path / 'nowhere' / 'v2x.db'}").open()
    (tmp_path / "junk.db").write_bytes(b"not a database at all" * 100)
    with pytest.raises(StoreError, match="not a database"):
        await SqlStore(f"sqlite:///{tmp_path / 'junk.db'}").open()
    with pytest.raises(StoreError, match="cannot be reached"):
        await SqlStore("postgresql://nobody@127.0.0.1:1/none").open()


async def test_two_gateways_over_one_database_keep_to_their_own(kept_url: str) -> None:
    async with opened(kept_url) as one:
        other = SqlStore(kept_url, "gw2")
        await other.open()
        await one.write(command("a"))
        await other.write(command("b"))
        assert [c.id for c in await one.in_force()] == [c.id for c in await one.undelivered(9)] == ["a"]
        assert [c.id for c in await other.in_force()] == [c.id for c in await other.recent_commands(9)] == ["b"]
        assert await one.find_command("b") is not None  # an id means one command for the whole site
        await other.close()


async def test_a_permanent_rejection_differs_from_a_failing_store(url: str) -> None:
    async with opened(url) as store:
        await store.write(command("a"))
        with pytest.raises(RecordRefused):
            await store.write([*command("b"), *command("a")])
        assert await store.find_command("b") is None  # all or none


async def test_the_end_of_a_command_never_ends_that_of_another_gateway(kept_url: str) -> None:
    async with opened(kept_url) as one:
        other = SqlStore(kept_url, "gw2")
        await other.open()
        await other.write(command("a"))
        await one.write([CommandEnded("a", 2000.0), ResultGiven("a", Phase.FINAL, "{}", 2000.0)])
        [found] = await other.in_force()
        assert (found.id, found.final) == ("a", None)
        await other.close()


async def test_stored_values_are_restored_as_last_written(url: str) -> None:
    async with opened(url) as store:
        await store.write([Kept("token", "A", "1", 10.0), Kept("token", "B", "2", 11.0)])
        await store.write([Kept("token", "A", "3", 12.0), Kept("token", "A", "4", 13.0)])  # the last one wins
        await store.write([Kept("transaction", "t1", "{}", 14.0, ended=14.0), Forgotten("token", "B")])
        assert await store.kept(10) == [Kept("token", "A", "4", 13.0), Kept("transaction", "t1", "{}", 14.0, 14.0)]
        await store.write([Kept("transaction", f"t{n}", "{}", 14.0 + n, ended=14.0 + n) for n in range(2, 6)])
        assert [one.key for one in await store.kept(2)] == ["A", "t4", "t5"]
        assert await store.prune(0.0, 17.0) == 2
        assert [one.key for one in await store.kept(9)] == ["A", "t3", "t4", "t5"]
        await store.write([Forgotten("token", "nobody"), Forgotten("token", "A"), Kept("token", "A", "5", 30.0)])
        assert (await store.kept(0)) == [Kept("token", "A", "5", 30.0)]


async def test_many_at_once_are_as_many_one_by_one(url: str) -> None:
    """Also text that databases and JSON find hard, times to the last digit, and nothing at all."""
    hard = ["", "'", '"', "\\", "\n\t", "é 漢 🚗", "{}", "null", "$[0]", "x" * 3000]

    async with opened(url) as store:
        wall = 1_790_000_000.123456
        kept = [Kept("k", f"{n}", hard[n % 10], wall + n / 7, None if n % 2 else wall + n) for n in range(100)]
        lines = [Entry(wall + n / 7, Step.EVENT, hard[n % 9], None, None, {"n": n}) for n in range(100)]
        await store.write([*kept, *lines])
        assert [(one.key, one.body, one.ended) for one in await store.kept(100)] == [
            (one.key, one.body, one.ended) for one in kept
        ]
        found = await store.entries(limit=100)
        assert [(one.cause, one.data, one.evse) for one in found] == [(one.cause, one.data, None) for one in lines]
        assert [one.wall for one in found] == pytest.approx([one.wall for one in lines], abs=1e-6)
        assert [one.seq for one in found] == sorted(one.seq or 0 for one in found)
        again = [Kept("k", f"{n}", "again", wall + 1000) for n in range(0, 100, 2)]
        await store.write(again)
        assert sum(one.body == "again" and one.ended is None for one in await store.kept(100)) == 50
        samples = [Sample(f"CP{n}", wall, None if n % 3 else -1.5, 50.0) for n in range(60)]
        await store.sample(samples)
        (sample,) = await store.samples("CP3", wall - 1, wall + 1)
        assert (sample.evse, sample.power_w, sample.soc_pct) == ("CP3", -1.5, 50.0)
        assert sample.wall == pytest.approx(wall, abs=1e-6)


async def test_stored_values_belong_to_their_gateway(kept_url: str) -> None:
    one, other = SqlStore(kept_url, "gw1"), SqlStore(kept_url, "gw2")
    await one.open()
    await other.open()
    try:
        await one.write([Kept("token", "A", "mine", 1.0)])
        await other.write([Kept("token", "A", "theirs", 2.0)])
        await other.write([Forgotten("token", "A")])
        assert [kept.body for kept in await one.kept(1)] == ["mine"]
        assert await other.kept(1) == []
    finally:
        await one.close()
        await other.close()
