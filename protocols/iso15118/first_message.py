"""First message of a connection: a car is who sends one, so that an idle connection does not occupy the EVSE."""

from __future__ import annotations

from protocols.ports import Clock, Wire
from protocols.v2gtp import HEADER_SIZE

MAX_WAITING = 16  # connections without a first message
LARGEST_REQUEST = 4096  # bytes of a SupportedAppProtocolReq; anything larger is left to the engine
LENGTH = slice(4, HEADER_SIZE)


async def first_message(wire: Wire, clock: Clock, until: float) -> bytes:
    """Return what was received when the first message is complete, the stream ends, or the time is over."""
    received = b""
    try:
        async with clock.timeout_at(until):
            while not _complete(received) and (data := await wire.read()):
                received += data
    except (TimeoutError, ConnectionError):
        pass
    return received


class WaitingConnections:
    """Connections of one EVSE without a first message, beside each other: the first to send it is the car."""

    def __init__(self) -> None:
        self._waiting: dict[Wire, None] = {}

    async def first(self, wire: Wire, clock: Clock, until: float) -> bytes | None:
        """Return the first message of a connection; None where others wait and this one sent none.

        Of too many connections the oldest one is closed.
        """
        self._waiting[wire] = None
        if len(self._waiting) > MAX_WAITING:
            await next(iter(self._waiting)).close()
        try:
            first = await first_message(wire, clock, until)
        finally:
            self._waiting.pop(wire, None)
        return first if first or not self._waiting else None

    async def close(self) -> None:
        """Close all of them: the cable is disconnected."""
        for waiting in list(self._waiting):
            await waiting.close()


def _complete(received: bytes) -> bool:
    if len(received) < HEADER_SIZE:
        return False
    size = int.from_bytes(received[LENGTH], "big")
    return size > LARGEST_REQUEST or len(received) >= HEADER_SIZE + size
