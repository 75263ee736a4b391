"""Messages of one connection as an observer sees them: fields, response times and findings, for all generations.

    dialogue = Dialogue()
    for seen in dialogue.feed("ev", data, at): ...          # bytes of a stream, in any segmentation

For traces, captures and replays. It decodes both directions, pairs each response with its request and lists what is
wrong without ending; the engines decide what is an error.
"""

from __future__ import annotations

from dataclasses import field, replace

from protocols.errors import ProtocolError
from protocols.exi import lenient
from protocols.exi.codec import Codec
from protocols.frozen import frozen
from protocols.iso15118 import diagnosis
from protocols.iso15118.codecs import BY_NAME
from protocols.iso15118.conversation import BY_NAMESPACE, BY_PAYLOAD_TYPE, PAYLOAD_TYPES, Conversation
from protocols.iso15118.iso20 import timers
from protocols.iso15118.measurements import StatedLimits, values
from protocols.json_values import first_member, items, members
from protocols.v2gtp import Framer, FramingError, PayloadType

SESSION_SETUP = ("SessionSetupReq", "SessionSetupRes")
KNOWN_NAMESPACES = frozenset(BY_NAMESPACE) | {
    f"urn:iso:std:iso:15118:-20:{kind}" for kind in ("AC", "DC", "WPT", "ACDP")
}
WRONG_VERSION = "wrong V2GTP version bytes"
SDP = {PayloadType.SDP_REQUEST: "SDP request", PayloadType.SDP_RESPONSE: "SDP response"}
SLOW = {"ServiceDetailReq", "PaymentDetailsReq", "CertificateInstallationReq", "CertificateUpdateReq"}
CURRENT_DEMAND_WITHIN, SLOW_WITHIN, WITHIN = 0.25, 5.0, 2.0  # s, EVCC message timers of -2 and DIN


@frozen(kw_only=True)
class Seen:
    """One frame of a connection. `plain` is the message as JSON; `name` is that of the body's element in -2 and DIN."""

    at: float
    sender: str
    payload_type: int = 0
    payload: bytes = b""
    schema: str = ""
    name: str = ""
    plain: dict[str, object] = field(default_factory=dict)
    error: str = ""  # why the message could not be decoded
    note: str = ""  # of what is no message
    since_request_s: float | None = None
    findings: tuple[str, ...] = ()

    @property
    def body(self) -> dict[str, object]:
        """Fields of the message without its envelope."""
        return body(self.plain)[1]

    @property
    def session_id(self) -> str:
        """Session id of the header in hexadecimal, "" without one."""
        header = members(first_member(self.plain)[1]).get("Header")
        return str(members(header).get("SessionID", ""))


class Dialogue:
    """State of one connection. `protocol` is that of payload type 0x8001 if the handshake is missing (iso2, din).

    `tolerant`: decode a message with breached facets, too, and list them.
    """

    def __init__(self, protocol: str | None = None, *, tolerant: bool = False) -> None:
        self._conversation = Conversation(protocol)
        self._tolerant = tolerant
        self._framers: dict[str, Framer] = {}
        self._lost: set[str] = set()
        self._requests: dict[tuple[str, bool], float] = {}  # time by expected response, and if parallel to the loop
        self._session_id = ""
        self._limits = StatedLimits()

    def feed(self, sender: str, data: bytes, at: float) -> list[Seen]:
        """Return the frames that the bytes of a sender complete."""
        if sender in self._lost or not data:
            return []
        framer = self._framers.setdefault(sender, Framer())
        wrong = "" if framer.pending else diagnosis.stream_start(data)
        if wrong and not wrong.startswith("V2GTP"):
            self._lost.add(sender)
            return [Seen(at=at, sender=sender, payload=data, error=f"{wrong}; the rest of the stream is skipped")]
        try:
            frames = framer.feed(data)
        except FramingError as error:
            self._lost.add(sender)
            return [Seen(at=at, sender=sender, payload=data, error=f"{error}; the rest of the stream is skipped")]
        return [
            self.frame(sender, f.payload_type, f.payload, at, wrong="" if f.well_formed else wrong or WRONG_VERSION)
            for f in frames
        ]

    def pending(self, sender: str) -> int:
        """Return the bytes of an unfinished frame of a sender."""
        return self._framers[sender].pending if sender in self._framers else 0

    def frame(self, sender: str, payload_type: int, payload: bytes, at: float, *, wrong: str = "") -> Seen:
        """Return one frame with its message and what is wrong with it; `wrong` is a fault of its header."""
        seen = Seen(at=at, sender=sender, payload_type=payload_type, payload=payload)
        if wrong:
            return replace(seen, error=f"{wrong}: receivers ignore this frame")
        if payload_type in SDP:
            return replace(seen, note=f"{SDP[PayloadType(payload_type)]} {payload.hex()}")
        try:
            codec = BY_NAME[self._conversation.schema(payload_type, payload)]
        except ProtocolError:
            kind = diagnosis.payload_type(payload_type)
            return replace(seen, error=f"payload type {kind}: no message of a known schema")
        seen = replace(seen, schema=codec.name)
        try:
            plain, findings = self._read(codec, payload_type, payload)
        except ProtocolError as error:
            return replace(seen, error=f"{error}{_other_schema(codec, payload)}")
        name, fields = body(plain)
        since = self._paired(name, payload_type, at)
        seen = replace(seen, name=name, plain=plain, since_request_s=since)
        if since is not None and since > (limit := response_limit(codec.name, f"{name[:-3]}Req")):
            findings.append(f"response after {since:.3f} s; the EVCC waits for {limit:g} s")
        findings += self._check_session(seen)
        findings += self._limits.check(values(fields))
        return replace(seen, findings=tuple(findings))

    def _read(self, codec: Codec, payload_type: int, payload: bytes) -> tuple[dict[str, object], list[str]]:
        findings: list[str] = []
        try:
            codec, name, message = self._conversation.read(payload_type, payload)
        except ProtocolError:
            if not self._tolerant:
                raise
            name, message, findings = lenient.decode(codec, payload)
        spare = payload[(codec.end_bit + 7) // 8 :]
        if spare:
            findings.append(f"{len(spare)} spare byte{'s'[: len(spare) > 1]} after the message: {spare[:16].hex(' ')}")
        plain = codec.to_plain(message, name)
        if name == "supportedAppProtocolReq":
            offered = [str(members(one)["ProtocolNamespace"]) for one in items(members(plain[name])["AppProtocol"])]
            findings += [f"unknown namespace {uri!r}" for uri in offered if uri not in KNOWN_NAMESPACES]
        return plain, findings

    def _paired(self, name: str, payload_type: int, at: float) -> float | None:
        """Return the time since the request of a response; None for a request."""
        parallel = payload_type in (PayloadType.ISO20_SCHEDULE_STREAM, PayloadType.ISO20_METERING_STREAM)
        if name.endswith("Req"):
            self._requests[f"{name[:-3]}Res", parallel] = at
            return None
        sent = self._requests.pop((name, parallel), None)
        return None if sent is None else at - sent

    def _check_session(self, seen: Seen) -> list[str]:
        given = seen.session_id
        if seen.name in SESSION_SETUP or not given:
            self._session_id = given if seen.name == "SessionSetupRes" else self._session_id
            return []
        if self._session_id and given != self._session_id:
            return [f"session id {given} instead of {self._session_id}"]
        return []


def body(plain: dict[str, object]) -> tuple[str, dict[str, object]]:
    """Return name and fields of a message as JSON, without the envelope of -2 and DIN."""
    name, inner = first_member(plain)
    if name == "V2G_Message" and (content := members(inner).get("Body")):
        name, inner = first_member(content)
    return name, members(inner)


def response_limit(schema: str, request: str) -> float:
    """Return how long an EVCC waits for the response to a request, in seconds."""
    if schema.startswith("iso20") or schema == "sap":
        return timers.message_timeout(request)
    if request == "CurrentDemandReq":
        return CURRENT_DEMAND_WITHIN
    return SLOW_WITHIN if request in SLOW or (schema, request) == ("iso2", "PowerDeliveryReq") else WITHIN


def _other_schema(codec: Codec, payload: bytes) -> str:
    """Return the hint that a message fits the schema of another payload type; "" if it fits none."""
    for name in dict.fromkeys(BY_PAYLOAD_TYPE.values()):
        if name == codec.name:
            continue
        try:
            element, _ = BY_NAME[name].decode_element(payload)
        except ProtocolError:
            continue
        return f"; it would be {element} of {name}, payload type {PAYLOAD_TYPES[name]:#06x}"
    return ""


def short(plain: object) -> str:
    """Return a message on one line: names without quotes, no header, physical values as numbers."""
    if isinstance(plain, dict):
        if plain.keys() == {"Exponent", "Value"}:
            return f"{plain['Value'] * 10.0 ** plain['Exponent']:g}"
        if {"Multiplier", "Value"} <= plain.keys():
            return f"{plain['Value'] * 10.0 ** plain['Multiplier']:g}{plain.get('Unit', '')}"
        return "{" + ", ".join(f"{k}: {short(v)}" for k, v in plain.items() if k != "Header") + "}"
    if isinstance(plain, list):
        return "[" + ", ".join(short(item) for item in plain) + "]"
    return str(plain)
