"""Enumerations of the `ocpp` package, loaded without the package."""

from __future__ import annotations

import subprocess
import sys

import pytest

from protocols.ocpp import enums, schema
from protocols.ocpp.schema import Part, Version

VERSIONS = {Version.V16: enums.v16, Version.V201: enums.v201, Version.V21: enums.v21}


@pytest.mark.parametrize("version", VERSIONS)
def test_actions_are_those_of_the_schemas(version: Version) -> None:
    named = {action.value for action in VERSIONS[version].Action}
    assert schema.actions(version) <= named


def test_members_are_valid_in_payloads() -> None:
    payload = {
        "evseId": 1,
        "chargingProfile": {
            "id": 1,
            "stackLevel": 0,
            "chargingProfilePurpose": enums.v21.ChargingProfilePurposeEnumType.tx_default_profile,
            "chargingProfileKind": enums.v21.ChargingProfileKindEnumType.absolute,
            "chargingSchedule": [
                {"id": 1, "chargingRateUnit": "W", "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 0.0}]}
            ],
        },
    }
    assert schema.violation(Version.V21, enums.v21.Action.set_charging_profile, Part.REQUEST, payload) is None


def test_the_package_is_not_imported_and_later_shares_the_classes() -> None:
    program = """
import sys
from protocols.ocpp import enums
loaded = enums.v21.Action
assert "ocpp.v21" not in sys.modules and "ocpp.charge_point" not in sys.modules
import ocpp.v21.call
from ocpp.v21.enums import Action
from ocpp.v21 import enums as package_enums
assert Action is loaded is package_enums.Action
"""
    subprocess.run([sys.executable, "-c", program], check=True)


def test_other_names_are_rejected() -> None:
    with pytest.raises(AttributeError, match="v20"):
        enums.v20  # noqa: B018
