"""A member that an object has twice is found however the message is written: blanks, escapes, colons in texts."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from protocols.ocpp.incoming import decode, repetition

NAMES = st.text(st.sampled_from(':"\\ax '), max_size=3)
BLANKS = st.sampled_from(("", " ", "\n\t"))


@st.composite
def texts(draw: st.DrawFn, depth: int = 2) -> tuple[str, bool]:
    """Return a JSON value as text, and whether an object in it has a member twice."""
    kind = draw(st.sampled_from(("object", "array", "text", "number") if depth else ("text", "number")))
    if kind == "number":
        return draw(st.sampled_from(("0", "1.0", "-2e3", "true", "null"))), False
    if kind == "text":
        return written(draw), False
    parts = draw(st.lists(texts(depth - 1), max_size=3))
    repeated, blank = any(part[1] for part in parts), draw(BLANKS)
    if kind == "array":
        return f"[{blank}{','.join(part[0] for part in parts)}]", repeated
    names = [written(draw) for _ in parts]
    members = (f"{name}{draw(BLANKS)}:{draw(BLANKS)}{part[0]}" for name, part in zip(names, parts, strict=True))
    text = f"{{{blank}{','.join(members)}}}"
    return text, repeated or len({json.loads(name) for name in names}) < len(names)


def written(draw: st.DrawFn) -> str:
    """Return a text as JSON, with escapes that need not be."""
    name = json.dumps(draw(NAMES))
    escaped = draw(st.sampled_from((":", "a", "x", None)))
    return name if escaped is None else name.replace(escaped, f"\\u{ord(escaped):04x}")


@given(texts(4))
def test_a_repeated_member_is_found(value: tuple[str, bool]) -> None:
    text, repeated = f'[2,"1","A",{value[0]}]', value[1]
    message = decode(text)
    assert isinstance(message, list)
    assert (repetition(text, message) is not None) is repeated
