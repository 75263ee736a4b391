"""TriggerMessage of a 2.x CSMS (F06)."""

from __future__ import annotations

from emulators.charger.station.context import StationContext
from emulators.charger.station.csms_link.link import CsmsLink
from emulators.charger.station.evse import EvseState
from emulators.charger.station.messages import Handler
from emulators.charger.station.ocpp2.maintenance import MaintenanceRequests
from emulators.charger.station.ocpp2.messages import Messages2
from emulators.charger.station.ocpp_enums import TriggerReason
from protocols.ocpp.schema import Payload


class TriggerRequests:
    """Handler of TriggerMessage."""

    def __init__(
        self, context: StationContext, messages: Messages2, link: CsmsLink, maintenance: MaintenanceRequests
    ) -> None:
        self._context, self._messages, self._link, self._maintenance = context, messages, link, maintenance
        self._triggers = {
            "BootNotification": self._boot,
            "Heartbeat": self._heartbeat,
            "FirmwareStatusNotification": self._firmware,
            "LogStatusNotification": self._log,
            "StatusNotification": self._status,
            "TransactionEvent": self._transaction,
            "MeterValues": self._meter_values,
            "SignChargingStationCertificate": self._sign,
        }

    def handlers(self) -> dict[str, Handler]:
        """Return the handler by action."""
        return {"TriggerMessage": self.trigger_message}

    def trigger_message(self, request: Payload) -> Payload:
        """TriggerMessage (F06)."""
        requested = request["requestedMessage"]
        number = request.get("evse", {}).get("id")
        evses = [e for e in self._context.evses.values() if number in (None, e.number)]
        if not evses:
            return {"status": "Rejected"}
        if requested not in self._triggers:
            return {"status": "NotImplemented"}
        if requested == "BootNotification" and self._context.online:
            return {"status": "Rejected"}  # F06.FR.17: it has been accepted already
        self._context.later(self._triggers[requested](evses))
        return {"status": "Accepted"}

    async def _boot(self, evses: list[EvseState]) -> None:
        await self._context.call("BootNotification", self._messages.boot("Triggered"))

    async def _heartbeat(self, evses: list[EvseState]) -> None:
        await self._context.call("Heartbeat", {})

    async def _sign(self, evses: list[EvseState]) -> None:
        await self._maintenance.sign()

    async def _firmware(self, evses: list[EvseState]) -> None:
        await self._maintenance.send_firmware_status()

    async def _log(self, evses: list[EvseState]) -> None:
        await self._maintenance.send_log_status()

    async def _status(self, evses: list[EvseState]) -> None:
        for evse in evses:
            await self._link.send_status(evse)

    async def _transaction(self, evses: list[EvseState]) -> None:
        for evse in evses:
            if evse.transaction is not None:
                self._messages.updated(evse, evse.transaction, TriggerReason.trigger)

    async def _meter_values(self, evses: list[EvseState]) -> None:
        measurands = (self._context.device_model.get("SampledDataCtrlr", "TxUpdatedMeasurands") or "").split(",")
        for evse in evses:
            values = self._messages.samples(evse, measurands, "Trigger")
            entry = {"timestamp": self._context.timestamp(), "sampledValue": values}
            await self._context.call("MeterValues", {"evseId": evse.number, "meterValue": [entry]})
