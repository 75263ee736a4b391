"""Decision about a command: what it gets by the control hierarchy. A value."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.model.reason import Code, Reason, because
from gateway.model.result import Layer, Share, Status


@dataclass(frozen=True, slots=True)
class CommandDecision:
    """Decision on a command. `acts`: granted, and in force after its answer. `powers`: for a command to the site."""

    status: Status
    reason: Reason
    requested_w: float | None = None
    effective_w: float | None = None
    binding: Layer | None = None
    acts: bool = False
    shares: tuple[Share, ...] | None = None
    powers: tuple[tuple[str, float], ...] = ()

    @classmethod
    def refusal(cls, reason: Reason, binding: Layer | None = None, requested_w: float | None = None) -> CommandDecision:
        """Return the decision that a command gets nothing."""
        return cls(Status.REFUSED, reason, requested_w, None, binding)


GRANTED = because(Code.GRANTED, "Granted as requested.")
