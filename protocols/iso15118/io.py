"""Sockets of ISO 15118: TCP and TLS streams, and the SDP datagrams.

Together with `tls.py`, `tcp/` and `one_port/` the only module of this package that uses sockets. No protocol rules;
`pump/` runs an engine over a stream.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import ipaddress
import logging
import secrets
import socket
import ssl
import struct
from collections.abc import Awaitable, Callable
from typing import Any

from protocols.iso15118.one_port.io import HANDSHAKE_WITHIN, PortServer, listen_on
from protocols.iso15118.sockets.io import OpenSocket, bound, connected
from protocols.iso15118.tcp.io import TcpWire
from protocols.iso15118.tls import ServerContexts
from protocols.ports import Clock
from protocols.sdp import (
    LOWEST_PORT,
    MULTICAST_GROUP,
    PORT,
    TRIES,
    Discovery,
    SdpError,
    SdpResponse,
    SeccFound,
    SeccNotFound,
    Security,
    answer,
    decode_request,
)

LOG = logging.getLogger(__name__)

CONNECT_WITHIN = 5.0  # s
HIGHEST_PORT = 65535
PORT_TRIES = 20
IPV6_INTERFACE = struct.Struct("@I")


async def connect(
    host: str, port: int, tls: ssl.SSLContext | None = None, open_socket: OpenSocket = socket.socket
) -> TcpWire:
    """Connect to a SECC. A link-local `host` needs its scope (`fe80::1%eth0`). Raises ConnectionError."""
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(CONNECT_WITHIN + (HANDSHAKE_WITHIN if tls else 0)):
            _, wire = await loop.create_connection(
                TcpWire,
                sock=await connected(host, port, open_socket),
                ssl=tls,
                server_hostname="" if tls else None,
                ssl_handshake_timeout=HANDSHAKE_WITHIN if tls else None,
            )
    except TimeoutError:
        raise ConnectionError(f"[{host}]:{port} does not respond") from None
    except ssl.SSLError as error:
        raise ConnectionError(f"TLS with [{host}]:{port} failed: {error.reason or error}") from error
    except OSError as error:
        raise ConnectionError(f"cannot connect to [{host}]:{port}: {error.strerror or error}") from error
    return wire


def endpoint(text: str) -> tuple[str, int]:
    """Return the host and port of `[ADDR]:PORT`, `ADDR:PORT` or `:PORT`. Raises ValueError."""
    host, colon, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not colon or not port.isdigit() or not 0 <= int(port) <= 65535:
        raise ValueError(f"{text!r} is not [ADDRESS]:PORT, such as [::1]:15118")
    return host or "::", int(port)


class Listener:
    """A TCP server that runs `handler(wire)` in a task of its own for every connection."""

    def __init__(self, server: asyncio.Server | PortServer, tasks: set[asyncio.Task[None]]) -> None:
        self._server = server
        self._tasks = tasks

    @property
    def port(self) -> int:
        return int(self._server.sockets[0].getsockname()[1])

    async def close(self) -> None:
        """Stop listening, cancel the sessions and wait for their end."""
        self._server.close()
        for task in list(self._tasks):
            task.cancel()
        if self._tasks:
            await asyncio.gather(*self._tasks, return_exceptions=True)


async def listen(
    handler: Callable[[TcpWire], Awaitable[object]],
    host: str,
    port: int,
    tls: ssl.SSLContext | ServerContexts | None = None,
    open_socket: OpenSocket = socket.socket,
) -> Listener:
    """Listen on [host]:port (port 0: a free one). Raises OSError."""
    tasks: set[asyncio.Task[None]] = set()

    async def guarded(wire: TcpWire) -> None:
        try:
            await handler(wire)
        except Exception:
            LOG.exception("session with %s: internal error", wire.peer)
        finally:
            await wire.close()

    def accepted(wire: TcpWire) -> None:
        task = asyncio.get_running_loop().create_task(guarded(wire))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    if isinstance(tls, ServerContexts):
        return Listener(await listen_on(host, port, lambda: TcpWire(accepted), tls, open_socket), tasks)
    server = await asyncio.get_running_loop().create_server(
        lambda: TcpWire(accepted),
        sock=await bound(host, port, open_socket),
        ssl=tls,
        ssl_handshake_timeout=HANDSHAKE_WITHIN if tls else None,
    )
    return Listener(server, tasks)


async def listen_on_link(
    handler: Callable[[TcpWire], Awaitable[object]],
    interface: str,
    tls: ssl.SSLContext | ServerContexts | None = None,
    open_socket: OpenSocket = socket.socket,
) -> Listener:
    """Listen on the link-local address of an interface, on a free port of the range that SDP may announce."""
    host = f"{link_local_address(interface)}%{interface}"
    ports = [secrets.randbelow(HIGHEST_PORT - LOWEST_PORT + 1) + LOWEST_PORT for _ in range(PORT_TRIES)]
    for port in ports[:-1]:
        try:
            return await listen(handler, host, port, tls, open_socket)
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
    return await listen(handler, host, ports[-1], tls, open_socket)


class _Datagrams(asyncio.DatagramProtocol):
    def __init__(self) -> None:
        self.queue: asyncio.Queue[tuple[bytes, tuple[Any, ...]]] = asyncio.Queue(maxsize=256)

    def datagram_received(self, data: bytes, addr: tuple[Any, ...]) -> None:
        with contextlib.suppress(asyncio.QueueFull):
            self.queue.put_nowait((data, addr))

    def error_received(self, exc: Exception) -> None:
        LOG.warning("SDP: %s", exc)


async def discover(
    interface: str,
    clock: Clock,
    security: Security,
    *,
    required: bool = False,
    tries: int | None = None,
    open_socket: OpenSocket = socket.socket,
) -> SdpResponse | None:
    """Discover the SECC on this link; None without a response. The address includes its scope id."""
    index = _index(interface)
    sock = open_socket(socket.AF_INET6, socket.SOCK_DGRAM)
    sock.setblocking(False)
    sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, IPV6_INTERFACE.pack(index))
    sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, 1)
    sock.bind(("::", 0))
    transport, datagrams = await asyncio.get_running_loop().create_datagram_endpoint(_Datagrams, sock=sock)
    engine = Discovery(security, clock.now(), required=required, tries=TRIES if tries is None else tries)
    try:
        while True:
            for event in engine.expire(clock.now()):
                if isinstance(event, SeccNotFound):
                    return None
            for datagram in engine.datagrams_to_send():
                with contextlib.suppress(OSError):
                    transport.sendto(datagram, (MULTICAST_GROUP, PORT, 0, index))
            try:
                async with clock.timeout_at(engine.deadline()):
                    data, _ = await datagrams.queue.get()
            except TimeoutError:
                continue
            for found in engine.receive(data, clock.now()):
                return _scoped(found, interface)
    finally:
        transport.close()


def _scoped(found: SeccFound, interface: str) -> SdpResponse:
    response = found.response
    return SdpResponse(f"{response.address}%{interface}", response.port, response.security, response.transport)


class SdpResponder:
    """Responder to SDP requests on one link, until closed."""

    def __init__(
        self,
        interface: str,
        port: int,
        offered: frozenset[Security],
        open_socket: OpenSocket = socket.socket,
        answers: Callable[[], bool] = lambda: True,
    ) -> None:
        self._interface = interface
        self._answers = answers  # False: requests are ignored now
        self._open_socket = open_socket
        self._port = port
        self._offered = offered
        self._address = link_local_address(interface)
        self._transport: asyncio.DatagramTransport | None = None
        self._task: asyncio.Task[None] | None = None
        self.answered = 0

    async def start(self) -> None:
        index = _index(self._interface)
        sock = self._open_socket(socket.AF_INET6, socket.SOCK_DGRAM)
        sock.setblocking(False)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        group = socket.inet_pton(socket.AF_INET6, MULTICAST_GROUP) + IPV6_INTERFACE.pack(index)
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, group)
        sock.bind(("::", PORT))
        transport, datagrams = await asyncio.get_running_loop().create_datagram_endpoint(_Datagrams, sock=sock)
        self._transport = transport
        self._task = asyncio.get_running_loop().create_task(self._answer(transport, datagrams, index))

    async def _answer(self, transport: asyncio.DatagramTransport, datagrams: _Datagrams, index: int) -> None:
        while True:
            data, sender = await datagrams.queue.get()
            if len(sender) == 4 and sender[3] not in (0, index):
                continue  # received on another link
            if not self._answers():
                continue
            try:
                request = decode_request(data)
            except SdpError as error:
                LOG.debug("SDP request from %s ignored: %s", sender[0], error)
                continue
            self.answered += 1
            transport.sendto(answer(request, self._address, self._port, self._offered).encode(), sender)

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        if self._transport is not None:
            self._transport.close()


def link_local_address(interface: str) -> str:
    """Return the link-local IPv6 address of a network interface, without its scope. Raises OSError if it has none."""
    index = _index(interface)
    probe = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    try:
        probe.connect((MULTICAST_GROUP, PORT, 0, index))
        address = str(probe.getsockname()[0]).partition("%")[0]
    finally:
        probe.close()
    if not ipaddress.IPv6Address(address).is_link_local:
        raise OSError(f"{interface} has no link-local IPv6 address")
    return address


def _index(interface: str) -> int:
    try:
        return socket.if_nametoindex(interface)
    except OSError:
        raise OSError(f"no network interface {interface!r}") from None
