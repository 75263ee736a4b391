"""Messages and frames: payload types by element name, responses by request, encoding and decoding.

The messages themselves are in `common`, `dc` and `ac`, the codec in `protocols.exi`.
"""

from __future__ import annotations

from protocols.errors import RemoteProtocolError
from protocols.exi.codec import Codec
from protocols.iso15118.codecs import ISO20_AC, ISO20_COMMON, ISO20_DC
from protocols.iso15118.iso20 import ac, common, dc
from protocols.iso15118.iso20.types import MessageHeader, V2GRequest, V2GResponse
from protocols.v2gtp import Frame, PayloadType, frame

NO_SESSION = bytes(8)  # session id of a request for a new session

_CODECS: dict[int, Codec] = {
    PayloadType.ISO20_COMMON: ISO20_COMMON,
    PayloadType.ISO20_AC: ISO20_AC,
    PayloadType.ISO20_DC: ISO20_DC,
    PayloadType.ISO20_SCHEDULE_STREAM: ISO20_COMMON,
    PayloadType.ISO20_METERING_STREAM: ISO20_COMMON,
}
_PAYLOAD_TYPE_BY_MODULE = (
    (common, PayloadType.ISO20_COMMON),
    (ac, PayloadType.ISO20_AC),
    (dc, PayloadType.ISO20_DC),
)
STREAMS: dict[int, str] = {
    PayloadType.ISO20_SCHEDULE_STREAM: "ScheduleExchangeReq",
    PayloadType.ISO20_METERING_STREAM: "MeteringConfirmationReq",
}


class Undecodable(RemoteProtocolError):
    """The peer's bytes are no message: there is no valid response, the connection ends."""


def _payload_types() -> dict[type[object], PayloadType]:
    table: dict[type[object], PayloadType] = {}
    for module, payload_type in _PAYLOAD_TYPE_BY_MODULE:
        for name, value in vars(module).items():
            is_message = isinstance(value, type) and issubclass(value, V2GRequest | V2GResponse)
            if is_message and name.endswith(("Req", "Res")) and value.__module__ == module.__name__:
                table[value] = payload_type
    return table


PAYLOAD_TYPES: dict[type[object], PayloadType] = _payload_types()
RESPONSE_NAMES: dict[str, str] = {
    name: name[:-3] + "Res" for name in (one.__name__ for one in PAYLOAD_TYPES) if name.endswith("Req")
}


def timestamp(wall_s: float) -> int:
    """Return the time stamp of a Unix time, in whole seconds."""
    return max(0, int(wall_s))


def header_of(session_id: bytes, second: int) -> MessageHeader:
    """Return the header of a message without a signature."""
    return MessageHeader(SessionID=session_id, TimeStamp=second)


def header(session_id: bytes, wall_s: float) -> MessageHeader:
    """Return the header of a message at a Unix time."""
    return header_of(session_id, timestamp(wall_s))


class Frames:
    """Encodes and decodes the messages of one connection.

    Charge loops repeat themselves within the second of their time stamps: an object that is sent again is not encoded
    again, and bytes that are received again are the same object, which like every message does not change.
    """

    __slots__ = ("_frame", "_message", "_received", "_sent", "_stream")

    def __init__(self) -> None:
        self._sent: V2GRequest | V2GResponse | None = None
        self._stream: PayloadType | None = None
        self._frame = b""
        self._received: Frame | None = None
        self._message: V2GRequest | V2GResponse | None = None

    def encode(self, message: V2GRequest | V2GResponse, stream: PayloadType | None = None) -> bytes:
        """Return the message as a whole frame, as `encode`."""
        if message is not self._sent or stream is not self._stream:
            self._frame = encode(message, stream)
            self._sent, self._stream = message, stream
        return self._frame

    def decode(self, received: Frame) -> V2GRequest | V2GResponse | None:
        """Return the message of a frame, as `decode`. Raises Undecodable."""
        if received != self._received:
            self._message = decode(received)
            self._received = received
        return self._message


def encode(message: V2GRequest | V2GResponse, stream: PayloadType | None = None) -> bytes:
    """Return the message as a whole frame; `stream` marks it as parallel to the charge loop."""
    payload_type = PAYLOAD_TYPES[type(message)]
    payload: bytes = _CODECS[payload_type].encode(message)
    return frame(stream or payload_type, payload)


def decode(received: Frame) -> V2GRequest | V2GResponse | None:
    """Return the message of a frame; None for a frame that is to be ignored. Raises Undecodable."""
    codec = _CODECS.get(received.payload_type)
    if codec is None or not received.well_formed:
        return None
    try:
        message = codec.decode(received.payload)
    except RemoteProtocolError as error:
        raise Undecodable(f"{len(received.payload)} bytes of type {received.payload_type:#06x}: {error}") from error
    if not isinstance(message, (V2GRequest, V2GResponse)):
        raise Undecodable(f"{type(message).__name__} is not a message")
    return message
