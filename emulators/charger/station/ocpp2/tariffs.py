"""What the emulated station does when a 2.1 CSMS asks about tariffs (I07, I09-I11)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from emulators.charger.station.station import Station
from protocols.ocpp.rpc import Refusal
from protocols.ocpp.schema import ErrorCode, Payload, Version

Handler = Callable[[Payload], Payload | Awaitable[Payload]]


def handlers(station: Station) -> dict[str, Handler]:
    """The table for one connection; while costs are not computed here, each is refused with NotSupported."""
    if station.config.version is not Version.V21:
        return {}
    asked = AskedForTariffs(station)
    table = {
        "ChangeTransactionTariff": asked.change,
        "ClearTariffs": asked.clear,
        "GetTariffs": asked.get,
        "SetDefaultTariff": asked.set_default,
    }

    def enabled(handler: Handler) -> Handler:
        def handle(request: Payload) -> Payload | Awaitable[Payload]:
            if not station.tariffs.enabled:
                raise Refusal(ErrorCode.NOT_SUPPORTED, "TariffCostCtrlr.Enabled[Tariff] is false")  # I07.FR.01
            return handler(request)

        return handle

    return {name: enabled(handler) for name, handler in table.items()}


class AskedForTariffs:
    """Requests about tariffs."""

    def __init__(self, station: Station) -> None:
        self.station, self.tariffs = station, station.tariffs

    def set_default(self, request: Payload) -> Payload:
        """I07."""
        number = request["evseId"]
        if number != 0 and number not in self.station.evses:
            return {"status": "Rejected", "statusInfo": {"reasonCode": "UnknownEVSE"}}
        return {"status": self.tariffs.set_default(number, request["tariff"])}

    def get(self, request: Payload) -> Payload:
        """I09."""
        found = self.tariffs.assignments(request["evseId"])
        return {"status": "Accepted", "tariffAssignments": found} if found else {"status": "NoTariff"}

    def clear(self, request: Payload) -> Payload:
        """I10."""
        gone = self.tariffs.clear(request.get("tariffIds"), request.get("evseId"))
        results = [{"tariffId": number, "status": "Accepted"} for number in gone]
        return {"clearTariffsResult": results or [{"status": "NoTariff"}]}

    def change(self, request: Payload) -> Payload:
        """I11."""
        return {"status": self.tariffs.change(request["transactionId"], request["tariff"])}
