"""Reports of the journal: commands, granted powers, meter readings.

`v2x journal` prints one line per command (`commands`), or every step (`steps`), as text, CSV or JSON lines.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from gateway.model import foreign_text
from gateway.model.journal import Entry, Step
from gateway.model.message import rfc3339
from gateway.store.store import Store

PAGE = 5000


@dataclass(slots=True)
class CommandLine:
    """Life of one command in one row. Powers in W, + into the vehicle."""

    received: str
    command: str
    source: str = ""
    channel: str = ""
    evse: str = "site"
    verb: str = ""
    requested_w: float | None = None
    granted_w: float | None = None
    binding: str = ""
    first: str = ""
    reason: str = ""
    final: str = ""
    final_reason: str = ""
    measured_w: float | None = None
    ended: str = ""


async def read(store: Store, *, limit: int | None = None, **selected: Any) -> list[Entry]:
    """Return entries, oldest first; without a limit all of them, read page by page.

    `selected` is `since`, `until`, `evse` and `command`, as in `Store.entries`.
    """
    if limit is not None:
        return await store.entries(limit=limit, **selected)
    found: list[Entry] = []
    after = 0
    while True:
        page = await store.entries(limit=PAGE, after_seq=after, **selected)
        found += page
        if len(page) < PAGE:
            return found
        after = page[-1].seq or 0


def commands(entries: Iterable[Entry]) -> list[CommandLine]:
    """Return one row per command, in the order of arrival."""
    lines: dict[str, CommandLine] = {}
    for entry in entries:
        if entry.command is None or (entry.command not in lines and entry.step is not Step.RECEIVED):
            continue
        line = lines.setdefault(entry.command, CommandLine(rfc3339(entry.wall), entry.command))
        if entry.step in _FOLD:
            _FOLD[entry.step](line, entry)
    return list(lines.values())


def as_rows(what: Sequence[CommandLine] | Sequence[Entry]) -> list[dict[str, Any]]:
    """Return flat rows for CSV and JSON lines; the data of an entry become one JSON text."""
    rows = []
    for one in what:
        row = asdict(one)
        if isinstance(one, Entry):
            row = {
                "seq": one.seq,
                "time": rfc3339(one.wall),
                **{k: row[k] for k in ("step", "cause", "command", "evse", "data")},
            }
            row["step"] = one.step.value
        rows.append(row)
    return rows


def as_json_lines(what: Sequence[CommandLine] | Sequence[Entry]) -> str:
    """Return JSON lines."""
    return "".join(foreign_text.json_text(row) + "\n" for row in as_rows(what))


def as_csv(what: Sequence[CommandLine] | Sequence[Entry]) -> str:
    """Return CSV with a header, one line per row; no cell is a formula for a spreadsheet."""
    rows = as_rows(what)
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]) if rows else ["command"], lineterminator="\n")
    writer.writeheader()
    for row in rows:
        writer.writerow({key: foreign_text.csv_cell(value) for key, value in row.items()})
    return text.getvalue()


def as_text(what: Sequence[CommandLine] | Sequence[Entry]) -> str:
    """Return text for people."""
    if not what:
        return "no entry of the journal matches\n"
    return "".join(_command_text(one) if isinstance(one, CommandLine) else _entry_text(one) for one in what)


def _command_text(line: CommandLine) -> str:
    who = line.source or line.channel or "?"
    requested = "" if line.requested_w is None else f" {line.requested_w:.0f} W"
    granted = "" if line.granted_w is None else f" {line.granted_w:.0f} W ({line.binding})"
    meter = "" if line.measured_w is None else f", meter {line.measured_w:.0f} W"
    first = f"{line.first}{granted}" + (f": {line.reason}" if line.first in ("refused", "clamped") else "")
    final = f" -> {line.final}{meter}" + (f": {line.final_reason}" if line.final not in ("", "achieved") else "")
    ended = f", ended: {line.ended}" if line.ended else ""
    what = f"{line.received}  {line.evse:<10} {line.verb}{requested} by {who} [{line.command}]"
    return foreign_text.line(f"{what}  {first}{final if line.final else ''}{ended}") + "\n"


def _entry_text(entry: Entry) -> str:
    where = entry.evse or "site"
    data = " ".join(f"{key}={_short(value)}" for key, value in entry.data.items())
    name = f" [{entry.command}]" if entry.command else ""
    text = f"{rfc3339(entry.wall)}  {where:<10} {entry.step.value:<10} {entry.cause}{name}  {data}"
    return foreign_text.line(text) + "\n"


def _short(value: Any) -> str:
    text = value["text"] if isinstance(value, dict) and "text" in value else value
    return str(text)


def _received(line: CommandLine, entry: Entry) -> None:
    if entry.cause == "duplicate":
        return
    line.evse = entry.evse or "site"
    line.verb = entry.data.get("verb", line.verb)
    line.channel = entry.data.get("channel", line.channel)
    line.source = entry.data.get("source") or line.source
    if "text" in entry.data:  # refused before it was journalled
        line.first, line.reason = "refused", entry.data["text"]


def _bound(line: CommandLine, entry: Entry) -> None:
    line.binding = entry.cause
    line.requested_w, line.granted_w = entry.data.get("requested_w"), entry.data.get("effective_w")


def _result(line: CommandLine, entry: Entry) -> None:
    status, reason = entry.data.get("status", ""), entry.data.get("reason") or {}
    if status in ("accepted", "clamped", "refused"):
        line.first, line.reason = status, reason.get("text", "")
    elif reason:
        line.final, line.final_reason = status, reason.get("text", "")
        line.measured_w = (entry.data.get("measured") or {}).get("power_w")


def _ended(line: CommandLine, entry: Entry) -> None:
    line.ended = entry.cause


_FOLD = {Step.RECEIVED: _received, Step.BOUND: _bound, Step.RESULT: _result, Step.ENDED: _ended}
