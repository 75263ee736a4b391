"""Passwords of stations: hashing, generation, and the Authorization header of the handshake.

Security profiles of OCPP: 0 none (not for the internet), 1 basic authentication, 2 the same over TLS, 3 a client
certificate whose common name is the station's id (2.1 part 2 A00; 1.6 security whitepaper). Only hashes are stored.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import os
import secrets
import string

_COST = {"n": 2**12, "r": 8, "p": 1}  # 4 MB and about 10 ms: a thousand stations reconnect within seconds
_ALPHABET = string.ascii_letters + string.digits


def hash_password(password: str, salt: bytes | None = None) -> str:
    """Return the scrypt hash of a password, with a random salt unless one is given."""
    salt = os.urandom(16) if salt is None else salt
    digest = hashlib.scrypt(password.encode(), salt=salt, **_COST)
    return f"scrypt${salt.hex()}${digest.hex()}"


def verify(password: str, stored: str) -> bool:
    """Return True if the password has this hash; False for a hash that cannot be read."""
    try:
        method, salt, _ = stored.split("$")
        return method == "scrypt" and hmac.compare_digest(hash_password(password, bytes.fromhex(salt)), stored)
    except ValueError:
        return False


def configuration_salt(station: str) -> bytes:
    """Return the salt for a password of the configuration: the same at every start, so that a change is detected."""
    return hashlib.sha256(b"v2x-gateway " + station.encode()).digest()[:16]


def new_password() -> str:
    """Return a random BasicAuthPassword for a 2.x station: 32 characters, within the 16 to 40 of every version."""
    return "".join(secrets.choice(_ALPHABET) for _ in range(32))


def new_authorization_key() -> str:
    """Return a random AuthorizationKey for a 1.6 station: 20 bytes in hexadecimal (security whitepaper, 2.3)."""
    return secrets.token_hex(20)


def basic_credentials(header: str | None) -> tuple[str, bytes] | None:
    """Return user and password of an Authorization header, None without valid ones. A password may be any bytes."""
    scheme, _, coded = (header or "").partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        raw = base64.b64decode(coded.strip(), validate=True)
    except (binascii.Error, ValueError):
        return None
    user, colon, password = raw.partition(b":")
    return (user.decode("utf-8", "replace"), password) if colon else None
