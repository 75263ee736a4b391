"""Schemas and messages of V2GTP payloads: payload type 0x8001 has messages of three schemas.

For tools that read a connection from outside, such as captures. The engines know their protocol from the handshake.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from protocols.errors import RemoteProtocolError
from protocols.exi.codec import Codec
from protocols.iso15118.app_protocol import NAMESPACE_DIN, NAMESPACE_ISO2
from protocols.iso15118.codecs import BY_NAME
from protocols.v2gtp import PayloadType

PAYLOAD_TYPES = {  # by schema
    "sap": PayloadType.SUPPORTED_APP_PROTOCOL,
    "iso2": PayloadType.SUPPORTED_APP_PROTOCOL,
    "din": PayloadType.SUPPORTED_APP_PROTOCOL,
    "iso20": PayloadType.ISO20_COMMON,
    "iso20-ac": PayloadType.ISO20_AC,
    "iso20-dc": PayloadType.ISO20_DC,
}
BY_PAYLOAD_TYPE: dict[int, str] = {kind: name for name, kind in PAYLOAD_TYPES.items()}
BY_PAYLOAD_TYPE |= {PayloadType.ISO20_SCHEDULE_STREAM: "iso20", PayloadType.ISO20_METERING_STREAM: "iso20"}
BY_NAMESPACE = {NAMESPACE_ISO2: "iso2", "urn:iso:15118:2:2010:MsgDef": "iso2", NAMESPACE_DIN: "din"}
FIRST_BITS = {0b10011000: "iso2", 0b10011010: "din"}  # V2G_Message is element 76 of one and 77 of the other, 7 bits
HANDSHAKE_CODES = (0, 1)  # of the handshake's two elements, in 2 bits


class UnknownPayload(RemoteProtocolError):
    """A payload that is not EXI of a known schema."""


@dataclass
class Conversation:
    """State of one connection: the offered protocols, and the chosen one.

    The schema of payload type 0x8001 (the handshake, ISO 15118-2, DIN 70121) follows from the earlier messages (the
    SECC's choice in the handshake), or from `protocol`; without either from the root element, whose event codes differ.
    """

    protocol: str | None = None
    offered: dict[int, str] = field(default_factory=dict)
    chosen: str | None = None

    def schema(self, payload_type: int, payload: bytes) -> str:
        """Return the schema of a payload; UnknownPayload if it has no EXI of a known schema."""
        if payload_type == PayloadType.SUPPORTED_APP_PROTOCOL:
            return self._app_protocol_schema(payload)
        name = BY_PAYLOAD_TYPE.get(payload_type)
        if name is None:
            raise UnknownPayload(f"payload type {payload_type:#06x} has no message of a known schema")
        return name

    def _app_protocol_schema(self, payload: bytes) -> str:
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
