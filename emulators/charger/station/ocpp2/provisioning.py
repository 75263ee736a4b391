"""Requests of a 2.x CSMS about resets, availability, connector locks and vendor data (blocks B, F, G, P)."""

from __future__ import annotations

from emulators.charger.station.availability import Availability
from emulators.charger.station.context import StationContext
from emulators.charger.station.evse import EvseState
from emulators.charger.station.maintenance.maintenance import Reboot
from emulators.charger.station.messages import Handler
from emulators.charger.station.ocpp2.status_info import rejected
from emulators.charger.station.ocpp_enums import StopReason, TriggerReason
from emulators.charger.station.smart_charging.vendor_power import VendorPower
from protocols.ocpp.schema import Payload


class ProvisioningRequests:
    """Handlers of requests about the station and its EVSEs as a whole."""

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

    def reset(self, request: Payload) -> Payload:
        """Reset of one EVSE, or of the station with an end of all transactions (B11, B12)."""
        number = request.get("evseId", 0)
        evses = [e for e in self._context.evses.values() if number in (0, e.number)]
        if not evses:
            return rejected("UnknownEVSE")
        if request["type"] == "ImmediateAndResume":
            return rejected("UnsupportedRequest", "no transaction is resumed")
        if request["type"] == "OnIdle" and any(e.transaction is not None for e in evses):
            self._availability.set_resetting(evses, True)
            self._context.later(self._reset_when_idle(evses, number))
            return {"status": "Scheduled"}
        self._context.later(self._reset_now(evses, number))
        return {"status": "Accepted"}

    async def _reset_now(self, evses: list[EvseState], number: int) -> None:
        if number == 0:
            await self._reboot("RemoteReset", StopReason.immediate_reset)
            return
        for evse in evses:
            self._context.end_transaction(evse, TriggerReason.reset_command, StopReason.immediate_reset)
            self._availability.set_resetting([evse], False)

    async def _reset_when_idle(self, evses: list[EvseState], number: int) -> None:
        while any(e.transaction is not None for e in evses):
            await self._context.clock.sleep(1.0)
        if number == 0:
            await self._reboot("ScheduledReset", StopReason.reboot)
            return
        self._availability.set_resetting(evses, False)

    def unlock_connector(self, request: Payload) -> Payload:
        """UnlockConnector (F05)."""
        evse = self._context.evses.get(request["evseId"])
        if evse is None or request["connectorId"] != 1:
            return {"status": "UnknownConnector"}
        return {"status": "OngoingAuthorizedTransaction" if evse.transaction is not None else "Unlocked"}

    def change_availability(self, request: Payload) -> Payload:
        """ChangeAvailability (G03, G04)."""
        location = request.get("evse", {})
        evses = [e for e in self._context.evses.values() if location.get("id") in (None, 0, e.number)]
        if not evses or location.get("connectorId", 1) != 1:
            return rejected("UnknownEVSE")
        return {"status": self._availability.change(evses, request["operationalStatus"] == "Operative")}

    def data_transfer(self, request: Payload) -> Payload:
        """DataTransfer: set-point or grid-forming order of the vendor profile (P01)."""
        setpoint, forming = self._context.vendor.setpoint, self._context.vendor.forming
        vendor_id, message_id, data = request["vendorId"], request.get("messageId"), request.get("data")
        if forming.vendor_id and (vendor_id, message_id or "") == (forming.vendor_id, forming.message_id):
            return {"status": "Accepted" if self._vendor_power.grid_forming_message(data) else "Rejected"}
        if not setpoint.vendor_id or vendor_id != setpoint.vendor_id:
            return {"status": "UnknownVendorId"}
        if message_id != setpoint.message_id:
            return {"status": "UnknownMessageId"}
        return {"status": "Accepted" if self._vendor_power.setpoint_message(data) else "Rejected"}
