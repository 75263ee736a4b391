"""Messages and records over a real NATS server."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nats.js.kv import KeyValue

from gateway.cluster import inbox, io
from gateway.cluster.io import Absent, ClusterBus, ClusterError, Records, WrongRevision
from gateway.cluster.keys import key_of, name_of
from gateway.cluster.messages import Barrier, Beat, Done, Message, Up
from gateway.cluster.secure_client import cancellation_kept
from gateway.cluster.settings import ClusterSettings
from tests.gateway.cluster.rig import Nats, nats


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nats]:
    with nats(tmp_path_factory.mktemp("nats")) as servers:
        yield servers[0]


def settings(server: Nats, instance: str) -> ClusterSettings:
    return ClusterSettings((server.url,), instance, name="io")


async def test_messages_arrive_in_order_and_requests_are_answered(server: Nats) -> None:
    received: list[Message] = []

    async def handle(message: Message) -> Message | None:
        received.append(message)
        return Done(message.site) if isinstance(message, Barrier) else None

    async with ClusterBus(settings(server, "a"), handle).connect(), ClusterBus(settings(server, "b")).connect() as b:
        for number in range(100):
            b.send("a", Up("s", "b", "CP1", number, "text"))
        b.broadcast(Beat("s", "b", "b/1", 1.0, 0, 0))
        await b.flushed()
        assert await b.request("a", Barrier("s", 1)) == Done("s")
    ups = [one.epoch for one in received if isinstance(one, Up)]
    assert ups == list(range(100))
    assert any(isinstance(one, Beat) for one in received)


async def test_other_work_has_its_turn_after_a_few_messages(server: Nats) -> None:
    in_turn, done = [0], asyncio.Event()

    async def handle(message: Message) -> Message | None:
        in_turn[-1] += 1
        if sum(in_turn) == 100:
            done.set()
        return None

    async def count() -> None:
        while not done.is_set():
            in_turn.append(0)
            await asyncio.sleep(0)

    async with ClusterBus(settings(server, "a"), handle).connect(), ClusterBus(settings(server, "b")).connect() as b:
        for number in range(100):
            b.send("a", Up("s", "b", "CP1", number, "text"))  # they travel together
        async with asyncio.timeout(10):
            await count()
    assert max(in_turn) == inbox.MESSAGES_PER_TURN


async def test_a_request_to_an_absent_instance_fails_at_once(server: Nats) -> None:
    async with ClusterBus(settings(server, "b")).connect() as bus:
        began = asyncio.get_running_loop().time()
        with pytest.raises(Absent, match="nobody is not connected"):
            await bus.request("nobody", Barrier("s", 1), 30.0)
        assert asyncio.get_running_loop().time() - began < 5


async def test_a_message_that_is_too_long_is_dropped(server: Nats) -> None:
    async with ClusterBus(settings(server, "b")).connect() as bus:
        bus.send("a", Up("s", "b", "CP1", 1, "x" * 800_000))
        assert bus.dropped == 1


async def test_each_error_of_a_server_that_is_away_is_one_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def errors(level: int) -> list[str]:
        found = [one for one in caplog.records if one.name == "v2x.cluster" and one.levelno >= level]
        return [text for one in found if (text := one.getMessage()).startswith("NATS: ")]

    caplog.set_level(logging.DEBUG, "v2x.cluster")
    with nats(tmp_path) as [one]:
        async with ClusterBus(settings(one, "a")).connect(), asyncio.timeout(60):
            for _ in range(2):
                caplog.clear()
                one.kill()
                while len(errors(logging.DEBUG)) < 4:  # noqa: ASYNC110 - nats-py has no event for it
                    await asyncio.sleep(0.02)
                assert 1 <= len(errors(logging.WARNING)) == len(set(errors(logging.DEBUG)))
                await asyncio.to_thread(one.start)
                while "NATS is connected again" not in caplog.messages:  # noqa: ASYNC110 - nats-py is, some steps before
                    await asyncio.sleep(0.02)


async def test_records_compare_revisions(server: Nats) -> None:
    async with ClusterBus(settings(server, "a")).connect() as bus:
        records = await bus.records("some")
        assert await records.get("one") is None
        first = await records.update("one", b"1", 0)
        assert first > 10**18  # revisions begin with the time at which the bucket was created
        with pytest.raises(WrongRevision):
            await records.update("one", b"2", 0)
        second = await records.update("one", b"2", first)
        assert second > first
        with pytest.raises(WrongRevision):
            await records.update("one", b"3", first)
        await records.delete("one", first)  # another revision: it stays
        found = await records.get("one")
        assert found is not None
        assert (found.value, found.revision) == (b"2", second)
        assert [one.key for one in await records.all()] == ["one"]
        await records.delete("one", second)
        assert await records.get("one") is None
        assert await records.all() == []
        await records.put("two", b"2")
        assert [one.key for one in await records.all()] == ["two"]


class EarlyBucket:
    """A bucket with two records and a deleted one. Its watch marks the end before them, as nats-py does in a race."""

    values = 3  # messages

    async def status(self) -> EarlyBucket:
        return self

    async def watchall(self, **_: object) -> EarlyBucket:
        return self

    async def __aiter__(self) -> AsyncIterator[KeyValue.Entry | None]:
        yield None
        for number, (key, operation) in enumerate([("one", None), ("gone", "DEL"), ("two", None)], 1):
            yield KeyValue.Entry("some", key, b"1", number, 3 - number, None, operation)
        await asyncio.sleep(3600)

    async def stop(self) -> None: ...


async def test_all_records_are_read_where_the_mark_of_the_end_comes_before_them() -> None:
    records = Records(cast("KeyValue", EarlyBucket()), datetime.now(UTC))
    assert [one.key for one in await records.all()] == ["one", "two"]


async def test_a_watch_shows_records_changes_and_deletions(server: Nats) -> None:
    async with ClusterBus(settings(server, "a")).connect() as bus:
        records = await bus.records("watched")
        revision = await records.put("one", b"1")
        seen: list[bytes | None] = []
        async for record in records.watch(1.0):
            seen.append(record.value)
            if record.value == b"1":
                revision = await records.put("one", b"2")
            elif record.value == b"2":
                await records.delete("one", revision)
        assert seen == [b"1", b"2", None]


async def test_a_server_that_does_not_listen_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(io, "CONNECT_WITHIN_S", 0.5)
    with pytest.raises(ClusterError, match="NATS cannot be used"):
        async with ClusterBus(ClusterSettings(("nats://127.0.0.1:9",), "a")).connect():
            pass


@given(st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=48))
def test_every_name_of_a_station_has_a_key(name: str) -> None:
    key = key_of(name)
    assert name_of(key) == name
    assert all(one.isalnum() or one in "-_=" for one in key)


async def test_a_task_that_is_cancelled_as_its_answer_arrives_ends() -> None:
    """Before Python 3.12 `asyncio.wait_for` returns the answer then, and a loop that asks again would never end."""
    answer: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    async def ask() -> None:
        with cancellation_kept():
            await asyncio.wait_for(answer, 5.0)

    asking = asyncio.create_task(ask())
    await asyncio.sleep(0)
    answer.set_result("in the same moment")
    asking.cancel()
    await asyncio.wait({asking})
    assert asking.cancelled()


async def test_what_a_cancelled_task_does_at_its_end_is_done() -> None:
    done: list[str] = []

    async def work() -> None:
        try:
            await asyncio.sleep(5.0)
        finally:
            with cancellation_kept():
                await asyncio.sleep(0)
                done.append("released")

    working = asyncio.create_task(work())
    await asyncio.sleep(0)
    working.cancel()
    await asyncio.wait({working})
    assert (done, working.cancelled()) == (["released"], True)
