"""Messages of OCPP 2.1 beyond 2.0.1: bidirectional needs, dynamic schedules, priority charging, DER events."""

from __future__ import annotations

from gateway.csms import connected_ev, der, device_model, event_streams, faults, negotiated_profile, setpoint, v201
from gateway.csms.charging_needs import BIDIRECTIONAL, vehicle_needs
from gateway.csms.evse import Evse
from gateway.csms.station import Handlers, Station
from gateway.model.event import NeedsStated
from protocols.ocpp.enums import v21
from protocols.ocpp.schema import Payload

Needs, Generic, Action = v21.NotifyEVChargingNeedsStatusEnumType, v21.GenericStatusEnumType, v21.Action
TRANSFERS = tuple(mode.value for mode in v21.EnergyTransferModeEnumType)
TRIPS = frozenset(kind for kind in der.Control if kind.endswith(("MustTrip", "MomCess")))  # they trip the inverter


def authorize(station: Station, payload: Payload) -> Payload:
    """Respond to Authorize with the allowed energy transfers, where the station supports V2X (Q01.FR.01, Q01.FR.08)."""
    answer = v201.authorize(station, payload)
    token = station.context.tokens.get(payload["idToken"]["idToken"])
    listed = token.energy_transfer if token is not None else ()
    if not listed and station.context.settings.v2x_allowed:
        listed = TRANSFERS
    v2x = any(name[0] == "V2XChargingCtrlr" for name in station.variables)
    if answer["idTokenInfo"]["status"] == v21.AuthorizationStatusEnumType.accepted and listed and v2x:
        answer["allowedEnergyTransfer"] = list(listed)
    return answer


def allowed_transfers(station: Station, evse: Evse) -> tuple[str, ...]:
    """Return the energy transfers that are allowed in the active transaction."""
    transaction = station.context.transactions.active_at(station.id, evse.number)
    if transaction is not None and transaction.allowed:
        return transaction.allowed
    known = station.context.tokens.get(transaction.id_token or "") if transaction is not None else None
    if known is not None and known.energy_transfer:
        return known.energy_transfer
    return TRANSFERS if station.context.settings.v2x_allowed else tuple(t for t in TRANSFERS if "BPT" not in t)


def notify_ev_charging_needs(station: Station, payload: Payload) -> Payload:
    """Process the vehicle's needs (Q01.FR.03-07, Q02.FR.01): an allowed transfer is Accepted, and a profile follows."""
    evse, needs = station.evse(payload["evseId"]), payload["chargingNeeds"]
    requested = needs["requestedEnergyTransfer"]
    if requested not in allowed_transfers(station, evse):
        return {"status": Needs.rejected, "statusInfo": {"reasonCode": "NotAllowed"}}
    evse.bidirectional = requested in BIDIRECTIONAL
    station.context.report(NeedsStated(evse.name, station.context.clock.now(), vehicle_needs(needs)))
    connected_ev.read_now(station, evse)
    transaction = station.context.transactions.active_at(station.id, evse.number)
    if transaction is None:
        return {"status": Needs.no_charging_profile}
    transaction.bidirectional = evse.bidirectional
    station.context.persistence.later(station.context.persistence.record(transaction))
    station.spawn(negotiated_profile.initialise(station, evse))
    return {"status": Needs.accepted}


def pull_dynamic_schedule_update(station: Station, payload: Payload) -> Payload:
    """Respond with the present value of a dynamic profile (K28.FR.07, K28.FR.12)."""
    for evse in station.evses.values():
        profile = evse.setpoint_profile
        if profile is not None and profile.profile == payload["chargingProfileId"]:
            update = setpoint.update_of(station, evse, profile.mode, profile.power_w, profile.unit)
            return {"status": Generic.accepted, "scheduleUpdate": update}
    return {"status": Generic.rejected, "statusInfo": {"reasonCode": "InvalidProfile"}}


def notify_priority_charging(station: Station, payload: Payload) -> Payload:
    """Process priority charging (K21, K22): the driver overrides set-points; discharging is refused meanwhile."""
    transaction = station.context.transactions.get(station.id, payload["transactionId"])
    if transaction is not None and transaction.active:
        station.evse(transaction.evse).priority = payload["activated"]
    return {}


def notify_der_alarm(station: Station, payload: Payload) -> Payload:
    """Process the start or end of a DER control's action (R05). The message names no EVSE: it applies to all.

    A control that trips the inverter is a fault; one that only changes the power is recorded for operators.
    """
    kind = payload["controlType"]
    ended = payload.get("alarmEnded", False)
    text = str(payload.get("gridEventFault") or payload.get("extraInfo") or "")
    if ended:
        station.der.alarms.pop(kind, None)
    else:
        station.der.alarms[kind] = text
    if kind in TRIPS:
        faults.set_station(station, faults.der_control(kind), None if ended else f"DER:{kind}", text)
    return {}


def notify_report(station: Station, payload: Payload) -> Payload:
    """Process a part of the device model (B07); after the last one, read LimitMaxDischarge."""
    pending = station.inventory_request
    answer = device_model.notify_report(station, payload)
    complete = pending is not None and station.inventory_request is None
    if complete and any(name[0] in der.CONTROLLERS for name in station.variables):
        station.spawn(der.update_discharge_share(station))
    return answer


HANDLERS: Handlers = v201.HANDLERS | {
    Action.authorize: authorize,
    Action.close_periodic_event_stream: event_streams.closed,
    Action.notify_der_alarm: notify_der_alarm,
    Action.notify_der_start_stop: der.started_or_stopped,
    Action.notify_ev_charging_needs: notify_ev_charging_needs,
    Action.notify_monitoring_report: event_streams.monitoring_report,
    "NotifyPeriodicEventStream": event_streams.values_received,  # a SEND: `v21.Action` has calls only
    Action.notify_priority_charging: notify_priority_charging,
    Action.notify_report: notify_report,
    Action.open_periodic_event_stream: event_streams.opened,
    Action.pull_dynamic_schedule_update: pull_dynamic_schedule_update,
    Action.report_der_control: der.reported,
}
