"""Generation of the source of an encoder.

Everything that the grammar fixes becomes constant text; a row of mandatory fields becomes one f-string. Where optional
fields make event codes depend on the preceding fields, the variable `t` holds the codes of the present state. The
encoder of a header with an optional signature is::

    def e1(m):
     if m.__class__ is not e1_class: raise InvalidValue
     out = f"00{C3[m.SessionID]}000{C4[m.TimeStamp]}0"
     t = T21
     v = m.Signature
     if v is not None:
      out += f"00{e4(v)}"
      t = T22
     return out + f"{t['']}"
"""

from __future__ import annotations

from protocols.exi.contexts import EncoderContext
from protocols.exi.grammar import Event, Grammar, State
from protocols.exi.schema import Field, Member, Simple
from protocols.exi.shape import Slot, is_compact, simple_of, slots, state_after, state_when_full, unrolled


class Source:
    """Source of one encoder."""

    def __init__(self, encoder: EncoderContext, grammar: Grammar, name: str) -> None:
        self._encoder = encoder
        self._grammar = grammar
        self._name = name
        self._lines: list[str] = []
        self._pending = ""  # body of an f-string that is not written yet
        self._started = False  # whether `out` exists

    def write(self) -> str:
        """Return the source of the whole function."""
        grammar = self._grammar
        self._encoder.scope[f"{self._name}_class"] = grammar.type.cls
        self._line(f"def {self._name}(m):")
        self._line(f" if m.__class__ is not {self._name}_class: raise InvalidValue")
        if is_compact(grammar):
            keys = "".join(f"[m.{f.name}]" for f in grammar.type.fields)
            self._line(f" return {self._encoder.compact_name(grammar.type.cls)}{keys}")
            return "\n".join(self._lines)
        states = [grammar.start]  # possible states; more than one after optional fields
        row = slots(grammar)
        for i, slot in enumerate(row):
            if i and len(states) == 1 and not any(map(_is_needed, row[i:])) and grammar.type.value is None:
                self._end_at_once(states[0], row[i:])
            states = self._slot(slot, states)
        value = grammar.type.value
        if value is not None:
            self._pending += self._code(states, None) + self._value(simple_of(value), "m.value")
            states = [p.after for p in grammar.productions(states[0]) if p.event is Event.TEXT and p.after is not None]
        self._pending += self._code(states, None)
        self._line(f' return out + f"{self._pending}"' if self._started else f' return f"{self._pending}"')
        return "\n".join(self._lines)

    def _line(self, text: str) -> None:
        self._lines.append(text)

    # -- pieces of f-strings

    def _code(self, states: list[State], field: Field | None) -> str:
        """Return the event code of a field (None: the end, or text) from the present state."""
        if len(states) > 1:
            return f"{{t[{(field.name if field else '')!r}]}}"
        return self._codes(states[0])[field.name if field else ""]

    def _codes(self, state: State) -> dict[object, str]:
        """Return the event codes of a state: by field name, by class for substitutes, by "" for the end or the type's
        text."""
        table: dict[object, str] = {}
        for code, p in self._grammar.codes(state).items():
            if p.event is Event.END or (p.event is Event.TEXT and p.field is not None):
                table[""] = code
            elif p.field is not None and (p.member is None or len(p.field.members) == 1):
                table[p.field.name] = code
            elif p.member is not None and not p.member.abstract:
                table[p.member.cls] = code
        return table

    def _table(self, state: State) -> str:
        return self._encoder.constant(self._codes(state))

    def _value(self, simple: Simple, expression: str) -> str:
        return f"{{{self._encoder.coder_name(simple)}[{expression}]}}"

    def _content(self, field: Field, member: Member, expression: str) -> str:
        """Return the text between an element's start and the next event code, its end included."""
        if field.attribute:
            return self._value(simple_of(field), expression)
        if member.cls is None:
            return f"0{self._value(simple_of(field), expression)}0"
        grammar = self._encoder.grammar(member.cls)
        if is_compact(grammar):
            first, *others = [f.name for f in grammar.type.fields]
            rest = "".join(f"[r.{name}]" for name in others)
            return f"{{{self._encoder.compact_name(member.cls)}[(r:={expression}).{first}]{rest}}}"
        return f"{{{self._encoder.name(member.cls)}({expression})}}"

    # -- statements

    def _end_at_once(self, state: State, rest: list[Slot]) -> None:
        """Write the end of an object that has none of the fields that follow."""
        absent = " is ".join(f"m.{field.name}" for slot in rest for field in slot.fields)
        text = f"{self._pending}{self._codes(state)['']}"
        self._line(f' if {absent} is None: return {"out + " if self._started else ""}f"{text}"')

    def _flush(self) -> None:
        """Write the pending text to `out`."""
        if self._pending or not self._started:
            self._line(f' out {"+=" if self._started else "="} f"{self._pending}"')
        self._started, self._pending = True, ""

    def _branch(self, states: list[State]) -> None:
        """Flush, and write the assignment of the codes of the present state to `t`."""
        self._flush()
        if len(states) == 1:
            self._line(f" t = {self._table(states[0])}")

    def _slot(self, slot: Slot, states: list[State]) -> list[State]:
        field = slot.fields[0]
        if slot.is_choice:
            return self._choice(slot, states)
        if field.is_list:
            return self._list(field, states)
        after = state_after(self._grammar, states[-1], field)
        if slot.mandatory and len(field.members) == 1:
            self._pending += self._code(states, field) + self._content(field, field.members[0], f"m.{field.name}")
            return [after]
        if slot.mandatory:
            self._flush()
            self._line(f" v = m.{field.name}")
            self._element(" ", field, states)
            return [after]
        self._branch(states)
        self._line(f" v = m.{field.name}")
        self._line(" if v is not None:")
        self._element("  ", field, states)
        self._line(f"  t = {self._table(after)}")
        return [*states, after]

    def _element(self, indent: str, field: Field, states: list[State]) -> None:
        """Write the code that appends the element in `v`."""
        if len(field.members) == 1:
            self._line(f'{indent}out += f"{self._code(states, field)}{self._content(field, field.members[0], "v")}"')
            return
        codes = "t" if len(states) > 1 else self._table(states[0])
        self._line(f"{indent}c = v.__class__; out += {codes}[c] + {self._encoder.substitutes(field)}[c](v)")

    def _choice(self, slot: Slot, states: list[State]) -> list[State]:
        """Write the code for exactly one branch of a choice, or at most one."""
        self._branch(states)
        after = state_after(self._grammar, states[-1], slot.fields[0])
        for position, field in enumerate(slot.fields):
            self._line(f" {'el' if position else ''}if (v := m.{field.name}) is not None:")
            others = [f"m.{f.name} is not None" for f in slot.fields[position + 1 :]]
            if others:
                self._line(f"  if {' or '.join(others)}: raise InvalidValue")
            self._element("  ", field, states)
            self._line(f"  t = {self._table(after)}")
        if slot.mandatory:
            self._line(" else: raise InvalidValue")
            return [after]
        return [*states, after]

    def _list(self, field: Field, states: list[State]) -> list[State]:
        """Write the code that appends all items, joined by the event code of a further one."""
        self._branch(states)
        inside = state_after(self._grammar, states[-1], field)
        limit = unrolled(self._grammar, inside, field)
        self._line(f" v = m.{field.name}")
        if field.least:
            self._line(f" if len(v) < {field.least}: raise InvalidValue")
        if field.most is not None:
            self._line(f" if len(v) > {field.most}: raise InvalidValue")
        self._line(" if v:")
        member = field.members[0]
        again = self._codes(inside).get(field.name, "")
        if member.cls is not None and is_compact(self._encoder.grammar(member.cls)):
            content = self._content(field, member, "i").removeprefix("{").removesuffix("}")
            items = f"{{'{again}'.join([{content} for i in v])}}"
        elif member.cls is None:
            items = f"0{{'0{again}0'.join([{self._encoder.coder_name(simple_of(field))}[i] for i in v])}}0"
        else:
            items = f"{{'{again}'.join(map({self._encoder.name(member.cls)}, v))}}"
        self._line(f'  out += f"{self._code(states, field)}{items}"')
        if limit is None:
            self._line(f"  t = {self._table(inside)}")
            return [inside] if field.least else [*states, inside]
        full = state_when_full(inside)
        self._line(f"  t = {self._table(full)} if len(v) == {limit} else {self._table(inside)}")
        return [inside, full] if field.least else [*states, inside, full]


def _is_needed(slot: Slot) -> bool:
    """Return whether a part of an object is present whenever its fields are not None."""
    return slot.mandatory or slot.fields[0].is_list
