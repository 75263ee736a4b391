"""Frames of ECHONET Lite (format 1) and property maps.

`EHD1 EHD2 TID SEOJ DEOJ ESV OPC {EPC PDC EDT}`; SetGet has a second list of properties. All numbers are big-endian.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import IntEnum
from functools import lru_cache
from typing import NamedTuple, TypeAlias

from protocols.errors import LocalProtocolError, RemoteProtocolError

PORT = 3610
GROUP_V4, GROUP_V6 = "224.0.23.0", "ff02::1"
HEADER = b"\x10\x81"
LONGEST_FRAME = 65_507  # bytes of a UDP datagram over IPv4
_FIXED = 12  # bytes before the first property
_CACHED, _CACHED_BYTES, _CACHED_PROPERTIES = 512, 256, 32  # bodies; the longest of those received, and of those sent
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
_new = tuple.__new__  # of a named tuple, without its own function for the arguments
_ESVS = {int(esv): esv for esv in Esv}


class Eoj(NamedTuple):
    """Identifier of an object: class group, class, instance. Instance 0 of a request addresses all instances."""

    group: int
    code: int
    instance: int = 1

    @classmethod
    def unpack(cls, data: bytes) -> Eoj:
        """Return the object of three bytes."""
        return _new(cls, data)

    def pack(self) -> bytes:
        return bytes(self)

    @property
    def class_code(self) -> int:
        """Return the class without the instance, such as 0x027E."""
        return self.group << 8 | self.code

    def __str__(self) -> str:
        return self.pack().hex().upper()


NODE_PROFILE = Eoj(0x0E, 0xF0, 1)
CONTROLLER = Eoj(0x05, 0xFF, 1)


class Property(NamedTuple):
    """A property of a frame. `data` is empty in a request to read and in an acknowledgement."""

    epc: int
    data: bytes = b""


class Frame(NamedTuple):
    """A message between two objects. `read` is the second list of SetGet, and empty for all other services."""

    tid: int
    source: Eoj
    destination: Eoj
    esv: Esv
    properties: tuple[Property, ...]
    read: tuple[Property, ...] = ()

    def encode(self) -> bytes:
        """Return the datagram. Raises LocalProtocolError if a number does not fit."""
        tid, source, destination, esv, properties, read = self
        pack = _pack_again if len(properties) + len(read) <= _CACHED_PROPERTIES else _pack
        try:
            data = HEADER + tid.to_bytes(2, "big") + pack(source, destination, esv, properties, read)
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
        body = data[4:]
        members = _unpack_again(body) if len(body) <= _CACHED_BYTES else _unpack(body)
        return _new(cls, (data[2] << 8 | data[3], *members))


_Body: TypeAlias = tuple[Eoj, Eoj, Esv, tuple[Property, ...], tuple[Property, ...]]


def _unpack(body: bytes) -> _Body:
    """Return the members of a frame after its transaction."""
    esv = _ESVS.get(body[6])
    if esv is None:
        raise EchonetFrameError(f"unknown service 0x{body[6]:02X}")
    properties, position = _unpack_list(body, 7)
    read: tuple[Property, ...] = ()
    if esv in WITH_TWO_LISTS:
        read, position = _unpack_list(body, position)
    if position != len(body):
        raise EchonetFrameError(f"{len(body) - position} bytes after the last property")
    return Eoj.unpack(body[:3]), Eoj.unpack(body[3:6]), esv, properties, read


def _pack(
    source: Eoj, destination: Eoj, esv: Esv, properties: tuple[Property, ...], read: tuple[Property, ...]
) -> bytes:
    """Return the bytes of a frame after its transaction."""
    if read and esv not in WITH_TWO_LISTS:
        raise LocalProtocolError(f"{esv.name} has one list of properties")
    data = bytearray((*source, *destination, esv))
    _pack_list(data, properties)
    if esv in WITH_TWO_LISTS:
        _pack_list(data, read)
    return bytes(data)


# Requests and answers of a poll differ in their transaction only.
_unpack_again, _pack_again = lru_cache(_CACHED)(_unpack), lru_cache(_CACHED)(_pack)


def _pack_list(data: bytearray, properties: tuple[Property, ...]) -> None:
    data.append(len(properties))
    for epc, value in properties:
        data.append(epc)
        data.append(len(value))
        data += value


def _unpack_list(data: bytes, position: int) -> tuple[tuple[Property, ...], int]:
    """Return the properties of the list at `position`, and the position after it."""
    if position >= len(data):
        raise EchonetFrameError("the frame ends before the number of properties")
    count, position = data[position], position + 1
    found: list[Property] = []
    try:
        for _ in range(count):
            end = position + 2 + data[position + 1]
            found.append(_new(Property, (data[position], data[position + 2 : end])))
            position = end
    except IndexError:
        raise EchonetFrameError(f"the frame ends in property {len(found) + 1} of {count}") from None
    if position > len(data):
        raise EchonetFrameError(f"the frame ends in property {count} of {count}")
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
