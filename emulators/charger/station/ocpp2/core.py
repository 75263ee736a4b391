"""Requests of a 2.x CSMS about resets, availability, vendor data, tokens, reservations, transactions and triggers.

OCPP 2.1 part 2, blocks B to H and P.
"""

from __future__ import annotations

from emulators.charger.station.evse import EvseState
from emulators.charger.station.ocpp2.maintenance import MaintenanceRequests
from emulators.charger.station.ocpp2.messages import Messages2
from emulators.charger.station.ocpp_enums import ProfilePurpose, StopReason, TriggerReason
from emulators.charger.station.reservations import Reservation
from emulators.charger.station.responses import accepted_if, rejected, response
from emulators.charger.station.shared_requests import SharedCoreRequests, SharedTriggerRequests
from emulators.charger.station.station import Station
from emulators.charger.station.transaction import TransactionStart
from protocols.ocpp.enums import v21
from protocols.ocpp.schema import Payload
from protocols.ocpp.times import parse


class CoreRequests(SharedCoreRequests):
    """Handlers of requests about the EVSEs, tokens and transactions."""

    # EVSEs

    def reset(self, request: Payload) -> Payload:
        """Reset of one EVSE, or of the station with an end of all transactions (B11, B12)."""
        number = request.get("evseId", 0)
        evses = self._selected(number)
        if not evses:
            return rejected("UnknownEVSE")
        if request["type"] == v21.ResetEnumType.immediate_and_resume:
            return rejected("UnsupportedRequest", "no transaction is resumed")
        if request["type"] == v21.ResetEnumType.on_idle and any(e.transaction is not None for e in evses):
            if self._station.availability.schedule_reset(evses, number):
                self._station.later(self._reset_when_idle(evses, number))
            return response(v21.ResetStatusEnumType.scheduled)
        self._station.later(self._reset_now(evses, number))
        return response(v21.ResetStatusEnumType.accepted)

    async def _reset_now(self, evses: list[EvseState], number: int) -> None:
        if number == 0:
            await self._station.reboot(v21.BootReasonEnumType.remote_reset, StopReason.immediate_reset)
            return
        for evse in evses:
            self._station.end_transaction(evse, TriggerReason.reset_command, StopReason.immediate_reset)
        self._station.availability.reset_done(evses, number)

    async def _reset_when_idle(self, evses: list[EvseState], number: int) -> None:
        """Reset once no transaction runs any more, unless another reset came first (B12.FR.01)."""
        availability = self._station.availability
        await availability.wait_until_idle(evses)
        if number not in availability.scheduled_resets:
            return
        if number == 0:
            await self._station.reboot(v21.BootReasonEnumType.scheduled_reset, StopReason.reboot)
        else:
            availability.reset_done(evses, number)

    def unlock_connector(self, request: Payload) -> Payload:
        """UnlockConnector (F05)."""
        evse, statuses = self._station.evses.get(request["evseId"]), v21.UnlockStatusEnumType
        if evse is None or request["connectorId"] != 1:
            return response(statuses.unknown_connector)
        if evse.transaction is not None:
            return response(statuses.ongoing_authorized_transaction)
        return response(statuses.unlocked if evse.unlocks else statuses.unlock_failed)

    def change_availability(self, request: Payload) -> Payload:
        """ChangeAvailability (G03, G04)."""
        location = request.get("evse", {})
        evses = self._selected(location.get("id", 0))
        if not evses or location.get("connectorId", 1) != 1:
            return rejected("UnknownEVSE")
        operative = request["operationalStatus"] == v21.OperationalStatusEnumType.operative
        whole_station = location.get("id", 0) == 0
        return response(self._station.availability.change(evses, operative, whole_station=whole_station))

    def data_transfer(self, request: Payload) -> Payload:
        """DataTransfer: set-point or grid-forming order of the vendor profile (P01)."""
        forming = self._station.vendor.forming
        addressed = (request["vendorId"], request.get("messageId") or "")
        if forming.vendor_id and addressed == (forming.vendor_id, forming.message_id):
            accepted = self._station.vendor_power.grid_forming_message(request.get("data"))
            return accepted_if(accepted)
        return super().data_transfer(request)

    # tokens and reservations

    def get_local_list_version(self, request: Payload) -> Payload:
        """GetLocalListVersion (D02)."""
        enabled = self._station.settings.truth("list_enabled")
        return {"versionNumber": self._station.local_list.version if enabled else 0}

    def send_local_list(self, request: Payload) -> Payload:
        """SendLocalList (D01)."""
        if not self._station.settings.truth("list_enabled"):
            return rejected("NotEnabled") | response(v21.SendLocalListStatusEnumType.failed)
        entries = [(e["idToken"]["idToken"], e.get("idTokenInfo")) for e in request.get("localAuthorizationList", [])]
        return self._update_list(request["versionNumber"], request, entries)

    def reserve_now(self, request: Payload) -> Payload:
        """ReserveNow (H01)."""
        station, number = self._station, request.get("evseId", 0)
        if not self._selected(number):
            return rejected("UnknownEVSE")
        if not station.device_model.truth("ReservationCtrlr", "Enabled", True):
            return rejected("NotEnabled")
        if "connectorType" in request and number == 0:
            types = {station.device_model.get("Connector", "ConnectorType", e) for e in station.evses}
            if request["connectorType"] not in types:
                return rejected("UnknownConnector")
        expiry = parse(request["expiryDateTime"]) or station.wall()
        group = request.get("groupIdToken", {}).get("idToken")
        new = Reservation(request["id"], request["idToken"]["idToken"], expiry, number, group, station.wall())
        return response(station.reservations.reserve(new))

    # transactions

    def get_transaction_status(self, request: Payload) -> Payload:
        """GetTransactionStatus (E14)."""
        number = request.get("transactionId")
        response: Payload = {"messagesInQueue": any(True for _ in self._station.link.queue.of(number))}
        if number is not None:
            response["ongoingIndicator"] = self._station.evse_of(number) is not None
        return response

    def request_start_transaction(self, request: Payload) -> Payload:
        """RequestStartTransaction at an EVSE with a vehicle, otherwise at a free one (F01, F02)."""
        if not self._station.online:
            return rejected("NotAccepted")  # B02.FR.05
        token, profile = request["idToken"], request.get("chargingProfile")
        group = request.get("groupIdToken", {}).get("idToken")
        free = self._free(request.get("evseId"), token["idToken"], group)
        if not free:
            return rejected("NotReady", "no EVSE is free for this token")
        if profile is not None and profile["chargingProfilePurpose"] != ProfilePurpose.tx_profile:
            return rejected("InvalidProfile")  # K05.FR.02
        evse = min(free, key=lambda e: e.vehicle is None)
        start = TransactionStart(token["idToken"], token["type"], request["remoteStartId"], profile, group)
        authorize = self._station.settings.truth("remote_authorize")
        if authorize and token["type"] not in ("NoAuthorization", "Central"):
            self._station.later(self._authorize_then_start(evse, start))
            return response(v21.RequestStartStopStatusEnumType.accepted)
        transaction = self._station.sessions.begin(evse, start)
        return response(v21.RequestStartStopStatusEnumType.accepted, transactionId=transaction.id)

    async def _authorize_then_start(self, evse: EvseState, start: TransactionStart) -> None:
        """Start a transaction that AuthorizeRemoteStart requires to be authorised (F02.FR.01)."""
        accepted = await self._station.messages.authorize(evse, start.token, start.token_type)
        if accepted and evse.transaction is None:
            self._station.sessions.begin(evse, start)

    def request_stop_transaction(self, request: Payload) -> Payload:
        """RequestStopTransaction (F03)."""
        evse = self._station.evse_of(request["transactionId"])
        return rejected("TxNotFound") if evse is None else self._stop(evse)


class TriggerRequests(SharedTriggerRequests):
    """Handler of TriggerMessage (F06)."""

    def __init__(self, station: Station, messages: Messages2, maintenance: MaintenanceRequests) -> None:
        super().__init__(station, messages, maintenance.sign)
        self._messages = messages
        self._triggers |= {
            v21.MessageTriggerEnumType.firmware_status_notification: lambda _: maintenance.send_firmware_status(),
            v21.MessageTriggerEnumType.log_status_notification: lambda _: maintenance.send_log_status(),
            v21.MessageTriggerEnumType.meter_values: self._meter_values,
            v21.MessageTriggerEnumType.transaction_event: self._transaction,
        }

    def trigger_message(self, request: Payload) -> Payload:
        """TriggerMessage (F06)."""
        requested, number = request["requestedMessage"], request.get("evse", {}).get("id")
        if requested == v21.Action.boot_notification and self._station.online:
            return response(v21.TriggerMessageStatusEnumType.rejected)  # F06.FR.17: it has been accepted already
        return self._trigger(requested, number)

    async def _transaction(self, evses: list[EvseState]) -> None:
        for evse in evses:
            if evse.transaction is not None:
                self._messages.updated(evse, evse.transaction, TriggerReason.trigger)

    async def _meter_values(self, evses: list[EvseState]) -> None:
        measurands = (self._station.device_model.get("SampledDataCtrlr", "TxUpdatedMeasurands") or "").split(",")
        for evse in evses:
            values = self._messages.samples(evse, measurands, "Trigger")
            entry = {"timestamp": self._station.timestamp(), "sampledValue": values}
            await self._station.call(v21.Action.meter_values, {"evseId": evse.number, "meterValue": [entry]})
