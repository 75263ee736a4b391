"""Declaration vocabulary for messages: namespaces, elements, attributes, occurrence and limits.

A message is a frozen dataclass with slots, its fields are the particles of the schema in the schema's order, and the
annotations hold the remaining schema information::

    @element(DC)
    class DC_PreChargeReq(V2GRequest):
        EVProcessing: Processing                                 # exactly one
        EVTargetVoltage: RationalNumber
        Receipt: Receipt | None = None                           # at most one
        Id: Attribute[Identifier]                                # an attribute
        intValue: OneOf[Int] = None                              # adjacent fields marked so form one choice
        ServiceID: Annotated[tuple[UnsignedShort, ...], Occurs(1, 16)]

This module only records; `schema` derives the EXI description. A message package declares about a hundred classes at
import, therefore `protocols.frozen` creates them and not `dataclasses`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, NamedTuple, TypeVar, dataclass_transform

from protocols.frozen import fields_of, freeze

T = TypeVar("T")


# ---------------------------------------------------------------------------------------------------------- namespaces


class Namespace(NamedTuple):
    """An XML namespace with its `elementFormDefault` and `attributeFormDefault`."""

    uri: str
    qualified_elements: bool = True
    qualified_attributes: bool = True


# -------------------------------------------------------------------------------------------------------------- limits


class Integer(NamedTuple):
    """Integers from `low` to `high`; None means unbounded."""

    low: int | None = None
    high: int | None = None


class Text(NamedTuple):
    """A string of `min_length` to `max_length` code points."""

    min_length: int = 0
    max_length: int | None = None


class Binary(NamedTuple):
    """A binary value of `min_length` to `max_length` bytes; `hexadecimal` selects its JSON form (base64 otherwise)."""

    min_length: int = 0
    max_length: int | None = None
    hexadecimal: bool = False


# Built-in types of XML Schema that occur. Strings and binaries without limits are plain `str` and `bytes`.
Byte = Annotated[int, Integer(-(2**7), 2**7 - 1)]
Short = Annotated[int, Integer(-(2**15), 2**15 - 1)]
Int = Annotated[int, Integer(-(2**31), 2**31 - 1)]
Long = Annotated[int, Integer(-(2**63), 2**63 - 1)]
UnsignedByte = Annotated[int, Integer(0, 2**8 - 1)]
UnsignedShort = Annotated[int, Integer(0, 2**16 - 1)]
UnsignedInt = Annotated[int, Integer(0, 2**32 - 1)]
UnsignedLong = Annotated[int, Integer(0, 2**64 - 1)]


# ----------------------------------------------------------------------------------------------------------- particles


class Occurs(NamedTuple):
    """Occurrence of a list's element; None means `unbounded`."""

    least: int
    most: int | None


class Ref(NamedTuple):
    """Reference to the global element `head`: that element or any member of its substitution group occurs here."""

    head: type[object]


class Mark(NamedTuple):
    """Role of a field other than a plain element."""

    role: str


ATTRIBUTE = Mark("attribute")
CHOICE = Mark("choice")
OPTIONAL_CHOICE = Mark("optional choice")

Attribute = Annotated[T, ATTRIBUTE]
OneOf = Annotated[T | None, CHOICE]
AtMostOneOf = Annotated[T | None, OPTIONAL_CHOICE]


class Particles(NamedTuple):
    """Content that consecutive fields cannot express (repeating groups, pairs), as nested particles.

    Fields are named by strings, with `?` if they are optional; `kind` is `sequence` or `choice`; ANY is the wildcard.
    """

    kind: str
    parts: tuple[str | Particles, ...]
    least: int = 1
    most: int | None = 1


ANY = "*"


class Declaration(NamedTuple):
    """Data recorded by a decorator about a class; `schema` reads it from `__exi__`."""

    name: str
    namespace: Namespace
    is_element: bool
    abstract: bool
    mixed: bool
    content: Particles | None


# ---------------------------------------------------------------------------------------------------------- decorators


@dataclass_transform(frozen_default=True, kw_only_default=True)
def element(
    namespace: Namespace, *, abstract: bool = False, mixed: bool = False, content: Particles | None = None
) -> Callable[[type[T]], type[T]]:
    """Declare a global element of `namespace` and its type, both under the class's name.

    An element whose class extends that of another global element belongs to the substitution group of that element.
    """
    return _declare(namespace, True, abstract, mixed, content)


@dataclass_transform(frozen_default=True, kw_only_default=True)
def complex_type(
    namespace: Namespace, *, abstract: bool = False, mixed: bool = False, content: Particles | None = None
) -> Callable[[type[T]], type[T]]:
    """Declare a type of `namespace` that only local elements have; the class is named as the type, without the suffix
    `Type`.

    A type with simple content keeps its text in a last field called `value`.
    """
    return _declare(namespace, False, abstract, mixed, content)


def _declare(
    namespace: Namespace, is_element: bool, abstract: bool, mixed: bool, content: Particles | None
) -> Callable[[type[T]], type[T]]:
    def declare(cls: type[T]) -> type[T]:
        declared = Declaration(cls.__name__, namespace, is_element, abstract, mixed, content)
        return freeze(cls, kw_only=True, own={"__exi__": declared, "__repr__": _repr})

    return declare


def _repr(self: Any) -> str:
    """Return a representation without the fields that have their default value."""
    shown = [f"{f.name}={value!r}" for f in fields_of(type(self)) if (value := getattr(self, f.name)) != f.default]
    return f"{type(self).__name__}({', '.join(shown)})"
