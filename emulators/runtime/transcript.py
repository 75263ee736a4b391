"""Transcript of a run: all messages and events in order, without values that differ between runs of the same seed.

Message ids are random; here they are numbered in the order of their appearance. Charge loops are recorded where a value
changed. Two runs are equal if their lines are.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import zip_longest
from pathlib import Path

from protocols import private_file

_ID = re.compile(r'^\[(\d),"([^"]{1,36})"')


@dataclass(frozen=True, slots=True)
class Line:
    """One message or event: time (s of the run), channel, sender, text."""

    at: float
    channel: str
    sender: str
    text: str

    def __str__(self) -> str:
        return f"{self.at:12.3f} {self.channel:<18} {self.sender:<10} {self.text}"


@dataclass(slots=True)
class Transcript:
    """All lines of a run."""

    lines: list[Line] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)  # messages by the first part of the channel, including loops
    keep: bool = True  # False counts only
    _ids: dict[tuple[str, str], str] = field(default_factory=dict)
    _loops: dict[str, object] = field(default_factory=dict)

    def add(self, at: float, channel: str, sender: str, text: str) -> None:
        """Add a message or event."""
        kind = channel.partition(":")[0]
        self.counts[kind] = self.counts.get(kind, 0) + 1
        if self.keep:
            self.lines.append(Line(round(at, 3), channel, sender, text))

    def ocpp(self, at: float, station: str, sender: str, text: str) -> None:
        """Add an OCPP message with its id numbered."""
        found = _ID.match(text) if self.keep else None
        if found:
            number = self._ids.setdefault((station, found[2]), f"#{len(self._ids) + 1}")
            text = f'[{found[1]},"{number}"{text[found.end() :]}'
            if found[1] != "2":
                self._ids.pop((station, found[2]), None)
        self.add(at, f"ocpp:{station}", sender, text)

    def loop(self, at: float, evse: str, key: object, text: Callable[[], str]) -> bool:
        """Count a charge loop; add it and return True if `key` differs from that of the loop before."""
        self.counts["iso15118"] = self.counts.get("iso15118", 0) + 2
        if self._loops.get(evse) == key:
            return False
        self._loops[evse] = key
        if self.keep:
            self.lines.append(Line(round(at, 3), f"iso15118:{evse}", "loop", text()))
        return True

    def digest(self) -> str:
        """Return the SHA-256 digest of all lines."""
        return hashlib.sha256("".join(f"{line}\n" for line in self.lines).encode()).hexdigest()

    def differences(self, other: Transcript) -> Iterator[tuple[Line | None, Line | None]]:
        """Return the pairs of lines that differ."""
        return ((one, other_one) for one, other_one in zip_longest(self.lines, other.lines) if one != other_one)

    def write(self, path: Path) -> None:
        """Write the transcript as JSON lines."""
        with private_file.replacing(path) as out:
            for line in self.lines:
                row = {"at": line.at, "channel": line.channel, "sender": line.sender, "text": line.text}
                out.write(json.dumps(row, ensure_ascii=False) + "\n")
