"""SQLite: WAL mode, durability, and a thread that writes whole transactions."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeAlias

from sqlalchemy import Executable, StaticPool, create_engine, event

from protocols import private_file

LOCKED_AFTER_S = 0.5  # a command must be answered within 1 s, also when another process holds the database

Statement: TypeAlias = tuple[Executable, list[dict[str, object]]]


class SqliteWriter:
    """Writer of whole transactions on its own thread: one switch of threads per transaction instead of one per call."""

    def __init__(self, path: Path, synchronous: str = "full") -> None:
        self._engine = create_engine(
            f"sqlite:///{path}", connect_args={"timeout": LOCKED_AFTER_S}, poolclass=StaticPool
        )
        event.listen(self._engine, "connect", preparation(synchronous))
        self._thread = ThreadPoolExecutor(1, "journal")

    async def write(self, statements: list[Statement]) -> None:
        """Execute all statements in one transaction, durably; errors of the driver are raised."""
        await asyncio.get_running_loop().run_in_executor(self._thread, self._write, statements)

    async def close(self) -> None:
        """Finish the present write and close."""
        await asyncio.get_running_loop().run_in_executor(self._thread, self._engine.dispose)
        self._thread.shutdown()

    def _write(self, statements: list[Statement]) -> None:
        with self._engine.begin() as connection:
            for statement, rows in statements:
                connection.execute(statement, rows)


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
