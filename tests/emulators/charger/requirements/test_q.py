"""OCPP 2.1 block Q over the wire: authorisation, set-points, external control, frequency, load, idle, offline."""

from __future__ import annotations

from typing import Any

import pytest

from emulators.charger.station.config import StationConfig
from emulators.ev.car import CCS_63
from gateway.csms.settings import CsmsSettings, StationSettings, UnknownTokens
from gateway.model.event import ModeChanged, NeedsStated, OperationMode, SessionEnded
from gateway.model.station import Answer
from protocols.ocpp.times import stamp
from tests.emulators.charger.requirements.admin_api import admin, request
from tests.emulators.charger.requirements.test_k28_k29 import install, near, reason
from tests.emulators.charger.station_rig import Rig, dynamic
from tests.requirements import requirement

pytestmark = pytest.mark.virtual_time

CARD = StationConfig(id_token="CARD-1")
NO_V2X = CsmsSettings(stations=(StationSettings("CP1"),), unknown_tokens=UnknownTokens.ACCEPT, v2x_allowed=False)


def carded(**about: Any) -> Rig:
    """Return a configuration of a station with token authorisation."""
    known = (StationSettings("CP1"),)
    settings = CsmsSettings(stations=known, unknown_tokens=UnknownTokens.ACCEPT, **about)
    return Rig(config=CARD, settings=settings)


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


# Q01


@requirement("Q01.FR.01", "Q01.FR.02", "Q01.FR.03", "Q01.FR.07")
async def test_authorisation_with_v2x() -> None:
    async with carded() as rig:
        await rig.sleep(5)  # until the inventory is complete
        car = await rig.charging()
        identity = {"additionalIdToken": car.spec.evcc_id, "type": "EVCCID"}
        assert rig.calls("Authorize")[0]["idToken"]["additionalInfo"] == [identity]
        assert "DC_BPT" in rig.answers("Authorize")[0]["allowedEnergyTransfer"]
        started = next(c for c in rig.calls("TransactionEvent") if c["eventType"] == "Started")
        assert started["idToken"]["additionalInfo"] == [identity]
        (notice,) = rig.calls("NotifyEVChargingNeeds")
        assert notice["evseId"] == 1
        needs = notice["chargingNeeds"]
        assert needs["requestedEnergyTransfer"] == "DC_BPT"
        assert needs["availableEnergyTransfer"] == ["DC_BPT", "DC"]
        assert needs["controlMode"] == "DynamicControl"
        assert needs["mobilityNeedsMode"] == "EVCC"
        assert needs["v2xChargingParameters"]["maxDischargePower"] == 10_000.0
        assert rig.answers("NotifyEVChargingNeeds") == [{"status": "Accepted"}]
        last = rig.calls("SetChargingProfile")[-1]["chargingProfile"]
        assert last["chargingProfilePurpose"] == "TxProfile"


@requirement("Q01.FR.04", "Q01.FR.05")
async def test_a_transfer_that_is_not_allowed_is_rejected_and_negotiated_again() -> None:
    async with Rig(settings=NO_V2X) as rig:  # free use: no AuthorizeResponse lists the allowed transfers
        await rig.charging()
        first, second = rig.calls("NotifyEVChargingNeeds")
        assert first["chargingNeeds"]["requestedEnergyTransfer"] == "DC_BPT"
        assert second["chargingNeeds"]["requestedEnergyTransfer"] == "DC"
        assert [a["status"] for a in rig.answers("NotifyEVChargingNeeds")] == ["Rejected", "Accepted"]
        assert rig.evse().transaction is not None


@requirement("Q01.FR.06")
async def test_a_rejected_transfer_without_renegotiation_ends_the_transaction() -> None:
    async with Rig(settings=NO_V2X) as rig:
        rig.station.device_model.put("ISO15118Ctrlr", "ServiceRenegotiationSupport", False, 1)
        rig.plug()
        await rig.until(lambda: bool(rig.of(SessionEnded)))
        ended = rig.calls("TransactionEvent")[-1]
        assert ended["eventType"] == "Ended"
        assert ended["triggerReason"] == "AbnormalCondition"
        assert ended["transactionInfo"]["stoppedReason"] == "ReqEnergyTransferRejected"


@requirement("Q01.FR.08", "Q01.FR.09", "Q02.FR.01", "Q02.FR.02", "Q02.FR.03", "Q02.FR.04")
async def test_without_permission_the_session_begins_as_charging_only() -> None:
    async with carded(v2x_allowed=False) as rig:
        await rig.charging()
        assert "allowedEnergyTransfer" not in rig.answers("Authorize")[0]
        (notice,) = rig.calls("NotifyEVChargingNeeds")
        assert notice["chargingNeeds"]["requestedEnergyTransfer"] == "DC"
        assert notice["chargingNeeds"]["availableEnergyTransfer"] == ["DC_BPT", "DC"]
        assert (await rig.csms.set_power("CP1-1", 4000.0, 30.0)).answer is Answer.APPLIED
        refused = await rig.csms.set_power("CP1-1", -4000.0, 30.0)
        assert (refused.answer, refused.code) == (Answer.REFUSED, "NotBidirectional")
        for call in rig.calls("SetChargingProfile"):
            for one in call["chargingProfile"]["chargingSchedule"]:
                for period in one["chargingSchedulePeriod"]:
                    assert period.get("operationMode", "ChargingOnly") == "ChargingOnly"
                    assert not {"dischargeLimit", "setpoint", "setpointReactive"} & period.keys()
        await rig.sleep(3)
        assert rig.evse().reading.power_w == near(4000)


@requirement("Q02.FR.05", "Q02.FR.06", "Q02.FR.07")
async def test_late_permission() -> None:
    async with carded(v2x_allowed=False) as rig:
        await rig.charging()
        transaction = rig.evse().transaction
        assert transaction is not None
        body = {"allowed_energy_transfer": ["DC", "DC_BPT"]}
        assert (await admin(rig, "POST", "evses/1/allowed-energy-transfer", body))["answer"] == "applied"
        (notice,) = rig.calls("NotifyAllowedEnergyTransfer")
        assert notice == {"transactionId": transaction.id, "allowedEnergyTransfer": ["DC", "DC_BPT"]}
        await rig.until(lambda: len(rig.calls("NotifyEVChargingNeeds")) == 2)
        await rig.sleep(1)
        assert rig.calls("NotifyEVChargingNeeds")[-1]["chargingNeeds"]["requestedEnergyTransfer"] == "DC_BPT"
        assert rig.of(NeedsStated)[-1].needs.bidirectional
        assert (await rig.csms.set_power("CP1-1", -4000.0, 30.0)).answer is Answer.APPLIED
        await rig.sleep(3)
        assert rig.evse().reading.power_w == near(-4000)


@requirement("Q01.FR.30", "Q01.FR.31", "Q01.FR.32", "Q01.FR.36", "Q07.FR.01", "Q08.FR.20", "R01.FR.01", "R01.FR.02")
async def test_the_device_model_states_the_capabilities() -> None:
    mandatory = {
        "MaxW", "MaxVA", "MaxVar", "MaxVarNeg", "MaxChargeRateW", "MaxChargeRateVA", "OverExcitedW", "OverExcitedPF",
        "UnderExcitedW", "UnderExcitedPF", "ReactiveSusceptance", "ModesSupported", "InverterManufacturer",
        "InverterModel", "InverterSerialNumber", "InverterSwVersion",
    }  # fmt: skip

    async with Rig() as rig:
        await rig.charging()
        wanted = [{"component": {"name": name}} for name in ("V2XChargingCtrlr", "DCDERCtrlr", "ConnectedEV")]
        before = len(rig.calls("NotifyReport"))
        assert (await rig.request("GetReport", {"requestId": 5, "componentVariable": wanted}))["status"] == "Accepted"
        await rig.sleep(1)
        entries = [e for call in rig.calls("NotifyReport")[before:] for e in call["reportData"]]
        values = {
            (e["component"]["name"], e["variable"]["name"]): e["variableAttribute"][0].get("value") for e in entries
        }
        modes = (values["V2XChargingCtrlr", "SupportedOperationModes"] or "").split(",")
        assert {"ChargingOnly", "CentralSetpoint", "CentralFrequency", "LocalFrequency"} <= set(modes)
        assert "DC_BPT" in (values["V2XChargingCtrlr", "SupportedEnergyTransferModes"] or "")
        assert values["ConnectedEV", "VehicleId"] == CCS_63.evcc_id
        for name in ("Available", "VehicleCertificate", "ProtocolAgreed", "ProtocolSupportedByEV"):
            assert ("ConnectedEV", name) in values
        assert mandatory <= {name for component, name in values if component == "DCDERCtrlr"}


@requirement("Q01.FR.33", "Q01.FR.34", "Q01.FR.35")
async def test_a_mode_has_measurands_of_its_own() -> None:
    async with Rig() as rig:
        for part in ("Started", "Updated", "Ended"):
            for mode in ("CentralSetpoint", "ChargingOnly"):
                value = "Power.Active.Residual,Frequency" if mode == "CentralSetpoint" else "Frequency"
                data = {
                    "attributeValue": value,
                    "component": {"name": "V2XChargingCtrlr", "evse": {"id": 1}},
                    "variable": {"name": f"Tx{part}Measurands", "instance": mode},
                }
                (result,) = (await rig.request("SetVariables", {"setVariableData": [data]}))["setVariableResult"]
                assert result["attributeStatus"] == "Accepted"
        await rig.charging()
        await rig.csms.set_power("CP1-1", -5000.0, 60.0)
        await rig.sleep(25)
        assert (await admin(rig, "POST", "evses/1/stop-transaction"))["answer"] == "applied"
        await rig.sleep(2)
        events = rig.calls("TransactionEvent")

        def measurands(event: dict[str, Any]) -> set[str]:
            return {s["measurand"] for v in event.get("meterValue", []) for s in v["sampledValue"]}

        begun, ended = events[0], events[-1]
        assert "Frequency" in measurands(begun)
        assert {"Frequency", "Power.Active.Residual"} <= measurands(ended)
        periodic = [e for e in events if e["triggerReason"] == "MeterValuePeriodic"]
        assert {"Frequency", "Power.Active.Residual", "Power.Active.Export"} <= measurands(periodic[-1])


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
        lonely = [{"startPeriod": 0, "operationMode": "CentralSetpoint", "setpoint": 1.0, "dischargeLimit_L2": -1.0}]
        assert reason(await install(rig, schedule(lonely))) == ("Rejected", "InvalidSchedule")
        phased = [{"startPeriod": 0, "operationMode": "CentralSetpoint", "setpoint": 1.0, "setpoint_L2": 1.0}]
        assert reason(await install(rig, schedule(phased))) == ("Rejected", "PhaseConflict")
        default = schedule(phased, chargingProfilePurpose="TxDefaultProfile")
        assert reason(await install(rig, default)) == ("Rejected", "PhaseConflict")
        for call in rig.calls("SetChargingProfile"):  # the gateway never sends any
            if call["chargingProfile"]["id"] > 1_000_000:
                assert "_L" not in str(call["chargingProfile"]["chargingSchedule"])


# Q06: an external system on its own


@requirement("Q06.FR.01", "Q06.FR.10")
async def test_a_schedule_of_external_limits() -> None:
    async with Rig() as rig:
        await rig.charging()
        await rig.csms.set_power("CP1-1", 9000.0, 600.0)
        periods = [{"startPeriod": 0, "limit": 3000.0}, {"startPeriod": 60, "limit": 1000.0}]
        assert rig.station.external_control.schedule(1, "ExternalLimits", periods)
        await rig.sleep(5)
        assert rig.evse().reading.power_w == near(3000)
        await rig.sleep(60)
        assert rig.evse().reading.power_w == near(1000)
        (notice,) = rig.calls("NotifyChargingLimit")
        assert notice["chargingLimit"]["chargingLimitSource"] == "EMS"
        assert [p["limit"] for p in notice["chargingSchedule"][0]["chargingSchedulePeriod"]] == [3000.0, 1000.0]
        (held,) = [h for h in rig.station.profiles if h.external]
        assert held.profile["chargingProfileKind"] == "Absolute"


@requirement("Q06.FR.03")
async def test_a_schedule_of_external_set_points() -> None:
    async with Rig() as rig:
        await rig.charging()
        periods = [{"startPeriod": 0, "setpoint": -1000.0}, {"startPeriod": 60, "setpoint": -2000.0}]
        assert rig.station.external_control.schedule(1, "ExternalSetpoint", periods)
        await rig.sleep(5)
        assert rig.evse().reading.power_w == near(-1000)
        await rig.sleep(60)
        assert rig.evse().reading.power_w == near(-2000)


@requirement("Q06.FR.04", "Q06.FR.06", "Q06.FR.20", "Q06.FR.21", "Q06.FR.22")
async def test_set_point_priority() -> None:
    async with Rig() as rig:
        await rig.charging()
        await rig.csms.set_power("CP1-1", -4000.0, 600.0)
        assert rig.station.external_control.setpoint(1, 1500.0)
        await rig.sleep(4)
        assert rig.evse().reading.power_w == near(1500)  # ExternalControl is the default
        data = {
            "attributeValue": "CSMS",
            "component": {"name": "SmartChargingCtrlr"},
            "variable": {"name": "SetpointPriority"},
        }
        await rig.request("SetVariables", {"setVariableData": [data]})
        await rig.sleep(4)
        assert rig.evse().reading.power_w == near(-4000)


@requirement("Q06.FR.08")
async def test_disabled_external_control_is_rejected() -> None:
    async with Rig() as rig:
        await rig.charging()
        rig.station.device_model.put("SmartChargingCtrlr", "ExternalConstraintsProfileDisallowed", True)
        assert not rig.station.external_control.limits(1, limit_w=1000.0)
        assert not rig.station.external_control.setpoint(1, 1000.0)
        assert not rig.station.external_control.schedule(1, "ExternalLimits", [{"startPeriod": 0, "limit": 1.0}])
        assert not [h for h in rig.station.profiles if h.external]
        assert rig.calls("NotifyChargingLimit") == []


@requirement("Q06.FR.11")
async def test_significant_changes_are_notified() -> None:
    async with Rig() as rig:
        await rig.charging()
        for limit, notice in ((4000.0, 1), (4100.0, 1), (3000.0, 2), (3000.0, 2)):
            rig.station.external_control.limits(1, limit_w=limit)
            await rig.sleep(1)
            assert len(rig.calls("NotifyChargingLimit")) == notice


@requirement("Q06.FR.30", "Q06.FR.31")
async def test_station_limits_are_divided_among_evses() -> None:
    async with Rig(evses=2) as rig:
        for number in (1, 2):
            await rig.charging(number)
            await rig.csms.set_power(f"CP1-{number}", 8000.0, 600.0)
        assert rig.station.external_control.limits(0, limit_w=6000.0)
        await rig.sleep(5)
        total = sum(rig.evse(n).reading.power_w for n in (1, 2))
        assert total <= 6000.0 + 1
        assert total == near(6000)
        assert rig.station.external_control.setpoint(0, -4000.0)
        await rig.sleep(5)
        assert sum(rig.evse(n).reading.power_w for n in (1, 2)) == near(-4000)


@requirement("Q06.FR.40", "Q06.FR.41")
async def test_an_external_constraint_expires_and_is_renewed() -> None:
    async with Rig() as rig:
        await rig.charging()
        await rig.csms.set_power("CP1-1", 5000.0, 600.0)
        assert rig.station.external_control.limits(1, limit_w=2000.0)
        (held,) = [h for h in rig.station.profiles if h.external]
        held.profile["chargingSchedule"][0]["duration"] = 20
        await rig.sleep(10)
        assert rig.evse().reading.power_w == near(2000)
        await rig.sleep(15)
        assert rig.evse().reading.power_w == near(5000)
        assert rig.station.external_control.limits(1, limit_w=1000.0)
        await rig.sleep(3)
        assert rig.evse().reading.power_w == near(1000)


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


@requirement("Q08.FR.01", "Q08.FR.02", "Q08.FR.03", "Q08.FR.04", "Q08.FR.05")
async def test_fields_of_a_local_frequency_period() -> None:
    async with Rig() as rig:
        await rig.charging()
        missing = local_frequency()
        del missing["v2xBaseline"]
        assert reason(await install(rig, schedule([missing]))) == ("Rejected", "NoFreqWattCurve")
        short = local_frequency(v2xFreqWattCurve=CURVE[:1])
        assert reason(await install(rig, schedule([short]))) == ("Rejected", "NoFreqWattCurve")
        for name in ("limit", "dischargeLimit", "setpoint", "setpointReactive"):
            answer = await install(rig, schedule([local_frequency(**{name: 0.0})]))
            assert reason(answer) == ("Rejected", "InvalidSchedule")
        amps = schedule([local_frequency()])
        amps["chargingSchedule"][0]["chargingRateUnit"] = "A"
        assert reason(await install(rig, amps)) == ("Rejected", "InvalidSchedule")


@requirement("Q08.FR.06", "Q08.FR.07")
async def test_power_follows_the_frequency() -> None:
    async with Rig() as rig:
        await rig.charging()
        assert (await install(rig, schedule([local_frequency()])))["status"] == "Accepted"
        for hertz, power in ((50.0, 1000.0), (49.895, -3000.0), (50.2, 9000.0), (49.0, -7000.0)):
            rig.station.measure_grid(frequency_hz=hertz)
            await rig.sleep(6)
            assert rig.evse().reading.power_w == pytest.approx(power, abs=60), hertz
        rig.station.measure_grid(frequency_hz=50.0)
        await rig.sleep(4)
        rig.station.measure_grid(frequency_hz=50.005)  # less than LocalFrequencyUpdateThreshold
        await rig.sleep(4)
        assert rig.evse().algorithm.frequency_hz == 50.0


@requirement("Q08.FR.10", "Q08.FR.11", "Q08.FR.12")
async def test_an_afrr_signal_applies_at_its_time_on_top_of_the_curve() -> None:
    async with Rig() as rig:
        await rig.charging()
        refused = await admin(rig, "POST", "evses/1/afrr-signal", {"signal": 50})
        assert (refused["answer"], refused["code"]) == ("refused", "NoSignalWattCurve")
        signals = [{"signal": -100, "power": -2000.0}, {"signal": 100, "power": 2000.0}]
        period = local_frequency(v2xSignalWattCurve=signals)
        assert (await install(rig, schedule([period])))["status"] == "Accepted"
        assert (await admin(rig, "POST", "evses/1/afrr-signal", {"signal": 50}))["answer"] == "applied"
        assert rig.calls("AFRRSignal")[-1]["timestamp"] == stamp(rig.clock.wall())
        await rig.sleep(3)
        assert rig.evse().reading.power_w == near(2000)  # baseline 1000, signal 1000
        later = stamp(rig.clock.wall() + 20)
        assert (await rig.request("AFRRSignal", {"timestamp": later, "signal": -50}))["status"] == "Accepted"
        await rig.sleep(15)
        assert rig.evse().reading.power_w == near(2000)
        await rig.sleep(10)
        assert rig.evse().reading.power_w == pytest.approx(0.0, abs=60)


# Q09: local load balancing


async def thresholds(rig: Rig, **values: float) -> None:
    for name, value in values.items():
        data = {
            "attributeValue": str(value),
            "component": {"name": "V2XChargingCtrlr", "evse": {"id": 1}},
            "variable": {"name": "LocalLoadBalancing", "instance": name},
        }
        (result,) = (await rig.request("SetVariables", {"setVariableData": [data]}))["setVariableResult"]
        assert result["attributeStatus"] == "Accepted"


BALANCING = {"startPeriod": 0, "operationMode": "LocalLoadBalancing"}


@requirement("Q09.FR.01")
async def test_load_balancing_that_is_not_supported() -> None:
    config = StationConfig(modes=("ChargingOnly", "CentralSetpoint", "CentralFrequency"))
    async with Rig(config=config) as rig:
        await rig.charging()
        assert reason(await install(rig, schedule([BALANCING]))) == ("Rejected", "UnsupportedParam")
        frequency = schedule([local_frequency()])
        assert reason(await install(rig, frequency)) == ("Rejected", "InvalidOperationMode")  # K01.FR.115


@requirement("Q09.FR.02")
async def test_load_balancing_needs_its_thresholds() -> None:
    async with Rig() as rig:
        await rig.charging()
        assert reason(await install(rig, schedule([BALANCING]))) == ("Rejected", "MissingDevModelInfo")
        await thresholds(rig, UpperThreshold=1000, LowerThreshold=2000, UpperOffset=0, LowerOffset=0)
        assert reason(await install(rig, schedule([BALANCING]))) == ("Rejected", "MissingDevModelInfo")
        await thresholds(rig, UpperThreshold=3000)
        assert (await install(rig, schedule([BALANCING])))["status"] == "Accepted"


@requirement("Q09.FR.03", "Q09.FR.04", "Q09.FR.05")
async def test_load_balancing_keeps_the_site_within_its_thresholds() -> None:
    async with Rig() as rig:
        await rig.charging()
        await thresholds(rig, UpperThreshold=2000, LowerThreshold=-1000, UpperOffset=0, LowerOffset=0)
        capped = BALANCING | {"limit": 4000.0, "dischargeLimit": -3000.0}
        assert (await install(rig, schedule([capped])))["status"] == "Accepted"

        async def house(load: float, steps: int = 6) -> float:
            for _ in range(steps):
                total = load + rig.evse().reading.power_w
                rig.station.measure_load(total)
                await rig.sleep(4)
            return load + rig.evse().reading.power_w

        assert await house(4500.0) == pytest.approx(2000, abs=60)  # discharges 2500
        assert rig.evse().reading.power_w == near(-2500)
        assert await house(-3000.0) == pytest.approx(-1000, abs=60)  # charges 2000
        await house(9000.0)
        assert rig.evse().reading.power_w == near(-3000)  # capped by dischargeLimit


# Q10: idle


@requirement("Q10.FR.01", "Q10.FR.02")
async def test_an_idle_period_holds_no_values() -> None:
    async with Rig() as rig:
        await rig.charging()
        for name, value in (("limit", 0.0), ("dischargeLimit", 0.0), ("setpoint", 0.0), ("setpointReactive", 0.0)):
            bad = schedule([{"startPeriod": 0, "operationMode": "Idle", name: value}])
            assert reason(await install(rig, bad)) == ("Rejected", "InvalidSchedule")
        assert (await install(rig, schedule([{"startPeriod": 0, "operationMode": "Idle"}])))["status"] == "Accepted"
        await rig.sleep(3)
        assert rig.evse().reading.power_w == 0.0


@pytest.mark.parametrize("supported", [True, False])
@requirement("Q10.FR.03", "Q10.FR.04", "Q10.FR.05")
async def test_an_evse_sleeps_only_if_supported(supported: bool) -> None:
    async with Rig() as rig:
        rig.station.device_model.put("SmartChargingCtrlr", "SupportsEvseSleep", supported)
        await rig.charging()
        idle = schedule([{"startPeriod": 0, "operationMode": "Idle", "evseSleep": True}])
        assert (await install(rig, idle))["status"] == "Accepted"
        await rig.sleep(15)
        assert rig.calls("TransactionEvent")[-1].get("evseSleep", False) is supported
        await rig.request("ClearChargingProfile", {"chargingProfileId": 20})
        await rig.sleep(15)
        assert "evseSleep" not in rig.calls("TransactionEvent")[-1]


# Q11, Q12: offline (K01.FR.101-103)


@pytest.mark.parametrize("for_good", [False, True])
@requirement("K01.FR.101", "K01.FR.102")
async def test_a_profile_is_suspended_or_invalidated_offline(for_good: bool) -> None:
    async with Rig() as rig:
        await rig.charging()
        v2x = dynamic(-4000.0, None, stackLevel=5, maxOfflineDuration=30, invalidAfterOfflineDuration=for_good)
        assert (await install(rig, v2x))["status"] == "Accepted"
        await rig.sleep(5)
        rig.cut()
        await rig.sleep(20)
        assert rig.evse().reading.power_w == near(-4000)
        await rig.sleep(20)
        assert rig.evse().reading.power_w == 0.0  # the gateway's own 0 W beneath
        rig.up = True
        await rig.until(lambda: rig.station.online)
        await rig.sleep(5)
        assert rig.evse().reading.power_w == (0.0 if for_good else near(-4000))
        offline = [c for c in rig.calls("TransactionEvent") if c.get("offline")]
        assert offline


@requirement("K01.FR.103")
async def test_a_profile_without_offline_limit_stays_valid() -> None:
    async with Rig() as rig:
        await rig.charging()
        await install(rig, dynamic(-4000.0, None, stackLevel=5))
        await rig.sleep(5)
        rig.cut()
        await rig.sleep(1200)
        assert rig.evse().reading.power_w == near(-4000)


async def test_the_gateways_profile_expires_offline() -> None:
    async with Rig() as rig:
        await rig.charging()
        await rig.csms.set_power("CP1-1", -5000.0, 30.0)
        await rig.sleep(5)
        rig.cut()
        await rig.sleep(40)
        assert rig.evse().reading.power_w == 0.0
        assert rig.evse().transaction is not None
