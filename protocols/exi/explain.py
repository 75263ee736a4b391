"""Description of a message bit by bit, with the decisions of the grammar, for learning and for analysing faults.

    for step in explain(ISO20_DC, data):
        print(step.bit, step.bits, step.depth, step.text)

The walk uses the same grammars as the codecs, one event at a time, until the message ends or a fault occurs; the last
step then gives the reason. It reads what the standard decoders read; deviating forms of peers are reported as faults.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from protocols.exi.codec import Codec
from protocols.exi.fragment import UNTYPED, FragmentCodec, Root
from protocols.exi.grammar import Event, Production, State, grammar_of
from protocols.exi.plain import simple_to_plain
from protocols.exi.readers import DecodeFault, reader
from protocols.exi.schema import Kind, QName, Simple
from protocols.exi.shape import readable, simple_of
from protocols.exi.tables import StringTables, no_table

SHOWN_OPTIONS = 6  # names of productions listed before "..."


class Step(NamedTuple):
    """One step: bit offset, bits, depth in the message, and meaning."""

    bit: int
    bits: str
    depth: int
    text: str
    fault: bool = False


def explain(codec: Codec, data: bytes) -> Iterator[Step]:
    """Yield the steps of reading `data`; the last one is a fault if it is no message of the codec's schema."""
    walk = _Walk(codec, data)
    try:
        yield from walk.document()
    except DecodeFault as fault:
        yield Step(fault.position, walk.s[fault.position : fault.position + 8], 0, f"fault: {fault.why}", True)
    except IndexError:
        yield Step(len(walk.s), "", 0, "fault: the message ends here", True)


class _Walk:
    """Walk through one message; `_p` is the position."""

    def __init__(self, codec: Codec, data: bytes) -> None:
        self.s = format(int.from_bytes(data, "big"), f"0{8 * len(data)}b") if data else ""
        self._codec = codec
        self._data = data
        self._tables = StringTables()
        self._p = 0

    def _take(self, width: int) -> tuple[int, str]:
        """Return the next bits with their position."""
        start, bits = self._p, self.s[self._p : self._p + width]
        if len(bits) < width:
            raise IndexError
        self._p += width
        return start, bits

    def document(self) -> Iterator[Step]:
        bit, bits = self._take(8)
        if bits != "10000000":
            raise DecodeFault(bit, "the header is not 10000000")
        yield Step(bit, bits, 0, "header: EXI (10), no options follow (0), version 1 (00000)")
        if isinstance(self._codec, FragmentCodec):
            yield from self._fragment(self._codec)
        else:
            yield from self._root()
        rest = self.s[self._p :]
        if rest:
            spare = len(rest) >> 3
            text = "padding to the next byte" + (f" and {spare} spare bytes" if spare else "")
            yield Step(self._p, _shorten(rest), 0, text)

    def _root(self) -> Iterator[Step]:
        members = self._codec.schema.roots
        bit, bits = self._take(self._codec.root_width)
        index = int(bits, 2)
        member = members[index] if index < len(members) else None
        if member is None or member.cls is None or member.abstract:
            raise DecodeFault(bit, f"element number {index} cannot be a message")
        text = f"{member.qname.local} begins: number {index} of the {len(members)} elements of {self._codec.name}"
        yield Step(bit, bits, 0, f"{text}, in order of names")
        yield from self._part(member.cls, member.qname.local, 1)

    def _fragment(self, codec: FragmentCodec) -> Iterator[Step]:
        roots, width = codec.roots, codec.root_width
        bit, bits = self._take(width)
        index = int(bits, 2)
        if index >= len(roots):
            raise DecodeFault(bit, f"element number {index} of {len(roots)}: foreign content")
        root = roots[index]
        yield Step(bit, bits, 0, f"{root.qname.local} begins: number {index} of the {len(roots)} element names")
        if root.ambiguous:
            yield from self._relaxed(codec, root)
        elif isinstance(root.types[0], Simple):
            yield from self._simple_element(root.types[0], root.qname, 1)
        else:
            yield from self._part(root.types[0], root.qname.local, 1)
        bit, bits = self._take(width)
        if int(bits, 2) != len(roots) + 1:
            raise DecodeFault(bit, "the fragment does not end here")
        yield Step(bit, bits, 0, f"the fragment ends: number {len(roots) + 1}, after all names and the wildcard")

    def _relaxed(self, codec: FragmentCodec, root: Root) -> Iterator[Step]:
        attributes, elements = codec.attribute_names, len(codec.roots)
        while True:
            bit, bits = self._take(codec.start_width)
            code = int(bits, 2)
            if code < len(attributes):
                yield Step(bit, bits, 1, f"attribute {attributes[code].local} (relaxed grammar: the name is ambiguous)")
                yield self._value(UNTYPED, attributes[code], 2)
                continue
            if code == len(attributes) + elements + 3:
                yield Step(bit, bits, 1, "text follows, untyped (relaxed grammar)")
                yield self._value(UNTYPED, root.qname, 2)
                bit, bits = self._take(codec.content_width)
                code = int(bits, 2) + len(attributes) + 1
            if code != len(attributes) + elements + 2:
                raise DecodeFault(bit, "undeclared or foreign content")
            yield Step(bit, bits, 1, f"{root.qname.local} ends")
            return

    def _part(self, cls: type[object], name: str, depth: int) -> Iterator[Step]:
        """Yield the steps of an element of complex type, from the end of its start to its end."""
        grammar = grammar_of(self._codec.schema, cls)
        state: State | None = grammar.start
        while True:
            assert state is not None
            codes = grammar.codes(state)
            width = len(next(iter(codes)))
            bit, bits = self._take(width)
            production = codes.get(bits)
            if production is None and grammar.type.value is not None and self.s[self._p : self._p + 3] == "000":
                self._take(3)
                yield Step(bit, bits + "000", depth, f"escape, then undeclared end: {name} is empty and ends")
                return
            if production is None or not readable(production):
                raise DecodeFault(bit, "undeclared or foreign content")
            yield Step(bit, bits, depth - (production.event is Event.END), self._decision(production, codes, name))
            if production.event is Event.END:
                return
            yield from self._brought(production, depth + 1)
            state = production.after

    def _brought(self, production: Production, depth: int) -> Iterator[Step]:
        """Yield the steps of the content of an event: a value, or the inside of an element."""
        field, member = production.field, production.member
        assert field is not None
        if member is not None and member.cls is not None:
            yield from self._part(member.cls, member.qname.local, depth)
        elif production.event is Event.ELEMENT:
            yield from self._simple_element(simple_of(field), field.qname, depth)
        else:
            yield self._value(simple_of(field), field.qname, depth)

    def _decision(self, production: Production, codes: dict[str, Production], name: str) -> str:
        """Return the event that occurred and its alternatives."""
        chosen = _name(production, name)
        others = [_name(p, name) for p in codes.values()]
        if len(others) == 1:
            return f"{chosen} (the only event)"
        listed = ", ".join(f"{i} {other}" for i, other in enumerate(others[:SHOWN_OPTIONS]))
        more = ", ..." if len(others) > SHOWN_OPTIONS else ""
        return f"{chosen} ({listed}{more}; {len(others)} escape)"

    def _simple_element(self, simple: Simple, qname: QName, depth: int) -> Iterator[Step]:
        bit, bits = self._take(1)
        if bits == "1":
            _, rest = self._take(3)
            if rest != "000" or simple.kind not in (Kind.STRING, Kind.BINARY):
                raise DecodeFault(bit, "undeclared content instead of a value")
            yield Step(bit, bits + rest, depth, f"escape, then undeclared end: {qname.local} is empty and ends")
            return
        yield Step(bit, bits, depth, "characters follow")
        yield self._value(simple, qname, depth)
        bit, bits = self._take(1)
        if bits != "0":
            raise DecodeFault(bit, "more content where a simple element ends")
        yield Step(bit, bits, depth - 1, f"{qname.local} ends")

    def _value(self, simple: Simple, qname: QName, depth: int) -> Step:
        start = self._p
        is_string = simple.kind is Kind.STRING
        read = self._tables.reader(simple, qname) if is_string else reader(simple, no_table)
        value, self._p = read(self.s, self._data, start)
        bits = self.s[start : self._p]
        return Step(start, _grouped(simple, bits), depth, f"= {simple_to_plain(simple, value)!r} ({_kind(simple)})")


def _name(production: Production, name: str) -> str:
    if production.event is Event.END:
        return f"{name} ends"
    if production.event is Event.WILDCARD:
        return "any other element"
    if production.event is Event.TEXT:
        return "characters follow" if production.field is not None else "text"
    assert production.field is not None
    if production.event is Event.ATTRIBUTE:
        return f"attribute {production.field.name}"
    return f"{production.member.qname.local if production.member else production.field.name} begins"


def _kind(simple: Simple) -> str:
    """Return the representation of a value."""
    if simple.kind is Kind.ENUMERATION:
        return f"place among {len(simple.literals)} literals, {simple.width} bits"
    if simple.kind is Kind.N_BIT:
        shift = f"value - {simple.low}" if (simple.low or 0) >= 0 else f"value + {-(simple.low or 0)}"
        return f"{simple.width} bits" if not simple.low else f"{simple.width} bits of {shift}"
    return {
        Kind.BOOLEAN: "boolean",
        Kind.UNSIGNED: "groups of seven bits, least significant first",
        Kind.SIGNED: "sign, then groups of seven bits",
        Kind.STRING: "length + 2, then characters",
        Kind.BINARY: "length, then bytes",
    }[simple.kind]


def _grouped(simple: Simple, bits: str) -> str:
    """Return bits with blanks between their groups."""
    if simple.kind is Kind.SIGNED:
        return f"{bits[0]} {_shorten(bits[1:])}"
    return _shorten(bits)


def _shorten(bits: str) -> str:
    groups = [bits[i : i + 8] for i in range(0, len(bits), 8)]
    if len(groups) <= 8:
        return " ".join(groups)
    return " ".join([*groups[:5], f"... {len(groups) - 7} more ...", *groups[-2:]])
