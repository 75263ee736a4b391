"""Interface of MQTT, the live stream of the API and metrics to the service's results, events and state changes."""

from __future__ import annotations

from typing import Protocol

from gateway.model.journal import Phase, ReplyTo
from gateway.model.result import Result
from gateway.model.state import EventMessage


class Subscriber(Protocol):
    """Receiver of results, events and changes. Called on the event loop; calls are short and never raise."""

    def result(self, result: Result, reply: ReplyTo | None, phase: Phase | None) -> None:
        """Receive a result; with `phase` None it is not stored, so nothing is to be acknowledged."""

    def event(self, event: EventMessage) -> None:
        """Receive an event."""

    def changed(self, evse: str | None) -> None:
        """Receive that the state of an EVSE (and with it the site's sums), or of the site (None), has changed."""

    def measured(self, evse: str | None) -> None:
        """Receive that only measured values of the state have changed."""
