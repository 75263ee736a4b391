"""Effects of an operator's raw call on the state that the gateway holds of the station."""

from __future__ import annotations

from collections.abc import Callable

from gateway.csms import der, event_streams, outcomes
from gateway.csms.reservations import Reservation, ReservationStatus
from gateway.csms.station import Station
from protocols.ocpp.schema import Payload, Version
from protocols.ocpp.times import parse


def apply(station: Station, action: str, payload: Payload, answer: Payload) -> None:
    """Apply the effects of a call that the station has answered."""
    if action == "SetVariableMonitoring":  # has a status for each monitor
        event_streams.monitors_set(station, payload, answer)
    elif answer.get("status") == outcomes.ACCEPTED and action in _EFFECTS:
        _EFFECTS[action](station, payload)


def _der_controls(station: Station, _: Payload) -> None:
    station.spawn(der.update_discharge_share(station))


def _profiles(station: Station, _: Payload) -> None:
    for evse in station.evses.values():
        evse.reset_profiles()


def _reserved(station: Station, payload: Payload) -> None:
    early = station.version is Version.V16
    number = int(payload["reservationId" if early else "id"])
    reservation = Reservation(
        f"{station.id}/{number}",
        station.id,
        number,
        ReservationStatus.ACCEPTED,
        parse(payload["expiryDate" if early else "expiryDateTime"]),
        payload["idTag"] if early else payload["idToken"]["idToken"],
        (payload["connectorId"] or None) if early else payload.get("evseId"),
        (payload["connectorId"] or None) if early else None,
        payload.get("connectorType"),
    )
    station.context.reservations.accepted(reservation)


def _reservation_cancelled(station: Station, payload: Payload) -> None:
    station.context.reservations.ended(station.id, payload["reservationId"], ReservationStatus.CANCELLED)


def _local_list(station: Station, payload: Payload) -> None:
    version = payload.get("listVersion", payload.get("versionNumber"))
    station.record_maintenance("local_list", {"version": version})


def _network_profile(station: Station, payload: Payload) -> None:
    data = payload["connectionData"]
    shown = {name: data[name] for name in ("securityProfile", "ocppCsmsUrl") if name in data}
    station.expect_security_profile(int(data["securityProfile"]))
    station.record_maintenance(f"network_profile_{payload['configurationSlot']}", shown)


def _configuration(station: Station, payload: Payload) -> None:
    if payload.get("key") == "SecurityProfile":
        station.expect_security_profile(int(str(payload.get("value", "0")).strip() or 0))


def _firmware(station: Station, payload: Payload) -> None:
    status = {"status": "Requested", "requestId": payload.get("requestId")}
    station.record_maintenance("firmware", status)


_EFFECTS: dict[str, Callable[[Station, Payload], None]] = {
    "AdjustPeriodicEventStream": event_streams.adjusted,
    "CancelReservation": _reservation_cancelled,
    "ChangeConfiguration": _configuration,
    "ClearChargingProfile": _profiles,
    "ClearDERControl": _der_controls,
    "ReserveNow": _reserved,
    "Reset": _profiles,
    "SendLocalList": _local_list,
    "SetChargingProfile": _profiles,
    "SetDERControl": _der_controls,
    "SetNetworkProfile": _network_profile,
    "SignedUpdateFirmware": _firmware,
    "UpdateDynamicSchedule": _profiles,
    "UpdateFirmware": _firmware,
}
