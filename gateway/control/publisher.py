"""Stream of results, events and changes: what happens is journalled and passed on to MQTT, page, metrics and log.

Who publishes does not wait for the subscribers, and their work is no part of his: the stream is delivered in order as
soon as the running task waits. A set-point is sent to its station before the result of the command is published.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from typing import Any, Protocol

from gateway.model.command import client_and_id
from gateway.model.journal import Entry, Phase, ReplyTo, Step
from gateway.model.reason import Reason
from gateway.model.result import Result
from gateway.model.state import EventMessage, Happened
from gateway.store.journal import Journal
from protocols.ports import Clock

log = logging.getLogger("v2x")

MAX_TEXT = 1000


class Subscriber(Protocol):
    """Receiver of results, events and changes, such as MQTT. Its methods are short and do not raise."""

    def result(self, result: Result, reply: ReplyTo | None, phase: Phase | None) -> None:
        """Receive a result; with `phase` None it is not stored, so nothing is to be acknowledged."""

    def event(self, event: EventMessage) -> None:
        """Receive an event."""

    def changed(self, evse: str | None) -> None:
        """Receive that the state of an EVSE (and with it the site's sums), or of the site (None), has changed."""

    def measured(self, evse: str | None) -> None:
        """Receive that only measured values of the state have changed."""


class EventPublisher:
    """Publishes results, events and changes. Nothing here waits, and nothing is delivered before the caller waits."""

    def __init__(self, gateway_id: str, journal: Journal, clock: Clock) -> None:
        self.gateway_id = gateway_id
        self._journal = journal
        self._clock = clock
        self._subscribers: list[Subscriber] = []
        self._stream: deque[Callable[[Subscriber], None]] = deque()  # deliveries to each subscriber
        self.inputs_changed = asyncio.Event()  # what the energy service decides from has changed

    def subscribe(self, subscriber: Subscriber) -> None:
        """Pass results, events and changes on from now on."""
        self._subscribers.append(subscriber)

    def deliver(self) -> None:
        """Deliver what has been published so far; an error of a subscriber costs the others nothing."""
        while self._stream:
            delivery = self._stream.popleft()
            for subscriber in self._subscribers:
                try:
                    delivery(subscriber)
                except Exception:
                    log.exception("a message was not passed to %s", type(subscriber).__name__)

    def _pass_on(self, delivery: Callable[[Subscriber], None]) -> None:
        if not self._subscribers:
            return
        if not self._stream:
            asyncio.get_running_loop().call_soon(self.deliver)
        self._stream.append(delivery)

    # state ----------------------------------------------------------------------------------------------------------

    def changed(self, evse: str | None) -> None:
        """Notify that the state of an EVSE, or of the site (None), has changed."""
        self.inputs_changed.set()
        self.decision_changed(evse)

    def decision_changed(self, evse: str | None) -> None:
        """Notify of a change that the gateway itself has decided: the energy service need not decide again."""
        self._pass_on(lambda subscriber: subscriber.changed(evse))

    def measured(self, evse: str | None) -> None:
        """Notify of new measured values, and nothing in a state that is acted on at once."""
        self._pass_on(lambda subscriber: subscriber.measured(evse))

    # results and events ---------------------------------------------------------------------------------------------

    def result(self, result: Result, reply: ReplyTo | None, phase: Phase | None) -> None:
        """Publish a result."""
        self._pass_on(lambda subscriber: subscriber.result(result, reply, phase))

    def happened(
        self,
        event: Happened,
        evse: str | None,
        reason: Reason | None = None,
        text: str = "",
        command: str | None = None,
        session: str | None = None,
        **journalled: object,
    ) -> None:
        """Publish and journal an event; `command` is its key, `journalled` stands in the journal only."""
        text = text[:MAX_TEXT]
        data: dict[str, object] = {"text": text} if text else {}
        if reason is not None:
            data["reason"] = reason.model_dump(mode="json")
        if session is not None:
            data["session"] = session
        members = {"reason": reason, "text": text, "session": session}
        self._publish(event, evse, data | journalled, command, **members)

    def decided(self, code: str, text: str, evse: str | None, subject: str, figures: dict[str, float]) -> None:
        """Publish and journal what energy management has decided."""
        text = text[:MAX_TEXT]
        data = {"text": text, "code": code, "subject": subject, **figures}
        members = {"text": text, "code": code, "subject": subject or None, "figures": figures or None}
        self._publish(Happened.DECIDED, evse, data, None, **members)

    def _publish(
        self, event: Happened, evse: str | None, data: dict[str, object], key: str | None, **members: Any
    ) -> None:
        if key is not None:
            members["client"], members["command"] = client_and_id(key)
        message = EventMessage(event=event, evse=evse, gateway=self.gateway_id, ts=self._clock.wall(), **members)
        self._journal.later(Entry(message.ts, Step.EVENT, event.value, key, evse, data))
        self._pass_on(lambda subscriber: subscriber.event(message))

    def note(self, step: Step, cause: str, command: str | None, evse: str | None, **data: object) -> None:
        """Journal a step of a command without an event."""
        self._journal.later(Entry(self._clock.wall(), step, cause, command, evse, data))
