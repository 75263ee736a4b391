"""TCP sockets of both roles, connected or bound; the caller chooses their class, for example to record them."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable

OpenSocket = Callable[[int, int], socket.socket]  # address family and type


async def connected(host: str, port: int, open_socket: OpenSocket) -> socket.socket:
    """Return a socket that is connected to the first address of a host that accepts. Raises OSError."""
    loop = asyncio.get_running_loop()
    failure: OSError | None = None
    for family, kind, _, _, address in await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM):
        sock = open_socket(family, kind)
        sock.setblocking(False)
        try:
            await loop.sock_connect(sock, address)
        except OSError as error:
            sock.close()
            failure = error
            continue
        except BaseException:
            sock.close()
            raise
        return sock
    raise failure or OSError(f"no address of {host}")


async def bound(host: str, port: int, open_socket: OpenSocket) -> socket.socket:
    """Return a socket that is bound to an address. Raises OSError."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    family, kind, _, _, address = found[0]
    sock = open_socket(family, kind)
    sock.setblocking(False)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind(address)
    except BaseException:
        sock.close()
        raise
    return sock
