"""Typed access to values of JSON: what is no object or array counts as empty."""

from __future__ import annotations


def members(value: object) -> dict[str, object]:
    """Return the members of an object; none of another value."""
    return value if isinstance(value, dict) else {}


def items(value: object) -> list[object]:
    """Return the items of an array; none of another value."""
    return value if isinstance(value, list) else []


def first_member(value: object) -> tuple[str, object]:
    """Return name and value of the first member of an object; "" and None without one."""
    return next(iter(members(value).items()), ("", None))
