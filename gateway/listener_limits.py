"""Listening sockets that never take the last file descriptors: whoever floods a port is turned away, the rest goes on.

A process without descriptors can reach neither its broker nor its database, and asyncio's own accept answers that state
with a storm of retries and log lines. So a listening socket here takes no connection whose descriptor is among the last
`RESERVED`, and closes it at once.
"""

from __future__ import annotations

import errno
import logging
import resource
import socket
import time
from typing import Any

log = logging.getLogger("v2x")

RESERVED = 64  # descriptors kept for broker, database, files and what is open already
TOLD_EVERY_S = 60.0
_EXHAUSTED = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)


class ListeningSocket(socket.socket):
    """A socket whose `accept` turns away what there is no room for, and raises BlockingIOError then."""

    most: int = 1 << 30  # no descriptor from here on is taken
    turned_away: int = 0
    _told_at: float = float("-inf")

    def accept(self) -> tuple[socket.socket, Any]:
        """See `socket.socket.accept`."""
        try:
            connection, address = super().accept()
        except OSError as error:
            if error.errno not in _EXHAUSTED:
                raise
            self._tell()
            raise BlockingIOError(errno.EAGAIN, "no file descriptor is left") from None
        if connection.fileno() >= self.most:
            connection.close()
            self._tell()
            raise BlockingIOError(errno.EAGAIN, "too many connections")
        return connection, address

    def _tell(self) -> None:
        self.turned_away += 1
        now = time.monotonic()
        if now - self._told_at >= TOLD_EVERY_S:
            self._told_at = now
            text = "too many connections are open: new ones to port %s are turned away (%s so far); see `ulimit -n`"
            log.warning(text, self.getsockname()[1], self.turned_away)


def listen(host: str, port: int, most: int | None = None) -> ListeningSocket:
    """Listen at an address or name, at its IPv4 address where it has both; OSError where it cannot be had."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    family, kind, protocol, _, address = min(found, key=lambda one: one[0] != socket.AF_INET)
    listening = ListeningSocket(family, kind, protocol)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listening.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listening.bind(address)
        listening.listen(128)
        listening.setblocking(False)
    except OSError:
        listening.close()
        raise
    listening.most = _room() if most is None else most
    return listening


def _room() -> int:
    """As many descriptors as this process may have, less the reserve; the soft limit is raised to the hard one."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and (hard == resource.RLIM_INFINITY or hard > soft):
        wanted = 65_536 if hard == resource.RLIM_INFINITY else min(hard, 65_536)
        if wanted > soft:
            try:
                resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
                soft = wanted
            except (OSError, ValueError):  # a sandbox may forbid it
                log.debug("the limit of open files stays at %s", soft)
    return 1 << 30 if soft == resource.RLIM_INFINITY else max(RESERVED, soft - RESERVED)
