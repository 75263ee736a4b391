"""The journal's writer before a store that refuses single records: what is refused goes alone and stops nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from emulators.runtime.clock import VirtualClock
from gateway.model.journal import CommandOpened, Entry, Record, Step
from gateway.store.journal import Journal
from gateway.store.store import MemoryStore, RecordRefused, StoreError

pytestmark = pytest.mark.virtual_time


class CountingStore(MemoryStore):
    """Counts its writes, and fails from the write numbered `fails_at` on."""

    def __init__(self) -> None:
        super().__init__()
        self.writes, self.fails_at = 0, 10**9

    async def write(self, records: Sequence[Record]) -> None:
        self.writes += 1
        if self.writes >= self.fails_at:
            raise StoreError("the disk is full")
        await super().write(records)


def opened(name: str) -> CommandOpened:
    return CommandOpened(name, "CP1-1", "stop", "f" * 64, "{}", None, "mqtt", 1.0, True)


async def test_a_record_rejected_by_the_store_is_dropped_and_reported_and_delays_no_other() -> None:
    store, clock = CountingStore(), VirtualClock()
    journal = Journal(store, clock)
    writing = asyncio.create_task(journal.run())
    await journal.keep(opened("a"))
    journal.later(opened("a"))  # committed, though its write was reported as failed
    kept = [asyncio.create_task(journal.keep(opened(f"new{number}"))) for number in range(20)]
    await asyncio.sleep(0)
    journal.later(opened("later"))
    await asyncio.gather(*kept)
    await journal.flush()
    assert store.writes <= 2 + 2 * 5  # halved, not one by one
    assert [one.id for one in await store.in_force()] == ["a", *(f"new{n}" for n in range(20)), "later"]
    assert journal.dropped == 1
    assert "is in the store already" in (journal.troubles.get_nowait() or "")
    assert (journal.trouble, journal.troubles.get_nowait()) == (None, None)
    with pytest.raises(RecordRefused):
        await journal.keep(opened("a"))
    assert (journal.dropped, journal.troubles.qsize()) == (1, 0)  # the waiting caller got the error
    writing.cancel()
    await asyncio.gather(writing, return_exceptions=True)


@pytest.mark.parametrize("fails_at", range(2, 7))
async def test_a_store_that_fails_while_a_rejected_record_is_isolated_loses_no_record(fails_at: int) -> None:
    store, clock = CountingStore(), VirtualClock()
    journal = Journal(store, clock)
    writing = asyncio.create_task(journal.run())
    await journal.keep(opened("a"))
    store.fails_at = fails_at
    for name in ("b", "a", "c", "d"):
        journal.later(opened(name))
    await clock.sleep(3.0)
    assert journal.trouble == "the disk is full"
    store.fails_at = 10**9
    await journal.flush()
    assert [one.id for one in await store.in_force()] == ["a", "b", "c", "d"]
    assert journal.dropped == 1
    writing.cancel()
    await asyncio.gather(writing, return_exceptions=True)


class SlowStore(MemoryStore):
    """Answers a second after the records are stored."""

    def __init__(self) -> None:
        super().__init__()
        self.stored = asyncio.Event()

    async def write(self, records: Sequence[Record]) -> None:
        await super().write(records)
        self.stored.set()
        await asyncio.sleep(1.0)


async def test_what_is_stored_while_the_gateway_is_stopped_is_stored_once() -> None:
    store, clock = SlowStore(), VirtualClock()
    journal = Journal(store, clock)
    writing = asyncio.create_task(journal.run())
    journal.later(Entry(1.0, Step.EVENT, "first"))
    keeping = asyncio.create_task(journal.keep(Entry(2.0, Step.EVENT, "second"), within_s=5.0))
    await store.stored.wait()
    journal.later(Entry(3.0, Step.EVENT, "rest"))
    writing.cancel()
    await asyncio.gather(writing, return_exceptions=True)
    await keeping
    assert [one.cause for one in await store.entries()] == ["first", "second", "rest"]
