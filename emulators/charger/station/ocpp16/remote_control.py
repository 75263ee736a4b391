"""Remote start and stop of transactions by a 1.6 CSMS."""

from __future__ import annotations

from emulators.charger.station.connector_sessions import ConnectorSessions
from emulators.charger.station.context import StationContext
from emulators.charger.station.evse import EvseState
from emulators.charger.station.local_list import LocalList
from emulators.charger.station.messages import Handler
from emulators.charger.station.ocpp16.smart_charging import as_profile
from emulators.charger.station.ocpp_enums import StopReason, TriggerReason
from emulators.charger.station.reservations import Reservations
from emulators.charger.station.transaction import TransactionStart
from protocols.ocpp.schema import Payload


class RemoteControlRequests:
    """Handlers of remote start and stop."""

    def __init__(
        self,
        context: StationContext,
        sessions: ConnectorSessions,
        reservations: Reservations,
        local_list: LocalList,
    ) -> None:
        self._context, self._sessions = context, sessions
        self._reservations, self._local_list = reservations, local_list

    def handlers(self) -> dict[str, Handler]:
        """Return the handlers by action."""
        return {"RemoteStartTransaction": self.remote_start, "RemoteStopTransaction": self.remote_stop}

    def remote_start(self, request: Payload) -> Payload:
        """RemoteStartTransaction at a connector with a vehicle, otherwise at a free one (5.11)."""
        context, number, token = self._context, request.get("connectorId"), request["idTag"]
        group = self._local_list.group(token)
        free = [
            e
            for e in context.evses.values()
            if number in (None, e.number)
            and e.transaction is None
            and e.pending_start is None
            and e.operative
            and e.fault is None
            and self._reservations.allows(e, token, group)
        ]
        if not free or not context.online:
            return {"status": "Rejected"}
        profile = request.get("chargingProfile")
        start = TransactionStart(token, "Central", 0, None if profile is None else as_profile(profile, "-"), group)
        context.later(self._start(min(free, key=lambda e: e.vehicle is None), start))
        return {"status": "Accepted"}

    async def _start(self, evse: EvseState, start: TransactionStart) -> None:
        context = self._context
        authorize = context.settings.truth("remote_authorize")
        if authorize and not await context.messages.authorize(evse, start.token, start.token_type):
            return
        if evse.transaction is None:
            self._sessions.start(evse, start)

    def remote_stop(self, request: Payload) -> Payload:
        """RemoteStopTransaction (5.12)."""
        for evse in self._context.evses.values():
            if evse.transaction is not None and evse.transaction.number == request["transactionId"]:
                self._context.later(self._stop(evse))
                return {"status": "Accepted"}
        return {"status": "Rejected"}

    async def _stop(self, evse: EvseState) -> None:
        self._context.end_transaction(evse, TriggerReason.remote_stop, StopReason.remote)
