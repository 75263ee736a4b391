"""What of the stations outlives the process: transactions, tokens, reservations, stations, and the last number given.

What a station or an operator is told is done is on disk first (`keep`). What is only newer, such as the meter of a
running transaction, is written behind, each transaction once in a while however often it changed. Without a journal
(tests, the demo) nothing is kept.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable
from itertools import islice
from typing import Any, Protocol

import msgspec

from gateway.csms.reservations import Reservation
from gateway.csms.tokens import Token
from gateway.csms.transactions import Transaction
from gateway.model.journal import Forgotten, Kept, Record
from gateway.store.ports import StoreError
from protocols.ocpp.rpc import Refusal
from protocols.ocpp.schema import ErrorCode, Payload
from protocols.ports import Clock

log = logging.getLogger("v2x.csms")

WRITE_EVERY_S = 5.0  # a transaction that changes all the time
LOOK_EVERY_S = 0.25
KEEP_WITHIN_S = 10.0  # a station waits for its answer, and so does an operator
AT_ONCE = 100  # so that nobody's message waits for the transactions of all others
STATION, TOKEN, TRANSACTION, RESERVATION = "station", "token", "transaction", "reservation"
COUNTER, POLICY = "counter", "policy"
NUMBERS, UNKNOWN_STATIONS = "transaction", "unknown_stations"  # keys


class Writer(Protocol):
    """Where records go: `gateway.store.journal.Journal`."""

    async def keep(self, *records: Record, within_s: float = ...) -> None: ...
    def later(self, *records: Record) -> None: ...


class CsmsPersistence:
    """The one place from which the CSMS writes."""

    def __init__(self, clock: Clock, writer: Writer | None = None) -> None:
        self._clock = clock
        self.writer = writer
        self._dirty: dict[str, tuple[float, Transaction]] = {}  # when it is due, by reference; the first due first
        self._flushing: asyncio.Task[None] | None = None

    async def keep(self, *records: Record) -> None:
        """On disk when it returns; StoreError where it is not."""
        if self.writer is not None:
            await self.writer.keep(*records, within_s=KEEP_WITHIN_S)

    def later(self, *records: Record) -> None:
        """On disk soon."""
        if self.writer is not None:
            self.writer.later(*records)

    # transactions

    def touch(self, transaction: Transaction) -> None:
        """It changed; written with the next round."""
        if self.writer is None:
            return
        if transaction.ref not in self._dirty:
            self._dirty[transaction.ref] = self._clock.now() + WRITE_EVERY_S, transaction
        if self._flushing is None:
            self._flushing = asyncio.get_running_loop().create_task(self._flush_soon())

    def answer_when_kept(
        self, transaction: Transaction, answer: Payload, *more: Record
    ) -> Payload | Awaitable[Payload]:
        """The answer to a message that we must not lose once it is answered.

        Where it cannot be kept the station hears InternalError: it keeps the message and tells it again.
        """
        transaction.unkept = self.writer is not None
        if self.writer is None:
            return answer
        return self._kept(transaction, answer, more)

    async def _kept(self, transaction: Transaction, answer: Payload, more: tuple[Record, ...]) -> Payload:
        self._dirty.pop(transaction.ref, None)
        try:
            await self.keep(self.record(transaction), *more)
        except StoreError as error:
            self.touch(transaction)
            log.error("%s: transaction %s is not answered: %s", transaction.station, transaction.id, error)
            raise Refusal(ErrorCode.INTERNAL_ERROR, "this could not be written down; please tell it again") from None
        transaction.unkept = False
        return answer

    async def _flush_soon(self) -> None:
        try:
            while self._dirty:
                soonest, _ = next(iter(self._dirty.values()))
                await self._clock.sleep(max(LOOK_EVERY_S, soonest - self._clock.now()))
                now = self._clock.now()
                first = islice(self._dirty.items(), AT_ONCE)
                self._hand_over([ref for ref, (due, _) in first if due <= now])
        finally:
            self._flushing = None

    def _hand_over(self, refs: list[str]) -> None:
        self.later(*(self.record(self._dirty.pop(ref)[1]) for ref in refs))

    async def close(self) -> None:
        """Hand over what waits, and stop."""
        if self._flushing is not None:
            self._flushing.cancel()
            await asyncio.gather(self._flushing, return_exceptions=True)
        self._hand_over(list(self._dirty))

    def record(self, transaction: Transaction) -> Kept:
        """A transaction as it stands."""
        return self._record(TRANSACTION, transaction.ref, transaction.as_row(), transaction.stopped_at)

    # the rest

    def number(self, last: int) -> Kept:
        """The last number given to a 1.6 transaction."""
        return self._record(COUNTER, NUMBERS, last)

    def token(self, token: Token) -> Kept:
        """A token as it stands."""
        return self._record(TOKEN, token.id.casefold(), token)

    def reservation(self, reservation: Reservation) -> Kept:
        """A reservation as it stands."""
        over = None if reservation.status == "ACCEPTED" else self._clock.wall()
        return self._record(RESERVATION, reservation.ref, reservation, over)

    def station(self, name: str, row: dict[str, Any]) -> Kept:
        """A station as it stands."""
        return self._record(STATION, name, row)

    def policy(self, value: str) -> Kept:
        """What happens to stations that nobody registered, as an operator chose it."""
        return self._record(POLICY, UNKNOWN_STATIONS, value)

    @staticmethod
    def forgotten(kind: str, key: str) -> Forgotten:
        """A thing that is no longer kept."""
        return Forgotten(kind, key)

    def _record(self, kind: str, key: str, what: object, ended: float | None = None) -> Kept:
        return Kept(kind, key, msgspec.json.encode(what).decode(), self._clock.wall(), ended)
