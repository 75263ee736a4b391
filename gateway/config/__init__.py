"""`gateway.toml`: typed settings, their mapping to each package, their verification, notes on them (`lint`), and the
reference page."""

from __future__ import annotations

from gateway.config.load import from_table, load, read_secret, stale_after
from gateway.config.settings import Config, ConfigError, UserEntry, host_and_port, local_url

__all__ = [
    "Config",
    "ConfigError",
    "UserEntry",
    "from_table",
    "host_and_port",
    "load",
    "local_url",
    "read_secret",
    "stale_after",
]
