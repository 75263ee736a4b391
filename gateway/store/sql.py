"""Store in a database: SQLite in WAL mode by default, Postgres by URL. The only file that reads and writes the tables.

Writes are whole transactions, durable when they return. Every failure of the database is a StoreError.
"""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import ARRAY, Row, String, cast, delete, event, func, insert, make_url, select, text, tuple_
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from gateway.model.journal import Entry, Kept, Record, StoredCommand
from gateway.store import schema
from gateway.store.database_url import with_driver
from gateway.store.fence import TermFence
from gateway.store.postgres_pool import ANSWER_WITHIN_S, PAUSED_AFTER_MS, postgres_pool
from gateway.store.postgres_writer import GroupWriter, WriterThread
from gateway.store.rows import Rows, command_of, entry_of, in_bulk, samples_of
from gateway.store.sqlite import LOCKED_AFTER_S, SqliteWriter, make_private, preparation
from gateway.store.store import RecordRefused, Sample, StoreError, StoreFull
from gateway.store.tables import COMMANDS, JOURNAL, KEPT, TELEMETRY

# Ends transactions whose client was paused between the preparation of a statement and its execution: to the server they
# are not idle. Those of the same user and database, without a word of the client for as long.
END_PAUSED = text(
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
    " WHERE datname = current_database() AND usename = current_user"
    " AND pid <> pg_backend_pid() AND state = 'active' AND wait_event = 'ClientRead'"
    f" AND query_start < clock_timestamp() - interval '{PAUSED_AFTER_MS} milliseconds'"
)
OPENED_AT_MOST = (
    16  # times: a pool may have that many connections that failed with the server, each found at its next use
)


class ConnectionFailed(StoreError):
    """One connection of a pool is broken; the pool has dropped it."""


class SqlStore:
    """Implements `gateway.store.store.Store`. `gateway` names the gateway whose commands are recovered.

    With a `term` the store of the present holder of a lease (Postgres): once it is opened with a later term, what is
    written with an earlier one is refused. `tables` is the schema of the tables in Postgres ("": that of the user), and
    `pool` an engine of `postgres_pool` whose connections several stores share, as they may share a `writer`.
    """

    def __init__(
        self, url: str, gateway: str = "", synchronous: str = "full", term: int | None = None,
        *, tables: str = "", pool: AsyncEngine | None = None, writer: WriterThread | None = None,
    ) -> None:  # fmt: skip
        self._url = with_driver(url)
        self._tables, self._pool = tables, pool
        self._shared_writer, self._writer = writer, writer
        self._gateway = gateway
        self._rows = Rows(gateway)
        self._groups = GroupWriter(self._rows, gateway, term, tables)
        self._synchronous = synchronous
        self._engine: AsyncEngine | None = None
        self._sqlite: SqliteWriter | None = None
        self._fence = None if term is None else TermFence(gateway, term)

    async def open(self) -> None:
        """Connect; create the tables of a new database, refuse an old one."""
        self._engine = self._make_engine()
        clustered = self._fence is not None or self._pool is not None
        ending = asyncio.create_task(self._end_paused(self._engine)) if clustered else None
        try:
            for attempt in range(OPENED_AT_MOST):
                try:
                    await self._prepare(self._engine)
                    return
                except ConnectionFailed:
                    if attempt == OPENED_AT_MOST - 1:
                        raise
        except StoreError:
            await self.close()
            raise
        finally:
            if ending is not None:
                ending.cancel()
                await asyncio.gather(ending, return_exceptions=True)

    async def _end_paused(self, engine: AsyncEngine) -> None:
        """End transactions of paused processes, which an earlier holder may be, until cancelled."""
        while True:
            await asyncio.sleep(int(PAUSED_AFTER_MS) / 1000)
            with contextlib.suppress(StoreError):
                async with translated_errors(), engine.connect() as connection:
                    await connection.execute(END_PAUSED)

    async def _prepare(self, engine: AsyncEngine) -> None:
        async with translated_errors(), engine.begin() as connection:
            await connection.run_sync(schema.check, self._tables)
            if self._fence is not None:
                await self._fence.raise_to(connection)

    async def version(self) -> str | None:
        """Return the version of the database; None for a new one."""
        self._engine = self._make_engine()
        async with translated_errors(), self._engine.begin() as connection:
            return await connection.run_sync(schema.version, self._tables)

    async def migrate(self) -> tuple[str | None, str]:
        """Migrate the database; return the version before (None for a new one) and after."""
        self._engine = self._make_engine()
        async with translated_errors(), self._engine.begin() as connection:
            return await connection.run_sync(schema.upgrade, self._tables)

    async def downgrade(self, version: str) -> tuple[str | None, str]:
        """Migrate the database back to an older version; return the version before and after."""
        self._engine = self._make_engine()
        async with translated_errors(), self._engine.begin() as connection:
            return await connection.run_sync(schema.downgrade, version, self._tables)

    async def close(self) -> None:
        """Close all connections."""
        sqlite, self._sqlite = self._sqlite, None
        writer, self._writer = self._writer, self._shared_writer
        engine, self._engine = self._engine, None
        if sqlite is not None:
            await sqlite.close()
        if writer is not None and writer is not self._shared_writer:
            await writer.close()
        if engine is not None and self._pool is None:
            await engine.dispose()

    async def write(self, records: Sequence[Record]) -> None:
        """Write records in one transaction."""
        if not records:
            return
        async with translated_errors():
            engine = self._open_engine()
            if self._sqlite is not None:
                await self._sqlite.write(self._rows.statements(records))
            elif self._writer is not None:
                await self._writer.run(self._groups.write(self._writer.engine, records))
            else:
                await self._groups.write(engine, records)

    async def sample(self, samples: Sequence[Sample]) -> None:
        """Write telemetry; a second sample of an EVSE at the same moment is dropped."""
        if not samples:
            return
        rows = {(one.evse, one.wall): one._asdict() for one in samples}
        dialect = "sqlite" if self._sqlite is not None else ""
        statement, values = in_bulk(insert(TELEMETRY), TELEMETRY, list(rows.values()), dialect)
        async with translated_errors(), self._open_engine().begin() as connection:
            if self._fence is not None:
                await self._fence.verify(connection)
            await connection.execute(statement, values)

    async def samples(
        self, evse: str, since: float, until: float, limit: int = 10_000, every_s: float = 0.0
    ) -> list[Sample]:
        """Return telemetry of an EVSE, oldest first; with `every_s` one sample of each such period."""
        query = samples_of(evse, since, until, limit, every_s, self._sqlite is not None)
        return [Sample._make(row) for row in await self._read(query)]

    async def find_command(self, command_id: str) -> StoredCommand | None:
        """Return a command by its id."""
        found = await self._read_commands(COMMANDS.c.id == command_id)
        return found[0] if found else None

    async def recent_commands(self, limit: int) -> list[StoredCommand]:
        """Return the newest commands, newest first."""
        return await self._read_commands(self._of_this_gateway(), COMMANDS.c.received.desc(), limit)

    async def in_force(self) -> list[StoredCommand]:
        """Return commands that have not ended, in the order in which they were journalled, whatever the clock."""
        found = await self._read_commands(self._of_this_gateway() & COMMANDS.c.in_force)
        ids = [one.id for one in found]
        lines = select(JOURNAL.c.command, func.min(JOURNAL.c.seq).label("first")).where(JOURNAL.c.command.in_(ids))
        rows = await self._read(lines.group_by(JOURNAL.c.command)) if len(ids) > 1 else []
        places: dict[str, int] = {row.command: row.first for row in rows}
        return sorted(found, key=lambda one: places.get(one.id, 0))  # 0: older than the journal is kept

    async def undelivered(self, limit: int) -> list[StoredCommand]:
        """Return commands with an unacknowledged result, oldest first."""
        first = COMMANDS.c.first.is_not(None) & ~COMMANDS.c.first_delivered
        final = COMMANDS.c.final.is_not(None) & ~COMMANDS.c.final_delivered
        return await self._read_commands(self._of_this_gateway() & (first | final), limit=limit)

    async def entries(
        self,
        *,
        since: float | None = None,
        until: float | None = None,
        evse: str | None = None,
        command: str | None = None,
        limit: int = 1000,
        after_seq: int | None = None,
    ) -> list[Entry]:
        """Return entries, oldest first: the newest `limit`, or the next ones after `after_seq`."""
        column = JOURNAL.c
        query = select(column.wall, column.step, column.cause, column.command, column.evse, column.data, column.seq)
        if since is not None:
            query = query.where(column.wall >= since)
        if until is not None:
            query = query.where(column.wall < until)
        if evse is not None:
            query = query.where(column.evse == evse)
        if command is not None:
            query = query.where(column.command == command)
        if after_seq is not None:
            query = query.where(column.seq > after_seq)
        newest_first = after_seq is None
        query = query.order_by(column.seq.desc() if newest_first else column.seq).limit(limit)
        rows = await self._read(query)
        found = [entry_of(row) for row in rows]
        return found[::-1] if newest_first else found

    async def kept(self, limit: int) -> list[Kept]:
        """Return all active records and the newest ended ones."""
        column, mine = KEPT.c, KEPT.c.gateway == self._gateway
        names = (column.kind, column.key, column.body, column.wall, column.ended)
        lasting = await self._read(select(*names).where(mine, column.ended.is_(None)))
        newest = select(*names).where(mine, column.ended.is_not(None)).order_by(column.ended.desc()).limit(limit)
        rows = [*lasting, *await self._read(newest)]
        found = [Kept(row.kind, row.key, row.body, row.wall, row.ended) for row in rows]
        return sorted(found, key=lambda one: one.wall)

    async def kept_of(self, *names: tuple[str, str]) -> list[Kept]:
        """Return the stored records with some names, (kind, key) each. Postgres only: one statement for any number."""
        column, kinds, keys = KEPT.c, [kind for kind, _ in names], [key for _, key in names]
        table = func.unnest(cast(kinds, ARRAY(String)), cast(keys, ARRAY(String))).table_valued("kind", "key")
        wanted = table.render_derived()
        named = tuple_(column.kind, column.key).in_(select(wanted.c.kind, wanted.c.key))
        query = select(column.kind, column.key, column.body, column.wall, column.ended)
        rows = await self._read(query.where(column.gateway == self._gateway, named))
        return [Kept(row.kind, row.key, row.body, row.wall, row.ended) for row in rows]

    async def prune(self, commands_before: float, entries_before: float, samples_before: float | None = None) -> int:
        """Delete older rows that have ended; return their number."""
        gone = 0
        statements = [
            delete(COMMANDS).where(COMMANDS.c.received < commands_before, ~COMMANDS.c.in_force),
            delete(JOURNAL).where(JOURNAL.c.wall < entries_before),
            delete(KEPT).where(KEPT.c.ended < entries_before),
        ]
        if samples_before is not None:
            statements.append(delete(TELEMETRY).where(TELEMETRY.c.wall < samples_before))
        async with translated_errors(), self._open_engine().begin() as connection:
            for statement in statements:
                gone += (await connection.execute(statement)).rowcount
        return gone

    # connections ------------------------------------------------------------------------------------------------------

    def _of_this_gateway(self) -> Any:
        return COMMANDS.c.gateway.in_(("", self._gateway))

    def _make_engine(self) -> AsyncEngine:
        if not self._url.startswith("sqlite"):
            if self._pool is None and self._writer is None:
                self._writer = WriterThread(self._url, fenced=self._fence is not None)
            engine = self._pool or postgres_pool(self._url, fenced=self._fence is not None)
            return engine.execution_options(schema_translate_map={None: self._tables}) if self._tables else engine
        path = Path(make_url(self._url).database or "")  # without the parameters
        if not path.parent.is_dir():
            raise StoreError(f"the folder {path.parent} does not exist")
        make_private(path)
        engine = create_async_engine(self._url, connect_args={"timeout": LOCKED_AFTER_S})
        event.listen(engine.sync_engine, "connect", preparation(self._synchronous))
        self._sqlite = SqliteWriter(path, self._synchronous)
        return engine

    def _open_engine(self) -> AsyncEngine:
        if self._engine is None:
            raise StoreError("the store is not open")
        return self._engine

    async def _read(self, query: Any) -> Sequence[Row[Any]]:
        engine = self._open_engine()
        if self._sqlite is None:  # a query alone needs no transaction, whose begin and end are messages of their own
            engine = engine.execution_options(isolation_level="AUTOCOMMIT")
        async with translated_errors(), engine.connect() as connection:
            return (await connection.execute(query)).fetchall()

    async def _read_commands(
        self, where: Any, order: Any = COMMANDS.c.received, limit: int | None = None
    ) -> list[StoredCommand]:
        rows = await self._read(select(COMMANDS).where(where).order_by(order).limit(limit))
        return [command_of(row) for row in rows]


@asynccontextmanager
async def translated_errors() -> AsyncIterator[None]:
    """Raise StoreError for what fails in a database."""
    try:
        yield
    except (DBAPIError, sqlite3.Error) as error:  # the latter of the writer of SQLite
        original = error.orig if isinstance(error, DBAPIError) else error
        kind = RecordRefused if _is_permanent(error) else StoreFull if _is_full(original) else StoreError
        raise kind(_sentence(str(original))) from error
    except UnicodeEncodeError as error:  # half a surrogate pair
        raise RecordRefused(_sentence(str(error))) from error
    except SQLAlchemyError as error:
        raise StoreError(_sentence(str(error))) from error
    except TimeoutError as error:
        raise StoreError(f"the database did not answer within {ANSWER_WITHIN_S:.0f} s") from error
    except OSError as error:
        raise StoreError(f"the database cannot be reached: {error}") from error
    except Exception as error:
        if type(error).__module__.partition(".")[0] != "asyncpg":
            raise
        # SQLAlchemy does not translate an InternalClientError of a connection that is just being closed
        raise ConnectionFailed(f"the connection to the database failed: {_sentence(str(error))}") from error


def _is_permanent(error: DBAPIError | sqlite3.Error) -> bool:
    """Return True if the database refused the rows themselves (SQLSTATE classes 22, data, and 23, integrity)."""
    state = getattr(getattr(error, "orig", None), "sqlstate", None)
    refused = (IntegrityError, DataError, sqlite3.IntegrityError, sqlite3.DataError)
    return isinstance(error, refused) or str(state)[:2] in ("22", "23")


def _is_full(error: object) -> bool:
    """Return True if SQLite could not write a file: the disk is full, or a limit of the process is reached."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    return code in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR)


def _sentence(text: str) -> str:
    """Return the message of a database in one line."""
    line = " ".join(text.split())[:300]
    if "locked" in line:
        return f"another process has locked the database ({line})"
    if "full" in line:
        return f"the disk is full ({line})"
    if "disk I/O error" in line:
        return f"the disk is full or failing ({line})"
    return line
