"""OCPP 2.1 Q03, Q04 and Q07 over the wire: set-points of the CSMS, and every operation mode."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.model.event import ModeChanged, OperationMode
from gateway.model.station import Answer
from tests.emulators.charger.requirements.admin_api import admin, request
from tests.emulators.charger.requirements.q_profiles import schedule, thresholds
from tests.emulators.charger.requirements.test_k28_k29 import install, near, reason
from tests.emulators.charger.station_rig import Rig, dynamic
from tests.requirements import requirement

pytestmark = pytest.mark.virtual_time

# Q03, Q04, Q07: set-points from the CSMS


@requirement("Q03.FR.01", "Q03.FR.02", "Q07.FR.03", "Q07.FR.04")
async def test_the_gateways_set_points_carry_no_limits_and_a_duration() -> None:
    async with Rig() as rig:
        await rig.charging()
        for power in (-5000.0, 3000.0, 0.0):
            assert (await rig.csms.set_power("CP1-1", power, 30.0)).answer is Answer.APPLIED
        ours = [c["chargingProfile"] for c in rig.calls("SetChargingProfile")]
        ordered = [p for p in ours if p["chargingProfilePurpose"] == "TxProfile"]
        assert ordered
        for profile in ordered:
            (one,) = profile["chargingSchedule"]
            (period,) = one["chargingSchedulePeriod"]
            assert period["operationMode"] == "CentralSetpoint"
            assert not {"limit", "dischargeLimit", "limit_L2", "dischargeLimit_L2"} & period.keys()
        assert ordered[-1]["chargingSchedule"][0]["duration"] == 30
        for update in rig.calls("UpdateDynamicSchedule"):
            assert update["scheduleUpdate"].keys() == {"setpoint"}


@requirement("Q03.FR.01", "K01.FR.110")
async def test_a_schedule_of_set_points_is_followed() -> None:
    async with Rig() as rig:
        await rig.charging()
        now = rig.clock.wall() - 1768435200.0  # seconds since startSchedule
        start = int(now) + 60
        periods = [
            {"startPeriod": 0, "operationMode": "ChargingOnly", "limit": 1000.0},
            {"startPeriod": start, "operationMode": "CentralSetpoint", "setpoint": -3000.0},
            {"startPeriod": start + 60, "operationMode": "CentralSetpoint", "setpoint": 2000.0},
            {"startPeriod": start + 120, "operationMode": "Idle"},
        ]
        assert (await install(rig, schedule(periods)))["status"] == "Accepted"
        seen = []
        for wait in (30, 60, 60, 60):
            await rig.sleep(wait)
            seen.append((rig.evse().composite.mode, round(rig.evse().reading.power_w / 100)))
        assert seen == [("ChargingOnly", 10), ("CentralSetpoint", -30), ("CentralSetpoint", 20), ("Idle", 0)]
        changes = [
            c["transactionInfo"]["operationMode"]
            for c in rig.calls("TransactionEvent")
            if c["triggerReason"] == "OperationModeChanged"
        ]
        assert changes[-3:] == ["ChargingOnly", "CentralSetpoint", "Idle"]
        assert rig.of(ModeChanged)[-1].mode is OperationMode.IDLE


@requirement("Q07.FR.02")
async def test_central_frequency_is_a_dynamic_set_point_that_can_fall_back_to_local_frequency() -> None:
    async with Rig() as rig:
        await rig.charging()
        local = {
            "startPeriod": 0,
            "operationMode": "LocalFrequency",
            "v2xBaseline": 0.0,
            "v2xFreqWattCurve": [{"frequency": 49.0, "power": -8000.0}, {"frequency": 51.0, "power": 8000.0}],
        }
        assert (await install(rig, schedule([local], id=21, stackLevel=4)))["status"] == "Accepted"
        central = dynamic(-1500.0, duration=20, stackLevel=5)
        central["chargingSchedule"][0]["chargingSchedulePeriod"][0]["operationMode"] = "CentralFrequency"
        assert (await install(rig, central))["status"] == "Accepted"
        rig.station.measure_grid(frequency_hz=49.5)
        await rig.sleep(10)
        assert rig.evse().reading.power_w == near(-1500)
        await rig.sleep(15)
        assert rig.evse().composite.mode == "LocalFrequency"
        assert rig.evse().reading.power_w == near(-4000)


MODES: list[tuple[OperationMode, dict[str, Any], float]] = [
    (OperationMode.CENTRAL_SETPOINT, {"setpoint": -2000.0}, -2000.0),
    (OperationMode.CENTRAL_FREQUENCY, {"setpoint": -1500.0}, -1500.0),
    (OperationMode.CHARGING_ONLY, {"limit": 2500.0}, 2500.0),
    (OperationMode.EXTERNAL_SETPOINT, {}, -1200.0),
    (OperationMode.EXTERNAL_LIMITS, {}, 1800.0),
    (
        OperationMode.LOCAL_FREQUENCY,
        {
            "v2xBaseline": 500.0,
            "v2xFreqWattCurve": [{"frequency": 49.0, "power": -9000.0}, {"frequency": 51.0, "power": 9000.0}],
        },
        -4000.0,
    ),
    (OperationMode.LOCAL_LOAD_BALANCING, {"dischargeLimit": -3000.0}, -3000.0),
    (OperationMode.IDLE, {"evseSleep": True}, 0.0),
]


@pytest.mark.parametrize(("mode", "values", "expected"), MODES, ids=[str(mode) for mode, _, _ in MODES])
@requirement("Q07.FR.02", "Q07.FR.03", "Q07.FR.04", "Q08.FR.01", "Q08.FR.02", "Q08.FR.05", "Q10.FR.01")
async def test_every_mode_is_driven_by_the_gateway(
    mode: OperationMode, values: dict[str, Any], expected: float
) -> None:
    async with Rig() as rig:
        await rig.charging()
        await thresholds(rig, UpperThreshold=2000, LowerThreshold=-1000, UpperOffset=0, LowerOffset=0)
        rig.station.measure_grid(frequency_hz=49.5)
        body = {"operationMode": mode, "period": values, "valid_for_s": 120.0}
        outcome = await admin(rig, "POST", "evses/1/operation-mode", body)
        assert outcome["answer"] == "applied", outcome
        rig.station.external_control.setpoint(1, -1200.0)
        rig.station.external_control.limits(1, limit_w=1800.0 if mode is OperationMode.EXTERNAL_LIMITS else 9000.0)
        rig.station.measure_load(9000.0)
        await rig.sleep(5)
        if mode not in (OperationMode.CENTRAL_SETPOINT, OperationMode.CENTRAL_FREQUENCY):
            assert rig.evse().composite.mode in (mode, "ExternalSetpoint")
        sent = rig.calls("SetChargingProfile")[-1]["chargingProfile"]
        period = sent["chargingSchedule"][0]["chargingSchedulePeriod"][0]
        assert period == {"startPeriod": 0, "operationMode": mode, **values}
        assert sent["chargingSchedule"][0]["chargingRateUnit"] == "W"
        rig.station.external_control.clear(1)
        await rig.sleep(5)
        assert rig.evse().reading.power_w == (pytest.approx(expected, rel=0.02) if expected else 0.0)
        assert (await rig.csms.set_power("CP1-1", -1000.0, 30.0)).answer is Answer.APPLIED  # and takes over again
        await rig.sleep(5)
        assert rig.evse().reading.power_w == near(-1000)


async def test_an_invalid_mode_is_not_sent() -> None:
    async with Rig() as rig:
        await rig.charging()
        before = len(rig.calls("SetChargingProfile"))
        for mode, values in (
            (OperationMode.CENTRAL_SETPOINT, {"setpoint": 1.0, "limit": 5.0}),
            (OperationMode.CENTRAL_FREQUENCY, {}),
            (OperationMode.IDLE, {"limit": 0.0}),
            (
                OperationMode.LOCAL_FREQUENCY,
                {"v2xBaseline": 0.0, "v2xFreqWattCurve": [{"frequency": 50, "power": 0}]},
            ),
            (OperationMode.CHARGING_ONLY, {"limit": -5.0}),
        ):
            refused = await request(rig, "POST", "evses/1/operation-mode", {"operationMode": mode, "period": values})
            assert refused.status_code == 422, mode
        assert len(rig.calls("SetChargingProfile")) == before
        assert (await request(rig, "POST", "evses/9/operation-mode", {"operationMode": "Idle"})).status_code == 404


@requirement("V2X.03", "V2X.04", "V2X.05")
async def test_a_set_point_is_limited_and_one_outside_its_own_limits_is_rejected() -> None:
    async with Rig() as rig:
        await rig.charging()

        def period(setpoint: float, **more: float) -> list[dict[str, Any]]:
            return [{"startPeriod": 0, "operationMode": "CentralSetpoint", "setpoint": setpoint, **more}]

        bad = schedule(period(-750.0, limit=1000.0, dischargeLimit=-500.0))
        assert reason(await install(rig, bad)) == ("Rejected", "InvalidSchedule")
        assert (await install(rig, schedule(period(6000.0))))["status"] == "Accepted"
        maximum = {
            "id": 50,
            "stackLevel": 0,
            "chargingProfilePurpose": "ChargingStationMaxProfile",
            "chargingProfileKind": "Absolute",
            "chargingSchedule": [
                {
                    "id": 1,
                    "chargingRateUnit": "W",
                    "startSchedule": "2026-01-15T00:00:00Z",
                    "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 2500.0}],
                }
            ],
        }
        assert (await rig.request("SetChargingProfile", {"evseId": 0, "chargingProfile": maximum}))[
            "status"
        ] == "Accepted"
        await rig.sleep(4)
        assert rig.evse().reading.power_w == near(2500)


@requirement("V2X.07", "V2X.08", "V2X.09", "V2X.10")
async def test_single_phase_values_are_rejected_without_ev_phases() -> None:
    async with Rig() as rig:
        await rig.charging()
        second_phase_only = [
            {"startPeriod": 0, "operationMode": "CentralSetpoint", "setpoint": 1.0, "dischargeLimit_L2": -1.0}
        ]
        assert reason(await install(rig, schedule(second_phase_only))) == ("Rejected", "InvalidSchedule")
        phased = [{"startPeriod": 0, "operationMode": "CentralSetpoint", "setpoint": 1.0, "setpoint_L2": 1.0}]
        assert reason(await install(rig, schedule(phased))) == ("Rejected", "PhaseConflict")
        default = schedule(phased, chargingProfilePurpose="TxDefaultProfile")
        assert reason(await install(rig, default)) == ("Rejected", "PhaseConflict")
        for call in rig.calls("SetChargingProfile"):  # the gateway never sends any
            if call["chargingProfile"]["id"] > 1_000_000:
                assert "_L" not in str(call["chargingProfile"]["chargingSchedule"])
