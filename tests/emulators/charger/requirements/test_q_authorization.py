"""OCPP 2.1 Q01 and Q02 over the wire: authorisation with bidirectional energy transfer, late permission."""

from __future__ import annotations

from typing import Any

import pytest

from emulators.charger.station.config import StationConfig
from emulators.ev.car import CCS_63
from gateway.csms.settings import CsmsSettings, StationSettings, UnknownTokens
from gateway.model.event import NeedsStated, SessionEnded
from gateway.model.station import Answer
from protocols.ocpp.schema import Version
from tests.emulators.charger.csms_rig import CsmsRig
from tests.emulators.charger.requirements.admin_api import admin
from tests.emulators.charger.requirements.test_k28_k29 import near
from tests.emulators.charger.station_rig import Rig
from tests.requirements import requirement

pytestmark = pytest.mark.virtual_time

CARD = StationConfig(id_token="CARD-1")
NO_V2X = CsmsSettings(stations=(StationSettings("CP1"),), unknown_tokens=UnknownTokens.ACCEPT, v2x_allowed=False)


def carded(**about: Any) -> Rig:
    """Return a configuration of a station with token authorisation."""
    known = (StationSettings("CP1"),)
    settings = CsmsSettings(stations=known, unknown_tokens=UnknownTokens.ACCEPT, **about)
    return Rig(config=CARD, settings=settings)


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


async def test_the_next_transaction_of_a_plugged_in_vehicle_requests_its_own_transfer_again() -> None:
    async with CsmsRig(Version.V21) as csms:
        answers = [{"status": "Rejected"}]
        csms.answers["NotifyEVChargingNeeds"] = lambda _: answers.pop() if answers else None
        await csms.charging()
        transaction = csms.calls("TransactionEvent")[0]["transactionInfo"]["transactionId"]
        await csms.call("RequestStopTransaction", {"transactionId": transaction})
        await csms.sleep(2)
        token = {"idToken": "CARD-1", "type": "ISO14443"}
        await csms.call("RequestStartTransaction", {"idToken": token, "remoteStartId": 1, "evseId": 1})
        await csms.sleep(5)
        requested = [c["chargingNeeds"]["requestedEnergyTransfer"] for c in csms.calls("NotifyEVChargingNeeds")]
        assert requested == ["DC_BPT", "DC", "DC_BPT"]


@requirement("Q01.FR.06")
async def test_a_rejected_transfer_without_renegotiation_ends_the_transaction() -> None:
    async with Rig(settings=NO_V2X, config=StationConfig(service_renegotiation=False)) as rig:
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
