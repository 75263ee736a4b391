"""Messages as JSON-ready dictionaries and back.

Keys are the schema's local names. Attributes are ordinary keys, lists are lists where an element may occur more than
once, simple content is `value`, a substitute appears under its own name. Binary values are base64 text, or upper-case
hexadecimal where the schema says so; literals are strings, numbers are numbers of any size.
"""

from __future__ import annotations

import binascii
from collections.abc import Mapping
from enum import Enum

from protocols.errors import LocalProtocolError
from protocols.exi.schema import Field, Kind, Schema, Simple


def to_plain(schema: Schema, part: object) -> dict[str, object]:
    """Return the fields of a declared object that are present."""
    found: dict[str, object] = {}
    for field in schema.describe(part.__class__).fields:
        value = getattr(part, field.name)
        if value is None or (field.is_list and not value):
            continue
        found[_key(field, value)] = (
            [_value_to_plain(schema, field, item) for item in value]
            if field.is_list
            else _value_to_plain(schema, field, value)
        )
    return found


def simple_to_plain(simple: Simple, value: object) -> object:
    """Return one value of a simple type for JSON."""
    if isinstance(value, bytes):
        return value.hex().upper() if simple.hexadecimal else binascii.b2a_base64(value, newline=False).decode("ascii")
    return value.value if isinstance(value, Enum) else value


def _value_to_plain(schema: Schema, field: Field, value: object) -> object:
    return to_plain(schema, value) if field.simple is None else simple_to_plain(field.simple, value)


def _key(field: Field, value: object) -> str:
    if len(field.members) == 1:
        return field.members[0].qname.local
    return type(value).__name__


def from_plain(schema: Schema, cls: type[object], plain: object, path: str) -> object:
    """Return an object of `cls` from its dictionary. Raises LocalProtocolError with the path of an invalid member."""
    if not isinstance(plain, Mapping):
        raise LocalProtocolError(f"{path}: {plain!r} is not an object")
    described = schema.describe(cls)
    places = {member.qname.local: (field, member) for field in described.fields for member in field.members}
    values: dict[str, object] = {}
    for key, value in plain.items():
        if key not in places:
            raise LocalProtocolError(f"{path}/{key}: {cls.__name__} has no such element or attribute")
        field, member = places[key]
        here = f"{path}/{key}"
        if field.name in values:
            raise LocalProtocolError(f"{here}: another element of the same choice is present")
        if not field.is_list:
            values[field.name] = _value_from_plain(schema, field, member.cls, value, here)
            continue
        if not isinstance(value, list | tuple):
            raise LocalProtocolError(f"{here}: {value!r} is not a list")
        items = [_value_from_plain(schema, field, member.cls, v, f"{here}[{i}]") for i, v in enumerate(value)]
        values[field.name] = tuple(items)
    for field in described.fields:
        if field.least and field.name not in values:
            raise LocalProtocolError(f"{path}/{field.name}: is missing")
    return cls(**values)


def _value_from_plain(schema: Schema, field: Field, cls: type[object] | None, value: object, path: str) -> object:
    if cls is not None:
        return from_plain(schema, cls, value, path)
    assert field.simple is not None
    return simple_from_plain(field.simple, value, path)


def simple_from_plain(simple: Simple, value: object, path: str) -> object:
    """Return one value of a simple type from JSON."""
    kind = simple.kind
    if kind is Kind.BINARY:
        if not isinstance(value, str):
            raise LocalProtocolError(f"{path}: {value!r} is not text")
        try:
            return bytes.fromhex(value) if simple.hexadecimal else binascii.a2b_base64(value, strict_mode=True)
        except (ValueError, binascii.Error):
            form = "hexadecimal" if simple.hexadecimal else "base64"
            raise LocalProtocolError(f"{path}: {value!r} is not {form}") from None
    if kind is Kind.ENUMERATION:
        for literal in simple.literals:
            if literal.value == value:
                return literal
        literals = ", ".join(literal.value for literal in simple.literals)
        raise LocalProtocolError(f"{path}: {value!r} is none of {literals}")
    expected: tuple[type, str] = {Kind.BOOLEAN: (bool, "true or false"), Kind.STRING: (str, "text")}.get(
        kind, (int, "an integer")
    )
    if not isinstance(value, expected[0]) or (expected[0] is int and isinstance(value, bool)):
        raise LocalProtocolError(f"{path}: {value!r} is not {expected[1]}")
    return value
