"""V2GTP messages of a capture: pcap and pcapng files, link headers, IP, reassembled TCP streams, UDP.

Only what a charging session needs: no IP fragments (a charging cable has none). TLS is decrypted with the secrets in a
pcapng file or of a key log. A TCP stream that does not begin with a V2GTP header is skipped with one note that states
what it is. SLAC is noted frame by frame, other frames as a count at the end.
"""

from __future__ import annotations

import ipaddress
import struct
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from protocols.iso15118 import diagnosis
from protocols.tls_key_log import KeyLog
from protocols.v2gtp import HEADER_SIZE, Framer, FramingError

if TYPE_CHECKING:
    from protocols.tls_decryption import TlsConnection

Ends: TypeAlias = tuple[str, str]  # source and target
LARGEST_PACKET = 1 << 18
MAX_EARLY_SEGMENTS = 1024  # segments of one stream out of order
PCAP_MAGIC = {b"\xa1\xb2\xc3\xd4": (">", 1e-6), b"\xd4\xc3\xb2\xa1": ("<", 1e-6)}
PCAP_MAGIC |= {b"\xa1\xb2\x3c\x4d": (">", 1e-9), b"\x4d\x3c\xb2\xa1": ("<", 1e-9)}
PCAPNG_MAGIC = b"\x0a\x0d\x0d\x0a"
ETHERNET, NULL, RAW, LINUX_SLL, LINUX_SLL2 = 1, 0, 101, 113, 276
IPV4, IPV6, TCP, UDP = 0x0800, 0x86DD, 6, 17
VLANS = (0x8100, 0x88A8)
SDP_PORT = 15118
FIN_SYN_RST = 0x01, 0x02, 0x04
HOMEPLUG = 0x88E1
INTERFACE, SIMPLE_PACKET, ENHANCED_PACKET, SECRETS, SECTION_HEADER = 1, 3, 6, 10, 0x0A0D0D0A  # blocks of pcapng
TLS_KEY_LOG = b"TLSK"
LINK_KINDS = {0x0806: "ARP", 0x88CC: "LLDP", HOMEPLUG: "HomePlug"}
TRANSPORT_KINDS = {1: "ICMP", 58: "ICMPv6", UDP: "UDP", TCP: "TCP"}
SLAC_MESSAGES = {  # by MMTYPE without the two bits of the kind
    0x6008: "CM_SET_KEY",
    0x6064: "CM_SLAC_PARAM",
    0x6068: "CM_START_ATTEN_CHAR",
    0x606C: "CM_ATTEN_CHAR",
    0x6074: "CM_MNBC_SOUND",
    0x6078: "CM_VALIDATE",
    0x607C: "CM_SLAC_MATCH",
    0x6084: "CM_ATTEN_PROFILE",
}
NO_KEYS = "; its key log is needed to decrypt it"
SLAC_KINDS = ("REQ", "CNF", "IND", "RSP")


class CaptureError(ValueError):
    """The file is not a readable capture; the text states why."""


class Packet(NamedTuple):
    """A recorded packet: Unix time in seconds, link type, bytes."""

    at: float
    link: int
    data: bytes


class Found(NamedTuple):
    """A V2GTP message, or a note why a stream has none."""

    at: float
    source: str
    target: str
    payload_type: int
    payload: bytes
    note: str = ""
    wrong: str = ""  # fault of the frame's header


# --------------------------------------------------------------------------------------------------------- file formats


def read_capture(data: bytes) -> Iterator[Packet]:
    """Return the packets of a pcap or pcapng file; CaptureError if it is neither. A truncated file ends early."""
    if data[:4] in PCAP_MAGIC:
        return _pcap(data)
    if data[:4] == PCAPNG_MAGIC:
        return _pcapng(data)
    raise CaptureError("neither a pcap nor a pcapng file")


def _pcap(data: bytes) -> Iterator[Packet]:
    order, unit = PCAP_MAGIC[data[:4]]
    if len(data) < 24:
        raise CaptureError("the pcap header is cut short")
    link = struct.unpack_from(f"{order}I", data, 20)[0] & 0xFFFF
    position = 24
    while position + 16 <= len(data):
        seconds, fraction, length, _ = struct.unpack_from(f"{order}IIII", data, position)
        position += 16
        if length > LARGEST_PACKET or position + length > len(data):
            return
        yield Packet(seconds + fraction * unit, link, data[position : position + length])
        position += length


def secrets_in(data: bytes) -> KeyLog:
    """Return the secrets of TLS in a pcapng file; other files have none."""
    keys = KeyLog()
    for order, kind, body in _blocks(data) if data[:4] == PCAPNG_MAGIC else ():
        if kind == SECRETS and len(body) >= 8 and body[:4][:: 1 if order == ">" else -1] == TLS_KEY_LOG:
            size = struct.unpack_from(f"{order}I", body, 4)[0]
            keys.add(body[8 : 8 + size].decode("ascii", "replace"))
    return keys


def _blocks(data: bytes) -> Iterator[tuple[str, int, bytes]]:
    """Yield byte order, kind and body of the blocks of a pcapng file."""
    position, order = 0, "<"
    while position + 12 <= len(data):
        if data[position : position + 4] == PCAPNG_MAGIC:
            order = ">" if data[position + 8 : position + 12] == b"\x1a\x2b\x3c\x4d" else "<"
        kind, length = struct.unpack_from(f"{order}II", data, position)
        if length < 12 or position + length > len(data):
            return
        yield order, kind, data[position + 8 : position + length - 4]
        position += length


def _pcapng(data: bytes) -> Iterator[Packet]:
    interfaces: list[tuple[int, float]] = []
    for order, kind, body in _blocks(data):
        if kind == SECTION_HEADER:
            interfaces = []
        elif kind == INTERFACE and len(body) >= 8:
            interfaces.append((struct.unpack_from(f"{order}H", body)[0], _resolution(body[8:], order)))
        elif kind == ENHANCED_PACKET and len(body) >= 20:
            index, high, low, captured, _ = struct.unpack_from(f"{order}IIIII", body)
            if index < len(interfaces) and 20 + captured <= len(body):
                link, unit = interfaces[index]
                yield Packet((high << 32 | low) * unit, link, body[20 : 20 + captured])
        elif kind == SIMPLE_PACKET and interfaces:
            yield Packet(0.0, interfaces[0][0], body[4:])


def _resolution(options: bytes, order: str) -> float:
    """Return the seconds per unit of an interface's time stamps (option if_tsresol)."""
    position = 0
    while position + 4 <= len(options):
        code, length = struct.unpack_from(f"{order}HH", options, position)
        if code == 9 and length:
            value = options[position + 4]
            return float(2.0 ** -(value & 0x7F)) if value & 0x80 else float(10.0**-value)
        if not code:
            break
        position += 4 + (length + 3 & ~3)
    return 1e-6


# ------------------------------------------------------------------------------------------------------ link to stream


def _network(packet: Packet) -> tuple[int, bytes] | None:
    """Return Ethertype and network packet."""
    data = packet.data
    if packet.link == ETHERNET and len(data) > 14:
        kind, rest = int.from_bytes(data[12:14], "big"), data[14:]
        while kind in VLANS and len(rest) > 4:
            kind, rest = int.from_bytes(rest[2:4], "big"), rest[4:]
        return kind, rest
    if packet.link == LINUX_SLL and len(data) > 16:
        return int.from_bytes(data[14:16], "big"), data[16:]
    if packet.link == LINUX_SLL2 and len(data) > 20:
        return int.from_bytes(data[:2], "big"), data[20:]
    if packet.link in (NULL, RAW, 12, 14, 228, 229):
        rest = data[4:] if packet.link == NULL else data
        return (IPV6 if rest[:1] and rest[0] >> 4 == 6 else IPV4), rest
    return None


def _transport(kind: int, data: bytes) -> tuple[str, str, int, bytes] | None:
    """Return source, target, protocol number and transport segment."""
    if kind == IPV6 and len(data) >= 40:
        length, following = struct.unpack_from("!HB", data, 4)
        source, target, rest = data[8:24], data[24:40], data[40 : 40 + length]
        while following in (0, 43, 60) and len(rest) >= 8:
            following, rest = rest[0], rest[8 * (rest[1] + 1) :]
        return f"[{ipaddress.IPv6Address(source)}]", f"[{ipaddress.IPv6Address(target)}]", following, rest
    if kind == IPV4 and len(data) >= 20:
        size, total = 4 * (data[0] & 15), int.from_bytes(data[2:4], "big")
        if size < 20:
            return None
        ends = [str(ipaddress.IPv4Address(data[i : i + 4])) for i in (12, 16)]
        return ends[0], ends[1], data[9], data[size:total]
    return None


class _Stream:
    """One direction of a TCP connection: segments in order, then frames."""

    def __init__(self) -> None:
        self.framer = Framer()
        self.next: int | None = None
        self.early: dict[int, bytes] = {}
        self.skipped = False

    def feed(self, sequence: int, flags: int, data: bytes) -> bytes:
        """Return the bytes that are now in order; repeated ones are dropped."""
        if flags & FIN_SYN_RST[1]:
            self.__init__()  # type: ignore[misc]
            self.next = sequence + 1 & 0xFFFFFFFF
            return b""
        if self.next is None:
            self.next = sequence
        if data and len(self.early) < MAX_EARLY_SEGMENTS:
            self.early[sequence] = max(data, self.early.get(sequence, b""), key=len)
        ready = b""
        while True:
            for begin, segment in list(self.early.items()):
                behind = self.next - begin & 0xFFFFFFFF
                if behind < 1 << 31:  # begins at or before the next byte
                    del self.early[begin]
                    new = segment[behind:]
                    ready += new
                    self.next = self.next + len(new) & 0xFFFFFFFF
                    break
            else:
                return ready


def payloads(packets: Iterable[Packet], keys: KeyLog | None = None) -> Iterator[Found]:
    """Return the V2GTP messages of all streams, in the order of completion; `keys` decrypts TLS."""
    reassembly = _Reassembly(keys)
    skipped: Counter[str] = Counter()
    at = 0.0
    for packet in packets:
        at = packet.at
        network = _network(packet)
        if network is None:
            skipped[f"link type {packet.link}"] += 1
        elif network[0] == HOMEPLUG and (name := _slac(network[1])):
            yield Found(at, _mac(packet.data[6:12]), _mac(packet.data[:6]), 0, network[1], f"SLAC {name}")
        elif (transport := _transport(*network)) is None:
            skipped[LINK_KINDS.get(network[0], f"Ethertype {network[0]:#06x}")] += 1
        else:
            found = list(reassembly.segment(at, transport))
            if not found and transport[2] != TCP:
                skipped[TRANSPORT_KINDS.get(transport[2], f"IP protocol {transport[2]}")] += 1
            yield from found
    if skipped:
        counts = ", ".join(f"{count} {kind}" for kind, count in sorted(skipped.items()))
        yield Found(at, "", "", 0, b"", f"frames that are no part of a session: {counts}")


class _Reassembly:
    """Streams of all TCP connections of a capture, and those with TLS."""

    def __init__(self, keys: KeyLog | None) -> None:
        self._keys = keys
        self._streams: dict[Ends, _Stream] = {}
        self._encrypted: dict[frozenset[str], TlsConnection] = {}

    def segment(self, at: float, transport: tuple[str, str, int, bytes]) -> Iterator[Found]:
        """Yield what a UDP datagram or a TCP segment completes."""
        source, target, protocol, data = transport
        if len(data) < HEADER_SIZE:
            return
        ports = struct.unpack_from("!HH", data)
        ends = f"{source}:{ports[0]}", f"{target}:{ports[1]}"
        if protocol == UDP and SDP_PORT in ports:
            wrong = diagnosis.stream_start(data[8:])
            yield Found(at, *ends, int.from_bytes(data[10:12], "big"), data[8 + HEADER_SIZE :], wrong=wrong)
        elif protocol == TCP and len(data) >= 20:
            stream = self._streams.setdefault(ends, _Stream())
            if data[13] & FIN_SYN_RST[1]:
                self._encrypted.pop(frozenset(ends), None)
            offset = 4 * (data[12] >> 4)
            ready = stream.feed(int.from_bytes(data[4:8], "big"), data[13], data[offset:])
            if ready and not stream.skipped:
                yield from self._received(at, ends, stream, ready)

    def _received(self, at: float, ends: Ends, stream: _Stream, data: bytes) -> Iterator[Found]:
        connection = self._encrypted.get(frozenset(ends))
        if connection is None and self._keys and not stream.framer.pending and diagnosis.is_tls(data):
            from protocols.tls_decryption import TlsConnection  # imports ciphers

            connection = self._encrypted[frozenset(ends)] = TlsConnection(self._keys)
        if connection is None:
            yield from _frames(at, ends, stream, data)
            return
        try:
            plain = connection.feed(ends[0], data)
        except ValueError as error:
            stream.skipped = True
            yield Found(at, *ends, 0, data, f"a stream with TLS is skipped: {error}")
            return
        yield from _frames(at, ends, stream, plain)


def _slac(data: bytes) -> str:
    """Return the name of a HomePlug management message of SLAC, "" for others."""
    number = int.from_bytes(data[1:3], "little")
    name = SLAC_MESSAGES.get(number & ~3)
    return f"{name}.{SLAC_KINDS[number & 3]}" if name else ""


def _mac(data: bytes) -> str:
    return data.hex(":")


def _frames(at: float, ends: Ends, stream: _Stream, data: bytes) -> Iterator[Found]:
    wrong = "" if stream.framer.pending or not data else diagnosis.stream_start(data)
    if wrong and not wrong.startswith("V2GTP"):
        stream.skipped = True
        hint = NO_KEYS if diagnosis.is_tls(data) else ""
        yield Found(at, *ends, 0, data, f"a stream that is not V2GTP is skipped: {wrong}{hint}")
        return
    try:
        for one in stream.framer.feed(data):
            fault = "" if one.well_formed else wrong or "wrong V2GTP version bytes"
            yield Found(at, *ends, one.payload_type, one.payload, wrong=fault)
    except FramingError as error:
        stream.skipped = True
        yield Found(at, *ends, 0, b"", f"the rest of the stream can't be read: {error}")
