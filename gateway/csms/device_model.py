"""Device model of a 2.x station: requested after a boot, stored as far as the gateway uses it; problems as faults."""

from __future__ import annotations

from gateway.csms import evse_events, faults, outcomes, reports, sampling
from gateway.csms.charging_profile import allow_units
from gateway.csms.reported_variables import RESTORED
from gateway.csms.station import Station
from protocols.ocpp.enums import v21
from protocols.ocpp.schema import Payload

# Components that sessions, set-points or the operator's page use; the rest of a full inventory is not stored.
STORED_COMPONENTS = frozenset(
    {
        "EVSE",
        "V2XChargingCtrlr",
        "SmartChargingCtrlr",
        "ISO15118Ctrlr",
        "ConnectedEV",
        "DCDERCtrlr",
        "ACDERCtrlr",
        "SecurityCtrlr",
    }
)

# A problem of these is a fault of their EVSE, or without one of the station; one of a lamp or a display is not.
# Names of components and variables are compared without case (identifierString).
POWER_COMPONENTS = {
    name.casefold(): name
    for name in (
        "AcDcConverter",
        "CableBreakawaySensor",
        "ChargingStation",
        "Connector",
        "ElectricalFeed",
        "EmergencyStopSensor",
        "EVSE",
        "GroundIsolationProtection",
        "OverCurrentBreaker",
        "OverCurrentProtection",
        "PowerContactor",
        "RCD",
        "UpstreamProtectionTrigger",
    )
}
AVAILABILITY_COMPONENTS = frozenset({"chargingstation", "evse", "connector"})

ACTUAL = v21.AttributeEnumType.actual
PROBLEM = "Problem"
FAULTS = {name.casefold(): name for name in ("Problem", "Tripped")}  # variables


async def request_inventory(station: Station) -> None:
    """Request the whole device model (B07), which arrives as NotifyReport; then check transactions and sampling."""
    request = station.next_request_id()
    station.expect_inventory(request)
    body = {"requestId": request, "reportBase": v21.ReportBaseEnumType.full_inventory}
    answer = await station.request(v21.Action.get_base_report, body)
    if answer is None or answer["status"] != outcomes.ACCEPTED:
        station.expect_inventory(None)
    await end_lost_transactions(station)
    await sampling.configure(station)


async def end_lost_transactions(station: Station) -> None:
    """Query the transactions that seem active (E14); the end of one that is unknown to the station was lost."""
    for transaction in station.context.transactions.active_of(station.id):
        answer = await station.request(v21.Action.get_transaction_status, {"transactionId": transaction.id})
        if answer is not None and answer.get("ongoingIndicator") is False and not answer["messagesInQueue"]:
            evse_events.presume_ended(station, transaction, "its end was lost")


def notify_report(station: Station, payload: Payload) -> Payload:
    """Process a part of the device model (B07, B08)."""
    reports.received(station, payload)
    for entry in payload.get("reportData", ()):
        component, variable = entry["component"], entry["variable"]
        if variable["name"].casefold() in FAULTS and component["name"].casefold() in POWER_COMPONENTS:
            for attribute in entry["variableAttribute"]:
                if attribute.get("type", ACTUAL) == ACTUAL and "value" in attribute:
                    _fault_changed(station, component, variable, attribute["value"], {})
            continue
        if component["name"] not in STORED_COMPONENTS:
            continue
        number = component.get("evse", {}).get("id", 0)
        name = (component["name"], number, variable["name"], variable.get("instance", ""))
        limit = entry.get("variableCharacteristics", {}).get("maxLimit")
        for attribute in entry["variableAttribute"]:
            if attribute.get("type", ACTUAL) == ACTUAL:
                station.set_variable(name, attribute.get("value", ""), limit)
        if component["name"] == "EVSE" and number:
            station.evse(number)
    if not payload.get("tbc", False) and payload["requestId"] == station.inventory_request:
        station.expect_inventory(None)
        if (units := station.variable("SmartChargingCtrlr", "RateUnit")) is not None:
            allow_units(station, units)
        station.describe_all()
        station.save()
    return {}


def notify_event(station: Station, payload: Payload) -> Payload:
    """Process changed variables (N07)."""
    for event in payload["eventData"]:
        variable_changed(station, event["component"], event["variable"], event["actualValue"], event)
    return {}


def variable_changed(
    station: Station, component: Payload, variable: Payload, value: str, event: Payload | None = None
) -> None:
    """Process the new value of a variable, of an event or a stream.

    A component's problem is a fault of its EVSE, or without one of the station. AvailabilityState stands in 2.1 for
    StatusNotification.
    """
    place, event = component.get("evse", {}), event or {}
    number, name = place.get("id", 0), component["name"].casefold()
    if variable["name"].casefold() in FAULTS and name in POWER_COMPONENTS:
        _fault_changed(station, component, variable, value, event)
    elif variable["name"].casefold() == "availabilitystate" and name in AVAILABILITY_COMPONENTS:
        evse_events.availability(station, number, place.get("connectorId") if name == "connector" else None, value)
    elif component["name"] in STORED_COMPONENTS:
        station.set_variable((component["name"], number, variable["name"], variable.get("instance", "")), value)
        if component["name"] in RESTORED:
            station.save()


def _fault_changed(station: Station, component: Payload, variable: Payload, value: str, event: Payload) -> None:
    place = component.get("evse", {})
    number = place.get("id", 0)
    active = value.casefold() in ("true", "1") and not event.get("cleared", False)
    code = event.get("techCode", PROBLEM) if active else None
    text = event.get("techInfo", "") or component["name"]
    names = (component["name"], component.get("instance", ""), str(place.get("connectorId", "")), variable["name"])
    source = tuple(name.casefold() for name in names)
    if number > 0:
        faults.set_evse(station, station.evse(number), source, code, text)
    else:
        faults.set_station(station, source, code, text)
