"""Capture of real connections as pcapng, with the secrets of TLS inside (Decryption Secrets Block).

Wireshark and tshark show the decrypted messages without further settings. TCP and IP headers are synthesised from the
bytes of a `RecordedSocket`. A packet is written when the next one is recorded: until then the secrets that it needs
have been logged, and a reader needs them before the packet. A file that was not closed lacks only its last packet.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path

from emulators.runtime.packets import (
    ACK,
    FIN_ACK,
    LARGEST_SEGMENT,
    PUSH_ACK,
    RAW_IP,
    SYN,
    SYN_ACK,
    Endpoint,
    tcp_packet,
    udp_packet,
)
from emulators.runtime.recorded_socket import RecordedSocket
from protocols import private_file

SECTION_HEADER, INTERFACE, ENHANCED_PACKET, SECRETS = 0x0A0D0D0A, 1, 6, 0x0A
TLS_KEY_LOG = 0x544C534B
NANOSECONDS = struct.pack("<HHB3xHH", 9, 1, 9, 0, 0)  # option if_tsresol, end of options
APPLICATION = b"v2x"


class CaptureFile:
    """A new pcapng file of `path` that only its owner can read; an existing file is replaced.

    `secrets` is the key log of this process, in which lines before now belong to others.
    """

    def __init__(self, path: Path, wall: Callable[[], float], secrets: Path | None = None) -> None:
        path.unlink(missing_ok=True)
        self._out = private_file.create(path, "wb")
        self._wall = wall
        self._secrets = secrets
        self._secrets_read = secrets.stat().st_size if secrets is not None and secrets.exists() else 0
        self._waiting: list[tuple[float, bytes]] = []
        self._streams: dict[RecordedSocket, dict[bool, int]] = {}  # next sequence number, by own side
        user = struct.pack("<HH", 4, len(APPLICATION)) + APPLICATION + bytes(-len(APPLICATION) % 4) + bytes(4)
        self._block(SECTION_HEADER, struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1) + user)
        self._block(INTERFACE, struct.pack("<HHI", RAW_IP, 0, 0) + NANOSECONDS)

    def record(self, sock: RecordedSocket, sent: bool, data: bytes) -> None:
        """Record what a socket sent or received; b"" is the end of the stream."""
        if sock.ends is None or self._out.closed:
            return
        self._flush()
        if sock not in self._streams:
            self._open(sock, sent)
        for start in range(0, len(data), LARGEST_SEGMENT):
            self._add(sock, sent, PUSH_ACK, data[start : start + LARGEST_SEGMENT])
        if not data:
            self._add(sock, sent, FIN_ACK)
            self._add(sock, not sent, FIN_ACK)
            del self._streams[sock]

    def record_datagram(self, source: Endpoint, target: Endpoint, data: bytes) -> None:
        """Record a datagram of SDP."""
        if self._out.closed:
            return
        self._flush()
        self._waiting.append((self._wall(), udp_packet(source, target, data)))

    def close(self) -> None:
        """Write what is pending, and close the file."""
        self._flush()
        self._out.close()

    def _open(self, sock: RecordedSocket, client: bool) -> None:
        """Add the handshake of TCP; who sends first is the client, as in TLS and in ISO 15118."""
        self._streams[sock] = {True: 0, False: 0}
        self._add(sock, client, SYN)
        self._add(sock, not client, SYN_ACK)
        self._add(sock, client, ACK)

    def _add(self, sock: RecordedSocket, sent: bool, flags: int, data: bytes = b"") -> None:
        assert sock.ends is not None
        own, peer = sock.ends
        ends: tuple[Endpoint, Endpoint] = (own, peer) if sent else (peer, own)
        numbers = self._streams[sock]
        packet = tcp_packet(*ends, numbers[sent], 0 if flags == SYN else numbers[not sent], flags, data)
        numbers[sent] += len(data) + (1 if flags in (SYN, SYN_ACK, FIN_ACK) else 0)
        self._waiting.append((self._wall(), packet))

    def _flush(self) -> None:
        self._write_secrets()
        for wall, packet in self._waiting:
            at = round(wall * 1e9)
            head = struct.pack("<IIIII", 0, at >> 32, at & 0xFFFFFFFF, len(packet), len(packet))
            self._block(ENHANCED_PACKET, head + packet + bytes(-len(packet) % 4))
        self._waiting.clear()
        self._out.flush()

    def _write_secrets(self) -> None:
        """Copy what was added to the key log since the last call."""
        if self._secrets is None or not self._secrets.exists():
            return
        with self._secrets.open("rb") as log:
            log.seek(self._secrets_read)
            added = log.read()
        complete = added[: added.rfind(b"\n") + 1]
        if complete:
            self._secrets_read += len(complete)
            self._block(SECRETS, struct.pack("<II", TLS_KEY_LOG, len(complete)) + complete + bytes(-len(complete) % 4))

    def _block(self, kind: int, body: bytes) -> None:
        size = len(body) + 12
        self._out.write(struct.pack("<II", kind, size) + body + struct.pack("<I", size))
