"""Capture file of a session in memory, as of a session over TCP: for Wireshark and for `v2x exi decode --pcap`.

Classic pcap, link type raw IP; IPv6 and TCP headers are synthesised for each write. Reading is not supported; captures
of real connections, with the secrets of TLS, are in `pcapng.py`.
"""

from __future__ import annotations

import struct
from pathlib import Path

from emulators.runtime.packets import LARGEST_SEGMENT, RAW_IP, tcp_packet
from protocols import private_file

SECC_PORT, EV_PORT = 15118, 50000
_ENDS = {"ev": ("fe80::ff:fe00:e001", EV_PORT), "secc": ("fe80::ff:fe00:ecc1", SECC_PORT)}


class Capture:
    """Packets of one connection. The senders are `ev` and `secc`."""

    suffix = ".pcap"

    def __init__(self) -> None:
        self._segments: list[tuple[float, str, int, int, bytes]] = []  # time, sender, sequence numbers, data
        self._sent = {"ev": 1, "secc": 1}

    def __len__(self) -> int:
        return len(self._segments)

    def add(self, wall: float, sender: str, data: bytes) -> None:
        """Add one write of `ev` or `secc` at a Unix time."""
        receiver = "secc" if sender == "ev" else "ev"
        for start in range(0, len(data), LARGEST_SEGMENT):
            part = data[start : start + LARGEST_SEGMENT]
            sent, received = self._sent[sender], self._sent[receiver]
            self._sent[sender] = (sent + len(part)) & 0xFFFFFFFF
            self._segments.append((wall, sender, sent, received, part))

    def write(self, path: Path) -> None:
        """Write the capture file, which only its owner can read."""
        with private_file.replacing(path, "wb") as out:
            out.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65_535, RAW_IP))
            for wall, sender, sent, received, part in self._segments:
                receiver = "secc" if sender == "ev" else "ev"
                packet = tcp_packet(_ENDS[sender], _ENDS[receiver], sent, received, data=part)
                seconds, rest = divmod(wall, 1)
                out.write(struct.pack("<IIII", int(seconds), int(rest * 1e6), len(packet), len(packet)) + packet)
