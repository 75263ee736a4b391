"""Key log of TLS (the file of `SSLKEYLOGFILE`): secrets by label and client random."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

TLS_1_2 = "CLIENT_RANDOM"  # the label of a master secret


class KeyLog:
    """Secrets of any number of connections."""

    def __init__(self, text: str = "") -> None:
        self._secrets: dict[bytes, dict[str, bytes]] = {}
        self.add(text)

    def __bool__(self) -> bool:
        return bool(self._secrets)

    def add(self, text: str) -> None:
        """Add the lines of a key log; comments and lines that are none are ignored."""
        for line in text.splitlines():
            parts = line.split()
            if len(parts) != 3 or line.startswith("#"):
                continue
            try:
                client_random, secret = bytes.fromhex(parts[1]), bytes.fromhex(parts[2])
            except ValueError:
                continue
            self._secrets.setdefault(client_random, {})[parts[0]] = secret

    def secrets(self, client_random: bytes) -> Mapping[str, bytes]:
        """Return the secrets of a connection by label; none if the log has none."""
        return MappingProxyType(self._secrets.get(client_random, {}))
