"""Requests of a 2.x CSMS about display messages, costs, tariffs and customer information (blocks I, N, O)."""

from __future__ import annotations

from collections.abc import Awaitable

from emulators.charger.station.messages import Handler
from emulators.charger.station.ocpp2.responses import rejected
from emulators.charger.station.shared_requests import RequestHandlers
from protocols.ocpp.rpc import Refusal
from protocols.ocpp.schema import ErrorCode, Payload

DATA_LENGTH = 512  # of one NotifyCustomerInformation


class DisplayRequests(RequestHandlers):
    """Handlers of requests about what drivers see and what is stored about customers."""

    def set_display_message(self, request: Payload) -> Payload:
        """SetDisplayMessage (O01, O02, O06)."""
        return {"status": self._station.display.put(request["message"])}

    def get_display_messages(self, request: Payload) -> Payload:
        """GetDisplayMessages (O03, O04)."""
        found = self._station.display.select(request.get("id"), request.get("priority"), request.get("state"))
        if not found:
            return {"status": "Unknown"}
        body: Payload = {"requestId": request["requestId"], "messageInfo": found, "tbc": False}
        self._station.later(self._station.call("NotifyDisplayMessages", body))
        return {"status": "Accepted"}

    def clear_display_message(self, request: Payload) -> Payload:
        """ClearDisplayMessage (O05)."""
        return {"status": "Accepted" if self._station.display.clear(request["id"]) else "Unknown"}

    def cost_updated(self, request: Payload) -> Payload:
        """CostUpdated: total cost on display (I02)."""
        evse = self._station.evse_of(request["transactionId"])
        if evse is not None and evse.transaction is not None:
            evse.transaction.cost_updated = request["totalCost"]
        return {}

    def customer_information(self, request: Payload) -> Payload:
        """CustomerInformation (N09, N10). Only entries of the local list are stored, found by their token."""
        token = request.get("idToken", {}).get("idToken")
        if token is None and not {"customerIdentifier", "customerCertificate"} & request.keys():
            return {"status": "Invalid"}
        if not (request["report"] or request["clear"]):
            return {"status": "Rejected"}
        status = None if token is None else self._station.local_list.status(token, self._station.wall())
        data = "" if status is None or not request["report"] else f"idToken {token}: {status}"
        if request["clear"] and token is not None and self._station.local_list.drop(token):
            self._station.save("local_list")
        self._station.later(self._send_customer_data(request["requestId"], data))
        return {"status": "Accepted"}

    async def _send_customer_data(self, number: int, data: str) -> None:
        parts = [data[i : i + DATA_LENGTH] for i in range(0, len(data), DATA_LENGTH)] or [""]
        for index, part in enumerate(parts):
            body: Payload = {
                "requestId": number,
                "data": part,
                "seqNo": index,
                "generatedAt": self._station.timestamp(),
                "tbc": index < len(parts) - 1,
            }
            await self._station.call("NotifyCustomerInformation", body)


class TariffRequests(RequestHandlers):
    """Handlers of tariff requests, which are answered with NotSupported while costs are not computed (I07.FR.01)."""

    def if_enabled(self, handler: Handler) -> Handler:
        """Return a handler that refuses requests while costs are not computed."""

        def handle(request: Payload) -> Payload | Awaitable[Payload]:
            if not self._station.tariffs.enabled:
                raise Refusal(ErrorCode.NOT_SUPPORTED, "TariffCostCtrlr.Enabled[Tariff] is false")
            return handler(request)

        return handle

    def set_default(self, request: Payload) -> Payload:
        """SetDefaultTariff (I07)."""
        number = request["evseId"]
        if number != 0 and number not in self._station.evses:
            return rejected("UnknownEVSE")
        return {"status": self._station.tariffs.set_default(number, request["tariff"])}

    def get(self, request: Payload) -> Payload:
        """GetTariffs (I09)."""
        found = self._station.tariffs.assignments(request["evseId"])
        return {"status": "Accepted", "tariffAssignments": found} if found else {"status": "NoTariff"}

    def clear(self, request: Payload) -> Payload:
        """ClearTariffs (I10)."""
        cleared = self._station.tariffs.clear(request.get("tariffIds"), request.get("evseId"))
        results = [{"tariffId": number, "status": "Accepted"} for number in cleared]
        return {"clearTariffsResult": results or [{"status": "NoTariff"}]}

    def change(self, request: Payload) -> Payload:
        """ChangeTransactionTariff (I11)."""
        return {"status": self._station.tariffs.change(request["transactionId"], request["tariff"])}
