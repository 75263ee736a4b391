"""Generation of the source of a decoder of a compact type (`shape.is_compact`), such as RationalNumber, from its bits.

The bits are converted to one number, from which masks and shifts take the fields. Whatever does not fit is read again
by the exact decoder, which finds the fault, or a number with more groups than it needs. RationalNumber, two groups::

    if n == 33:
     if w & 0x1c0380103 != 0x2000: return X4(s, b, p)      # all fixed bits, continuation bits included
     v0 = E5[w >> 22 & 0xff]
     v1 = w >> 10 & 0x7f | (w >> 2 & 0x7f) << 7
     if w & 0x40000: v1 = ~v1
"""

from __future__ import annotations

from functools import partial

from protocols.exi.contexts import DecoderContext
from protocols.exi.grammar import Grammar
from protocols.exi.lookups import count, finite_list
from protocols.exi.schema import Kind, Simple
from protocols.exi.shape import FINITE, compact_bits, simple_of

CACHED_PARTS = 256  # more of them would be slower: few numbers recur, and those that do not are in the way
VALUE = "."  # in a pattern: a bit of a value


def write(decoder: DecoderContext, grammar: Grammar, name: str, table: str, prefix: str) -> str:
    """Return the source of the function `name`, which adds what it reads to `table`."""
    bits = compact_bits(grammar)
    assert bits is not None
    exact = f"return X{table}(s, b, p)"
    lines = [f"def {name}(key, s, b, p):"]
    if bits[2] == 1:  # else the look-up has shown that there are bits
        lines.append(f" if not key: {exact}")
    lines += [" n = len(key)", " w = int(key, 2)"]
    for position, groups in enumerate(sorted(range(1, bits[2] + 1), key=lambda groups: groups == 1)):
        pattern = _pattern(grammar, prefix, groups)
        fixed = "".join("0" if bit == VALUE else "1" for bit in pattern)
        wanted = int(pattern.replace(VALUE, "0"), 2)
        lines.append(f" {'el' if position else ''}if n == {len(pattern)}:")
        lines.append(f"  if w & {int(fixed, 2):#x} != {wanted:#x}: {exact}")
        lines += [f"  {line}" for line in _Fields(decoder, grammar, prefix, groups, exact).lines]
    lines += [f" else: {exact}", f" o = N({name}_twin)"]
    lines += [f" o.{field.name} = v{i}" for i, field in enumerate(grammar.type.fields)]
    lines += [f" o.__class__ = {name}_class", f" if len({table}) >= {CACHED_PARTS}: {table}.clear()"]
    return "\n".join([*lines, f" {table}[key] = o", " return o, p+n"])


def _pattern(grammar: Grammar, prefix: str, groups: int) -> str:
    """Return the bits of the type whose number has so many groups: fixed ones, and `VALUE`."""
    found = prefix
    for simple in map(simple_of, grammar.type.fields):
        if simple.kind in FINITE:
            value = VALUE * simple.width
        else:
            more = f"1{VALUE * 7}" * (groups - 1)
            value = f"{VALUE * (simple.kind is Kind.SIGNED)}{more}0{VALUE * 7}"
        found += f"00{value}0"
    return f"{found}0"


class _Fields:
    """Lines that take the fields from `w`, whose last bits are read first."""

    def __init__(self, decoder: DecoderContext, grammar: Grammar, prefix: str, groups: int, exact: str) -> None:
        self.lines: list[str] = []
        self._left = len(_pattern(grammar, prefix, groups)) - len(prefix)  # bits that follow
        for i, simple in enumerate(map(simple_of, grammar.type.fields)):
            self._left -= 2
            if simple.kind in FINITE:
                self._finite(f"v{i}", simple, decoder, exact)
            else:
                self._number(f"v{i}", simple, groups, exact)
            self._left -= 1

    def _take(self, width: int) -> str:
        self._left -= width
        return f"w >> {self._left} & {(1 << width) - 1:#x}"

    def _finite(self, variable: str, simple: Simple, decoder: DecoderContext, exact: str) -> None:
        values = decoder.share("E", (simple, "values"), partial(finite_list, simple))
        bits = self._take(simple.width)
        if count(simple) < 1 << simple.width:
            self.lines += [f"{variable} = {bits}", f"if {variable} >= {count(simple)}: {exact}"]
            bits = variable
        self.lines.append(f"{variable} = {values}[{bits}]")

    def _number(self, variable: str, simple: Simple, groups: int, exact: str) -> None:
        signed = simple.kind is Kind.SIGNED
        self._left -= signed
        sign, taken = 1 << self._left, []
        for group in range(groups):
            self._left -= 1
            taken.append(f"({self._take(7)}) << {7 * group}" if group else self._take(7))
        self.lines.append(f"{variable} = {' | '.join(taken)}")
        if signed:
            self.lines.append(f"if w & {sign:#x}: {variable} = ~{variable}")
        low, high, largest = simple.low or 0, simple.high or 0, (1 << 7 * groups) - 1
        if largest > high or low > 0 or (signed and ~largest < low):
            self.lines.append(f"if not {low} <= {variable} <= {high}: {exact}")
