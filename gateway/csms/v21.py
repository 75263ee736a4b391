"""What an OCPP 2.1 station says beyond 2.0.1: bidirectional needs, dynamic schedules, priority charging, DER events."""

from __future__ import annotations

from gateway.csms import der, device_model, event_streams, setpoint, v201
from gateway.csms.charging_needs import BIDIRECTIONAL, vehicle_needs
from gateway.csms.evse import Evse
from gateway.csms.station import Handlers, Station
from gateway.model.event import FaultCleared, FaultRaised, NeedsStated
from protocols.ocpp.schema import Payload

TRANSFERS = (
    "AC_single_phase",
    "AC_two_phase",
    "AC_three_phase",
    "DC",
    "AC_BPT",
    "AC_BPT_DER",
    "AC_DER",
    "DC_BPT",
    "DC_ACDP",
    "DC_ACDP_BPT",
    "WPT",
)
TRIPS = frozenset(
    {"HFMustTrip", "HVMustTrip", "LFMustTrip", "LVMustTrip", "HVMomCess", "LVMomCess", "PowerMonitoringMustTrip"}
)


def authorize(station: Station, payload: Payload) -> Payload:
    """Q01.FR.01, Q01.FR.08: what the vehicle may use, where the station can do V2X and we know it."""
    answer = v201.authorize(station, payload)
    token = station.context.tokens.get(payload["idToken"]["idToken"])
    listed = token.energy_transfer if token is not None else ()
    if not listed and station.context.settings.v2x_allowed:
        listed = TRANSFERS
    if answer["idTokenInfo"]["status"] == "Accepted" and listed and _v2x(station):
        answer["allowedEnergyTransfer"] = list(listed)
    return answer


def _v2x(station: Station) -> bool:
    return any(name[0] == "V2XChargingCtrlr" for name in station.variables)


def allowed_transfers(station: Station, evse: Evse) -> tuple[str, ...]:
    """The energy transfers that the running transaction may use."""
    transaction = station.context.transactions.active_at(station.id, evse.number)
    if transaction is not None and transaction.allowed:
        return transaction.allowed
    known = station.context.tokens.get(transaction.id_token or "") if transaction is not None else None
    if known is not None and known.energy_transfer:
        return known.energy_transfer
    return TRANSFERS if station.context.settings.v2x_allowed else tuple(t for t in TRANSFERS if "BPT" not in t)


def notify_ev_charging_needs(station: Station, payload: Payload) -> Payload:
    """Q01.FR.03-07, Q02.FR.01: a permitted transfer is Accepted, and a profile follows at once."""
    evse, needs = station.evse(payload["evseId"]), payload["chargingNeeds"]
    requested = needs["requestedEnergyTransfer"]
    if requested not in allowed_transfers(station, evse):
        return {"status": "Rejected", "statusInfo": {"reasonCode": "NotAllowed"}}
    evse.bidirectional = requested in BIDIRECTIONAL
    stated = vehicle_needs(needs)
    station.context.report(NeedsStated(evse.name, station.context.clock.now(), stated))
    if station.context.transactions.active_at(station.id, evse.number) is None:
        return {"status": "NoChargingProfile"}
    station.later(setpoint.prime(station, evse))
    return {"status": "Accepted"}


def pull_dynamic_schedule_update(station: Station, payload: Payload) -> Payload:
    """K28.FR.07, K28.FR.12: the value that the profile shall have now."""
    for evse in station.evses.values():
        held = evse.installed
        if held is not None and held.profile == payload["chargingProfileId"]:
            return {"status": "Accepted", "scheduleUpdate": setpoint.update_of(held.mode, held.power_w)}
    return {"status": "Rejected", "statusInfo": {"reasonCode": "InvalidProfile"}}


def notify_priority_charging(station: Station, payload: Payload) -> Payload:
    """K21, K22: the driver wants to charge; no set-point is obeyed while it is so."""
    transaction = station.context.transactions.get(station.id, payload["transactionId"])
    if transaction is not None and transaction.active:
        station.evse(transaction.evse).priority = payload["activated"]
    return {}


def notify_der_alarm(station: Station, payload: Payload) -> Payload:
    """R05: the grid's rules have taken over, or let go. The message names no EVSE, so it holds for all.

    A control that trips the inverter is a fault; one that only bends the power is not, and is kept for who asks why.
    """
    kind, now = payload["controlType"], station.context.clock.now()
    ended = payload.get("alarmEnded", False)
    text = str(payload.get("gridEventFault") or payload.get("extraInfo") or "")
    if ended:
        station.der_alarms.pop(kind, None)
    else:
        station.der_alarms[kind] = text
    if kind in TRIPS:
        for evse in station.evses.values():
            code = f"DER:{kind}"
            event = FaultCleared(evse.name, now, code) if ended else FaultRaised(evse.name, now, code, text)
            station.context.report(event)
    return {}


def notify_report(station: Station, payload: Payload) -> Payload:
    """B07; and once the inventory is whole, the cap that the grid's rules put on discharging."""
    asked = station.reporting
    answer = device_model.notify_report(station, payload)
    if asked is not None and station.reporting is None and any(n[0] == "DCDERCtrlr" for n in station.variables):
        station.later(der.learn_cap(station))
    return answer


HANDLERS: Handlers = v201.HANDLERS | {
    "Authorize": authorize,
    "ClosePeriodicEventStream": event_streams.closed,
    "NotifyDERAlarm": notify_der_alarm,
    "NotifyDERStartStop": v201.taken,
    "NotifyEVChargingNeeds": notify_ev_charging_needs,
    "NotifyMonitoringReport": event_streams.monitoring_report,
    "NotifyPeriodicEventStream": event_streams.sent,
    "NotifyPriorityCharging": notify_priority_charging,
    "NotifyReport": notify_report,
    "OpenPeriodicEventStream": event_streams.opened,
    "PullDynamicScheduleUpdate": pull_dynamic_schedule_update,
    "ReportDERControl": der.reported,
}
