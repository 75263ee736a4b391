"""Codecs: bytes to messages and back, for documents and for the fragments that signatures are computed over.

    codec = Codec("iso20-dc", modules)
    data = codec.encode(DC_CableCheckReq(Header=...))     # LocalProtocolError if the message breaks its declaration
    message = codec.decode(data)                          # RemoteProtocolError: where (path, bit offset) and why

A stream is one header byte 0x80, the event code of the root element, and the element; fragments end with an event code
of their own. Trailing bytes are ignored. Strings given by reference to the string table, and full lists in the
deviating form of a known peer, are decoded by separate decoders after the standard one has failed.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterable
from functools import cached_property
from itertools import islice
from types import ModuleType
from typing import Any

from protocols.errors import LocalProtocolError, RemoteProtocolError
from protocols.exi.check import faults
from protocols.exi.decoder import Decoder
from protocols.exi.decoder_source import Note
from protocols.exi.encoder import Encoder
from protocols.exi.plain import from_plain, to_plain
from protocols.exi.readers import DecodeFault, TableHit
from protocols.exi.schema import Kind, Member, PeerGrammar, Schema, Unroll
from protocols.exi.tables import StringTables

HEADER = "10000000"  # distinguishing bits, no options, version 1
LARGEST_STREAM = 1 << 20  # bytes; far above the longest message of the declared schemas
MAX_FAULTS = 3  # faults listed in an error text


class ExiError(RemoteProtocolError):
    """Error for a stream that is not a message of its schema.

    `path` is the element at fault, separated by slashes from the root, `bit` the offset in the stream, `why` the
    reason.
    """

    def __init__(self, path: str, bit: int, why: str) -> None:
        super().__init__(f"{path or 'stream'}, bit {bit}: {why}")
        self.path = path
        self.bit = bit
        self.why = why


class Codec:
    """Codec of the documents of one schema set; for use by one thread at a time.

    `modules` returns the modules with the declarations and is called on first use. `peers` are the grammars of peers
    that deviate from EXI 1.0; the lenient retry tries them in order, and `encode` follows one on request.
    """

    def __init__(
        self, name: str, modules: Callable[[], tuple[ModuleType, ...]], peers: dict[str, PeerGrammar] | None = None
    ) -> None:
        self.name = name
        self.peers = peers or {}
        self.end_bit = 0  # position after the last message that was decoded
        self.modules = modules
        self._encoders: dict[str | None, Encoder] = {}
        self._decoders: dict[tuple[str | None, bool], Decoder] = {}

    @cached_property
    def schema(self) -> Schema:
        """The declarations as one schema set."""
        return Schema(self.name, self.modules())

    def prepare(self, *, writes: Iterable[type[object]] = (), reads: Iterable[type[object]] = ()) -> None:
        """Compile the functions that encode and decode these messages, instead of on the first message.

        Mandatory parts are included; optional parts, branches of choices and members of substitution groups only if
        they are named, too. The compilation costs a few milliseconds for each kind of message.
        """
        collecting = gc.isenabled()
        gc.disable()  # what is made here stays
        try:
            for cls in self._with_parts(writes):
                self._encoder(None).function(cls)
            for cls in self._with_parts(reads):
                self._decoder(None, False).function(cls)
        finally:
            if collecting:
                gc.enable()

    def _with_parts(self, classes: Iterable[type[object]]) -> set[type[object]]:
        """Return the classes and those that occur in every object of them."""
        waiting, found = list(classes), set()
        while waiting:
            cls = waiting.pop()
            if cls in found:
                continue
            found.add(cls)
            for field in self.schema.describe(cls).fields:
                if field.least and len(field.members) == 1 and field.members[0].cls is not None:
                    waiting.append(field.members[0].cls)
        return found

    # -- messages to bytes

    def encode(self, message: object, *, element: str | None = None, peer: str | None = None) -> bytes:
        """Return the stream of a message.

        `element` names the element where the class does not (a local element in a fragment); `peer` writes full lists
        in the form that the peer decodes. Raises LocalProtocolError with the violations of the declaration.
        """
        code = self._codes.get(message.__class__)
        if code is None or (element is not None and element != type(message).__name__):
            raise LocalProtocolError(f"{element or type(message).__name__} is no message of {self.name}")
        try:
            encoder = self._encoders.get(peer) or self._encoder(peer)
            write = encoder.compiled.get(message.__class__) or encoder.function(message.__class__)
            bits = f"{HEADER}{code}{write(message)}"
        except Exception as error:
            raise self._explain(message, type(message).__name__, error) from error
        size = len(bits)
        return (int(bits, 2) << (-size & 7)).to_bytes((size + 7) >> 3, "big")

    def _explain(self, message: object, element: str, error: Exception) -> LocalProtocolError:
        if not hasattr(type(message), "__exi__"):
            return LocalProtocolError(f"{element}: {error}")
        found = list(islice(faults(self.schema, message, element), MAX_FAULTS))
        return LocalProtocolError("; ".join(found) or f"{type(message).__name__} cannot be encoded: {error!r}")

    def _encoder(self, peer: str | None) -> Encoder:
        known = self._encoders.get(peer)
        if known is None:
            known = self._encoders[peer] = Encoder(
                self.schema if peer is None else self._like(self._peer_grammar(peer).reads)
            )
        return known

    def _peer_grammar(self, peer: str) -> PeerGrammar:
        if peer not in self.peers:
            raise LocalProtocolError(f"no grammar of peer {peer!r} for {self.name}")
        return self.peers[peer]

    def _like(self, unroll: Unroll) -> Schema:
        return Schema(self.name, self.schema.modules, unroll)

    # -- bytes to messages

    def decode(self, data: bytes, *, lenient: bool = True) -> Any:
        """Return the message in a stream. Raises ExiError (a RemoteProtocolError). `lenient` also tries the grammars of
        known peers."""
        return self.decode_element(data, lenient=lenient)[1]

    def decode_element(self, data: bytes, *, lenient: bool = True) -> tuple[str, Any]:
        """Return the root element's name and the message in a stream."""
        data = bytes(data)
        if data[:1] != b"\x80":
            raise ExiError("", 0, "the header is not 0x80 (EXI 1.0 without options)" if data else "is empty")
        if len(data) > LARGEST_STREAM:
            raise ExiError("", 0, f"{len(data)} bytes exceed the maximum of {LARGEST_STREAM}")
        s = bin(int.from_bytes(data, "big"))[2:]  # the first bit of the header is set, so no leading zero is lost
        try:
            return self._decode(None, s, data)
        except ExiError as strict:
            divergent = any(decoder.divergent for decoder in self._decoders.values())
            for peer in self.peers if lenient and divergent else ():
                try:
                    return self._decode(peer, s, data)
                except ExiError:
                    continue
            raise strict from None

    def _decode(self, peer: str | None, s: str, data: bytes) -> tuple[str, object]:
        try:
            return self._run(self._decoder(peer, False), s, data)
        except TableHit:
            decoder = self._decoder(peer, True)
            assert decoder.tables is not None
            decoder.tables.clear()
            return self._run(decoder, s, data)

    def _run(self, decoder: Decoder, s: str, data: bytes) -> tuple[str, object]:
        decoder.divergent.clear()
        try:
            return self._read(decoder, s, data)
        except TableHit:
            raise
        except Exception as error:
            raise locate(decoder, error, s) from error

    def _read(self, decoder: Decoder, s: str, data: bytes) -> tuple[str, object]:
        end = 8 + self.root_width
        cls = self._by_code.get(s[8:end])
        if cls is None:
            raise self._refusal(s[8:end])
        name = cls.__name__
        message, self.end_bit = decoder.function(cls)(s, data, end)
        return name, message

    def _refusal(self, bits: str) -> Exception:
        """Return the reason why the event code of a root element is none of a message."""
        index = int(bits or "0", 2)
        if len(bits) < self.root_width:
            return IndexError()
        if index >= len(self._members):
            return DecodeFault(8, f"element number {index} of {len(self._members)}: foreign content")
        return DecodeFault(8, f"{self._members[index].qname.local} cannot be a message")

    def _decoder(self, peer: str | None, tables: bool) -> Decoder:
        known = self._decoders.get((peer, tables))
        if known is None:
            made = StringTables() if tables else None
            schema = self.schema if peer is None else self._like(self._peer_grammar(peer).writes)
            divergences = tuple(ways.writes for ways in self.peers.values()) if peer is None else ()
            known = self._decoders[peer, tables] = Decoder(schema, made, self._relaxed(peer), divergences)
        return known

    def _relaxed(self, peer: str | None) -> bool:
        return peer is None or self.peers[peer].relaxed

    # -- JSON

    def to_plain(self, message: object, element: str | None = None) -> dict[str, object]:
        """Return a message as a JSON-ready dictionary with the root element as its only key."""
        return {element or type(message).__name__: to_plain(self.schema, message)}

    def from_plain(self, plain: object) -> tuple[str, Any]:
        """Return the root element's name and the message of such a dictionary. Raises LocalProtocolError."""
        if not isinstance(plain, dict) or len(plain) != 1:
            raise LocalProtocolError("a message is an object with one key, the root element")
        ((name, inner),) = plain.items()
        member = self._by_name.get(name)
        if member is None or member.cls is None or member.abstract:
            raise LocalProtocolError(f"{name} is no message of {self.name}")
        return name, from_plain(self.schema, member.cls, inner, name)

    # -- root elements

    @cached_property
    def _members(self) -> tuple[Member, ...]:
        return self.schema.roots

    @cached_property
    def root_width(self) -> int:
        """Bits of the root's event code: one production per global element and one for foreign ones (§8.4.1)."""
        return len(self._members).bit_length()

    @cached_property
    def _codes(self) -> dict[type[object], str]:
        return {
            m.cls: format(i, f"0{self.root_width}b")
            for i, m in enumerate(self._members)
            if m.cls is not None and not m.abstract
        }

    @cached_property
    def _by_code(self) -> dict[str, type[object]]:
        return {code: cls for cls, code in self._codes.items()}

    @cached_property
    def _by_name(self) -> dict[str, Member]:
        return {m.qname.local: m for m in self._members}


def locate(decoder: Decoder, error: Exception, s: str) -> ExiError:
    """Return the error with its path and bit offset, derived from the traceback frames of the decoders."""
    path: list[str] = []
    bit, last = 8, None
    trace = error.__traceback__
    while trace is not None:
        code, values = trace.tb_frame.f_code, trace.tb_frame.f_locals
        if code.co_name == "_read" and values.get("name"):
            path.append(values["name"])
        notes = decoder.notes.get(code.co_filename)
        last = notes[trace.tb_lineno] if notes is not None and trace.tb_lineno < len(notes) else None
        if last is not None:
            bit = values.get("p", bit) + last.offset
            if last.field:
                path.append(f"{last.field}[{len(values[last.items])}]" if last.items in values else last.field)
        trace = trace.tb_next
    where = "/".join(path)
    if isinstance(error, DecodeFault):
        return ExiError(where, error.position, error.why)
    if isinstance(error, KeyError) and last is not None and error.args:
        return ExiError(where, min(bit + last.fixed, len(s)), _refusal(last, str(error.args[0])))
    if isinstance(error, IndexError | ValueError):
        return ExiError(where, len(s), ENDS_HERE)  # raised by readers only at the end of the text
    return ExiError(where, bit, f"cannot be decoded: {error!r}")


ENDS_HERE = "the message ends here"


def _refusal(note: Note, bits: str) -> str:
    """Return the reason why a look-up of `bits` failed."""
    if len(bits) < note.width:
        return ENDS_HERE
    simple = note.simple
    if simple is None:
        return f"undeclared or foreign content (event code {bits})"
    if "1" in bits[: note.fixed]:
        return "undeclared content instead of a value"
    index = int(bits[note.fixed : note.fixed + simple.width] or "0", 2)
    if simple.kind is Kind.ENUMERATION and index >= len(simple.literals):
        return f"literal number {index} of an enumeration with {len(simple.literals)}"
    if simple.kind is Kind.N_BIT and simple.high is not None and index + (simple.low or 0) > simple.high:
        return f"{index + (simple.low or 0)} is more than the maximum {simple.high}"
    return "more content where a simple element ends"
