"""Lines of the tables and keys of a TOML text, for error messages."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

Key = tuple[str | int, ...]

_NAME = r'(?:[A-Za-z0-9_-]+|"[^"]*"|\'[^\']*\')'
_NAMES = rf"{_NAME}(?:\s*\.\s*{_NAME})*"
_TABLE = re.compile(rf"\s*(\[\[?)\s*({_NAMES})\s*\]\]?")
_KEY = re.compile(rf"\s*({_NAMES})\s*=")


def lines_of(text: str) -> dict[Key, int]:
    """Return the line (from 1) of each table and key. Tables of an array are numbered from 0, as in pydantic errors."""
    found: dict[Key, int] = {}
    count: dict[Key, int] = {}  # tables of each array so far
    table_key: Key = ()
    for number, line in enumerate(text.splitlines(), 1):
        if table := _TABLE.match(line):
            table_key = _table(_split(table[2]), table[1] == "[[", count)
            found.setdefault(table_key, number)
        elif match := _KEY.match(line):
            found.setdefault((*table_key, *_split(match[1])), number)
    return found


def line_of(found: Mapping[Key, int], key: Sequence[str | int]) -> int | None:
    """Return the line of a key, or of the nearest table that contains it; None for the whole file."""
    for length in range(len(key), 0, -1):
        if (number := found.get(tuple(key[:length]))) is not None:
            return number
    return None


def _table(names: list[str], in_array: bool, count: dict[Key, int]) -> Key:
    table_key: Key = ()
    for n, name in enumerate(names):
        table_key = (*table_key, name)
        if n == len(names) - 1 and in_array:
            count[table_key] = count.get(table_key, 0) + 1
        if table_key in count:
            table_key = (*table_key, count[table_key] - 1)
    return table_key


def _split(names: str) -> list[str]:
    return [name.strip("\"'") for name in re.findall(_NAME, names)]
