"""Persistence of the CSMS: transactions, tokens, reservations, stations, and the last transaction number.

What is confirmed to a station or an operator is stored first (`keep`). Frequent changes, such as the meter of a running
transaction, are written behind, each transaction at most every `WRITE_EVERY_S`. Without a writer (tests, the demo)
nothing is stored.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable
from dataclasses import asdict
from itertools import islice
from typing import Protocol

import msgspec

from gateway.csms.reservations import Reservation, ReservationStatus
from gateway.csms.tokens import Token
from gateway.csms.transactions import Transaction
from gateway.model.journal import Kept, Record
from gateway.store.store import StoreError
from protocols.ocpp.errors import Refusal
from protocols.ocpp.schema import ErrorCode, Payload
from protocols.ports import Clock

log = logging.getLogger("v2x.csms")

WRITE_EVERY_S = 5.0  # per transaction
CHECK_EVERY_S = 0.25
KEEP_WITHIN_S = 10.0  # a station or an operator waits for the response
MAX_BATCH = 100  # so that no message waits until the transactions of all stations are written
STATION, TOKEN, TRANSACTION, RESERVATION = "station", "token", "transaction", "reservation"
COUNTER, POLICY, LISTED = "counter", "policy", "listed"
NUMBERS, UNKNOWN_STATIONS, CONFIGURED = "transaction", "unknown_stations", "configuration"  # keys


class Writer(Protocol):
    """Destination of records: `gateway.store.journal.Journal`."""

    async def keep(self, *records: Record, within_s: float = ...) -> None: ...
    def later(self, *records: Record) -> None: ...


class CsmsPersistence:
    """The only writer of the CSMS."""

    def __init__(self, clock: Clock, writer: Writer | None = None) -> None:
        self._clock = clock
        self.writer = writer
        self._dirty: dict[str, tuple[float, Transaction]] = {}  # due time, by reference; the first due first
        self._keeping: dict[str, asyncio.Event] = {}  # transactions whose message waits for its response
        self._flushing: asyncio.Task[None] | None = None

    async def keep(self, *records: Record) -> None:
        """Store records before returning. Raises StoreError."""
        if self.writer is not None:
            await self.writer.keep(*records, within_s=KEEP_WITHIN_S)

    def later(self, *records: Record) -> None:
        """Store records soon."""
        if self.writer is not None:
            self.writer.later(*records)

    # transactions

    def touch(self, transaction: Transaction) -> None:
        """Schedule the transaction for the next write."""
        if self.writer is None:
            return
        if transaction.ref not in self._dirty:
            self._dirty[transaction.ref] = self._clock.now() + WRITE_EVERY_S, transaction
        if self._flushing is None:
            self._flushing = asyncio.get_running_loop().create_task(self._flush_due())

    def archived(self, former: str, transaction: Transaction) -> None:
        """Store an ended transaction under its new reference; the former one is used again."""
        self._dirty.pop(former, None)
        self.later(self.record(transaction))

    def answer_when_kept(
        self, transaction: Transaction, answer: Payload, *more: Record
    ) -> Payload | Awaitable[Payload]:
        """Return the response to a message that must not be lost once it is answered.

        Where it cannot be stored the response is InternalError: the station keeps the message and sends it again.
        """
        transaction.unsaved = self.writer is not None
        if self.writer is None:
            return answer
        self._keeping.setdefault(transaction.ref, asyncio.Event())
        return self._keep_first(transaction, answer, more)

    async def _keep_first(self, transaction: Transaction, answer: Payload, more: tuple[Record, ...]) -> Payload:
        self._dirty.pop(transaction.ref, None)
        try:
            await self._keep_transaction(transaction, more)
        finally:
            if (keeping := self._keeping.pop(transaction.ref, None)) is not None:
                keeping.set()
        return answer

    async def answered(self, transaction: Transaction) -> bool:
        """Wait for the response to the message that is being stored; return False where it could not be."""
        if (keeping := self._keeping.get(transaction.ref)) is not None:
            await keeping.wait()
        return not transaction.unsaved

    async def _keep_transaction(self, transaction: Transaction, more: tuple[Record, ...]) -> None:
        try:
            await self.keep(self.record(transaction), *more)
        except StoreError as error:
            self.touch(transaction)
            log.error("%s: transaction %s is not answered: %s", transaction.station, transaction.id, error)
            raise Refusal(ErrorCode.INTERNAL_ERROR, "this could not be stored; please send it again") from None
        transaction.unsaved = False

    async def _flush_due(self) -> None:
        try:
            while self._dirty:
                soonest, _ = next(iter(self._dirty.values()))
                await self._clock.sleep(max(CHECK_EVERY_S, soonest - self._clock.now()))
                now = self._clock.now()
                first = islice(self._dirty.items(), MAX_BATCH)
                self._write([ref for ref, (due, _) in first if due <= now])
        finally:
            self._flushing = None

    def _write(self, refs: list[str]) -> None:
        self.later(*(self.record(self._dirty.pop(ref)[1]) for ref in refs))

    async def close(self) -> None:
        """Write what is scheduled, and stop."""
        if self._flushing is not None:
            self._flushing.cancel()
            await asyncio.gather(self._flushing, return_exceptions=True)
        self._write(list(self._dirty))

    def record(self, transaction: Transaction) -> Kept:
        """Return the record of a transaction."""
        return self.row(TRANSACTION, transaction.ref, transaction.as_row(), transaction.stopped_at)

    # other records

    def token(self, token: Token) -> Kept:
        """Return the record of a token."""
        return self.row(TOKEN, token.id.casefold(), token)

    def reservation(self, reservation: Reservation) -> Kept:
        """Return the record of a reservation."""
        over = None if reservation.status is ReservationStatus.ACCEPTED else self._clock.wall()
        content = {key: value for key, value in asdict(reservation).items() if value is not None or key == "expiry"}
        return self.row(RESERVATION, reservation.ref, content, over)

    def row(self, kind: str, key: str, content: object, ended: float | None = None) -> Kept:
        """Return the record of any content; `ended` is the Unix time from which it may be removed."""
        return Kept(kind, key, msgspec.json.encode(content).decode(), self._clock.wall(), ended)
