"""Requests of a 2.x CSMS about display messages, costs, tariffs and customer information (blocks I, N, O)."""

from __future__ import annotations

from emulators.charger.station.ocpp2.reports import send_report
from emulators.charger.station.responses import accepted_if, rejected, response
from emulators.charger.station.shared_requests import RequestHandlers
from emulators.charger.station.tariffs.tariffs import Tariffs
from protocols.ocpp.enums import v21
from protocols.ocpp.errors import Refusal
from protocols.ocpp.schema import ErrorCode, Payload

DATA_LENGTH = 512  # of one NotifyCustomerInformation


class DisplayRequests(RequestHandlers):
    """Handlers of requests about what drivers see and what is stored about customers."""

    def set_display_message(self, request: Payload) -> Payload:
        """SetDisplayMessage (O01, O02, O06)."""
        return response(self._station.display.put(request["message"]))

    def get_display_messages(self, request: Payload) -> Payload:
        """GetDisplayMessages (O03, O04)."""
        found = self._station.display.select(request.get("id"), request.get("priority"), request.get("state"))
        if not found:
            return response(v21.GetDisplayMessagesStatusEnumType.unknown)
        body: Payload = {"requestId": request["requestId"], "messageInfo": found, "tbc": False}
        self._station.later(self._station.call(v21.Action.notify_display_messages, body))
        return response(v21.GetDisplayMessagesStatusEnumType.accepted)

    def clear_display_message(self, request: Payload) -> Payload:
        """ClearDisplayMessage (O05)."""
        return accepted_if(self._station.display.clear(request["id"]), v21.ClearMessageStatusEnumType.unknown)

    def cost_updated(self, request: Payload) -> Payload:
        """CostUpdated (I02), acknowledged: the emulated station shows no costs."""
        return {}

    def customer_information(self, request: Payload) -> Payload:
        """CustomerInformation (N09, N10). Only entries of the local list are stored, found by their token."""
        token = request.get("idToken", {}).get("idToken")
        if token is None and not {"customerIdentifier", "customerCertificate"} & request.keys():
            return response(v21.CustomerInformationStatusEnumType.invalid)
        if not (request["report"] or request["clear"]):
            return response(v21.CustomerInformationStatusEnumType.rejected)
        status = None if token is None else self._station.local_list.status(token, self._station.wall())
        data = "" if status is None or not request["report"] else f"idToken {token}: {status}"
        if request["clear"] and token is not None and self._station.local_list.drop(token):
            self._station.save("local_list")
        action, request_id = v21.Action.notify_customer_information, request["requestId"]
        self._station.later(send_report(self._station, action, request_id, "data", data, DATA_LENGTH))
        return response(v21.CustomerInformationStatusEnumType.accepted)


class TariffRequests(RequestHandlers):
    """Handlers of tariff requests, which are answered with NotSupported while costs are not computed (I07.FR.01)."""

    def _tariffs(self) -> Tariffs:
        """Return the tariffs. Raises a Refusal while costs are not computed."""
        if not self._station.tariffs.enabled:
            raise Refusal(ErrorCode.NOT_SUPPORTED, "TariffCostCtrlr.Enabled[Tariff] is false")
        return self._station.tariffs

    def set_default_tariff(self, request: Payload) -> Payload:
        """SetDefaultTariff (I07)."""
        tariffs, number = self._tariffs(), request["evseId"]
        if not self._selected(number):
            return rejected("UnknownEVSE")
        return response(tariffs.set_default(number, request["tariff"]))

    def get_tariffs(self, request: Payload) -> Payload:
        """GetTariffs (I09)."""
        found, statuses = self._tariffs().assignments(request["evseId"]), v21.TariffGetStatusEnumType
        return response(statuses.accepted, tariffAssignments=found) if found else response(statuses.no_tariff)

    def clear_tariffs(self, request: Payload) -> Payload:
        """ClearTariffs (I10)."""
        cleared = self._tariffs().clear(request.get("tariffIds"), request.get("evseId"))
        results = [response(v21.TariffClearStatusEnumType.accepted, tariffId=number) for number in cleared]
        return {"clearTariffsResult": results or [response(v21.TariffClearStatusEnumType.no_tariff)]}

    def change_transaction_tariff(self, request: Payload) -> Payload:
        """ChangeTransactionTariff (I11)."""
        return response(self._tariffs().change(request["transactionId"], request["tariff"]))
