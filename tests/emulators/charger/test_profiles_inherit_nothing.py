"""Operation modes of an emulated station: what is rejected, and what another profile or transaction never inherits."""

from __future__ import annotations

from typing import Any

import pytest

from emulators.charger.station.smart_charging.operation_modes import AlgorithmState, LocalConditions, power_w
from emulators.charger.station.smart_charging.schedule import Composite
from protocols.ocpp.times import stamp
from tests.emulators.charger.requirements.test_k28_k29 import install, near, reason
from tests.emulators.charger.station_rig import Rig, dynamic
from tests.requirements import requirement

pytestmark = pytest.mark.virtual_time

SIGNALS = [{"signal": -1, "power": -2000.0}, {"signal": 0, "power": 0.0}, {"signal": 1, "power": 2000.0}]
FLAT = [{"frequency": 49.0, "power": 0.0}, {"frequency": 51.0, "power": 0.0}]


def local_frequency(baseline: float = 1000.0, **more: Any) -> dict[str, Any]:
    return {
        "startPeriod": 0,
        "operationMode": "LocalFrequency",
        "v2xBaseline": baseline,
        "v2xFreqWattCurve": FLAT,
        **more,
    }


def profile(period: dict[str, Any], number: int = 20, level: int = 5, **more: Any) -> dict[str, Any]:
    """Return an Absolute TxProfile of one period or more from the start of virtual time."""
    body = {
        "id": 1,
        "chargingRateUnit": "W",
        "startSchedule": "2026-01-15T00:00:00Z",
        "chargingSchedulePeriod": [period],
    }
    return {
        "id": number,
        "stackLevel": level,
        "chargingProfilePurpose": "TxProfile",
        "chargingProfileKind": "Absolute",
        "chargingSchedule": [body],
        **more,
    }


async def signal(rig: Rig, value: int, after: float = 0.0) -> str:
    body = {"timestamp": stamp(rig.clock.wall() + after), "signal": value}
    return str((await rig.request("AFRRSignal", body))["status"])


async def power(rig: Rig, seconds: float = 4.0) -> float:
    await rig.sleep(seconds)
    return rig.evse().reading.power_w


@requirement("Q08.FR.02")
async def test_a_signal_curve_has_two_points_or_more() -> None:
    async with Rig() as rig:
        await rig.charging()
        for purpose in ("TxProfile", "TxDefaultProfile"):
            one = profile(local_frequency(v2xSignalWattCurve=SIGNALS[:1]), chargingProfilePurpose=purpose)
            assert reason(await install(rig, one)) == ("Rejected", "NoSignalWattCurve")
        two = profile(local_frequency(v2xSignalWattCurve=SIGNALS[:2]))
        assert (await install(rig, two))["status"] == "Accepted"


@pytest.mark.parametrize("kind", ["Absolute", "Recurring", "Relative"])
@requirement("Q07.FR.02")
async def test_central_frequency_is_dynamic(kind: str) -> None:
    async with Rig() as rig:
        await rig.charging()
        period = {"startPeriod": 0, "operationMode": "CentralFrequency", "setpoint": -1000.0}
        fixed = profile(period, chargingProfileKind=kind)
        if kind == "Recurring":
            fixed["recurrencyKind"] = "Daily"
        if kind == "Relative":
            del fixed["chargingSchedule"][0]["startSchedule"]
        assert reason(await install(rig, fixed)) == ("Rejected", "InvalidSchedule")
        body = dynamic(-1000.0)
        body["chargingSchedule"][0]["chargingSchedulePeriod"] = [period]
        assert (await install(rig, body))["status"] == "Accepted"


@requirement("Q08.FR.10", "Q08.FR.11")
async def test_an_afrr_signal_ends_with_its_transaction() -> None:
    async with Rig() as rig:
        await rig.charging()
        same = profile(local_frequency(v2xSignalWattCurve=SIGNALS))
        assert (await install(rig, same))["status"] == "Accepted"
        assert await signal(rig, 1) == "Accepted"
        assert await signal(rig, -1, after=60.0) == "Accepted"
        assert await power(rig) == near(3000)
        rig.station.unplug(1)
        await rig.sleep(5)
        await rig.charging()
        assert (await install(rig, same))["status"] == "Accepted"
        assert await power(rig) == near(1000)
        assert await power(rig, 90.0) == near(1000)  # nor a signal that was accepted for a later time


@requirement("Q08.FR.10")
async def test_an_afrr_signal_ends_with_its_profile() -> None:
    async with Rig() as rig:
        await rig.charging()
        assert (await install(rig, profile(local_frequency(v2xSignalWattCurve=SIGNALS))))["status"] == "Accepted"
        assert await signal(rig, 1) == "Accepted"
        assert await power(rig) == near(3000)
        above = profile(local_frequency(500.0, v2xSignalWattCurve=SIGNALS), number=21, level=6)
        assert (await install(rig, above))["status"] == "Accepted"
        assert await power(rig) == near(500)
        assert await signal(rig, -1) == "Accepted"
        assert await power(rig) == near(-1500)
        await rig.request("ClearChargingProfile", {"chargingProfileId": 21})
        assert await power(rig) == near(1000)  # neither of the two


@requirement("Q08.FR.10")
async def test_an_afrr_signal_does_not_outlast_a_period_without_its_curve() -> None:
    async with Rig() as rig:
        await rig.charging()
        begin = int(rig.clock.wall() - 1768435200.0)
        body = profile(local_frequency(v2xSignalWattCurve=SIGNALS))
        body["chargingSchedule"][0]["chargingSchedulePeriod"] += [
            local_frequency(2000.0) | {"startPeriod": begin + 30},
            local_frequency(1000.0, v2xSignalWattCurve=SIGNALS) | {"startPeriod": begin + 60},
        ]
        assert (await install(rig, body))["status"] == "Accepted"
        assert await signal(rig, 1) == "Accepted"
        assert await power(rig, 20.0) == near(3000)
        assert await power(rig, 30.0) == near(2000)
        assert await signal(rig, 1) == "Rejected"
        assert await power(rig, 30.0) == near(1000)
        assert await signal(rig, -1) == "Accepted"
        assert await power(rig) == near(-1000)


def test_a_mode_computes_nothing_from_the_state_of_another() -> None:
    """A local algorithm begins anew after an interval of another mode or profile."""
    period = local_frequency()
    frequency = Composite("LocalFrequency", profile=1, period=period)
    balancing = Composite("LocalLoadBalancing", profile=2, period={"operationMode": "LocalLoadBalancing"})
    limits = {"UpperThreshold": 2000.0, "LowerThreshold": -1000.0, "UpperOffset": 0.0, "LowerOffset": 0.0}
    conditions, algorithm = LocalConditions(thresholds=limits), AlgorithmState()
    assert power_w(frequency, conditions, algorithm, 10_000.0) == 1000.0
    conditions.upstream_w = 5000.0
    assert power_w(balancing, conditions, algorithm, 10_000.0) == -3000.0
    assert power_w(frequency, conditions, algorithm, 10_000.0) == 1000.0
