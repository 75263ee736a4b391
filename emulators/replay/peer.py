"""Messages with the live peer of a replay, one at a time."""

from __future__ import annotations

from collections import deque

from protocols.iso15118.dialogue import Dialogue, Seen
from protocols.ports import Clock, Wire
from protocols.v2gtp import frame

OWN, PEER = "own", "peer"


class PeerClosed(Exception):
    """The peer has closed the connection, or is silent; the text states which."""


class Peer:
    """Sends and receives whole messages, decoded."""

    def __init__(self, wire: Wire, clock: Clock) -> None:
        self._wire, self._clock = wire, clock
        self._dialogue = Dialogue(tolerant=True)
        self._received: deque[Seen] = deque()

    async def send(self, payload_type: int, payload: bytes) -> Seen:
        """Send a message and return it as decoded. Raises PeerClosed."""
        data = frame(payload_type, payload)
        (seen,) = self._dialogue.feed(OWN, data, self._clock.now())
        try:
            await self._wire.write(data)
        except ConnectionError as error:
            raise PeerClosed(str(error)) from None
        return seen

    async def receive(self, within_s: float | None) -> Seen:
        """Return the next message of the peer. Raises PeerClosed."""
        while not self._received:
            try:
                async with self._clock.timeout_at(None if within_s is None else self._clock.now() + within_s):
                    data = await self._wire.read()
            except TimeoutError:
                raise PeerClosed(f"no message within {within_s:g} s") from None
            if not data:
                raise PeerClosed("the peer closed the connection")
            self._received.extend(self._dialogue.feed(PEER, data, self._clock.now()))
        return self._received.popleft()
