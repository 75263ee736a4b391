"""Frames of HomePlug Green PHY: Ethernet header, management message header, and the parts that all messages share.

The messages are in `messages.py` (SLAC and keys) and `vendor.py` (the modem), decoding is in `codec.py`. Numbers of a
message are little-endian, the ethertype is not.
"""

from __future__ import annotations

from typing import ClassVar, Protocol

from protocols.errors import RemoteProtocolError
from protocols.frozen import frozen

ETHERTYPE = 0x88E1
BROADCAST = b"\xff" * 6
SHORTEST_FRAME, LONGEST_FRAME = 60, 1518
MAC_SIZE, RUN_ID_SIZE, STATION_ID_SIZE, KEY_SIZE = 6, 8, 17, 16
NO_ID = bytes(STATION_ID_SIZE)  # ids of stations are zero in practice


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
