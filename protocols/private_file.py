"""Files that only their owner can read (mode 0600): captures, reports, keys, tokens and databases."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import BinaryIO, Literal, TextIO, overload


@overload
def create(path: Path, mode: Literal["w"] = "w") -> TextIO: ...
@overload
def create(path: Path, mode: Literal["wb"]) -> BinaryIO: ...
def create(path: Path, mode: Literal["w", "wb"] = "w") -> TextIO | BinaryIO:
    """Return a new file, opened for writing; FileExistsError where the name is taken, also by a link."""
    opened = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    return os.fdopen(opened, "wb") if mode == "wb" else os.fdopen(opened, "w", encoding="utf-8")


@overload
def replacing(path: Path, mode: Literal["w"] = "w") -> AbstractContextManager[TextIO]: ...
@overload
def replacing(path: Path, mode: Literal["wb"]) -> AbstractContextManager[BinaryIO]: ...
def replacing(
    path: Path, mode: Literal["w", "wb"] = "w"
) -> AbstractContextManager[TextIO] | AbstractContextManager[BinaryIO]:
    """Return a context with a new file that replaces `path` as a whole at the end: a reader never sees part of it."""
    return _replacing(path, mode)  # type: ignore[return-value]


@contextmanager
def _replacing(path: Path, mode: Literal["w", "wb"]) -> Iterator[TextIO | BinaryIO]:
    beside = path.with_name(f".{path.name}.new")
    beside.unlink(missing_ok=True)
    try:
        with create(beside, mode) as opened:
            yield opened
        beside.replace(path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
