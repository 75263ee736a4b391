"""Schema and message of V2GTP payloads, with the state of one conversation.

Payload type 0x8001 carries the handshake, ISO 15118-2 and DIN 70121. The earlier messages decide (the SECC's choice in
the handshake), or the user; without either the root element does, whose event codes differ.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from protocols.errors import RemoteProtocolError
from protocols.exi.codec import Codec
from protocols.iso15118.codecs import BY_NAME
from protocols.v2gtp import PayloadType

BY_PAYLOAD_TYPE = {
    PayloadType.ISO20_COMMON: "iso20",
    PayloadType.ISO20_AC: "iso20-ac",
    PayloadType.ISO20_DC: "iso20-dc",
    PayloadType.ISO20_SCHEDULE_STREAM: "iso20",
    PayloadType.ISO20_METERING_STREAM: "iso20",
}
BY_NAMESPACE = {
    "urn:iso:15118:2:2013:MsgDef": "iso2",
    "urn:iso:15118:2:2010:MsgDef": "iso2",
    "urn:din:70121:2012:MsgDef": "din",
}
FIRST_BITS = {0b10011000: "iso2", 0b10011010: "din"}  # V2G_Message is element 76 of one and 77 of the other, 7 bits
HANDSHAKE_CODES = (0, 1)  # of the handshake's two elements, in 2 bits


class UnknownPayload(RemoteProtocolError):
    """A payload that is not EXI of a known schema."""


@dataclass
class Conversation:
    """State of the conversation so far. `protocol` is the user's choice for 0x8001."""

    protocol: str | None = None
    offered: dict[int, str] = field(default_factory=dict)
    chosen: str | None = None

    def schema(self, payload_type: int, payload: bytes) -> str:
        """Return the schema of a payload; UnknownPayload if it carries no EXI of a known schema."""
        if payload_type == PayloadType.SUPPORTED_APP_PROTOCOL:
            return self._first_type(payload)
        name = BY_PAYLOAD_TYPE.get(PayloadType(payload_type)) if payload_type in set(PayloadType) else None
        if name is None:
            raise UnknownPayload(f"payload type {payload_type:#06x} carries no message of a known schema")
        return name

    def _first_type(self, payload: bytes) -> str:
        second = payload[1] if len(payload) > 1 else 0
        if second >> 6 in HANDSHAKE_CODES:
            return "sap"
        return self.protocol or self.chosen or FIRST_BITS.get(second & 0b11111110, "iso2")

    def read(self, payload_type: int, payload: bytes) -> tuple[Codec, str, Any]:
        """Return codec, root element and message of a payload; updates the state with the handshake."""
        codec = BY_NAME[self.schema(payload_type, payload)]
        name, message = codec.decode_element(payload)
        if name == "supportedAppProtocolReq":
            self.offered = {p.SchemaID: p.ProtocolNamespace for p in message.AppProtocol}
        elif name == "supportedAppProtocolRes":
            self.chosen = BY_NAMESPACE.get(self.offered.get(message.SchemaID, ""))
        return codec, name, message
