"""SQLite: WAL mode, durability, and a thread that writes whole transactions."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeAlias

from sqlalchemy import ClauseElement, Executable
from sqlalchemy.dialects import sqlite

from protocols import private_file

LOCKED_AFTER_S = 0.5  # a command must be answered within 1 s, also when another process holds the database

Statement: TypeAlias = tuple[Executable, list[dict[str, object]]]


class SqliteWriter:
    """Writer of whole transactions on its own thread: one switch of threads per transaction instead of one per call.

    It uses the driver itself: the engine of SQLAlchemy takes longer for a small transaction than SQLite does.
    """

    def __init__(self, path: Path, synchronous: str = "full") -> None:
        self._path = path
        self._prepare = preparation(synchronous)
        self._connection: sqlite3.Connection | None = None
        self._thread = ThreadPoolExecutor(1, "journal")

    async def write(self, statements: list[Statement]) -> None:
        """Execute all statements in one transaction, durably; errors of the driver are raised."""
        await asyncio.get_running_loop().run_in_executor(self._thread, self._write, statements)

    async def close(self) -> None:
        """Finish the present write and close."""
        await asyncio.get_running_loop().run_in_executor(self._thread, self._close)
        self._thread.shutdown()

    def _write(self, statements: list[Statement]) -> None:
        connection = self._connection or self._connect()
        try:
            connection.execute("BEGIN IMMEDIATE")
            for statement, rows in statements:
                connection.executemany(_sql(statement, tuple(rows[0])), rows)
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:  # SQLite has ended it after some errors
                connection.execute("ROLLBACK")
            raise

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self._path, timeout=LOCKED_AFTER_S, isolation_level=None)
        self._prepare(connection, None)
        self._connection = connection
        return connection

    def _close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()


@lru_cache(maxsize=64)  # statements are built once (`rows`)
def _sql(statement: Executable, names: tuple[str, ...]) -> str:
    """Return the text of a statement whose parameters have these names."""
    assert isinstance(statement, ClauseElement)
    return str(statement.compile(dialect=sqlite.dialect(paramstyle="named"), column_keys=list(names)))


def make_private(path: Path) -> None:
    """Create a new database file that only its owner can read; SQLite gives its journals the same mode."""
    if str(path) != ":memory:":
        with contextlib.suppress(OSError):  # an existing one keeps its mode; SQLite reports what it cannot create
            private_file.create(path).close()


def preparation(synchronous: str) -> Callable[[Any, object], None]:
    """Return the function that configures a new connection."""

    def prepare(connection: Any, _record: object) -> None:
        cursor = connection.cursor()
        try:
            cursor.execute("PRAGMA journal_mode=WAL")
            cursor.execute(f"PRAGMA synchronous={'NORMAL' if synchronous == 'normal' else 'FULL'}")
            cursor.close()
        except BaseException:
            cursor.close()
            connection.close()
            raise

    return prepare
