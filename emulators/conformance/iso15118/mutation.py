"""Mutants: an emulated device that breaks exactly one rule, made at its wire.

A mutant changes, delays, drops or replaces messages that the correct device sends, changes what it receives before it
judges it, or keeps a connection open that it closes. The test of a catalogue runs each case against its mutants.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from emulators.conformance.iso15118.plain import Plain, changed, encoded, fields_of
from emulators.runtime.wrapped_wire import WrappedWire
from protocols.errors import ProtocolError
from protocols.iso15118.conversation import Conversation
from protocols.iso15118.dialogue import body
from protocols.json_values import members
from protocols.ports import Clock, Wire
from protocols.v2gtp import Framer, frame

Rewrite = Callable[[Plain], Plain]  # of the fields of a message


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutant:
    """One mutant. `message`: the affected message, "" all; `first`: its first affected occurrence, from 1."""

    text: str
    message: str = ""
    first: int = 1
    once: bool = False
    when: Callable[[Plain], bool] = field(default=lambda fields: True)
    rewrite: Rewrite | None = None
    header: Mapping[str, object] = field(default_factory=dict)
    drop: bool = False
    delay_s: float = 0.0
    close: bool = False  # instead of the message
    close_after: bool = False  # with the message
    payload_type: int | None = None
    raw_name: str = ""  # another message in its place, with the rewritten fields
    raw: bytes | None = None  # instead of the message
    received: str = ""  # name of a received message that is rewritten before the device reads it
    received_rewrite: Rewrite | None = None
    reply: bytes | None = None  # to the received message, which the device then does not read
    receive: Callable[[bytes], bytes | None] | None = None  # of what arrives; None closes the connection
    reply_when: Callable[[bytes], bool] | None = None  # received bytes to which `reply` is sent
    stays_open: bool = False  # the device does not close its connections
    from_connection: int = 1  # the first affected connection of a case

    @property
    def message_is_untouched(self) -> bool:
        """True where only what the device receives is affected."""
        return not self.message and (self.reply is not None or self.receive is not None or self.stays_open)


def alters(message: str, changes: Mapping[str, object] | None = None, **more: object) -> Mutant:
    """Return a mutant with changed fields in a message; `more` are fields without a path."""
    values = {**(changes or {}), **more}
    shown = ", ".join(f"{name} = {value}" for name, value in values.items())
    return Mutant(text=f"{message} with {shown}", message=message, rewrite=lambda fields: changed(fields, values))


def accepts(message: str) -> Mutant:
    """Return a mutant that responds OK where the device refuses."""
    return Mutant(
        text=f"{message} OK instead of a refusal",
        message=message,
        when=lambda fields: not str(fields.get("ResponseCode", "OK")).startswith("OK"),
        rewrite=lambda fields: changed(fields, {"ResponseCode": "OK"}),
    )


def refuses(message: str, code: str = "FAILED", first: int = 1) -> Mutant:
    """Return a mutant that refuses where the device accepts."""
    return Mutant(
        text=f"{message} {code} instead of OK",
        message=message,
        first=first,
        rewrite=lambda fields: changed(fields, {"ResponseCode": code}),
    )


def drops(message: str, first: int = 1) -> Mutant:
    """Return a mutant that does not send a message."""
    return Mutant(text=f"no {message}", message=message, first=first, drop=True)


def delays(message: str, seconds: float) -> Mutant:
    """Return a mutant that sends a message late."""
    return Mutant(text=f"{message} {seconds:g} s late", message=message, delay_s=seconds)


def stays_open() -> Mutant:
    """Return a mutant that never closes its connections."""
    return Mutant(text="the connection stays open", stays_open=True)


class MutantWire(WrappedWire):
    """The device's end of a connection."""

    def __init__(self, wire: Wire, clock: Clock, mutant: Mutant) -> None:
        super().__init__(wire)
        self._clock, self._mutant = clock, mutant
        self._conversation = Conversation()
        self._out, self._in = Framer(), Framer()
        self._count = 0
        self._done = False

    async def read(self) -> bytes:
        """See `Wire`."""
        while True:
            data = await self._wire.read()
            if self._mutant.receive is not None and data:
                filtered = self._mutant.receive(data)
                if filtered is None:
                    await self._wire.close()
                    return b""
                data = filtered
            if self._mutant.reply_when is not None and self._mutant.reply_when(data) and self._mutant.reply is not None:
                await self._wire.write(self._mutant.reply)
                continue
            passed = await self._incoming(data)
            if passed or not data:
                return passed

    async def _incoming(self, data: bytes) -> bytes:
        """Return the bytes to read; what cannot be decoded passes unchanged."""
        if self._in.pending or data[:2] != b"\x01\xfe":
            return data
        found = b""
        for one in self._in.feed(data):
            raw = frame(one.payload_type, one.payload)
            try:
                codec, _, message = self._conversation.read(one.payload_type, one.payload)
            except ProtocolError:
                return data
            plain = codec.to_plain(message)
            name = body(plain)[0]
            if name == self._mutant.received and self._mutant.reply is not None and self._affected():
                await self._wire.write(self._mutant.reply)
                continue
            if name == self._mutant.received and self._mutant.received_rewrite is not None:
                raw = encoded(codec.name, _rewritten(plain, self._mutant.received_rewrite), one.payload_type)
            found += raw
        return found

    async def write(self, data: bytes) -> None:
        """See `Wire`."""
        for one in self._out.feed(data):
            await self._send(one.payload_type, one.payload)

    async def _send(self, payload_type: int, payload: bytes) -> None:
        codec, _, message = self._conversation.read(payload_type, payload)
        plain = codec.to_plain(message)
        name, fields = body(plain)
        mutant = self._mutant
        passes = mutant.message not in ("", name) or not mutant.when(fields) or mutant.message_is_untouched
        if passes or not self._affected():
            await self._wire.write(frame(payload_type, payload))
            return
        self._done = True
        if mutant.delay_s:
            await self._clock.sleep(mutant.delay_s)
        if mutant.close:
            await self._wire.close()
            return
        if mutant.drop:
            return
        if mutant.raw is not None:
            await self._wire.write(mutant.raw)
            return
        if mutant.rewrite is not None:
            plain = _rewritten(plain, mutant.rewrite, mutant.raw_name)
        if mutant.header:
            plain = _with_header(plain, mutant.header)
        await self._wire.write(encoded(codec.name, plain, mutant.payload_type or payload_type))
        if mutant.close_after:
            await self._wire.close()

    def _affected(self) -> bool:
        self._count += 1
        return self._count >= self._mutant.first and not (self._mutant.once and self._done)

    async def close(self) -> None:
        """See `Wire`."""
        if not self._mutant.stays_open:
            await self._wire.close()


def _rewritten(plain: Plain, rewrite: Rewrite, other_name: str = "") -> Plain:
    name = other_name or body(plain)[0]
    if "V2G_Message" in plain:
        return changed(plain, {"V2G_Message.Body": {name: rewrite(fields_of(plain))}})
    return {name: rewrite(fields_of(plain))}


def _with_header(plain: Plain, header: Mapping[str, object]) -> Plain:
    root = next(iter(plain))
    return {root: {**members(plain[root]), "Header": {**members(members(plain[root]).get("Header")), **header}}}
