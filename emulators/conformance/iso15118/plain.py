"""Messages in JSON form: envelope, schema and payload type by name, numbers, and changes of nested fields."""

from __future__ import annotations

import copy
from collections.abc import Mapping

from protocols.iso15118.codecs import BY_NAME
from protocols.iso15118.conversation import PAYLOAD_TYPES
from protocols.iso15118.dialogue import body
from protocols.json_values import items, members
from protocols.v2gtp import frame

Plain = dict[str, object]
ABSENT = object()  # as the value of a change: remove the field


def schema_of(protocol: str, name: str) -> str:
    """Return the schema of a message of a protocol."""
    if name.startswith("supportedAppProtocol"):
        return "sap"
    if protocol == "iso20" and name[:3] in ("DC_", "AC_"):
        return f"iso20-{name[:2].lower()}"
    return protocol


def with_header(protocol: str, name: str, fields: Plain, session_id: str, timestamp: int) -> Plain:
    """Return a whole message."""
    if name.startswith("supportedAppProtocol"):
        return {name: fields}
    if protocol == "iso20":
        return {name: {"Header": {"SessionID": session_id, "TimeStamp": timestamp}, **fields}}
    return {"V2G_Message": {"Header": {"SessionID": session_id}, "Body": {name: fields}}}


def encoded(schema: str, plain: Plain, payload_type: int | None = None) -> bytes:
    """Return the V2GTP frame of a message. Raises LocalProtocolError for what the schema cannot express."""
    codec = BY_NAME[schema]
    element, message = codec.from_plain(plain)
    kind = PAYLOAD_TYPES[schema] if payload_type is None else payload_type
    return frame(kind, codec.encode(message, element=element))


def fields_of(plain: Plain) -> Plain:
    """Return the fields of a message without its envelope; the object itself, so that it can be changed."""
    return body(plain)[1]


def header_of(plain: Plain) -> Plain:
    """Return the header of a message, {} without one."""
    return members(members(next(iter(plain.values()), None)).get("Header"))


def number(value: object) -> float:
    """Return a RationalNumber, a PhysicalValue or a plain number; NaN for anything else."""
    table = members(value)
    if "Value" in table:
        exponent = table.get("Exponent", table.get("Multiplier", 0))
        base, power = table["Value"], exponent
        if isinstance(base, int | float) and isinstance(power, int):
            return float(base * 10.0**power)
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    return float("nan")


def changed(plain: Plain, changes: Mapping[str, object]) -> Plain:
    """Return a copy with changed fields; a name is a path such as `Mode.EVMaximumVoltage` or `List.Entry.0.Power`."""
    copied = copy.deepcopy(plain)
    for path, value in changes.items():
        *inner, last = path.split(".")
        place: object = copied
        for part in inner:
            place = _step(place, part)
        if isinstance(place, list):
            if value is ABSENT:
                del place[int(last)]
            else:
                place[int(last)] = value
        elif isinstance(place, dict):
            if value is ABSENT:
                place.pop(last, None)
            else:
                place[last] = value
    return copied


def _step(place: object, part: str) -> object:
    if isinstance(place, list):
        return place[int(part)]
    table = members(place)
    return table.setdefault(part, {})


def find(plain: object, path: str) -> object:
    """Return a nested field by its path; None where it is absent."""
    for part in path.split("."):
        if isinstance(plain, list):
            found = items(plain)
            plain = found[int(part)] if part.isdigit() and int(part) < len(found) else None
        else:
            plain = members(plain).get(part)
    return plain
