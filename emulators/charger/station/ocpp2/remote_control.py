"""Requests of a 2.x CSMS about transactions: remote start and stop, status (E14, F01-F03)."""

from __future__ import annotations

from emulators.charger.station.connector_sessions import ConnectorSessions
from emulators.charger.station.context import StationContext
from emulators.charger.station.csms_link.message_queue import Queue
from emulators.charger.station.evse import EvseState
from emulators.charger.station.messages import Handler
from emulators.charger.station.ocpp2.status_info import rejected
from emulators.charger.station.ocpp_enums import ProfilePurpose, StopReason, TriggerReason
from emulators.charger.station.reservations import Reservations
from emulators.charger.station.transaction import TransactionStart
from protocols.ocpp.schema import Payload


class RemoteControlRequests:
    """Handlers of requests about transactions."""

    def __init__(
        self, context: StationContext, sessions: ConnectorSessions, reservations: Reservations, queue: Queue
    ) -> None:
        self._context, self._sessions = context, sessions
        self._reservations, self._queue = reservations, queue

    def handlers(self) -> dict[str, Handler]:
        """Return the handlers by action."""
        return {
            "GetTransactionStatus": self.get_transaction_status,
            "RequestStartTransaction": self.request_start,
            "RequestStopTransaction": self.request_stop,
        }

    def get_transaction_status(self, request: Payload) -> Payload:
        """GetTransactionStatus (E14)."""
        number = request.get("transactionId")
        response: Payload = {"messagesInQueue": any(True for _ in self._queue.of(number))}
        if number is not None:
            response["ongoingIndicator"] = self._evse_of(number) is not None
        return response

    def request_start(self, request: Payload) -> Payload:
        """RequestStartTransaction at an EVSE with a vehicle, otherwise at a free one (F01, F02)."""
        if not self._context.online:
            return rejected("NotAccepted")  # B02.FR.05
        token, number = request["idToken"], request.get("evseId")
        group = request.get("groupIdToken", {}).get("idToken")
        evse = self._free_evse(number, token["idToken"], group)
        if evse is None:
            return rejected("NotReady", "no EVSE is free for this token")
        profile = request.get("chargingProfile")
        if profile is not None and profile["chargingProfilePurpose"] != ProfilePurpose.tx_profile:
            return rejected("InvalidProfile")  # K05.FR.02
        start = TransactionStart(token["idToken"], token["type"], request["remoteStartId"], profile, group)
        authorize = self._context.settings.truth("remote_authorize")
        if authorize and token["type"] not in ("NoAuthorization", "Central"):
            self._context.later(self._authorize_then_start(evse, start))
            return {"status": "Accepted"}
        new = self._sessions.begin(evse, start)
        return {"status": "Accepted", "transactionId": new.id}

    def _free_evse(self, number: int | None, token: str, group: str | None) -> EvseState | None:
        free = [
            e
            for e in self._context.evses.values()
            if number in (None, e.number)
            and e.transaction is None
            and e.operative
            and e.fault is None
            and not e.resetting
            and self._reservations.allows(e, token, group)
        ]
        return min(free, key=lambda e: e.vehicle is None, default=None)

    async def _authorize_then_start(self, evse: EvseState, start: TransactionStart) -> None:
        """Start a transaction that AuthorizeRemoteStart requires to be authorised (F02.FR.01)."""
        accepted = await self._context.messages.authorize(evse, start.token, start.token_type)
        if accepted and evse.transaction is None:
            self._sessions.begin(evse, start)

    def request_stop(self, request: Payload) -> Payload:
        """RequestStopTransaction (F03)."""
        evse = self._evse_of(request["transactionId"])
        if evse is None:
            return rejected("TxNotFound")
        self._context.later(self._stop(evse))
        return {"status": "Accepted"}

    async def _stop(self, evse: EvseState) -> None:
        self._context.end_transaction(evse, TriggerReason.remote_stop, StopReason.remote)

    def _evse_of(self, transaction: str) -> EvseState | None:
        for evse in self._context.evses.values():
            if evse.transaction is not None and evse.transaction.id == transaction:
                return evse
        return None
