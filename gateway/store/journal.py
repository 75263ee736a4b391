"""Writing to the store in groups: whoever waits for a write shares one transaction with all who wait at that moment.

`keep` returns when its records are durable; `later` hands records over for the next group. Order is kept across both. A
failed group is reported to those who waited; records given to `later` are retried, and beyond a bound the oldest go (a
journal that cannot be written must not take the gateway's memory). What the store refuses for ever is dropped alone,
counted and told. Nothing here knows SQL.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from gateway.model.journal import Entry, Phase, Record
from gateway.store.ports import RecordRefused, Store, StoreError, Unfinished
from protocols.ports import Clock

MAX_WAITING = 20_000  # records given to `later` that wait for a working store
MAX_GROUP = 2_000  # records of one transaction
RETRY_S = (0.1, 0.5, 1.0, 2.0, 5.0)
GATHER_S = 0.05  # records nobody waits for may wait this long for company
LAND_WITHIN_S = 0.15  # a write that has begun by then may take this much longer
KEEP_WITHIN_S = 0.8  # a command must be answered within 1 s


@dataclass(slots=True)
class _Group:
    records: tuple[Record, ...]
    done: asyncio.Future[None] | None


class Journal:
    """The one writer of a store."""

    def __init__(self, store: Store, clock: Clock, on_trouble: Callable[[str], None] | None = None) -> None:
        self.store = store
        self._clock = clock
        self.on_trouble = on_trouble or (lambda _text: None)
        self._waiting: deque[_Group] = deque()
        self._waiting_records = 0
        self._wake = asyncio.Event()
        self._hurry = asyncio.Event()
        self._urgent = 0  # who waits for a write now
        self._flushing = False
        self._idle = asyncio.Event()
        self._idle.set()
        self.dropped = 0
        self.trouble: str | None = None

    async def keep(self, *records: Record, within_s: float = KEEP_WITHIN_S) -> None:
        """Durable when it returns; StoreError if the store fails or is too slow to answer who waits in time.

        Unfinished if it may still be written.
        """
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        group = _Group(records, done)
        self._urgent += 1
        self._add(group)
        self._hurry.set()
        try:
            async with self._clock.timeout_at(self._clock.now() + within_s):
                await asyncio.shield(done)
        except TimeoutError:
            if group in self._waiting:  # not begun: it shall not be written after we said it failed
                self._waiting.remove(group)
                self._waiting_records -= len(records)
                raise StoreError(self.trouble or "the store did not answer in time") from None
            try:
                async with self._clock.timeout_at(self._clock.now() + LAND_WITHIN_S):
                    await asyncio.shield(done)
            except TimeoutError:
                raise Unfinished(done) from None
        finally:
            self._urgent -= 1
            if not self._urgent:
                self._hurry.clear()

    async def keep_or_later(self, *records: Record) -> None:
        """As `keep`; what is not written in time is written behind, once. RecordRefused if it never will be."""
        try:
            await self.keep(*records)
        except RecordRefused:
            raise
        except Unfinished as slow:
            slow.landed.add_done_callback(lambda landed: self._behind(landed, records))
        except StoreError:
            self.later(*records)

    def _behind(self, landed: asyncio.Future[None], records: tuple[Record, ...]) -> None:
        if landed.cancelled() or (landed.exception() and not isinstance(landed.exception(), RecordRefused)):
            self.later(*records)

    def later(self, *records: Record) -> None:
        """Written with the next group, after what was given before."""
        if records:
            self._add(_Group(records, None))

    async def flush(self) -> None:
        """Until everything handed over has been written or has failed."""
        self._flushing = True
        self._hurry.set()
        try:
            await self._idle.wait()
        finally:
            self._flushing = False

    async def run(self) -> None:
        """Write until cancelled; what is left then is written once more, if the store lets it."""
        try:
            failures = 0
            while True:
                await self._wake.wait()
                self._wake.clear()
                if not self._urgent and not self._flushing:
                    with contextlib.suppress(TimeoutError):
                        async with self._clock.timeout_at(self._clock.now() + GATHER_S):
                            await self._hurry.wait()
                while self._waiting:
                    failures = 0 if await self._write_one() else failures + 1
                    if failures:
                        await self._clock.sleep(RETRY_S[min(failures, len(RETRY_S)) - 1])
                self._idle.set()
        finally:
            await self._last_words()

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

    def _take(self) -> list[_Group]:
        taken: list[_Group] = []
        count = 0
        while self._waiting and (not taken or count + len(self._waiting[0].records) <= MAX_GROUP):
            group = self._waiting.popleft()
            count += len(group.records)
            taken.append(group)
        self._waiting_records -= count
        return taken

    async def _write_one(self) -> bool:
        """Write one transaction's worth; halved again and again where the store refuses some record of it."""
        parts = [self._take()]
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
                self._give_back([group for part in (groups, *reversed(parts)) for group in part])
                raise
            else:
                self._written(groups)
        return True

    def _written(self, groups: list[_Group]) -> None:
        if self.trouble is not None:
            self.trouble = None
            self.on_trouble("")
        for group in groups:
            if group.done is not None and not group.done.done():
                group.done.set_result(None)

    def _refused(self, group: _Group, error: RecordRefused) -> None:
        """Never to be tried again; who waits for it knows, else it is counted and told."""
        if group.done is None:
            self.dropped += len(group.records)
            self._tell(f"{len(group.records)} records were refused and are lost: {error}")
        elif not group.done.done():
            group.done.set_exception(error)
            group.done.exception()

    def _failed(self, groups: list[_Group], text: str) -> None:
        self._tell(text)
        for group in groups:
            if group.done is not None and not group.done.done():
                group.done.set_exception(StoreError(text))
                group.done.exception()  # one who stopped waiting does not make a warning
        self._give_back([group for group in groups if group.done is None])

    def _give_back(self, groups: list[_Group]) -> None:
        self._waiting.extendleft(reversed(groups))
        self._waiting_records += sum(len(group.records) for group in groups)

    def _tell(self, text: str) -> None:
        if text != self.trouble:
            self.trouble = text
            self.on_trouble(text)

    async def _last_words(self) -> None:
        while self._waiting:
            if not await asyncio.shield(self._write_one()):
                break
        for group in self._waiting:
            if group.done is not None and not group.done.done():
                group.done.set_exception(StoreError("the gateway is stopping"))
                group.done.exception()


def describe(records: Sequence[Record]) -> list[str]:
    """The steps in a group, for logs and crash tests: `received`, `first`, `final`, ..."""
    named = []
    for record in records:
        match record:
            case Entry():
                named.append(record.step.value)
            case _ if (phase := getattr(record, "phase", None)) is not None:
                named.append(Phase(phase).value)
            case _:
                named.append(type(record).__name__)
    return named
