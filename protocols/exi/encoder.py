"""The encoder: one Python function per declared type, written and compiled when the type is first met.

A function takes a message part and returns the text of its bits, from behind its start to its end event. Everything the
grammar fixes is folded into constants at compile time; a row of mandatory fields becomes one f-string. Where optional
fields make the event codes depend on what came before, a variable holds the codes of the present state. Limits are
enforced by the coders; what does not fit raises something, and `check` then finds out what to tell the caller.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from protocols.exi.grammar import Event, Grammar, State
from protocols.exi.schema import Field, Kind, Member, Schema, Simple
from protocols.exi.values import CACHED_VALUES, Coder, Unfit

Encode = Callable[[Any], str]

COMPACT_FIELDS = 3
COMPACT_KINDS = (Kind.BOOLEAN, Kind.ENUMERATION, Kind.N_BIT, Kind.UNSIGNED, Kind.SIGNED)
COMPACT_BITS = 33  # numbers up to 32 bits


def compact(grammar: Grammar) -> bool:
    """Whether a type is a handful of mandatory numbers, such as a RationalNumber: worth looking up as a whole."""
    fields = grammar.type.fields
    return 0 < len(fields) <= COMPACT_FIELDS and grammar.type.elements == fields and all(_is_number(f) for f in fields)


def _is_number(field: Field) -> bool:
    simple = field.simple
    if simple is None or simple.kind not in COMPACT_KINDS or field.is_list or not field.least or field.choice:
        return False
    if simple.kind in (Kind.UNSIGNED, Kind.SIGNED):
        return simple.high is not None and simple.high.bit_length() < COMPACT_BITS
    return True


class Encoder:
    """Compiled encoders of one schema."""

    def __init__(self, schema: Schema, irregular: Callable[[Grammar, Any, Encoder], str]) -> None:
        self.schema = schema
        self._irregular = irregular
        self._grammars: dict[type[Any], Grammar] = {}
        self._coders: dict[Simple, tuple[str, Coder]] = {}
        self._names: dict[type[Any], str] = {}
        self._scope: dict[str, Any] = {"Unfit": Unfit}

    def grammar(self, cls: type[Any]) -> Grammar:
        """The grammar of a type."""
        known = self._grammars.get(cls)
        if known is None:
            known = self._grammars[cls] = Grammar(self.schema, cls)
        return known

    def function(self, cls: type[Any]) -> Encode:
        """The compiled encoder of a type."""
        name = self._name(cls)
        found: Encode = self._scope[name]
        if getattr(found, "is_stub", False):
            self._compile(cls, name)
            found = self._scope[name]
        return found

    def simple(self, simple: Simple) -> Coder:
        """The coder of a simple type."""
        return self._coder(simple)[1]

    def _coder(self, simple: Simple) -> tuple[str, Coder]:
        known = self._coders.get(simple)
        if known is None:
            known = self._coders[simple] = (f"C{len(self._coders)}", Coder(simple))
            self._scope[known[0]] = known[1]
        return known

    def _name(self, cls: type[Any]) -> str:
        """The global name under which other encoders call this one; a stub compiles it on the first call."""
        name = self._names.get(cls)
        if name is None:
            name = self._names[cls] = f"e{len(self._names)}"

            def stub(part: Any) -> str:
                return self.function(cls)(part)

            stub.is_stub = True  # type: ignore[attr-defined]
            self._scope[name] = stub
        return name

    def _compile(self, cls: type[Any], name: str) -> None:
        grammar = self.grammar(cls)
        if not is_regular(grammar):
            self._scope[name] = lambda part: self._irregular(grammar, part, self)
            return
        writer = _Writer(self, grammar, self._scope, name)
        source = writer.write()
        exec(compile(source, f"<exi encoder of {cls.__name__}>", "exec"), self._scope)


def is_regular(grammar: Grammar) -> bool:
    """Whether the fields come in their own order, so that straight-line code can read and write them.

    Irregular are the types whose particles form groups that repeat or go together, all of them in XML Signature.
    """
    content = grammar.type.declaration.content
    if content is None:
        return all(not f.is_list or len(f.members) == 1 for f in grammar.type.elements)
    named = [part for part in content.parts if isinstance(part, str) and part != "*"]
    groups = [part for part in content.parts if not isinstance(part, str)]
    lone = content.most == 1 or len(named) <= 1
    return lone and all(group.parts == ("*",) for group in groups)


class Slot:
    """One field, or the branches of one choice, in the order of the type's content."""

    def __init__(self, fields: list[Field]) -> None:
        self.fields = fields
        first = fields[0]
        self.is_choice = first.choice is not None
        self.mandatory = first.choice.role == "choice" if first.choice is not None else first.least > 0


def slots(grammar: Grammar) -> list[Slot]:
    """Attributes and elements of a type, choices taken together."""
    found: list[Slot] = []
    for field in (*grammar.type.attributes, *grammar.type.elements):
        if field.choice is not None and found and found[-1].fields[0].choice is field.choice:
            found[-1].fields.append(field)
        else:
            found.append(Slot([field]))
    return found


def state_after(grammar: Grammar, state: State, field: Field) -> State:
    """The state behind one occurrence of a field."""
    after = next(p.after for p in grammar.productions(state) if p.field is field)
    assert after is not None
    return after


def state_when_full(state: State) -> State:
    """The state behind the last occurrence a list may have, given a state inside the list."""
    return State(state.attributes, state.ahead[1:])


class _Writer:
    """Writes the source of one encoder."""

    def __init__(self, encoder: Encoder, grammar: Grammar, scope: dict[str, Any], name: str) -> None:
        self.encoder = encoder
        self.grammar = grammar
        self.scope = scope
        self.name = name
        self.lines: list[str] = []
        self.pending = ""  # body of an f-string that nothing has emitted yet
        self.started = False

    def write(self) -> str:
        cls = self.grammar.type.cls
        self.scope[f"{self.name}_class"] = cls
        self.line(f"def {self.name}(m):")
        self.line(f" if m.__class__ is not {self.name}_class: raise Unfit")
        if compact(self.grammar):
            self._write_compact()
            return "\n".join(self.lines)
        states: list[Any] = [self.grammar.start]  # those we may be in; more than one behind optional fields
        for slot in slots(self.grammar):
            states = self._slot(slot, states)
        value = self.grammar.type.value
        if value is not None:
            self.pending += self._code(states, None) + self._simple(value.simple, "m.value")
            states = [next(p.after for p in self.grammar.productions(states[0]) if p.event is Event.TEXT)]
        self.pending += self._code(states, None)
        self._finish()
        return "\n".join(self.lines)

    def line(self, text: str) -> None:
        self.lines.append(text)

    def constant(self, value: Any) -> str:
        """A global name for a value."""
        name = f"{self.name}_{len(self.scope)}"
        self.scope[name] = value
        return name

    # -- pieces of f-strings

    def _code(self, states: list[Any], field: Field | None) -> str:
        """The event code of a field (None: end or text) from the present state, as part of an f-string."""
        if len(states) == 1:
            return self._code_in(states[0], field)
        return f"{{t[{self._key(field)!r}]}}"

    def _code_in(self, state: State, field: Field | None) -> str:
        for code, p in self.grammar.codes(state).items():
            if p.field is field if field else p.event is Event.END or (p.event is Event.TEXT and p.field is not None):
                return code
        raise AssertionError(field)

    def _key(self, field: Field | None) -> str:
        return field.name if field else ""

    def _table(self, state: State) -> str:
        """A global with the event codes of a state: by field name, by class for substitutes, by "" for the end."""
        table: dict[Any, str] = {}
        for code, p in self.grammar.codes(state).items():
            if p.event is Event.END or (p.event is Event.TEXT and p.field is not None):
                table[""] = code
            elif p.field is not None and (p.member is None or len(p.field.members) == 1):
                table[p.field.name] = code
            elif p.member is not None and not p.member.abstract:
                table[p.member.cls] = code
        return self.constant(table)

    def _simple(self, simple: Simple | None, expression: str) -> str:
        assert simple is not None
        return f"{{{self.encoder._coder(simple)[0]}[{expression}]}}"

    def _content(self, field: Field, member: Member, expression: str) -> str:
        """What stands between an element's start and the next event code, its end included."""
        if field.attribute:
            return self._simple(field.simple, expression)
        if member.cls is None:
            return f"0{self._simple(field.simple, expression)}0"
        grammar = self.encoder.grammar(member.cls)
        if compact(grammar):
            names = [f.name for f in grammar.type.fields]
            table = f"K_{self.encoder._name(member.cls)}"
            if table not in self.scope:
                self.scope[table] = _Compact(self.encoder, grammar)
            rest = "".join(f", r.{name}" for name in names[1:])
            return f"{{{table}[(r:={expression}).{names[0]}{rest}]}}"
        return f"{{{self.encoder._name(member.cls)}({expression})}}"

    def _flush(self, indent: str = " ") -> None:
        if not self.pending:
            return
        if self.started:
            self.line(f'{indent}out += f"{self.pending}"')
        else:
            self.line(f'{indent}out = f"{self.pending}"')
            self.started = True
        self.pending = ""

    def _finish(self) -> None:
        if self.started:
            self.line(f' return out + f"{self.pending}"' if self.pending else " return out")
        else:
            self.line(f' return f"{self.pending}"')

    # -- slots

    def _slot(self, slot: Slot, states: list[Any]) -> list[Any]:
        field = slot.fields[0]
        if slot.is_choice:
            return self._choice(slot, states)
        if field.is_list:
            return self._list(field, states)
        if slot.mandatory:
            self._mandatory(field, states)
            return [state_after(self.grammar, states[-1], field)]
        self._start(states)
        self.line(f" v = m.{field.name}")
        self.line(" if v is not None:")
        self._element("  ", field, states)
        after = state_after(self.grammar, states[-1], field)
        self.line(f"  t = {self._table(after)}")
        return [*states, after]

    def _start(self, states: list[Any]) -> None:
        """Emit what is pending and make `t` hold the codes of the present state."""
        if not self.started and not self.pending:
            self.line(" out = ''")
            self.started = True
        self._flush()
        if len(states) == 1:
            self.line(f" t = {self._table(states[0])}")

    def _mandatory(self, field: Field, states: list[Any]) -> None:
        if len(field.members) == 1:
            self.pending += self._code(states, field) + self._content(field, field.members[0], f"m.{field.name}")
            return
        self._flush()
        if not self.started:
            self.line(" out = ''")
            self.started = True
        self.line(f" v = m.{field.name}")
        self._element(" ", field, states)

    def _element(self, indent: str, field: Field, states: list[Any]) -> None:
        """Append the element in `v`."""
        if len(field.members) == 1:
            self.line(f'{indent}out += f"{self._code(states, field)}{self._content(field, field.members[0], "v")}"')
            return
        functions = self.constant(_Substitutes(self.encoder, field))
        codes = "t" if len(states) > 1 else self._table(states[0])
        self.line(f"{indent}c = v.__class__; out += {codes}[c] + {functions}[c](v)")

    def _choice(self, slot: Slot, states: list[Any]) -> list[Any]:
        self._start(states)
        for position, field in enumerate(slot.fields):
            self.line(f" {'el' if position else ''}if (v := m.{field.name}) is not None:")
            others = [f"m.{f.name} is not None" for f in slot.fields[position + 1 :]]
            if others:
                self.line(f"  if {' or '.join(others)}: raise Unfit")
            self._element("  ", field, states)
            after = state_after(self.grammar, states[-1], field)
            self.line(f"  t = {self._table(after)}")
        if slot.mandatory:
            self.line(" else: raise Unfit")
            return [after]
        return [*states, after]

    def _list(self, field: Field, states: list[Any]) -> list[Any]:
        self._start(states)
        first = states[-1]
        inside = state_after(self.grammar, first, field)
        bounded = self.grammar.type.declaration.content is None and inside.ahead[:1] and _is_leaf(inside, field)
        unrolled = inside.ahead[0].most + 1 if bounded and inside.ahead[0].most is not None else None
        self.line(f" v = m.{field.name}")
        if field.least:
            self.line(f" if len(v) < {field.least}: raise Unfit")
        if field.most is not None:
            self.line(f" if len(v) > {field.most}: raise Unfit")
        self.line(" if v:")
        member = field.members[0]
        again = self._code_in(inside, field)
        if member.cls is None:
            coder = self.encoder._coder(field.simple)[0] if field.simple else ""
            items = f'0{{"0{again}0".join([{coder}[i] for i in v])}}0'
        else:
            items = f'{{"{again}".join(map({self.encoder._name(member.cls)}, v))}}'
        items = items.replace('"', "'")
        self.line(f'  out += f"{self._code(states, field)}{items}"')
        if unrolled is None:
            self.line(f"  t = {self._table(inside)}")
            return [inside] if field.least else [*states, inside]
        full = state_when_full(inside)
        self.line(f"  t = {self._table(full)} if len(v) == {unrolled} else {self._table(inside)}")
        return [inside, full] if field.least else [*states, inside, full]

    def _write_compact(self) -> None:
        names = [f.name for f in self.grammar.type.fields]
        table = f"K_{self.name}"
        if table not in self.scope:
            self.scope[table] = _Compact(self.encoder, self.grammar)
        self.line(f" return {table}[{', '.join(f'm.{n}' for n in names)}]")


def _is_leaf(state: State, field: Field) -> bool:
    return getattr(state.ahead[0], "field", None) is field


class _Compact(dict[Any, str]):
    """Text of a whole small type by the values of its fields."""

    def __init__(self, encoder: Encoder, grammar: Grammar) -> None:
        super().__init__()
        self._coders = [encoder.simple(f.simple) for f in grammar.type.fields if f.simple is not None]

    def __missing__(self, values: Any) -> str:
        if len(self) >= CACHED_VALUES:
            self.clear()
        row = values if isinstance(values, tuple) else (values,)
        bits = "".join(f"00{coder[value]}0" for coder, value in zip(self._coders, row, strict=True)) + "0"
        self[values] = bits
        return bits


class _Substitutes(dict[type[Any], Encode]):
    """The encoder by class for a field that substitutes stand for, found when a class first occurs."""

    def __init__(self, encoder: Encoder, field: Field) -> None:
        super().__init__()
        self._encoder = encoder
        self._classes = {member.cls for member in field.members if not member.abstract}

    def __missing__(self, cls: type[Any]) -> Encode:
        if cls not in self._classes:
            raise Unfit(f"{cls.__name__} can't stand here")
        self[cls] = self._encoder.function(cls)
        return self[cls]
