"""V2GTP: the 8-byte header of every ISO 15118 message, and the incremental parser of a stream of them.

Contains header layout, payload types and framing. The EXI codecs interpret payloads, the engines decide which type fits
which state. Source: ISO 15118-2 and -20, transport layer (V2GTP).
"""

from __future__ import annotations

import struct
from enum import IntEnum

from protocols.errors import LocalProtocolError, RemoteProtocolError
from protocols.frozen import frozen

VERSION = 0x01
INVERSE_VERSION = 0xFE
HEADER_SIZE = 8
LARGEST_PAYLOAD = 1 << 20  # bytes; three schedule tuples of 1,024 entries fit, excessive lengths are rejected

_HEADER = struct.Struct("!BBHI")


class PayloadType(IntEnum):
    """Payload types of frames."""

    SUPPORTED_APP_PROTOCOL = 0x8001  # and every message of ISO 15118-2 and DIN 70121
    ISO20_COMMON = 0x8002
    ISO20_AC = 0x8003
    ISO20_DC = 0x8004
    ISO20_ACDP = 0x8005
    ISO20_WPT = 0x8006
    ISO20_SCHEDULE_STREAM = 0x8101  # ScheduleExchange parallel to the charge loop
    ISO20_METERING_STREAM = 0x8102  # MeteringConfirmation parallel to the charge loop
    ISO20_ACDP_STATUS_STREAM = 0x8103
    ISO20_PARKING_STATUS_STREAM = 0x8104
    SDP_REQUEST = 0x9000
    SDP_RESPONSE = 0x9001
    SDP_WIRELESS_REQUEST = 0x9002
    SDP_WIRELESS_RESPONSE = 0x9003


class FramingError(RemoteProtocolError):
    """The peer announced an excessive payload; the stream is out of sync."""


@frozen
class Frame:
    """One V2GTP message. `payload_type` is a number: the receiver ignores unknown types."""

    payload_type: int
    payload: bytes
    well_formed: bool = True  # False: invalid version bytes; the message is ignored without a response


def frame(payload_type: int, payload: bytes) -> bytes:
    """Return header and payload in one piece (some peers expect one message per segment)."""
    if len(payload) > LARGEST_PAYLOAD:
        raise LocalProtocolError(f"a V2GTP payload of {len(payload)} bytes is larger than {LARGEST_PAYLOAD}")
    return _HEADER.pack(VERSION, INVERSE_VERSION, payload_type, len(payload)) + payload


def parse(datagram: bytes) -> Frame:
    """Return the one frame of a datagram. Raises FramingError if it is truncated or followed by other bytes."""
    if len(datagram) < HEADER_SIZE:
        raise FramingError(f"a datagram of {len(datagram)} bytes is shorter than the V2GTP header")
    version, inverse, payload_type, length = _HEADER.unpack_from(datagram)
    if length != len(datagram) - HEADER_SIZE:
        raise FramingError(
            f"the V2GTP header states {length} bytes of payload, the datagram contains {len(datagram) - HEADER_SIZE}"
        )
    return Frame(payload_type, datagram[HEADER_SIZE:], (version, inverse) == (VERSION, INVERSE_VERSION))


class Framer:
    """Incremental parser of a stream, independent of its segmentation."""

    def __init__(self, largest_payload: int = LARGEST_PAYLOAD) -> None:
        self._largest = largest_payload
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[Frame]:
        """Return the frames that `data` completes. Raises FramingError: the connection must be closed."""
        buffer = self._buffer
        buffer += data
        frames: list[Frame] = []
        start = 0
        while len(buffer) - start >= HEADER_SIZE:
            version, inverse, payload_type, length = _HEADER.unpack_from(buffer, start)
            if length > self._largest:
                raise FramingError(
                    f"the peer announces a V2GTP payload of {length} bytes; the limit is {self._largest}"
                )
            end = start + HEADER_SIZE + length
            if len(buffer) < end:
                break
            well_formed = version == VERSION and inverse == INVERSE_VERSION
            frames.append(Frame(payload_type, bytes(buffer[start + HEADER_SIZE : end]), well_formed))
            start = end
        if start:
            del buffer[:start]
        return frames

    @property
    def pending(self) -> int:
        """Bytes of an unfinished frame; non-zero at the end of the stream means truncation."""
        return len(self._buffer)
