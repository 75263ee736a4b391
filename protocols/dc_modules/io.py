"""CAN bus by python-can (extra `can`): the only module that imports it.

Channels: `can0` or `vcan0` (SocketCAN), `udp:GROUP` between processes (udp_multicast), `memory:NAME` in one process.
SocketCAN takes the bit rate from the interface: `ip link set can0 up type can bitrate 125000`.
"""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from collections import deque
from contextlib import suppress

from protocols.can import CanFrame

try:
    import can
except ImportError as error:  # pragma: no cover
    raise ImportError("CAN needs python-can: pip install 'v2x-gateway[can]'") from error

LONGEST_QUEUE = 1000  # frames received and not processed
MOST_ECHOES = 64  # frames sent to a multicast group that have not come back
_MULTICAST_ALL = {socket.AF_INET: (socket.IPPROTO_IP, 49), socket.AF_INET6: (socket.IPPROTO_IPV6, 29)}  # Linux


class PythonCanBus:
    """An open bus on the running loop. `malformed` counts datagrams of udp_multicast that are no frames.

    `echoes`: the interface delivers the frames that this participant sent, which are not passed on.
    """

    def __init__(self, bus: can.BusABC, *, echoes: bool = False) -> None:
        self._bus = bus
        self._echoes: deque[CanFrame] | None = deque(maxlen=MOST_ECHOES) if echoes else None
        self._frames: asyncio.Queue[CanFrame | None] = asyncio.Queue(LONGEST_QUEUE)  # None: the bus is lost
        self._lost = ""
        self._closed = False
        self.malformed = 0
        self._loop = asyncio.get_running_loop()
        self._notifier: can.Notifier | None = None
        self._descriptor = _descriptor(bus)
        if self._descriptor < 0:
            self._notifier = can.Notifier(bus, [self._received], loop=self._loop)
        else:
            self._loop.add_reader(self._descriptor, self._readable)

    def _readable(self) -> None:
        try:
            message = self._bus.recv(0)
        except (can.CanError, OSError) as error:
            if isinstance(error, OSError) or isinstance(error.__cause__, OSError):
                self._lose(str(error))
            else:
                self.malformed += 1
            return
        if message is not None:
            self._received(message)

    def _received(self, message: can.Message) -> None:
        if message.is_error_frame or message.is_remote_frame or not message.is_rx:
            return
        frame = CanFrame(message.arbitration_id, bytes(message.data), message.is_extended_id)
        if self._echoes and frame in self._echoes:
            self._echoes.remove(frame)
            return
        with suppress(asyncio.QueueFull):
            self._frames.put_nowait(frame)

    def _lose(self, reason: str) -> None:
        """Wake the reader of a bus that is lost or closed."""
        self._lost = self._lost or reason or "the bus is lost"
        self._stop()
        if self._frames.full():
            self._frames.get_nowait()
        self._frames.put_nowait(None)

    def _stop(self) -> None:
        if self._descriptor >= 0:
            self._loop.remove_reader(self._descriptor)

    async def send(self, frame: CanFrame) -> None:
        """Send a frame. Raises ConnectionError."""
        message = can.Message(arbitration_id=frame.can_id, data=frame.data, is_extended_id=frame.extended)
        try:
            if self._echoes is not None:
                self._echoes.append(frame)
            self._bus.send(message)
        except (can.CanError, OSError) as error:
            raise ConnectionError(str(error)) from error

    async def receive(self) -> CanFrame:
        """Return the next frame. Raises ConnectionError."""
        if self._notifier is not None and (failed := self._notifier.exception) is not None:
            raise ConnectionError(str(failed)) from failed
        frame = None if self._lost and self._frames.empty() else await self._frames.get()
        if frame is None:
            raise ConnectionError(self._lost)
        return frame

    async def close(self) -> None:
        """Close; idempotent."""
        if not self._closed:
            self._closed = True
            self._lose("the bus is closed")
            if self._notifier is not None:
                self._notifier.stop(timeout=0.5)
            self._bus.shutdown()


def _descriptor(bus: can.BusABC) -> int:
    """Return the file descriptor of a bus, -1 of one without."""
    try:
        return int(bus.fileno())
    except NotImplementedError:
        return -1


def _receive_own_group_only(descriptor: int) -> None:
    """Keep datagrams of other groups, which any process of this machine has joined, away from a socket."""
    if sys.platform != "linux":
        return
    with socket.socket(fileno=os.dup(descriptor)) as same:
        same.setsockopt(*_MULTICAST_ALL[same.family], 0)


def open_bus(channel: str) -> PythonCanBus:
    """Open a bus. Raises ConnectionError."""
    kind, _, name = channel.rpartition(":")
    try:
        match kind:
            case "udp":
                bus = can.Bus(interface="udp_multicast", channel=name)
                _receive_own_group_only(bus.fileno())
            case "memory":
                bus = can.Bus(interface="virtual", channel=name)
            case _:
                bus = can.Bus(interface="socketcan", channel=channel)
    except (can.CanError, OSError) as error:
        raise ConnectionError(f"CAN {channel}: {error}") from error
    return PythonCanBus(bus, echoes=kind == "udp")
