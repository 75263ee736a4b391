"""Record protection of TLS 1.2 and 1.3 from recorded secrets, one direction each; for captures.

The suites are those of ISO 15118-2 and -20 and what peers in the field negotiate besides. Sources: RFC 5246, 5288,
5289, 7366, 7905 (TLS 1.2), RFC 8446 (TLS 1.3).
"""

from __future__ import annotations

import hmac
import struct
from dataclasses import dataclass
from typing import Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305

NONCE, TAG, BLOCK, EXPLICIT_NONCE = 12, 16, 16, 8
KEY_EXPANSION = b"key expansion"


class TlsError(ValueError):
    """A recorded connection that cannot be decrypted; the text states why."""


@dataclass(frozen=True, slots=True)
class Suite:
    """A cipher suite: AEAD (`gcm`, `chacha`) or `cbc` with an HMAC; `digest` of the key derivation."""

    mode: str
    key_size: int
    digest: str
    mac: str = ""  # digest of the HMAC of `cbc`

    @property
    def mac_size(self) -> int:
        return hmac.new(b"", digestmod=self.mac).digest_size if self.mac else 0

    @property
    def iv_size(self) -> int:
        """Size of the fixed part of the nonce in the key block of TLS 1.2."""
        return {"gcm": 4, "chacha": NONCE, "cbc": 0}[self.mode]


_GCM_128, _GCM_256 = Suite("gcm", 16, "sha256"), Suite("gcm", 32, "sha384")
_CHACHA = Suite("chacha", 32, "sha256")
_CBC_128, _CBC_256 = Suite("cbc", 16, "sha256", "sha256"), Suite("cbc", 32, "sha384", "sha384")
SUITES = {
    0x1301: _GCM_128,
    0x1302: _GCM_256,
    0x1303: _CHACHA,
    0xC023: _CBC_128,  # ECDHE_ECDSA, ISO 15118-2
    0xC024: _CBC_256,
    0xC025: _CBC_128,  # ECDH_ECDSA, ISO 15118-2
    0xC027: _CBC_128,
    0xC028: _CBC_256,
    0xC009: Suite("cbc", 16, "sha256", "sha1"),
    0xC00A: Suite("cbc", 32, "sha256", "sha1"),
    0xC02B: _GCM_128,
    0xC02C: _GCM_256,
    0xC02D: _GCM_128,
    0xC02F: _GCM_128,
    0xC030: _GCM_256,
    0xCCA8: _CHACHA,
    0xCCA9: _CHACHA,
}


class Protection(Protocol):
    """Decryption of the records of one direction, in their order."""

    def open(self, kind: int, version: bytes, fragment: bytes) -> tuple[int, bytes]:
        """Return content type and content of a record. Raises TlsError."""


def derive_secret(secret: bytes, label: str, size: int, digest: str) -> bytes:
    """Return HKDF-Expand-Label of TLS 1.3 without context."""
    name = b"tls13 " + label.encode()
    info = struct.pack("!HB", size, len(name)) + name + b"\0"
    found, block = b"", b""
    for number in range(1, size // hmac.new(b"", digestmod=digest).digest_size + 2):
        block = hmac.digest(secret, block + info + bytes([number]), digest)
        found += block
    return found[:size]


def key_block(suite: Suite, master: bytes, randoms: tuple[bytes, bytes]) -> tuple[list[bytes], list[bytes]]:
    """Return HMAC key, key and fixed nonce of client and of server in TLS 1.2. `randoms`: of client and server."""
    sizes = [suite.mac_size, suite.key_size, suite.iv_size]
    seed = KEY_EXPANSION + randoms[1] + randoms[0]
    found, block = b"", seed
    while len(found) < 2 * sum(sizes):
        block = hmac.digest(master, block, suite.digest)
        found += hmac.digest(master, block + seed, suite.digest)
    ends: tuple[list[bytes], list[bytes]] = ([], [])
    position = 0
    for size in sizes:
        for end in ends:
            end.append(found[position : position + size])
            position += size
    return ends


class _Aead:
    """AEAD of both versions. `explicit`: TLS 1.2 with AES-GCM, whose records begin with a part of the nonce."""

    def __init__(self, suite: Suite, key: bytes, iv: bytes, *, modern: bool) -> None:
        self._cipher = ChaCha20Poly1305(key) if suite.mode == "chacha" else AESGCM(key)
        self._iv, self._modern = iv, modern
        self._explicit = not modern and suite.mode == "gcm"
        self._sequence = 0

    def open(self, kind: int, version: bytes, fragment: bytes) -> tuple[int, bytes]:
        """See `Protection`."""
        number = struct.pack("!Q", self._sequence)
        self._sequence += 1
        if self._explicit:
            nonce, fragment = self._iv + fragment[:EXPLICIT_NONCE], fragment[EXPLICIT_NONCE:]
        else:
            nonce = bytes(a ^ b for a, b in zip(self._iv, number.rjust(NONCE, b"\0"), strict=True))
        if self._modern:
            head = bytes([kind]) + version + struct.pack("!H", len(fragment))
        else:
            head = number + bytes([kind]) + version + struct.pack("!H", max(len(fragment) - TAG, 0))
        try:
            content = self._cipher.decrypt(nonce, fragment, head)
        except (InvalidTag, ValueError):
            raise TlsError("a record does not fit the secret of the key log") from None
        if not self._modern:
            return kind, content
        content = content.rstrip(b"\0")
        if not content:
            raise TlsError("a record without content type")
        return content[-1], content[:-1]


class _Cbc:
    """AES-CBC with HMAC of TLS 1.2, in either order."""

    def __init__(self, suite: Suite, mac_key: bytes, key: bytes, *, encrypt_then_mac: bool) -> None:
        self._suite, self._mac_key, self._key, self._encrypt_then_mac = suite, mac_key, key, encrypt_then_mac
        self._sequence = 0

    def open(self, kind: int, version: bytes, fragment: bytes) -> tuple[int, bytes]:
        """See `Protection`."""
        number = struct.pack("!Q", self._sequence)
        self._sequence += 1
        size, mac = self._suite.mac_size, b""
        authenticated = fragment
        if self._encrypt_then_mac:
            authenticated, mac = fragment[:-size], fragment[-size:]
        if len(authenticated) < 2 * BLOCK or len(authenticated) % BLOCK:
            raise TlsError(f"a record of {len(fragment)} bytes does not fit the cipher suite")
        opener = Cipher(algorithms.AES(self._key), modes.CBC(authenticated[:BLOCK])).decryptor()
        content = opener.update(authenticated[BLOCK:]) + opener.finalize()
        content = content[: max(len(content) - content[-1] - 1, 0)]
        if not self._encrypt_then_mac:
            content, mac = content[:-size], content[-size:]
            authenticated = content
        head = number + bytes([kind]) + version + struct.pack("!H", len(authenticated))
        if not hmac.compare_digest(hmac.digest(self._mac_key, head + authenticated, self._suite.mac), mac):
            raise TlsError("a record does not fit the secret of the key log")
        return kind, content


def modern_protection(suite: Suite, secret: bytes) -> Protection:
    """Return the protection of a traffic secret of TLS 1.3."""
    key = derive_secret(secret, "key", suite.key_size, suite.digest)
    return _Aead(suite, key, derive_secret(secret, "iv", NONCE, suite.digest), modern=True)


def older_protection(suite: Suite, keys: list[bytes], *, encrypt_then_mac: bool) -> Protection:
    """Return the protection of one direction of TLS 1.2 from its part of the key block."""
    mac_key, key, iv = keys
    if suite.mode == "cbc":
        return _Cbc(suite, mac_key, key, encrypt_then_mac=encrypt_then_mac)
    return _Aead(suite, key, iv, modern=False)
