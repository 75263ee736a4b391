"""The supportedAppProtocol handshake: the EVCC's offer and the SECC's choice.

Exactly one exchange per connection, before all other messages. The messages are in `app_protocol_messages.py`. Source:
ISO 15118-20 and -2, application layer protocol handshake; V2G20-169, V2G2-169 (the EV's priority decides), V2G20-2356
and V2G20-1237 (no -20 on plain TCP or TLS 1.2).
"""

from __future__ import annotations

from collections.abc import Sequence

from protocols.errors import RemoteProtocolError
from protocols.frozen import frozen
from protocols.iso15118.app_protocol_messages import (
    AppProtocol,
    ResponseCode,
    supportedAppProtocolReq,
    supportedAppProtocolRes,
)
from protocols.iso15118.codecs import SAP
from protocols.v2gtp import PayloadType, frame

NAMESPACE_AC = "urn:iso:std:iso:15118:-20:AC"
NAMESPACE_DC = "urn:iso:std:iso:15118:-20:DC"
NAMESPACE_ISO2 = "urn:iso:15118:2:2013:MsgDef"
NAMESPACE_DIN = "urn:din:70121:2012:MsgDef"
ANSWER_TIMEOUT = 2.0  # s, EVCC
MAX_PROTOCOLS = 20


@frozen
class Protocol:
    """An application protocol by namespace and version."""

    namespace: str
    major: int
    minor: int


ISO20_AC = Protocol(NAMESPACE_AC, 1, 0)
ISO20_DC = Protocol(NAMESPACE_DC, 1, 0)
ISO2 = Protocol(NAMESPACE_ISO2, 2, 0)
DIN = Protocol(NAMESPACE_DIN, 2, 0)


@frozen
class Agreement:
    protocol: Protocol  # with the lower of both minor versions
    schema_id: int
    minor_deviation: bool


def request(protocols: Sequence[Protocol]) -> supportedAppProtocolReq:
    """Return the offer, in order of preference."""
    return supportedAppProtocolReq(
        AppProtocol=tuple(
            AppProtocol(
                ProtocolNamespace=one.namespace,
                VersionNumberMajor=one.major,
                VersionNumberMinor=one.minor,
                SchemaID=number,
                Priority=number,
            )
            for number, one in enumerate(protocols[:MAX_PROTOCOLS], start=1)
        )
    )


def choose(
    offered: supportedAppProtocolReq, supported: Sequence[Protocol]
) -> tuple[supportedAppProtocolRes, Agreement | None]:
    """Return the response to an offer: the common protocol with the EV's highest priority. None: nothing in common; the
    connection ends."""
    for one in sorted(offered.AppProtocol, key=lambda entry: entry.Priority):
        for own in supported:
            if one.ProtocolNamespace == own.namespace and one.VersionNumberMajor == own.major:
                deviates = one.VersionNumberMinor != own.minor
                code = (
                    ResponseCode.OK_SuccessfulNegotiationWithMinorDeviation
                    if deviates
                    else ResponseCode.OK_SuccessfulNegotiation
                )
                chosen = Protocol(own.namespace, own.major, min(own.minor, one.VersionNumberMinor))
                return (
                    supportedAppProtocolRes(ResponseCode=code, SchemaID=one.SchemaID),
                    Agreement(chosen, one.SchemaID, deviates),
                )
    return supportedAppProtocolRes(ResponseCode=ResponseCode.Failed_NoNegotiation), None


def agreed(sent: supportedAppProtocolReq, response: supportedAppProtocolRes) -> Agreement | None:
    """Return the SECC's choice; None if it found no common protocol. Raises RemoteProtocolError if the choice was not
    offered."""
    if response.ResponseCode is ResponseCode.Failed_NoNegotiation:
        return None
    for one in sent.AppProtocol:
        if one.SchemaID == response.SchemaID or (response.SchemaID is None and len(sent.AppProtocol) == 1):
            deviates = response.ResponseCode is ResponseCode.OK_SuccessfulNegotiationWithMinorDeviation
            protocol = Protocol(one.ProtocolNamespace, one.VersionNumberMajor, one.VersionNumberMinor)
            return Agreement(protocol, one.SchemaID, deviates)
    raise RemoteProtocolError(f"the charger chose schema {response.SchemaID}, which was not offered")


def encode(message: supportedAppProtocolReq | supportedAppProtocolRes) -> bytes:
    """Return the message as a whole frame."""
    return frame(PayloadType.SUPPORTED_APP_PROTOCOL, SAP.encode(message))


def decode(payload: bytes) -> supportedAppProtocolReq | supportedAppProtocolRes:
    """Return the message of a payload. Raises RemoteProtocolError if the bytes are neither message."""
    message = SAP.decode(payload)
    if not isinstance(message, supportedAppProtocolReq | supportedAppProtocolRes):
        raise RemoteProtocolError(f"{type(message).__name__} is not a handshake message")
    return message
