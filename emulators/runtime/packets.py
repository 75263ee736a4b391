"""IP packets with TCP segments or UDP datagrams, synthesised for capture files."""

from __future__ import annotations

import ipaddress
import struct

RAW_IP = 101  # link type of captures without a link header
LARGEST_SEGMENT = 60_000  # bytes in one packet
FIN_ACK, SYN, SYN_ACK, ACK, PUSH_ACK = 0x11, 0x02, 0x12, 0x10, 0x18
TCP, UDP = 6, 17
Endpoint = tuple[str, int]
Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def tcp_packet(
    source: Endpoint, target: Endpoint, sequence: int, acknowledged: int, flags: int = PUSH_ACK, data: bytes = b""
) -> bytes:
    """Return an IPv4 or IPv6 packet, as the addresses are; a scope (`%eth0`) is ignored."""
    ends = [ipaddress.ip_address(end[0].partition("%")[0]) for end in (source, target)]
    header = struct.pack(
        "!HHIIBBHHH",
        source[1],
        target[1],
        sequence & 0xFFFFFFFF,
        acknowledged & 0xFFFFFFFF,
        5 << 4,
        flags,
        65_535,
        0,
        0,
    )
    ip, pseudo = _ip_headers(ends[0], ends[1], TCP, len(header) + len(data))
    total = checksum(pseudo + header + data)
    return ip + header[:16] + struct.pack("!H", total) + header[18:] + data


def udp_packet(source: Endpoint, target: Endpoint, data: bytes) -> bytes:
    """Return an IPv4 or IPv6 packet with a datagram, as the addresses are; a scope is ignored."""
    ends = [ipaddress.ip_address(end[0].partition("%")[0]) for end in (source, target)]
    header = struct.pack("!HHHH", source[1], target[1], 8 + len(data), 0)
    ip, pseudo = _ip_headers(ends[0], ends[1], UDP, len(header) + len(data))
    total = checksum(pseudo + header + data) or 0xFFFF
    return ip + header[:6] + struct.pack("!H", total) + data


def _ip_headers(source: Address, target: Address, protocol: int, length: int) -> tuple[bytes, bytes]:
    """Return the IP header of a segment, and the pseudo header of its checksum."""
    addresses = source.packed + target.packed
    if source.version == 6:
        pseudo = addresses + struct.pack("!II", length, protocol)
        return struct.pack("!IHBB", 6 << 28, length, protocol, 64) + addresses, pseudo
    ip = struct.pack("!BBHHHBBH", 0x45, 0, 20 + length, 0, 0x4000, 64, protocol, 0) + addresses
    return ip[:10] + struct.pack("!H", checksum(ip)) + ip[12:], addresses + struct.pack("!BBH", 0, protocol, length)


def checksum(data: bytes) -> int:
    """Return the Internet checksum (RFC 1071)."""
    data += b"\0" * (len(data) % 2)
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF
