"""Decoding of a compact type (`shape.is_compact`), such as RationalNumber, by look-ups of its bits.

What is looked up has the length of the longest object of the type. A shorter one is followed by bits of what comes
next, which recur, too, and need no test for the length. New bits are cut into three: the head, up to the first
continuation bit of the number, the lowest seven bits of the number, and the tail. RationalNumber::

    try:
     v0, low, tail = H4[key[:16]]
     rest, n = tail[key[23:]]
     v1 = low[key[16:23]] + rest
    except KeyError: return None

Pieces that did not occur yet, or are not valid, are left to the exact decoder, from which the tables are filled.
"""

from __future__ import annotations

from protocols.exi.grammar import Grammar
from protocols.exi.lookups import KeyReader
from protocols.exi.readers import Reader
from protocols.exi.schema import Kind
from protocols.exi.shape import NUMBERS, compact_bits, simple_of

CACHED_PARTS = 256  # more of them would be slower: few numbers recur, and those that do not are in the way
CACHED_PIECES = 1024  # of each kind
LOWEST_GROUP = {f"{i:07b}": i for i in range(128)}
LOWEST_GROUP_OF_NEGATIVE = {f"{i:07b}": ~i for i in range(128)}

Heads = dict[
    str, tuple[object, ...]
]  # by head: the fields before the number, the table of the lowest group, and the tails
Tails = dict[
    str, tuple[object, ...]
]  # by tail: what the lowest group is added to, the object's bits, and the fields after


def longest(grammar: Grammar, prefix: str) -> int:
    """Return the bits that are looked up, after and with the fixed bits `prefix`."""
    before, after, groups = _bits(grammar)
    return len(prefix) + before + 8 * groups + after


def write(grammar: Grammar, name: str, table: str, heads: str, prefix: str) -> str:
    """Return the source of the function `name`, which returns an object and its bits, and adds both to `table`; it
    returns None where `heads` does not suffice."""
    number, size = _number(grammar), _head_size(grammar, prefix)
    before = "".join(f"v{i}, " for i in range(number))
    after = "".join(f", v{i}" for i in range(number + 1, len(grammar.type.fields)))
    lines = [
        f"def {name}(key):",
        " try:",
        f"  {before}low, tail = {heads}[key[:{size}]]",
        f"  rest, n{after} = tail[key[{size + 7}:]]",
        f"  v{number} = low[key[{size}:{size + 7}]] + rest",
        " except KeyError: return None",
        f" o = {name}_twin()",
        *[f" o.{field.name} = v{i}" for i, field in enumerate(grammar.type.fields)],
        f" o.__class__ = {name}_class",
        f" if len({table}) >= {CACHED_PARTS}: {table}.clear()",
        f" {table}[key] = found = o, n",
        " return found",
    ]
    return "\n".join(lines)


def learning(exact: Reader, grammar: Grammar, heads: Heads, prefix: str) -> KeyReader:
    """Return a reader of any bits by the exact decoder, which adds their pieces to `heads`; it returns an object and
    its bits.

    What is valid before or after a number is so with every other one, if that is within the limits of its type.
    """
    names = [field.name for field in grammar.type.fields]
    position, size = _number(grammar), _head_size(grammar, prefix)
    simple = simple_of(grammar.type.fields[position])
    smallest, largest = simple.low or 0, simple.high or 0
    signed = simple.kind is Kind.SIGNED
    tables: dict[str, Tails] = {}  # by sign and first continuation bit

    def read(key: str, s: str, b: bytes, p: int) -> tuple[object, int]:
        part, q = exact(s, b, p)
        values = [getattr(part, name) for name in names]
        low = LOWEST_GROUP_OF_NEGATIVE if signed and key[size - 2] == "1" else LOWEST_GROUP
        rest = values[position] - low[key[size : size + 7]]
        if q - p <= len(key) and all(smallest <= rest + low[end] <= largest for end in ("0000000", "1111111")):
            tails = tables.setdefault(key[size - 1 - signed : size], {})
            for table in (tails, heads):
                if len(table) >= CACHED_PIECES:
                    table.clear()
            tails[key[size + 7 :]] = (rest, q - p, *values[position + 1 :])
            heads[key[:size]] = (*values[:position], low, tails)
        return part, q - p

    return read


def _number(grammar: Grammar) -> int:
    """Return the position of the only number of variable length among the fields."""
    return next(i for i, field in enumerate(grammar.type.fields) if simple_of(field).kind in NUMBERS)


def _head_size(grammar: Grammar, prefix: str) -> int:
    return len(prefix) + _bits(grammar)[0] + 1


def _bits(grammar: Grammar) -> tuple[int, int, int]:
    bits = compact_bits(grammar)
    assert bits is not None
    return bits
