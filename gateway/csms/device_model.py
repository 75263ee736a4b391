"""The device model of a 2.x station: asked for after a boot, kept as far as somebody asks for it, and its problems."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gateway.csms import evse_events, sampling
from gateway.csms.station import Station
from protocols.ocpp.schema import Payload

# What a session, a set-point or an operator's page may ask for; the rest of a full inventory is not kept.
KEPT_COMPONENTS = frozenset(
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

# A problem of these stops the power of their EVSE; one of a lamp or a display does not.
POWER_COMPONENTS = frozenset(
    {
        "CableBreakawaySensor",
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
    }
)

PROBLEM = "Problem"


async def take_stock(station: Station) -> None:
    """Ask for the whole device model (B07); what it says comes as NotifyReport."""
    station.reporting = station.next_request()
    answer = await station.ask("GetBaseReport", {"requestId": station.reporting, "reportBase": "FullInventory"})
    if answer is None or answer["status"] != "Accepted":
        station.reporting = None
    await close_lost(station)
    await sampling.ensure(station)


async def close_lost(station: Station) -> None:
    """Ask after transactions that we believe to run (E14); a station that does not know them has lost their end."""
    for transaction in station.context.transactions.active_of(station.id):
        answer = await station.ask("GetTransactionStatus", {"transactionId": transaction.id})
        if answer is not None and answer.get("ongoingIndicator") is False and not answer["messagesInQueue"]:
            evse_events.presume_ended(station, transaction, "its end was lost")


def notify_report(station: Station, payload: Payload) -> Payload:
    """B07, B08: the device model in parts."""
    for entry in payload.get("reportData", ()):
        component, variable = entry["component"], entry["variable"]
        if component["name"] not in KEPT_COMPONENTS:
            continue
        number = component.get("evse", {}).get("id", 0)
        name = (component["name"], number, variable["name"], variable.get("instance", ""))
        limit = entry.get("variableCharacteristics", {}).get("maxLimit")
        for attribute in entry["variableAttribute"]:
            if attribute.get("type", "Actual") == "Actual":
                station.remember(name, attribute.get("value", ""), limit)
        if component["name"] == "EVSE" and number:
            station.evse(number)
    if not payload.get("tbc", False) and payload["requestId"] == station.reporting:
        station.reporting = None
        for evse in station.evses.values():
            station.describe(evse)
    return {}


def notify_event(station: Station, payload: Payload) -> Payload:
    """N07."""
    for event in payload["eventData"]:
        changed(station, event["component"], event["variable"], event["actualValue"], event)
    return {}


def changed(
    station: Station, component: Payload, variable: Payload, value: str, event: Mapping[str, Any] | None = None
) -> None:
    """A variable has a new value, by an event or a stream. A component that has a problem is a fault of its EVSE."""
    number, event = component.get("evse", {}).get("id", 0), event or {}
    if variable["name"] == PROBLEM and number and component["name"] in POWER_COMPONENTS:
        on = value.lower() == "true" and not event.get("cleared", False)
        text = event.get("techInfo", "") or component["name"]
        evse_events.fault(station, station.evse(number), event.get("techCode", PROBLEM) if on else None, text)
    elif component["name"] in KEPT_COMPONENTS:
        station.remember((component["name"], number, variable["name"], variable.get("instance", "")), value)
