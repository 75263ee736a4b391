"""Framing, output buffer and event list that both engines share.

Independent of the role. Source of the framing: `protocols.v2gtp`.
"""

from __future__ import annotations

from protocols.iso15118.iso20.events import Event, MessageReceived, MessageSent
from protocols.v2gtp import Framer


class Connection:
    """Byte side of one engine. `trace`: report every message as an event."""

    def __init__(self, trace: bool) -> None:
        self.ended = False
        self._framer = Framer()
        self._outgoing = bytearray()
        self._events: list[Event] = []
        self._trace = trace

    def data_to_send(self) -> bytes:
        """Return the pending output in one piece and clear it."""
        outgoing = bytes(self._outgoing)
        self._outgoing.clear()
        return outgoing

    @property
    def flushed(self) -> bool:
        """True without pending output."""
        return not self._outgoing

    def _send(self, data: bytes, message: object) -> None:
        self._outgoing += data
        if self._trace:
            self._events.append(MessageSent(message, data))

    def _received(self, message: object, payload: bytes) -> None:
        if self._trace:
            self._events.append(MessageReceived(message, payload))

    def _take_events(self) -> list[Event]:
        events, self._events = self._events, []
        return events
