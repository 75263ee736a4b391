"""The two messages of the supportedAppProtocol handshake (namespace AppProtocol, V2GTP payload type 0x8001).

They precede all other messages and select the schema of the session; the handshake itself is in `app_protocol`. ISO
15118-2, -20 and DIN 70121 share this schema.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from protocols.exi.declare import (
    Integer,
    Namespace,
    Occurs,
    Text,
    UnsignedByte,
    UnsignedInt,
    complex_type,
    element,
)

APP_PROTOCOL = Namespace("urn:iso:15118:2:2010:AppProtocol", qualified_elements=False, qualified_attributes=False)

ProtocolNamespace = Annotated[str, Text(max_length=100)]
Priority = Annotated[int, Integer(1, 20)]  # 1 is the highest priority


class ResponseCode(StrEnum):
    """The SECC's choice. MinorDeviation: same major version, another minor one."""

    OK_SuccessfulNegotiation = "OK_SuccessfulNegotiation"
    OK_SuccessfulNegotiationWithMinorDeviation = "OK_SuccessfulNegotiationWithMinorDeviation"
    Failed_NoNegotiation = "Failed_NoNegotiation"


@complex_type(APP_PROTOCOL)
class AppProtocol:
    """A protocol that the EV supports; the response refers to it by SchemaID."""

    ProtocolNamespace: ProtocolNamespace
    VersionNumberMajor: UnsignedInt
    VersionNumberMinor: UnsignedInt
    SchemaID: UnsignedByte
    Priority: Priority


@element(APP_PROTOCOL)
class supportedAppProtocolReq:
    """The protocols that the EV supports, in any order; Priority decides."""

    AppProtocol: Annotated[tuple[AppProtocol, ...], Occurs(1, 20)]


@element(APP_PROTOCOL)
class supportedAppProtocolRes:
    """The SchemaID of the chosen protocol; absent when negotiation failed."""

    ResponseCode: ResponseCode
    SchemaID: UnsignedByte | None = None
