"""What the emulated station needs of one OCPP version: its words for what happened, and who answers the CSMS."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Protocol

from emulators.charger.station.evse import EvseState
from emulators.charger.station.transaction import Message, Transaction
from protocols.ocpp.schema import Payload


class Dialect(Protocol):
    """One version's words. Answers go back at once; what follows from a message is the station's."""

    begins_at_authorization: bool  # or only when a vehicle is connected, too (1.6)

    def handlers(self) -> dict[str, Callable[[Payload], Payload | Awaitable[Payload]]]:
        """What the CSMS may ask."""

    def while_pending(self) -> frozenset[str]:
        """What it may ask before it has accepted the station; the rest is refused (B02)."""

    def boot(self, reason: str) -> Payload:
        """BootNotification."""

    def status(self, evse: EvseState) -> Payload:
        """StatusNotification."""

    async def authorize(self, evse: EvseState, token: str, sort: str) -> bool:
        """Ask whether a token may charge."""

    def started(self, evse: EvseState, transaction: Transaction) -> None:
        """Tell that a transaction began."""

    def updated(self, evse: EvseState, transaction: Transaction, trigger: str) -> None:
        """Tell that something changed, with readings where the trigger asks for them."""

    def ended(self, evse: EvseState, transaction: Transaction, trigger: str) -> None:
        """Tell that it ended."""

    def finish(self, message: Message) -> Payload:
        """The payload as it goes out now."""

    def answered(self, message: Message, answer: Payload) -> None:
        """What follows from the answer to a queued message."""

    async def needs(self, evse: EvseState) -> None:
        """Tell what the vehicle needs, and obey the answer."""

    async def aligned(self) -> None:
        """A moment of the clock that the CSMS wants meter values for."""

    def keep_for_end(self, transaction: Transaction, aligned: bool) -> None:
        """A moment whose meter values go with the end of a transaction."""

    def reservation_ended(self, number: int, status: str) -> None:
        """Tell that a reservation has Expired or was Removed."""
