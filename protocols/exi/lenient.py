"""Decoding without facets, for tools that show the invalid message of a peer: ranges, lengths and literals.

    name, message, breaches = decode(codec, data)

Structure stays strict: a message with undeclared content cannot be decoded. A session never uses this.
"""

from __future__ import annotations

from enum import Enum
from functools import cache, cached_property
from itertools import islice
from textwrap import shorten
from typing import cast

from protocols.exi.check import faults
from protocols.exi.codec import Codec
from protocols.exi.schema import Field, Kind, Schema, Simple
from protocols.frozen import Field as Declared

MAX_BREACHES = 20  # listed for one message
LONGEST_BREACH = 160  # characters; all literals of a response code are more


class RelaxedSchema(Schema):
    """Schema whose simple types have no facets beyond what their number of bits can represent."""

    def _field(self, cls: type[object], field: Declared) -> Field:
        declared = super()._field(cls, field)
        return declared if declared.simple is None else declared._replace(simple=without_facets(declared.simple))


class RelaxedCodec(Codec):
    """Codec of the same declarations without facets."""

    @cached_property
    def schema(self) -> Schema:
        """The declarations as one schema set without facets."""
        return RelaxedSchema(self.name, self.modules())


def decode(codec: Codec, data: bytes) -> tuple[str, object, list[str]]:
    """Return root element, message and the facets that it breaches, each with its path. Raises ExiError."""
    wide = relaxed(codec)
    name, message = wide.decode_element(data, lenient=False)
    codec.end_bit = wide.end_bit
    breaches = islice(faults(codec.schema, message, name), MAX_BREACHES)
    return name, message, [shorten(breach, LONGEST_BREACH, placeholder="...") for breach in breaches]


@cache
def relaxed(codec: Codec) -> RelaxedCodec:
    """Return the codec of the same declarations without facets, which also encodes values beyond them."""
    return RelaxedCodec(codec.name, codec.modules)


def without_facets(simple: Simple) -> Simple:
    """Return a simple type with all values that its encoding can have; undeclared literals are text."""
    if simple.kind is Kind.ENUMERATION:
        count = len(simple.literals)
        undeclared = tuple(f"undeclared literal {n}" for n in range(count, 1 << simple.width))
        return simple._replace(literals=simple.literals + cast("tuple[Enum, ...]", undeclared))
    if simple.kind is Kind.N_BIT:
        return simple._replace(high=(simple.low or 0) + (1 << simple.width) - 1)
    if simple.kind is Kind.UNSIGNED:
        return simple._replace(low=0, high=None)
    if simple.kind in (Kind.STRING, Kind.BINARY):
        return simple._replace(low=0, high=None)
    return simple if simple.kind is Kind.BOOLEAN else simple._replace(low=None, high=None)
