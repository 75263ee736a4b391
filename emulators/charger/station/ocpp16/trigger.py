"""TriggerMessage of a 1.6 CSMS (5.17), and ExtendedTriggerMessage of the security whitepaper."""

from __future__ import annotations

from emulators.charger.station.context import StationContext
from emulators.charger.station.csms_link.link import CsmsLink
from emulators.charger.station.evse import EvseState
from emulators.charger.station.messages import Handler
from emulators.charger.station.ocpp16.maintenance import MaintenanceRequests
from emulators.charger.station.ocpp16.messages import Messages16
from protocols.ocpp.schema import Payload


class TriggerRequests:
    """Handlers of trigger requests."""

    def __init__(
        self, context: StationContext, messages: Messages16, link: CsmsLink, maintenance: MaintenanceRequests
    ) -> None:
        self._context, self._messages, self._link, self._maintenance = context, messages, link, maintenance
        self._triggers = {
            "BootNotification": self._boot,
            "Heartbeat": self._heartbeat,
            "MeterValues": self._meter_values,
            "SignChargePointCertificate": self._sign,
            "StatusNotification": self._status,
        }

    def handlers(self) -> dict[str, Handler]:
        """Return the handlers by action."""
        return {"ExtendedTriggerMessage": self.trigger_message, "TriggerMessage": self.trigger_message}

    def trigger_message(self, request: Payload) -> Payload:
        """TriggerMessage and ExtendedTriggerMessage."""
        requested, number = request["requestedMessage"], request.get("connectorId")
        evses = [e for e in self._context.evses.values() if number in (None, e.number)]
        if not evses:
            return {"status": "Rejected"}
        if requested not in self._triggers:
            return {"status": "NotImplemented"}
        self._context.later(self._triggers[requested](evses))
        return {"status": "Accepted"}

    async def _boot(self, evses: list[EvseState]) -> None:
        await self._context.call("BootNotification", self._messages.boot("Triggered"))

    async def _heartbeat(self, evses: list[EvseState]) -> None:
        await self._context.call("Heartbeat", {})

    async def _sign(self, evses: list[EvseState]) -> None:
        await self._maintenance.sign()

    async def _status(self, evses: list[EvseState]) -> None:
        for evse in evses:
            await self._link.send_status(evse)

    async def _meter_values(self, evses: list[EvseState]) -> None:
        for evse in evses:
            values = self._messages.samples(evse, "Trigger")
            body: Payload = {
                "connectorId": evse.number,
                "meterValue": [{"timestamp": self._context.timestamp(), "sampledValue": values}],
            }
            if evse.transaction is not None and evse.transaction.number is not None:
                body["transactionId"] = evse.transaction.number
            await self._context.call("MeterValues", body)
