"""Requests of a 2.x CSMS about tokens and reservations (blocks C, D, H)."""

from __future__ import annotations

from emulators.charger.station.context import StationContext
from emulators.charger.station.local_list import LocalList
from emulators.charger.station.messages import Handler
from emulators.charger.station.ocpp2.status_info import rejected
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
        """ClearCache (C11): there is no cache."""
        return {"status": "Rejected"}

    def get_local_list_version(self, request: Payload) -> Payload:
        """GetLocalListVersion (D02)."""
        enabled = self._context.settings.truth("list_enabled")
        return {"versionNumber": self._local_list.version if enabled else 0}

    def send_local_list(self, request: Payload) -> Payload:
        """SendLocalList (D01)."""
        if not self._context.settings.truth("list_enabled"):
            return rejected("NotEnabled") | {"status": "Failed"}
        entries = [(e["idToken"]["idToken"], e.get("idTokenInfo")) for e in request.get("localAuthorizationList", [])]
        status = self._local_list.update(request["versionNumber"], request["updateType"] == "Full", entries)
        self._context.save("local_list")
        return {"status": status}

    def reserve_now(self, request: Payload) -> Payload:
        """ReserveNow (H01)."""
        context, number = self._context, request.get("evseId", 0)
        if number != 0 and number not in context.evses:
            return rejected("UnknownEVSE")
        if not context.device_model.truth("ReservationCtrlr", "Enabled", True):
            return rejected("NotEnabled")
        if "connectorType" in request and number == 0:
            types = {context.device_model.get("Connector", "ConnectorType", e) for e in context.evses}
            if request["connectorType"] not in types:
                return rejected("UnknownConnector")
        expiry = parse(request["expiryDateTime"]) or context.wall()
        group = request.get("groupIdToken", {}).get("idToken")
        new = Reservation(request["id"], request["idToken"]["idToken"], expiry, number, group, context.wall())
        return {"status": self._reservations.reserve(new)}

    def cancel_reservation(self, request: Payload) -> Payload:
        """CancelReservation (H02)."""
        return {"status": "Accepted" if self._reservations.cancel(request["reservationId"]) else "Rejected"}
