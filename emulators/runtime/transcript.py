"""What was said in a world, in order, with everything that differs between two runs of the same seed taken out.

Message ids and session ids are drawn by engines from the machine's randomness; here they become numbers in their order
of appearance. Charge loops are kept where something changed. Two runs are equal if their lines are.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

_ID = re.compile(r'^\[(\d),"([^"]{1,36})"')


@dataclass(frozen=True, slots=True)
class Line:
    """One thing said: when (s of the world), on which channel, by whom, what."""

    at: float
    channel: str
    sender: str
    text: str

    def __str__(self) -> str:
        return f"{self.at:12.3f} {self.channel:<18} {self.sender:<10} {self.text}"


@dataclass(slots=True)
class Transcript:
    """All lines of a world."""

    lines: list[Line] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)  # messages by channel's first word, loops included
    keep: bool = True  # False counts only
    _ids: dict[tuple[str, str], str] = field(default_factory=dict)
    _loops: dict[str, object] = field(default_factory=dict)

    def add(self, at: float, channel: str, sender: str, text: str) -> None:
        """Something was said."""
        kind = channel.partition(":")[0]
        self.counts[kind] = self.counts.get(kind, 0) + 1
        if self.keep:
            self.lines.append(Line(round(at, 3), channel, sender, text))

    def ocpp(self, at: float, station: str, sender: str, text: str) -> None:
        """One OCPP message; its id becomes a number."""
        found = _ID.match(text)
        if found:
            number = self._ids.setdefault((station, found[2]), f"#{len(self._ids) + 1}")
            text = f'[{found[1]},"{number}"{text[found.end() :]}'
            if found[1] != "2":
                self._ids.pop((station, found[2]), None)
        self.add(at, f"ocpp:{station}", sender, text)

    def loop(self, at: float, evse: str, key: object, text: str) -> bool:
        """One turn of a charge loop; it is kept if `key` is not that of the turn before."""
        self.counts["iso15118"] = self.counts.get("iso15118", 0) + 2
        if self._loops.get(evse) == key:
            return False
        self._loops[evse] = key
        if self.keep:
            self.lines.append(Line(round(at, 3), f"iso15118:{evse}", "loop", text))
        return True

    def digest(self) -> str:
        """One word for all of it."""
        whole = hashlib.sha256()
        for line in self.lines:
            whole.update(str(line).encode() + b"\n")
        return whole.hexdigest()

    def differences(self, other: Transcript) -> Iterator[tuple[Line | None, Line | None]]:
        """Where two transcripts part, line by line."""
        for n in range(max(len(self.lines), len(other.lines))):
            mine = self.lines[n] if n < len(self.lines) else None
            theirs = other.lines[n] if n < len(other.lines) else None
            if mine != theirs:
                yield mine, theirs

    def write(self, path: Path) -> None:
        """As JSON lines."""
        with path.open("w", encoding="utf-8") as out:
            for line in self.lines:
                row = {"at": line.at, "channel": line.channel, "sender": line.sender, "text": line.text}
                out.write(json.dumps(row, ensure_ascii=False) + "\n")
