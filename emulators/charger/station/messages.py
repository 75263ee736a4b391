"""Interface to the messages of one OCPP version that an emulated station sends."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from emulators.charger.station.csms_link.message_queue import Message
from emulators.charger.station.evse import EvseState
from emulators.charger.station.transaction import Transaction
from protocols.ocpp.schema import Payload

Handler = Callable[[Payload], Payload | Awaitable[Payload]]


class Messages(Protocol):
    """Builders and senders of one version's messages."""

    begins_at_authorization: bool  # False in 1.6: a transaction also needs a connected vehicle

    def boot(self, reason: str) -> Payload:
        """Return the payload of BootNotification."""

    def status(self, evse: EvseState) -> Payload:
        """Return the payload of StatusNotification."""

    def station_status(self) -> Payload | None:
        """Return the payload of StatusNotification of the whole station; None where the version has none."""

    async def authorize(self, evse: EvseState, token: str, token_type: str) -> bool:
        """Send Authorize; return True if the token is accepted."""

    def started(self, evse: EvseState, transaction: Transaction) -> None:
        """Queue the start of a transaction."""

    def updated(self, evse: EvseState, transaction: Transaction, trigger: str) -> None:
        """Queue a change of a transaction, with meter values where the trigger requires them."""

    def ended(self, evse: EvseState, transaction: Transaction, trigger: str) -> None:
        """Queue the end of a transaction."""

    def completed(self, message: Message) -> Payload:
        """Return the payload of a queued message as it is sent now."""

    def answered(self, message: Message, response: Payload) -> None:
        """Apply the response to a queued message."""

    async def needs(self, evse: EvseState) -> None:
        """Send the charging needs of the vehicle and apply the response."""

    async def clock_aligned(self) -> None:
        """Send the meter values of one clock-aligned interval."""

    def collect_for_end(self, transaction: Transaction, aligned: bool) -> None:
        """Collect meter values for the last message of a transaction."""

    def reservation_ended(self, number: int, status: str) -> None:
        """Notify that a reservation is Expired or Removed."""


@dataclass(frozen=True, slots=True)
class OcppVersion:
    """One OCPP version at a station: its messages and its request handlers by action."""

    messages: Messages
    handlers: Mapping[str, Handler]
    allowed_while_pending: frozenset[str]  # requests that are handled before the station is accepted (B02)
