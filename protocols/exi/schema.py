"""EXI description of declarations: kinds of values, fields of a type, elements of a schema set.

Event codes are derived from these descriptions by `grammar`.
"""

from __future__ import annotations

import dataclasses
import sys
import types
import typing
from collections.abc import Callable, Iterator
from enum import Enum
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


class Kind(Enum):
    """Representations of EXI 1.0 §7.1 that the charging standards use."""

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
    literals: tuple[Any, ...] = ()
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
    cls: type[Any] | None
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

    cls: type[Any]
    fields: tuple[Field, ...]
    attributes: tuple[Field, ...]
    elements: tuple[Field, ...]
    value: Field | None
    declaration: Declaration


N_BIT_RANGE = 4096  # integers with at most so many values are n-bit unsigned (§7.1.5)

Unroll = Callable[[type[Any], Field], int | None]


class PeerGrammar(NamedTuple):
    """Deviations of a peer's grammars.

    `writes` and `reads` return how often the peer unrolls a list as a sender and as a receiver, which may differ;
    `relaxed` is False if it lacks the relaxed grammar of fragments.
    """

    writes: Unroll
    reads: Unroll
    relaxed: bool = True


def standard_unroll(cls: type[Any], field: Field) -> int | None:
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
        self.grammars: dict[type[Any], Any] = {}  # cache of `grammar`
        self._types: dict[type[Any], Type] = {}

    def declared(self) -> Iterator[type[Any]]:
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
    def elements(self) -> tuple[type[Any], ...]:
        """The classes that are global elements."""
        return tuple(cls for cls in self.declared() if declaration(cls).is_element)

    def substitutes(self, head: type[Any]) -> tuple[Member, ...]:
        """Return the members of a substitution group, the head itself included even if abstract (§8.5.4.1.6)."""
        group = [cls for cls in self.elements if issubclass(cls, head)]
        return tuple(sorted(Member(element_name(cls), cls, declaration(cls).abstract) for cls in group))

    def describe(self, cls: type[Any]) -> Type:
        """Return the description of a declared class, created on first use."""
        known = self._types.get(cls)
        if known is None:
            fields = tuple(self._field(cls, f) for f in dataclasses.fields(cls))
            attributes = sorted((f for f in fields if f.attribute), key=lambda f: f.qname)
            value = next((f for f in fields if f.name == "value"), None)
            elements = tuple(f for f in fields if not f.attribute and f is not value)
            known = Type(cls, fields, tuple(attributes), elements, value, declaration(cls))
            self._types[cls] = known
        return known

    def _field(self, cls: type[Any], field: Any) -> Field:
        owner = next(c for c in reversed(cls.__mro__) if field.name in getattr(c, "__dataclass_fields__", ()))
        said = _annotation(owner.__module__, field.type)
        space = declaration(owner).namespace
        qualified = space.qualified_attributes if said.attribute else space.qualified_elements
        qname = QName(field.name, space.uri if qualified else "")
        least, most = said.occurs or (0 if said.optional or said.choice else 1, 1)
        if said.ref is not None:
            members = self.substitutes(said.ref)
            qname = element_name(said.ref)
        else:
            members = (Member(qname, said.complex),)
        is_list = said.occurs is not None
        return Field(field.name, qname, said.attribute, said.choice, is_list, least, most, said.simple, members)

    @cached_property
    def element_names(self) -> tuple[QName, ...]:
        """Every element name declared anywhere in the set, global or local, in the order of a fragment's codes."""
        names = {member.qname for member in self.roots}
        for cls in self.declared():
            for field in self.describe(cls).elements:
                names |= {member.qname for member in field.members} | {field.qname}
        return tuple(sorted(names))


def declaration(cls: type[Any]) -> Declaration:
    """Return the data recorded by the decorator."""
    found: Declaration = vars(cls)["__exi__"]
    return found


def element_name(cls: type[Any]) -> QName:
    """Return the qualified name of a global element."""
    said = declaration(cls)
    return QName(said.name, said.namespace.uri)


def content(of: Type) -> Particles:
    """Return the element content of a type as nested particles: the declared content, or its fields in a row.

    Adjacent fields of one choice become one choice.
    """
    if of.declaration.content is not None:
        return of.declaration.content
    parts: list[Any] = []
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


class _Annotation:
    """Content of one annotation, collected while it is unwrapped."""

    def __init__(self) -> None:
        self.optional = False
        self.attribute = False
        self.choice: Mark | None = None
        self.occurs: Occurs | None = None
        self.ref: type[Any] | None = None
        self.limits: Integer | Text | Binary | None = None
        self.complex: type[Any] | None = None
        self.plain: Any = None
        self.simple: Simple | None = None

    def mark(self, meta: Any) -> None:
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
    """Return the content of an annotation written in a module; cached, since annotations recur."""
    said = _Annotation()
    _read(eval(annotation, vars(sys.modules[module])), said)
    said.simple = None if said.complex else _simple(said)
    return said


def _read(hint: Any, said: _Annotation) -> None:
    if hasattr(hint, "__metadata__"):
        for meta in hint.__metadata__:
            said.mark(meta)
        _read(hint.__origin__, said)
    elif isinstance(hint, types.UnionType) or typing.get_origin(hint) is typing.Union:
        parts = typing.get_args(hint)
        said.optional = said.optional or types.NoneType in parts
        for part in parts:
            if part is not types.NoneType:
                _read(part, said)
    elif typing.get_origin(hint) is tuple:
        _read(typing.get_args(hint)[0], said)
    elif "__exi__" in getattr(hint, "__dict__", {}):
        said.complex = hint
    else:
        said.plain = hint


def _simple(said: _Annotation) -> Simple:
    plain, limits = said.plain, said.limits
    if plain is bool:
        return Simple(Kind.BOOLEAN, 0, 1)
    if plain is str:
        least, most = (limits.min_length, limits.max_length) if isinstance(limits, Text) else (0, None)
        return Simple(Kind.STRING, least, most)
    if plain is bytes:
        said_limits = limits if isinstance(limits, Binary) else Binary()
        return Simple(Kind.BINARY, said_limits.min_length, said_limits.max_length, (), said_limits.hexadecimal)
    if plain is int:
        low, high = limits if isinstance(limits, Integer) else (None, None)
        if low is not None and high is not None and high - low < N_BIT_RANGE:
            return Simple(Kind.N_BIT, low, high)
        return Simple(Kind.UNSIGNED if low is not None and low >= 0 else Kind.SIGNED, low, high)
    if isinstance(plain, type) and issubclass(plain, Enum):
        return Simple(Kind.ENUMERATION, None, None, tuple(plain))
    raise TypeError(f"{plain!r} has no EXI representation")


__all__ = ["ANY", "Field", "Kind", "Member", "QName", "Schema", "Simple", "Type", "content", "declaration"]
