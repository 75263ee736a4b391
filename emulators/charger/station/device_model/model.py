"""Device model of an emulated station: components and variables of 2.x, configuration keys of 1.6.

Reading and writing by the CSMS follows B05 and B06; reports are in `report.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from math import isfinite
from typing import TypedDict, Unpack

from emulators.charger.station.store import SavedRow
from protocols.ocpp.enums import v21
from protocols.ocpp.schema import Payload

Name = tuple[str, int, str, str]  # component, EVSE or 0, variable, instance
ACTUAL = "Actual"  # type of attribute
CONNECTOR = "Connector"  # each EVSE has one: number 1


class Characteristics(TypedDict, total=False):
    """Characteristics of a variable, as in `Variable`."""

    type: str
    mutable: bool
    secret: bool
    unit: str | None
    low: float | None
    high: float | None
    values: tuple[str, ...]


@dataclass(slots=True)
class Variable:
    """One variable. `type` is OCPP's dataType; `secret` variables are write-only, `live` ones are measured."""

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
    attributes: dict[str, str] = field(default_factory=dict)  # values of attributes besides Actual, by type

    @property
    def value(self) -> str:
        """Current value as text."""
        return self.stored if self.live is None else as_text(self.live())

    @property
    def raw(self) -> object:
        """Current value before its conversion to text."""
        return self.stored if self.live is None else self.live()

    @property
    def numeric(self) -> bool:
        """True for an integer or decimal."""
        return self.type in ("integer", "decimal")


class DeviceModel:
    """All variables of one station. The instance of a component follows its name: `NetworkConfiguration#1`."""

    def __init__(self) -> None:
        self._variables: dict[Name, Variable] = {}

    def add(
        self,
        component: str,
        variable: str,
        value: object,
        *,
        evse: int = 0,
        instance: str = "",
        **about: Unpack[Characteristics],
    ) -> None:
        """Add a variable. A callable is a live value."""
        live = value if callable(value) else None
        stored = "" if live is not None else as_text(value)
        self._variables[(component, evse, variable, instance)] = Variable(stored, live=live, **about)

    def get(self, component: str, variable: str, evse: int = 0, instance: str = "") -> str | None:
        """Return a value, None if the variable does not exist."""
        found = self._variables.get((component, evse, variable, instance))
        return None if found is None else found.value

    def number(self, component: str, variable: str, default: float, evse: int = 0, instance: str = "") -> float:
        """Return a value as a number."""
        try:
            return float(self.get(component, variable, evse, instance) or default)
        except ValueError:
            return default

    def truth(self, component: str, variable: str, default: bool = False) -> bool:
        """Return a value as a boolean."""
        value = self.get(component, variable)
        return default if value is None else value.lower() == "true"

    def put(self, component: str, variable: str, value: object, evse: int = 0, instance: str = "") -> None:
        """Set a value from inside the station, whether mutable or not."""
        self._variables[(component, evse, variable, instance)].stored = as_text(value)

    def items(self) -> Iterator[tuple[Name, Variable]]:
        """Iterate over all variables."""
        return iter(list(self._variables.items()))

    def find(self, name: Name) -> Variable | None:
        """Return one variable, None if it does not exist."""
        return self._variables.get(name)

    def has_component(self, component: str, evse: int) -> bool:
        """Return True if the component exists."""
        return any((name, at) == (component, evse) for name, at, *_ in self._variables)

    def saved(self) -> list[SavedRow]:
        """Return the stored form: persistent values that a CSMS can change."""
        return [[*name, v.stored] for name, v in self.items() if v.mutable and v.persistent and v.live is None]

    def restore(self, saved: list[SavedRow]) -> None:
        """Restore the stored form; values of variables that no longer exist are ignored."""
        for component, evse, variable, instance, value in saved:
            found = self.find((component, evse, variable, instance))
            if found is not None and found.mutable and found.live is None:
                found.stored = value

    # B05, B06

    def read(self, data: Payload) -> Payload:
        """Return the GetVariableResult of one GetVariableData."""
        result, found = self._find(data)
        if found is None:
            return result
        kind = data.get("attributeType", ACTUAL)
        if kind != ACTUAL:
            value = found.attributes[kind]
            return result | {"attributeStatus": v21.GetVariableStatusEnumType.accepted, "attributeValue": value}
        if found.secret:
            return result | {"attributeStatus": v21.GetVariableStatusEnumType.rejected}
        return result | {"attributeStatus": v21.GetVariableStatusEnumType.accepted, "attributeValue": found.value}

    def write(self, data: Payload) -> Payload:
        """Apply one SetVariableData; return its SetVariableResult."""
        result, found = self._find(data)
        if found is None:
            return result
        if data.get("attributeType", ACTUAL) != ACTUAL or not found.mutable or not fits(found, data["attributeValue"]):
            return result | {"attributeStatus": v21.SetVariableStatusEnumType.rejected}
        found.stored = data["attributeValue"]
        return result | {"attributeStatus": v21.SetVariableStatusEnumType.accepted}

    def _find(self, data: Payload) -> tuple[Payload, Variable | None]:
        """Return the common part of a result and the variable; without one the result states the reason."""
        result: Payload = {"component": data["component"], "variable": data["variable"]}
        if "attributeType" in data:
            result["attributeType"] = data["attributeType"]
        name = name_of(data["component"], data["variable"])
        found = self._variables.get(name)
        if found is None or not connector_fits(data["component"]):
            known, statuses = self.has_component(name[0], name[1]) and found is None, v21.SetVariableStatusEnumType
            return result | {
                "attributeStatus": statuses.unknown_variable if known else statuses.unknown_component
            }, None
        if data.get("attributeType", ACTUAL) not in (ACTUAL, *found.attributes):
            return result | {"attributeStatus": v21.SetVariableStatusEnumType.not_supported_attribute_type}, None
        return result, found


def fits(variable: Variable, value: str) -> bool:
    """Return True if a text is a value of the variable's type and range."""
    if variable.type == "boolean":
        return value.lower() in ("true", "false")
    if variable.type in ("integer", "decimal"):
        try:
            number = int(value) if variable.type == "integer" else float(value)
        except ValueError:
            return False
        if "_" in value or not isfinite(number):  # Python accepts more than OCPP does
            return False
        return (variable.low is None or number >= variable.low) and (variable.high is None or number <= variable.high)
    if variable.type == "OptionList":
        return value in variable.values
    if variable.type in ("MemberList", "SequenceList"):
        return all(member.strip() in variable.values for member in value.split(",") if member.strip())
    if variable.secret:
        return 16 <= len(value) <= 40
    return len(value) <= 2500


def name_of(component: Payload, variable: Payload | None) -> Name:
    """Return the key of a ComponentType and a VariableType. Absent parts are 0 and empty."""
    own = component.get("instance", "")
    name = f"{component['name']}#{own}" if own else component["name"]
    evse = component.get("evse", {}).get("id", 0)
    variable = variable or {"name": ""}
    return name, evse, variable["name"], variable.get("instance", "")


def connector_fits(component: Payload) -> bool:
    """Return False if the component names a connector that does not exist."""
    number = component.get("evse", {}).get("connectorId")
    return number is None or (component["name"] == CONNECTOR and number == 1)


def component_of(name: str, evse: int) -> Payload:
    """Return the ComponentType of a key."""
    plain, _, own = name.partition("#")
    component: Payload = {"name": plain}
    if own:
        component["instance"] = own
    if evse:
        component["evse"] = {"id": evse, "connectorId": 1} if plain == CONNECTOR else {"id": evse}
    return component


def variable_of(name: str, instance: str) -> Payload:
    """Return the VariableType of a key."""
    return {"name": name, "instance": instance} if instance else {"name": name}


def as_text(value: object) -> str:
    """Return a value in OCPP's notation."""
    return str(value).lower() if isinstance(value, bool) else f"{value:g}" if isinstance(value, float) else str(value)
