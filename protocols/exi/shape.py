"""Properties of a type that straight-line code depends on: order of fields, regularity, compactness."""

from __future__ import annotations

from collections.abc import Callable

from protocols.exi.declare import ANY
from protocols.exi.grammar import Event, Grammar, Leaf, Production, State
from protocols.exi.schema import Field, Kind, Simple

END = 1 << 20  # the number of the end event, higher than those of all fields
FINITE = (Kind.BOOLEAN, Kind.ENUMERATION, Kind.N_BIT)
NUMBERS = (Kind.UNSIGNED, Kind.SIGNED)
BYTEWISE = (Kind.STRING, Kind.BINARY)

COMPACT_FIELDS = 3
COMPACT_BITS = 33  # numbers up to 32 bits and a sign


def simple_of(field: Field) -> Simple:
    """Return the simple type of a field that has one."""
    assert field.simple is not None
    return field.simple


def is_regular(grammar: Grammar) -> bool:
    """Return True if the fields occur in their declared order, so that straight-line code can read and write them.

    Types with particles in groups that repeat or belong together are irregular; all of them belong to XML Signature.
    """
    content = grammar.type.declaration.content
    if content is None:
        return all(not f.is_list or len(f.members) == 1 for f in grammar.type.elements)
    named = [part for part in content.parts if isinstance(part, str) and part != ANY]
    groups = [part for part in content.parts if not isinstance(part, str)]
    lone = content.most == 1 or len(named) <= 1
    return lone and all(group.parts == (ANY,) for group in groups)


class Slot:
    """One field, or the branches of one choice, in the order of the type's content."""

    def __init__(self, fields: list[Field]) -> None:
        self.fields = fields
        first = fields[0]
        self.is_choice = first.choice is not None
        self.mandatory = first.choice.role == "choice" if first.choice is not None else first.least > 0


def slots(grammar: Grammar) -> list[Slot]:
    """Return attributes and elements of a type, with choices combined."""
    found: list[Slot] = []
    for field in (*grammar.type.attributes, *grammar.type.elements):
        if field.choice is not None and found and found[-1].fields[0].choice is field.choice:
            found[-1].fields.append(field)
        else:
            found.append(Slot([field]))
    return found


class Numbering:
    """Number for every event of a type, increasing in the order of its content; the end has the highest."""

    def __init__(self, row: list[Slot]) -> None:
        events = [(f.name, member.qname) for slot in row for f in slot.fields for member in f.members]
        self._places: dict[object, int] = {event: place for place, event in enumerate(events)}

    def of(self, production: Production) -> int:
        """Return the number of a production's event; the text of simple content follows all fields."""
        if production.event is Event.END:
            return END
        field = production.field
        assert field is not None
        member = production.member or (field.members[0] if field.members else None)
        return self._places.get((field.name, member.qname if member else None), len(self._places))


def readable(production: Production) -> bool:
    """Return True if declarations can hold a production: no foreign elements, no text between elements."""
    if production.event is Event.END:
        return True
    return production.field is not None and not (production.member is not None and production.member.abstract)


def state_after(grammar: Grammar, state: State, field: Field) -> State:
    """Return the state after one occurrence of a field."""
    after = next(p.after for p in grammar.productions(state) if p.field is field)
    assert after is not None
    return after


def unrolled(grammar: Grammar, inside: State, field: Field) -> int | None:
    """Return how often a list is unrolled, given the state after its first item; None if it loops."""
    if grammar.type.declaration.content is not None or not inside.ahead:
        return None
    leaf = inside.ahead[0]
    if not isinstance(leaf, Leaf) or leaf.field is not field or leaf.most is None:
        return None
    return leaf.most + 1


def state_when_full(inside: State) -> State:
    """Return the state after the last allowed item, given the state after the first."""
    return State(inside.attributes, inside.ahead[1:])


def is_compact(grammar: Grammar) -> bool:
    """Return True if a type consists of a few mandatory numbers (RationalNumber) and is looked up as a whole."""
    fields = grammar.type.fields
    return 0 < len(fields) <= COMPACT_FIELDS and grammar.type.elements == fields and all(_is_number(f) for f in fields)


def _is_number(field: Field) -> bool:
    simple = field.simple
    if simple is None or field.is_list or not field.least or field.choice or simple.kind in BYTEWISE:
        return False
    if simple.kind in NUMBERS:
        return simple.high is not None and simple.high.bit_length() < COMPACT_BITS
    return True


def compact_bits(grammar: Grammar) -> tuple[int, int, int] | None:
    """Return, for a compact type with one number of variable length, the bits before and after it, and its maximum
    groups."""
    before, after, groups = 0, 1, 0
    for simple in map(simple_of, grammar.type.fields):
        if simple.kind in FINITE:
            if groups:
                after += 2 + simple.width + 1
            else:
                before += 2 + simple.width + 1
        elif groups or simple.high is None:
            return None
        else:
            groups = -(-simple.high.bit_length() // 7)
            before += 2 + (simple.kind is Kind.SIGNED)
            after += 1
    return (before, after, groups) if groups else None


def parts_with_lists(grammar_of: Callable[[type[object]], Grammar], cls: type[object]) -> tuple[str, ...] | None:
    """Return the optional fields of a type in which an element may occur more than once; None if there may be one
    without them."""
    grammar = grammar_of(cls)
    found = [f for f in grammar.type.fields if f.is_list or any(_has_lists(grammar_of, part) for part in classes(f))]
    if not is_regular(grammar) or any(field.is_list or field.least for field in found):
        return None
    return tuple(field.name for field in found)


def _has_lists(grammar_of: Callable[[type[object]], Grammar], cls: type[object]) -> bool:
    """Return True if a type or one of its parts has an element that may occur more than once."""
    waiting, seen = [cls], {cls}
    while waiting:
        grammar = grammar_of(waiting.pop())
        if not is_regular(grammar) or any(field.is_list for field in grammar.type.fields):
            return True
        inner = {part for field in grammar.type.fields for part in classes(field)}
        waiting += inner - seen
        seen |= inner
    return False


def empty_allowed(grammar: Grammar) -> bool:
    """Return True if a type's text may be empty, which EXIficient writes as an undeclared end event."""
    value = grammar.type.value
    return value is not None and value.simple is not None and value.simple.kind in BYTEWISE and not value.simple.low


def classes(field: Field) -> list[type[object]]:
    """Return the classes whose objects may occur in a field."""
    return [member.cls for member in field.members if member.cls is not None and not member.abstract]
