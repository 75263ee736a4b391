"""What a call that an operator sends past the core changes in what we believe of the station."""

from __future__ import annotations

from gateway.csms import der, event_streams, maintenance_status
from gateway.csms.station import Station
from protocols.ocpp.schema import Payload
from protocols.ocpp.times import parse

PROFILE_ACTIONS = frozenset({"SetChargingProfile", "ClearChargingProfile", "UpdateDynamicSchedule", "Reset"})


def notice(station: Station, action: str, payload: Payload, answer: Payload) -> None:
    """The station has answered."""
    if action == "SetVariableMonitoring":
        event_streams.monitors_set(station, payload, answer)
    if answer.get("status") != "Accepted":
        return
    reservations = station.context.reservations
    if action in ("SetDERControl", "ClearDERControl"):
        station.later(der.learn_cap(station))
    elif action in PROFILE_ACTIONS:
        for evse in station.evses.values():
            evse.forget_profiles()
    elif action == "ReserveNow":
        number = payload.get("reservationId", payload.get("id"))
        expiry = parse(payload.get("expiryDate", payload.get("expiryDateTime")))
        reservations.accepted(station.id, int(number or 0), expiry)
    elif action == "CancelReservation":
        reservations.ended(station.id, payload["reservationId"], "CANCELLED")
    elif action == "SendLocalList":
        maintenance_status.note(
            station, "local_list", {"version": payload.get("listVersion", payload.get("versionNumber"))}
        )
    elif action == "SetNetworkProfile":
        data = payload["connectionData"]
        shown = {name: data[name] for name in ("securityProfile", "ocppCsmsUrl") if name in data}
        station.expect_security_profile(int(data["securityProfile"]))
        maintenance_status.note(station, f"network_profile_{payload['configurationSlot']}", shown)
    elif action == "ChangeConfiguration" and payload.get("key") == "SecurityProfile":
        station.expect_security_profile(int(str(payload.get("value", "0")).strip() or 0))
    elif action == "AdjustPeriodicEventStream":
        event_streams.adjusted(station, payload)
    elif action in ("UpdateFirmware", "SignedUpdateFirmware"):
        maintenance_status.note(station, "firmware", {"status": "Requested", "requestId": payload.get("requestId")})
