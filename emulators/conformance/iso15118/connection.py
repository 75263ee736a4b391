"""One connection of the tester to the device: messages in JSON form with their times, recorded as evidence."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from emulators.conformance.evidence import Evidence
from emulators.conformance.iso15118.plain import Plain, encoded, fields_of, header_of, schema_of
from protocols.errors import ProtocolError
from protocols.iso15118.conversation import Conversation
from protocols.iso15118.dialogue import body, short
from protocols.ports import Clock, Wire
from protocols.v2gtp import Framer, FramingError


@dataclass(frozen=True, slots=True)
class Received:
    """One message of the device. `at`: monotonic time; `error`: why it could not be decoded."""

    at: float
    name: str
    plain: Plain
    schema: str = ""
    payload_type: int = 0
    error: str = ""

    @property
    def fields(self) -> Plain:
        """Fields without the envelope."""
        return fields_of(self.plain)

    @property
    def code(self) -> str:
        """Response code, "" without one."""
        return str(self.fields.get("ResponseCode", ""))

    @property
    def session_id(self) -> str:
        """Session id of the header, hexadecimal."""
        return str(header_of(self.plain).get("SessionID", ""))


class Connection:
    """One connection over a wire."""

    def __init__(self, wire: Wire, clock: Clock, evidence: Evidence, protocol: str) -> None:
        self._wire, self._clock, self._evidence = wire, clock, evidence
        self._conversation = Conversation(None if protocol == "iso20" else protocol)
        self._framer = Framer()
        self._queue: deque[Received] = deque()
        self.protocol = protocol
        self.closed = False  # by the device

    @property
    def now(self) -> float:
        """Monotonic time."""
        return self._clock.now()

    async def send(self, name: str, plain: Plain, payload_type: int | None = None) -> None:
        """Send a message; a connection that the device has closed is noted."""
        schema = schema_of(self.protocol, name)
        data = encoded(schema, plain, payload_type)
        self._evidence.sent(name, short(plain), data)
        await self._write(data)

    async def send_bytes(self, data: bytes, what: str) -> None:
        """Send bytes that are no message of an ordinary session."""
        self._evidence.sent("", what, data)
        await self._write(data)

    async def _write(self, data: bytes) -> None:
        try:
            await self._wire.write(data)
        except ConnectionError:
            self.closed = True

    async def receive(self, within_s: float) -> Received | None:
        """Return the next message; None after the time, or where the device has closed the connection (`closed`)."""
        deadline = self.now + within_s
        while not self._queue and not self.closed:
            try:
                async with self._clock.timeout_at(deadline):
                    data = await self._wire.read()
            except TimeoutError:
                return None
            except ConnectionError:
                data = b""
            self._feed(data)
        return self._queue.popleft() if self._queue else None

    def _feed(self, data: bytes) -> None:
        if not data:
            self.closed = True
            self._evidence.note("the device closed the connection")
            return
        try:
            frames = self._framer.feed(data)
        except FramingError as error:
            self.closed = True
            self._evidence.note(f"{error}; the rest of the stream is not read")
            return
        for frame in frames:
            try:
                codec, _, message = self._conversation.read(frame.payload_type, frame.payload)
                plain = codec.to_plain(message)
                name = body(plain)[0]
                one = Received(self.now, name, plain, codec.name, frame.payload_type)
            except ProtocolError as error:
                one = Received(self.now, "", {}, "", frame.payload_type, str(error))
            self._evidence.received(one.name, short(one.plain) if not one.error else one.error, frame.payload)
            self._queue.append(one)

    async def wait_closed(self, within_s: float) -> bool:
        """Return True as soon as the device closes the connection, False after the time; messages are recorded."""
        deadline = self.now + within_s
        while not self.closed:
            self._queue.clear()
            if await self.receive(deadline - self.now) is None and self.now >= deadline:
                break
        return self.closed

    async def close(self) -> None:
        """Close the connection."""
        await self._wire.close()
