"""Names of EVSEs in MQTT topics and Home Assistant ids: encoded reversibly, so that two EVSEs are never one. Pure.

The identity of a charging station may contain signs with a meaning in a topic (`+`) and signs that Home Assistant does
not allow (`.`, `@`, `=`, `*`, `|`). In a topic level these are percent-encoded (RFC 3986), in an id of Home Assistant
written as `_x` and two hexadecimal digits. A name without such signs is encoded as itself.
"""

from __future__ import annotations

import re
from urllib.parse import quote, unquote

# Printable ASCII without the wildcards and the separator of MQTT, without % and without space
_IN_TOPIC = "".join(chr(code) for code in range(0x21, 0x7F) if chr(code) not in "+#/%")
_IN_ID = re.compile(r"_(?=x[0-9A-F]{2})|[^A-Za-z0-9_-]")
_ESCAPED = re.compile(r"(?:_x[0-9A-F]{2})+")


def to_topic_level(name: str) -> str:
    """Return a name as one level of a topic; equal levels have equal names."""
    return quote(name, safe=_IN_TOPIC, errors="surrogatepass")


def from_topic_level(level: str) -> str | None:
    """Return the name of a topic level; None for a level that is no name's."""
    try:
        name = unquote(level, errors="surrogatepass")
    except UnicodeDecodeError:
        return None
    return name if name and to_topic_level(name) == level else None


def to_id(name: str) -> str:
    """Return a name as part of an id of Home Assistant (letters, digits, hyphen, underscore)."""
    return _IN_ID.sub(lambda sign: _escape(sign[0]), name)


def from_id(part: str) -> str:
    """Return the name of a part of an id."""
    return _ESCAPED.sub(lambda run: bytes.fromhex(run[0].replace("_x", "")).decode("utf-8", "surrogatepass"), part)


def _escape(sign: str) -> str:
    return "".join(f"_x{byte:02X}" for byte in sign.encode("utf-8", "surrogatepass"))
