"""Diagnosis of messages that cannot be encoded: the encoder's checks again, with a text for each fault."""

from __future__ import annotations

from collections.abc import Iterator

from protocols.exi.schema import Field, Schema
from protocols.exi.values import Coder, InvalidValue


def faults(schema: Schema, part: object, path: str) -> Iterator[str]:
    """Yield every violation of the declarations in `part`, as `path: reason`."""
    described = schema.describe(part.__class__)
    if described.declaration.abstract:
        yield f"{path}: {part.__class__.__name__} is abstract, one of its substitutes is required"
        return
    present: dict[int, list[str]] = {}
    groups = 0
    previous = None
    for field in described.fields:
        if field.choice is None or previous is None or previous.choice is not field.choice:
            groups += 1
        previous = field
        value = getattr(part, field.name, None)
        if field.choice is not None:
            names = present.setdefault(groups, [])
            if value is not None:
                names.append(field.name)
        here = f"{path}/{field.name}"
        if field.is_list:
            yield from _list_faults(schema, field, value, here)
        elif value is not None:
            yield from _item_faults(schema, field, value, here)
        elif field.least:
            yield f"{here}: is missing"
    yield from _choice_faults(described.fields, present, path)


def _choice_faults(fields: tuple[Field, ...], present: dict[int, list[str]], path: str) -> Iterator[str]:
    role = {f.name: f.choice.role for f in fields if f.choice is not None}
    for names in present.values():
        if len(names) > 1:
            yield f"{path}: only one of {', '.join(names)} may be present"
        elif not names and "choice" in role.values():
            options = [name for name, kind in role.items() if kind == "choice"]
            yield f"{path}: one of {', '.join(options)} must be present"


def _list_faults(schema: Schema, field: Field, value: object, path: str) -> Iterator[str]:
    if not isinstance(value, tuple | list):
        yield f"{path}: {value!r} is not a tuple"
        return
    if len(value) < field.least:
        yield f"{path}: has {len(value)} items, at least {field.least} are needed"
    if field.most is not None and len(value) > field.most:
        yield f"{path}: has {len(value)} items, at most {field.most} are allowed"
    for index, item in enumerate(value):
        yield from _item_faults(schema, field, item, f"{path}[{index}]")


def _item_faults(schema: Schema, field: Field, value: object, path: str) -> Iterator[str]:
    if field.simple is not None:
        try:
            Coder(field.simple)[value]
        except InvalidValue as why:
            yield f"{path}: {why}"
        except TypeError:
            yield f"{path}: {value!r} is of the wrong type"
        return
    allowed = [member.cls for member in field.members if member.cls is not None and not member.abstract]
    if value.__class__ not in allowed:
        names = ", ".join(cls.__name__ for cls in allowed)
        yield f"{path}: {value.__class__.__name__} is not allowed here, only {names}"
        return
    yield from faults(schema, value, path)
