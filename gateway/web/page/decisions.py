"""Latest decisions of energy management and vehicle lending, and which of them need an action of a person.

They are received as events, so that they are shown whatever the journal does; those before the start are read from it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

from gateway.model.journal import Entry, Phase, ReplyTo, Step
from gateway.model.result import Result
from gateway.model.state import EventMessage, Happened

MOST = 50
READ = 1000  # entries of the journal at the start
OUTAGE_OVER = frozenset({"main_switch_closed", "on_grid"})
INSTRUCTIONS = {  # codes with an instruction, and those that end it; docs/resilience.md explains them
    "main_switch_not_proven": OUTAGE_OVER | {"main_switch_open", "island_formed"},
    "main_switch_not_closed": OUTAGE_OVER | {"returning"},
    "switch_proof_contradicted": frozenset({"switch_proof_believed"}),
    "no_source": OUTAGE_OVER | {"black_start", "island_formed", "source_back"},
    "forming_not_taken": OUTAGE_OVER | {"forming_ordered", "island_formed"},
    "island_overloaded": OUTAGE_OVER | {"tier_restored", "island_ended"},
    "island_cannot_hold": OUTAGE_OVER | {"island_formed", "source_back"},
    "supply_gap": OUTAGE_OVER | {"site_restored"},
    "recharge_late": frozenset({"recharged", "recharge_over"}),
}
UNTIL_SUPPLIED = frozenset({"main_switch_not_proven", "no_source", "forming_not_taken"})  # not in a running island


@dataclass(frozen=True, slots=True)
class Decision:
    """One decision. `wall` is Unix time; `subject`: EVSE, storage, tier or vehicle, None for the site."""

    wall: float
    code: str
    subject: str | None


class Decisions:
    """The latest decisions, newest first in `recent`; `pending`: those whose instruction has not ended."""

    def __init__(self) -> None:
        self.recent: deque[Decision] = deque(maxlen=MOST)
        self.pending: dict[tuple[str, str | None], Decision] = {}

    def to_do(self, in_island: bool) -> list[Decision]:
        """Return the decisions whose instruction applies now, oldest first."""
        return [one for one in self.pending.values() if not (in_island and one.code in UNTIL_SUPPLIED)]

    def restore(self, entries: Iterable[Entry]) -> None:
        """Apply the decisions in the journal, oldest first."""
        for one in entries:
            code = one.data.get("code")
            if one.step is Step.EVENT and one.cause == Happened.DECIDED.value and isinstance(code, str):
                subject = one.data.get("subject") or one.evse
                self._add(Decision(one.wall, code, str(subject) if subject else None))

    def event(self, event: EventMessage) -> None:
        """Implement `Subscriber`."""
        if event.event is Happened.DECIDED and event.code is not None:
            self._add(Decision(event.ts, event.code, event.subject or event.evse))

    def result(self, result: Result, reply: ReplyTo | None, phase: Phase | None) -> None:
        """Implement `Subscriber`."""

    def changed(self, evse: str | None) -> None:
        """Implement `Subscriber`."""

    def measured(self, evse: str | None) -> None:
        """Implement `Subscriber`."""

    def _add(self, decision: Decision) -> None:
        self.recent.appendleft(decision)
        for key in [key for key in self.pending if decision.code in INSTRUCTIONS[key[0]]]:
            del self.pending[key]
        if decision.code in INSTRUCTIONS:
            self.pending[decision.code, decision.subject] = decision
            while len(self.pending) > MOST:
                del self.pending[next(iter(self.pending))]
