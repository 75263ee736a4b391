"""Store of an emulated station: named values and the message queue, in one SQLite file for each station id.

Every change is on disk when the call returns.
"""

from __future__ import annotations

import contextlib
import json
import sqlite3
from pathlib import Path
from typing import Any, TypeAlias
from urllib.parse import quote

from protocols import private_file

Saved: TypeAlias = dict[str, Any]  # JSON object
SavedRow: TypeAlias = list[Any]  # JSON array
SCHEMA = """
CREATE TABLE IF NOT EXISTS kept (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS message (number INTEGER PRIMARY KEY AUTOINCREMENT, body TEXT NOT NULL);
"""


class Store:
    """File of one station. Raises OSError if the folder cannot be used."""

    def __init__(self, folder: Path, station: str) -> None:
        self._open = True
        try:
            folder.mkdir(parents=True, exist_ok=True)
            file = folder / f"station-{quote(station, safe='')}.sqlite3"
            with contextlib.suppress(FileExistsError):
                private_file.create(file).close()
            self._db = sqlite3.connect(file, isolation_level=None)
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=FULL")
            self._db.executescript(SCHEMA)
        except sqlite3.Error as error:
            raise OSError(f"{folder}: the state of the station cannot be opened: {error}") from error

    def put(self, name: str, value: object) -> None:
        """Store a value under a name."""
        if self._open:
            self._db.execute("INSERT OR REPLACE INTO kept VALUES (?, ?)", (name, json.dumps(value)))

    def get(self, name: str) -> Any:
        """Return a stored value, None if there is none, or after `close`."""
        if not self._open:
            return None
        row = self._db.execute("SELECT value FROM kept WHERE name = ?", (name,)).fetchone()
        return None if row is None else json.loads(row[0])

    def add_message(self, body: Saved) -> int:
        """Append a message; return its number, 0 after `close`."""
        if not self._open:
            return 0
        return int(self._db.execute("INSERT INTO message (body) VALUES (?)", (json.dumps(body),)).lastrowid or 0)

    def drop_message(self, number: int) -> None:
        """Delete a delivered or discarded message."""
        if self._open:
            self._db.execute("DELETE FROM message WHERE number = ?", (number,))

    def messages(self) -> list[tuple[int, Saved]]:
        """Return all messages in order."""
        return [
            (n, json.loads(body)) for n, body in self._db.execute("SELECT number, body FROM message ORDER BY number")
        ]

    def close(self) -> None:
        """Close the file; later changes are not stored."""
        self._open = False
        self._db.close()
