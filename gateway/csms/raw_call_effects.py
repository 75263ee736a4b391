"""Effects of an operator's raw call on the state that the gateway holds of the station."""

from __future__ import annotations

from collections.abc import Callable

from gateway.csms import der, event_streams, outcomes
from gateway.csms.reservations import Reservation, ReservationStatus
from gateway.csms.station import Station
from protocols.ocpp.enums import v16, v21
from protocols.ocpp.schema import Payload, Version
from protocols.ocpp.times import parse


def apply(station: Station, action: str, payload: Payload, answer: Payload) -> None:
    """Apply the effects of a call that the station has answered."""
    if action == v21.Action.set_variable_monitoring:  # has a status for each monitor
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
    if payload.get("key") == v16.ConfigurationKey.security_profile:
        station.expect_security_profile(int(str(payload.get("value", "0")).strip() or 0))


def _firmware(station: Station, payload: Payload) -> None:
    status = {"status": "Requested", "requestId": payload.get("requestId")}
    station.record_maintenance("firmware", status)


_EFFECTS: dict[str, Callable[[Station, Payload], None]] = {
    v21.Action.adjust_periodic_event_stream: event_streams.adjusted,
    v21.Action.cancel_reservation: _reservation_cancelled,
    v16.Action.change_configuration: _configuration,
    v21.Action.clear_charging_profile: _profiles,
    v21.Action.clear_der_control: _der_controls,
    v21.Action.reserve_now: _reserved,
    v21.Action.reset: _profiles,
    v21.Action.send_local_list: _local_list,
    v21.Action.set_charging_profile: _profiles,
    v21.Action.set_der_control: _der_controls,
    v21.Action.set_network_profile: _network_profile,
    v16.Action.signed_update_firmware: _firmware,
    v21.Action.update_dynamic_schedule: _profiles,
    v21.Action.update_firmware: _firmware,
}
