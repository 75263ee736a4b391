"""First bytes of a TLS connection: whether a peer starts TLS, and whether it offers TLS 1.3.

Source: RFC 8446 sections 4.1.2 (ClientHello), 4.2.1 (supported_versions), 5.1 (records).
"""

from __future__ import annotations

HANDSHAKE_RECORD = 0x16
CLIENT_HELLO = 0x01
SUPPORTED_VERSIONS = 43
TLS_1_3 = 0x0304
RECORD_HEADER, HANDSHAKE_HEADER = 5, 4
VERSION_AND_RANDOM = 34
LARGEST_HELLO = 1 << 14  # bytes; a longer one is judged by its beginning


def starts_tls(first: bytes) -> bool:
    """Return whether the peer starts TLS; without TLS the first byte is the version of V2GTP."""
    return first[:1] == bytes((HANDSHAKE_RECORD,))


def is_complete(first: bytes) -> bool:
    """Return whether `first` contains a whole ClientHello, or no more of it is worth waiting for."""
    if not first:
        return False
    if not starts_tls(first) or len(first) >= LARGEST_HELLO:
        return True
    message = _handshake(first)
    return len(message) >= HANDSHAKE_HEADER and len(message) >= HANDSHAKE_HEADER + int.from_bytes(message[1:4], "big")


def offers_tls_1_3(first: bytes) -> bool:
    """Return whether a ClientHello offers TLS 1.3."""
    message = _Reader(_handshake(first))
    try:
        if message.number(1) != CLIENT_HELLO:
            return False
        hello = _Reader(message.vector(3))
        hello.skip(VERSION_AND_RANDOM)
        for size in (1, 2, 1):  # session id, cipher suites, compression methods
            hello.vector(size)
        extensions = _Reader(hello.vector(2))
        while extensions.left:
            kind, content = extensions.number(2), _Reader(extensions.vector(2))
            if kind == SUPPORTED_VERSIONS:
                versions = _Reader(content.vector(1))
                return TLS_1_3 in [versions.number(2) for _ in range(versions.left // 2)]
    except _Incomplete:
        pass
    return False


def _handshake(data: bytes) -> bytes:
    """Return the contents of the handshake records at the beginning, as far as received."""
    content = b""
    while starts_tls(data) and len(data) > RECORD_HEADER:
        end = RECORD_HEADER + int.from_bytes(data[3:5], "big")
        content += data[RECORD_HEADER:end]
        data = data[end:]
    return content


class _Incomplete(Exception):
    """The structure is shorter than it states."""


class _Reader:
    """Numbers and vectors of a TLS structure. Raises _Incomplete beyond its end."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    @property
    def left(self) -> int:
        return len(self._data) - self._at

    def skip(self, size: int) -> bytes:
        """Return the next bytes."""
        if size > self.left:
            raise _Incomplete
        self._at += size
        return self._data[self._at - size : self._at]

    def number(self, size: int) -> int:
        """Return the number in the next `size` bytes."""
        return int.from_bytes(self.skip(size), "big")

    def vector(self, size: int) -> bytes:
        """Return the vector whose length is in the next `size` bytes."""
        return self.skip(self.number(size))
