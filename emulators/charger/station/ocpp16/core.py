"""Requests of a 1.6 CSMS about availability, resets, connector locks and vendor data."""

from __future__ import annotations

from emulators.charger.station.availability import Availability
from emulators.charger.station.context import StationContext
from emulators.charger.station.evse import EvseState
from emulators.charger.station.maintenance.maintenance import Reboot
from emulators.charger.station.messages import Handler
from emulators.charger.station.ocpp_enums import StopReason, TriggerReason
from emulators.charger.station.smart_charging.vendor_power import VendorPower
from protocols.ocpp.schema import Payload


class CoreRequests:
    """Handlers of requests about the station and its connectors as a whole."""

    def __init__(
        self, context: StationContext, availability: Availability, reboot: Reboot, vendor_power: VendorPower
    ) -> None:
        self._context, self._availability = context, availability
        self._reboot, self._vendor_power = reboot, vendor_power

    def handlers(self) -> dict[str, Handler]:
        """Return the handlers by action."""
        return {
            "ChangeAvailability": self.change_availability,
            "DataTransfer": self.data_transfer,
            "Reset": self.reset,
            "UnlockConnector": self.unlock_connector,
        }

    def change_availability(self, request: Payload) -> Payload:
        """ChangeAvailability (5.2)."""
        number = request["connectorId"]
        evses = [e for e in self._context.evses.values() if number in (0, e.number)]
        if not evses:
            return {"status": "Rejected"}
        return {"status": self._availability.change(evses, request["type"] == "Operative")}

    def reset(self, request: Payload) -> Payload:
        """Reset (5.14): both types end transactions in order."""
        reason = StopReason.immediate_reset if request["type"] == "Hard" else StopReason.reboot
        self._context.later(self._reboot("RemoteReset", reason))
        return {"status": "Accepted"}

    def unlock_connector(self, request: Payload) -> Payload:
        """UnlockConnector (5.18): a running transaction ends first."""
        evse = self._context.evses.get(request["connectorId"])
        if evse is None:
            return {"status": "NotSupported"}
        if evse.transaction is not None:
            self._context.later(self._unlock(evse))
        return {"status": "Unlocked"}

    async def _unlock(self, evse: EvseState) -> None:
        self._context.end_transaction(evse, TriggerReason.unlock_command, StopReason.local)

    def data_transfer(self, request: Payload) -> Payload:
        """DataTransfer: set-point of the vendor profile (5.6)."""
        setpoint = self._context.vendor.setpoint
        if not setpoint.vendor_id or request["vendorId"] != setpoint.vendor_id:
            return {"status": "UnknownVendorId"}
        if request.get("messageId") != setpoint.message_id:
            return {"status": "UnknownMessageId"}
        return {"status": "Accepted" if self._vendor_power.setpoint_message(request.get("data")) else "Rejected"}
