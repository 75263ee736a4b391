"""Conversion of `v2x exi decode` and `v2x exi encode`: lines, frames and explanations, not captures (`exi_capture.py`).

    decode_lines(sys.stdin)                   {"schema": "iso20-dc", "exi": "80.."} -> {"schema": .., "json": {..}}
    decode_lines(sys.stdin, v2gtp=True)       "01fe8004.." (a whole frame per line) -> the same
    encode_lines(sys.stdin)                   {"schema": .., "json": {..}} -> {"schema": .., "exi": "80.."}

A line with an error gives `{"error": ".."}` and does not stop the others. An `id` of a line is in its answer. All
functions yield text without line ends.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterable, Iterator

from gateway.model import foreign_text
from protocols.errors import ProtocolError
from protocols.exi import lenient as facets
from protocols.exi.codec import Codec
from protocols.exi.explain import explain
from protocols.iso15118.codecs import BY_NAME
from protocols.iso15118.conversation import PAYLOAD_TYPES, Conversation
from protocols.iso15118.diagnosis import stream_start
from protocols.v2gtp import frame, parse

LONGEST_LINE = 8 << 20  # characters
PROTOCOLS = ("iso2", "din")
BITS_COLUMN = 22


class BadLine(ValueError):
    """An unusable line; the text states what was expected."""


def decode_lines(
    lines: Iterable[str],
    *,
    pretty: bool = False,
    explained: bool = False,
    v2gtp: bool = False,
    as_base64: bool = False,
    protocol: str | None = None,
    schema: str | None = None,
    lenient: bool = False,
    failed: list[str] | None = None,
) -> Iterator[str]:
    """Yield one answer for each line that is not blank. The errors of lines are appended to `failed`.

    A line is a JSON object with `schema` and `exi`, or bytes in hex or base64 if `schema` or `v2gtp` states what they
    are. `lenient` decodes values beyond their facets and lists them as `breaches`. `explained` adds the decoding steps
    to each answer; with `pretty` they are a table before it.
    """
    conversation = Conversation(known_protocol(protocol))
    for line in filter(str.strip, lines):
        answer: dict[str, object] = {}
        codec: Codec | None = None
        data = b""
        try:
            given = _object(line, "exi")
            answer |= _identifier(given)
            data = _bytes(given["exi"], as_base64)
            if v2gtp:
                if wrong := stream_start(data):
                    raise BadLine(wrong)
                framed = parse(data)
                data = framed.payload
                codec = BY_NAME[conversation.schema(framed.payload_type, data)]
                answer["schema"] = codec.name
                if not lenient:
                    codec, name, message = conversation.read(framed.payload_type, data)
            else:
                codec = _codec(given.get("schema", schema))
                answer["schema"] = codec.name
                if not lenient:
                    name, message = codec.decode_element(data)
            if lenient:
                name, message, breaches = facets.decode(codec, data)
                answer |= {"breaches": breaches} if breaches else {}
            answer["json"] = codec.to_plain(message, name)
        except (ProtocolError, BadLine) as error:
            answer = {**answer, "error": str(error)}
            if failed is not None:
                failed.append(str(error))
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
    failed: list[str] | None = None,
) -> Iterator[str]:
    """Yield one answer for each line that is not blank: `{"schema", "json"}` to `{"schema", "exi"}`.

    `v2gtp` adds the header of the frame; `peer` writes full lists as that peer expects them.
    """
    for line in filter(str.strip, lines):
        answer: dict[str, object] = {}
        codec, data = None, b""
        try:
            given = _object(line, "json")
            answer |= _identifier(given)
            codec = _codec(given.get("schema", schema))
            answer["schema"] = codec.name
            name, message = codec.from_plain(given["json"])
            data = codec.encode(message, element=name, peer=peer)
            framed = _framed(codec, data) if v2gtp else data
            answer["exi"] = base64.b64encode(framed).decode() if as_base64 else framed.hex()
        except (ProtocolError, BadLine) as error:
            answer = {**answer, "error": str(error)}
            if failed is not None:
                failed.append(str(error))
        yield from _answer(answer, codec if data else None, data, explained, pretty)


def _answer(
    answer: dict[str, object], codec: Codec | None, data: bytes, explained: bool, pretty: bool
) -> Iterator[str]:
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
        yield foreign_text.line(f"{step.bit:6}  {bits:{BITS_COLUMN}}  {'  ' * step.depth}{step.text}")


# ------------------------------------------------------------------------------------------------------ reading a line


def _object(line: str, needed: str) -> dict[str, object]:
    if len(line) > LONGEST_LINE:
        raise BadLine(f"a line of {len(line)} characters is longer than {LONGEST_LINE}")
    text = line.strip()
    if not text.startswith("{"):
        if needed != "exi":
            raise BadLine(f"expected a JSON object with {needed} and schema")
        return {"exi": text}
    try:
        given = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BadLine(f"not JSON: {error}") from None
    if needed not in given:
        raise BadLine(f"{needed} is missing")
    return dict(given)


def _identifier(given: dict[str, object]) -> dict[str, object]:
    """Return the line's own identifier, if it has one."""
    return {"id": given["id"]} if isinstance(given.get("id"), str | int) else {}


def _bytes(given: object, as_base64: bool) -> bytes:
    if not isinstance(given, str):
        raise BadLine("exi is not text")
    try:
        return base64.b64decode(given, validate=True) if as_base64 else bytes.fromhex(given)
    except (ValueError, binascii.Error):
        raise BadLine("exi is not base64" if as_base64 else "exi is not hexadecimal") from None


def _codec(schema: object) -> Codec:
    if not isinstance(schema, str) or schema not in BY_NAME:
        raise BadLine(f"schema {schema!r} is none of {', '.join(BY_NAME)}")
    return BY_NAME[schema]


def known_protocol(given: str | None) -> str | None:
    """Return a protocol of payload type 0x8001. Raises BadLine."""
    if given is not None and given not in PROTOCOLS:
        raise BadLine(f"protocol {given!r} is none of {', '.join(PROTOCOLS)}")
    return given


def _framed(codec: Codec, data: bytes) -> bytes:
    if codec.name not in PAYLOAD_TYPES:
        raise BadLine(f"{codec.name} is not sent in V2GTP frames")
    return frame(PAYLOAD_TYPES[codec.name], data)


def _json(value: object, pretty: bool) -> str:
    return foreign_text.json_text(value, indent=2 if pretty else None)
