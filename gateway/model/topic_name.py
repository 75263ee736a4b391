"""Topic names that every MQTT broker accepts. Pure.

A broker may end the connection of a client that publishes to a topic outside these bounds: Mosquitto does so for
control characters, non-characters and for more than 200 levels. The bounds here are those of the standard (MQTT 5,
1.5.4 and 4.7) and, for length and levels, smaller ones of this gateway.
"""

from __future__ import annotations

import re

MAX_BYTES = 1024  # in UTF-8; the standard allows 65,535
MAX_LEVELS = 64  # Mosquitto allows 200

# Wildcards, control characters, byte order mark, surrogates and the non-characters of each plane
_FORBIDDEN = re.compile(
    "[+#\\x00-\\x1f\\x7f-\\x9f\\ufeff\\ud800-\\udfff\\ufdd0-\\ufdef"
    + "".join(f"{chr(plane + 0xFFFE)}{chr(plane + 0xFFFF)}" for plane in range(0, 0x110000, 0x10000))
    + "]"
)


def topic_fault(topic: str) -> str | None:
    """Return why a message cannot be published to a topic, None where it can."""
    if not topic:
        return "it is empty"
    if (found := _FORBIDDEN.search(topic)) is not None:
        return f"it contains U+{ord(found[0]):04X}"
    if topic.startswith("$"):
        return "topics that begin with $ belong to the broker"
    if len(topic.encode()) > MAX_BYTES:
        return f"it has more than {MAX_BYTES} bytes"
    if topic.count("/") >= MAX_LEVELS:
        return f"it has more than {MAX_LEVELS} levels"
    return None
