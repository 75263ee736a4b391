"""Frames of ECHONET Lite (format 1) and property maps.

`EHD1 EHD2 TID SEOJ DEOJ ESV OPC {EPC PDC EDT}`; SetGet has a second list of properties. All numbers are big-endian.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import IntEnum

from protocols.errors import LocalProtocolError, RemoteProtocolError
from protocols.frozen import frozen

PORT = 3610
GROUP_V4, GROUP_V6 = "224.0.23.0", "ff02::1"
HEADER = b"\x10\x81"
LONGEST_FRAME = 65_507  # bytes of a UDP datagram over IPv4
MOST_PROPERTIES = 255  # of one list
LONGEST_DATA = 255  # bytes of one property
_FIXED = 12  # bytes before the first property
_FIRST_EPC, _BITMAP_FROM, _BITMAP_SIZE = 0x80, 16, 16


class EchonetFrameError(RemoteProtocolError):
    """A datagram that is no valid frame, to be ignored."""


class Esv(IntEnum):
    """Services."""

    SETI_SNA = 0x50
    SETC_SNA = 0x51
    GET_SNA = 0x52
    INF_SNA = 0x53
    SETGET_SNA = 0x5E
    SETI = 0x60
    SETC = 0x61
    GET = 0x62
    INF_REQ = 0x63
    SETGET = 0x6E
    SET_RES = 0x71
    GET_RES = 0x72
    INF = 0x73
    INFC = 0x74
    INFC_RES = 0x7A
    SETGET_RES = 0x7E


WITH_TWO_LISTS = frozenset({Esv.SETGET, Esv.SETGET_RES, Esv.SETGET_SNA})


@frozen
class Eoj:
    """Identifier of an object: class group, class, instance. Instance 0 of a request addresses all instances."""

    group: int
    code: int
    instance: int = 1

    @classmethod
    def unpack(cls, data: bytes) -> Eoj:
        """Return the object of three bytes."""
        group, code, instance = data
        return cls(group, code, instance)

    def pack(self) -> bytes:
        return bytes((self.group, self.code, self.instance))

    @property
    def class_code(self) -> int:
        """Return the class without the instance, such as 0x027E."""
        return self.group << 8 | self.code

    def __str__(self) -> str:
        return self.pack().hex().upper()


NODE_PROFILE = Eoj(0x0E, 0xF0, 1)
CONTROLLER = Eoj(0x05, 0xFF, 1)


@frozen
class Property:
    """A property of a frame. `data` is empty in a request to read and in an acknowledgement."""

    epc: int
    data: bytes = b""


@frozen
class Frame:
    """A message between two objects. `read` is the second list of SetGet, and empty for all other services."""

    tid: int
    source: Eoj
    destination: Eoj
    esv: Esv
    properties: tuple[Property, ...]
    read: tuple[Property, ...] = ()

    def encode(self) -> bytes:
        """Return the datagram. Raises LocalProtocolError if a number does not fit."""
        if self.read and self.esv not in WITH_TWO_LISTS:
            raise LocalProtocolError(f"{self.esv.name} has one list of properties")
        try:
            data = HEADER + self.tid.to_bytes(2, "big") + self.source.pack() + self.destination.pack()
            data += bytes((self.esv,)) + _pack_list(self.properties)
            if self.esv in WITH_TWO_LISTS:
                data += _pack_list(self.read)
        except (ValueError, OverflowError) as error:
            raise LocalProtocolError(f"a number or a length of the frame is out of range: {error}") from error
        if len(data) > LONGEST_FRAME:
            raise LocalProtocolError(f"a frame of {len(data)} bytes does not fit a datagram")
        return data

    @classmethod
    def decode(cls, data: bytes) -> Frame:
        """Return the frame of a datagram. Raises EchonetFrameError."""
        if len(data) < _FIXED:
            raise EchonetFrameError(f"{len(data)} bytes, a frame has at least {_FIXED}")
        if data[:2] != HEADER:
            raise EchonetFrameError(f"header {data[:2].hex()}, expected {HEADER.hex()}")
        try:
            esv = Esv(data[10])
        except ValueError:
            raise EchonetFrameError(f"unknown service 0x{data[10]:02X}") from None
        properties, position = _unpack_list(data, 11)
        read: tuple[Property, ...] = ()
        if esv in WITH_TWO_LISTS:
            read, position = _unpack_list(data, position)
        if position != len(data):
            raise EchonetFrameError(f"{len(data) - position} bytes after the last property")
        tid = int.from_bytes(data[2:4], "big")
        return cls(tid, Eoj.unpack(data[4:7]), Eoj.unpack(data[7:10]), esv, properties, read)


def _pack_list(properties: tuple[Property, ...]) -> bytes:
    parts = [bytes((len(properties),))]
    parts += [bytes((one.epc, len(one.data))) + one.data for one in properties]
    return b"".join(parts)


def _unpack_list(data: bytes, position: int) -> tuple[tuple[Property, ...], int]:
    """Return the properties of the list at `position`, and the position after it."""
    if position >= len(data):
        raise EchonetFrameError("the frame ends before the number of properties")
    count, position = data[position], position + 1
    found = []
    for number in range(count):
        end = position + 2
        if end > len(data) or (end := end + data[position + 1]) > len(data):
            raise EchonetFrameError(f"the frame ends in property {number + 1} of {count}")
        found.append(Property(data[position], data[position + 2 : end]))
        position = end
    return tuple(found), position


def encode_map(epcs: Iterable[int]) -> bytes:
    """Return the property map: a list of fewer than 16 properties, a bitmap of more. Raises LocalProtocolError."""
    ordered = sorted(set(epcs))
    if ordered and (ordered[0] < _FIRST_EPC or ordered[-1] > 0xFF):
        raise LocalProtocolError("properties are 0x80 to 0xFF")
    if len(ordered) < _BITMAP_FROM:
        return bytes((len(ordered), *ordered))
    bitmap = bytearray(_BITMAP_SIZE)
    for epc in ordered:
        bitmap[epc & 0xF] |= 1 << (epc >> 4) - 8
    return bytes((len(ordered), *bitmap))


def decode_map(data: bytes) -> frozenset[int]:
    """Return the properties of a property map, without regard to a wrong count. Raises EchonetFrameError."""
    if not data:
        raise EchonetFrameError("an empty property map")
    if data[0] < _BITMAP_FROM:
        listed = data[1 : 1 + data[0]]
        if len(listed) < data[0] or any(epc < _FIRST_EPC for epc in listed):
            raise EchonetFrameError(f"property map {data.hex()} is not {data[0]} properties")
        return frozenset(listed)
    bitmap = data[1 : 1 + _BITMAP_SIZE]
    if len(bitmap) < _BITMAP_SIZE:
        raise EchonetFrameError(f"a property map of {len(data)} bytes, expected {1 + _BITMAP_SIZE}")
    return frozenset(low | bit + 8 << 4 for low, byte in enumerate(bitmap) for bit in range(8) if byte >> bit & 1)
