"""OCPP 2.1 Q08 to Q10 over the wire: local frequency support, load balancing, idle."""

from __future__ import annotations

import pytest

from emulators.charger.station.config import StationConfig
from protocols.ocpp.times import stamp
from tests.emulators.charger.requirements.admin_api import admin
from tests.emulators.charger.requirements.q_profiles import CURVE, local_frequency, schedule, thresholds
from tests.emulators.charger.requirements.test_k28_k29 import install, near, reason
from tests.emulators.charger.station_rig import Rig
from tests.requirements import requirement

pytestmark = pytest.mark.virtual_time


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
    async with Rig(config=StationConfig(evse_sleep=supported)) as rig:
        await rig.charging()
        idle = schedule([{"startPeriod": 0, "operationMode": "Idle", "evseSleep": True}])
        assert (await install(rig, idle))["status"] == "Accepted"
        await rig.sleep(15)
        assert rig.calls("TransactionEvent")[-1].get("evseSleep", False) is supported
        await rig.request("ClearChargingProfile", {"chargingProfileId": 20})
        await rig.sleep(15)
        assert "evseSleep" not in rig.calls("TransactionEvent")[-1]
