"""What a vehicle needs, told by a 2.0.1 station (K15-K17; cases TC_K_53, 54, 56-58 of part 6), and in meter values."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from emulators.ev.car import CCS_63, Car
from gateway.model.event import NeedsStated
from protocols.ocpp.schema import Version
from tests.emulators.charger.csms_rig import Desk
from tests.emulators.charger.station_rig import Rig

pytestmark = pytest.mark.virtual_time


async def profile(desk: Desk, limit: float, unit: str = "W", **more: Any) -> None:
    transaction = desk.evse().transaction
    assert transaction is not None
    schedule = {
        "id": 3, "duration": 300, "startSchedule": desk.station.timestamp(), "chargingRateUnit": unit,
        "chargingSchedulePeriod": [{"startPeriod": 0, "limit": limit}, {"startPeriod": 100, "limit": limit / 2}],
    }  # fmt: skip
    body = {
        "id": 1, "stackLevel": 1, "chargingProfilePurpose": "TxProfile", "chargingProfileKind": "Absolute",
        "transactionId": transaction.id, "chargingSchedule": [schedule], **more,
    }  # fmt: skip
    assert (await desk.ask("SetChargingProfile", {"evseId": 1, "chargingProfile": body}))["status"] == "Accepted"
    await desk.sleep(1)


async def test_needs_are_told_within_the_transaction_and_the_schedule_that_is_followed_too() -> None:
    """K_53: K15.FR.01, .06, .09, .10, .19."""
    async with Desk() as desk:
        await desk.charging()
        (told,) = desk.calls("NotifyEVChargingNeeds")
        needs = told["chargingNeeds"]
        assert told["evseId"] == 1
        assert needs["requestedEnergyTransfer"] == "DC"
        dc = needs["dcChargingParameters"]
        assert dc["evMaxCurrent"] == 250  # the car's own
        assert dc["evMaxVoltage"] > 300
        assert 0 < dc["evMaxPower"] <= 10_000
        assert dc["stateOfCharge"] == 50
        assert dc["energyAmount"] > 1000
        assert "acChargingParameters" not in needs
        assert desk.times("TransactionEvent")[0] <= desk.times("NotifyEVChargingNeeds")[0]
        await profile(desk, 6000.0)
        (followed,) = desk.calls("NotifyEVChargingSchedule")
        periods = followed["chargingSchedule"]["chargingSchedulePeriod"]
        assert followed["evseId"] == 1
        assert followed["chargingSchedule"]["id"] == 3
        assert [p["limit"] for p in periods] == [6000.0, 3000.0]
        await desk.sleep(10)
        assert desk.evse().reading.power_w < 6100


async def test_the_schedule_is_no_more_than_the_car_takes_and_in_the_unit_of_the_csms() -> None:
    async with Desk() as desk:
        await desk.charging()
        await profile(desk, 1000.0, "A")
        vehicle = desk.evse().vehicle
        assert vehicle is not None
        (followed,) = desk.calls("NotifyEVChargingSchedule")
        schedule = followed["chargingSchedule"]
        assert schedule["chargingRateUnit"] == "A"
        at = desk.station.steering.circumstances(desk.evse())
        volts = at.voltage_v * at.phases
        assert schedule["chargingSchedulePeriod"][0]["limit"] * volts == round(vehicle.max_charge_w / volts, 1) * volts


async def test_an_ac_station_tells_currents() -> None:
    async with Desk(dc=False) as desk:
        stated = desk.outlets[0].plug(Car(CCS_63, 50), desk.clock.now())
        desk.station.plug_in(1, replace(stated, energy_transfer="AC_three_phase", available=("AC_three_phase",)))
        await desk.until(lambda: desk.evse().open)
        needs = desk.calls("NotifyEVChargingNeeds")[0]["chargingNeeds"]
        assert needs["requestedEnergyTransfer"] == "AC_three_phase"
        ac = needs["acChargingParameters"]
        assert ac["evMaxVoltage"] == 230
        assert 0 <= ac["evMinCurrent"] < ac["evMaxCurrent"] <= 15
        assert "dcChargingParameters" not in needs


async def test_a_csms_that_has_no_schedule_keeps_nobody_from_charging() -> None:
    """K_54: Rejected is about a schedule in 2.0.1, not about the transaction as in 2.1."""
    async with Desk() as desk:
        desk.answers["NotifyEVChargingNeeds"] = {"status": "Rejected"}
        await desk.charging()
        await desk.sleep(10)
        states = [e["transactionInfo"].get("chargingState") for e in desk.calls("TransactionEvent")]
        assert "Charging" in states
        assert desk.evse().transaction is not None


async def test_offline_the_default_profile_rules_and_the_needs_are_told_when_the_line_is_back() -> None:
    """K_56: K15.FR.15."""
    async with Desk() as desk:
        await desk.set("OCPPCommCtrlr", "RetryBackOffWaitMinimum", 2)
        assert await desk.set("AuthCtrlr", "OfflineTxForUnknownIdEnabled", "true") == "Accepted"
        schedule = {"id": 1, "chargingRateUnit": "W", "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 4000.0}]}
        body = {
            "id": 1, "stackLevel": 0, "chargingProfilePurpose": "TxDefaultProfile", "chargingProfileKind": "Relative",
            "chargingSchedule": [schedule],
        }  # fmt: skip
        await desk.ask("SetChargingProfile", {"evseId": 1, "chargingProfile": body})
        await desk.cut()
        await desk.charging()
        await desk.sleep(20)
        assert 3800 < desk.evse().reading.power_w < 4100
        assert desk.calls("NotifyEVChargingNeeds") == []
        desk.down.clear()
        await desk.until(lambda: bool(desk.calls("NotifyEVChargingNeeds")))


async def test_new_needs_of_the_vehicle_are_told_and_a_new_profile_brings_none() -> None:
    """K_57: K17.FR.01; K_58: K16.FR.09."""
    async with Desk() as desk:
        await desk.charging()
        await profile(desk, 6000.0)
        await profile(desk, 5000.0)
        assert len(desk.calls("NotifyEVChargingNeeds")) == 1
        assert len(desk.calls("NotifyEVChargingSchedule")) == 2
        outlet = desk.outlets[0]
        assert outlet.car is not None
        outlet.car.departure_at = desk.clock.now() + 3600
        desk.station.plug_in(1, outlet.needs(desk.clock.now()))
        await desk.sleep(1)
        assert "departureTime" in desk.calls("NotifyEVChargingNeeds")[1]["chargingNeeds"]


async def test_a_schedule_is_told_for_profiles_of_transactions_alone() -> None:
    async with Desk() as desk:
        await desk.charging()
        schedule = {"id": 1, "chargingRateUnit": "W", "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 4000.0}]}
        body = {
            "id": 9, "stackLevel": 0, "chargingProfilePurpose": "TxDefaultProfile", "chargingProfileKind": "Relative",
            "chargingSchedule": [schedule],
        }  # fmt: skip
        await desk.ask("SetChargingProfile", {"evseId": 1, "chargingProfile": body})
        await desk.sleep(1)
        assert desk.calls("NotifyEVChargingSchedule") == []


async def test_what_the_car_still_asks_for_is_sampled_in_21_where_it_tells() -> None:
    wanted = ("EnergyRequest.Minimum", "EnergyRequest.Target", "EnergyRequest.Maximum")

    async with Desk(Version.V21) as desk:
        chosen = ",".join(("Power.Active.Import", *wanted))
        assert await desk.set("SampledDataCtrlr", "TxUpdatedMeasurands", chosen) == "Accepted"
        await desk.charging()
        await desk.sleep(20)
        car = desk.outlets[0].car
        assert car is not None
        samples = desk.calls("TransactionEvent")[-1]["meterValue"][0]["sampledValue"]
        told = {one["measurand"]: one for one in samples}
        assert set(wanted) <= set(told)
        assert abs(told["EnergyRequest.Target"]["value"] - car.energy().target_wh) < 100
        assert told["EnergyRequest.Minimum"]["unitOfMeasure"] == {"unit": "Wh"}


@pytest.mark.parametrize(("profile", "both_ways"), [(None, False), ("vendor-variable", True)])
async def test_the_gateway_takes_what_a_201_station_tells_into_its_model(profile: str | None, both_ways: bool) -> None:
    """When the car leaves and what it lacks is kept; that it gives back, only the vendor profile can say."""
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
        await rig.until(lambda: rig.known.evses[1].stated is None)
