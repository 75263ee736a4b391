"""Types whose particles repeat or form groups (KeyInfo, X509Data ...), read and written one event at a time.

All of them belong to XML Signature and do not occur in charging messages.
"""

from __future__ import annotations

from protocols.exi.contexts import DecoderContext, EncoderContext
from protocols.exi.grammar import Event, Grammar, State
from protocols.exi.readers import DecodeFault, element_reader
from protocols.exi.schema import Field, Member
from protocols.exi.shape import readable
from protocols.exi.values import InvalidValue


def read(grammar: Grammar, decoder: DecoderContext, s: str, b: bytes, p: int) -> tuple[object, int]:
    """Return the part whose start event ends at `p`, and the position after its end event."""
    found: dict[str, object] = {}
    lists: dict[str, list[object]] = {}
    state: State | None = grammar.start
    while True:
        assert state is not None
        codes = grammar.codes(state)
        width = len(next(iter(codes)))
        bits = s[p : p + width]
        if len(bits) < width:
            raise IndexError
        production = codes.get(bits)
        if production is None or not readable(production):
            raise DecodeFault(p, "undeclared or foreign content")
        p += width
        if production.event is Event.END:
            return grammar.type.cls(**found, **{name: tuple(items) for name, items in lists.items()}), p
        field = production.field
        assert field is not None
        value, p = _read_one(field, production.member, decoder, s, b, p)
        if field.is_list:
            lists.setdefault(field.name, []).append(value)
        else:
            found[field.name] = value
        state = production.after


def _read_one(
    field: Field, member: Member | None, decoder: DecoderContext, s: str, b: bytes, p: int
) -> tuple[object, int]:
    if member is not None and member.cls is not None:
        return decoder.function(member.cls)(s, b, p)
    read_value = decoder.value_reader(field)
    if field.attribute:
        return read_value(s, b, p)
    assert field.simple is not None
    return element_reader(field.simple, read_value)(s, b, p)


def write(grammar: Grammar, part: object, encoder: EncoderContext) -> str:
    """Return the bits of a part, from the end of its start event to its end event."""
    if part.__class__ is not grammar.type.cls:
        raise InvalidValue(f"{part!r} is not a {grammar.type.cls.__name__}")
    out: list[str] = []
    state: State | None = grammar.start
    for field in (*grammar.type.attributes, *grammar.type.elements):
        value = getattr(part, field.name)
        for item in value if field.is_list else () if value is None else (value,):
            assert state is not None
            code, state = _step(grammar, state, field, item)
            out += [code, _content(field, item, encoder)]
    assert state is not None
    for code, production in grammar.codes(state).items():
        if production.event is Event.END:
            return "".join([*out, code])
    raise InvalidValue("required content is missing at the end")


def _step(grammar: Grammar, state: State, field: Field, item: object) -> tuple[str, State | None]:
    for code, production in grammar.codes(state).items():
        member = production.member
        if production.field is field and (member is None or member.cls is None or member.cls is item.__class__):
            return code, production.after
    raise InvalidValue(f"{field.name} is not allowed here")


def _content(field: Field, item: object, encoder: EncoderContext) -> str:
    if field.simple is None:
        return encoder.function(item.__class__)(item)
    bits = encoder.coder(field.simple)[item]
    return bits if field.attribute else f"0{bits}0"
