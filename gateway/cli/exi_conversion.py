"""Conversion of `v2x exi decode` and `v2x exi encode`: lines, frames and captures; explanations.

    decode_lines(sys.stdin)                   {"schema": "iso20-dc", "exi": "80.."} -> {"schema": .., "json": {..}}
    decode_lines(sys.stdin, v2gtp=True)       "01fe8004.." (a whole frame per line) -> the same
    encode_lines(sys.stdin)                   {"schema": .., "json": {..}} -> {"schema": .., "exi": "80.."}
    transcript(Path("session.pcap"))          the messages of a capture, in the order of time

A line with an error gives `{"error": ".."}` and does not stop the others. An `id` of a line is in its answer. All
functions yield text without line ends.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gateway.cli.capture import CaptureError, payloads, read_capture
from protocols.errors import ProtocolError, RemoteProtocolError
from protocols.exi.codec import Codec
from protocols.exi.explain import explain
from protocols.iso15118.codecs import BY_NAME
from protocols.v2gtp import PayloadType, frame, parse

LONGEST_LINE = 8 << 20  # characters
PROTOCOLS = ("iso2", "din")
BITS_COLUMN = 22
BY_PAYLOAD_TYPE = {
    PayloadType.ISO20_COMMON: "iso20",
    PayloadType.ISO20_AC: "iso20-ac",
    PayloadType.ISO20_DC: "iso20-dc",
    PayloadType.ISO20_SCHEDULE_STREAM: "iso20",
    PayloadType.ISO20_METERING_STREAM: "iso20",
}
BY_NAMESPACE = {
    "urn:iso:15118:2:2013:MsgDef": "iso2",
    "urn:iso:15118:2:2010:MsgDef": "iso2",
    "urn:din:70121:2012:MsgDef": "din",
}
FIRST_BITS = {0b10011000: "iso2", 0b10011010: "din"}  # V2G_Message is element 76 of one and 77 of the other, 7 bits
HANDSHAKE_CODES = (0, 1)  # of the handshake's two elements, in 2 bits


class BadLine(ValueError):
    """An unusable line; the text states what was expected."""


class UnknownPayload(RemoteProtocolError):
    """A payload that is not EXI of a known schema."""


@dataclass
class Conversation:
    """Schemas and messages of V2GTP payloads, with the state of one conversation.

    Payload type 0x8001 carries the handshake, ISO 15118-2 and DIN 70121. The earlier messages decide (the SECC's choice
    in the handshake), or the user by `protocol`; without either the root element does, whose event codes differ.
    """

    protocol: str | None = None
    offered: dict[int, str] = field(default_factory=dict)
    chosen: str | None = None

    def schema(self, payload_type: int, payload: bytes) -> str:
        """Return the schema of a payload; UnknownPayload if it carries no EXI of a known schema."""
        if payload_type == PayloadType.SUPPORTED_APP_PROTOCOL:
            return self._first_type(payload)
        name = BY_PAYLOAD_TYPE.get(PayloadType(payload_type)) if payload_type in set(PayloadType) else None
        if name is None:
            raise UnknownPayload(f"payload type {payload_type:#06x} carries no message of a known schema")
        return name

    def _first_type(self, payload: bytes) -> str:
        second = payload[1] if len(payload) > 1 else 0
        if second >> 6 in HANDSHAKE_CODES:
            return "sap"
        return self.protocol or self.chosen or FIRST_BITS.get(second & 0b11111110, "iso2")

    def read(self, payload_type: int, payload: bytes) -> tuple[Codec, str, Any]:
        """Return codec, root element and message of a payload; updates the state with the handshake."""
        codec = BY_NAME[self.schema(payload_type, payload)]
        name, message = codec.decode_element(payload)
        if name == "supportedAppProtocolReq":
            self.offered = {p.SchemaID: p.ProtocolNamespace for p in message.AppProtocol}
        elif name == "supportedAppProtocolRes":
            self.chosen = BY_NAMESPACE.get(self.offered.get(message.SchemaID, ""))
        return codec, name, message


def decode_lines(
    lines: Iterable[str],
    *,
    pretty: bool = False,
    explained: bool = False,
    v2gtp: bool = False,
    as_base64: bool = False,
    protocol: str | None = None,
    schema: str | None = None,
) -> Iterator[str]:
    """Yield one answer for each line that is not blank.

    A line is a JSON object with `schema` and `exi`, or bytes in hex or base64 if `schema` or `v2gtp` states what they
    are. `explained` adds the decoding steps to each answer; with `pretty` they are a table before it.
    """
    conversation = Conversation(_protocol(protocol))
    for line in filter(str.strip, lines):
        answer: dict[str, Any] = {}
        codec: Codec | None = None
        data = b""
        try:
            said = _object(line, {"schema", "exi"})
            answer |= _named(said)
            data = _bytes(said["exi"], as_base64)
            if v2gtp:
                framed = parse(data)
                data = framed.payload
                codec = BY_NAME[conversation.schema(framed.payload_type, data)]
                answer["schema"] = codec.name
                codec, name, message = conversation.read(framed.payload_type, data)
            else:
                codec = _codec(said.get("schema", schema))
                answer["schema"] = codec.name
                name, message = codec.decode_element(data)
            answer["json"] = codec.to_plain(message, name)
        except (ProtocolError, BadLine) as error:
            answer = {**answer, "error": str(error)}
        yield from _answer(answer, codec, data, explained, pretty)


def encode_lines(
    lines: Iterable[str],
    *,
    pretty: bool = False,
    explained: bool = False,
    v2gtp: bool = False,
    as_base64: bool = False,
    schema: str | None = None,
    peer: str | None = None,
) -> Iterator[str]:
    """Yield one answer for each line that is not blank: `{"schema", "json"}` to `{"schema", "exi"}`.

    `v2gtp` adds the header of the frame; `peer` writes full lists as that peer expects them.
    """
    for line in filter(str.strip, lines):
        answer: dict[str, Any] = {}
        codec, data = None, b""
        try:
            said = _object(line, {"schema", "json"})
            answer |= _named(said)
            codec = _codec(said.get("schema", schema))
            answer["schema"] = codec.name
            name, message = codec.from_plain(said["json"])
            data = codec.encode(message, element=name, peer=peer)
            framed = _framed(codec, data) if v2gtp else data
            answer["exi"] = base64.b64encode(framed).decode() if as_base64 else framed.hex()
        except (ProtocolError, BadLine) as error:
            answer = {**answer, "error": str(error)}
        yield from _answer(answer, codec if data else None, data, explained, pretty)


def _answer(answer: dict[str, Any], codec: Codec | None, data: bytes, explained: bool, pretty: bool) -> Iterator[str]:
    """Yield an answer, with the decoding steps in it, or before it as a table for people."""
    if explained and codec is not None and pretty:
        yield from explain_text(codec, data)
    elif explained and codec is not None:
        answer["explained"] = [
            {"bit": s.bit, "bits": s.bits, "depth": s.depth, "text": s.text} for s in explain(codec, data)
        ]
    yield _json(answer, pretty)


def explain_text(codec: Codec, data: bytes) -> Iterator[str]:
    """Return the decoding steps of a message as a table: bit offset, bits, meaning."""
    for step in explain(codec, data):
        bits = step.bits if len(step.bits) <= BITS_COLUMN else step.bits[: BITS_COLUMN - 3] + "..."
        yield f"{step.bit:6}  {bits:{BITS_COLUMN}}  {'  ' * step.depth}{step.text}"


def transcript(
    capture: Path, *, pretty: bool = False, explained: bool = False, as_json: bool = False, protocol: str | None = None
) -> Iterator[str]:
    """Yield the messages of a pcap or pcapng file: time, sender, schema, message.

    `as_json` yields one object per line instead. CaptureError if the file cannot be read; a message that cannot be
    read is a line with an error.
    """
    conversations: dict[frozenset[str], Conversation] = {}
    packets = read_capture(capture.read_bytes())
    first: float | None = None
    for found in payloads(packets):
        first = found.at if first is None else first
        ends = frozenset((found.source, found.target))
        conversation = conversations.setdefault(ends, Conversation(_protocol(protocol)))
        entry: dict[str, Any] = {"at": round(found.at - first, 6), "from": found.source, "to": found.target}
        codec: Codec | None = None
        try:
            if found.note:
                entry["note"] = found.note
            elif found.payload_type in (PayloadType.SDP_REQUEST, PayloadType.SDP_RESPONSE):
                kind = "request" if found.payload_type == PayloadType.SDP_REQUEST else "response"
                entry["note"] = f"SDP {kind} {found.payload.hex()}"
            else:
                codec = BY_NAME[conversation.schema(found.payload_type, found.payload)]
                entry["schema"] = codec.name
                codec, name, message = conversation.read(found.payload_type, found.payload)
                entry["json"] = codec.to_plain(message, name)
        except (ProtocolError, UnknownPayload) as error:
            entry |= {"error": str(error), "exi": found.payload.hex()}
        yield _json(entry, pretty=False) if as_json else _entry(entry, pretty)
        if explained and codec is not None and not as_json:
            yield from explain_text(codec, found.payload)


def _entry(entry: dict[str, Any], pretty: bool) -> str:
    head = f"{entry['at']:11.6f}  {entry['from']} -> {entry['to']}  {entry.get('schema', ''):8}"
    if "error" in entry:
        return f"{head}  can't be read: {entry['error']}  [{entry['exi']}]"
    if "note" in entry:
        return f"{head}  {entry['note']}"
    ((name, inner),) = entry["json"].items()
    if name == "V2G_Message" and inner.get("Body"):
        ((name, inner),) = inner["Body"].items()
    if pretty:
        return f"{head}  {name}\n{_json(inner, pretty=True)}"
    return f"{head}  {name} {_short(inner)}"


def _short(plain: Any) -> str:
    """Return a message on one line: names without quotes, no header, rational numbers as numbers."""
    if isinstance(plain, dict):
        if plain.keys() == {"Exponent", "Value"}:
            return f"{plain['Value'] * 10.0 ** plain['Exponent']:g}"
        if {"Multiplier", "Value"} <= plain.keys():
            return f"{plain['Value'] * 10.0 ** plain['Multiplier']:g}{plain.get('Unit', '')}"
        return "{" + ", ".join(f"{k}: {_short(v)}" for k, v in plain.items() if k != "Header") + "}"
    if isinstance(plain, list):
        return "[" + ", ".join(_short(item) for item in plain) + "]"
    return str(plain)


# ------------------------------------------------------------------------------------------------------ reading a line


def _object(line: str, keys: set[str]) -> dict[str, Any]:
    if len(line) > LONGEST_LINE:
        raise BadLine(f"a line of {len(line)} characters is longer than {LONGEST_LINE}")
    text = line.strip()
    if not text.startswith("{"):
        if "exi" not in keys:
            raise BadLine(f"expected a JSON object with {' and '.join(sorted(keys))}")
        return {"exi": text}
    try:
        said = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BadLine(f"not JSON: {error}") from None
    needed = next(iter(keys - {"schema"}))
    if needed not in said:
        raise BadLine(f"{needed} is missing")
    return dict(said)


def _named(said: dict[str, Any]) -> dict[str, Any]:
    """Return the line's own identifier, if it has one."""
    return {"id": said["id"]} if isinstance(said.get("id"), str | int) else {}


def _bytes(said: Any, as_base64: bool) -> bytes:
    if not isinstance(said, str):
        raise BadLine("exi is not text")
    try:
        return base64.b64decode(said, validate=True) if as_base64 else bytes.fromhex(said)
    except (ValueError, binascii.Error):
        raise BadLine("exi is not base64" if as_base64 else "exi is not hexadecimal") from None


def _codec(schema: Any) -> Codec:
    if not isinstance(schema, str) or schema not in BY_NAME:
        raise BadLine(f"schema {schema!r} is none of {', '.join(BY_NAME)}")
    return BY_NAME[schema]


def _protocol(said: str | None) -> str | None:
    if said is not None and said not in PROTOCOLS:
        raise BadLine(f"protocol {said!r} is none of {', '.join(PROTOCOLS)}")
    return said


def _framed(codec: Codec, data: bytes) -> bytes:
    types = {
        "sap": PayloadType.SUPPORTED_APP_PROTOCOL,
        "iso2": PayloadType.SUPPORTED_APP_PROTOCOL,
        "din": PayloadType.SUPPORTED_APP_PROTOCOL,
        "iso20": PayloadType.ISO20_COMMON,
        "iso20-ac": PayloadType.ISO20_AC,
        "iso20-dc": PayloadType.ISO20_DC,
    }
    if codec.name not in types:
        raise BadLine(f"{codec.name} does not travel in V2GTP frames")
    return frame(types[codec.name], data)


def _json(value: Any, pretty: bool) -> str:
    text = json.dumps(value, indent=2 if pretty else None, ensure_ascii=False)
    try:
        text.encode()
    except UnicodeEncodeError:  # a lone surrogate in the JSON
        return json.dumps(value, indent=2 if pretty else None)
    return text


__all__ = ["BadLine", "CaptureError", "decode_lines", "encode_lines", "explain_text", "transcript"]
