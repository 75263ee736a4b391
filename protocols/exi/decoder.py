"""Decoder: one Python function per declared type, written by `decoder_source` and compiled on first use.

A function receives the text of all bits, the bytes, and the position after the type's start event; it returns the
object and the position after its end event. Objects are filled as instances of a mutable twin class without the frozen
`__setattr__`, and then change to their own class.

When bits do not fit, the exception's traceback identifies the active functions and lines; `notes` map each line to its
field, so that tracking the path costs nothing until a fault occurs.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from protocols.exi import compact, irregular
from protocols.exi.decoder_source import Note, Source
from protocols.exi.grammar import Grammar, grammar_of
from protocols.exi.lookups import latest, remembered, repeated
from protocols.exi.readers import DecodeFault, Reader, reader
from protocols.exi.schema import Field, Kind, Schema, Unroll
from protocols.exi.shape import BYTEWISE, is_regular, parts_with_lists, simple_of
from protocols.exi.tables import StringTables, no_table
from protocols.frozen import twin


class Decoder:
    """Compiled decoders of one schema, with or without string tables; `relaxed` is for fragments.

    `divergences` are the list lengths at which a peer unrolls differently; a decoder appends to `divergent` on each.
    """

    def __init__(
        self,
        schema: Schema,
        tables: StringTables | None = None,
        relaxed: bool = True,
        divergences: tuple[Unroll, ...] = (),
    ) -> None:
        self.schema = schema
        self.divergent: list[bool] = []
        self.tables = tables
        self.relaxed = relaxed
        self.notes: dict[str, list[Note | None]] = {}
        self.scope: dict[str, Any] = {
            "DecodeFault": DecodeFault,
            "F": self.divergent,
        }
        self._names: dict[type[object], str] = {}
        self.compiled: dict[type[object], Reader] = {}
        self._divergences = divergences
        self._shared: dict[tuple[str, object], str] = {}

    def function(self, cls: type[object]) -> Reader:
        """Return the compiled decoder of a type."""
        known = self.compiled.get(cls)
        if known is None:
            name = self.name(cls)
            self._compile(cls, name)
            known = self.compiled[cls] = self.scope[name]
        return known

    def grammar(self, cls: type[object]) -> Grammar:
        """Return the grammar of a type."""
        return grammar_of(self.schema, cls)

    def name(self, cls: type[object]) -> str:
        """Return the global name of a type's decoder; a stub compiles it on the first call."""
        name = self._names.get(cls)
        if name is None:
            name = self._names[cls] = f"d{len(self._names)}"

            def stub(s: str, b: bytes, p: int) -> tuple[object, int]:
                return self.function(cls)(s, b, p)

            self.scope[name] = stub
        return name

    def part(self, cls: type[object], *, item: bool) -> str:
        """Return the global name of the decoder of a part of a message, which may return an equal part of before; an
        `item` is one of a list.

        String tables and the notice of divergent lists need each part to be read; one without its optional parts that
        have lists, such as a header without a signature, has none.
        """
        with_lists = parts_with_lists(self.grammar, cls)
        if self.tables is not None or with_lists is None:
            return self.name(cls)
        remembering = repeated if item else latest
        return self.share("R", (cls, item), lambda: remembering(lambda: self.function(cls), with_lists))

    def compact(self, cls: type[object], prefix: str) -> str:
        """Return the global name K of the table of a compact type by its bits, fixed ones before it included; MK reads
        bits whose pieces occurred before, and LK all others."""
        table = self.share("K", (cls, prefix), dict)
        if f"M{table}" not in self.scope:
            grammar, heads = self.grammar(cls), self.scope.setdefault(f"H{table}", {})
            tails = self.scope[self.share("T", (cls, "tails"), dict)]

            def stub(key: str) -> object:
                source = compact.write(grammar, f"M{table}", table, f"H{table}", prefix)
                self._execute(source, f"compact decoder of {cls.__name__}", cls, f"M{table}")
                return self.scope[f"M{table}"](key)

            def exact(s: str, b: bytes, p: int) -> tuple[object, int]:
                if f"X{table}" not in self.scope:
                    self._compile(cls, f"X{table}", prefix)
                return self.scope[f"X{table}"](s, b, p)  # type: ignore[no-any-return]

            self.scope[f"M{table}"] = stub
            self.scope[f"L{table}"] = compact.learning(exact, grammar, heads, tails, prefix)
        return table

    def share(self, prefix: str, key: object, make: Callable[[], object]) -> str:
        """Return the global name of a shared object, created once for each key."""
        name = self._shared.get((prefix, key))
        if name is None:
            name = self._shared[prefix, key] = f"{prefix}{len(self._shared)}"
            self.scope[name] = make()
        return name

    def divergences(self, cls: type[object], field: Field) -> list[int]:
        """Return the lengths of a list at which the grammar of some peer differs from this one."""
        own = self.schema.unroll(cls, field)
        others = {unroll(cls, field) for unroll in self._divergences} - {own}
        return sorted({length for length in (own, *others) if length is not None}) if others else []

    def value_reader(self, field: Field) -> Reader:
        """Return a reader of a field's values without their events."""
        simple = simple_of(field)
        if simple.kind is Kind.STRING and self.tables is not None:
            return self.tables.reader(simple, field.qname)
        read = reader(simple, no_table)
        return remembered(read, simple.kind) if simple.kind in BYTEWISE else read

    def _compile(self, cls: type[object], name: str, prefix: str = "") -> None:
        grammar = self.grammar(cls)
        if not is_regular(grammar):
            self.scope[name] = lambda s, b, p: irregular.read(grammar, self, s, b, p)
            return
        source = Source(self, grammar, name, prefix)
        text = source.write()
        self.notes[self._execute(text, f"decoder of {cls.__name__}", cls, name)] = source.notes

    def _execute(self, text: str, what: str, cls: type[object], name: str) -> str:
        """Compile and run the source of a function; return its file name in tracebacks."""
        self.scope[f"{name}_class"] = cls
        self.scope[f"{name}_twin"] = twin(cls)
        label = f"<exi {self.schema.name} {what} {id(self):x}>"
        exec(compile(text, label, "exec"), self.scope)
        return label
