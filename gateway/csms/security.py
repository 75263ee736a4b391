"""Who is at the door: basic credentials, how they are kept, and how often somebody may knock.

Profiles of OCPP: 0 nothing (not for the internet), 1 basic authentication, 2 the same over TLS, 3 a client certificate
whose common name is the station's id (2.1 part 2 A00; 1.6 security whitepaper). Passwords are never kept in the clear.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import os
import secrets
import ssl
import string
from pathlib import Path

PASSWORD_LENGTH = (16, 40)  # characters, 2.x BasicAuthPassword; 1.6 AuthorizationKey holds 16 to 40 hexadecimal
# TLS 1.2: the four that every CSMS must take (A00.FR.318, A00.FR.421) and their like, best first; 1.3 has its own
CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20:AES128-GCM-SHA256:AES256-GCM-SHA384:!aNULL:!PSK"
_COST = {"n": 2**12, "r": 8, "p": 1}  # 4 MB and about 10 ms: a thousand stations reconnect within seconds
_ALPHABET = string.ascii_letters + string.digits


def hashed(password: str, salt: bytes | None = None) -> str:
    """How a password is kept: scrypt with a salt of its own."""
    salt = os.urandom(16) if salt is None else salt
    digest = hashlib.scrypt(password.encode(), salt=salt, **_COST)
    return f"scrypt${salt.hex()}${digest.hex()}"


def matches(password: str, kept: str) -> bool:
    """Whether a password is the one that was kept; false for a hash nobody can read."""
    try:
        method, salt, _ = kept.split("$")
        return method == "scrypt" and hmac.compare_digest(hashed(password, bytes.fromhex(salt)), kept)
    except ValueError:
        return False


def salt_of(station: str) -> bytes:
    """The salt for a password that is in the configuration: the same at every start, so that a change can be seen."""
    return hashlib.sha256(b"v2x-gateway " + station.encode()).digest()[:16]


def fresh_password() -> str:
    """A password for a 2.x station, as long as every version takes."""
    return "".join(secrets.choice(_ALPHABET) for _ in range(32))


def fresh_key() -> str:
    """An AuthorizationKey for a 1.6 station: 20 bytes, written down in hexadecimal (security whitepaper, 2.3)."""
    return secrets.token_hex(20)


def basic_credentials(header: str | None) -> tuple[str, bytes] | None:
    """User and password of an Authorization header, None where it holds none. A password need not be text."""
    scheme, _, coded = (header or "").partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        raw = base64.b64decode(coded.strip(), validate=True)
    except (binascii.Error, ValueError):
        return None
    user, colon, password = raw.partition(b":")
    return (user.decode("utf-8", "replace"), password) if colon else None


def common_name(certificate: dict[str, object] | None) -> str | None:
    """The subject's common name of a peer certificate as `ssl` reads it."""
    subject = (certificate or {}).get("subject", ())
    if isinstance(subject, tuple):
        for relative in subject:
            for key, value in relative:
                if key == "commonName":
                    return str(value)
    return None


def server_context(certificate: Path, key: Path, authority: Path | None, profile: int) -> ssl.SSLContext:
    """TLS 1.2 or better for profiles 2 and 3 (A00.FR.3xx); profile 3 asks for the station's certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(CIPHERS)
    context.load_cert_chain(certificate, key)
    if profile == 3 and authority is None:
        raise ValueError("ocpp.tls_ca is needed for security profile 3: whose station certificates are believed")
    if authority is not None:  # of the other profiles a station may bring one, and go over to profile 3 (A05)
        context.load_verify_locations(authority)
        context.verify_mode = ssl.CERT_REQUIRED if profile == 3 else ssl.CERT_OPTIONAL
    return context


class Bucket:
    """A rate with a burst: `take` says whether one more is within it."""

    __slots__ = ("_at", "_level", "burst", "rate")

    def __init__(self, rate: float, burst: float) -> None:
        self.rate, self.burst = rate, burst
        self._level, self._at = burst, 0.0

    def take(self, now: float) -> bool:
        """Whether one more fits now; if so it is counted."""
        self._level = min(self.burst, self._level + (now - self._at) * self.rate)
        self._at = now
        if self._level < 1.0:
            return False
        self._level -= 1.0
        return True
