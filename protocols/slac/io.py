"""Sockets of SLAC: Ethernet frames of a network interface by AF_PACKET (Linux, CAP_NET_RAW), and the loop of an engine.

The only module of this package that uses sockets and asyncio. No protocol rules.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
from collections.abc import Callable, Sequence
from typing import Protocol

from protocols.ports import Clock
from protocols.slac.frames import ETHERTYPE, LONGEST_FRAME

ALL_PROTOCOLS = 0x0003  # ETH_P_ALL: needed for several ethertypes; also returns what this host sends
OUTGOING = 4  # PACKET_OUTGOING
MOST_WAITING = 256  # received frames; further ones are dropped
_PERMISSION = "raw Ethernet frames need the capability CAP_NET_RAW"


class FrameEngine(Protocol):
    """An engine of Ethernet frames."""

    def receive(self, data: bytes, now: float) -> Sequence[object]: ...

    def expire(self, now: float) -> Sequence[object]: ...

    def data_to_send(self) -> list[bytes]: ...

    def deadline(self) -> float | None: ...


class FramePort(Protocol):
    """Network interface of a host for Ethernet frames."""

    @property
    def mac(self) -> bytes: ...

    async def read(self) -> bytes:
        """Return the next frame, or b"" after `wake`."""

    def write(self, data: bytes) -> None: ...

    def wake(self) -> None: ...

    def close(self) -> None: ...


class PacketSocket:
    """Frames of some ethertypes (all of them if empty) on one interface. Raises OSError where it cannot be opened."""

    def __init__(self, interface: str, ethertypes: frozenset[int] = frozenset({ETHERTYPE})) -> None:
        self._ethertypes = ethertypes
        self._frames: asyncio.Queue[bytes] = asyncio.Queue(MOST_WAITING)
        protocol = next(iter(ethertypes)) if len(ethertypes) == 1 else ALL_PROTOCOLS
        try:
            self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(protocol))
        except PermissionError:
            raise OSError(errno.EPERM, _PERMISSION) from None
        try:
            self._socket.setblocking(False)
            self._socket.bind((interface, protocol))
        except OSError as error:
            self._socket.close()
            raise OSError(error.errno, f"no Ethernet interface {interface!r}: {error.strerror}") from None
        self.mac = bytes(self._socket.getsockname()[4])
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._socket.fileno(), self._read_waiting)

    async def read(self) -> bytes:
        """Return the next frame, or b"" after `wake`."""
        return await self._frames.get()

    def write(self, data: bytes) -> None:
        """Send a frame; one that the interface does not take at once is lost, as on the line."""
        with contextlib.suppress(OSError):
            self._socket.send(data)

    def wake(self) -> None:
        """Let a pending `read` return."""
        with contextlib.suppress(asyncio.QueueFull):
            self._frames.put_nowait(b"")

    def close(self) -> None:
        """Close the socket; idempotent."""
        if self._socket.fileno() >= 0:
            self._loop.remove_reader(self._socket.fileno())
            self._socket.close()

    def _read_waiting(self) -> None:
        for _ in range(MOST_WAITING):
            try:
                data, address = self._socket.recvfrom(LONGEST_FRAME + 1)
            except OSError:
                return
            wanted = not self._ethertypes or int.from_bytes(data[12:14], "big") in self._ethertypes
            if wanted and address[2] != OUTGOING:
                with contextlib.suppress(asyncio.QueueFull):
                    self._frames.put_nowait(data)


def check_capability() -> None:
    """Raise OSError where this process may not send Ethernet frames."""
    try:
        socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0).close()
    except PermissionError:
        raise OSError(errno.EPERM, _PERMISSION) from None
    except AttributeError:
        raise OSError(errno.ENOSYS, "raw Ethernet frames need Linux") from None


async def pump(engine: FrameEngine, port: FramePort, clock: Clock, report: Callable[[object], None]) -> None:
    """Run an engine on a socket until cancelled. After an order to the engine call `wake` of the socket."""
    while True:
        for data in engine.data_to_send():
            port.write(data)
        received: bytes | None = None
        with contextlib.suppress(TimeoutError):
            async with clock.timeout_at(engine.deadline()):
                received = await port.read()
        events = engine.receive(received, clock.now()) if received else engine.expire(clock.now())
        for event in events:
            report(event)
