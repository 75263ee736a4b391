"""URLs of databases: the driver that is used for each, and the parameters of Postgres in the words of its own tools."""

from __future__ import annotations

from urllib.parse import parse_qsl, urlencode

DRIVERS = {"sqlite": "sqlite+aiosqlite", "postgresql": "postgresql+asyncpg"}
TLS = (
    "sslmode", "sslrootcert", "sslcert", "sslkey", "sslcrl", "sslpassword", "sslnegotiation",
    "ssl_min_protocol_version", "ssl_max_protocol_version",
)  # fmt: skip
TLS_FILES = ("sslrootcert", "sslcert", "sslkey", "sslcrl")


def with_driver(url: str) -> str:
    """Return the URL of a database with its driver."""
    scheme, colon, rest = url.partition(":")
    return DRIVERS.get(scheme, scheme) + colon + rest


def for_asyncpg(url: str) -> tuple[str, dict[str, object]]:
    """Return the URL of Postgres for SQLAlchemy, and the arguments of a connection that it does not pass on.

    Those are the parameters of TLS, which asyncpg takes in the form of libpq only.
    """
    address, _, text = url.partition("?")
    query = parse_qsl(text, keep_blank_values=True)
    tls = [(name, value) for name, value in query if name in TLS]
    if not tls:
        return with_driver(url), {}
    others = urlencode([(name, value) for name, value in query if name not in TLS])
    return with_driver(f"{address}?{others}" if others else address), {"dsn": f"postgresql:///?{urlencode(tls)}"}


def parameters(url: str) -> dict[str, str]:
    """Return the parameters of the URL of a database."""
    return dict(parse_qsl(url.partition("?")[2], keep_blank_values=True))
