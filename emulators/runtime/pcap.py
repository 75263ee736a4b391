"""Capture file of a session in memory, as of a session over TCP: for Wireshark and for `v2x exi decode --pcap`.

Classic pcap, link type raw IP; IPv6 and TCP headers are synthesised for each write. Reading is not supported.
"""

from __future__ import annotations

import struct
from pathlib import Path

from protocols import private_file

RAW_IP = 101
SECC_PORT, EV_PORT = 15118, 50000
_EV = bytes.fromhex("fe80000000000000000000fffe00e001")
_SECC = bytes.fromhex("fe80000000000000000000fffe00ecc1")
_PUSH_ACK = 0x18
_MAX_PAYLOAD = 60_000  # bytes in one packet


class Capture:
    """Packets of one connection. The senders are `ev` and `secc`."""

    def __init__(self) -> None:
        self._packets: list[tuple[float, bytes]] = []
        self._sent = {"ev": 1, "secc": 1}

    def __len__(self) -> int:
        return len(self._packets)

    def add(self, wall: float, sender: str, data: bytes) -> None:
        """Add one write of `ev` or `secc` at a Unix time."""
        for start in range(0, len(data), _MAX_PAYLOAD):
            part = data[start : start + _MAX_PAYLOAD]
            receiver = "secc" if sender == "ev" else "ev"
            ports = (EV_PORT, SECC_PORT) if sender == "ev" else (SECC_PORT, EV_PORT)
            addresses = (_EV, _SECC) if sender == "ev" else (_SECC, _EV)
            tcp = struct.pack(
                "!HHIIBBHHH", *ports, self._sent[sender], self._sent[receiver], 5 << 4, _PUSH_ACK, 65_535, 0, 0
            )
            tcp = tcp[:16] + struct.pack("!H", _checksum(addresses, tcp + part)) + tcp[18:]
            self._sent[sender] = (self._sent[sender] + len(part)) & 0xFFFFFFFF
            header = struct.pack("!IHBB", 6 << 28, len(tcp) + len(part), 6, 64) + addresses[0] + addresses[1]
            self._packets.append((wall, header + tcp + part))

    def write(self, path: Path) -> None:
        """Write the capture file, which only its owner can read."""
        with private_file.replacing(path, "wb") as out:
            out.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65_535, RAW_IP))
            for wall, packet in self._packets:
                seconds, rest = divmod(wall, 1)
                out.write(struct.pack("<IIII", int(seconds), int(rest * 1e6), len(packet), len(packet)) + packet)


def _checksum(addresses: tuple[bytes, bytes], segment: bytes) -> int:
    """Return the checksum of TCP over IPv6 (RFC 8200, 8.1)."""
    whole = addresses[0] + addresses[1] + struct.pack("!II", len(segment), 6) + segment
    if len(whole) % 2:
        whole += b"\0"
    total: int = sum(struct.unpack(f"!{len(whole) // 2}H", whole))
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF
