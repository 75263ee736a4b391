"""Interface through which the components of one station reach its shared services; `Station` implements it."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Protocol, TypeAlias

from emulators.charger.station.config import StationConfig
from emulators.charger.station.csms_link.message_queue import Message
from emulators.charger.station.device_model.model import DeviceModel
from emulators.charger.station.device_model.settings import Settings
from emulators.charger.station.evse import EvseState
from emulators.charger.station.messages import Messages, OcppVersion
from protocols.ocpp.events import Reply
from protocols.ocpp.schema import Payload
from protocols.ocpp.vendor import Quirks, VendorProfile
from protocols.ports import Clock

Work: TypeAlias = Coroutine[object, None, object]  # a coroutine whose result is not used


class StationContext(Protocol):
    """Shared state and services of one station."""

    config: StationConfig
    vendor: VendorProfile
    quirks: Quirks
    device_model: DeviceModel
    settings: Settings
    ocpp: OcppVersion
    clock: Clock
    evses: dict[int, EvseState]

    def wall(self) -> float:
        """Return the station's wall clock, Unix time."""

    def timestamp(self) -> str:
        """Return the station's wall clock as an OCPP dateTime."""

    @property
    def online(self) -> bool:
        """True while the station is connected and accepted."""

    @property
    def offline_since(self) -> float | None:
        """Unix time at which the connection was lost; None while online."""

    async def call(self, action: str, payload: Payload) -> Reply:
        """Send a CALL and return its reply; `Lost` while disconnected."""

    async def send(self, action: str, payload: Payload) -> None:
        """Send a message that has no response (2.1 SEND). Raises ConnectionError while disconnected."""

    def notify(self, action: str, payload: Payload) -> None:
        """Queue a notification that must be delivered, if necessary after a reconnection."""

    def enqueue(self, message: Message) -> None:
        """Queue a message behind those of its kind."""

    def save(self, name: str) -> None:
        """Store one part of the persistent state, if the station has a store."""

    def evse_of(self, transaction: str) -> EvseState | None:
        """Return the EVSE of a running transaction."""

    @property
    def messages(self) -> Messages:
        """Messages of the station's OCPP version."""

    def started_up(self) -> None:
        """Send the notifications that follow an accepted BootNotification."""

    def back_online(self) -> None:
        """Resume what waits for the connection."""

    def later(self, work: Work) -> None:
        """Run a coroutine after the response at hand."""

    def wake(self) -> None:
        """Request a smart charging step at once."""

    def set_status(self, evse: EvseState, status: str) -> None:
        """Set the status of a connector and send it if it changed."""

    def station_status_changed(self) -> None:
        """Send the status of the station as a whole, where the version has one (1.6: connector 0)."""

    def end_transaction(self, evse: EvseState, trigger: str, reason: str) -> None:
        """End the transaction of an EVSE."""

    async def reboot(self, reason: str, stopped: str) -> None:
        """End all transactions and boot again: `reason` for BootNotification, `stopped` for transactions."""

    def security_event(self, kind: str, info: str = "") -> None:
        """Record a security event and notify the CSMS (A04)."""
