"""Generation of the source of a decoder.

`p` is the position in the text of bits `s`. Where lengths are fixed, the offset from `p` is known at generation time,
and fixed bits are collected (`pending`) and checked together with the next value. Where more than one event may occur,
`k` is the number of the event that occurred. A RationalNumber within a message is read by::

    n = s[p:p+41]                                                    # the longest one, or with bits of what follows
    v2, n = K3.get(n) or MK3(n) or LK3(n, s, b, p)                   # in the cache, made of known pieces, or read
    p += n
"""

from __future__ import annotations

from typing import NamedTuple

from protocols.exi.compact import Cuts
from protocols.exi.contexts import DecoderContext
from protocols.exi.grammar import Event, Grammar, State
from protocols.exi.lookups import (
    LARGEST_LOOKUP,
    count,
    finite_values,
    number_reader,
)
from protocols.exi.readers import content_reader, element_reader
from protocols.exi.schema import Field, Kind, Member, Simple
from protocols.exi.shape import (
    END,
    FINITE,
    NUMBERS,
    Numbering,
    compact_bits,
    empty_allowed,
    is_compact,
    readable,
    simple_of,
    slots,
    state_after,
    state_when_full,
    unrolled,
)

LARGEST_RECURRENT = 35  # bits; larger numbers rarely recur
EMPTY = END + 1  # the escape with which an empty value may begin


class Note(NamedTuple):
    """Description of one line of a compiled decoder: field, offset from `p`, and the bits that are looked up.

    `items` is the variable of the list that is being read; `width` is the number of bits looked up, `fixed` of them
    precede the value of type `simple`.
    """

    field: str
    offset: int
    items: str = ""
    width: int = 0
    fixed: int = 0
    simple: Simple | None = None


class Source:
    """Source of one decoder, with a note for each line (lines count from 1)."""

    def __init__(self, decoder: DecoderContext, grammar: Grammar, name: str, prefix: str = "") -> None:
        """`prefix` are fixed bits before a compact type."""
        self.notes: list[Note | None] = [None]
        self._decoder = decoder
        self._grammar = grammar
        self._name = name
        self._slots = slots(grammar)
        self._numbering = Numbering(self._slots)
        self._lines: list[str] = []
        self._offset = 0  # bits after p that were read already
        self._pending = prefix  # fixed bits that must follow, not checked yet
        self._field = ""
        self._items = ""  # the variable of the list whose items are being read
        self._variables = {field.name: f"v{i}" for i, field in enumerate(grammar.type.fields)}

    def write(self) -> str:
        """Return the source of the whole function."""
        kind, state, live = self._grammar.type, self._grammar.start, False
        self._line(f"def {self._name}(s, b, p):")
        for default, is_list in (("None", False), ("()", True)):
            absent = [self._variables[f.name] for f in kind.fields if not f.least and f.is_list is is_list]
            if absent:
                self._line(f" {' = '.join(absent)} = {default}")
        for slot in self._slots:
            state, live = self._slot(slot.fields, slot.mandatory, state, live)
        if kind.value is not None:
            self._value(kind.value, state, live)
        elif not live:
            if self._only(state):
                self._pending += self._only(state)
            else:
                self._choose(state, " ")
        self._field = ""
        self._check(" ")
        self._line(f" o = {self._name}_twin()")
        for field, variable in self._variables.items():
            self._line(f" o.{field} = {variable}")
        self._line(f" o.__class__ = {self._name}_class")
        self._line(f" return o, {self._at()}")
        return "\n".join(self._lines)

    # -- lines and positions

    def _line(self, text: str, width: int = 0, fixed: int = 0, simple: Simple | None = None) -> None:
        self._lines.append(text)
        self.notes.append(Note(self._field, self._offset, self._items, width, fixed, simple))

    def _at(self, extra: int = 0) -> str:
        """Return the present position, plus `extra`, as an expression."""
        total = self._offset + extra
        return f"p+{total}" if total else "p"

    def _check(self, indent: str) -> None:
        """Write the check of the pending fixed bits."""
        wanted, size = self._pending, len(self._pending)
        if not size:
            return
        test = f"s[{self._at()}] != '0'" if wanted == "0" else f"s[{self._at()}:{self._at(size)}] != {wanted!r}"
        self._line(f"{indent}if {test}: raise DecodeFault({self._at()}, 'undeclared content')")
        self._offset += size
        self._pending = ""

    def _advance(self, indent: str) -> None:
        """Write the assignment of the present position to `p`."""
        self._check(indent)
        if self._offset:
            self._line(f"{indent}p += {self._offset}")
            self._offset = 0

    def _only(self, state: State) -> str:
        """Return the event code if the state has exactly one production and that can be decoded."""
        codes = self._grammar.codes(state)
        ((code, production),) = list(codes.items())[:1]
        return code if len(codes) == 1 and readable(production) else ""

    def _choose(self, state: State, indent: str) -> None:
        """Write the look-up of the event code of a state; the event number goes to `k`."""
        self._check(indent)
        codes = self._grammar.codes(state)
        width = len(next(iter(codes)))
        meanings = {code: self._numbering.of(p) for code, p in codes.items() if readable(p)}
        if empty_allowed(self._grammar) and any(p.event is Event.TEXT for p in codes.values()):
            meanings[format(len(codes), f"0{width}b")] = EMPTY
        table = self._decoder.share("T", tuple(meanings.items()), lambda: meanings)
        self._line(f"{indent}k = {table}[s[{self._at()}:{self._at(width)}]]", width)
        self._offset += width
        self._advance(indent)

    # -- fields in order

    def _slot(self, fields: list[Field], mandatory: bool, state: State, live: bool) -> tuple[State, bool]:
        """Write the code that reads a field or a choice.

        `live` means that `k` is set; the second result says whether it is set afterwards.
        """
        first = fields[0]
        self._field = first.name
        if not live and mandatory and self._only(state):
            self._pending += self._only(state)
        elif not live:
            self._choose(state, " ")
        indent = " "
        if not mandatory:
            last = max(self._numbering.of(p) for p in self._grammar.productions(state) if p.field in fields)
            self._line(f" if k <= {last}:")
            indent = "  "
        if first.is_list:
            return self._list(first, state, indent)
        if len(fields) == 1 and len(first.members) == 1:
            self._element(first, first.members[0], indent)
        else:
            self._branches(fields, state, indent)
        after = state_after(self._grammar, state, first)
        self._field = first.name
        if not mandatory:
            self._choose(after, indent)
        return after, not mandatory

    def _branches(self, fields: list[Field], state: State, indent: str) -> None:
        """Write the branches by `k`: those of a choice, or the members of a substitution group."""
        self._advance(indent)
        word = "if"
        for p in self._grammar.productions(state):
            if p.field not in fields or p.field is None or p.member is None or p.member.abstract:
                continue
            self._field = p.field.name
            self._line(f"{indent}{word} k == {self._numbering.of(p)}:")
            self._element(p.field, p.member, indent + " ")
            self._advance(indent + " ")
            word = "elif"

    def _list(self, field: Field, state: State, indent: str) -> tuple[State, bool]:
        """Write the loop that reads items until the event code ends it or the list is full."""
        self._advance(indent)
        inside = state_after(self._grammar, state, field)
        limit = unrolled(self._grammar, inside, field)
        again = next((code for code, p in self._grammar.codes(inside).items() if p.field is field), "")
        variable, inner = self._variables[field.name], indent + " "
        self._line(f"{indent}{variable} = []")
        self._line(f"{indent}while True:")
        self._variables[field.name], self._items = "i", variable
        self._element(field, field.members[0], inner)
        self._advance(inner)
        self._variables[field.name], self._items = variable, ""
        self._field = field.name
        self._line(f"{inner}{variable}.append(i)")
        for length in self._decoder.divergences(self._grammar.type.cls, field):
            self._line(f"{inner}if len({variable}) == {length}: F.append(True)")
        if limit is not None:
            self._line(f"{inner}if len({variable}) == {limit}:")
            self._choose(state_when_full(inside), inner + " ")
            self._line(f"{inner} break")
        elif field.most is not None:
            self._line(
                f"{inner}if len({variable}) > {field.most}: raise DecodeFault(p, 'more than {field.most} items')"
            )
        if again:
            self._line(f"{inner}if s[p:p+{len(again)}] == {again!r}:")
            self._line(f"{inner} p += {len(again)}")
            self._line(f"{inner} continue")
        self._choose(inside, inner)
        self._line(f"{inner}break")
        self._line(f"{indent}{variable} = tuple({variable})")
        return inside, True

    # -- one element or attribute, from the end of its event code

    def _element(self, field: Field, member: Member, indent: str) -> None:
        variable = self._variables[field.name]
        if member.cls is not None:
            self._child(member.cls, variable, indent)
        elif field.attribute:
            self._advance(indent)
            key = (field.simple, field.qname)
            read = self._decoder.share("A", key, lambda: self._decoder.value_reader(field))
            self._line(f"{indent}{variable}, p = {read}(s, b, p)")
        else:
            self._simple(field, simple_of(field), variable, indent)

    def _child(self, cls: type[object], variable: str, indent: str) -> None:
        grammar = self._decoder.grammar(cls)
        if not is_compact(grammar) or compact_bits(grammar) is None:
            self._advance(indent)
            self._line(f"{indent}{variable}, p = {self._decoder.part(cls, item=bool(self._items))}(s, b, p)")
            return
        prefix, self._pending = self._pending, ""
        table, start = self._decoder.compact(cls, prefix), self._at()
        self._line(f"{indent}n = s[{start}:{self._at(Cuts(grammar, prefix).longest)}]")
        self._line(f"{indent}{variable}, n = {table}.get(n) or M{table}(n) or L{table}(n, s, b, {start})")
        self._line(f"{indent}p += n{f'+{self._offset}' if self._offset else ''}")
        self._offset = 0

    def _number(self, simple: Simple, variable: str, prefix: str, indent: str) -> None:
        """Write the look-up of a number by its bits, whose length the continuation bits show."""
        start = self._at()
        table = self._decoder.share("S", (simple, prefix), dict)
        known = self._decoder.scope[table]
        reader = self._decoder.share("L", (simple, prefix), lambda: number_reader(simple, prefix, known))
        if simple.high is not None and simple.high.bit_length() > LARGEST_RECURRENT:  # times and meter readings
            self._line(f"{indent}{variable}, p = {reader}('', s, b, {start})")
            self._offset = 0
            return
        groups = 1 if simple.high is not None and simple.high < 128 and (simple.low or 0) >= -128 else 3
        first = self._offset + len(prefix) + (simple.kind is Kind.SIGNED)
        ends = [f"p+{first + 8 * n + 1}" for n in range(1, groups + 1)]
        tests = [f" if s[p+{first + 8 * n}] == '0' else " for n in range(groups - 1)]
        self._line(f"{indent}q = {''.join(map(str.__add__, ends, [*tests, '']))}")
        self._line(f"{indent}n = s[{start}:q]")
        self._line(f"{indent}{variable} = {table}.get(n)")
        self._line(f"{indent}if {variable} is None: {variable}, p = {reader}(n, s, b, {start})")
        self._line(f"{indent}else: p = q")
        self._offset = 0

    def _simple(self, field: Field, simple: Simple, variable: str, indent: str) -> None:
        """Write the code that reads a simple element: fixed bits, characters event, value and end."""
        prefix = self._pending + "0"
        if simple.kind in FINITE and count(simple) <= LARGEST_LOOKUP:
            self._pending = ""
            width = len(prefix) + simple.width + 1
            table = self._decoder.share("T", (simple, prefix), lambda: finite_values(simple, prefix))
            self._line(f"{indent}{variable} = {table}[s[{self._at()}:{self._at(width)}]]", width, len(prefix), simple)
            self._offset += width
        elif simple.kind in NUMBERS:
            self._pending = ""
            self._number(simple, variable, prefix, indent)
        else:
            self._advance(indent)
            key = (simple, field.qname)
            read = self._decoder.share("E", key, lambda: element_reader(simple, self._decoder.value_reader(field)))
            self._line(f"{indent}{variable}, p = {read}(s, b, p)")

    def _value(self, field: Field, state: State, live: bool) -> None:
        """Write the code that reads the text of a type with simple content."""
        self._field = field.name
        self._advance(" ")
        simple, variable = simple_of(field), self._variables[field.name]
        key = (simple, self._grammar.type.cls)
        read = self._decoder.share("B", key, lambda: content_reader(self._decoder.value_reader(field)))
        if not live:
            self._choose(state, " ")
        if empty_allowed(self._grammar):
            self._line(f" if k == {EMPTY}:")
            self._line("  if s[p:p+3] != '000': raise DecodeFault(p, 'undeclared content instead of a value')")
            self._line(f"  {variable} = {('' if simple.kind is Kind.STRING else b'')!r}; p += 3")
            self._line(f" else: {variable}, p = {read}(s, b, p)")
        else:
            self._line(f" {variable}, p = {read}(s, b, p)")
