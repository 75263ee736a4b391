"""Requests of a 1.6 CSMS about availability, resets, vendor data, tokens, reservations, transactions and triggers."""

from __future__ import annotations

from emulators.charger.station.evse import EvseState
from emulators.charger.station.ocpp16.maintenance import MaintenanceRequests
from emulators.charger.station.ocpp16.messages import Messages16
from emulators.charger.station.ocpp16.smart_charging import as_profile
from emulators.charger.station.ocpp_enums import StopReason, TriggerReason
from emulators.charger.station.reservations import Reservation
from emulators.charger.station.responses import response
from emulators.charger.station.shared_requests import SharedCoreRequests, SharedTriggerRequests
from emulators.charger.station.station import Station
from emulators.charger.station.transaction import TransactionStart
from protocols.ocpp.enums import v16, v21
from protocols.ocpp.schema import Payload
from protocols.ocpp.times import parse


class CoreRequests(SharedCoreRequests):
    """Handlers of requests about the connectors, tokens and transactions."""

    # connectors

    def change_availability(self, request: Payload) -> Payload:
        """ChangeAvailability (5.2)."""
        number, operative = request["connectorId"], request["type"] == v16.AvailabilityType.operative
        evses = self._selected(number)
        if not evses:
            return response(v16.AvailabilityStatus.rejected)
        return response(self._station.availability.change(evses, operative, whole_station=number == 0))

    def reset(self, request: Payload) -> Payload:
        """Reset (5.14): both types end transactions in order."""
        reason = StopReason.immediate_reset if request["type"] == v16.ResetType.hard else StopReason.reboot
        self._station.later(self._station.reboot(v21.BootReasonEnumType.remote_reset, reason))
        return response(v16.ResetStatus.accepted)

    def unlock_connector(self, request: Payload) -> Payload:
        """UnlockConnector (5.18): a running transaction ends first."""
        evse = self._station.evses.get(request["connectorId"])
        if evse is None:
            return response(v16.UnlockStatus.not_supported)
        if evse.transaction is not None:
            self._station.end_transaction(evse, TriggerReason.unlock_command, StopReason.local)
        return response(v16.UnlockStatus.unlocked if evse.unlocks else v16.UnlockStatus.unlock_failed)

    # tokens and reservations

    def get_local_list_version(self, request: Payload) -> Payload:
        """GetLocalListVersion (5.10)."""
        enabled = self._station.settings.truth("list_enabled")
        return {"listVersion": self._station.local_list.version if enabled else -1}

    def send_local_list(self, request: Payload) -> Payload:
        """SendLocalList (5.15)."""
        if not self._station.settings.truth("list_enabled"):
            return response(v16.UpdateStatus.not_supported)
        entries = [(e["idTag"], e.get("idTagInfo")) for e in request.get("localAuthorizationList", [])]
        return self._update_list(request["listVersion"], request, entries)

    def reserve_now(self, request: Payload) -> Payload:
        """ReserveNow (5.13). Connector 0 is rejected: ReserveConnectorZeroSupported is absent."""
        number = request["connectorId"]
        if number not in self._station.evses:
            return response(v16.ReservationStatus.rejected)
        expiry = parse(request["expiryDate"]) or self._station.wall()
        new = Reservation(request["reservationId"], request["idTag"], expiry, number, request.get("parentIdTag"))
        return response(self._station.reservations.reserve(new))

    # transactions

    def remote_start_transaction(self, request: Payload) -> Payload:
        """RemoteStartTransaction at a connector with a vehicle, otherwise at a free one (5.11)."""
        token, profile = request["idTag"], request.get("chargingProfile")
        group = self._station.local_list.group(token)
        free = self._free(request.get("connectorId"), token, group)
        if not free or not self._station.online:
            return response(v16.RemoteStartStopStatus.rejected)
        installed = None if profile is None else as_profile(profile, "-", self._station.wall())
        start = TransactionStart(token, "Central", 0, installed, group)
        self._station.later(self._start(min(free, key=lambda e: e.vehicle is None), start))
        return response(v16.RemoteStartStopStatus.accepted)

    async def _start(self, evse: EvseState, start: TransactionStart) -> None:
        authorize = self._station.settings.truth("remote_authorize")
        if authorize and not await self._station.messages.authorize(evse, start.token, start.token_type):
            return
        if evse.transaction is None:
            self._station.sessions.start(evse, start)

    def remote_stop_transaction(self, request: Payload) -> Payload:
        """RemoteStopTransaction (5.12)."""
        for evse in self._station.evses.values():
            if evse.transaction is not None and evse.transaction.number == request["transactionId"]:
                return self._stop(evse)
        return response(v16.RemoteStartStopStatus.rejected)


class TriggerRequests(SharedTriggerRequests):
    """Handler of TriggerMessage (5.17), and of ExtendedTriggerMessage of the security whitepaper."""

    def __init__(self, station: Station, messages: Messages16, maintenance: MaintenanceRequests) -> None:
        super().__init__(station, messages, maintenance.sign)
        self._messages = messages
        self._triggers |= {
            v16.MessageTrigger.diagnostics_status_notification: lambda _: maintenance.send_diagnostics_status(),
            v16.MessageTrigger.firmware_status_notification: lambda _: maintenance.send_unsigned_firmware_status(),
            v16.MessageTrigger.log_status_notification: lambda _: maintenance.send_log_status(),
            v16.MessageTrigger.meter_values: self._meter_values,
            v16.Action.signed_firmware_status_notification: lambda _: maintenance.send_firmware_status(),
        }

    def trigger_message(self, request: Payload) -> Payload:
        """TriggerMessage (5.17). Connector 0, the station, has a status only."""
        requested, number = request["requestedMessage"], request.get("connectorId")
        if requested == v16.MessageTrigger.status_notification and not number:
            self._station.later(self._station.link.send_station_status())
            if number == 0:
                return response(v16.TriggerMessageStatus.accepted)
        return self._trigger(requested, number)

    def extended_trigger_message(self, request: Payload) -> Payload:
        """ExtendedTriggerMessage: its firmware status is that of signed updates (whitepaper 6.16)."""
        signed = request["requestedMessage"] == v16.MessageTrigger.firmware_status_notification
        return self.trigger_message(
            request | ({"requestedMessage": v16.Action.signed_firmware_status_notification} if signed else {})
        )

    async def _meter_values(self, evses: list[EvseState]) -> None:
        for evse in evses:
            body = self._messages.meter_values(evse, self._messages.samples(evse, "Trigger"))
            if evse.transaction is not None and evse.transaction.number is not None:
                body["transactionId"] = evse.transaction.number
            await self._station.call(v16.Action.meter_values, body)
