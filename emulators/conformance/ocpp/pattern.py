"""Patterns that payloads of OCPP messages are compared with. Pure.

A pattern is a value, a set of permitted values, a function that returns a bool, `ANY` for a member that is present, or
a dict or list of patterns; members that a dict does not name are ignored. `ABSENT` in a dict forbids a member.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import Enum


class Presence(Enum):
    """Requirement on the presence of a member."""

    ANY = "any value"
    ABSENT = "absent"


ANY, ABSENT = Presence.ANY, Presence.ABSENT


def matches(value: object, pattern: object) -> bool:
    """Return whether a value conforms to a pattern."""
    if pattern is ANY:
        return True
    if isinstance(pattern, Mapping):
        return isinstance(value, Mapping) and all(_member(value, name, part) for name, part in pattern.items())
    if isinstance(pattern, list):
        same = isinstance(value, list) and len(value) == len(pattern)
        return same and isinstance(value, list) and all(map(matches, value, pattern))
    if isinstance(pattern, frozenset | set):
        return value.__hash__ is not None and value in pattern
    if isinstance(pattern, Callable):  # type: ignore[arg-type]
        return bool(pattern(value))  # type: ignore[operator]
    return type(value) is bool and value is pattern if isinstance(pattern, bool) else value == pattern


def _member(value: Mapping[str, object], name: str, part: object) -> bool:
    if part is ABSENT:
        return name not in value
    return name in value and matches(value[name], part)


def text(pattern: object) -> str:
    """Return a pattern as people read it in a report."""
    if isinstance(pattern, Presence):
        return pattern.value
    if isinstance(pattern, Mapping):
        return ", ".join(f"{name} = {text(part)}" for name, part in pattern.items()) or "any payload"
    if isinstance(pattern, frozenset | set):
        return " or ".join(sorted(map(str, pattern)))
    if isinstance(pattern, list):
        return "[" + "; ".join(map(text, pattern)) + "]"
    if callable(pattern):
        return str(getattr(pattern, "__doc__", None) or "as the case requires")
    return str(pattern)
