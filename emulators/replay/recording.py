"""Recorded sessions: requests and responses of a capture (pcap, pcapng) or of a transcript of ours (JSON lines).

A transcript is the output of `v2x ev` or `v2x secc` with `--trace --json`, or of `v2x exi decode --pcap --json`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from protocols.capture import CaptureError, payloads, read_capture, secrets_in
from protocols.errors import ProtocolError
from protocols.exi.lenient import relaxed
from protocols.iso15118.codecs import BY_NAME
from protocols.iso15118.conversation import PAYLOAD_TYPES
from protocols.iso15118.dialogue import Dialogue, Seen
from protocols.iso15118.measurements import number
from protocols.v2gtp import PayloadType

FIRST_MESSAGE = "supportedAppProtocolReq"
PARALLEL = (PayloadType.ISO20_SCHEDULE_STREAM, PayloadType.ISO20_METERING_STREAM)
EVENTS = ("MessageSent", "MessageReceived")


class RecordingError(ValueError):
    """The file has no session that can be played; the text states why."""


class Frame(NamedTuple):
    """A recorded frame: time in seconds, sender, receiver, payload type, payload."""

    at: float
    sender: str
    receiver: str
    payload_type: int
    payload: bytes


@dataclass(slots=True)
class Exchange:
    """A request and its response. `gap_s`: since the response before; `took_s`: until the response."""

    request: Seen
    gap_s: float = 0.0
    response: Seen | None = None

    @property
    def took_s(self) -> float:
        return 0.0 if self.response is None else max(self.response.at - self.request.at, 0.0)


@dataclass(slots=True)
class Connection:
    """The exchanges of one connection. `ev` is the sender of the requests."""

    ev: str
    exchanges: list[Exchange] = field(default_factory=list)
    _ended_at: float | None = None

    def add(self, seen: Seen) -> None:
        """Add a message; a response belongs to the oldest request without one that it fits."""
        if seen.sender == self.ev:
            gap = 0.0 if self._ended_at is None else max(seen.at - self._ended_at, 0.0)
            self.exchanges.append(Exchange(seen, gap))
            return
        waiting = [one for one in self.exchanges if one.response is None]
        fitting = [one for one in waiting if _belongs(seen, one.request)] or waiting
        if fitting:
            fitting[0].response = seen
            self._ended_at = seen.at


def load(path: Path, keylog: Path | None = None) -> list[Connection]:
    """Return the connections of a file. Raises RecordingError, or OSError if it cannot be read."""
    data = path.read_bytes()
    if data.lstrip()[:1] == b"{":
        frames = _transcript(data.decode("utf-8", "replace"))
    else:
        frames = _capture(data, "" if keylog is None else keylog.read_text(errors="replace"))
    found = list(_connections(frames))
    if not any(one.exchanges for one in found):
        raise RecordingError(f"{path} has no message of a session")
    return found


def _capture(data: bytes, key_log: str) -> Iterator[Frame]:
    keys = secrets_in(data)
    keys.add(key_log)
    try:
        found = list(payloads(read_capture(data), keys))
    except CaptureError as error:
        raise RecordingError(f"{error}, and no transcript") from None
    if all(one.note for one in found):
        notes = "; ".join(dict.fromkeys(one.note for one in found)) or "it is empty"
        raise RecordingError(f"the capture has no message of a session: {notes}")
    for one in found:
        if not one.note and one.payload_type not in (PayloadType.SDP_REQUEST, PayloadType.SDP_RESPONSE):
            yield Frame(one.at, one.source, one.target, one.payload_type, one.payload)


def _transcript(text: str) -> Iterator[Frame]:
    for position, line in enumerate(text.splitlines(), start=1):
        try:
            row = json.loads(line)
            frame = _row(row) if isinstance(row, dict) else None
        except (ValueError, KeyError, TypeError, ProtocolError) as error:
            raise RecordingError(f"line {position} of the transcript cannot be read: {error}") from None
        if frame is not None:
            yield frame


def _row(row: dict[str, object]) -> Frame | None:
    """Return the frame of a line, None for other lines. Raises KeyError, TypeError, ValueError or ProtocolError."""
    if row.get("event") in EVENTS:
        ends = EVENTS if row["event"] == EVENTS[0] else EVENTS[::-1]
        return Frame(_time(row), *ends, int(str(row["payload_type"]), 16), bytes.fromhex(str(row["data"])))
    if "json" in row and "from" in row:
        codec = relaxed(BY_NAME[str(row["schema"])])
        name, message = codec.from_plain(row["json"])
        data = codec.encode(message, element=name)
        return Frame(_time(row), str(row["from"]), str(row["to"]), PAYLOAD_TYPES[codec.name], data)
    return None


def _time(row: dict[str, object]) -> float:
    at = number(row["at"])
    if at is None:
        raise TypeError("at is no number")
    return at


def _connections(frames: Iterable[Frame]) -> Iterator[Connection]:
    """Group frames by connection; on the same ports a new one begins with its handshake."""
    found: list[Connection] = []
    current: dict[frozenset[str], tuple[Dialogue, Connection]] = {}
    for frame in frames:
        ends = frozenset((frame.sender, frame.receiver))
        dialogue, connection = current.get(ends, (Dialogue(tolerant=True), Connection(frame.sender)))
        seen = dialogue.frame(frame.sender, frame.payload_type, frame.payload, frame.at)
        if ends not in current or (seen.name == FIRST_MESSAGE and connection.exchanges):
            if connection.exchanges:
                connection = Connection(frame.sender)
            connection.ev = frame.receiver if seen.name.endswith("Res") else frame.sender
            found.append(connection)
            current[ends] = dialogue, connection
        connection.add(seen)
    return iter(found)


def _belongs(response: Seen, request: Seen) -> bool:
    parallel = (response.payload_type in PARALLEL) == (request.payload_type in PARALLEL)
    return parallel and response.name == f"{request.name[:-3]}Res"
