"""Hypothesis strategies for valid payloads of any action, derived from its schema."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from protocols.ocpp import schema
from protocols.ocpp.schema import Part, Version

TEXTS = st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc")), max_size=12)
TIMES = st.sampled_from(
    ["2026-01-15T00:00:00Z", "2026-01-15T01:00:00.123+01:00", "1970-01-01T00:00:00Z", "9999-12-31T23:59:59Z"]
)
MOST_ITEMS = 3
DEEPEST = 9


def payloads(version: Version, action: str, part: Part = Part.REQUEST) -> st.SearchStrategy[dict[str, Any]]:
    """Return any payload that is valid by the schema."""
    document = schema.document(version, action, part)
    return _objects(document, document, 0)


def _values(shape: Any, document: Any, depth: int) -> st.SearchStrategy[Any]:
    if "$ref" in shape:
        return _values(document["definitions"][shape["$ref"].rpartition("/")[2]], document, depth)
    if "enum" in shape:
        return st.sampled_from(shape["enum"])
    kind = shape.get("type")
    if kind == "object":
        return _objects(shape, document, depth + 1)
    if kind == "array":
        least = shape.get("minItems", 0)
        most = min(shape.get("maxItems", MOST_ITEMS), max(least, MOST_ITEMS))
        return st.lists(_values(shape["items"], document, depth + 1), min_size=least, max_size=most)
    if kind == "string":
        if shape.get("format") == "date-time":
            return TIMES
        if shape.get("format") == "uri":
            return st.just("ftp://example.invalid/file")
        return TEXTS.map(lambda text: text[: shape.get("maxLength", 12)])
    if kind == "integer":
        return st.integers(int(shape.get("minimum", -5)), int(shape.get("maximum", 2**31 - 1)))
    if kind == "number":
        low, high = shape.get("minimum", -1e6), shape.get("maximum", 1e6)
        if "multipleOf" in shape:
            return st.integers(int(low * 10), int(high * 10)).map(lambda tenths: tenths / 10)
        return st.floats(low, high, allow_nan=False)
    if kind == "boolean":
        return st.booleans()
    return st.none() | st.integers() | TEXTS


@st.composite
def _objects(draw: st.DrawFn, shape: Any, document: Any, depth: int) -> dict[str, Any]:
    required = set(shape.get("required", ()))
    found = {}
    for name, member in shape.get("properties", {}).items():
        wanted = name in required or (depth < DEEPEST and name != "customData" and draw(st.booleans()))
        if wanted:
            found[name] = draw(_values(member, document, depth))
    return found
