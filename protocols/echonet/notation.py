"""Parser of the types of the tables (see `values.py`)."""

from __future__ import annotations

import re

from protocols.echonet.values import MOMENTS, SIZES, Array, Choice, Codes, Kind, Moment, Number, Raw, Struct
from protocols.errors import LocalProtocolError


def parse(text: str) -> Kind:
    """Return the type of a text. Raises LocalProtocolError."""
    kind, rest = _choice(text.strip())
    if rest:
        raise LocalProtocolError(f"{rest!r} after the type")
    return kind


def _choice(text: str) -> tuple[Kind, str]:
    kinds = []
    while True:
        kind, text = _one(text.lstrip())
        kinds.append(kind)
        text = text.lstrip()
        if not text.startswith("|"):
            return (kinds[0] if len(kinds) == 1 else Choice(tuple(kinds))), text
        text = text[1:]


def _one(text: str) -> tuple[Kind, str]:
    if text.startswith("{"):
        return _struct(text[1:])
    if text.startswith("["):
        return _array(text[1:])
    end = re.search(r"[;|}\]]", text)
    words = (text[: end.start()] if end else text).split()
    return _plain(words), text[end.start() :] if end else ""


def _struct(text: str) -> tuple[Kind, str]:
    elements = []
    while True:
        name, _, text = text.lstrip().partition(" ")
        kind, text = _choice(text)
        elements.append((name, kind))
        closing, text = text[:1], text[1:]
        if closing == "}":
            return Struct(tuple(elements)), text
        if closing != ";":
            raise LocalProtocolError(f"a structure is not closed after {name}")


def _array(text: str) -> tuple[Kind, str]:
    kind, text = _choice(text)
    bounds = re.match(r"\](\d*)\.\.(\d+)", text)
    if bounds is None or kind.shortest != kind.longest:
        raise LocalProtocolError("a list needs elements of a fixed size and a number of them")
    return Array(kind, int(bounds[1] or 0), int(bounds[2])), text[bounds.end() :]


def _plain(words: list[str]) -> Kind:
    first, rest = words[0], words[1:]
    if first in SIZES:
        return _number(first, rest)
    if first in MOMENTS:
        return Moment(*MOMENTS[first])
    if first == "raw":
        low, _, high = rest[0].partition("..")
        return Raw(int(low), int(high or low))
    if match := re.fullmatch(r"(code|map)(\d)", first):
        return Codes(int(match[2]), tuple(_code(word, match[1] == "map") for word in rest))
    raise LocalProtocolError(f"unknown type {first!r}")


def _code(word: str, numeric: bool) -> tuple[int, int, bool | float | str]:
    codes, _, text = word.partition("=")
    first, _, last = codes.partition("-")
    name: bool | float | str = float(text) if numeric else {"true": True, "false": False}.get(text, text)
    return int(first, 16), int(last or first, 16), name


def _number(first: str, words: list[str]) -> Number:
    size, signed = SIZES[first], first[0] == "s"
    low, high = (-(1 << 8 * size - 1), (1 << 8 * size - 1) - 1) if signed else (0, (1 << 8 * size) - 1)
    step, unit = 1.0, ""
    times: tuple[int, ...] = ()
    for word in words:
        if bounds := re.fullmatch(r"(-?\d+)\.\.(-?\d+)", word):
            low, high = int(bounds[1]), int(bounds[2])
        elif re.fullmatch(r"x[\d.]+", word):
            step = float(word[1:])
        elif word[0] == "*":
            times = tuple(int(epc, 16) for epc in word[1:].split(","))
        else:
            unit = word
    return Number(size, signed, low, high, step, unit, times)
