"""Decryption of a recorded TLS 1.2 or 1.3 connection with the secrets of a key log.

    connection = TlsConnection(KeyLog(text))
    plain = connection.feed("client", data)         # in the order of the capture, both directions

The application data of a direction is returned as it completes; a wrong record raises TlsError, after which the
connection is lost. No packaged library with a permissive licence decrypts captures; OpenSSL is the judge in the tests.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

from protocols.tls_cipher import (
    SUITES,
    Protection,
    Suite,
    TlsError,
    derive_secret,
    key_block,
    modern_protection,
    older_protection,
)
from protocols.tls_key_log import TLS_1_2, KeyLog

CHANGE_CIPHER, ALERT, HANDSHAKE, APPLICATION = 20, 21, 22, 23
CLIENT_HELLO, SERVER_HELLO, FINISHED, KEY_UPDATE = 1, 2, 20, 24
ENCRYPT_THEN_MAC, SUPPORTED_VERSIONS = 22, 43
VERSION_1_3 = b"\x03\x04"
RETRY = bytes.fromhex("cf21ad74e59a6111be1d8c021e65b891c2a211167abb8c5e079e09e2c8a8339c")  # random of a retry request
RECORD_HEADER, LARGEST_RECORD = 5, (1 << 14) + 2048
LABELS = ("SERVER", "CLIENT")


@dataclass(slots=True)
class _Direction:
    """Data of one side."""

    is_client: bool = False
    records: bytearray = field(default_factory=bytearray)
    messages: bytearray = field(default_factory=bytearray)  # of the handshake
    protection: Protection | None = None
    secret: bytes = b""


class TlsConnection:
    """State of one connection; the sender of the ClientHello is the client."""

    def __init__(self, keys: KeyLog) -> None:
        self._keys = keys
        self._directions: dict[str, _Direction] = {}
        self._client_random = self._server_random = b""
        self._suite: Suite | None = None
        self._modern = self._encrypt_then_mac = False

    def feed(self, sender: str, data: bytes) -> bytes:
        """Return the application data that the bytes of a sender complete. Raises TlsError."""
        side = self._directions.setdefault(sender, _Direction())
        side.records += data
        return b"".join(self._record(side, *record) for record in _split(side.records))

    def _record(self, side: _Direction, kind: int, version: bytes, fragment: bytes) -> bytes:
        if kind == CHANGE_CIPHER:
            if not self._modern:
                self._protect_older(side)
            return b""
        if side.protection is not None:
            kind, fragment = side.protection.open(kind, version, fragment)
        elif kind == APPLICATION:
            raise TlsError("the capture begins after the handshake of TLS")
        if kind == HANDSHAKE:
            side.messages += fragment
            self._handshake(side)
        return fragment if kind == APPLICATION else b""

    def _handshake(self, side: _Direction) -> None:
        messages = side.messages
        while len(messages) >= 4 and len(messages) >= (size := 4 + int.from_bytes(messages[1:4], "big")):
            kind, body = messages[0], bytes(messages[4:size])
            del messages[:size]
            if kind == CLIENT_HELLO:
                side.is_client, self._client_random = True, body[2:34]
            elif kind == SERVER_HELLO and body[2:34] != RETRY:
                self._agree(body)
            elif kind == FINISHED and self._modern:
                self._protect(side, self._secret(side, "TRAFFIC_SECRET_0"))
            elif kind == KEY_UPDATE and self._modern and self._suite is not None:
                size = len(side.secret)
                self._protect(side, derive_secret(side.secret, "traffic upd", size, self._suite.digest))

    def _agree(self, hello: bytes) -> None:
        """Read a ServerHello; with TLS 1.3 both sides are encrypted from here on."""
        try:
            self._server_random, session = hello[2:34], hello[34]
            suite, extensions = struct.unpack_from("!H", hello, 35 + session)[0], hello[40 + session :]
            found = dict(_extensions(extensions))
        except (IndexError, struct.error):
            raise TlsError("an unreadable ServerHello") from None
        if suite not in SUITES:
            raise TlsError(f"cipher suite {suite:#06x} is not supported")
        self._suite = SUITES[suite]
        self._modern = found.get(SUPPORTED_VERSIONS) == VERSION_1_3
        self._encrypt_then_mac = ENCRYPT_THEN_MAC in found
        if not self._client_random:
            raise TlsError("the capture has no ClientHello of TLS")
        if not self._keys.secrets(self._client_random):
            raise TlsError(f"the key log has no secrets of client random {self._client_random.hex()}")
        if self._modern:
            for side in self._directions.values():
                self._protect(side, self._secret(side, "HANDSHAKE_TRAFFIC_SECRET"))

    def _secret(self, side: _Direction, name: str) -> bytes:
        label = f"{LABELS[side.is_client]}_{name}"
        secrets = self._keys.secrets(self._client_random)
        if label not in secrets:
            raise TlsError(f"the key log has no {label} of client random {self._client_random.hex()}")
        return secrets[label]

    def _protect(self, side: _Direction, secret: bytes) -> None:
        assert self._suite is not None
        side.secret, side.protection = secret, modern_protection(self._suite, secret)

    def _protect_older(self, side: _Direction) -> None:
        """Begin the protection of TLS 1.2 after ChangeCipherSpec."""
        if self._suite is None:
            return  # TLS 1.3: sent for old middle boxes before a second ClientHello
        master = self._keys.secrets(self._client_random).get(TLS_1_2)
        if master is None:
            raise TlsError(f"the key log has no {TLS_1_2} {self._client_random.hex()}")
        ends = key_block(self._suite, master, (self._client_random, self._server_random))
        keys = ends[0] if side.is_client else ends[1]
        side.protection = older_protection(self._suite, keys, encrypt_then_mac=self._encrypt_then_mac)


def _split(buffer: bytearray) -> Iterator[tuple[int, bytes, bytes]]:
    """Yield the complete records of a stream: content type, version, fragment; they are removed from the buffer."""
    while len(buffer) >= RECORD_HEADER:
        kind, size = buffer[0], int.from_bytes(buffer[3:5], "big")
        if not CHANGE_CIPHER <= kind <= APPLICATION or size > LARGEST_RECORD:
            raise TlsError(f"no TLS record: {bytes(buffer[:RECORD_HEADER]).hex(' ')}")
        if len(buffer) < RECORD_HEADER + size:
            return
        record = kind, bytes(buffer[1:3]), bytes(buffer[RECORD_HEADER : RECORD_HEADER + size])
        del buffer[: RECORD_HEADER + size]
        yield record


def _extensions(data: bytes) -> Iterator[tuple[int, bytes]]:
    position = 0
    while position + 4 <= len(data):
        kind, size = struct.unpack_from("!HH", data, position)
        yield kind, data[position + 4 : position + 4 + size]
        position += 4 + size
