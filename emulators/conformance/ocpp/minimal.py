"""Smallest valid payloads, from the schemas: responses of a tester station to requests that a case does not answer."""

from __future__ import annotations

from collections.abc import Mapping

from protocols.json_values import items, members
from protocols.ocpp import schema
from protocols.ocpp.schema import Part, Payload, Version

PREFERRED = ("Accepted", "Unlocked", "NoProfiles", "Idle")


def response(version: Version, action: str) -> Payload:
    """Return the smallest response to an action; words of an enumeration that accept are preferred."""
    document = schema.document(version, action, Part.RESPONSE)
    return members(_value(document, document))


def _value(document: Mapping[str, object], shape: Mapping[str, object]) -> object:
    reference = shape.get("$ref")
    if isinstance(reference, str):
        target: object = document
        for name in reference.removeprefix("#/").split("/"):
            target = members(target).get(name)
        return _value(document, members(target))
    words = [str(word) for word in items(shape.get("enum"))]
    if words:
        return next((word for word in PREFERRED if word in words), words[0])
    kind = shape.get("type")
    if kind == "object":
        properties = members(shape.get("properties"))
        required = [str(name) for name in items(shape.get("required"))]
        return {name: _value(document, members(properties.get(name))) for name in required}
    if kind == "array":
        least = shape.get("minItems", 0)
        return [_value(document, members(shape.get("items")))] * (least if isinstance(least, int) else 0)
    return {"string": _text(shape), "boolean": False, "integer": 0, "number": 0.0}.get(str(kind), "")


def _text(shape: Mapping[str, object]) -> str:
    return "2026-01-01T00:00:00Z" if shape.get("format") == "date-time" else "v2x"
