"""Actions, statuses and other enumerated values of OCPP are named by the enumerations of the `ocpp` package.

A text that equals a value of an enumeration of 1.6 or 2.1 is found wherever it stands in the code; prose is never equal
to one. Names of components and variables (2.x) are no enumerations in OCPP 2.1: some equal a value by chance.

The CSMS names every value so, the emulated station the actions. The conformance suite is left out on purpose: its cases
state what is on the wire in the words of the test case documents, so that a wrong name in the package fails them.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from enum import Enum
from types import ModuleType

import pytest

from protocols.ocpp.enums import v16, v21
from tests.source_tree import modules

VARIABLE = "name of a variable, which is no enumeration in OCPP"
VENDOR_UNIT = "unit of a vendor profile, whose model declares its literals: kW is none of OCPP"
ALLOWED = {
    ("gateway/csms/capabilities.py", "Enabled"): VARIABLE,
    ("gateway/csms/charging_profile.py", "A"): VENDOR_UNIT,
    ("gateway/csms/connected_ev.py", "Available"): VARIABLE,
    ("gateway/csms/device_model.py", "Problem"): VARIABLE,
    ("gateway/csms/sampled_values.py", "kvar"): "unit in lower case, for stations that do not keep to its case",
    ("gateway/csms/operator_calls.py", "Actual"): "attribute of an operation, whose model declares its literals",
    ("gateway/csms/setpoint.py", "A"): VENDOR_UNIT,
}


def enumerated(*versions: ModuleType) -> frozenset[str]:
    """Return the values of all enumerations of OCPP versions."""
    kinds = (kind for version in versions for kind in vars(version).values())
    return frozenset(
        str(one.value) for kind in kinds if isinstance(kind, type) and issubclass(kind, Enum) for one in kind
    )


VALUES = enumerated(v16, v21)
ACTIONS = frozenset(str(one.value) for version in (v16, v21) for one in version.Action)
NO_ACTIONS = {  # names of variables and of their instances
    ("emulators/charger/station/device_model/settings.py", "TransactionEvent"),
    *(
        ("emulators/charger/station/device_model/variables.py", name)
        for name in ("ClearVariableMonitoring", "GetReport", "GetVariables", "Heartbeat", "SetVariableMonitoring")
    ),
    ("emulators/charger/station/device_model/variables.py", "SetVariables"),
    ("emulators/charger/station/device_model/variables.py", "TransactionEvent"),
}


def literals(tree: ast.Module, values: frozenset[str] = VALUES) -> Iterator[tuple[int, str]]:
    """Yield line and text of each literal that equals one of the enumerated values."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value in values:
            yield node.lineno, node.value


def test_the_emulated_station_names_actions_of_ocpp_by_their_enumeration() -> None:
    parsed = modules("emulators/charger", "protocols/ocpp")
    found = {(name, text) for name, tree in parsed for _, text in literals(tree, ACTIONS)}
    assert found == NO_ACTIONS


def test_the_csms_names_values_of_ocpp_by_their_enumerations() -> None:
    found = [(name, line, text) for name, tree in modules("gateway/csms") for line, text in literals(tree)]
    assert [one for one in found if (one[0], one[2]) not in ALLOWED] == []
    assert {(name, text) for name, _, text in found} == set(ALLOWED), "an exception that no code needs any more"


@pytest.mark.parametrize(
    ("code", "texts"),
    [
        ('await station.call("SetChargingProfile", body)', ["SetChargingProfile"]),
        ('HANDLERS = {"BootNotification": boot}', ["BootNotification"]),
        ('match action:\n    case "ChangeConfiguration":\n        pass', ["ChangeConfiguration"]),
        ('answer = {"status": "Accepted"}', ["Accepted"]),
        ('"""Process BootNotification (B01)."""\nlog.info("%s: Accepted", station)', []),
        ("await station.call(v21.Action.set_charging_profile, body)", []),
    ],
)
def test_a_literal_of_an_enumerated_value_is_found(code: str, texts: list[str]) -> None:
    assert [text for _, text in literals(ast.parse(code))] == texts
