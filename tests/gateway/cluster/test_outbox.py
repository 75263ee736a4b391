"""Batches of messages: order, limits, and what another version does not know."""

from __future__ import annotations

import asyncio

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from gateway.cluster import messages
from gateway.cluster.messages import MAX_BYTES, Up
from gateway.cluster.outbox import Outbox, parts
from tests.gateway.cluster.next_version import Later


def up(number: int) -> Up:
    return Up("s", "gw1", "CP1", number, "text")


@given(st.lists(st.integers(0, MAX_BYTES).map(bytes), max_size=6))
def test_batches_keep_the_order_and_the_limit(batch: list[bytes]) -> None:
    found = parts(batch)
    assert [one for part in found for one in part] == batch
    assert all(sum(map(len, part)) <= MAX_BYTES for part in found)


@given(st.integers(1, 40))
def test_what_is_packed_is_unpacked(number: int) -> None:
    batch = [up(one) for one in range(number)]
    assert messages.unpack(messages.pack([messages.encode(one) for one in batch])) == batch


def test_a_message_that_is_not_known_leaves_the_others_of_its_batch() -> None:
    later = msgspec.msgpack.encode(Later("s", 1))
    assert messages.unpack(messages.pack([messages.encode(up(1)), later, messages.encode(up(2))])) == [up(1), up(2)]
    assert messages.unpack(b"\xc1\xff") == []
    assert messages.unpack(later) == []


async def test_messages_of_one_moment_travel_together_and_later_ones_at_once() -> None:
    published: list[tuple[str, bytes]] = []

    async def publish(subject: str, data: bytes) -> None:
        if subject == "broken":
            raise OSError
        published.append((subject, data))

    outbox = Outbox()
    running = asyncio.create_task(outbox.run(publish, (OSError,)))
    for number in range(3):
        outbox.put("a", messages.encode(up(number)))
        outbox.put("broken", b"x")
    outbox.put("b", messages.encode(up(9)))
    await outbox.flushed()
    outbox.put("a", messages.encode(up(3)))
    await outbox.flushed()
    running.cancel()
    await asyncio.wait({running})
    assert [(subject, len(messages.unpack(data))) for subject, data in published] == [("a", 3), ("b", 1), ("a", 1)]
    assert outbox.dropped == 3


async def test_what_is_not_taken_at_once_is_published_in_order_and_later_messages_follow() -> None:
    written: list[tuple[str, int]] = []
    takes, free = [True], asyncio.Event()

    def note(subject: str, data: bytes) -> None:
        written.extend((subject, one.epoch) for one in messages.unpack(data) if isinstance(one, Up))

    def at_once(batch: list[tuple[str, bytes]]) -> bool:
        for one in batch if takes[0] else ():
            note(*one)
        return takes[0]

    async def publish(subject: str, data: bytes) -> None:
        await free.wait()
        note(subject, data)

    outbox = Outbox(at_once)
    running = asyncio.create_task(outbox.run(publish, ()))
    outbox.put("a", messages.encode(up(0)))
    await outbox.flushed()
    takes[0] = False
    outbox.put("a", messages.encode(up(1)))
    await asyncio.sleep(0)
    await asyncio.sleep(0)  # it waits in `publish`
    takes[0] = True
    outbox.put("a", messages.encode(up(2)))
    free.set()
    await outbox.flushed()
    outbox.put("a", messages.encode(up(3)))
    await outbox.flushed()
    running.cancel()
    await asyncio.wait({running})
    assert written == [("a", number) for number in range(4)]
