"""MQTT 5 properties at little cost: those of a message are packed once, and all share the tables of their names.

Nearly all messages of a gateway have the same properties, which paho would pack anew for each of them. paho makes the
tables of names and types anew with each object of properties, one for each message and each acknowledgement.
"""

from __future__ import annotations

from functools import lru_cache

import paho.mqtt.client as paho
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

KEPT = 256  # sets of properties
_TABLES = dict(vars(Properties(PacketTypes.PUBLISH)))  # type: ignore[no-untyped-call]


class SharedTables(Properties):
    """Properties whose tables are those of all others."""

    def __init__(self, packet_type: int) -> None:
        self.__dict__.update(_TABLES, packetType=packet_type)


class _Packed(SharedTables):
    def pack(self) -> bytes:
        packed: bytes | None = self.__dict__.get("packed")
        if packed is None:
            packed = self.__dict__["packed"] = super().pack()  # type: ignore[no-untyped-call]
        return packed


def share_tables() -> None:
    """Let the clients of paho in this process share the tables, too."""
    setattr(paho, "Properties", SharedTables)  # noqa: B010 - a class of a library


@lru_cache(maxsize=KEPT)
def properties_of(
    correlation: bytes | None, response: str | None, expiry_s: int | None, user: tuple[tuple[str, str], ...]
) -> Properties:
    """Return the properties of a message to be published."""
    found = _Packed(PacketTypes.PUBLISH)
    if correlation is not None:
        found.CorrelationData = correlation
    if response is not None:
        found.ResponseTopic = response
    if expiry_s is not None:
        found.MessageExpiryInterval = expiry_s
    if user:
        found.UserProperty = list(user)
    return found
