"""Reports of the device model: which variables a request asks for, and how they are said (B07, B08)."""

from __future__ import annotations

from typing import Any

from emulators.charger.station.device_model.model import (
    DeviceModel,
    Name,
    Variable,
    component_of,
    connector_fits,
    variable_of,
)

SUMMARY = frozenset({"ChargingStation", "EVSE", "Connector"})
CRITERIA = {"Active": True, "Available": True, "Enabled": True, "Problem": False}  # and what counts where it is absent


def base(model: DeviceModel, kind: str) -> list[dict[str, Any]]:
    """B07: the ReportDataType of what a report base names."""
    return [
        entry(name, variable)
        for name, variable in model.items()
        if not (kind == "SummaryInventory" and name[0] not in SUMMARY)
        and not (kind == "ConfigurationInventory" and not variable.mutable)
    ]


def select(model: DeviceModel, asked: list[dict[str, Any]], criteria: list[str]) -> list[dict[str, Any]]:
    """B08: what matches one of the component-variables (any without) and one of the criteria (any without)."""
    return [
        entry(name, variable)
        for name, variable in model.items()
        if (not asked or any(matches(name, one["component"], one.get("variable")) for one in asked))
        and (not criteria or any(_meets(model, name, one) for one in criteria))
    ]


def matches(name: Name, component: dict[str, Any], variable: dict[str, Any] | None) -> bool:
    """Whether a variable is meant; what the request leaves out matches anything (B08.FR.20-25)."""
    plain, _, own = name[0].partition("#")
    if plain != component["name"] or not connector_fits(component):
        return False
    if component.get("instance") not in (None, own) or component.get("evse", {}).get("id", name[1]) != name[1]:
        return False
    return variable is None or (variable["name"] == name[2] and variable.get("instance", name[3]) == name[3])


def _meets(model: DeviceModel, name: Name, criterion: str) -> bool:
    found = model.find((name[0], name[1], criterion, ""))
    return CRITERIA[criterion] if found is None else found.value == "true"


def entry(name: Name, variable: Variable) -> dict[str, Any]:
    """ReportDataType."""
    attribute: dict[str, Any] = {
        "type": "Actual",
        "mutability": "WriteOnly" if variable.secret else "ReadWrite" if variable.mutable else "ReadOnly",
        "persistent": variable.persistent,
    }
    if not variable.secret:
        attribute["value"] = variable.value
    about: dict[str, Any] = {"dataType": variable.type, "supportsMonitoring": True}
    for key, value in (("unit", variable.unit), ("minLimit", variable.low), ("maxLimit", variable.high)):
        if value is not None:
            about[key] = value
    if variable.values:
        about["valuesList"] = ",".join(variable.values)
    return {
        "component": component_of(name[0], name[1]),
        "variable": variable_of(name[2], name[3]),
        "variableAttribute": [attribute],
        "variableCharacteristics": about,
    }
