"""Request the state of recorded faults from a connecting station: they may have ended while it was disconnected."""

from __future__ import annotations

from gateway.csms import device_model, outcomes
from gateway.csms.evse import FaultSource
from gateway.csms.registration import Trigger
from gateway.csms.station import Station
from protocols.ocpp.enums import v21
from protocols.ocpp.schema import Payload, Version

MOST_VARIABLES = 20  # of one GetVariables


async def check(station: Station) -> None:
    """Request the states behind the known faults; one that is over ends its fault."""
    if station.version is Version.V16:
        await station.request(v21.Action.trigger_message, {"requestedMessage": Trigger.status_notification})
        return
    known = [(0, source) for source in station.faults]
    known += [(evse.number, source) for evse in station.evses.values() for source in evse.faults]
    data = [one for number, source in known if (one := _variable(number, source)) is not None]
    for start in range(0, len(data), MOST_VARIABLES):
        part = data[start : start + MOST_VARIABLES]
        answer = await station.request(v21.Action.get_variables, {"getVariableData": part}) or {}
        for result in answer.get("getVariableResult", ()):
            if result["attributeStatus"] == outcomes.ACCEPTED:
                value = result.get("attributeValue", "")
                device_model.variable_changed(station, result["component"], result["variable"], value)


def _variable(evse: int, source: FaultSource) -> Payload | None:
    """Return the variable that reports a fault; None for the alarm of a DER control, which has none."""
    match source:
        case ("AvailabilityState",):
            component: Payload = {"name": "EVSE", "evse": {"id": evse}} if evse else {"name": "ChargingStation"}
            return {"component": component, "variable": {"name": "AvailabilityState"}}
        case ("connector", number):
            component = {"name": "Connector", "evse": {"id": evse, "connectorId": int(number)}}
            return {"component": component, "variable": {"name": "AvailabilityState"}}
        case (name, instance, connector, variable):
            component = {"name": device_model.POWER_COMPONENTS.get(name, name)}
            component |= {"instance": instance} if instance else {}
            if evse:
                component["evse"] = {"id": evse} | ({"connectorId": int(connector)} if connector else {})
            return {"component": component, "variable": {"name": device_model.FAULTS.get(variable, variable)}}
    return None
