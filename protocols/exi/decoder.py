"""The decoder: one Python function per declared type, written and compiled when the type is first met.

A function gets the text of all bits and the position behind the type's start event; it returns the object and the
position behind its end event. Event codes are look-ups of short slices; values of few bits are looked up together with
the fixed bits around them, so that one look-up checks and converts at once; small types made of numbers (a RationalNumber) are
looked up as a whole in a bounded cache of immutable objects. Objects are filled through a twin class without the frozen
`__setattr__` and then given their own class.

When bits don't fit, the exception's traceback knows which functions were at work and at which line; `NOTES` maps lines
to fields, so that the path to the fault costs nothing until there is one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from protocols.exi.encoder import compact, is_regular, slots, state_after, state_when_full
from protocols.exi.grammar import Event, Grammar, Production, State
from protocols.exi.readers import Deviation, TableHit, content_reader, element_reader, reader
from protocols.exi.schema import Field, Kind, Member, Schema, Simple
from protocols.exi.values import CACHED_VALUES

Decode = Callable[[str, bytes, int], tuple[Any, int]]

END = 1 << 20  # what a look-up of event codes gives for the end event
EMPTY = END + 1  # and for the escape that an empty value may begin with
LARGEST_LOOKUP = 256  # values of an n-bit integer that are looked up rather than computed


class Note(NamedTuple):
    """What a line of a compiled decoder is about: the field, how far behind `p` it reads, and what it looks up.

    `items` is the variable of the list that is being read; `width` the bits that are looked up, `fixed` of them before
    the value of type `simple`.
    """

    field: str
    offset: int
    items: str = ""
    width: int = 0
    fixed: int = 0
    simple: Simple | None = None


class Decoder:
    """Compiled decoders of one schema."""

    def __init__(
        self,
        schema: Schema,
        irregular: Callable[[Grammar, Decoder, str, bytes, int], tuple[Any, int]],
        tables: StringTables | None = None,
        relaxed: bool = True,
    ) -> None:
        self.schema = schema
        self.tables = tables
        self.relaxed = relaxed
        self.notes: dict[str, list[Note | None]] = {}
        self._irregular = irregular
        self._grammars: dict[type[Any], Grammar] = {}
        self._names: dict[type[Any], str] = {}
        self._shared: dict[Any, str] = {}
        self._scope: dict[str, Any] = {"Deviation": Deviation, "N": object.__new__}

    def grammar(self, cls: type[Any]) -> Grammar:
        """The grammar of a type."""
        known = self._grammars.get(cls)
        if known is None:
            known = self._grammars[cls] = Grammar(self.schema, cls)
        return known

    def function(self, cls: type[Any]) -> Decode:
        """The compiled decoder of a type."""
        name = self.name(cls)
        found: Decode = self._scope[name]
        if getattr(found, "is_stub", False):
            self._compile(cls, name)
            found = self._scope[name]
        return found

    def name(self, cls: type[Any]) -> str:
        """The global name under which other decoders call this one; a stub compiles it on the first call."""
        name = self._names.get(cls)
        if name is None:
            name = self._names[cls] = f"d{len(self._names)}"

            def stub(s: str, b: bytes, p: int) -> tuple[Any, int]:
                return self.function(cls)(s, b, p)

            stub.is_stub = True  # type: ignore[attr-defined]
            self._scope[name] = stub
        return name

    def _compile(self, cls: type[Any], name: str) -> None:
        grammar = self.grammar(cls)
        if not is_regular(grammar):
            self._scope[name] = lambda s, b, p: self._irregular(grammar, self, s, b, p)
            return
        writer = _Writer(self, grammar, name)
        source = writer.write()
        label = f"<exi {self.schema.name} decoder of {cls.__name__} {id(self):x}>"
        self.notes[label] = writer.notes
        exec(compile(source, label, "exec"), self._scope)

    def share(self, key: Any, make: Callable[[], Any], prefix: str) -> str:
        """A global name for something that several decoders use."""
        name = self._shared.get(key)
        if name is None:
            name = self._shared[key] = f"{prefix}{len(self._shared)}"
            self._scope[name] = make()
        return name

    def value_reader(self, field: Field) -> Callable[[str, bytes, int], tuple[Any, int]]:
        """A reader of a field's bare values."""
        simple = field.simple
        assert simple is not None
        if simple.kind is not Kind.STRING:
            return reader(simple, no_table)
        if self.tables is None:
            return reader(simple, no_table)
        return self.tables.reader(field)

    def table(self, key: Any, make: Callable[[], Any]) -> str:
        return self.share(key, make, "T")


class StringTables:
    """The string tables of one message (§7.3): every value that was read, and those of each element or attribute."""

    def __init__(self) -> None:
        self.everywhere: list[str] = []
        self.by_name: dict[Any, list[str]] = {}

    def clear(self) -> None:
        """Start a message."""
        self.everywhere.clear()
        self.by_name.clear()

    def reader(self, field: Field) -> Callable[[str, bytes, int], tuple[Any, int]]:
        """A reader of a field's strings that looks hits up and remembers what is new."""
        simple, qname = field.simple, field.qname
        assert simple is not None

        def hit(s: str, length: int, p: int) -> tuple[str, int]:
            values = self.everywhere if length else self.by_name.get(qname, [])
            width = (len(values) - 1).bit_length() if values else 0
            bits = s[p : p + width]
            if len(bits) < width:
                raise IndexError
            index = int(bits, 2) if width else 0
            if index >= len(values):
                raise Deviation(p, f"string number {index} of a table with {len(values)}")
            return values[index], p + width

        read = reader(simple, hit)

        def remember(s: str, b: bytes, p: int) -> tuple[str, int]:
            value, q = read(s, b, p)
            if value and s[p : p + 7] != "0000000":
                self.everywhere.append(value)
                self.by_name.setdefault(qname, []).append(value)
            return value, q

        return remember


def no_table(s: str, length: int, p: int) -> tuple[str, int]:
    """Decoders without string tables give up, and one with tables takes over."""
    raise TableHit


class _Writer:
    """Writes the source of one decoder."""

    def __init__(self, decoder: Decoder, grammar: Grammar, name: str) -> None:
        self.decoder = decoder
        self.grammar = grammar
        self.name = name
        self.lines: list[str] = []
        self.notes: list[Note | None] = [None]  # lines count from 1
        self.offset = 0  # bits behind p that were read already
        self.pending = ""  # fixed bits that must come next, not checked yet
        self.field = ""
        self.items_in = ""  # the list whose items are being read
        self.variables: dict[str, str] = {}

    # -- source and where we are in it

    def line(self, text: str, width: int = 0, fixed: int = 0, simple: Simple | None = None) -> None:
        self.lines.append(text)
        self.notes.append(Note(self.field, self.offset, self.items_in, width, fixed, simple))

    def at(self, extra: int = 0) -> str:
        """The present position as an expression."""
        total = self.offset + extra
        return f"p+{total}" if total else "p"

    def advance(self, indent: str) -> None:
        """Make `p` the present position, checking the fixed bits that are pending."""
        self.check(indent)
        if self.offset:
            self.line(f"{indent}p += {self.offset}")
            self.offset = 0

    def check(self, indent: str) -> None:
        if not self.pending:
            return
        wanted, size = self.pending, len(self.pending)
        test = f"s[{self.at()}] != '0'" if wanted == "0" else f"s[{self.at()}:{self.at(size)}] != {wanted!r}"
        self.line(f"{indent}if {test}: raise Deviation({self.at()}, 'undeclared content')")
        self.offset += size
        self.pending = ""

    # -- the function

    def write(self) -> str:
        grammar, cls = self.grammar, self.grammar.type.cls
        self.line(f"def {self.name}(s, b, p):")
        defaults: dict[Any, list[str]] = {}
        for i, field in enumerate(grammar.type.fields):
            self.variables[field.name] = f"v{i}"
            if not field.least:
                defaults.setdefault("()" if field.is_list else "None", []).append(f"v{i}")
        for default, names in defaults.items():
            self.line(f" {' = '.join(names)} = {default}")
        state, live = grammar.start, False
        for slot in slots(grammar):
            state, live = self.slot(slot.fields, slot.mandatory, state, live)
        if grammar.type.value is not None:
            self.value(grammar.type.value, state, live)
        elif not live:
            if not self.only(state):
                self.choose(state, " ")
            else:
                self.pending += self.only(state)
        self.finish(cls)
        return "\n".join(self.lines)

    def finish(self, cls: type[Any]) -> None:
        self.field = ""
        self.check(" ")
        self.decoder._scope[f"{self.name}_class"] = cls
        self.decoder._scope[f"{self.name}_twin"] = twin(cls)
        self.line(f" o = N({self.name}_twin)")
        for field, variable in self.variables.items():
            self.line(f" o.{field} = {variable}")
        self.line(f" o.__class__ = {self.name}_class")
        self.line(f" return o, {self.at()}")

    def only(self, state: State) -> str:
        """The event code if there is just one production, and it is one that can be read."""
        codes = self.grammar.codes(state)
        if len(codes) == 1:
            ((code, production),) = codes.items()
            if readable(production):
                return code
        return ""

    def choose(self, state: State, indent: str) -> None:
        """Look the event code of a state up and keep what it means in `k`."""
        self.check(indent)
        codes = self.grammar.codes(state)
        width = len(next(iter(codes)))
        meanings = {code: number(self.grammar, p) for code, p in codes.items() if readable(p)}
        if empty_allowed(self.grammar) and any(p.event is Event.TEXT for p in codes.values()):
            meanings[format(len(codes), f"0{width}b")] = EMPTY
        table = self.decoder.table(tuple(meanings.items()), lambda: meanings)
        self.line(f"{indent}k = {table}[s[{self.at()}:{self.at(width)}]]", width)
        self.offset += width
        self.advance(indent)

    def slot(self, fields: list[Field], mandatory: bool, state: State, live: bool) -> tuple[State, bool]:
        first = fields[0]
        self.field = first.name
        if not live and not (mandatory and self.only(state)):
            self.choose(state, " ")
            live = True
        if not live:
            self.pending += self.only(state)
        indent = " "
        if not mandatory:
            last = max(number(self.grammar, p) for p in self.grammar.productions(state) if p.field in fields)
            self.line(f" if k <= {last}:")
            indent = "  "
        if first.is_list:
            return self.items(first, state, indent, mandatory)
        if len(fields) == 1 and len(first.members) == 1:
            self.element(first, first.members[0], indent)
        else:
            self.branches(fields, state, indent)
        after = state_after(self.grammar, state, first)
        self.field = first.name
        if mandatory:
            return after, False
        self.choose(after, indent)
        return after, True

    def branches(self, fields: list[Field], state: State, indent: str) -> None:
        """Read whichever element `k` says: a branch of a choice or a member of a substitution group."""
        self.check(indent)
        options = [(f, p.member) for p in self.grammar.productions(state) for f in fields if p.field is f]
        numbers = {
            (p.field.name, p.member): number(self.grammar, p)
            for p in self.grammar.productions(state)
            if p.field in fields and p.field is not None
        }
        word = "if"
        for field, member in options:
            if member is None or member.abstract:
                continue
            self.field = field.name
            self.line(f"{indent}{word} k == {numbers[field.name, member]}:")
            before = self.offset
            self.element(field, member, indent + " ")
            self.advance(indent + " ")
            self.offset = before
            word = "elif"
        self.offset = 0

    def items(self, field: Field, state: State, indent: str, mandatory: bool) -> tuple[State, bool]:
        """Read a list: items as long as the event code says so, and until it is full."""
        self.advance(indent)
        inside = state_after(self.grammar, state, field)
        leaf = inside.ahead[0] if inside.ahead else None
        bounded = self.grammar.type.declaration.content is None and getattr(leaf, "field", None) is field
        unrolled = leaf.most + 1 if leaf is not None and bounded and leaf.most is not None else None
        me = min(number(self.grammar, p) for p in self.grammar.productions(inside) if p.field is field)
        variable = self.variables[field.name]
        self.line(f"{indent}{variable} = []")
        self.line(f"{indent}while True:")
        inner = indent + " "
        self.variables[field.name], self.items_in = "i", variable
        self.element(field, field.members[0], inner)
        self.advance(inner)
        self.variables[field.name], self.items_in = variable, ""
        self.line(f"{inner}{variable}.append(i)")
        if unrolled is not None:
            full = state_when_full(inside)
            self.line(f"{inner}if len({variable}) == {unrolled}:")
            self.choose(full, inner + " ")
            self.line(f"{inner} break")
        elif field.most is not None:
            self.line(f"{inner}if len({variable}) > {field.most}: raise Deviation(p, 'more than {field.most} items')")
        self.choose(inside, inner)
        self.line(f"{inner}if k != {me}: break")
        self.line(f"{indent}{variable} = tuple({variable})")
        return inside, True

    # -- one element or attribute, from behind its event code

    def element(self, field: Field, member: Member, indent: str) -> None:
        variable = self.variables[field.name]
        if field.attribute:
            self.attribute(field, variable, indent)
        elif member.cls is not None:
            self.child(member.cls, variable, indent)
        else:
            assert field.simple is not None
            self.simple(field, field.simple, variable, indent)

    def attribute(self, field: Field, variable: str, indent: str) -> None:
        self.advance(indent)
        read = self.decoder.share(
            ("attribute", field.simple, field.qname), lambda: self.decoder.value_reader(field), "A"
        )
        self.line(f"{indent}{variable}, p = {read}(s, b, p)")

    def child(self, cls: type[Any], variable: str, indent: str) -> None:
        grammar = self.decoder.grammar(cls)
        if compact(grammar) and (shape := compact_shape(grammar)):
            self.cached(cls, shape, variable, indent)
            return
        self.advance(indent)
        self.line(f"{indent}{variable}, p = {self.decoder.name(cls)}(s, b, p)")

    def cached(self, cls: type[Any], shape: tuple[int, int], variable: str, indent: str) -> None:
        """Look a small type up by all its bits; its length shows in the continuation bits of its one long number."""
        fixed, rest = shape
        prefix = self.pending
        self.pending = ""
        decode = self.decoder.name(cls)
        cache = self.decoder.share(("cache", cls, prefix), dict, "K")
        miss = self.decoder.share(
            ("miss", cls, prefix), lambda: _miss(self.decoder, cls, prefix, self.decoder._scope[cache]), "M"
        )
        del decode
        start, first = self.at(), self.offset + len(prefix) + fixed
        ends = [f"p+{first + 8 * groups + rest}" for groups in (1, 2, 3)]
        self.line(
            f"{indent}q = {ends[0]} if s[p+{first}] == '0' else {ends[1]} if s[p+{first + 8}] == '0' else {ends[2]}"
        )
        self.line(f"{indent}{variable} = {cache}.get(s[{start}:q])")
        self.line(f"{indent}if {variable} is None: {variable}, p = {miss}(s, b, {start})")
        self.line(f"{indent}else: p = q")
        self.offset = 0

    def simple(self, field: Field, simple: Simple, variable: str, indent: str) -> None:
        """A simple element: its characters event, value and end, with the fixed bits before them."""
        prefix = self.pending + "0"
        if simple.kind in _FINITE and (size := _count(simple)) <= LARGEST_LOOKUP:
            self.pending = ""
            width = len(prefix) + simple.width + 1
            table = self.decoder.table(("value", simple, prefix), lambda: lookup(simple, prefix, size))
            self.line(f"{indent}{variable} = {table}[s[{self.at()}:{self.at(width)}]]", width, len(prefix), simple)
            self.offset += width
            return
        if simple.kind in (Kind.UNSIGNED, Kind.SIGNED):
            self.pending = ""
            sign = simple.kind is Kind.SIGNED
            width = len(prefix) + sign + 9
            table = self.decoder.table(("short", simple, prefix), lambda: short_numbers(simple, prefix))
            read = self.long_number(field, simple, prefix)
            self.line(f"{indent}{variable} = {table}.get(s[{self.at()}:{self.at(width)}])")
            self.line(f"{indent}if {variable} is None: {variable}, p = {read}(s, b, {self.at()})")
            self.line(f"{indent}else: p += {self.offset + width}")
            self.offset = 0
            return
        self.advance(indent)
        key = ("element", simple, field.qname)
        read = self.decoder.share(key, lambda: element_reader(simple, self.decoder.value_reader(field)), "E")
        self.line(f"{indent}{variable}, p = {read}(s, b, p)")

    def long_number(self, field: Field, simple: Simple, prefix: str) -> str:
        """A reader of a number of several groups, with the fixed bits around it."""
        bare = self.decoder.value_reader(field)

        def read(s: str, b: bytes, p: int) -> tuple[Any, int]:
            if s[p : p + len(prefix)] != prefix:
                raise Deviation(p, "undeclared content")
            value, q = bare(s, b, p + len(prefix))
            if s[q] != "0":
                raise Deviation(q, "more content where a simple element ends")
            return value, q + 1

        return self.decoder.share(("number", simple, prefix), lambda: read, "L")

    def value(self, field: Field, state: State, live: bool) -> None:
        """The text of a type with simple content."""
        self.field = field.name
        self.advance(" ")
        simple = field.simple
        assert simple is not None
        variable = self.variables[field.name]
        read = self.decoder.share(
            ("content", simple, self.grammar.type.cls),
            lambda: content_reader(simple, self.decoder.value_reader(field)),
            "B",
        )
        if not live:
            self.choose(state, " ")
        if empty_allowed(self.grammar):
            empty = "''" if simple.kind is Kind.STRING else "b''"
            self.line(f" if k == {EMPTY}:")
            self.line("  if s[p:p+3] != '000': raise Deviation(p, 'undeclared content instead of a value')")
            self.line(f"  {variable} = {empty}; p += 3")
            self.line(f" else: {variable}, p = {read}(s, b, p)")
        else:
            self.line(f" {variable}, p = {read}(s, b, p)")


def empty_allowed(grammar: Grammar) -> bool:
    """Whether a type's text may be empty, which EXIficient writes as an undeclared end event."""
    value = grammar.type.value
    return value is not None and value.simple is not None and value.simple.kind in _BYTEWISE and not value.simple.low


_FINITE = (Kind.BOOLEAN, Kind.ENUMERATION, Kind.N_BIT)
_BYTEWISE = (Kind.STRING, Kind.BINARY)


def readable(production: Production) -> bool:
    """Whether declarations can hold what a production brings: no foreign elements, no text between elements."""
    if production.event is Event.END:
        return True
    return production.field is not None and not (production.member is not None and production.member.abstract)


def number(grammar: Grammar, production: Production) -> int:
    """A number for an event that grows along the type: the field's, then the member's place."""
    if production.event is Event.END:
        return END
    assert production.field is not None
    place = 0
    for slot in slots(grammar):
        for field in slot.fields:
            for member in field.members:
                if field is production.field and (production.member is None or member == production.member):
                    return place
                place += 1
    return place  # the text of simple content


def _count(simple: Simple) -> int:
    if simple.kind is Kind.ENUMERATION:
        return len(simple.literals)
    return (simple.high or 0) - (simple.low or 0) + 1


def lookup(simple: Simple, prefix: str, size: int) -> dict[str, Any]:
    """All values of a small type by their bits, with the fixed bits around them."""
    width, low = simple.width, simple.low or 0
    if simple.kind is Kind.ENUMERATION:
        values: Any = simple.literals
    elif simple.kind is Kind.BOOLEAN:
        values = (False, True)
    else:
        values = range(low, low + size)
    return {f"{prefix}{i:0{width}b}0": value for i, value in enumerate(values)}


def short_numbers(simple: Simple, prefix: str) -> dict[str, int]:
    """The numbers of one group by their bits, with the fixed bits around them."""
    low, high = simple.low, simple.high
    signs = (("0", 1, 0), ("1", -1, -1)) if simple.kind is Kind.SIGNED else (("", 1, 0),)
    found = {f"{prefix}{sign}{i:08b}0": factor * i + shift for sign, factor, shift in signs for i in range(128)}
    return {k: v for k, v in found.items() if (low is None or v >= low) and (high is None or v <= high)}


def compact_shape(grammar: Grammar) -> tuple[int, int] | None:
    """For a compact type with one number of variable length: bits before its first group, and behind its last."""
    before, after, seen = 0, 1, False
    for field in grammar.type.fields:
        simple = field.simple
        assert simple is not None
        if simple.kind in _FINITE:
            if seen:
                after += 2 + simple.width + 1
            else:
                before += 2 + simple.width + 1
        elif seen or simple.high is None or simple.high.bit_length() > 21:
            return None
        else:
            seen = True
            before += 2 + (simple.kind is Kind.SIGNED)
            after += 1
    return (before, after) if seen else None


def _miss(decoder: Decoder, cls: type[Any], prefix: str, cache: dict[str, Any]) -> Decode:
    """Decode a small type that is not in the cache, and put it there."""
    size = len(prefix)

    def miss(s: str, b: bytes, p: int) -> tuple[Any, int]:
        if s[p : p + size] != prefix:
            raise Deviation(p, "undeclared content")
        value, q = decoder.function(cls)(s, b, p + size)
        if len(cache) >= CACHED_VALUES:
            cache.clear()
        cache[s[p:q]] = value
        return value, q

    return miss


_TWINS: dict[type[Any], type[Any]] = {}


def twin(cls: type[Any]) -> type[Any]:
    """A class laid out like `cls` whose objects may be filled; they become frozen by taking `cls` as their class."""
    known = _TWINS.get(cls)
    if known is None:
        slots_of = vars(cls).get("__slots__", ())
        space = {"__slots__": slots_of, "__setattr__": object.__setattr__, "__module__": cls.__module__}
        known = _TWINS[cls] = type(cls.__name__, cls.__bases__, space)
    return known
