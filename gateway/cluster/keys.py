"""Keys of records in JetStream, which take fewer characters than the names of stations and sites."""

from __future__ import annotations


def key_of(name: str) -> str:
    """Return the key of a record for any name: characters that keys must not have are written as =XX."""
    return "".join(one if one.isascii() and (one.isalnum() or one in "-_") else f"={ord(one):02X}" for one in name)


def name_of(key: str) -> str:
    """Return the name of which `key_of` made a key."""
    first, *rest = key.split("=")
    return first + "".join(chr(int(part[:2], 16)) + part[2:] for part in rest)
