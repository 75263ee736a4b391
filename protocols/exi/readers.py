"""Readers of values from the text of bits, called by compiled decoders where a look-up is not sufficient.

All readers receive the text of the whole message `s` (header included), its bytes `b` where that is faster, and the
position `p`; they return the value and the position after it. Truncated text results in a short slice or an IndexError;
a length is never trusted before the bits are present.
"""

from __future__ import annotations

from collections.abc import Callable

from protocols.exi.schema import Kind, Simple
from protocols.exi.values import LARGEST_INTEGER_BITS, InvalidValue, check_integer, check_length

Reader = Callable[[str, bytes, int], tuple[object, int]]

LARGEST_GROUPS = LARGEST_INTEGER_BITS // 7 + 1


class DecodeFault(Exception):
    """The bits at `position` are not allowed there by the grammar."""

    def __init__(self, position: int, why: str) -> None:
        super().__init__(why)
        self.position = position
        self.why = why


class TableHit(Exception):
    """A string is given as an index into the string table, which standard decoders do not maintain."""


def read_unsigned(s: str, p: int) -> tuple[int, int]:
    """Read an Unsigned Integer of any length; superfluous groups are accepted, as EXIficient and libcbv2g do."""
    q = p
    while s[q] == "1":
        q += 8
        if q - p > 8 * LARGEST_GROUPS:
            raise DecodeFault(p, f"an integer of more than {LARGEST_INTEGER_BITS} bits")
    if len(s) < q + 8:
        raise IndexError
    if q - p == 8:
        return int(s[q + 1 : q + 8] + s[p + 1 : q], 2), q + 8
    return int("".join([s[i + 1 : i + 8] for i in range(q, p - 1, -8)]), 2), q + 8


def _end(s: str, p: int) -> int:
    """Return the position after the end event of a simple element."""
    if s[p] != "0":
        raise DecodeFault(p, "more content where a simple element ends")
    return p + 1


def reader(simple: Simple, hit: Callable[[str, int, int], tuple[str, int]]) -> Reader:
    """Return a reader of values of a simple type without their events. `hit` reads an index into the string tables."""
    if simple.kind is Kind.STRING:
        return lambda s, b, p: read_string(s, b, p, simple, hit)
    if simple.kind is Kind.BINARY:
        return lambda s, b, p: read_binary(s, b, p, simple)
    if simple.kind in (Kind.UNSIGNED, Kind.SIGNED):
        return _integer_reader(simple)
    return _n_bit_reader(simple)


def _integer_reader(simple: Simple) -> Reader:
    """Return a reader of an Unsigned Integer or Integer of any length, within the bounds of its type."""
    low, high = simple.low, simple.high
    if simple.kind is Kind.UNSIGNED:

        def unsigned(s: str, b: bytes, p: int) -> tuple[int, int]:
            value, q = read_unsigned(s, p)
            if (low is not None and value < low) or (high is not None and value > high):
                raise_out_of_range(p, simple, value)
            return value, q

        return unsigned

    def signed(s: str, b: bytes, p: int) -> tuple[int, int]:
        value, q = read_unsigned(s, p + 1)
        if s[p] == "1":
            value = -value - 1
        if (low is not None and value < low) or (high is not None and value > high):
            raise_out_of_range(p, simple, value)
        return value, q

    return signed


def _n_bit_reader(simple: Simple) -> Reader:
    """Return a reader of an enumeration, a boolean or an n-bit integer."""
    kind, low, high, width = simple.kind, simple.low, simple.high, simple.width
    values = list(simple.literals) if kind is Kind.ENUMERATION else [False, True] if kind is Kind.BOOLEAN else None

    def n_bit(s: str, b: bytes, p: int) -> tuple[object, int]:
        text = s[p : p + width]
        if len(text) < width:
            raise IndexError
        index = int(text, 2) if width else 0
        if values is None:
            value = index + (low or 0)
            if high is not None and value > high:
                raise_out_of_range(p, simple, value)
            return value, p + width
        if index >= len(values):
            raise DecodeFault(p, f"literal number {index} of an enumeration with {len(values)}")
        return values[index], p + width

    return n_bit


def raise_out_of_range(p: int, simple: Simple, value: int) -> None:
    """Raise the DecodeFault of a number that is out of range."""
    try:
        check_integer(simple, value)
    except InvalidValue as why:
        raise DecodeFault(p, str(why)) from None


def read_string(
    s: str, b: bytes, p: int, simple: Simple, hit: Callable[[str, int, int], tuple[str, int]]
) -> tuple[str, int]:
    """Read a string: number of code points + 2, then the code points; 0 and 1 are hits in the string table."""
    length, q = read_unsigned(s, p)
    if length < 2:
        value, q = hit(s, length, q)
        try:
            check_length(simple, len(value), "characters")
        except InvalidValue as why:
            raise DecodeFault(p, str(why)) from None
        return value, q
    length -= 2
    if (simple.low and length < simple.low) or (simple.high is not None and length > simple.high):
        try:
            check_length(simple, length, "characters")
        except InvalidValue as why:
            raise DecodeFault(p, str(why)) from None
    end = q + 8 * length
    if end > len(s):
        raise DecodeFault(p, f"a string of {length} characters, but the message ends before")
    raw = _bytes(b, q, end, length)
    if raw.isascii():
        return raw.decode("ascii"), end
    characters = []
    for _ in range(length):
        code, after = read_unsigned(s, q)
        if code > 0x10FFFF or 0xD800 <= code <= 0xDFFF:
            raise DecodeFault(q, f"code point {code:#x} is no character")
        characters.append(chr(code))
        q = after
    return "".join(characters), q


def read_binary(s: str, b: bytes, p: int, simple: Simple) -> tuple[bytes, int]:
    """Read a binary: its length, then its bytes."""
    length, q = read_unsigned(s, p)
    if (simple.low and length < simple.low) or (simple.high is not None and length > simple.high):
        try:
            check_length(simple, length, "bytes")
        except InvalidValue as why:
            raise DecodeFault(p, str(why)) from None
    end = q + 8 * length
    if end > len(s):
        raise DecodeFault(p, f"{length} bytes, but the message ends before")
    return _bytes(b, q, end, length), end


def _bytes(b: bytes, start: int, end: int, length: int) -> bytes:
    """Return the bits from `start` to `end` as bytes, independent of alignment."""
    if start & 7 == 0:
        return b[start >> 3 : end >> 3]
    window = int.from_bytes(b[start >> 3 : (end + 7) >> 3], "big") >> (-end & 7)
    return (window & ((1 << (8 * length)) - 1)).to_bytes(length, "big")


def element_reader(simple: Simple, read: Reader) -> Reader:
    """Return a reader of a simple element, from the end of its start event to the end of its end event.

    An empty value may be encoded by no characters at all: an undeclared end event (1, then 000), as EXIficient does.
    """
    if simple.kind in (Kind.STRING, Kind.BINARY):
        empty: object = "" if simple.kind is Kind.STRING else b""
        allowed = not simple.low

        def element(s: str, b: bytes, p: int) -> tuple[object, int]:
            if s[p] == "0":
                value, q = read(s, b, p + 1)
                return value, _end(s, q)
            if s[p + 1 : p + 4] != "000":
                raise DecodeFault(p, "undeclared content instead of a value")
            if not allowed:
                raise DecodeFault(p, "is empty, which its declaration does not allow")
            return empty, p + 4

        return element

    def plain(s: str, b: bytes, p: int) -> tuple[object, int]:
        if s[p] != "0":
            raise DecodeFault(p, "undeclared content instead of a value")
        value, q = read(s, b, p + 1)
        return value, _end(s, q)

    return plain


def content_reader(read: Reader) -> Reader:
    """Return a reader of a type's text after its event code: the value, then the end of the element."""

    def content(s: str, b: bytes, p: int) -> tuple[object, int]:
        value, q = read(s, b, p)
        return value, _end(s, q)

    return content
