"""Who hears what the core decides: MQTT, the live stream of the API, metrics. All calls are short and never raise."""

from __future__ import annotations

from typing import Protocol

from gateway.model.journal import Phase, ReplyTo
from gateway.model.result import Result
from gateway.model.state import EventMessage


class Subscriber(Protocol):
    """One who hears. Called on the event loop; take what is said and return."""

    def result(self, result: Result, reply: ReplyTo | None, phase: Phase | None) -> None:
        """An answer to a command; `phase` None is one that the store does not know (nothing to acknowledge)."""

    def event(self, event: EventMessage) -> None:
        """Something happened."""

    def changed(self, evse: str | None) -> None:
        """The state of an EVSE (and the sums of the site with it), or of the site (None), is not what it was."""

    def stirred(self, evse: str | None) -> None:
        """What is measured there has moved on; nothing in the state that anybody acts on at once."""
