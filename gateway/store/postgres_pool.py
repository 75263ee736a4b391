"""Connections to Postgres, which several stores may share.

A connection that was not used for `VERIFIED_FOR_S` is verified before its next use. That takes three messages to the
server and their answers, as many as a small write: of one that was used just before it is enough that the server has
not closed it.
"""

from __future__ import annotations

import time

from sqlalchemy import event
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import ConnectionPoolEntry

from gateway.store.database_url import for_asyncpg

ANSWER_WITHIN_S = 5.0  # of the database, for a write
PAUSED_AFTER_MS = "2000"  # between two statements of a transaction; then the server ends it
PREPARED = 1000  # statements of one connection: each site has its own
VERIFIED_FOR_S = 1.0  # after its last use
CLOSED_WITHIN_S = 2.0  # with a word to the server, which has to close it


def postgres_pool(url: str, *, fenced: bool, connections: int = 4, more: int = 10) -> AsyncEngine:
    """Return an engine for Postgres with so many lasting connections, and at most so many more for a time."""
    address, connect = for_asyncpg(url)
    connect |= {"timeout": ANSWER_WITHIN_S, "prepared_statement_cache_size": PREPARED}
    connect["connection_class"] = _connection_class()
    if fenced:  # a paused holder delays the next one by no more than this
        connect["server_settings"] = {"idle_in_transaction_session_timeout": PAUSED_AFTER_MS}
    engine = create_async_engine(address, pool_size=connections, max_overflow=more, connect_args=connect)
    dialect = engine.sync_engine.dialect

    def verify(connection: DBAPIConnection, record: ConnectionPoolEntry, _: object) -> None:
        """Raise DisconnectionError, so that the pool takes another connection, where one does not work any more."""
        used = record.info.get("used")
        if used is None:  # it is new
            return
        driver = record.driver_connection
        if driver is None or driver.is_closed():
            raise DisconnectionError("the server has closed the connection")
        if time.monotonic() - used >= VERIFIED_FOR_S:
            try:
                dialect.do_ping(connection)
            except Exception as error:  # whatever the driver raises: this connection has failed
                raise DisconnectionError(str(error)) from error

    def used(_: object, record: ConnectionPoolEntry) -> None:
        record.info["used"] = time.monotonic()

    event.listen(engine.sync_engine, "checkout", verify)
    event.listen(engine.sync_engine, "checkin", used)
    return engine


def _connection_class() -> type[object]:
    """Return the class of the connections of a pool: they are closed in time, whether the server answers or not."""
    import asyncpg  # an extra

    class Connection(asyncpg.Connection):  # type: ignore[misc]
        silent = False  # the server did not answer the last one that was closed

        async def close(self, *, timeout: float | None = None) -> None:
            """Close it in order, or abort it. SQLAlchemy closes one after the other, without a limit."""
            within_s = CLOSED_WITHIN_S / 10 if Connection.silent else CLOSED_WITHIN_S
            try:
                await super().close(timeout=within_s if timeout is None else timeout)
                Connection.silent = False
            except TimeoutError:  # it is aborted
                Connection.silent = True

    return Connection
