"""What a command gets: the outcome of binding it by the order of authority. A value."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.model.reason import Code, Reason, because
from gateway.model.result import Share, Status


@dataclass(frozen=True, slots=True)
class CommandDecision:
    """What a command gets. `acts` is whether it goes on acting after its answer."""

    status: Status
    reason: Reason
    requested_w: float | None = None
    effective_w: float | None = None
    binding: str | None = None
    acts: bool = False
    shares: tuple[Share, ...] | None = None
    powers: tuple[tuple[str, float], ...] = ()  # for the site: what each EVSE is asked

    @classmethod
    def refusal(cls, reason: Reason, binding: str | None = None, requested_w: float | None = None) -> CommandDecision:
        """Nothing."""
        return cls(Status.REFUSED, reason, requested_w, None, binding)


GRANTED = because(Code.GRANTED, "Granted as asked.")
