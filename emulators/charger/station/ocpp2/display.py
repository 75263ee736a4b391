"""Requests of a 2.x CSMS about display messages, costs on display and customer information (blocks I, N, O)."""

from __future__ import annotations

from emulators.charger.station.context import StationContext
from emulators.charger.station.display_messages import DisplayMessages
from emulators.charger.station.local_list import LocalList
from emulators.charger.station.messages import Handler
from protocols.ocpp.schema import Payload

DATA_LENGTH = 512  # of one NotifyCustomerInformation


class DisplayRequests:
    """Handlers of requests about what drivers see and what is stored about customers."""

    def __init__(self, context: StationContext, display: DisplayMessages, local_list: LocalList) -> None:
        self._context, self._display, self._local_list = context, display, local_list

    def handlers(self) -> dict[str, Handler]:
        """Return the handlers by action."""
        return {
            "ClearDisplayMessage": self.clear_display_message,
            "CostUpdated": self.cost_updated,
            "CustomerInformation": self.customer_information,
            "GetDisplayMessages": self.get_display_messages,
            "SetDisplayMessage": self.set_display_message,
        }

    def set_display_message(self, request: Payload) -> Payload:
        """SetDisplayMessage (O01, O02, O06)."""
        return {"status": self._display.put(request["message"])}

    def get_display_messages(self, request: Payload) -> Payload:
        """GetDisplayMessages (O03, O04)."""
        found = self._display.select(request.get("id"), request.get("priority"), request.get("state"))
        if not found:
            return {"status": "Unknown"}
        body: Payload = {"requestId": request["requestId"], "messageInfo": found, "tbc": False}
        self._context.later(self._call("NotifyDisplayMessages", body))
        return {"status": "Accepted"}

    def clear_display_message(self, request: Payload) -> Payload:
        """ClearDisplayMessage (O05)."""
        return {"status": "Accepted" if self._display.clear(request["id"]) else "Unknown"}

    def cost_updated(self, request: Payload) -> Payload:
        """CostUpdated: total cost on display (I02)."""
        for evse in self._context.evses.values():
            if evse.transaction is not None and evse.transaction.id == request["transactionId"]:
                evse.transaction.cost_updated = request["totalCost"]
        return {}

    def customer_information(self, request: Payload) -> Payload:
        """CustomerInformation (N09, N10). Only entries of the local list are stored, found by their token."""
        token = request.get("idToken", {}).get("idToken")
        if token is None and not {"customerIdentifier", "customerCertificate"} & request.keys():
            return {"status": "Invalid"}
        if not (request["report"] or request["clear"]):
            return {"status": "Rejected"}
        status = None if token is None else self._local_list.status(token, self._context.wall())
        data = "" if status is None or not request["report"] else f"idToken {token}: {status}"
        if request["clear"] and token is not None and self._local_list.drop(token):
            self._context.save("local_list")
        self._context.later(self._send_customer_data(request["requestId"], data))
        return {"status": "Accepted"}

    async def _send_customer_data(self, number: int, data: str) -> None:
        parts = [data[i : i + DATA_LENGTH] for i in range(0, len(data), DATA_LENGTH)] or [""]
        for index, part in enumerate(parts):
            body: Payload = {
                "requestId": number,
                "data": part,
                "seqNo": index,
                "generatedAt": self._context.timestamp(),
                "tbc": index < len(parts) - 1,
            }
            await self._context.call("NotifyCustomerInformation", body)

    async def _call(self, action: str, body: Payload) -> None:
        await self._context.call(action, body)
