"""CAN bus by python-can (extra `can`): the only module that imports it.

Channels: `can0` or `vcan0` (SocketCAN), `udp:GROUP` between processes (udp_multicast), `memory:NAME` in one process.
SocketCAN takes the bit rate from the interface: `ip link set can0 up type can bitrate 125000`.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress

from protocols.can import CanFrame

try:
    import can
except ImportError as error:  # pragma: no cover
    raise ImportError("CAN needs python-can: pip install 'v2x-gateway[can]'") from error

LONGEST_QUEUE = 1000  # frames received and not processed


class PythonCanBus:
    """An open bus on the running loop."""

    def __init__(self, bus: can.BusABC) -> None:
        self._bus = bus
        self._frames: asyncio.Queue[CanFrame] = asyncio.Queue(LONGEST_QUEUE)
        self._closed = False
        self._notifier = can.Notifier(bus, [self._received], loop=asyncio.get_running_loop())

    def _received(self, message: can.Message) -> None:
        if message.is_error_frame or message.is_remote_frame or not message.is_rx:
            return
        with suppress(asyncio.QueueFull):
            self._frames.put_nowait(CanFrame(message.arbitration_id, bytes(message.data), message.is_extended_id))

    async def send(self, frame: CanFrame) -> None:
        """Send a frame. Raises ConnectionError."""
        message = can.Message(arbitration_id=frame.can_id, data=frame.data, is_extended_id=frame.extended)
        try:
            self._bus.send(message)
        except (can.CanError, OSError) as error:
            raise ConnectionError(str(error)) from error

    async def receive(self) -> CanFrame:
        """Return the next frame."""
        if (failed := self._notifier.exception) is not None:
            raise ConnectionError(str(failed)) from failed
        return await self._frames.get()

    async def close(self) -> None:
        """Close; idempotent."""
        if not self._closed:
            self._closed = True
            self._notifier.stop(timeout=0.5)
            self._bus.shutdown()


def open_bus(channel: str) -> PythonCanBus:
    """Open a bus. Raises ConnectionError."""
    kind, _, name = channel.rpartition(":")
    try:
        match kind:
            case "udp":
                bus = can.Bus(interface="udp_multicast", channel=name)
            case "memory":
                bus = can.Bus(interface="virtual", channel=name)
            case _:
                bus = can.Bus(interface="socketcan", channel=channel)
    except (can.CanError, OSError) as error:
        raise ConnectionError(f"CAN {channel}: {error}") from error
    return PythonCanBus(bus)
