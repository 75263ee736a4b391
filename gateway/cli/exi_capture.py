"""Captures of `v2x exi decode --pcap`: the messages of all connections, paired, with times and findings.

A message that cannot be read is an entry with an error, and what is no message an entry with a note.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from gateway.cli.exi_conversion import explain_text, known_protocol
from gateway.model import foreign_text
from protocols.capture import CaptureError, Found, payloads, read_capture, secrets_in
from protocols.iso15118.codecs import BY_NAME
from protocols.iso15118.dialogue import Dialogue, Seen, short


@dataclass(frozen=True, slots=True)
class Entry:
    """One frame of a capture. Time in seconds since the first one."""

    at: float
    source: str
    target: str
    seen: Seen


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Which messages are shown: of a session (hexadecimal id), with names (`PreCharge` is request and response)."""

    session: str | None = None
    messages: tuple[str, ...] = ()

    def accepts(self, seen: Seen) -> bool:
        """Return whether a message is shown; notes and unreadable frames are only shown without a selection."""
        if self.session is not None and seen.session_id.lower() != self.session.lower():
            return False
        names = {seen.name, seen.name.removesuffix("Req").removesuffix("Res")}
        return not self.messages or bool(names & set(self.messages))


def entries(
    capture: Path,
    *,
    protocol: str | None = None,
    lenient: bool = False,
    selection: Selection | None = None,
    keylog: Path | None = None,
) -> Iterator[Entry]:
    """Yield the frames of a pcap or pcapng file. Raises CaptureError if it cannot be read.

    TLS is decrypted with the secrets in a pcapng file, and with those of `keylog`.
    """
    known_protocol(protocol)
    dialogues: dict[frozenset[str], Dialogue] = {}
    first: float | None = None
    for found in frames(capture, keylog):
        first = found.at if first is None else first
        ends = frozenset((found.source, found.target))
        dialogue = dialogues.setdefault(ends, Dialogue(protocol, tolerant=lenient))
        seen = _seen(dialogue, found)
        if selection is None or selection.accepts(seen):
            yield Entry(found.at - first, found.source, found.target, seen)


def frames(capture: Path, keylog: Path | None = None) -> Iterator[Found]:
    """Yield what a capture contains, decrypted. Raises CaptureError if a file cannot be read."""
    data = capture.read_bytes()
    packets, keys = read_capture(data), secrets_in(data)
    if keylog is not None:
        try:
            keys.add(keylog.read_text())
        except UnicodeDecodeError:
            raise CaptureError(f"{keylog} is no key log: it is not text") from None
    return payloads(packets, keys)


def _seen(dialogue: Dialogue, found: Found) -> Seen:
    if found.note:
        return Seen(at=found.at, sender=found.source, note=found.note)
    return dialogue.frame(found.source, found.payload_type, found.payload, found.at, wrong=found.wrong)


def transcript(
    capture: Path,
    *,
    pretty: bool = False,
    explained: bool = False,
    as_json: bool = False,
    protocol: str | None = None,
    lenient: bool = False,
    selection: Selection | None = None,
    keylog: Path | None = None,
) -> Iterator[str]:
    """Yield the lines of a capture: time, sender, schema, message. `as_json` yields one object per frame instead."""
    for entry in entries(capture, protocol=protocol, lenient=lenient, selection=selection, keylog=keylog):
        yield foreign_text.json_text(record(entry)) if as_json else text(entry, pretty)
        if explained and entry.seen.schema and not as_json:
            yield from explain_text(BY_NAME[entry.seen.schema], entry.seen.payload)


def record(entry: Entry) -> dict[str, object]:
    """Return an entry for JSON."""
    seen = entry.seen
    found: dict[str, object] = {"at": round(entry.at, 6), "from": entry.source, "to": entry.target}
    if seen.schema:
        found["schema"] = seen.schema
    if seen.note:
        found["note"] = seen.note
    if seen.error:
        found |= {"error": seen.error, "exi": seen.payload.hex()}
    if seen.plain:
        found |= {"message": seen.name, "json": seen.plain}
    if seen.since_request_s is not None:
        found["since_request_s"] = round(seen.since_request_s, 6)
    if seen.findings:
        found["findings"] = list(seen.findings)
    return found


def text(entry: Entry, pretty: bool) -> str:
    """Return an entry as a line, and one more for each finding."""
    seen = entry.seen
    head = (
        f"{entry.at:11.6f}  {entry.source} -> {entry.target}  {seen.schema:8}" if entry.source else f"{entry.at:11.6f}"
    )
    if seen.error:
        return foreign_text.line(f"{head}  can't be read: {seen.error}  [{seen.payload.hex()}]")
    if seen.note:
        return foreign_text.line(f"{head}  {seen.note}")
    since = "" if seen.since_request_s is None else f" after {seen.since_request_s * 1e3:.1f} ms"
    lines = [foreign_text.line(f"{head}  {seen.name}{since} {'' if pretty else short(seen.body)}").rstrip()]
    if pretty:
        lines.append(foreign_text.json_text(seen.body, indent=2))
    return "\n".join(lines + [foreign_text.line(f"{'':11}  ! {finding}") for finding in seen.findings])
