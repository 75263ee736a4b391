"""Reading of incoming messages of OCPP-J apart from their rules: their beginning and their plain content. Pure."""

from __future__ import annotations

import json
import math
import re
from collections import Counter

import msgspec

from protocols.ocpp.schema import ErrorCode, Payload

ACTION = re.compile(r'\s*\[\s*2\s*,\s*"[^"\\]{1,36}"\s*,\s*"(\w+)"')
HEAD = re.compile(r'\s*\[\s*(\d)\s*,\s*"([^"\\]{1,36})"')


LARGEST_INTEGER = 2.0**53  # beyond it a float does not distinguish integers


def _number(text: str) -> int | float:
    """Return a number with a decimal point or an exponent; an integer where it is one, such as 1.0 or 1e3."""
    value = float(text)
    if -LARGEST_INTEGER < value < LARGEST_INTEGER:
        return int(value) if value.is_integer() else value
    if not math.isfinite(value):
        raise ValueError(f"the number {text[:20]} is too large")
    return value


decode = msgspec.json.Decoder(float_hook=_number).decode
"""Return the content of a message. Raises msgspec.MsgspecError, ValueError or RecursionError."""


def repetition(text: str, message: list[object]) -> str | None:
    """Return which member an object of a message has twice, None where there is none; `message` is its content.

    Where the message, written again from its content, is the same, no member was lost. Nor was one where it has as many
    colons, of which one follows every name. A text with escapes, which may stand for colons, does not permit that
    comparison: its names are counted.
    """
    written = _encode(message)
    if written == text.encode():
        return None
    if "\\" not in text and text.count(":") == written.count(b":"):
        return None
    found: list[str] = []

    def check(pairs: list[tuple[str, object]]) -> None:
        if len(dict(pairs)) < len(pairs):
            found.extend(name for name, number in Counter(name for name, _ in pairs).items() if number > 1)

    json.loads(text, object_pairs_hook=check)
    return f"the member {found[0][:50]!r} is repeated" if found else None


_encode = msgspec.json.Encoder().encode


def error_fields(message: list[object]) -> tuple[str, str, Payload]:
    fields = [*message[2:5], *[None] * 3]
    code = fields[0] if isinstance(fields[0], str) else ErrorCode.GENERIC_ERROR
    description = fields[1] if isinstance(fields[1], str) else ""
    details = fields[2] if isinstance(fields[2], dict) else {}
    return code, description, details
