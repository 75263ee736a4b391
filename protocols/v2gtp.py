"""V2GTP: the 8-byte header that carries every ISO 15118 message, and the incremental reader of a stream of them.

Here: header layout, payload types, cutting a byte stream into frames. Not here: what a payload means (the EXI codecs),
which type fits which state (the engines). Source: ISO 15118-2 and -20, transport layer (V2GTP).
"""

from __future__ import annotations

import struct
from enum import IntEnum

from protocols.errors import LocalProtocolError, RemoteProtocolError
from protocols.frozen import frozen

VERSION = 0x01
INVERSE_VERSION = 0xFE
HEADER_SIZE = 8
LARGEST_PAYLOAD = 1 << 20  # bytes; three schedule tuples of 1,024 entries fit, a hostile length does not

_HEADER = struct.Struct("!BBHI")


class PayloadType(IntEnum):
    """What a frame carries."""

    SUPPORTED_APP_PROTOCOL = 0x8001  # and every message of ISO 15118-2 and DIN 70121
    ISO20_COMMON = 0x8002
    ISO20_AC = 0x8003
    ISO20_DC = 0x8004
    ISO20_ACDP = 0x8005
    ISO20_WPT = 0x8006
    ISO20_SCHEDULE_STREAM = 0x8101  # ScheduleExchange beside the charge loop
    ISO20_METERING_STREAM = 0x8102  # MeteringConfirmation beside the charge loop
    ISO20_ACDP_STATUS_STREAM = 0x8103
    ISO20_PARKING_STATUS_STREAM = 0x8104
    SDP_REQUEST = 0x9000
    SDP_RESPONSE = 0x9001
    SDP_WIRELESS_REQUEST = 0x9002
    SDP_WIRELESS_RESPONSE = 0x9003


class FramingError(RemoteProtocolError):
    """The peer announced a payload that no message of the standard needs; the stream can't be trusted any more."""


@frozen
class Frame:
    """One V2GTP message. `payload_type` stays a number: types unknown here are the receiver's to ignore."""

    payload_type: int
    payload: bytes
    well_formed: bool = True  # False: the version bytes are wrong, the message is to be ignored without an answer


def frame(payload_type: int, payload: bytes) -> bytes:
    """Header and payload in one piece (some peers read one message per segment, so send it in one write)."""
    if len(payload) > LARGEST_PAYLOAD:
        raise LocalProtocolError(f"a V2GTP payload of {len(payload)} bytes is larger than {LARGEST_PAYLOAD}")
    return _HEADER.pack(VERSION, INVERSE_VERSION, payload_type, len(payload)) + payload


def parse(datagram: bytes) -> Frame:
    """The one frame of a datagram; FramingError if it is cut short or followed by other bytes."""
    if len(datagram) < HEADER_SIZE:
        raise FramingError(f"a datagram of {len(datagram)} bytes is shorter than the V2GTP header")
    version, inverse, payload_type, length = _HEADER.unpack_from(datagram)
    if length != len(datagram) - HEADER_SIZE:
        raise FramingError(
            f"the V2GTP header says {length} bytes of payload, the datagram holds {len(datagram) - HEADER_SIZE}"
        )
    return Frame(payload_type, datagram[HEADER_SIZE:], (version, inverse) == (VERSION, INVERSE_VERSION))


class Framer:
    """Cuts a stream into frames, however its bytes arrive."""

    def __init__(self, largest_payload: int = LARGEST_PAYLOAD) -> None:
        self._largest = largest_payload
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[Frame]:
        """The frames that `data` completes. FramingError: drop the connection."""
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
        """Bytes of an unfinished frame: not zero at the end of the stream means that it was cut off."""
        return len(self._buffer)
