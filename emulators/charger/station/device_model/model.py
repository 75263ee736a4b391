"""The device model of the emulated station: components and variables of 2.x, which 1.6 sees as configuration keys.

Who may change which, and how they are read and set (B05, B06); reports are in `device_report.py`. What a value does is
where it is used, or in `ocpp2_variables.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import isfinite
from typing import Any

Name = tuple[str, int, str, str]  # component, EVSE or 0, variable, instance
CONNECTOR = "Connector"  # each EVSE has one: number 1


@dataclass(slots=True)
class Variable:
    """One variable. `type` is OCPP's dataType; `secret` ones can be written and not read; `live` ones are measured."""

    stored: str
    type: str = "string"
    mutable: bool = False
    secret: bool = False
    unit: str | None = None
    low: float | None = None
    high: float | None = None
    values: tuple[str, ...] = ()
    persistent: bool = True
    live: Callable[[], object] | None = None

    @property
    def value(self) -> str:
        """What it is now."""
        return self.stored if self.live is None else as_text(self.live())

    @property
    def raw(self) -> object:
        """The same before it is written as text, for those who look often."""
        return self.stored if self.live is None else self.live()

    @property
    def numeric(self) -> bool:
        return self.type in ("integer", "decimal")


class DeviceModel:
    """All variables of one station. A component's own instance follows its name: `NetworkConfiguration#1`."""

    def __init__(self) -> None:
        self._variables: dict[Name, Variable] = {}

    def add(self, component: str, variable: str, value: object, **about: Any) -> None:
        """Add a variable; `evse` and `instance` place it, the rest is `Variable`'s. A function is a live value."""
        evse, instance = about.pop("evse", 0), about.pop("instance", "")
        live = value if callable(value) else None
        stored = "" if live is not None else as_text(value)
        self._variables[(component, evse, variable, instance)] = Variable(stored, live=live, **about)

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
        self._variables[(component, evse, variable, instance)].stored = as_text(value)

    def items(self) -> Iterator[tuple[Name, Variable]]:
        """All of them."""
        return iter(list(self._variables.items()))

    def find(self, name: Name) -> Variable | None:
        """One of them."""
        return self._variables.get(name)

    def knows(self, component: str, evse: int) -> bool:
        """Whether there is such a component."""
        return any((name, at) == (component, evse) for name, at, *_ in self._variables)

    # B05, B06

    def read(self, asked: dict[str, Any]) -> dict[str, Any]:
        """One GetVariableResult."""
        answer, found = self._asked(asked)
        if found is None:
            return answer
        if found.secret:
            return answer | {"attributeStatus": "Rejected"}
        return answer | {"attributeStatus": "Accepted", "attributeValue": found.value}

    def write(self, asked: dict[str, Any]) -> dict[str, Any]:
        """One SetVariableResult."""
        answer, found = self._asked(asked)
        if found is None:
            return answer
        if not found.mutable or not fits(found, asked["attributeValue"]):
            return answer | {"attributeStatus": "Rejected"}
        found.stored = asked["attributeValue"]
        return answer | {"attributeStatus": "Accepted"}

    def _asked(self, asked: dict[str, Any]) -> tuple[dict[str, Any], Variable | None]:
        """The head of an answer, and the variable; without one the answer says why."""
        answer: dict[str, Any] = {"component": asked["component"], "variable": asked["variable"]}
        if "attributeType" in asked:
            answer["attributeType"] = asked["attributeType"]
        name = name_of(asked["component"], asked["variable"])
        found = self._variables.get(name)
        if found is None or not connector_fits(asked["component"]):
            status = "UnknownVariable" if self.knows(name[0], name[1]) and found is None else "UnknownComponent"
            return answer | {"attributeStatus": status}, None
        if asked.get("attributeType", "Actual") != "Actual":
            return answer | {"attributeStatus": "NotSupportedAttributeType"}, None
        return answer, found


def fits(variable: Variable, value: str) -> bool:
    """Whether a text is a value of the variable's type and range."""
    if variable.type == "boolean":
        return value.lower() in ("true", "false")
    if variable.type in ("integer", "decimal"):
        try:
            number = int(value) if variable.type == "integer" else float(value)
        except ValueError:
            return False
        if "_" in value or not isfinite(number):  # Python reads more than OCPP does
            return False
        return (variable.low is None or number >= variable.low) and (variable.high is None or number <= variable.high)
    if variable.type == "OptionList":
        return value in variable.values
    if variable.type in ("MemberList", "SequenceList"):
        return all(member.strip() in variable.values for member in value.split(",") if member.strip())
    if variable.secret:
        return 16 <= len(value) <= 40
    return len(value) <= 2500


def name_of(component: dict[str, Any], variable: dict[str, Any] | None) -> Name:
    """The key of a ComponentType and a VariableType. Absent parts are 0 and empty."""
    own = component.get("instance", "")
    name = f"{component['name']}#{own}" if own else component["name"]
    evse = component.get("evse", {}).get("id", 0)
    variable = variable or {"name": ""}
    return name, evse, variable["name"], variable.get("instance", "")


def connector_fits(component: dict[str, Any]) -> bool:
    """Whether a connector is named only where there is one."""
    number = component.get("evse", {}).get("connectorId")
    return number is None or (component["name"] == CONNECTOR and number == 1)


def component_of(name: str, evse: int) -> dict[str, Any]:
    """The ComponentType of a key."""
    plain, _, own = name.partition("#")
    component: dict[str, Any] = {"name": plain}
    if own:
        component["instance"] = own
    if evse:
        component["evse"] = {"id": evse, "connectorId": 1} if plain == CONNECTOR else {"id": evse}
    return component


def variable_of(name: str, instance: str) -> dict[str, Any]:
    """The VariableType of a key."""
    return {"name": name, "instance": instance} if instance else {"name": name}


def as_text(value: object) -> str:
    """A value as OCPP writes it."""
    return str(value).lower() if isinstance(value, bool) else f"{value:g}" if isinstance(value, float) else str(value)
