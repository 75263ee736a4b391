"""EXI description of declarations: kinds of values, fields of a type, elements of a schema set.

Event codes are derived from these descriptions by `grammar`.
"""

from __future__ import annotations

import builtins
import sys
import types
import typing
from collections.abc import Callable, Iterator
from enum import Enum, StrEnum
from functools import cache, cached_property
from typing import Any, NamedTuple

from protocols.exi.declare import (
    ANY,
    ATTRIBUTE,
    CHOICE,
    OPTIONAL_CHOICE,
    Binary,
    Declaration,
    Integer,
    Mark,
    Namespace,
    Occurs,
    Particles,
    Ref,
    Text,
)
from protocols.frozen import Field as Declared
from protocols.frozen import fields_of


class Kind(StrEnum):
    """Representations of EXI 1.0 §7.1 that the charging standards use; hashed as text, which is faster."""

    BOOLEAN = "boolean"
    ENUMERATION = "enumeration"
    N_BIT = "n-bit unsigned integer"
    UNSIGNED = "unsigned integer"
    SIGNED = "integer"
    STRING = "string"
    BINARY = "binary"


class Simple(NamedTuple):
    """A simple type: its representation and limits.

    `low` and `high` bound numbers and lengths alike; `literals` are the enumeration's members in the schema's order.
    """

    kind: Kind
    low: int | None = None
    high: int | None = None
    literals: tuple[Enum, ...] = ()
    hexadecimal: bool = False

    @property
    def width(self) -> int:
        """Bits of an enumeration's index or of an n-bit integer (§7.1.9, §7.1.5)."""
        if self.kind is Kind.BOOLEAN:
            return 1
        count = len(self.literals) if self.kind is Kind.ENUMERATION else (self.high or 0) - (self.low or 0) + 1
        return (count - 1).bit_length()


class QName(NamedTuple):
    """A qualified name; tuples sort in the order of EXI: local name first, then namespace."""

    local: str
    uri: str


class Member(NamedTuple):
    """An element that may occur for a field: its name, and its type unless that is the field's simple type."""

    qname: QName
    cls: type[object] | None
    abstract: bool = False


class Field(NamedTuple):
    """One field of a declaration.

    `simple` or the members give its type; `members` are the elements it stands for, one unless it refers to the head of
    a substitution group; `most` is None for unbounded.
    """

    name: str
    qname: QName
    attribute: bool
    choice: Mark | None
    is_list: bool
    least: int
    most: int | None
    simple: Simple | None
    members: tuple[Member, ...]


class Type(NamedTuple):
    """A declared class with its EXI description."""

    cls: type[object]
    fields: tuple[Field, ...]
    attributes: tuple[Field, ...]
    elements: tuple[Field, ...]
    value: Field | None
    declaration: Declaration


N_BIT_RANGE = 4096  # integers with at most so many values are n-bit unsigned (§7.1.5)

Unroll = Callable[[type[object], Field], int | None]


class PeerGrammar(NamedTuple):
    """Deviations of a peer's grammars.

    `writes` and `reads` return how often the peer unrolls a list as a sender and as a receiver, which may differ;
    `relaxed` is False if it lacks the relaxed grammar of fragments.
    """

    writes: Unroll
    reads: Unroll
    relaxed: bool = True


def standard_unroll(cls: type[object], field: Field) -> int | None:
    """Return how often a list's element is unrolled into the grammar: its maximum occurrence (§8.5.4.1.5)."""
    return field.most


class Schema:
    """A set of namespaces that are used together: all elements of all their declarations take part in event codes.

    `modules` hold the declarations; a module's SIMPLE_ELEMENTS names its global elements of simple type. `unroll`
    returns how often bounded lists are unrolled, in which some peers deviate.
    """

    def __init__(self, name: str, modules: tuple[types.ModuleType, ...], unroll: Unroll = standard_unroll) -> None:
        self.name = name
        self.modules = modules
        self.unroll = unroll
        self.grammars: dict[type[object], object] = {}  # cache of `grammar`
        self._types: dict[type[object], Type] = {}

    def declared(self) -> Iterator[type[object]]:
        """Yield all declared classes of the set, including abstract ones."""
        for module in self.modules:
            for value in vars(module).values():
                if isinstance(value, type) and "__exi__" in vars(value) and value.__module__ == module.__name__:
                    yield value

    @cached_property
    def roots(self) -> tuple[Member, ...]:
        """Every global element of the set in the order of its event codes (§8.5.1)."""
        found = [Member(element_name(cls), cls, declaration(cls).abstract) for cls in self.elements]
        for module in self.modules:
            uri = getattr(module, "XMLDSIG", Namespace("")).uri
            found += [Member(QName(name, uri), None) for name in getattr(module, "SIMPLE_ELEMENTS", ())]
        return tuple(sorted(found, key=lambda member: member.qname))

    @cached_property
    def elements(self) -> tuple[type[object], ...]:
        """The classes that are global elements."""
        return tuple(cls for cls in self.declared() if declaration(cls).is_element)

    def substitutes(self, head: type[object]) -> tuple[Member, ...]:
        """Return the members of a substitution group, the head itself included even if abstract (§8.5.4.1.6)."""
        group = [cls for cls in self.elements if issubclass(cls, head)]
        return tuple(sorted(Member(element_name(cls), cls, declaration(cls).abstract) for cls in group))

    def describe(self, cls: type[object]) -> Type:
        """Return the description of a declared class, created on first use."""
        known = self._types.get(cls)
        if known is None:
            fields = tuple(self._field(cls, f) for f in fields_of(cls))
            attributes = sorted((f for f in fields if f.attribute), key=lambda f: f.qname)
            value = next((f for f in fields if f.name == "value"), None)
            elements = tuple(f for f in fields if not f.attribute and f is not value)
            known = Type(cls, fields, tuple(attributes), elements, value, declaration(cls))
            self._types[cls] = known
        return known

    def _field(self, cls: type[object], field: Declared) -> Field:
        found = _annotation(field.owner.__module__, str(field.type))
        space = declaration(field.owner).namespace
        qualified = space.qualified_attributes if found.attribute else space.qualified_elements
        qname = QName(field.name, space.uri if qualified else "")
        least, most = found.occurs or (0 if found.optional or found.choice else 1, 1)
        if found.ref is not None:
            members = self.substitutes(found.ref)
            qname = element_name(found.ref)
        else:
            members = (Member(qname, found.complex),)
        is_list = found.occurs is not None
        return Field(field.name, qname, found.attribute, found.choice, is_list, least, most, found.simple, members)

    @cached_property
    def element_names(self) -> tuple[QName, ...]:
        """Every element name declared anywhere in the set, global or local, in the order of a fragment's codes."""
        names = {member.qname for member in self.roots}
        for cls in self.declared():
            for field in self.describe(cls).elements:
                names |= {member.qname for member in field.members} | {field.qname}
        return tuple(sorted(names))


def declaration(cls: type[object]) -> Declaration:
    """Return the data recorded by the decorator."""
    found: Declaration = vars(cls)["__exi__"]
    return found


def element_name(cls: type[object]) -> QName:
    """Return the qualified name of a global element."""
    found = declaration(cls)
    return QName(found.name, found.namespace.uri)


def content(of: Type) -> Particles:
    """Return the element content of a type as nested particles: the declared content, or its fields in a row.

    Adjacent fields of one choice become one choice.
    """
    if of.declaration.content is not None:
        return of.declaration.content
    parts: list[str | tuple[list[str], Mark]] = []
    group: list[str] = []
    for field in of.elements:
        if field.choice is not None:
            group.append(field.name)
            if len(group) == 1:
                parts.append((group, field.choice))
            continue
        group = []
        parts.append(field.name)
    row = tuple(
        part if isinstance(part, str) else Particles("choice", tuple(part[0]), 0 if part[1] is OPTIONAL_CHOICE else 1)
        for part in parts
    )
    return Particles("sequence", row)


# ------------------------------------------------------------------------------------------------- reading annotations


_MARKED = {"Attribute[": ATTRIBUTE, "OneOf[": CHOICE, "AtMostOneOf[": OPTIONAL_CHOICE}


class _Annotation:
    """Content of one annotation, collected while it is unwrapped."""

    def __init__(self) -> None:
        self.optional = False
        self.attribute = False
        self.choice: Mark | None = None
        self.occurs: Occurs | None = None
        self.ref: type[object] | None = None
        self.limits: Integer | Text | Binary | None = None
        self.complex: type[object] | None = None
        self.plain: object = None
        self.simple: Simple | None = None

    def mark(self, meta: object) -> None:
        if meta is ATTRIBUTE:
            self.attribute = True
        elif meta in (CHOICE, OPTIONAL_CHOICE):
            self.choice = meta
        elif isinstance(meta, Occurs):
            self.occurs = meta
        elif isinstance(meta, Ref):
            self.ref = meta.head
        elif isinstance(meta, Integer | Text | Binary):
            self.limits = meta


@cache
def _annotation(module: str, annotation: str) -> _Annotation:
    """Return the content of an annotation written in a module; cached, since annotations recur.

    Most are a name, optional or marked, which is looked up: `eval` and `typing` would take a quarter of the time until
    a session's messages are compiled.
    """
    found = _Annotation()
    names = vars(sys.modules[module])
    name = annotation.removesuffix(" | None")
    found.optional = name != annotation
    for form, mark in _MARKED.items():
        if name.startswith(form):
            name = name[len(form) : -1]
            found.mark(mark)
    hint = names.get(name) or vars(builtins).get(name)
    _read(eval(name, names) if hint is None else hint, found)
    found.simple = None if found.complex else _simple(found)
    return found


def _read(hint: Any, found: _Annotation) -> None:
    if isinstance(hint, type):
        if "__exi__" in vars(hint):
            found.complex = hint
        else:
            found.plain = hint
    elif hasattr(hint, "__metadata__"):
        for meta in hint.__metadata__:
            found.mark(meta)
        _read(hint.__origin__, found)
    elif isinstance(hint, types.UnionType) or typing.get_origin(hint) is typing.Union:
        parts = typing.get_args(hint)
        found.optional = found.optional or types.NoneType in parts
        for part in parts:
            if part is not types.NoneType:
                _read(part, found)
    elif typing.get_origin(hint) is tuple:
        _read(typing.get_args(hint)[0], found)
    else:
        found.plain = hint


def _simple(found: _Annotation) -> Simple:
    plain, limits = found.plain, found.limits
    if plain is bool:
        return Simple(Kind.BOOLEAN, 0, 1)
    if plain is str:
        least, most = (limits.min_length, limits.max_length) if isinstance(limits, Text) else (0, None)
        return Simple(Kind.STRING, least, most)
    if plain is bytes:
        bounds = limits if isinstance(limits, Binary) else Binary()
        return Simple(Kind.BINARY, bounds.min_length, bounds.max_length, (), bounds.hexadecimal)
    if plain is int:
        low, high = limits if isinstance(limits, Integer) else (None, None)
        if low is not None and high is not None and high - low < N_BIT_RANGE:
            return Simple(Kind.N_BIT, low, high)
        return Simple(Kind.UNSIGNED if low is not None and low >= 0 else Kind.SIGNED, low, high)
    if isinstance(plain, type) and issubclass(plain, Enum):
        return Simple(Kind.ENUMERATION, None, None, tuple(plain))
    raise TypeError(f"{plain!r} has no EXI representation")


__all__ = ["ANY", "Field", "Kind", "Member", "QName", "Schema", "Simple", "Type", "content", "declaration"]
