"""Files that only their owner can read (mode 0600): captures, reports, keys, tokens and databases."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any


def create(path: Path, mode: str = "w") -> IO[Any]:
    """Return a new file, opened for writing; FileExistsError where the name is taken, also by a link."""
    opened = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    return os.fdopen(opened, mode, encoding=None if "b" in mode else "utf-8")


@contextmanager
def replacing(path: Path, mode: str = "w") -> Iterator[IO[Any]]:
    """Yield a new file that replaces `path` as a whole at the end, so that a reader never sees part of it."""
    beside = path.with_name(f".{path.name}.new")
    beside.unlink(missing_ok=True)
    try:
        with create(beside, mode) as opened:
            yield opened
        beside.replace(path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
