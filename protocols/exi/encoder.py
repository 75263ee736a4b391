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
from protocols.exi.shape import NUMBERS, classes, is_regular, simple_of
from protocols.exi.values import CACHED_VALUES, Coder, InvalidValue

Make = Callable[[object], str]  # a value to its bits


class Encoder:
    """Compiled encoders of one schema."""

    def __init__(self, schema: Schema) -> None:
        self.schema = schema
        self.scope: dict[str, Any] = {"InvalidValue": InvalidValue}
        self._coders: dict[Simple, str] = {}
        self._names: dict[type[object], str] = {}
        self._compiled: dict[type[object], Encode] = {}

    def function(self, cls: type[object]) -> Encode:
        """Return the compiled encoder of a type."""
        known = self._compiled.get(cls)
        if known is None:
            name = self.name(cls)
            self._compile(cls, name)
            known = self._compiled[cls] = self.scope[name]
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
        """Return the global name of a compact type's cache of encoded objects."""
        name = f"K_{self.name(cls)}"
        if name not in self.scope:
            self.scope[name] = _compact(self, self.grammar(cls))
        return name

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


def _compact(encoder: Encoder, grammar: Grammar) -> dict[object, str]:
    """Return a cache of encoded objects of a compact type, by the values of their fields, which fills itself."""
    makers = [_maker(encoder.coder(simple_of(field)), simple_of(field)) for field in grammar.type.fields]
    missing = _of_two(*makers) if len(makers) == 2 else _of_any(makers)
    cache: dict[object, str] = type("_Compact", (dict,), {"__missing__": missing})()
    return cache


def _of_any(makers: list[Make]) -> Callable[..., str]:
    def missing(cache: dict[object, str], values: object) -> str:
        row = values if isinstance(values, tuple) else (values,)
        bits = "".join([f"00{make(value)}0" for make, value in zip(makers, row, strict=True)]) + "0"
        if len(cache) >= CACHED_VALUES:
            cache.clear()
        cache[values] = bits
        return bits

    return missing


def _of_two(make_first: Make, make_last: Make) -> Callable[..., str]:
    """Return the same for RationalNumber and similar types, whose values are often new."""
    heads: dict[object, str] = {}  # bits up to the second field, by the first

    def missing(cache: dict[object, str], values: tuple[object, object]) -> str:
        first, last = values
        head = heads.get(first)
        if head is None:
            head = f"00{make_first(first)}000"
            if len(heads) < CACHED_VALUES:
                heads[first] = head
        bits = f"{head}{make_last(last)}00"
        if len(cache) >= CACHED_VALUES:
            cache.clear()
        cache[values] = bits
        return bits

    return missing


def _maker(coder: Coder, simple: Simple) -> Make:
    """Return the function that encodes a value; numbers are computed, since the whole object is cached anyway."""
    return coder.bits if simple.kind in NUMBERS else coder.__getitem__


class _Substitutes(dict[type[object], Encode]):
    """Encoders by class, found when a class first occurs."""

    def __init__(self, encoder: Encoder, field: Field) -> None:
        super().__init__()
        self._encoder = encoder
        self._classes = classes(field)

    def __missing__(self, cls: type[object]) -> Encode:
        if cls not in self._classes:
            raise InvalidValue(f"{cls.__name__} is not allowed here")
        self[cls] = self._encoder.function(cls)
        return self[cls]
