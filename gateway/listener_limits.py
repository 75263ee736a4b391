"""Listening sockets that leave file descriptors for the rest of the process: a flood of connections is rejected.

Without descriptors a process reaches neither its broker nor its database, and asyncio retries `accept` endlessly. A
listening socket here closes every connection whose descriptor is among the last `RESERVED`, and where none is left at
all it closes them by means of a descriptor of its own: one that stays in the queue would keep the event loop busy.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import resource
import socket
import time
from contextvars import ContextVar
from io import FileIO

log = logging.getLogger("v2x")

RESERVED = 64  # descriptors for broker, database, files and connections already open
WARNING_EVERY_S = 60.0
ACCEPTED_PER_TURN = 8  # connections in one turn of the event loop
PEER: ContextVar[str] = ContextVar("PEER", default="")  # address of the connection that a task was started for
_EXHAUSTED = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)


class ListeningSocket(socket.socket):
    """Socket whose `accept` closes connections beyond the limit and raises BlockingIOError then."""

    def __init__(self, family: int, kind: int, protocol: int, most: int) -> None:
        """`most`: connections with a descriptor from here on are closed."""
        super().__init__(family, kind, protocol)
        self.most, self.rejected = most, 0
        self._accepted = 0  # since other work had its turn
        self._warned_at = float("-inf")
        self._spare = _spare()

    def close(self) -> None:
        """See `socket.socket.close`."""
        super().close()
        if self._spare is not None:
            self._spare.close()

    def accept(self) -> tuple[socket.socket, object]:
        """See `socket.socket.accept`."""
        if self._accepted >= ACCEPTED_PER_TURN:
            self._accepted = 0
            raise BlockingIOError(errno.EAGAIN, "other work has its turn")  # asyncio accepts as many as it can
        self._accepted += 1
        if self._spare is None:
            self._spare = _spare()
        try:
            connection, address = super().accept()
        except OSError as error:
            self._accepted = 0
            if error.errno not in _EXHAUSTED:
                raise
            self._reject()
            self._warn()
            raise BlockingIOError(errno.EAGAIN, "no file descriptor is left") from None
        if connection.fileno() >= self.most:
            connection.close()
            self._warn()
            raise BlockingIOError(errno.EAGAIN, "too many connections")
        PEER.set(str(address[0]))
        return connection, address

    def _reject(self) -> None:
        """Close the connection that waits longest, with the spare descriptor."""
        if self._spare is not None:
            self._spare.close()
        with contextlib.suppress(OSError):
            super().accept()[0].close()
        self._spare = _spare()

    def _warn(self) -> None:
        self.rejected += 1
        now = time.monotonic()
        if now - self._warned_at >= WARNING_EVERY_S:
            self._warned_at = now
            text = "too many connections are open: new ones to port %s are rejected (%s so far); see `ulimit -n`"
            log.warning(text, self.getsockname()[1], self.rejected)


def listen(host: str, port: int, most: int | None = None) -> ListeningSocket:
    """Listen at an address or name (IPv4 where it has both); OSError if the address is not available."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    family, kind, protocol, _, address = min(found, key=lambda one: one[0] != socket.AF_INET)
    listening = ListeningSocket(family, kind, protocol, _descriptor_limit() if most is None else most)
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
    return listening


def _spare() -> FileIO | None:
    """Return a descriptor to keep; None if none is left, where another thread has taken the one before."""
    try:
        return FileIO(os.devnull)
    except OSError:
        return None


def _descriptor_limit() -> int:
    """Return the number of descriptors of this process less the reserve; raises the soft limit to the hard one."""
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
