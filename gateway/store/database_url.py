"""URLs of databases with the driver that is used for each."""

from __future__ import annotations

DRIVERS = {"sqlite": "sqlite+aiosqlite", "postgresql": "postgresql+asyncpg"}


def with_driver(url: str) -> str:
    """Return the URL of a database with its driver."""
    scheme, colon, rest = url.partition(":")
    return DRIVERS.get(scheme, scheme) + colon + rest
