"""Event of a decision of the energy controller, with its reason.

`code` is stable and for programs; `text` is a sentence for a person. The codes are listed in `docs/energy.md` and
`docs/resilience.md`.
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Decided:
    """One decision. `at` is monotonic time, s; `subject`: an EVSE, storage, tier, vehicle or the site ("")."""

    at: float
    code: str
    text: str
    subject: str = ""
    figures: tuple[tuple[str, float], ...] = field(default=())
