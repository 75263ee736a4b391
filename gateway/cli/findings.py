"""Findings of `v2x doctor`."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """Result of a check."""

    OK = "ok"
    NOTE = "note"  # works, and deserves attention
    FAILED = "FAILED"


@dataclass(frozen=True, slots=True)
class Finding:
    """Result of one check; `remedy` is empty where nothing needs to be done."""

    check: str
    verdict: Verdict
    text: str
    remedy: str = ""

    def line(self) -> str:
        """Return the line for people."""
        return f"{self.verdict:<7}{self.check:<14}{self.text}" + (f" -> {self.remedy}" if self.remedy else "")
