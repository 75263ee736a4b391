"""One log line for each event of the domain, from the same messages that MQTT and the journal get.

Text for people; with `log.format = "json"` the message's members stand beside the text.
"""

from __future__ import annotations

import logging

from gateway.model.journal import Phase, ReplyTo
from gateway.model.message import Message
from gateway.model.result import Result, Status
from gateway.model.state import EventMessage, Happened
from gateway.observability.log import MEMBERS

log = logging.getLogger("v2x.event")

SITE = "site"
ATTENTION = frozenset(
    {
        Happened.FAULT,
        Happened.SECURITY,
        Happened.EMERGENCY_STOP,
        Happened.GRID_LOST,
        Happened.INPUT_STALE,
        Happened.INPUT_REFUSED,
        Happened.UNDELIVERABLE,
        Happened.OVERLOADED,
        Happened.STATION_REJECTED,
        Happened.BROKER_LOST,
    }
)  # logged as warnings
WORDS = {
    Happened.STATION_CONNECTED: "station connected",
    Happened.STATION_LOST: "station lost",
    Happened.STATION_REJECTED: "station rejected",
    Happened.REBOOT_REQUIRED: "reboot required",
    Happened.PLUGGED: "vehicle connected",
    Happened.UNPLUGGED: "vehicle disconnected",
    Happened.SESSION_STARTED: "session started",
    Happened.NEGOTIATED: "vehicle negotiated",
    Happened.SESSION_ENDED: "session ended",
    Happened.MODE_CHANGED: "operation mode",
    Happened.FLOOR_REACHED: "SoC floor reached",
    Happened.LEASE_ENDED: "command ended",
    Happened.CLAMP_CHANGED: "limit of the command changed",
    Happened.INPUT_STALE: "input stale",
    Happened.INPUT_FRESH: "input received",
    Happened.INPUT_REFUSED: "input refused",
    Happened.JOURNAL: "journal",
    Happened.BROKER_CONNECTED: "connected to the broker",
    Happened.BROKER_LOST: "broker lost",
}


class EventLog:
    """Subscriber that logs results and events."""

    def result(self, result: Result, reply: ReplyTo | None, phase: Phase | None) -> None:
        """Log a first or final result: what was requested by whom, its status, and the limiting constraint."""
        status = result.status
        level = logging.WARNING if status is Status.FAILED else logging.INFO
        if log.isEnabledFor(level):
            _write(level, f"{result.evse or SITE}: {_command(result)}: {_outcome(result)}", result)

    def event(self, event: EventMessage) -> None:
        """Log an event. A refused command is logged with its result."""
        if event.event is Happened.REFUSED:
            return
        level = logging.WARNING if event.event in ATTENTION else logging.INFO
        if not log.isEnabledFor(level):
            return
        words = event.code if event.event is Happened.DECIDED else WORDS.get(event.event, event.event.replace("_", " "))
        session = event.session if event.event in (Happened.SESSION_STARTED, Happened.SESSION_ENDED) else None
        reason = event.reason.text if event.reason is not None else ""
        details = ", ".join(text for text in (session, event.text, reason) if text)
        _write(level, f"{event.evse or SITE}: {words}" + (f": {details}" if details else ""), event)

    def changed(self, evse: str | None) -> None:
        """Ignore: a change of state has its event."""

    def measured(self, evse: str | None) -> None:
        """Ignore: measured values are telemetry."""


def _command(result: Result) -> str:
    power = f" {result.requested_w:.0f} W" if result.requested_w is not None else ""
    source = f" from {result.source}" if result.source else ""
    return f"{result.verb}{power}{source} (id {result.id})"


def _outcome(result: Result) -> str:
    limited = ""
    if result.status in (Status.ACCEPTED, Status.CLAMPED) and result.effective_w is not None:
        limited = f" {result.effective_w:.0f} W"
        if result.binding is not None:
            limited += f" (limit: {result.binding.value})"
    elif result.measured is not None and result.measured.power_w is not None:
        limited = f", measured {result.measured.power_w:.0f} W"
    return f"{result.status.value}{limited} [{result.reason.code.value}] {result.reason.text}".rstrip()


def _write(level: int, text: str, message: Message) -> None:
    log.log(level, "%s", text, extra={MEMBERS: message.model_dump(mode="json", exclude_none=True)})
