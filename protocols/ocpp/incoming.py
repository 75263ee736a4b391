"""Reading of incoming messages of OCPP-J apart from their rules: their beginning and their plain content. Pure."""

from __future__ import annotations

import re

from protocols.ocpp.schema import ErrorCode, Payload

ACTION = re.compile(r'\s*\[\s*2\s*,\s*"[^"\\]{1,36}"\s*,\s*"(\w+)"')
INTEGRAL = re.compile(
    r"\.0+\s*[,\]}]"
)  # the end of an integer written with a decimal point; begins with a text, for speed
HEAD = re.compile(r'\s*\[\s*(\d)\s*,\s*"([^"\\]{1,36})"')


def with_integers(message: list[object]) -> list[object]:
    """Return the message with integers where some are written with a decimal point, such as 1.0."""

    def plain(value: object) -> object:
        if type(value) is float:
            return int(value) if value.is_integer() else value
        if type(value) is list:
            return [plain(one) for one in value]
        if type(value) is dict:
            return {name: plain(one) for name, one in value.items()}
        return value

    try:
        return [plain(one) for one in message]
    except RecursionError:
        return message


def error_fields(message: list[object]) -> tuple[str, str, Payload]:
    fields = [*message[2:5], *[None] * 3]
    code = fields[0] if isinstance(fields[0], str) else ErrorCode.GENERIC_ERROR
    description = fields[1] if isinstance(fields[1], str) else ""
    details = fields[2] if isinstance(fields[2], dict) else {}
    return code, description, details
