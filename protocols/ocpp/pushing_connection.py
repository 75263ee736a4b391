"""A server's WebSocket connection that takes short ways for whole messages; `io` has the wire of either end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed, InvalidState
from websockets.frames import CloseCode, Frame, Opcode
from websockets.frames import apply_mask as unmasked  # type: ignore[attr-defined]
from websockets.protocol import Event, State

# RFC 6455, 5.2: FIN with opcode 1; the MASK bit; the length that stands for one of two bytes; sizes of both headers
_WHOLE_TEXT, _MASKED, _LENGTH_OF_2, _SHORT_HEAD, _LONG_HEAD = 0x81, 0x80, 126, 6, 8
_TEXT, _OPEN = Opcode.TEXT, State.OPEN
_MESSAGE_PARTS = (_TEXT, Opcode.BINARY, Opcode.CONT)


class PushingConnection(ServerConnection):
    """A server connection that passes whole text messages on as they arrive, without waking a reader for each.

    That halves the cost of a small message. All other cases (a fragmented message, a peer that does not read, a message
    that follows one of these) use the ordinary queue and its reader, which preserves order and back-pressure.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.sink: Callable[[str], list[str]] | None = None
        self.queued = 0  # messages in the ordinary queue
        self._received_at = 0.0  # loop time of the last data
        self._fragmented = False

    def data_received(self, data: bytes) -> None:
        """Process data; any data proves that the connection works."""
        self._received_at = self.loop.time()
        message = None if self.sink is None else self._whole_message(data)
        if message is not None:
            self.process_event(message)
        else:
            super().data_received(data)

    def _whole_message(self, data: bytes) -> Frame | None:
        """Return the text frame that the data is, from its first to its last byte; None where it is anything else.

        The parser of the library, which takes data in any pieces, costs five times as much.
        """
        size = len(data)
        if size < _SHORT_HEAD or data[0] != _WHOLE_TEXT or data[1] < _MASKED:
            return None
        start, length = _SHORT_HEAD, data[1] - _MASKED
        if length == _LENGTH_OF_2 and size >= _LONG_HEAD:
            start, length = _LONG_HEAD, data[2] << 8 | data[3]
        protocol = self.protocol
        idle = protocol.state is _OPEN and not self._fragmented and not protocol.reader.buffer
        if not idle or size != start + length or protocol.extensions:
            return None
        return Frame(_TEXT, unmasked(data[start:], data[start - 4 : start]))

    async def keepalive(self) -> None:
        """Send a Ping at regular intervals, and close the connection of a peer that sends nothing at all."""
        assert self.ping_interval is not None
        self._received_at = self.loop.time()
        while True:
            await asyncio.sleep(self.ping_interval)
            silent_s = self.loop.time() - self._received_at
            if self.ping_timeout is not None and silent_s >= self.ping_interval + self.ping_timeout:
                if self.paused:  # it does not read either: not even a Close frame
                    self.transport.abort()
                    return
                async with self.send_context():
                    self.protocol.fail(CloseCode.INTERNAL_ERROR, "nothing was received, not even a Pong")
                return
            self.protocol.send_ping(b"")
            self.send_data()

    def process_event(self, event: Event) -> None:
        """Process one frame, or the handshake."""
        if self.sink is not None and isinstance(event, Frame) and event.opcode in _MESSAGE_PARTS:
            whole = event.fin and event.opcode is _TEXT and not self._fragmented
            if whole and not self.queued and not self.paused and self._push(event, self.sink):
                return
            self._fragmented = not event.fin
            self.queued += event.fin
        super().process_event(event)

    def _push(self, frame: Frame, sink: Callable[[str], list[str]]) -> bool:
        try:
            text = str(frame.data, "utf-8")
        except UnicodeDecodeError:
            return False  # the reader closes the connection (RFC 6455)
        for out in sink(text):
            try:
                self.protocol.send_text(out.encode())
                self.send_data()
            except (ConnectionClosed, InvalidState, OSError):
                break  # the reader detects the end
        return True
