"""Frames of HomePlug Green PHY: Ethernet header, management message header, and the parts that all messages share.

The messages are in `messages.py` (SLAC and keys) and `vendor.py` (the modem). Numbers of a message are little-endian,
the ethertype is not. A frame that is too short, too long, fragmented or unknown raises `SlacFrameError`; by
V2G3-A09-47 it is ignored and never answered.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar, Protocol, TypeVar

from protocols.errors import RemoteProtocolError
from protocols.frozen import frozen

ETHERTYPE = 0x88E1
BROADCAST = b"\xff" * 6
SHORTEST_FRAME, LONGEST_FRAME = 60, 1518
MAC_SIZE, RUN_ID_SIZE, STATION_ID_SIZE, KEY_SIZE, NID_SIZE = 6, 8, 17, 16, 7
NO_ID = bytes(STATION_ID_SIZE)  # ids of stations are zero in practice
_ETHERNET_SIZE = 14
_HIGHEST_MMV = 2
MessageT = TypeVar("MessageT", bound="Message")


class SlacFrameError(RemoteProtocolError):
    """A frame that is to be ignored; the text states why."""


class Message(Protocol):
    """A management message. `mmv` is the version of the header, which has fragment fields from 1 on."""

    mmtype: ClassVar[int]
    mmv: ClassVar[int]

    def pack(self) -> bytes:
        """Return the bytes after the header."""

    @classmethod
    def unpack(cls, body: bytes) -> Message:
        """Return the message of the bytes after the header, which padding may follow. Raises SlacFrameError."""


@frozen
class Frame:
    """An Ethernet frame with a message."""

    destination: bytes
    source: bytes
    message: Message

    def encode(self) -> bytes:
        header = self.destination + self.source + ETHERTYPE.to_bytes(2, "big")
        header += bytes((self.message.mmv,)) + self.message.mmtype.to_bytes(2, "little")
        if self.message.mmv:
            header += b"\0\0"  # not fragmented
        return (header + self.message.pack()).ljust(SHORTEST_FRAME, b"\0")


_KNOWN: dict[int, list[Callable[[bytes], Message]]] = {}


def register(cls: type[MessageT]) -> type[MessageT]:
    """Class decorator of a message that `decode` returns; messages of one type are told apart by their contents."""
    _KNOWN.setdefault(cls.mmtype, []).append(cls.unpack)
    return cls


def decode(data: bytes) -> Frame:
    """Decode an Ethernet frame. Raises SlacFrameError."""
    if not _ETHERNET_SIZE + 3 <= len(data) <= LONGEST_FRAME:
        raise SlacFrameError(f"a frame of {len(data)} bytes")
    if int.from_bytes(data[12:14], "big") != ETHERTYPE:
        raise SlacFrameError("not a HomePlug frame")
    mmv, mmtype = data[14], int.from_bytes(data[15:17], "little")
    if mmv > _HIGHEST_MMV:
        raise SlacFrameError(f"unknown version {mmv} of the message header")
    start = 17 if mmv == 0 else 19
    if mmv and (len(data) < start or data[17]):
        raise SlacFrameError("a fragmented message")
    candidates = _KNOWN.get(mmtype)
    if candidates is None:
        raise SlacFrameError(f"unknown message {mmtype:#06x}")
    error = SlacFrameError("")
    for unpack in candidates:
        try:
            return Frame(data[:6], data[6:12], unpack(data[start:]))
        except SlacFrameError as reason:
            error = reason
    raise SlacFrameError(f"message {mmtype:#06x}: {error}")


def need(body: bytes, size: int) -> bytes:
    """Return the first bytes of a body. Raises SlacFrameError if there are fewer."""
    if len(body) < size:
        raise SlacFrameError(f"{len(body)} bytes of at least {size}")
    return body[:size]


def mac_text(mac: bytes) -> str:
    """Return a MAC address as text."""
    return mac.hex(":")


def parse_mac(text: str) -> bytes:
    """Return the MAC address of a text. Raises ValueError."""
    try:
        mac = bytes.fromhex(text.replace(":", "").replace("-", ""))
    except ValueError:
        mac = b""
    if len(mac) != MAC_SIZE:
        raise ValueError(f"not a MAC address such as 00:b0:52:00:00:01: {text!r}")
    return mac
