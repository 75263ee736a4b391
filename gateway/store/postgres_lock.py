"""Lock of a `gateway_id` in a Postgres database: an advisory lock of a session that lasts as long as the gateway.

The server frees it when the connection ends: at once when the process ends, after `FREED_WITHIN_S` when the host of a
gateway or its network is lost. A pool in transaction mode (PgBouncer) between gateway and server has no sessions and
cannot hold it.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
import secrets
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import NullPool, text
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine

from gateway.store.database_url import for_asyncpg
from gateway.store.postgres_pool import ANSWER_WITHIN_S
from gateway.store.sql import translated_errors
from gateway.store.store import StoreError
from protocols.ports import Clock

log = logging.getLogger("v2x")

VERIFIED_EVERY_S = 5.0
TRIED_EVERY_S = 0.5
KEEPALIVE = {"tcp_keepalives_idle": "10", "tcp_keepalives_interval": "5", "tcp_keepalives_count": "3"}
FREED_WITHIN_S = 30.0  # 10 + 3 * 5 s of the keepalive, and some
LOCK = text("SELECT pg_try_advisory_lock(:key)")
ALIVE = text("SELECT 1")
HOLDER = text(
    "SELECT a.application_name AS run, host(a.client_addr) AS address, a.state_change AS active"
    " FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid"
    " WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1 AND a.datname = current_database()"
    " AND (l.classid::bigint << 32) | l.objid::bigint = :key"
)


@dataclass(frozen=True, slots=True)
class _Holder:
    """Session with the lock; members are None where this role may not read them."""

    run: str | None
    address: str | None
    active: datetime | None  # when it last sent a query, which a gateway does every `VERIFIED_EVERY_S`

    def refusal(self) -> StoreError:
        """Return that another gateway uses the database."""
        at = f" (connected from {self.address})" if self.address else ""
        return StoreError(f"another gateway{at} with this mqtt.gateway_id uses this database; stop it first")


class PostgresLock:
    """Implements `gateway.store.lock.DatabaseLock`."""

    def __init__(self, url: str, gateway: str, clock: Clock) -> None:
        self._run = f"v2x-gateway {secrets.token_hex(8)}"
        settings = {"application_name": self._run, **KEEPALIVE}
        address, connect = for_asyncpg(url)
        connect |= {"timeout": ANSWER_WITHIN_S, "server_settings": settings}
        self._engine = create_async_engine(
            address, poolclass=NullPool, isolation_level="AUTOCOMMIT", connect_args=connect
        )
        digest = hashlib.sha256(f"v2x-gateway/{gateway}".encode()).digest()
        self._key = int.from_bytes(digest[:8], "big", signed=True)
        self._clock = clock
        self._connection: AsyncConnection | None = None

    async def acquire(self) -> None:
        """See `DatabaseLock`. A session that shows no activity may be one of a lost host: its end is awaited."""
        deadline, first = self._clock.now() + FREED_WITHIN_S, None
        while (holder := await self._take()) is not None:
            if first is None:
                first = holder
                log.warning("store.url: %s, or its connection has not ended yet", holder.refusal())
            alive = holder.run != first.run or holder.active != first.active
            if alive or self._clock.now() >= deadline:
                await self.release()
                raise holder.refusal()
            await self._clock.sleep(TRIED_EVERY_S)

    async def hold(self) -> None:
        """See `DatabaseLock`. After a lost connection the lock is acquired again."""
        lost = False
        while True:
            await self._clock.sleep(VERIFIED_EVERY_S)
            try:
                holder = None
                if self._connection is not None:
                    await self._ask(self._connection)
                else:
                    holder = await self._take()
            except StoreError as error:
                if not lost:
                    log.warning("the database is not locked while it cannot be reached: %s", error)
                lost = True
                await self._disconnect()
                continue
            if holder is not None and holder.run != self._run:
                raise holder.refusal()
            lost = holder is not None

    async def release(self) -> None:
        """See `DatabaseLock`."""
        await self._disconnect()
        await self._engine.dispose()

    async def _take(self) -> _Holder | None:
        """Acquire the lock; return its holder if that is another session."""
        async with translated_errors(), asyncio.timeout(ANSWER_WITHIN_S):
            connection = await self._engine.connect()
            try:
                if await connection.scalar(LOCK, {"key": self._key}):
                    self._connection = connection
                    return None
                row = (await connection.execute(HOLDER, {"key": self._key})).first()
                return _Holder(None, None, None) if row is None else _Holder(row.run, row.address, row.active)
            finally:
                if self._connection is not connection:
                    await connection.close()

    async def _ask(self, connection: AsyncConnection) -> None:
        async with translated_errors(), asyncio.timeout(ANSWER_WITHIN_S):
            await connection.execute(ALIVE)

    async def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(StoreError):
                async with translated_errors(), asyncio.timeout(ANSWER_WITHIN_S):
                    await connection.close()
