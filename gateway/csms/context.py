"""State that all stations of a CSMS share: settings, clock, tokens, transactions, reservations, and recent messages."""

from __future__ import annotations

import logging
from collections import deque
from dataclasses import dataclass, field

from gateway.csms.message_log import MessageLog
from gateway.csms.persistence import CsmsPersistence
from gateway.csms.registration import BootTurns
from gateway.csms.reservations import Reservations
from gateway.csms.security_events import SecurityEvents
from gateway.csms.settings import CsmsSettings, UnknownStations
from gateway.csms.tokens import Tokens
from gateway.csms.transactions import Transactions
from gateway.model.event import Report
from protocols.ocpp.events import ErrorReceived, Event, ResultReceived, Violated
from protocols.ports import Clock

log = logging.getLogger("v2x.csms")

MAX_VIOLATIONS = 1_000
MAX_ACTION, MAX_TEXT = 50, 500  # characters of a recorded violation


@dataclass(frozen=True, slots=True)
class RecordedViolation:
    """A message that broke a rule of OCPP, in either direction (`ours`: outgoing). `t` is Unix time."""

    t: float
    station: str
    ours: bool
    action: str | None
    code: str
    text: str

    @classmethod
    def of(cls, station: str, event: Violated, at: float) -> RecordedViolation:
        """Return the record of a violation; action and text, which may be of the station, are shortened."""
        action = None if event.action is None else event.action[:MAX_ACTION]
        return cls(at, station, event.ours, action, event.code, event.text[:MAX_TEXT])


@dataclass(slots=True)
class Context:
    """One per CSMS."""

    settings: CsmsSettings
    report: Report
    clock: Clock
    tokens: Tokens
    persistence: CsmsPersistence
    reservations: Reservations
    unknown_stations: UnknownStations
    log: MessageLog
    security: SecurityEvents
    transactions: Transactions = field(default_factory=Transactions)
    violations: deque[RecordedViolation] = field(default_factory=lambda: deque(maxlen=MAX_VIOLATIONS))
    boots: BootTurns = field(default_factory=BootTurns)
    messages: int = 0  # calls of stations since the start
    listed: frozenset[str] = frozenset()  # stations of the settings

    @classmethod
    def of(cls, settings: CsmsSettings, report: Report, clock: Clock, persistence: CsmsPersistence) -> Context:
        """Return the context of a CSMS without tokens, reservations and transactions."""
        tokens = Tokens(settings.unknown_tokens)
        reservations = Reservations(lambda changed: persistence.later(persistence.reservation(changed)))
        policy, messages = settings.unknown_stations, MessageLog(clock.wall)
        security = SecurityEvents(report, clock)
        listed = frozenset(station.id for station in settings.stations)
        return cls(
            settings, report, clock, tokens, persistence, reservations, policy, messages, security, listed=listed
        )

    def observe(self, station: str, event: Event) -> None:
        """Record a response of a station, or a violation of OCPP in either direction."""
        if isinstance(event, ResultReceived | ErrorReceived):
            self.log.responded(station, event)
        elif isinstance(event, Violated):
            violation = RecordedViolation.of(station, event, self.clock.wall())
            self.violations.append(violation)
            log.warning("%s: %s", station, violation)
