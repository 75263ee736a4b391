"""SDP, the SECC discovery protocol: the EVCC discovers the address of its SECC on the link.

Contains the two datagrams, the SECC's response and the EVCC's request engine. Sockets and multicast are in
`iso15118/io.py`. Source: ISO 15118-2 and -20, SECC Discovery Protocol.
"""

from __future__ import annotations

import ipaddress
from enum import IntEnum
from typing import TypeVar

from protocols.errors import LocalProtocolError, RemoteProtocolError
from protocols.frozen import frozen
from protocols.v2gtp import FramingError, PayloadType, frame, parse

MULTICAST_GROUP = "ff02::1"
PORT = 15118
ANSWER_WITHIN = 0.25  # s, SDP response timeout
TRIES = 50  # consecutive requests; then the EVCC gives up high-level communication
_Code = TypeVar("_Code", bound=IntEnum)
LOWEST_PORT = 49152  # of the SECC's TCP server; the dynamic range


class Security(IntEnum):
    """Security of the announced port."""

    TLS = 0x00
    NONE = 0x10


class Transport(IntEnum):
    TCP = 0x00
    UDP = 0x10  # reserved


class SdpError(RemoteProtocolError):
    """A datagram that is no valid SDP message, to be ignored."""


@frozen
class SdpRequest:
    security: Security
    transport: Transport = Transport.TCP

    def encode(self) -> bytes:
        return frame(PayloadType.SDP_REQUEST, bytes((self.security, self.transport)))


@frozen
class SdpResponse:
    """Endpoint of the SECC. `address` is IPv6 without a scope id: the scope is the link of the datagram."""

    address: str
    port: int
    security: Security
    transport: Transport = Transport.TCP

    def encode(self) -> bytes:
        packed = ipaddress.IPv6Address(self.address.partition("%")[0]).packed
        payload = packed + self.port.to_bytes(2, "big") + bytes((self.security, self.transport))
        return frame(PayloadType.SDP_RESPONSE, payload)


@frozen
class SeccFound:
    response: SdpResponse


@frozen
class SeccNotFound:
    tries: int


def decode_request(datagram: bytes) -> SdpRequest:
    """Decode an EVCC's request. Raises SdpError."""
    security, transport = _payload(datagram, PayloadType.SDP_REQUEST, 2)
    return SdpRequest(_enum(Security, security), _enum(Transport, transport))


def decode_response(datagram: bytes) -> SdpResponse:
    """Decode a SECC's response. Raises SdpError."""
    payload = _payload(datagram, PayloadType.SDP_RESPONSE, 20)
    address = str(ipaddress.IPv6Address(payload[:16]))
    return SdpResponse(
        address, int.from_bytes(payload[16:18], "big"), _enum(Security, payload[18]), _enum(Transport, payload[19])
    )


def answer(request: SdpRequest, address: str, port: int, offered: frozenset[Security]) -> SdpResponse:
    """Return the SECC's response: the requested security if offered, else the offered one; the EVCC then decides."""
    if not offered:
        raise LocalProtocolError("a SECC offers TLS, plain TCP or both")
    security = request.security if request.security in offered else next(iter(sorted(offered)))
    return SdpResponse(address, port, security)


class Discovery:
    """The EVCC's side: a request every 250 ms until an acceptable response arrives or 50 requests remain without one.

    Responses that are not link-local, have a port outside the dynamic range, or lack TLS although it is `required`, are
    ignored; the first acceptable one is used.
    """

    def __init__(
        self, security: Security, now: float, *, required: bool = False, any_address: bool = False, tries: int = TRIES
    ) -> None:
        self._request = SdpRequest(security)
        self._required = required
        self._any_address = any_address
        self._tries = tries
        self._sent = 0
        self._next: float | None = now
        self._outgoing: list[bytes] = []
        self.ended = False

    def expire(self, now: float) -> list[SeccNotFound]:
        """Send a request, or give up."""
        if self.ended or self._next is None or now < self._next:
            return []
        if self._sent == self._tries:
            self.ended, self._next = True, None
            return [SeccNotFound(self._sent)]
        self._outgoing.append(self._request.encode())
        self._sent += 1
        self._next = now + ANSWER_WITHIN
        return []

    def receive(self, datagram: bytes, now: float) -> list[SeccFound]:
        """Process a datagram; anything but an acceptable response is ignored."""
        if self.ended:
            return []
        try:
            response = decode_response(datagram)
        except SdpError:
            return []
        address = ipaddress.IPv6Address(response.address)
        fitting = (address.is_link_local and response.port >= LOWEST_PORT) or (self._any_address and response.port > 0)
        if not fitting or response.transport is not Transport.TCP:
            return []
        if self._required and response.security is not self._request.security:
            return []
        self.ended, self._next = True, None
        return [SeccFound(response)]

    def datagrams_to_send(self) -> list[bytes]:
        outgoing, self._outgoing = self._outgoing, []
        return outgoing

    def deadline(self) -> float | None:
        return self._next


def _payload(datagram: bytes, payload_type: PayloadType, size: int) -> bytes:
    try:
        message = parse(datagram)
    except FramingError as error:
        raise SdpError(str(error)) from None
    if not message.well_formed or message.payload_type != payload_type or len(message.payload) != size:
        raise SdpError(f"not an SDP message of type {payload_type:#06x} with {size} bytes")
    return message.payload


def _enum(kind: type[_Code], value: int) -> _Code:
    try:
        return kind(value)
    except ValueError:
        raise SdpError(f"{value:#04x} is no {kind.__name__.lower()} code of SDP") from None
