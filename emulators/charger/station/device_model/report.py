"""Reports of the device model (B07, B08)."""

from __future__ import annotations

from emulators.charger.station.device_model.model import (
    DeviceModel,
    Name,
    Variable,
    component_of,
    connector_fits,
    variable_of,
)
from protocols.ocpp.schema import Payload

SUMMARY = frozenset({"ChargingStation", "EVSE", "Connector"})
# criteria with the value of a component without the variable
CRITERIA = {"Active": True, "Available": True, "Enabled": True, "Problem": False}


def base(model: DeviceModel, kind: str) -> list[tuple[Name, Variable]]:
    """Return all variables of a report base (B07)."""
    return [
        (name, variable)
        for name, variable in model.items()
        if not (kind == "SummaryInventory" and name[0] not in SUMMARY)
        and not (kind == "ConfigurationInventory" and not variable.mutable)
    ]


def select(model: DeviceModel, requested: list[Payload], criteria: list[str]) -> list[tuple[Name, Variable]]:
    """Return the variables that match the given component-variables and criteria (B08)."""
    return [
        (name, variable)
        for name, variable in model.items()
        if (not requested or any(matches(name, one["component"], one.get("variable")) for one in requested))
        and (not criteria or any(_meets(model, name, one) for one in criteria))
    ]


def matches(name: Name, component: Payload, variable: Payload | None) -> bool:
    """Return True if a variable matches; absent parts of a request match anything (B08.FR.20-25)."""
    plain, _, own = name[0].partition("#")
    if plain != component["name"] or not connector_fits(component):
        return False
    if component.get("instance") not in (None, own) or component.get("evse", {}).get("id", name[1]) != name[1]:
        return False
    return variable is None or (variable["name"] == name[2] and variable.get("instance", name[3]) == name[3])


def _meets(model: DeviceModel, name: Name, criterion: str) -> bool:
    found = model.find((name[0], name[1], criterion, ""))
    return CRITERIA[criterion] if found is None else found.value == "true"


def entry(found: tuple[Name, Variable]) -> Payload:
    """Return ReportDataType of one variable."""
    name, variable = found
    attribute: Payload = {
        "type": "Actual",
        "mutability": "WriteOnly" if variable.secret else "ReadWrite" if variable.mutable else "ReadOnly",
        "persistent": variable.persistent,
    }
    if not variable.secret:
        attribute["value"] = variable.value
    others: list[Payload] = [
        {"type": kind, "value": value, "mutability": "ReadOnly", "persistent": False}
        for kind, value in variable.attributes.items()
    ]
    about: Payload = {"dataType": variable.type, "supportsMonitoring": True}
    for key, value in (("unit", variable.unit), ("minLimit", variable.low), ("maxLimit", variable.high)):
        if value is not None:
            about[key] = value
    if variable.values:
        about["valuesList"] = ",".join(variable.values)
    return {
        "component": component_of(name[0], name[1]),
        "variable": variable_of(name[2], name[3]),
        "variableAttribute": [attribute, *others],
        "variableCharacteristics": about,
    }
