"""Request handlers that 1.6 and 2.x share: availability of EVSEs, tokens, vendor set-points, triggered messages."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from enum import StrEnum

from emulators.charger.station.context import Work
from emulators.charger.station.evse import EvseState
from emulators.charger.station.messages import Handler, Messages
from emulators.charger.station.ocpp_enums import StopReason, TriggerReason
from emulators.charger.station.responses import accepted_if, response
from emulators.charger.station.station import Station
from protocols.ocpp.enums import v16, v21
from protocols.ocpp.schema import Payload


class RequestHandlers:
    """Handlers of requests to one station."""

    def __init__(self, station: Station) -> None:
        self._station = station

    def _selected(self, number: int) -> list[EvseState]:
        """Return the EVSE of a number, none if it is unknown; 0 selects all."""
        return [e for e in self._station.evses.values() if number in (0, e.number)]

    def _profiles_changed(self) -> None:
        """Apply changed charging profiles at once and store them."""
        self._station.save("profiles")
        self._station.wake()
        self._station.smart_charging.step()


def handlers_of(components: Sequence[RequestHandlers], actions: Iterable[StrEnum]) -> dict[str, Handler]:
    """Return the handlers of some actions: the methods with the names that the `ocpp` package gives to the actions."""
    return {
        action: getattr(component, action.name)
        for action in actions
        for component in components
        if hasattr(component, action.name)
    }


class SharedCoreRequests(RequestHandlers):
    """Handlers of requests about tokens, reservations and remote control with the same logic in both versions."""

    def clear_cache(self, request: Payload) -> Payload:
        """ClearCache (1.6 5.4, 2.x C11): there is no cache."""
        return response(v21.ClearCacheStatusEnumType.rejected)

    def cancel_reservation(self, request: Payload) -> Payload:
        """CancelReservation (1.6 5.1, 2.x H02)."""
        return accepted_if(self._station.reservations.cancel(request["reservationId"]))

    def _update_list(self, version: int, request: Payload, entries: Iterable[tuple[str, Payload | None]]) -> Payload:
        status = self._station.local_list.update(version, request["updateType"] == "Full", entries)
        self._station.save("local_list")
        return response(status)

    def _free(self, number: int | None, token: str, group: str | None) -> list[EvseState]:
        """Return the EVSEs at which a remote start can begin a transaction."""
        return [
            e
            for e in self._station.evses.values()
            if number in (None, e.number)
            and e.transaction is None
            and e.pending_start is None
            and e.operative
            and not e.resetting
            and e.fault is None
            and self._station.reservations.allows(e, token, group)
        ]

    async def _end(self, evse: EvseState, trigger: str, reason: str) -> None:
        self._station.end_transaction(evse, trigger, reason)

    def _stop(self, evse: EvseState) -> Payload:
        self._station.later(self._end(evse, TriggerReason.remote_stop, StopReason.remote))
        return response(v21.RequestStartStopStatusEnumType.accepted)

    def data_transfer(self, request: Payload) -> Payload:
        """DataTransfer: set-point of the vendor profile (1.6 5.6, 2.x P01)."""
        setpoint = self._station.vendor.setpoint
        if not setpoint.vendor_id or request["vendorId"] != setpoint.vendor_id:
            return response(v21.DataTransferStatusEnumType.unknown_vendor_id)
        if request.get("messageId") != setpoint.message_id:
            return response(v21.DataTransferStatusEnumType.unknown_message_id)
        accepted = self._station.vendor_power.setpoint_message(request.get("data"))
        return accepted_if(accepted)


class SharedTriggerRequests(RequestHandlers):
    """Handler of TriggerMessage. `sign` sends SignCertificate."""

    def __init__(self, station: Station, messages: Messages, sign: Callable[[], Work]) -> None:
        super().__init__(station)
        self._triggers: dict[str, Callable[[list[EvseState]], Work]] = {
            v21.MessageTriggerEnumType.boot_notification: lambda _: station.call(
                v21.Action.boot_notification, messages.boot(v21.BootReasonEnumType.triggered)
            ),
            v21.MessageTriggerEnumType.heartbeat: lambda _: station.call(v21.Action.heartbeat, {}),
            v16.MessageTrigger.sign_charge_point_certificate: lambda _: sign(),
            v21.MessageTriggerEnumType.sign_charging_station_certificate: lambda _: sign(),
            v21.MessageTriggerEnumType.status_notification: self._status,
        }

    def _trigger(self, requested: str, number: int | None) -> Payload:
        evses = [e for e in self._station.evses.values() if number in (None, e.number)]
        if not evses:
            return response(v21.TriggerMessageStatusEnumType.rejected)
        if requested not in self._triggers:
            return response(v21.TriggerMessageStatusEnumType.not_implemented)
        self._station.later(self._triggers[requested](evses))
        return response(v21.TriggerMessageStatusEnumType.accepted)

    async def _status(self, evses: list[EvseState]) -> None:
        for evse in evses:
            await self._station.link.send_status(evse)
