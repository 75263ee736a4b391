"""Encoding of values as text of bits: one coder per simple type.

Bits are handled as text of `0` and `1`, because CPython slices, compares, joins and hashes short strings faster than it
shifts integers, and converts between such text and bytes in linear time. A coder is a bounded cache from values to
text, so a repeated value costs one look-up; a value outside the declared limits is never cached. Numbers that equal an
integer are accepted as that integer.

Sources: EXI 1.0 §7.1.1 binary, §7.1.2 boolean, §7.1.5 integer, §7.1.6 unsigned integer, §7.1.9 n-bit unsigned integer,
§7.1.10 string, §7.2 enumeration.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

from protocols.exi.schema import Kind, Simple

CACHED_VALUES = 2048  # entries of a coder or cache, which is then cleared
CACHED_LENGTH = 64  # longest string or binary that is cached
LARGEST_INTEGER_BITS = 4096  # `xs:integer` is unbounded; serial numbers have 160 bits

LAST = tuple(f"{i:08b}" for i in range(128))  # the last group of an Unsigned Integer
MORE = tuple(f"{i + 128:08b}" for i in range(128))  # a group followed by others
LARGEST_IN_BLOCKS = 65535


class InvalidValue(Exception):
    """A value does not fit its declaration; the text gives the reason without a path."""


def unsigned_bits(value: int) -> str:
    """Return an Unsigned Integer: groups of seven bits, least significant first, each after a continuation bit."""
    if value < 128:
        return LAST[value]
    if value < 16384:
        return MORE[value & 127] + LAST[value >> 7]
    groups = []
    while value >= 128:
        groups.append(MORE[value & 127])
        value >>= 7
    return "".join(groups) + LAST[value]


class Blocks(dict[int, tuple[tuple[str, ...], str]]):
    """Bits of numbers of variable length up to 16 bits, in blocks of 128 by `number >> 7`: the sign with the lowest
    group by `number & 127`, and the groups after it with the bits `end`.

    A KeyError says that numbers of a block may be beyond the limits.
    """

    def __init__(self, simple: Simple, end: str) -> None:
        super().__init__()
        self._end = end
        self._signed = simple.kind is Kind.SIGNED
        self._low = max(simple.low or 0, -LARGEST_IN_BLOCKS - 1)
        self._high = min(simple.high or 0, LARGEST_IN_BLOCKS)

    def __missing__(self, block: int) -> tuple[tuple[str, ...], str]:
        if not self._low <= block << 7 <= (block << 7) + 127 <= self._high:
            raise KeyError(block)
        upper = ~block if block < 0 else block
        sign = str(int(block < 0)) if self._signed else ""
        found = self[block] = _lowest_groups(sign, upper > 0), f"{unsigned_bits(upper) if upper else ''}{self._end}"
        return found


@cache
def _lowest_groups(sign: str, more: bool) -> tuple[str, ...]:
    """Return the sign with each group, by the lowest seven bits of the number, of which a negative one is the
    complement."""
    groups = [f"{sign}{bits}" for bits in (MORE if more else LAST)]
    return tuple(reversed(groups) if sign == "1" else groups)


def bytes_bits(data: bytes) -> str:
    """Return bytes as text of bits."""
    return format(int.from_bytes(data, "big"), f"0{8 * len(data)}b") if data else ""


def characters_bits(text: str) -> str:
    """Return each code point as an Unsigned Integer."""
    return bytes_bits(text.encode()) if text.isascii() else "".join([unsigned_bits(ord(c)) for c in text])


class Coder(dict[object, str]):
    """Text of bits by value, for one simple type. Looking up a value that does not fit raises InvalidValue (or
    TypeError)."""

    def __init__(self, simple: Simple) -> None:
        super().__init__()
        self.bits = _MAKERS[simple.kind](simple)
        if simple.kind is Kind.ENUMERATION:
            self.update((literal, format(i, f"0{simple.width}b")) for i, literal in enumerate(simple.literals))
        elif simple.kind is Kind.BOOLEAN:
            self.update({False: "0", True: "1"})

    def __missing__(self, value: object) -> str:
        bits = self.bits(value)
        if not isinstance(value, str | bytes) or len(value) <= CACHED_LENGTH:
            if len(self) >= CACHED_VALUES:
                self.clear()
            self[value] = bits
        return bits


def check_integer(simple: Simple, value: Any) -> int:
    """Return `value` as an integer within the limits. Raises InvalidValue."""
    try:
        number = int(value)
    except (TypeError, ValueError, OverflowError):
        raise InvalidValue(f"{value!r} is not an integer") from None
    if isinstance(value, str | bytes) or number != value:
        raise InvalidValue(f"{value!r} is not an integer")
    if simple.low is not None and number < simple.low:
        raise InvalidValue(f"{number} is less than the minimum {simple.low}")
    if simple.high is not None and number > simple.high:
        raise InvalidValue(f"{number} is more than the maximum {simple.high}")
    if number.bit_length() > LARGEST_INTEGER_BITS:
        raise InvalidValue(f"an integer of {number.bit_length()} bits exceeds the supported {LARGEST_INTEGER_BITS}")
    return number


def check_length(simple: Simple, length: int, unit: str) -> None:
    """Raise InvalidValue if a length is outside the limits."""
    low, high = simple.low or 0, simple.high
    if low <= length and (high is None or length <= high):
        return
    if low == high:
        raise InvalidValue(f"has {length} {unit}, exactly {low} are needed")
    if length < low:
        raise InvalidValue(f"has {length} {unit}, at least {low} are needed")
    raise InvalidValue(f"has {length} {unit}, at most {high} are allowed")


# --------------------------------------------------------------------------------------- one encoding function per kind


def _n_bit(simple: Simple) -> Callable[[object], str]:
    low, pattern = simple.low or 0, f"0{simple.width}b"
    return lambda value: format(check_integer(simple, value) - low, pattern)


def _number(simple: Simple) -> Callable[[object], str]:
    signed = simple.kind is Kind.SIGNED
    low, high = simple.low if signed else simple.low or 0, simple.high

    def bits(value: object) -> str:
        if type(value) is not int or low is None or high is None or not low <= value <= high:
            value = check_integer(simple, value)
        if not signed:
            return unsigned_bits(value)
        return f"1{unsigned_bits(~value)}" if value < 0 else f"0{unsigned_bits(value)}"

    return bits


def _string(simple: Simple) -> Callable[[object], str]:
    def bits(value: object) -> str:
        if not isinstance(value, str):
            raise InvalidValue(f"{value!r} is not a string")
        check_length(simple, len(value), "characters")
        if not value.isascii() and any("\ud800" <= c <= "\udfff" for c in value):
            raise InvalidValue("contains an unpaired surrogate")
        return unsigned_bits(len(value) + 2) + characters_bits(value)

    return bits


def _binary(simple: Simple) -> Callable[[object], str]:
    def bits(value: object) -> str:
        if not isinstance(value, bytes):
            raise InvalidValue(f"{value!r} is not bytes")
        check_length(simple, len(value), "bytes")
        return unsigned_bits(len(value)) + bytes_bits(value)

    return bits


def _enumeration(simple: Simple) -> Callable[[object], str]:
    def bits(value: object) -> str:
        raise InvalidValue(f"{value!r} is none of {', '.join(str(literal.value) for literal in simple.literals)}")

    return bits


def _boolean(simple: Simple) -> Callable[[object], str]:
    def bits(value: object) -> str:
        raise InvalidValue(f"{value!r} is not a boolean")

    return bits


_MAKERS = {
    Kind.BOOLEAN: _boolean,
    Kind.ENUMERATION: _enumeration,
    Kind.N_BIT: _n_bit,
    Kind.UNSIGNED: _number,
    Kind.SIGNED: _number,
    Kind.STRING: _string,
    Kind.BINARY: _binary,
}
