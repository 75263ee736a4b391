"""Backup and restore of a SQLite database, also while a gateway uses it. Postgres has pg_dump and pg_restore."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

from gateway.store.sqlite import make_private
from gateway.store.store import StoreError

LOGS = ("-wal", "-shm")  # files beside a database with what it does not contain yet
LOCKED_AFTER_S = 10.0


def backup(database: Path, to: Path) -> str:
    """Write the present contents of a database to a new file and return their version. StoreError if it failed."""
    if to.exists():
        raise StoreError(f"{to} exists already; name another file")
    if not database.is_file():
        raise StoreError(f"there is no database {database}")
    copied, version = _copied(database, to)
    copied.replace(to)
    return version


def restore(database: Path, source: Path) -> tuple[str, Path | None]:
    """Put a backup in the place of a database that no gateway uses; return its version and where the former one is.

    At every moment there is the former database or the restored one, whole.
    """
    verify(source)
    copied, version = _copied(source, database)
    former = None
    if database.exists():
        former = database.with_name(f"{database.name}.{time.strftime('%Y%m%dT%H%M%S')}")
        with contextlib.suppress(sqlite3.Error), _opened(database) as connection:  # a damaged one keeps its log
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        with _translated_errors(database):
            for part in LOGS:
                with contextlib.suppress(FileNotFoundError):
                    Path(f"{database}{part}").rename(f"{former}{part}")
            former.hardlink_to(database)
    copied.replace(database)
    return version, former


def verify(database: Path) -> str:
    """Return the version of an undamaged database of the gateway; StoreError otherwise."""
    if not database.is_file():
        raise StoreError(f"there is no file {database}")
    with _translated_errors(database), _opened(database) as connection:
        found = connection.execute("PRAGMA integrity_check").fetchone()[0]
        if found != "ok":
            raise StoreError(f"{database} is damaged: {found}")
        tables = {row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        if not {"alembic_version", "commands", "journal"} <= tables:
            raise StoreError(f"{database} is no database of a gateway")
        return str(connection.execute("SELECT version_num FROM alembic_version").fetchone()[0])


def _copied(source: Path, to: Path) -> tuple[Path, str]:
    """Copy a database as of one moment to a file beside `to`; return that file and its version."""
    beside = to.with_name(f".{to.name}.new")
    with _translated_errors(to):
        beside.unlink(missing_ok=True)
        make_private(beside)
        try:
            with _opened(source) as one, _opened(beside) as other:
                one.backup(other)
                other.execute("PRAGMA journal_mode=DELETE")  # one file
            version = verify(beside)
            with beside.open("rb") as written:
                os.fsync(written.fileno())
        except BaseException:
            beside.unlink(missing_ok=True)
            raise
    return beside, version


@contextlib.contextmanager
def _opened(database: Path) -> Iterator[sqlite3.Connection]:
    with contextlib.closing(sqlite3.connect(database, timeout=LOCKED_AFTER_S)) as connection:
        yield connection


@contextlib.contextmanager
def _translated_errors(database: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise StoreError(f"{database}: {error}") from error
    except OSError as error:
        raise StoreError(f"{database}: {error.strerror or error}") from error
