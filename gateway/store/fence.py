"""Fence of a Postgres database: the highest term of a holder of the site, as a stored record.

A write locks the record for its transaction, so that no write of an earlier term is under way when a later term is
noted: what the new holder then reads is all that the former one has written.
"""

from __future__ import annotations

import time

from sqlalchemy import select, update
from sqlalchemy.dialects import postgresql
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.store.store import StoreError
from gateway.store.tables import KEPT

KIND, KEY = "cluster", "term"


class EarlierTerm(StoreError):
    """Another instance holds the lease of the site."""

    def __init__(self) -> None:
        super().__init__("another instance of the cluster controls this site now")


class TermFence:
    """Fence of one gateway for one term."""

    def __init__(self, gateway: str, term: int) -> None:
        self._term = term
        self._row = {"gateway": gateway, "kind": KIND, "key": KEY}
        self._here = (KEPT.c.gateway == gateway, KEPT.c.kind == KIND, KEPT.c.key == KEY)
        self._read = select(KEPT.c.body).where(*self._here)

    async def raise_to(self, connection: AsyncConnection) -> None:
        """Note the term; EarlierTerm where a later one is noted."""
        row = {**self._row, "body": "0", "wall": time.time(), "ended": None}
        await connection.execute(postgresql.insert(KEPT).values(row).on_conflict_do_nothing())
        known = await connection.scalar(self._read.with_for_update())
        self._check(known)
        changed = update(KEPT).where(*self._here).values(body=str(self._term), wall=time.time())
        await connection.execute(changed)

    async def verify(self, connection: AsyncConnection) -> None:
        """Raise EarlierTerm where a later term is noted, and prevent a later one until the transaction ends."""
        self._check(await connection.scalar(self._read.with_for_update(read=True)))

    def _check(self, known: object) -> None:
        if int(str(known or "0")) > self._term:
            raise EarlierTerm
