"""Look-up tables of compiled decoders from slices of bits to values, and the readers that fill them.

A key holds a value's bits together with the fixed bits around it, so that one look-up checks and converts at once. Keys
of numbers and of compact types are delimited by the continuation bits; a missing key is read in full and, within
bounds, added to the table.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from protocols.exi.readers import DecodeFault, Reader, raise_out_of_range, read_unsigned
from protocols.exi.schema import Kind, Simple
from protocols.exi.values import LAST

KeyReader = Callable[[str, str, bytes, int], tuple[object, int]]  # a `Reader` that also gets the key that is missing

LARGEST_LOOKUP = 256  # values of an n-bit integer in a complete table; larger types are computed
REMEMBERED_BITS = 40  # bits; numbers of more than three groups rarely recur
REMEMBERED_NUMBERS = 768  # for each kind of field; those of one group are always remembered
REMEMBERED_BYTES = 48  # length up to which strings and binaries are cached
REMEMBERED_VALUES = 256
LATEST_PARTS = 4  # of one type: those of so many sessions
REMEMBERED_PARTS = 1024  # of one type and length: a schedule has an entry for each of some hundred intervals
REMEMBERED_LENGTHS = 4  # of the parts of one type; the numbers in a part change its length rarely

# Bits of a whole string (in ASCII) or binary, by the bits of its length.
STRING_SIZES = {LAST[length + 2]: 8 + 8 * length for length in range(REMEMBERED_BYTES + 1)}
BINARY_SIZES = {LAST[length]: 8 + 8 * length for length in range(REMEMBERED_BYTES + 1)}


def count(simple: Simple) -> int:
    """Return the number of values of a type of few bits."""
    if simple.kind is Kind.ENUMERATION:
        return len(simple.literals)
    return (simple.high or 0) - (simple.low or 0) + 1


def finite_values(simple: Simple, prefix: str) -> dict[str, object]:
    """Return all values of a type of few bits, by their bits."""
    width, values = simple.width, finite_list(simple)
    if not width:
        return {f"{prefix}0": values[0]}
    return {f"{prefix}{i:0{width}b}0": value for i, value in enumerate(values)}


def finite_list(simple: Simple) -> Sequence[object]:
    """Return all values of a type of few bits, in order."""
    if simple.kind is Kind.ENUMERATION:
        return simple.literals
    low = simple.low or 0
    return (False, True) if simple.kind is Kind.BOOLEAN else tuple(range(low, low + count(simple)))


def number_reader(simple: Simple, prefix: str, known: dict[str, int]) -> KeyReader:
    """Return a reader of a number with the fixed bits around it, for keys missing in `known`."""
    size, low, high = len(prefix), simple.low, simple.high
    signed = simple.kind is Kind.SIGNED
    start = size + signed
    shortest = start + 9
    upper_groups: dict[str, int] = {}  # of numbers of five groups: those of a time change every four hours

    def read(key: str, s: str, b: bytes, p: int) -> tuple[int, int]:
        if s[p : p + size] != prefix:
            raise DecodeFault(p, "undeclared content instead of a value")
        q = p + start
        if s[q] == "1" and s[q + 8] == "0":
            value, q = int(s[q + 9 : q + 16] + s[q + 1 : q + 8], 2), q + 16
        elif s[q] == "1" and (upper := upper_groups.get(s[q + 16 : q + 40])) is not None:
            value, q = upper | int(s[q + 9 : q + 16] + s[q + 1 : q + 8], 2), q + 40
        else:
            value, q = read_unsigned(s, q)
            if q - p - start == 40:
                if len(upper_groups) >= REMEMBERED_VALUES:
                    upper_groups.clear()
                upper_groups[s[q - 24 : q]] = value >> 14 << 14
        if signed and s[p + size] == "1":
            value = -value - 1
        if (low is not None and value < low) or (high is not None and value > high):
            raise_out_of_range(p + size, simple, value)
        if s[q] != "0":
            raise DecodeFault(q, "more content where a simple element ends")
        q += 1
        if q - p == shortest or (q - p < REMEMBERED_BITS and len(known) < REMEMBERED_NUMBERS):
            known[s[p:q]] = value
        return value, q

    return read


def latest(decode: Callable[[], Reader], absent: Sequence[str]) -> Reader:
    """Return a reader of a part of a message that is compared with the latest parts of its type: headers and the
    limits in charge loops recur as a whole. Parts that have one of the fields `absent` are not remembered.

    No part begins with another complete part of its type, so the bits of a part that was read once mean the same
    again. `decode` returns the reader of the part, which is compiled then.
    """
    function: list[Reader] = []
    newest: list[tuple[str, object]] = []

    def read(s: str, b: bytes, p: int) -> tuple[object, int]:
        for bits, part in newest:
            if s.startswith(bits, p):
                return part, p + len(bits)
        if not function:
            function.append(decode())
        part, q = function[0](s, b, p)
        if all(getattr(part, name) is None for name in absent):
            newest.insert(0, (s[p:q], part))
            del newest[LATEST_PARTS:]
        return part, q

    return read


def repeated(decode: Callable[[], Reader], absent: Sequence[str]) -> Reader:
    """Return a caching reader of the items of a list, of which many differ; else as `latest`."""
    function: list[Reader] = []
    newest: list[tuple[int, dict[str, object]]] = []  # length in bits, and the parts of this length by their bits
    tables: dict[int, dict[str, object]] = {}  # the same by length

    def read(s: str, b: bytes, p: int) -> tuple[object, int]:
        for length, known in newest:
            part = known.get(s[p : p + length])
            if part is not None:
                return part, p + length
        if not function:
            function.append(decode())
        part, q = function[0](s, b, p)
        if any(getattr(part, name) is not None for name in absent):
            return part, q
        table = tables.get(q - p)
        if table is None:
            table = tables[q - p] = {}
            newest.insert(0, (q - p, table))
            for length, _ in newest[REMEMBERED_LENGTHS:]:
                del tables[length]
            del newest[REMEMBERED_LENGTHS:]
        elif len(table) >= REMEMBERED_PARTS:
            table.clear()
        table[s[p:q]] = part
        return part, q

    return read


def remembered(read: Reader, kind: Kind) -> Reader:
    """Return a caching reader of strings or binaries; short ones recur: identifiers, algorithms, sessions."""
    sizes = STRING_SIZES if kind is Kind.STRING else BINARY_SIZES
    known: dict[str, object] = {}

    def again(s: str, b: bytes, p: int) -> tuple[object, int]:
        size = sizes.get(s[p : p + 8])
        if size is not None:
            value = known.get(s[p : p + size])
            if value is not None:
                return value, p + size
        value, q = read(s, b, p)
        if q - p == size:  # differs for characters beyond ASCII
            if len(known) >= REMEMBERED_VALUES:
                known.clear()
            known[s[p:q]] = value
        return value, q

    return again
