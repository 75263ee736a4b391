"""What all stations share: settings, tokens, transactions, time, where events go; and what was seen on the wires."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

import msgspec

from gateway.csms.persistence import CsmsPersistence
from gateway.csms.reservations import Reservations
from gateway.csms.settings import CsmsSettings, UnknownStations
from gateway.csms.tokens import Token, Tokens
from gateway.csms.transactions import Transactions
from gateway.model.event import Report
from protocols.ocpp.schema import Payload
from protocols.ports import Clock

MESSAGES_KEPT = 10_000
VIOLATIONS_KEPT = 1_000


@dataclass(frozen=True, slots=True)
class Heard:
    """A call that a station sent, as it was received. `t` is Unix time.

    Kept as text: ten thousand decoded payloads would be a million objects for the garbage collector to walk.
    """

    t: float
    station: str
    action: str
    text: str

    @property
    def payload(self) -> Payload:
        """What the call carried."""
        read: Payload = msgspec.json.decode(self.text)[3]
        return read


@dataclass(frozen=True, slots=True)
class Breach:
    """A message that broke a rule of OCPP, either way. `t` is Unix time."""

    t: float
    station: str
    ours: bool
    action: str | None
    code: str
    text: str


@dataclass(slots=True)
class Context:
    """One per CSMS."""

    settings: CsmsSettings
    report: Report
    clock: Clock
    tokens: Tokens
    ledger: CsmsPersistence
    reservations: Reservations
    unknown_stations: UnknownStations
    transactions: Transactions = field(default_factory=Transactions)
    heard: deque[Heard] = field(default_factory=lambda: deque(maxlen=MESSAGES_KEPT))
    breaches: deque[Breach] = field(default_factory=lambda: deque(maxlen=VIOLATIONS_KEPT))
    messages: int = 0  # calls of stations, since the start

    @classmethod
    def of(cls, settings: CsmsSettings, report: Report, clock: Clock, ledger: CsmsPersistence) -> Context:
        """A context with the tokens of the settings."""
        tokens = Tokens(settings.unknown_tokens)
        for name, status in settings.tokens:
            tokens.put(Token(name, status))
        reservations = Reservations(lambda changed: ledger.later(ledger.reservation(changed)))
        return cls(settings, report, clock, tokens, ledger, reservations, settings.unknown_stations)
