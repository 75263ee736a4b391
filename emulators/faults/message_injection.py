"""Injection: deviations in the ISO 15118 messages of one side, by message and occurrence, for negative tests.

    injection = Injection([Rule(message="DC_PreChargeRes", occurrence=2, response_code="FAILED")])
    deliveries = injection.apply(data)          # of whatever the side writes; later: `injection.applied`

Pure: bytes in, deliveries out, randomness by a seed. Messages are decoded, changed and encoded again without facets,
so that a value beyond its range can be sent; an element that the schema requires cannot be omitted (truncate instead).
Files of rules are read by `injection_file.py`, connections changed by `injected_wire.py`.
"""

from __future__ import annotations

import copy
import random
from collections.abc import Sequence
from dataclasses import dataclass, field

from protocols.errors import ProtocolError
from protocols.exi.codec import Codec
from protocols.exi.lenient import relaxed
from protocols.iso15118.conversation import Conversation
from protocols.iso15118.dialogue import body
from protocols.json_values import first_member, members
from protocols.v2gtp import Framer, FramingError, frame

ANY = "*"
EXPONENTS = range(-3, 4)  # of physical values, the smallest first
MOST_SEGMENTS = 1000  # of one message
LARGEST_VALUE = 32_767


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One deviation. It applies to `count` messages with the name, from the `occurrence`-th on (None: to all).

    `set` and `omit` name fields by their path in the message (`EVSEStatus.NotificationMaxDelay`, `Header.TimeStamp`);
    numbers become physical values where the message has one.
    """

    message: str
    occurrence: int | None = None
    count: int = 1
    response_code: str | None = None
    set: dict[str, object] = field(default_factory=dict)
    omit: tuple[str, ...] = ()
    session_id: str | None = None  # hexadecimal
    payload_type: int | None = None
    version: int | None = None  # of V2GTP
    truncate: int | None = None  # bytes of EXI that remain
    random: int | None = None  # random bytes instead of the EXI
    spare: str = ""  # bytes after the EXI, hexadecimal
    delay_s: float = 0.0
    drop: bool = False
    duplicate: int = 0  # additional copies
    split: int | None = None  # bytes of a TCP segment
    split_every_s: float = 0.02
    glue: bool = False  # send it with the next message, in one segment
    close: str | None = None  # close the connection "before" or "after" this message

    @property
    def edits(self) -> bool:
        """Return whether the rule changes the content of the message."""
        return bool(self.response_code or self.set or self.omit) or self.session_id is not None


@dataclass(frozen=True, slots=True)
class Delivery:
    """Bytes to send after a delay, and whether the connection is closed then."""

    delay_s: float = 0.0
    data: bytes = b""
    close: bool = False


@dataclass(frozen=True, slots=True)
class Applied:
    """A rule that was applied, or why it could not be."""

    message: str
    occurrence: int
    rule: int  # number of the rule, from 1
    error: str = ""


class Injection:
    """State of the rules on one connection."""

    def __init__(self, rules: Sequence[Rule], seed: int | str = 0) -> None:
        self.applied: list[Applied] = []
        self._rules = rules
        self._draw = random.Random(f"injection-{seed}")
        self._framer = Framer()
        self._conversation = Conversation()
        self._seen: dict[str, int] = {}
        self._held = b""
        self._lost = False

    def apply(self, data: bytes) -> list[Delivery]:
        """Return the deliveries for the bytes that a side writes; bytes of an unfinished message wait for the rest."""
        if self._lost:
            return [Delivery(data=data)]
        try:
            frames = self._framer.feed(data)
        except FramingError:
            self._lost = True
            return [Delivery(data=data)]
        return [delivery for one in frames for delivery in self._message(one.payload_type, one.payload)]

    def _message(self, payload_type: int, payload: bytes) -> list[Delivery]:
        codec, plain = self._read(payload_type, payload)
        name = body(plain)[0] if plain else f"{payload_type:#06x}"
        number = self._seen[name] = self._seen.get(name, 0) + 1
        whole = frame(payload_type, payload)
        deliveries = [Delivery(data=whole)]
        for index, rule in enumerate(self._rules, start=1):
            if rule.message not in (ANY, name) or not _occurs(rule, number):
                continue
            error = ""
            if rule.edits:
                try:
                    payload = _edited(rule, codec, plain)
                except (ProtocolError, KeyError, TypeError) as problem:
                    error = f"sent unchanged: {problem}"
            self.applied.append(Applied(name, number, index, error))
            deliveries = self._deliveries(rule, payload_type, payload)
            payload_type = rule.payload_type or payload_type
        if self._held and deliveries:
            first = deliveries[0]
            deliveries[0] = Delivery(first.delay_s, self._held + first.data, first.close)
            self._held = b""
        return deliveries

    def _read(self, payload_type: int, payload: bytes) -> tuple[Codec | None, dict[str, object]]:
        try:
            codec, name, message = self._conversation.read(payload_type, payload)
            return codec, codec.to_plain(message, name)
        except ProtocolError:
            return None, {}

    def _deliveries(self, rule: Rule, payload_type: int, payload: bytes) -> list[Delivery]:
        """Return the deliveries of one message by a rule."""
        if rule.close == "before":
            return [Delivery(rule.delay_s, close=True)]
        if rule.drop:
            return []
        whole = self._framed(rule, payload_type, payload) * (1 + rule.duplicate)
        if rule.glue:
            self._held += whole
            return []
        if rule.split is not None:
            size = max(rule.split, len(whole) // MOST_SEGMENTS + 1)
            pieces = [whole[start : start + size] for start in range(0, len(whole), size)]
        else:
            pieces = [whole]
        found = [Delivery(rule.split_every_s if n else rule.delay_s, piece) for n, piece in enumerate(pieces)]
        return [*found, Delivery(close=True)] if rule.close == "after" else found

    def _framed(self, rule: Rule, payload_type: int, payload: bytes) -> bytes:
        if rule.random is not None:
            payload = self._draw.randbytes(rule.random)
        if rule.truncate is not None:
            payload = payload[: rule.truncate]
        payload += bytes.fromhex(rule.spare)
        whole = frame(payload_type if rule.payload_type is None else rule.payload_type, payload)
        if rule.version is not None:
            whole = bytes((rule.version, rule.version ^ 0xFF)) + whole[2:]
        return whole


def _occurs(rule: Rule, number: int) -> bool:
    return rule.occurrence is None or rule.occurrence <= number < rule.occurrence + rule.count


def _edited(rule: Rule, codec: Codec | None, plain: dict[str, object]) -> bytes:
    """Return the encoded message with the changes of a rule. Raises ProtocolError, KeyError or TypeError."""
    if codec is None:
        raise KeyError("it could not be decoded")
    changed = copy.deepcopy(plain)
    root, envelope = first_member(changed)
    header, fields = members(members(envelope).get("Header")), body(changed)[1]
    if rule.response_code is not None:
        fields["ResponseCode"] = rule.response_code
    if rule.session_id is not None:
        header["SessionID"] = rule.session_id
    for path, value in rule.set.items():
        parent, name = _parent(members(envelope) if path.startswith("Header.") else fields, path)
        parent[name] = _physical(parent.get(name), value)
    for path in rule.omit:
        parent, name = _parent(members(envelope) if path.startswith("Header.") else fields, path)
        parent.pop(name, None)
    wide = relaxed(codec)
    _, message = wide.from_plain(changed)
    return wide.encode(message, element=root)


def _parent(fields: dict[str, object], path: str) -> tuple[dict[str, object], str]:
    *above, name = path.split(".")
    for part in above:
        fields = members(fields.setdefault(part, {}))
    return fields, name


def _physical(present: object, value: object) -> object:
    """Return a number in the form of the physical value that is present; other values as they are."""
    if not isinstance(present, dict) or "Value" not in present:
        return value
    if isinstance(value, bool) or not isinstance(value, int | float):
        return value
    name = "Exponent" if "Exponent" in present else "Multiplier"
    for exponent in EXPONENTS:
        scaled = round(value / 10.0**exponent)
        if abs(scaled) <= LARGEST_VALUE:
            return {**present, name: exponent, "Value": scaled}
    return {**present, name: EXPONENTS[-1], "Value": round(value / 10.0 ** EXPONENTS[-1])}
