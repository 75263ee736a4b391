"""Charging profiles and device model settings of the tests of block Q."""

from __future__ import annotations

from typing import Any

from tests.emulators.charger.station_rig import Rig


def schedule(periods: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
    """Return a TxProfile with an absolute schedule from the start of virtual time."""
    body = {
        "id": 1,
        "chargingRateUnit": "W",
        "startSchedule": "2026-01-15T00:00:00Z",
        "chargingSchedulePeriod": periods,
    }
    return {
        "id": 20,
        "stackLevel": 5,
        "chargingProfilePurpose": "TxProfile",
        "chargingProfileKind": "Absolute",
        "chargingSchedule": [body],
        **more,
    }


# Q08: local frequency

CURVE = [
    {"frequency": 49.8, "power": -8000.0},
    {"frequency": 49.99, "power": 0.0},
    {"frequency": 50.01, "power": 0.0},
    {"frequency": 50.2, "power": 8000.0},
]


def local_frequency(**more: Any) -> dict[str, Any]:
    return {
        "startPeriod": 0,
        "operationMode": "LocalFrequency",
        "v2xBaseline": 1000.0,
        "v2xFreqWattCurve": CURVE,
        **more,
    }


async def thresholds(rig: Rig, **values: float) -> None:
    for name, value in values.items():
        data = {
            "attributeValue": str(value),
            "component": {"name": "V2XChargingCtrlr", "evse": {"id": 1}},
            "variable": {"name": "LocalLoadBalancing", "instance": name},
        }
        (result,) = (await rig.request("SetVariables", {"setVariableData": [data]}))["setVariableResult"]
        assert result["attributeStatus"] == "Accepted"
