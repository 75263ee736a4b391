"""Repair of payloads that break their schema without doubt about what is meant. Pure.

Members that the schema does not have are left out; numbers in quotes, texts without, words of an enumeration in another
case and a single element in place of a list are converted. What is missing is not invented.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from protocols.ocpp import schema
from protocols.ocpp.schema import Part, Payload, Version

Schema = Mapping[str, Any]
DEEPEST = 32


def repaired(version: Version, action: str, part: Part, payload: Payload) -> Payload | None:
    """Return the payload as its schema has it; None where it cannot be repaired."""
    document: Schema = schema.document(version, action, part)
    found = _value(document, document, payload, 0)
    if not isinstance(found, dict) or not schema.accepts(version, action, part)(found):
        return None
    return found


def _value(document: Schema, shape: Schema, value: object, depth: int) -> object:
    while "$ref" in shape:
        target: Any = document
        for name in str(shape["$ref"]).removeprefix("#/").split("/"):
            target = target[name]
        shape = target
    if depth > DEEPEST:
        return value
    kind = shape.get("type")
    if kind == "object" and isinstance(value, dict):
        return _members(document, shape, value, depth)
    if kind == "array":
        items = shape.get("items", {})
        elements = value if isinstance(value, list) else [value]
        return [_value(document, items, one, depth + 1) for one in elements]
    return _scalar(kind, shape, value)


def _members(document: Schema, shape: Schema, value: dict[str, object], depth: int) -> dict[str, object]:
    properties: Mapping[str, Schema] = shape.get("properties", {})
    closed = shape.get("additionalProperties") is False
    required = shape.get("required", ())
    found = {}
    for name, member in value.items():
        if name in properties:
            if member is not None or name in required:
                found[name] = _value(document, properties[name], member, depth + 1)
        elif not closed:
            found[name] = member
    return found


def _scalar(kind: object, shape: Schema, value: object) -> object:
    if kind in ("integer", "number") and isinstance(value, str):
        return _number(value)
    if kind == "string":
        text = value if isinstance(value, str) else _text(value)
        words = {str(word).casefold(): word for word in shape.get("enum", ())}
        return words.get(text.casefold(), text) if isinstance(text, str) else text
    if kind == "boolean" and isinstance(value, str) and value.casefold() in ("true", "false"):
        return value.casefold() == "true"
    return value


def _number(text: str) -> object:
    try:
        value = float(text)
    except ValueError:
        return text
    return int(value) if value.is_integer() and abs(value) < 2**53 else value


def _text(value: object) -> object:
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"{value:.15g}" if isinstance(value, float) else str(value) if isinstance(value, int) else value
