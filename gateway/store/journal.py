"""Writes to the store in groups: all writes that are due at a moment share one transaction.

`keep` returns when its records are durable; `later` queues records for the next group. Order is preserved across both.
A failed group is reported to its waiting callers; records of `later` are retried, and beyond a bound the oldest are
dropped, so that a failing store does not exhaust the memory. Records that the store can never write are dropped one by
one, counted and reported. Before the store stands the idempotency cache, from which duplicates are answered.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass

from gateway.model.journal import Forgotten, Record
from gateway.store.store import RecordRefused, Store, StoreError
from protocols.ports import Clock

MAX_WAITING = 20_000  # records of `later` that wait for a working store
MAX_GROUP = 2_000  # records of one transaction
RETRY_S = (0.1, 0.5, 1.0, 2.0, 5.0)
GATHER_S = 0.05  # delay of records without a waiting caller, so that they share a transaction
LAND_WITHIN_S = 0.15  # extra time for a write that has begun
END_WITHIN_S = 6.0  # for a write at the end: more than a store takes for one
KEEP_WITHIN_S = 0.8  # a command must be answered within 1 s
PROBE = Forgotten("housekeeping", "probe")  # a write that changes nothing


class Unfinished(StoreError):
    """A write that has begun and not completed in time; `completed` completes with it, or with its StoreError."""

    def __init__(self, completed: asyncio.Future[None]) -> None:
        super().__init__("the store did not answer in time")
        self.completed = completed


@dataclass(slots=True)
class _Group:
    """Records of one caller. `done`: for one that waits, until `due` (time of the loop), then until `completed`."""

    records: tuple[Record, ...]
    done: asyncio.Future[None] | None = None
    due: float = math.inf
    completed: asyncio.Future[None] | None = None  # the caller was told that the write is unfinished
    then: Callable[[], None] | None = None  # called when they are durable
    refused: Callable[[], None] | None = None  # called when they never can be

    @property
    def awaited(self) -> bool:
        """True while a caller waits who was told nothing yet."""
        return self.done is not None and not self.done.done()

    def succeed(self) -> None:
        """Report that the records are durable."""
        waiting = self.completed or self.done
        if waiting is not None and not waiting.done():
            waiting.set_result(None)
        if self.then is not None:
            self.then()

    def fail(self, error: StoreError) -> None:
        """Report an error to the caller, if one waits."""
        waiting = self.completed or self.done
        if waiting is not None and not waiting.done():
            waiting.set_exception(error)
            waiting.exception()  # no warning for a caller that stopped waiting


class Journal:
    """Only writer of a store."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self.store = store
        self._clock = clock
        self._waiting: deque[_Group] = deque()
        self._waiting_records = 0
        self._begun: list[_Group] = []  # those of the present write
        self._timer: asyncio.TimerHandle | None = None  # one for all callers
        self._wake = asyncio.Event()
        self._write_now = asyncio.Event()  # set while something waits that is to share no later write
        self._flushing = self._ending = False
        self._idle = asyncio.Event()
        self._idle.set()
        self.dropped = 0
        self.trouble: str | None = None  # why it cannot be written
        self.troubles: asyncio.Queue[str | None] = asyncio.Queue()  # every change of it

    async def keep(self, *records: Record, within_s: float = KEEP_WITHIN_S) -> None:
        """Write records durably; StoreError if the store fails or does not answer in time.

        Unfinished if they may still be written.
        """
        loop = asyncio.get_running_loop()
        group = _Group(records, loop.create_future(), loop.time() + within_s)
        self._add(group)
        self._write_now.set()
        self._expire_at(group.due)
        assert group.done is not None
        await group.done

    async def keep_or_later(self, *records: Record) -> None:
        """Write as `keep`; what is not written in time is written later, once. RecordRefused if it never can be."""
        try:
            await self.keep(*records)
        except RecordRefused:
            raise
        except Unfinished as slow:
            slow.completed.add_done_callback(lambda completed: self._write_later(completed, records))
        except StoreError:
            self.later(*records)

    def keep_then(self, then: Callable[[], None], refused: Callable[[], None], *records: Record) -> None:
        """Write at once or when the store works again, and call `then` when the records are durable.

        `refused` is called where they never can be, and neither where they are lost. Both are short and do not raise.
        """
        self._add(_Group(records, then=then, refused=refused))
        self._write_now.set()

    def _write_later(self, completed: asyncio.Future[None], records: tuple[Record, ...]) -> None:
        if completed.cancelled() or (completed.exception() and not isinstance(completed.exception(), RecordRefused)):
            self._add(_Group(records))

    def later(self, *records: Record) -> None:
        """Queue records for the next group, after all queued before."""
        if records:
            self._add(_Group(records))

    async def probe(self) -> None:
        """Verify that the store can be written; StoreError as `keep`."""
        await self.keep(PROBE)

    async def flush(self) -> None:
        """Return when all queued records have been written or have failed."""
        self._flushing = True
        self._write_now.set()
        try:
            await self._idle.wait()
        finally:
            self._flushing = False

    async def run(self) -> None:
        """Write until cancelled; then write the rest once more, if the store works."""
        self._ending = False
        writing = asyncio.get_running_loop().create_task(self._write_all(), name="journal")
        try:
            await asyncio.shield(writing)
        finally:
            await self._end(writing)
            await self._write_rest()

    async def _end(self, writing: asyncio.Task[None]) -> None:
        """End the writing: after the present write, which may be in the store already and must not be repeated."""
        self._ending = True
        try:
            if self._begun:
                await asyncio.wait({writing}, timeout=END_WITHIN_S)
        finally:
            writing.cancel()
        await asyncio.wait({writing})

    async def _write_all(self) -> None:
        failures = 0
        while not self._ending:
            await self._wake.wait()
            self._wake.clear()
            if not self._write_now.is_set() and not self._flushing:
                with contextlib.suppress(TimeoutError):
                    async with self._clock.timeout_at(self._clock.now() + GATHER_S):
                        await self._write_now.wait()
            while self._waiting and not self._ending:
                failures = 0 if await self._write_one() else failures + 1
                if failures and not self._ending:
                    await self._clock.sleep(RETRY_S[min(failures, len(RETRY_S)) - 1])
            if not self._waiting:
                self._idle.set()

    def _add(self, group: _Group) -> None:
        self._waiting.append(group)
        self._waiting_records += len(group.records)
        while self._waiting_records > MAX_WAITING:
            oldest = next((one for one in self._waiting if one.done is None), None)
            if oldest is None:
                break
            self._waiting.remove(oldest)
            self._waiting_records -= len(oldest.records)
            self.dropped += len(oldest.records)
        self._idle.clear()
        self._wake.set()

    def _next_groups(self) -> list[_Group]:
        taken: list[_Group] = []
        count = 0
        while self._waiting and (not taken or count + len(self._waiting[0].records) <= MAX_GROUP):
            group = self._waiting.popleft()
            count += len(group.records)
            taken.append(group)
        self._waiting_records -= count
        if not self._waiting:
            self._write_now.clear()
        return taken

    def _expire_at(self, due: float) -> None:
        if self._timer is None or due < self._timer.when():
            if self._timer is not None:
                self._timer.cancel()
            self._timer = asyncio.get_running_loop().call_at(due, self._expire)

    def _expire(self) -> None:
        """Report what was not written in time. What has not begun must not be written after that."""
        loop, self._timer = asyncio.get_running_loop(), None
        now = loop.time()
        for group in [one for one in self._waiting if one.awaited and one.due <= now]:
            self._waiting.remove(group)
            self._waiting_records -= len(group.records)
            group.fail(StoreError(self.trouble or "the store did not answer in time"))
        for group in self._begun:
            if group.done is None or group.done.done():
                continue
            if group.due + LAND_WITHIN_S <= now:
                group.completed = loop.create_future()
                group.done.set_exception(Unfinished(group.completed))
        due = [one.due for one in self._waiting if one.awaited]
        due += [one.due + LAND_WITHIN_S for one in self._begun if one.awaited]
        if due:
            self._expire_at(min(due))

    async def _write_one(self) -> bool:
        """Write one transaction; split it in halves where the store refuses a record of it."""
        self._begun = self._next_groups()
        parts = [self._begun]
        while parts:
            groups = parts.pop()
            try:
                await self.store.write([record for group in groups for record in group.records])
            except RecordRefused as error:
                if len(groups) > 1:
                    middle = len(groups) // 2
                    parts += [groups[middle:], groups[:middle]]
                else:
                    self._refused(groups[0], error)
            except StoreError as error:
                self._failed([group for part in (groups, *reversed(parts)) for group in part], str(error))
                return False
            except asyncio.CancelledError:
                self._requeue([group for part in (groups, *reversed(parts)) for group in part])
                raise
            else:
                self._written(groups)
        self._begun = []
        return True

    def _written(self, groups: list[_Group]) -> None:
        self._set_trouble(None)
        for group in groups:
            group.succeed()

    def _refused(self, group: _Group, error: RecordRefused) -> None:
        """Report records that can never be written: to the waiting caller, else counted and logged."""
        if group.refused is not None:
            group.refused()
        elif group.done is None:
            self.dropped += len(group.records)
            self._set_trouble(f"{len(group.records)} records were refused by the store and are lost: {error}")
        group.fail(error)

    def _failed(self, groups: list[_Group], text: str) -> None:
        self._set_trouble(text)
        for group in groups:
            group.fail(StoreError(text))
        self._requeue([group for group in groups if group.done is None])

    def _requeue(self, groups: list[_Group]) -> None:
        self._begun = []
        self._waiting.extendleft(reversed(groups))
        self._waiting_records += sum(len(group.records) for group in groups)

    def _set_trouble(self, text: str | None) -> None:
        if text != self.trouble:
            self.trouble = text
            self.troubles.put_nowait(text)

    async def _write_rest(self) -> None:
        while self._waiting:
            if not await asyncio.shield(self._write_one()):
                break
        for group in self._waiting:
            group.fail(StoreError("the gateway is stopping"))


class IdempotencyCache:
    """Fingerprint and latest result (JSON) by command id: the `most` recent ones in memory, all in the store."""

    def __init__(self, store: Store, most: int) -> None:
        self._store, self._most = store, most
        self._recent: OrderedDict[str, tuple[str, str]] = OrderedDict()
        self._complete = True  # the store has no other ids

    def restored(self, complete: bool) -> None:
        """End the restoring of ids; `complete`: the store has no other ids."""
        self._complete = complete

    def recent(self, command_id: str) -> tuple[str, str] | None:
        """Return what memory has of an id."""
        return self._recent.get(command_id)

    async def find(self, command_id: str) -> tuple[str, str] | None:
        """Return what is stored of an id; StoreError if the store cannot be read."""
        held = self._recent.get(command_id)
        if held is not None or self._complete:
            return held
        stored = await self._store.find_command(command_id)
        return (stored.fingerprint, stored.final or stored.first or "") if stored is not None else None

    def put(self, command_id: str, fingerprint: str, result: str) -> None:
        """Store an id."""
        self._recent[command_id] = (fingerprint, result)
        if len(self._recent) > self._most:
            self._recent.popitem(last=False)
            self._complete = False

    def update(self, command_id: str, result: str) -> None:
        """Store a later result of an id."""
        held = self._recent.get(command_id)
        if held is not None:
            self._recent[command_id] = (held[0], result)
