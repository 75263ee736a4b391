"""Console output of the events of a session, one line each, as text or JSON; shared by `v2x ev` and `v2x secc`."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from dataclasses import fields, is_dataclass
from enum import Enum
from math import isfinite
from typing import Any, TextIO


def plain(value: Any) -> Any:
    """Return a value for JSON: dataclasses become objects, bytes hexadecimal, infinite numbers null."""
    if isinstance(value, Enum):
        return value.value if isinstance(value.value, str) else value.name.lower()
    if is_dataclass(value) and not isinstance(value, type):
        return {one.name: plain(getattr(value, one.name)) for one in fields(value)}
    if isinstance(value, bytes):
        return value.hex().upper()
    if isinstance(value, float):
        return round(value, 6) if isfinite(value) else None
    if isinstance(value, tuple | list | frozenset | set):
        return [plain(one) for one in value]
    if isinstance(value, dict):
        return {str(key): plain(one) for key, one in value.items()}
    return value


def complain(command: str, text: str) -> None:
    """Print an error of a command on standard error."""
    sys.stderr.write(f"{command}: {text}\n")


class Reporter:
    """Prints events to `out` as JSON lines, or as text by the table `lines`, which omits other events."""

    def __init__(self, out: TextIO, as_json: bool, lines: dict[type[Any], Callable[[Any], str | None]]) -> None:
        self._out = out
        self._json = as_json
        self._lines = lines
        self._began = time.monotonic()

    def __call__(self, event: Any) -> None:
        if self._json:
            self.record(type(event).__name__, plain(event))
            return
        build = self._lines.get(type(event))
        line = build(event) if build is not None else None
        if line is not None:
            self._write(line)

    def record(self, name: str, values: dict[str, Any]) -> None:
        """Print one JSON line, with `at` in seconds after the start; nothing in text mode."""
        if self._json:
            self._write(json.dumps({"event": name, "at": round(time.monotonic() - self._began, 6), **values}))

    def say(self, text: str) -> None:
        """Print a line of text; nothing in JSON mode."""
        if not self._json:
            self._write(text)

    def _write(self, line: str) -> None:
        self._out.write(line + "\n")
        self._out.flush()
