"""Lock of a database: one gateway at a time per SQLite file, and per `gateway_id` of a Postgres database.

The lock of a file is freed by the kernel with the process, that of Postgres by the server with the connection, however
the process ends.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import fcntl
import logging
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Protocol

from gateway.store.store import StoreError

log = logging.getLogger("v2x")


class DatabaseLock(Protocol):
    """Lock that a gateway holds while it runs."""

    async def acquire(self) -> None:
        """Lock; StoreError where another gateway holds the lock."""

    async def hold(self) -> None:
        """Keep the lock until cancelled; StoreError where another gateway has it now."""

    async def release(self) -> None:
        """Unlock."""


@asynccontextmanager
async def locked(lock: DatabaseLock | None) -> AsyncIterator[None]:
    """Hold a lock, if there is one, while the context is entered."""
    if lock is None:
        yield
        return
    try:
        await lock.acquire()
        yield
    finally:
        await lock.release()


class FileLock:
    """Lock on a file beside a SQLite database; other tools, such as `v2x journal`, need none."""

    def __init__(self, database: Path) -> None:
        self._path = database.with_name(f"{database.name}.lock")
        self._file: int | None = None

    async def acquire(self) -> None:
        """See `DatabaseLock`. A file that cannot be written locks nothing."""
        try:
            opened = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:  # a full disk or a read-only folder: reported when the database is opened
            log.warning("the database is not locked: %s: %s", self._path, error.strerror)
            return
        try:
            fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            holder = os.pread(opened, 32, 0).decode("ascii", "replace").strip()
            os.close(opened)
            if error.errno not in (errno.EAGAIN, errno.EACCES):
                log.warning("the database is not locked: %s: %s", self._path, error.strerror)
                return
            by = f" (process {holder})" if holder.isdigit() else ""
            raise StoreError(f"another gateway{by} uses this database; stop it first") from None
        self._file = opened
        with contextlib.suppress(OSError):  # the number is for the message only
            os.ftruncate(opened, 0)
            os.pwrite(opened, str(os.getpid()).encode(), 0)

    async def hold(self) -> None:
        """See `DatabaseLock`; the kernel keeps it."""
        await asyncio.get_running_loop().create_future()

    async def release(self) -> None:
        """See `DatabaseLock`; the file stays, so that no two processes lock different files of one name."""
        if self._file is not None:
            os.close(self._file)
            self._file = None
