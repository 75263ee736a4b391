"""Lock of a SQLite database: one gateway at a time. The kernel frees it with the process, however that ends."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import logging
import os
from pathlib import Path

from gateway.store.store import StoreError

log = logging.getLogger("v2x")


class StoreLock:
    """Lock on a file beside the database; other tools, such as `v2x journal`, need none."""

    def __init__(self, database: Path) -> None:
        self._path = database.with_name(f"{database.name}.lock")
        self._file: int | None = None

    def acquire(self) -> None:
        """Lock; StoreError where another process holds the lock. A file that cannot be written locks nothing."""
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

    def release(self) -> None:
        """Unlock; the file stays, so that no two processes lock different files of one name."""
        if self._file is not None:
            os.close(self._file)
            self._file = None
