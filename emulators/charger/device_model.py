"""The device model of the emulated station: components and variables of 2.x, which 1.6 sees as configuration keys.

The values it starts with, who may change which, and how they are read, set and reported (B05-B08). What a value does is
where it is used.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

Name = tuple[str, int, str, str]  # component, EVSE or 0, variable, instance


@dataclass(slots=True)
class Variable:
    """One variable. `type` is OCPP's dataType; `secret` ones can be written and not read."""

    value: str
    type: str = "string"
    mutable: bool = False
    secret: bool = False
    unit: str | None = None
    low: float | None = None
    high: float | None = None
    values: tuple[str, ...] = ()
    persistent: bool = True


class DeviceModel:
    """All variables of one station."""

    def __init__(self) -> None:
        self._variables: dict[Name, Variable] = {}

    def add(self, component: str, variable: str, value: object, **about: Any) -> None:
        """Add a variable; `evse` and `instance` place it, the rest is `Variable`'s."""
        evse, instance = about.pop("evse", 0), about.pop("instance", "")
        self._variables[(component, evse, variable, instance)] = Variable(_text(value), **about)

    def get(self, component: str, variable: str, evse: int = 0, instance: str = "") -> str | None:
        """The value, None where there is no such variable."""
        found = self._variables.get((component, evse, variable, instance))
        return None if found is None else found.value

    def number(self, component: str, variable: str, default: float, evse: int = 0, instance: str = "") -> float:
        """The value as a number."""
        try:
            return float(self.get(component, variable, evse, instance) or default)
        except ValueError:
            return default

    def truth(self, component: str, variable: str, default: bool = False) -> bool:
        """The value as a boolean."""
        value = self.get(component, variable)
        return default if value is None else value.lower() == "true"

    def put(self, component: str, variable: str, value: object, evse: int = 0, instance: str = "") -> None:
        """Change a value from inside; mutability does not matter."""
        self._variables[(component, evse, variable, instance)].value = _text(value)

    def items(self) -> Iterator[tuple[Name, Variable]]:
        """All of them."""
        return iter(list(self._variables.items()))

    # B05, B06

    def read(self, asked: dict[str, Any]) -> dict[str, Any]:
        """One GetVariableResult."""
        name = _name(asked)
        answer: dict[str, Any] = {"component": asked["component"], "variable": asked["variable"]}
        if "attributeType" in asked:
            answer["attributeType"] = asked["attributeType"]
        found = self._variables.get(name)
        if found is None:
            known = any(component == name[0] for component, *_ in self._variables)
            return answer | {"attributeStatus": "UnknownVariable" if known else "UnknownComponent"}
        if asked.get("attributeType", "Actual") != "Actual":
            return answer | {"attributeStatus": "NotSupportedAttributeType"}
        if found.secret:
            return answer | {"attributeStatus": "Rejected"}
        return answer | {"attributeStatus": "Accepted", "attributeValue": found.value}

    def write(self, asked: dict[str, Any]) -> dict[str, Any]:
        """One SetVariableResult."""
        name = _name(asked)
        answer: dict[str, Any] = {"component": asked["component"], "variable": asked["variable"]}
        if "attributeType" in asked:
            answer["attributeType"] = asked["attributeType"]
        found = self._variables.get(name)
        if found is None:
            known = any(component == name[0] for component, *_ in self._variables)
            return answer | {"attributeStatus": "UnknownVariable" if known else "UnknownComponent"}
        if asked.get("attributeType", "Actual") != "Actual":
            return answer | {"attributeStatus": "NotSupportedAttributeType"}
        if not found.mutable or not fits(found, asked["attributeValue"]):
            return answer | {"attributeStatus": "Rejected"}
        found.value = asked["attributeValue"]
        return answer | {"attributeStatus": "Accepted"}

    # B07, B08

    def report(self, mutable_only: bool = False, components: set[str] | None = None) -> list[dict[str, Any]]:
        """ReportDataType of every variable that is asked for."""
        entries = []
        for (component, evse, variable, instance), found in self._variables.items():
            if (mutable_only and not found.mutable) or (components is not None and component not in components):
                continue
            where: dict[str, Any] = {"name": component}
            if evse:
                where["evse"] = {"id": evse}
            what = {"name": variable} | ({"instance": instance} if instance else {})
            attribute: dict[str, Any] = {
                "type": "Actual",
                "mutability": "WriteOnly" if found.secret else "ReadWrite" if found.mutable else "ReadOnly",
                "persistent": found.persistent,
            }
            if not found.secret:
                attribute["value"] = found.value
            about: dict[str, Any] = {"dataType": found.type, "supportsMonitoring": False}
            for key, value in (("unit", found.unit), ("minLimit", found.low), ("maxLimit", found.high)):
                if value is not None:
                    about[key] = value
            if found.values:
                about["valuesList"] = ",".join(found.values)
            entries.append(
                {
                    "component": where,
                    "variable": what,
                    "variableAttribute": [attribute],
                    "variableCharacteristics": about,
                }
            )
        return entries


def fits(variable: Variable, value: str) -> bool:
    """Whether a text is a value of the variable's type and range."""
    if variable.type == "boolean":
        return value.lower() in ("true", "false")
    if variable.type in ("integer", "decimal"):
        try:
            number = int(value) if variable.type == "integer" else float(value)
        except ValueError:
            return False
        return (variable.low is None or number >= variable.low) and (variable.high is None or number <= variable.high)
    if variable.type == "OptionList":
        return value in variable.values
    if variable.type == "MemberList":
        return all(member.strip() in variable.values for member in value.split(",") if member.strip())
    if variable.secret:
        return 16 <= len(value) <= 40
    return len(value) <= 2500


def _name(asked: dict[str, Any]) -> Name:
    component, variable = asked["component"], asked["variable"]
    evse = component.get("evse", {}).get("id", 0)
    return component["name"], evse, variable["name"], variable.get("instance", "")


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else f"{value:g}" if isinstance(value, float) else str(value)
