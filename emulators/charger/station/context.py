"""Interfaces through which the components of one station reach its shared services.

`Station` implements `StationContext`. A component takes the narrowest of these interfaces that serves it, and other
components as constructor arguments.
"""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any, Protocol, TypeAlias

from emulators.charger.station.config import StationConfig
from emulators.charger.station.csms_link.message_queue import Message
from emulators.charger.station.device_model.model import DeviceModel
from emulators.charger.station.device_model.settings import Settings
from emulators.charger.station.evse import EvseState
from emulators.charger.station.messages import Messages
from protocols.ocpp.link import Reply
from protocols.ocpp.schema import Payload
from protocols.ocpp.vendor import Quirks, VendorProfile
from protocols.ports import Clock

Work: TypeAlias = Coroutine[Any, Any, None]  # a coroutine without a result


class TimeSource(Protocol):
    """The emulation clock and the station's own wall clock, which the CSMS sets."""

    clock: Clock

    def wall(self) -> float:
        """Return the station's wall clock, Unix time."""

    def timestamp(self) -> str:
        """Return the station's wall clock as an OCPP dateTime."""


class CsmsPort(Protocol):
    """Messages to the CSMS."""

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


class ReportingContext(TimeSource, CsmsPort, Protocol):
    """Time, and messages to the CSMS."""


class EvseContext(TimeSource, Protocol):
    """Time, EVSEs and persistence."""

    evses: dict[int, EvseState]

    def save(self, name: str) -> None:
        """Store one part of the persistent state, if the station has a store."""


class StationContext(ReportingContext, EvseContext, Protocol):
    """Shared state and services of one station."""

    config: StationConfig
    vendor: VendorProfile
    quirks: Quirks
    device_model: DeviceModel
    settings: Settings

    @property
    def messages(self) -> Messages:
        """Messages of the station's OCPP version."""

    def later(self, work: Work) -> None:
        """Run a coroutine after the response at hand."""

    def wake(self) -> None:
        """Request a smart charging step at once."""

    def set_status(self, evse: EvseState, status: str) -> None:
        """Set the status of a connector and send it if it changed."""

    def end_transaction(self, evse: EvseState, trigger: str, reason: str) -> None:
        """End the transaction of an EVSE."""

    def security_event(self, kind: str, info: str = "") -> None:
        """Record a security event and notify the CSMS (A04)."""
