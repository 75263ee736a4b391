"""Requests of a 1.6 CSMS about tokens and reservations."""

from __future__ import annotations

from emulators.charger.station.context import StationContext
from emulators.charger.station.local_list import LocalList
from emulators.charger.station.messages import Handler
from emulators.charger.station.reservations import Reservation, Reservations
from protocols.ocpp.schema import Payload
from protocols.ocpp.times import parse


class AuthorizationRequests:
    """Handlers of requests about the local list and reservations."""

    def __init__(self, context: StationContext, local_list: LocalList, reservations: Reservations) -> None:
        self._context, self._local_list, self._reservations = context, local_list, reservations

    def handlers(self) -> dict[str, Handler]:
        """Return the handlers by action."""
        return {
            "CancelReservation": self.cancel_reservation,
            "ClearCache": self.clear_cache,
            "GetLocalListVersion": self.get_local_list_version,
            "ReserveNow": self.reserve_now,
            "SendLocalList": self.send_local_list,
        }

    def clear_cache(self, request: Payload) -> Payload:
        """ClearCache (5.4): there is no cache."""
        return {"status": "Rejected"}

    def get_local_list_version(self, request: Payload) -> Payload:
        """GetLocalListVersion (5.10)."""
        enabled = self._context.settings.truth("list_enabled")
        return {"listVersion": self._local_list.version if enabled else -1}

    def send_local_list(self, request: Payload) -> Payload:
        """SendLocalList (5.15)."""
        if not self._context.settings.truth("list_enabled"):
            return {"status": "NotSupported"}
        entries = [(e["idTag"], e.get("idTagInfo")) for e in request.get("localAuthorizationList", [])]
        status = self._local_list.update(request["listVersion"], request["updateType"] == "Full", entries)
        self._context.save("local_list")
        return {"status": status}

    def reserve_now(self, request: Payload) -> Payload:
        """ReserveNow (5.13). Connector 0 is rejected: ReserveConnectorZeroSupported is absent."""
        number = request["connectorId"]
        if number not in self._context.evses:
            return {"status": "Rejected"}
        expiry = parse(request["expiryDate"]) or self._context.wall()
        new = Reservation(request["reservationId"], request["idTag"], expiry, number, request.get("parentIdTag"))
        return {"status": self._reservations.reserve(new)}

    def cancel_reservation(self, request: Payload) -> Payload:
        """CancelReservation (5.1)."""
        return {"status": "Accepted" if self._reservations.cancel(request["reservationId"]) else "Rejected"}
