"""On which line of a TOML text a key stands, so that an error can be clicked on. No parser: `tomllib` has read it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

Place = tuple[str | int, ...]

_NAME = r'(?:[A-Za-z0-9_-]+|"[^"]*"|\'[^\']*\')'
_NAMES = rf"{_NAME}(?:\s*\.\s*{_NAME})*"
_TABLE = re.compile(rf"\s*(\[\[?)\s*({_NAMES})\s*\]\]?")
_KEY = re.compile(rf"\s*({_NAMES})\s*=")


def lines(text: str) -> dict[Place, int]:
    """The line (from 1) of each table and key. Tables of an array are numbered from 0, as in errors."""
    found: dict[Place, int] = {}
    count: dict[Place, int] = {}  # of the tables of each array so far
    here: Place = ()
    for number, line in enumerate(text.splitlines(), 1):
        if table := _TABLE.match(line):
            here = _table(_split(table[2]), table[1] == "[[", count)
            found.setdefault(here, number)
        elif key := _KEY.match(line):
            found.setdefault((*here, *_split(key[1])), number)
    return found


def line_of(found: Mapping[Place, int], place: Sequence[str | int]) -> int | None:
    """The line of a place, or of the nearest thing around it; None for the file as a whole."""
    for length in range(len(place), 0, -1):
        if (number := found.get(tuple(place[:length]))) is not None:
            return number
    return None


def _table(names: list[str], one_of_many: bool, count: dict[Place, int]) -> Place:
    here: Place = ()
    for n, name in enumerate(names):
        here = (*here, name)
        if n == len(names) - 1 and one_of_many:
            count[here] = count.get(here, 0) + 1
        if here in count:
            here = (*here, count[here] - 1)
    return here


def _split(names: str) -> list[str]:
    return [name.strip("\"'") for name in re.findall(_NAME, names)]
