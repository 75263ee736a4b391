"""Charging needs of a vehicle at a 2.0.1 station (K15-K17; TC_K_53, 54, 56-58 of part 6), and in meter values."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from emulators.ev.car import CCS_63, Car
from gateway.model.event import NeedsStated
from protocols.ocpp.schema import Version
from tests.emulators.charger.csms_rig import CsmsRig
from tests.emulators.charger.station_rig import Rig

pytestmark = pytest.mark.virtual_time


async def profile(csms: CsmsRig, limit: float, unit: str = "W", **more: Any) -> None:
    transaction = csms.evse().transaction
    assert transaction is not None
    schedule = {
        "id": 3, "duration": 300, "startSchedule": csms.station.timestamp(), "chargingRateUnit": unit,
        "chargingSchedulePeriod": [{"startPeriod": 0, "limit": limit}, {"startPeriod": 100, "limit": limit / 2}],
    }  # fmt: skip
    body = {
        "id": 1, "stackLevel": 1, "chargingProfilePurpose": "TxProfile", "chargingProfileKind": "Absolute",
        "transactionId": transaction.id, "chargingSchedule": [schedule], **more,
    }  # fmt: skip
    assert (await csms.call("SetChargingProfile", {"evseId": 1, "chargingProfile": body}))["status"] == "Accepted"
    await csms.sleep(1)


async def test_needs_and_charging_schedule_are_sent_within_the_transaction() -> None:
    """K_53: K15.FR.01, .06, .09, .10, .19."""
    async with CsmsRig() as csms:
        await csms.charging()
        (reported,) = csms.calls("NotifyEVChargingNeeds")
        needs = reported["chargingNeeds"]
        assert reported["evseId"] == 1
        assert needs["requestedEnergyTransfer"] == "DC"
        dc = needs["dcChargingParameters"]
        assert dc["evMaxCurrent"] == 250  # the car's own
        assert dc["evMaxVoltage"] > 300
        assert 0 < dc["evMaxPower"] <= 10_000
        assert dc["stateOfCharge"] == 50
        assert dc["energyAmount"] > 1000
        assert "acChargingParameters" not in needs
        assert csms.times("TransactionEvent")[0] <= csms.times("NotifyEVChargingNeeds")[0]
        await profile(csms, 6000.0)
        (followed,) = csms.calls("NotifyEVChargingSchedule")
        periods = followed["chargingSchedule"]["chargingSchedulePeriod"]
        assert followed["evseId"] == 1
        assert followed["chargingSchedule"]["id"] == 3
        assert [p["limit"] for p in periods] == [6000.0, 3000.0]
        await csms.sleep(10)
        assert csms.evse().reading.power_w < 6100


async def test_the_charging_schedule_respects_the_car_and_the_unit_of_the_csms() -> None:
    async with CsmsRig() as csms:
        await csms.charging()
        await profile(csms, 1000.0, "A")
        vehicle = csms.evse().vehicle
        assert vehicle is not None
        (followed,) = csms.calls("NotifyEVChargingSchedule")
        schedule = followed["chargingSchedule"]
        assert schedule["chargingRateUnit"] == "A"
        at = csms.station.smart_charging.evse_conditions(csms.evse())
        volts = at.voltage_v * at.phases
        assert schedule["chargingSchedulePeriod"][0]["limit"] * volts == round(vehicle.max_charge_w / volts, 1) * volts


async def test_an_ac_station_sends_currents() -> None:
    async with CsmsRig(dc=False) as csms:
        stated = csms.power_paths[0].plug(Car(CCS_63, 50), csms.clock.now())
        csms.station.plug_in(1, replace(stated, energy_transfer="AC_three_phase", available=("AC_three_phase",)))
        await csms.until(lambda: csms.evse().open)
        needs = csms.calls("NotifyEVChargingNeeds")[0]["chargingNeeds"]
        assert needs["requestedEnergyTransfer"] == "AC_three_phase"
        ac = needs["acChargingParameters"]
        assert ac["evMaxVoltage"] == 230
        assert 0 <= ac["evMinCurrent"] < ac["evMaxCurrent"] <= 15
        assert "dcChargingParameters" not in needs


async def test_rejected_needs_do_not_prevent_charging() -> None:
    """K_54: Rejected concerns the schedule in 2.0.1, not the transaction as in 2.1."""
    async with CsmsRig() as csms:
        csms.answers["NotifyEVChargingNeeds"] = {"status": "Rejected"}
        await csms.charging()
        await csms.sleep(10)
        states = [e["transactionInfo"].get("chargingState") for e in csms.calls("TransactionEvent")]
        assert "Charging" in states
        assert csms.evse().transaction is not None


async def test_offline_the_default_profile_applies_and_needs_are_sent_after_reconnection() -> None:
    """K_56: K15.FR.15."""
    async with CsmsRig() as csms:
        await csms.set("OCPPCommCtrlr", "RetryBackOffWaitMinimum", 2)
        assert await csms.set("AuthCtrlr", "OfflineTxForUnknownIdEnabled", "true") == "Accepted"
        schedule = {"id": 1, "chargingRateUnit": "W", "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 4000.0}]}
        body = {
            "id": 1, "stackLevel": 0, "chargingProfilePurpose": "TxDefaultProfile", "chargingProfileKind": "Relative",
            "chargingSchedule": [schedule],
        }  # fmt: skip
        await csms.call("SetChargingProfile", {"evseId": 1, "chargingProfile": body})
        await csms.cut()
        await csms.charging()
        await csms.sleep(20)
        assert 3800 < csms.evse().reading.power_w < 4100
        assert csms.calls("NotifyEVChargingNeeds") == []
        csms.down.clear()
        await csms.until(lambda: bool(csms.calls("NotifyEVChargingNeeds")))


async def test_changed_needs_are_sent_and_a_new_profile_causes_none() -> None:
    """K_57: K17.FR.01; K_58: K16.FR.09."""
    async with CsmsRig() as csms:
        await csms.charging()
        await profile(csms, 6000.0)
        await profile(csms, 5000.0)
        assert len(csms.calls("NotifyEVChargingNeeds")) == 1
        assert len(csms.calls("NotifyEVChargingSchedule")) == 2
        power_path = csms.power_paths[0]
        assert power_path.car is not None
        power_path.car.departure_at = csms.clock.now() + 3600
        csms.station.plug_in(1, power_path.needs(csms.clock.now()))
        await csms.sleep(1)
        assert "departureTime" in csms.calls("NotifyEVChargingNeeds")[1]["chargingNeeds"]


async def test_a_charging_schedule_is_sent_only_for_tx_profiles() -> None:
    async with CsmsRig() as csms:
        await csms.charging()
        schedule = {"id": 1, "chargingRateUnit": "W", "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 4000.0}]}
        body = {
            "id": 9, "stackLevel": 0, "chargingProfilePurpose": "TxDefaultProfile", "chargingProfileKind": "Relative",
            "chargingSchedule": [schedule],
        }  # fmt: skip
        await csms.call("SetChargingProfile", {"evseId": 1, "chargingProfile": body})
        await csms.sleep(1)
        assert csms.calls("NotifyEVChargingSchedule") == []


async def test_energy_requests_are_sampled_in_2_1() -> None:
    wanted = ("EnergyRequest.Minimum", "EnergyRequest.Target", "EnergyRequest.Maximum")

    async with CsmsRig(Version.V21) as csms:
        chosen = ",".join(("Power.Active.Import", *wanted))
        assert await csms.set("SampledDataCtrlr", "TxUpdatedMeasurands", chosen) == "Accepted"
        await csms.charging()
        await csms.sleep(20)
        car = csms.power_paths[0].car
        assert car is not None
        samples = csms.calls("TransactionEvent")[-1]["meterValue"][0]["sampledValue"]
        reported = {one["measurand"]: one for one in samples}
        assert set(wanted) <= set(reported)
        assert abs(reported["EnergyRequest.Target"]["value"] - car.energy().target_wh) < 100
        assert reported["EnergyRequest.Minimum"]["unitOfMeasure"] == {"unit": "Wh"}


@pytest.mark.parametrize(("profile", "both_ways"), [(None, False), ("vendor-variable", True)])
async def test_the_gateway_stores_needs_of_a_2_0_1_station(profile: str | None, both_ways: bool) -> None:
    """Departure and energy request are stored; discharging depends on the vendor profile."""
    async with Rig(Version.V201, vendor_profile=profile) as rig:
        car = Car(CCS_63, 50)
        car.departure_at = rig.clock.now() + 7200
        await rig.charging(car=car)
        await rig.until(lambda: any(e.needs.departure is not None for e in rig.of(NeedsStated)))
        needs = rig.of(NeedsStated)[-1].needs
        assert needs.departure is not None
        assert abs(needs.departure - rig.clock.wall() - 7200) < 30
        assert needs.soc_pct == 50
        assert needs.target_energy_wh is not None
        assert needs.target_energy_wh > 1000
        assert needs.bidirectional is both_ways
        assert (needs.limits.max_discharge_w > 0) is both_ways
        rig.station.unplug(1)
        await rig.until(lambda: rig.known.evses[1].needs is None)
