"""What the site decided, and why: the one event of every room in here.

A decision that nobody can explain afterwards is no use in a shelter, so each step of the energy room is one of these.
`code` is stable and for programs; `text` is a sentence for a person. The codes are listed in `docs/energy.md` and
`docs/resilience.md`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Decided:
    """One decision. `at` is monotonic engine time, s; `subject`: an EVSE, storage, tier, car or the site ("")."""

    at: float
    code: str
    text: str
    subject: str = ""
    figures: tuple[tuple[str, float], ...] = field(default=())

    def as_json(self) -> dict[str, Any]:
        """As `site/event` carries it: code, reason, subject where there is one, and the figures by name."""
        out: dict[str, Any] = {"code": self.code, "reason": self.text}
        if self.subject:
            out["subject"] = self.subject
        return out | dict(self.figures)
