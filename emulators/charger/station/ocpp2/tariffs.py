"""Requests of a 2.1 CSMS about tariffs (I07, I09-I11)."""

from __future__ import annotations

from collections.abc import Awaitable, Container

from emulators.charger.station.messages import Handler
from emulators.charger.station.ocpp2.status_info import rejected
from emulators.charger.station.tariffs.tariffs import Tariffs
from protocols.ocpp.rpc import Refusal
from protocols.ocpp.schema import ErrorCode, Payload


class TariffRequests:
    """Handlers of tariff requests, which are answered with NotSupported while costs are not computed (I07.FR.01)."""

    def __init__(self, evses: Container[int], tariffs: Tariffs) -> None:
        self._evses, self._tariffs = evses, tariffs

    def handlers(self) -> dict[str, Handler]:
        """Return the handlers by action."""
        table: dict[str, Handler] = {
            "ChangeTransactionTariff": self.change,
            "ClearTariffs": self.clear,
            "GetTariffs": self.get,
            "SetDefaultTariff": self.set_default,
        }
        return {action: self._if_enabled(handler) for action, handler in table.items()}

    def _if_enabled(self, handler: Handler) -> Handler:
        def handle(request: Payload) -> Payload | Awaitable[Payload]:
            if not self._tariffs.enabled:
                raise Refusal(ErrorCode.NOT_SUPPORTED, "TariffCostCtrlr.Enabled[Tariff] is false")
            return handler(request)

        return handle

    def set_default(self, request: Payload) -> Payload:
        """SetDefaultTariff (I07)."""
        number = request["evseId"]
        if number != 0 and number not in self._evses:
            return rejected("UnknownEVSE")
        return {"status": self._tariffs.set_default(number, request["tariff"])}

    def get(self, request: Payload) -> Payload:
        """GetTariffs (I09)."""
        found = self._tariffs.assignments(request["evseId"])
        return {"status": "Accepted", "tariffAssignments": found} if found else {"status": "NoTariff"}

    def clear(self, request: Payload) -> Payload:
        """ClearTariffs (I10)."""
        cleared = self._tariffs.clear(request.get("tariffIds"), request.get("evseId"))
        results = [{"tariffId": number, "status": "Accepted"} for number in cleared]
        return {"clearTariffsResult": results or [{"status": "NoTariff"}]}

    def change(self, request: Payload) -> Payload:
        """ChangeTransactionTariff (I11)."""
        return {"status": self._tariffs.change(request["transactionId"], request["tariff"])}
