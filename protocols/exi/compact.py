"""Decoding of a compact type (`shape.is_compact`), such as RationalNumber, by look-ups of its bits.

What is looked up has the length of the longest object of the type. A shorter one is followed by bits of what comes
next, which recur, too, and need no test for the length. New bits are cut into three: the head, up to the first
continuation bit of the number, the lowest seven bits of the number, and the tail (of two groups, or of more).
RationalNumber::

    try:
     v0, low, tails = H4[key[:16]]
     tail = key[23:33] if key[23] == '0' else key[23:]
     rest, n = tails[tail]
     v1 = low[key[16:23]] + rest
    except LookupError: return None

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

# By head: the fields before the number, the table of the lowest group, and the tails.
Heads = dict[str, tuple[object, ...]]
# By tail: what the lowest group is added to, the bits after the head, and the fields after the number.
Tails = dict[str, tuple[object, ...]]


class Cuts:
    """Positions in the bits of a compact type, `prefix` fixed ones before it included: the end of the head and of the
    lowest group, the end of a number of two groups with all that follows, and the end of the longest one."""

    def __init__(self, grammar: Grammar, prefix: str) -> None:
        bits = compact_bits(grammar)
        assert bits is not None
        before, after, groups = bits
        self.head = len(prefix) + before + 1
        self.lowest = self.head + 7
        self.two = self.lowest + 8 + after
        self.longest = len(prefix) + before + 8 * groups + after


def write(grammar: Grammar, name: str, table: str, heads: str, prefix: str) -> str:
    """Return the source of the function `name`, which returns an object and its bits, and adds both to `table`; it
    returns None where `heads` does not suffice."""
    number, cuts = _number(grammar), Cuts(grammar, prefix)
    before = "".join(f"v{i}, " for i in range(number))
    after = "".join(f", v{i}" for i in range(number + 1, len(grammar.type.fields)))
    lines = [
        f"def {name}(key):",
        " try:",
        f"  {before}low, tails = {heads}[key[:{cuts.head}]]",
        f"  tail = key[{cuts.lowest}:{cuts.two}] if key[{cuts.lowest}] == '0' else key[{cuts.lowest}:]",
        f"  rest, n{after} = tails[tail]",
        f"  v{number} = low[key[{cuts.head}:{cuts.lowest}]] + rest",
        " except LookupError: return None",
        f" o = {name}_twin()",
        *[f" o.{field.name} = v{i}" for i, field in enumerate(grammar.type.fields)],
        f" o.__class__ = {name}_class",
        f" if len({table}) >= {CACHED_PARTS}: {table}.clear()",
        f" {table}[key] = found = o, n+{cuts.head}",
        " return found",
    ]
    return "\n".join(lines)


def learning(exact: Reader, grammar: Grammar, heads: Heads, tables: dict[str, Tails], prefix: str) -> KeyReader:
    """Return a reader of any bits by the exact decoder, which returns an object and its bits, and adds their pieces to
    `heads`, and to `tables` by the bits of the sign and the first continuation.

    What is valid before or after a number is so with every other one, if that is within the limits of its type.
    """
    names = [field.name for field in grammar.type.fields]
    number, cuts = _number(grammar), Cuts(grammar, prefix)
    simple = simple_of(grammar.type.fields[number])
    smallest, largest = simple.low or 0, simple.high or 0
    signed = simple.kind is Kind.SIGNED

    def read(key: str, s: str, b: bytes, p: int) -> tuple[object, int]:
        part, q = exact(s, b, p)
        values = [getattr(part, name) for name in names]
        low = LOWEST_GROUP_OF_NEGATIVE if signed and key[cuts.head - 2] == "1" else LOWEST_GROUP
        rest = values[number] - low[key[cuts.head : cuts.lowest]]
        if q - p <= len(key) and all(smallest <= rest + low[end] <= largest for end in ("0000000", "1111111")):
            tails = tables.setdefault(key[cuts.head - 1 - signed : cuts.head], {})
            for table in (tails, heads):
                if len(table) >= CACHED_PIECES:
                    table.clear()
            tail = key[cuts.lowest : cuts.two] if key[cuts.lowest] == "0" else key[cuts.lowest :]
            tails[tail] = (rest, q - p - cuts.head, *values[number + 1 :])
            heads[key[: cuts.head]] = (*values[:number], low, tails)
        return part, q - p

    return read


def _number(grammar: Grammar) -> int:
    """Return the position of the only number of variable length among the fields."""
    return next(i for i, field in enumerate(grammar.type.fields) if simple_of(field).kind in NUMBERS)
