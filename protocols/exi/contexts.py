"""Interfaces between the compilers (`encoder`, `decoder`) and the modules that write or replace compiled functions.

`encoder_source`, `decoder_source` and `irregular` depend on these protocols; the compilers import those modules.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from protocols.exi.grammar import Grammar
from protocols.exi.readers import Reader
from protocols.exi.schema import Field, Simple
from protocols.exi.values import Coder

Encode = Callable[[object], str]  # an object of one declared class to the text of its bits


class EncoderContext(Protocol):
    """Compiled functions and constants that the source of an encoder refers to by name."""

    scope: dict[str, Any]

    def function(self, cls: type[object]) -> Encode:
        """Return the compiled encoder of a type."""

    def grammar(self, cls: type[object]) -> Grammar:
        """Return the grammar of a type."""

    def coder(self, simple: Simple) -> Coder:
        """Return the coder of a simple type."""

    def coder_name(self, simple: Simple) -> str:
        """Return the global name of a simple type's coder."""

    def name(self, cls: type[object]) -> str:
        """Return the global name of a type's encoder."""

    def compact_name(self, cls: type[object]) -> str:
        """Return the global name of a compact type's cache of encoded objects."""

    def constant(self, value: object) -> str:
        """Add a value to the scope and return its global name."""

    def substitutes(self, field: Field) -> str:
        """Return the global name of the encoders, by class, of a field with a substitution group."""


class DecoderContext(Protocol):
    """Compiled functions and tables that the source of a decoder refers to by name."""

    scope: dict[str, Any]

    def function(self, cls: type[object]) -> Reader:
        """Return the compiled decoder of a type."""

    def grammar(self, cls: type[object]) -> Grammar:
        """Return the grammar of a type."""

    def part(self, cls: type[object], *, item: bool) -> str:
        """Return the global name of the decoder of a part of a message, which may return an equal part of before; an
        `item` is one of a list."""

    def compact(self, cls: type[object], prefix: str) -> str:
        """Return the global name K of the table of a compact type by its bits, fixed ones before it included; MK reads
        bits whose pieces occurred before, and LK all others."""

    def share(self, prefix: str, key: object, make: Callable[[], object]) -> str:
        """Return the global name of a shared object, created once for each key."""

    def divergences(self, cls: type[object], field: Field) -> list[int]:
        """Return the lengths of a list at which the grammar of some peer differs from this one."""

    def value_reader(self, field: Field) -> Reader:
        """Return a reader of a field's values without their events."""
