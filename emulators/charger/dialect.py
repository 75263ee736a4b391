"""What the emulated station needs of one OCPP version: its words for what happened, and who answers the CSMS."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Protocol

from emulators.charger.evse import EvseState
from emulators.charger.transaction import Transaction
from protocols.ocpp.schema import Payload


class Dialect(Protocol):
    """One version's words. Answers go back at once; what follows from a message is the station's."""

    def handlers(self) -> dict[str, Callable[[Payload], Payload | Awaitable[Payload]]]:
        """What the CSMS may ask."""

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

    async def needs(self, evse: EvseState) -> None:
        """Tell what the vehicle needs, and obey the answer."""
