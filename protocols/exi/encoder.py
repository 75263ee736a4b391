"""Encoder: one Python function per declared type, written by `encoder_source` and compiled on first use.

A function receives a part of a message and returns the text of its bits, from the end of its start event to its end
event. The coders enforce the limits; a value that does not fit raises an exception, and `check` then produces the error
text.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from protocols.exi import irregular
from protocols.exi.contexts import Encode
from protocols.exi.encoder_source import Source
from protocols.exi.grammar import Grammar, grammar_of
from protocols.exi.schema import Field, Schema, Simple
from protocols.exi.shape import NUMBERS, classes, is_regular, parts_with_lists, simple_of
from protocols.exi.values import Blocks, Coder, InvalidValue

CACHED_HEADS = 32  # values of a field of a compact type that is not the last
CACHED_NUMBERS = 256  # values of the last one; more of them would be slower, since few numbers recur


class Encoder:
    """Compiled encoders of one schema."""

    def __init__(self, schema: Schema) -> None:
        self.schema = schema
        self.scope: dict[str, Any] = {"InvalidValue": InvalidValue}
        self._coders: dict[Simple, str] = {}
        self._blocks: dict[Simple, Blocks] = {}
        self._names: dict[type[object], str] = {}
        self.compiled: dict[type[object], Encode] = {}  # those that were asked for

    def function(self, cls: type[object]) -> Encode:
        """Return the compiled encoder of a type."""
        known = self.compiled.get(cls)
        if known is None:
            name = self.name(cls)
            self._compile(cls, name)
            known = self.compiled[cls] = self.scope[name]
        return known

    def grammar(self, cls: type[object]) -> Grammar:
        """Return the grammar of a type."""
        return grammar_of(self.schema, cls)

    def coder(self, simple: Simple) -> Coder:
        """Return the coder of a simple type."""
        found: Coder = self.scope[self.coder_name(simple)]
        return found

    def coder_name(self, simple: Simple) -> str:
        """Return the global name of a simple type's coder."""
        name = self._coders.get(simple)
        if name is None:
            name = self._coders[simple] = f"C{len(self._coders)}"
            self.scope[name] = Coder(simple)
        return name

    def name(self, cls: type[object]) -> str:
        """Return the global name of a type's encoder; a stub compiles it on the first call."""
        name = self._names.get(cls)
        if name is None:
            name = self._names[cls] = f"e{len(self._names)}"

            def stub(part: object) -> str:
                return self.function(cls)(part)

            self.scope[name] = stub
        return name

    def compact_name(self, cls: type[object]) -> str:
        """Return the global name of a compact type's cache of encoded objects, by the value of its first field, and so
        on for every field."""
        name = f"K_{self.name(cls)}"
        if name not in self.scope:
            self.scope[name] = _level(self, "", [simple_of(field) for field in self.grammar(cls).type.fields])
        return name

    def blocks(self, simple: Simple) -> Blocks:
        """Return the blocks of a type of numbers, the ends of element and object included."""
        return self._blocks.setdefault(simple, Blocks(simple, "00"))

    def constant(self, value: object) -> str:
        """Add a value to the scope and return its global name."""
        name = f"T{len(self.scope)}"
        self.scope[name] = value
        return name

    def substitutes(self, field: Field) -> str:
        """Return the global name of the encoders, by class, of a field with a substitution group."""
        return self.constant(_Substitutes(self, field))

    def _compile(self, cls: type[object], name: str) -> None:
        grammar = self.grammar(cls)
        if not is_regular(grammar):
            self.scope[name] = lambda part: irregular.write(grammar, part, self)
            return
        source = Source(self, grammar, name).write()
        exec(compile(source, f"<exi encoder of {cls.__name__}>", "exec"), self.scope)


class _Compact(dict[object, object]):
    """Bits of objects of a compact type by the values of their fields, one level for each, which fill themselves.

    `head` are the bits of the fields before; `simples` are the types of this field and those after it.
    """

    __slots__ = ("_encoder", "_head", "_simples")

    def __init__(self, encoder: Encoder, head: str, simples: list[Simple]) -> None:
        super().__init__()
        self._encoder, self._head, self._simples = encoder, f"{head}00", simples

    def __missing__(self, value: object) -> object:
        simple, *others = self._simples
        bits = f"{self._head}{self._encoder.coder(simple)[value]}0"
        if len(self) >= CACHED_HEADS:
            self.clear()
        found = self[value] = _level(self._encoder, bits, others) if others else f"{bits}0"
        return found


class _Numbers(dict[int, str]):
    """The last level, if it is a number of variable length, which is often new."""

    __slots__ = ("_bits", "_blocks", "_head")

    def __init__(self, head: str, blocks: Blocks, bits: Callable[[object], str]) -> None:
        super().__init__()
        self._head, self._blocks, self._bits = f"{head}00", blocks, bits

    def __missing__(self, value: int) -> str:
        try:
            lowest, rest = self._blocks[value >> 7]
            bits = f"{self._head}{lowest[value & 127]}{rest}"
        except (KeyError, TypeError):  # a number near the limits, or equal to an integer
            bits = f"{self._head}{self._bits(value)}00"
        if len(self) >= CACHED_NUMBERS:
            self.clear()
        self[value] = bits
        return bits


def _level(encoder: Encoder, head: str, simples: list[Simple]) -> _Compact | _Numbers:
    (first, *others) = simples
    if others or first.kind not in NUMBERS:
        return _Compact(encoder, head, simples)
    return _Numbers(head, encoder.blocks(first), encoder.coder(first).bits)


class _Substitutes(dict[type[object], Encode]):
    """Encoders by class, found when a class first occurs."""

    def __init__(self, encoder: Encoder, field: Field) -> None:
        super().__init__()
        self._encoder = encoder
        self._classes = classes(field)

    def __missing__(self, cls: type[object]) -> Encode:
        if cls not in self._classes:
            raise InvalidValue(f"{cls.__name__} is not allowed here")
        encode = self._encoder.function(cls)
        found = self[cls] = _remembering(encode) if parts_with_lists(self._encoder.grammar, cls) == () else encode
        return found


def _remembering(encode: Encode) -> Encode:
    """Return an encoder that does not encode the latest object again: parts of messages do not change, and charge loops
    repeat their control mode. Not for parts with lists, which a caller may give as a list that does change."""
    latest: object = None
    bits = ""

    def again(part: object) -> str:
        nonlocal latest, bits
        if part is not latest:
            bits = encode(part)
            latest = part
        return bits

    return again
