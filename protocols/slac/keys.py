"""Keys of a HomePlug network: NMK (16 bytes) and the NID (7 bytes) that follows from it.

Source: open-plc-utils; the tests verify it on the matchings of four chargers.
"""

from __future__ import annotations

import hashlib

_NID_ROUNDS = 5


def nid_of(nmk: bytes) -> bytes:
    """Return the NID of an NMK, at security level 0."""
    digest = nmk
    for _ in range(_NID_ROUNDS):
        digest = hashlib.sha256(digest).digest()
    return digest[:6] + bytes((digest[6] >> 4,))
