"""Event codes by the rules of EXI 1.0 §8.5.4: the events that may follow in a state, and the bits that identify them.

A state consists of the number of attributes passed and the particles that may still follow. Its productions are derived
from the first particles, so repeated and optional particles are unrolled only as far as needed:

* a sequence offers its first part, and the next ones as long as all preceding parts are optional;
* a choice offers its branches in the schema's order;
* a particle {m,n} offers one occurrence and becomes {m-1,n-1}; after the n-th occurrence it is exhausted;
* a reference to the head of a substitution group offers all members, sorted by name.

Productions are numbered attributes first, then elements, wildcard, end of element, text. The grammars are not strict,
so one more value of the code always exists: the escape to the second level (undeclared events).
"""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple, TypeAlias

from protocols.exi.declare import ANY, Particles
from protocols.exi.schema import Field, Member, Schema, Type, content


class Event(Enum):
    """Kinds of events, in the order of event codes within a state (§8.5.4.2)."""

    ATTRIBUTE = "AT"
    ELEMENT = "SE"
    WILDCARD = "SE(*)"
    END = "EE"
    TEXT = "CH"


class Leaf(NamedTuple):
    """A field's element with the bounds of its occurrence."""

    field: Field
    least: int
    most: int | None


class Group(NamedTuple):
    """A sequence or a choice of particles."""

    is_choice: bool
    parts: tuple[Particle, ...]
    least: int
    most: int | None


class Wild(NamedTuple):
    """Wildcard: any foreign element."""


Particle: TypeAlias = Leaf | Group | Wild


class State(NamedTuple):
    """Position within an element: the number of attributes passed, and the particles that may follow."""

    attributes: int
    ahead: tuple[Particle, ...]


class Production(NamedTuple):
    """One event that may occur, and the state after it (None after the end)."""

    event: Event
    field: Field | None
    member: Member | None
    after: State | None


class Grammar:
    """States of one type."""

    def __init__(self, schema: Schema, cls: type[object]) -> None:
        self.type: Type = schema.describe(cls)
        self._schema = schema
        self._fields = {f.name: f for f in self.type.elements}
        self._known: dict[State, tuple[Production, ...]] = {}
        self._codes: dict[State, dict[str, Production]] = {}
        self.start = State(0, (self._particle(content(self.type)),))

    def productions(self, state: State) -> tuple[Production, ...]:
        """Return the productions of `state`, in the order of event codes."""
        known = self._known.get(state)
        if known is None:
            known = self._known[state] = self._find(state)
        return known

    def codes(self, state: State) -> dict[str, Production]:
        """Return the productions of `state` by the bits of their event codes."""
        known = self._codes.get(state)
        if known is None:
            found = self.productions(state)
            width = code_width(len(found))
            known = self._codes[state] = {format(i, f"0{width}b"): production for i, production in enumerate(found)}
        return known

    def _particle(self, part: str | Particles) -> Particle:
        if isinstance(part, Particles):
            inner = tuple(self._particle(p) for p in part.parts)
            return Group(part.kind == "choice", inner, part.least, part.most)
        if part == ANY:
            return Wild()
        field = self._fields[part.rstrip("?")]
        if self.type.declaration.content is not None:
            return Leaf(field, 0 if part.endswith("?") else 1, 1)
        if field.choice is not None:
            return Leaf(field, 1, 1)
        return Leaf(field, field.least, self._schema.unroll(self.type.cls, field) if field.is_list else 1)

    def _find(self, state: State) -> tuple[Production, ...]:
        found: list[Production] = []
        attributes = self.type.attributes
        for position in range(state.attributes, len(attributes)):
            field = attributes[position]
            after = State(position + 1, state.ahead)
            found.append(Production(Event.ATTRIBUTE, field, None, after))
            if field.least:
                return tuple(found)
        if self.type.value is not None:
            if state.ahead:
                found.append(Production(Event.TEXT, self.type.value, None, State(len(attributes), ())))
            else:
                found.append(Production(Event.END, None, None, None))
            return tuple(found)
        ended = self._offer(state.ahead, (), found)
        wild = [p for p in found if p.event is Event.WILDCARD][:1]
        found = [p for p in found if p.event is not Event.WILDCARD] + wild
        if ended:
            found.append(Production(Event.END, None, None, None))
        if self.type.declaration.mixed:
            found.append(Production(Event.TEXT, None, None, State(len(attributes), state.ahead)))
        return tuple(found)

    def _offer(self, row: tuple[Particle, ...], tail: tuple[Particle, ...], found: list[Production]) -> bool:
        """Add the elements that may come first in a row of particles; return True if all of them are optional."""
        return all(self._offer_one(part, row[i + 1 :] + tail, found) for i, part in enumerate(row))

    def _offer_one(self, part: Particle, tail: tuple[Particle, ...], found: list[Production]) -> bool:
        """Add the elements that may begin one particle followed by `tail`; return True if it is optional."""
        passed = len(self.type.attributes)
        if isinstance(part, Wild):
            found.append(Production(Event.WILDCARD, None, None, State(passed, tail)))
            return False
        again = None if part.most is None else part.most - 1
        follow = tail if again == 0 else (part._replace(least=max(part.least - 1, 0), most=again), *tail)
        if isinstance(part, Leaf):
            after = State(passed, follow)
            found += [Production(Event.ELEMENT, part.field, member, after) for member in part.field.members]
            return part.least == 0
        if part.is_choice:
            absent = [self._offer_one(branch, follow, found) for branch in part.parts]
            return part.least == 0 or any(absent)
        return self._offer(part.parts, follow, found) or part.least == 0


def grammar_of(schema: Schema, cls: type[object]) -> Grammar:
    """Return the grammar of a type, created once for each schema."""
    known = schema.grammars.get(cls)
    if isinstance(known, Grammar):
        return known
    made = schema.grammars[cls] = Grammar(schema, cls)
    return made


def code_width(productions: int) -> int:
    """Return the bits of an event code inside an element; the escape to level two is one more value."""
    return productions.bit_length()
