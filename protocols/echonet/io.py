"""UDP transport of a node: port 3610 over IPv4 and IPv6, with the multicast groups of ECHONET Lite.

Unicast and multicast have a socket each, so that several nodes of one machine can use the same port with an address of
their own. The sender of a datagram is its IP address; a link-local IPv6 address keeps its zone.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import sys
from collections import deque
from collections.abc import Callable, Sequence

from protocols.echonet.engine import Node
from protocols.echonet.events import Datagram, Event, Order
from protocols.echonet.frames import GROUP_V4, GROUP_V6, LONGEST_FRAME, PORT
from protocols.frozen import frozen
from protocols.ports import Clock

MOST_WAITING = 512  # datagrams; the oldest are lost in a flood
_MULTICAST_ALL = 49  # Linux: a socket receives only the groups that it has joined itself


@frozen
class UdpSettings:
    """Address of a node. `interface` is the name of the network interface, needed for IPv6 and link-local addresses."""

    address: str = "0.0.0.0"
    interface: str = ""
    port: int = PORT
    multicast: bool = True

    @property
    def ipv6(self) -> bool:
        return ":" in self.address

    @property
    def group(self) -> str:
        return GROUP_V6 if self.ipv6 else GROUP_V4


class NodeRunner:
    """Runs the engine of a node over a transport, which calls `received` and implements `transmit`.

    `report(events)` is called after each change.
    """

    def __init__(self, node: Node, clock: Clock, report: Callable[[Sequence[Event]], None]) -> None:
        self._node = node
        self._clock = clock
        self._report = report
        self._waiting: deque[tuple[bytes, str]] = deque(maxlen=MOST_WAITING)
        self._changed = asyncio.Event()

    def command(self, order: Order) -> None:
        """Pass an order to the engine now. Raises LocalProtocolError."""
        self._report(self._node.command(order, self._clock.now()))
        self._changed.set()

    def received(self, data: bytes, sender: str) -> None:
        """Queue a datagram for the engine."""
        self._waiting.append((data, sender))
        self._changed.set()

    def transmit(self, datagram: Datagram) -> None:
        """Send a datagram."""
        raise NotImplementedError

    async def run(self) -> None:
        """Run until it is cancelled."""
        while True:
            self._send()
            self._changed.clear()
            while self._waiting:
                data, sender = self._waiting.popleft()
                self._report(self._node.receive(data, sender, self._clock.now()))
            now, deadline = self._clock.now(), self._node.deadline()
            if deadline is not None and deadline <= now:
                self._report(self._node.expire(now))
                continue
            self._send()
            with contextlib.suppress(TimeoutError):
                async with self._clock.timeout_at(deadline):
                    await self._changed.wait()

    def _send(self) -> None:
        for one in self._node.data_to_send():
            self.transmit(one)


class UdpNode(NodeRunner):
    """Runs the engine of a node on UDP. `unsent` counts datagrams that the network did not take."""

    def __init__(
        self, node: Node, settings: UdpSettings, clock: Clock, report: Callable[[Sequence[Event]], None]
    ) -> None:
        super().__init__(node, clock, report)
        self._settings = settings
        self._sockets: list[socket.socket] = []
        self._own = settings.address
        self.unsent = 0

    def open(self) -> None:
        """Bind the sockets. Raises OSError."""
        try:
            self._sockets.append(unicast_socket(self._settings))
            if self._settings.multicast:
                self._sockets.append(multicast_socket(self._settings))
                self._own = own_address(self._settings)
        except OSError:
            self.close()
            raise

    def close(self) -> None:
        """Close the sockets; idempotent."""
        for one in self._sockets:
            one.close()
        self._sockets.clear()

    async def run(self) -> None:
        """Run until it is cancelled; opens the sockets unless they are, and closes them. Raises OSError."""
        if not self._sockets:
            self.open()
        loop = asyncio.get_running_loop()
        for one in self._sockets:
            loop.add_reader(one.fileno(), self._read, one)
        try:
            await super().run()
        finally:
            for one in self._sockets:
                loop.remove_reader(one.fileno())
            self.close()

    def transmit(self, datagram: Datagram) -> None:
        """Send a datagram to its node or to the multicast group."""
        destination = self._settings.group if datagram.destination is None else datagram.destination
        if datagram.destination is None:
            if not self._settings.multicast:
                return
            if self._settings.ipv6:
                destination = f"{destination}%{self._settings.interface}"
        try:
            self._sockets[0].sendto(datagram.data, (destination, self._settings.port))
        except OSError:
            self.unsent += 1

    def _read(self, source: socket.socket) -> None:
        with contextlib.suppress(OSError):  # an ICMP error of an earlier datagram, or nothing to read
            data, (sender, port, *_) = source.recvfrom(LONGEST_FRAME)
            if (sender.partition("%")[0], port) != (self._own, self._settings.port):  # not own multicast
                self.received(data, sender)


def unicast_socket(settings: UdpSettings) -> socket.socket:
    """Return a socket that receives at the address of a node and sends from it. Raises OSError."""
    found = _bound(settings, settings.address)
    if settings.ipv6:
        index = socket.if_nametoindex(settings.interface) if settings.interface else 0
        found.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, index)
    else:
        found.setsockopt(socket.IPPROTO_IP, _MULTICAST_ALL, 0)
        if settings.multicast:
            found.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, _membership(settings))
    return found


def multicast_socket(settings: UdpSettings) -> socket.socket:
    """Return a socket that receives the multicast group. Raises OSError."""
    found = _bound(settings, settings.group)
    if settings.ipv6:
        index = socket.if_nametoindex(settings.interface) if settings.interface else 0
        group = socket.inet_pton(socket.AF_INET6, settings.group) + index.to_bytes(4, sys.byteorder)
        found.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, group)
    else:
        found.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, _membership(settings))
    return found


def own_address(settings: UdpSettings) -> str:
    """Return the source address of own multicast. Raises OSError."""
    if settings.address != "0.0.0.0":
        return settings.address.partition("%")[0]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, _membership(settings))
        probe.connect((settings.group, settings.port))
        return str(probe.getsockname()[0])


def _membership(settings: UdpSettings) -> bytes:
    """Return `struct ip_mreqn`: group, own address, interface."""
    index = socket.if_nametoindex(settings.interface) if settings.interface else 0
    return socket.inet_aton(settings.group) + socket.inet_aton(settings.address) + index.to_bytes(4, sys.byteorder)


def _bound(settings: UdpSettings, address: str) -> socket.socket:
    family = socket.AF_INET6 if settings.ipv6 else socket.AF_INET
    found = socket.socket(family, socket.SOCK_DGRAM)
    try:
        found.setblocking(False)
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if settings.ipv6:
            found.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        zone = f"%{settings.interface}" if settings.ipv6 and settings.interface and "%" not in address else ""
        local = address.startswith(("fe80", "ff"))
        place = socket.getaddrinfo(address + (zone if local else ""), settings.port, family, socket.SOCK_DGRAM)
        found.bind(place[0][4])
    except OSError:
        found.close()
        raise
    return found
