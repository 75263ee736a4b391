"""Generates `docs/configuration.md` from the settings: `python -m gateway.config.reference` prints it.

A test compares the two.
"""

from __future__ import annotations

import sys
from enum import Enum
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from gateway.config import Config

BOUNDS = {"ge": "from", "gt": "above", "le": "to", "lt": "below"}
HEAD = Path(__file__).with_name("reference_head.md").read_text("utf-8")


def as_markdown() -> str:
    """Return the whole page."""
    parts = [HEAD]
    for name, field in Config.model_fields.items():
        parts += _table(name, field.annotation)
    return "\n".join(parts) + "\n"


def _table(name: str, annotation: object) -> list[str]:
    """Return heading and rows of a section, followed by those of the tables inside it."""
    sections, listed = _sections(annotation)
    heading = f"`[[{name}]]`" if listed else f"`[{name}]`"
    parts: list[str] = []
    for section in sections:
        kind = f" with `driver = {_drivers(section)}`" if len(sections) > 1 else ""
        parts += _one_table(name, f"{heading}{kind}", section)
    return parts


def _drivers(section: type[BaseModel]) -> str:
    return " or ".join(f'"{one}"' for one in get_args(section.model_fields["driver"].annotation))


def _one_table(name: str, heading: str, section: type[BaseModel]) -> list[str]:
    about = (section.__doc__ or "").strip().splitlines()[0]
    parts = [f"\n## {heading}\n\n{about}"]
    inner = {key: one for key, one in section.model_fields.items() if _sections(one.annotation)[0]}
    rows = [_row(key, one) for key, one in section.model_fields.items() if key not in inner]
    if rows:
        parts.append("\n| key | type | default | meaning |\n|---|---|---|---|")
        parts += rows
    for key, one in inner.items():
        parts += _table(f"{name}.{key}", one.annotation)
    return parts


def _sections(annotation: object) -> tuple[list[type[BaseModel]], bool]:
    """Return the tables of an annotation, several for a choice, and whether it is a list of them."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation], False
    found: list[type[BaseModel]] = []
    listed = get_origin(annotation) in (list, tuple)
    for inner in get_args(annotation):
        more, of_list = _sections(inner)
        found, listed = found + more, listed or of_list
    return found, listed and bool(found)


def _row(key: str, field: FieldInfo) -> str:
    about = field.description or ""
    kind = _type(field.annotation, tuple(field.metadata))
    return f"| `{key}` | {kind} | {_default(field)} | {about} |".replace(" |  |", " | |")


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "*required*"
    value = field.default if field.default is not PydanticUndefined else field.get_default(call_default_factory=True)
    if value is None or value in ({}, []):
        return ""
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    return f"`{value}`" if not isinstance(value, str) else f'`"{value}"`'


def _type(annotation: Any, metadata: tuple[Any, ...]) -> str:
    origin, args = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _type(args[0], (*args[1:], *metadata))
    if origin is Literal:
        return " / ".join(f'`"{one}"`' if isinstance(one, str) else f"`{one}`" for one in args)
    if origin in (Union, UnionType):
        return " or ".join(_type(one, metadata) for one in args if one is not NoneType)
    if origin is list:
        return f"list of {_type(args[0], ())}"
    if origin is dict:
        return f"table of {_type(args[1], ())}"
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        return " / ".join(f'`"{one.value}"`' for one in annotation)
    names = {str: "text", int: "whole number", float: "number", bool: "true or false", Path: "path"}
    return names.get(annotation, "value") + _bounds(metadata)


def _bounds(metadata: tuple[object, ...]) -> str:
    flat = [one for item in metadata for one in (getattr(item, "metadata", None) or [item])]
    parts = [f"{word} {getattr(one, name):g}" for one in flat for name, word in BOUNDS.items() if hasattr(one, name)]
    return f", {' '.join(parts)}" if parts else ""


def main() -> None:
    """Write the page to standard output."""
    sys.stdout.write(as_markdown())


if __name__ == "__main__":
    main()
