"""OCPP 2.1 block R over the wire: DER controls set, read, cleared, applied and reported."""

from __future__ import annotations

from typing import Any

import pytest

from emulators.charger.station.config import StationConfig
from emulators.charger.station.power_path import CarPowerPath
from emulators.charger.station.smart_charging import der
from emulators.conformance.ocpp.emulated_station import with_inverter
from emulators.ev.car import CCS_63, Car
from gateway.model.event import EvseDescribed, FaultCleared, FaultRaised
from protocols.ocpp.times import stamp
from tests.emulators.charger.requirements.admin_api import admin, request
from tests.emulators.charger.requirements.test_k28_k29 import near
from tests.emulators.charger.station_rig import Rig, dynamic
from tests.requirements import requirement

pytestmark = pytest.mark.virtual_time

VOLT_WATT = [{"x": 100.0, "y": 100.0}, {"x": 106.0, "y": 100.0}, {"x": 110.0, "y": 0.0}]


def curve(number: str, priority: int = 5, default: bool = True, kind: str = "VoltWatt", **more: Any) -> dict[str, Any]:
    body = {"priority": priority, "yUnit": "PctMaxW", "curveData": VOLT_WATT, **more}
    return {"isDefault": default, "controlId": number, "controlType": kind, "curve": body}


def flat(pct: float) -> list[dict[str, float]]:
    """Return a curve with one share of the rating above 107 % of the voltage."""
    return [{"x": 106.0, "y": 100.0}, {"x": 107.0, "y": pct}, {"x": 110.0, "y": pct}]


def scheduled(rig: Rig, number: str, start: float, duration: float = 60.0, priority: int = 5) -> dict[str, Any]:
    return curve(number, priority, False, startTime=stamp(rig.clock.wall() + start), duration=duration)


def limit(pct: float, priority: int = 5) -> dict[str, Any]:
    body = {"priority": priority, "pctMaxDischargePower": pct}
    return {
        "isDefault": True,
        "controlId": f"lim{pct:g}",
        "controlType": "LimitMaxDischarge",
        "limitMaxDischarge": body,
    }


async def report(rig: Rig, **criteria: Any) -> dict[str, dict[str, Any]]:
    """Return the reported DER controls by id."""
    before = len(rig.calls("ReportDERControl"))
    answer = await rig.request("GetDERControl", {"requestId": 42, **criteria})
    assert answer["status"] == "Accepted"
    await rig.sleep(1)
    calls = rig.calls("ReportDERControl")[before:]
    assert all(call["requestId"] == 42 for call in calls)
    assert [call["tbc"] for call in calls] == [True] * (len(calls) - 1) + [False]
    return {entry["id"]: entry for call in calls for name in der.BODY_NAMES if name in call for entry in call[name]}


async def set_control(rig: Rig, request: dict[str, Any]) -> tuple[str, list[str]]:
    answer = await rig.request("SetDERControl", request)
    return answer["status"], answer.get("supersededIds", [])


@requirement("R04.FR.01", "R04.FR.36", "R04.FR.43")
async def test_a_type_that_is_not_supported() -> None:
    async with Rig() as rig:
        rig.station.der_controls.supported = frozenset({"VoltWatt"})
        assert (await set_control(rig, limit(50)))[0] == "NotSupported"
        body = {"requestId": 1, "controlType": "LimitMaxDischarge"}
        assert (await rig.request("GetDERControl", body))["status"] == "NotSupported"
        body = {"isDefault": True, "controlType": "LimitMaxDischarge"}
        assert (await rig.request("ClearDERControl", body))["status"] == "NotSupported"


@requirement("R04.FR.02", "R04.FR.03", "R04.FR.09", "R04.FR.11")
async def test_a_better_default_supersedes() -> None:
    async with Rig() as rig:
        assert await set_control(rig, curve("a", 5)) == ("Accepted", [])
        assert await set_control(rig, curve("b", 3)) == ("Accepted", ["a"])
        found = await report(rig)
        assert found["a"]["isSuperseded"] is True
        assert found["b"]["isSuperseded"] is False


@requirement("R04.FR.04", "R04.FR.05", "R04.FR.10", "R04.FR.11", "R04.FR.20", "R04.FR.22")
async def test_a_scheduled_control_applies_in_its_period() -> None:
    async with Rig() as rig:
        await rig.charging()
        await rig.csms.set_power("CP1-1", -8000.0, 900.0)
        rig.station.measure_grid(voltage_v=230.0 * 1.08)
        await set_control(rig, curve("default", curveData=flat(50.0)))
        runs = scheduled(rig, "s", 30, 60)
        runs["curve"]["curveData"] = flat(30.0)
        assert await set_control(rig, runs) == ("Accepted", [])
        await rig.sleep(5)
        assert rig.evse().reading.power_w == near(-5000)
        await rig.sleep(30)
        assert rig.evse().reading.power_w == near(-3000)
        assert rig.calls("NotifyDERStartStop")[-1]["controlId"] == "s"
        assert rig.calls("NotifyDERStartStop")[-1]["started"] is True
        assert await set_control(rig, curve("default2", 1, curveData=flat(20.0))) == ("Accepted", ["default"])
        await rig.sleep(5)
        assert rig.evse().reading.power_w == near(-3000)
        await rig.sleep(55)
        assert rig.evse().reading.power_w == near(-2000)
        assert rig.calls("NotifyDERStartStop")[-1]["started"] is False
        assert "s" not in await report(rig)


@requirement("R04.FR.06")
async def test_a_scheduled_control_that_has_not_begun_is_superseded_at_once() -> None:
    async with Rig() as rig:
        await set_control(rig, scheduled(rig, "early", 60, priority=5))
        assert await set_control(rig, scheduled(rig, "better", 600, priority=2)) == ("Accepted", ["early"])
        await rig.sleep(90)
        assert rig.calls("NotifyDERStartStop") == []


@requirement("R04.FR.07", "R04.FR.21")
async def test_a_running_control_runs_until_the_better_one_begins() -> None:
    async with Rig() as rig:
        await set_control(rig, scheduled(rig, "runs", 10, 600, priority=5))
        await rig.sleep(15)
        assert await set_control(rig, scheduled(rig, "better", 60, 60, priority=2)) == ("Accepted", [])
        assert (await report(rig))["runs"]["isSuperseded"] is False
        await rig.sleep(65)
        notices = rig.calls("NotifyDERStartStop")[-1]
        assert (notices["controlId"], notices["started"], notices["supersededIds"]) == ("better", True, ["runs"])
        assert (await report(rig))["runs"]["isSuperseded"] is True


@requirement("R04.FR.08")
async def test_a_worse_control_is_superseded_from_the_start() -> None:
    async with Rig() as rig:
        await set_control(rig, scheduled(rig, "runs", 10, 600, priority=1))
        await rig.sleep(15)
        assert await set_control(rig, scheduled(rig, "worse", 60, priority=9)) == ("Accepted", ["worse"])
        assert (await report(rig))["worse"]["isSuperseded"] is True


@requirement("R04.FR.13", "R04.FR.15", "R04.FR.17")
async def test_invalid_controls_are_rejected() -> None:
    async with Rig() as rig:
        timed = curve("x", startTime=stamp(rig.clock.wall()), duration=60)
        assert (await set_control(rig, timed))[0] == "Rejected"
        gradient = {"priority": 1, "gradient": 1.0, "softGradient": 1.0}
        body = {"isDefault": False, "controlId": "g", "controlType": "Gradients", "gradient": gradient}
        assert (await set_control(rig, body))[0] == "Rejected"
        assert (await set_control(rig, body | {"isDefault": True}))[0] == "Accepted"
        wrong = limit(50) | {"controlType": "VoltWatt"}
        assert (await set_control(rig, wrong))[0] == "Rejected"
        both = curve("y") | {"limitMaxDischarge": {"priority": 1}}
        assert (await set_control(rig, both))[0] == "Rejected"


@requirement("R04.FR.30", "R04.FR.31", "R04.FR.32", "R04.FR.33", "R04.FR.34", "R04.FR.35", "R04.FR.37")
async def test_reported_controls() -> None:
    async with Rig() as rig:
        assert (await rig.request("GetDERControl", {"requestId": 1}))["status"] == "NotFound"
        for number in range(15):
            await set_control(rig, curve(f"d{number}", 20 - number))
            await set_control(rig, scheduled(rig, f"s{number}", 100, priority=20 - number))
        await set_control(rig, limit(50))
        assert len(await report(rig)) == 31  # in more than one message
        assert set(await report(rig, controlType="LimitMaxDischarge")) == {"lim50"}
        assert set(await report(rig, controlId="d3")) == {"d3"}
        assert len(await report(rig, isDefault=False)) == 15
        assert len(await report(rig, controlType="VoltWatt", isDefault=True)) == 15
        body = {"requestId": 1, "controlId": "nobody"}
        assert (await rig.request("GetDERControl", body))["status"] == "NotFound"


@requirement("R04.FR.41", "R04.FR.42", "R04.FR.44", "R04.FR.45", "R04.FR.46")
async def test_cleared_controls() -> None:
    async with Rig() as rig:

        async def clear(**criteria: Any) -> str:
            return str((await rig.request("ClearDERControl", criteria))["status"])

        await set_control(rig, curve("a"))
        await set_control(rig, limit(50))
        await set_control(rig, scheduled(rig, "s", 100))
        assert await clear(isDefault=True, controlType="FreqDroop") == "NotFound"
        assert await clear(isDefault=True, controlId="s") == "NotFound"
        assert await clear(isDefault=False, controlId="s") == "Accepted"
        assert await clear(isDefault=True, controlType="VoltWatt") == "Accepted"
        assert set(await report(rig)) == {"lim50"}
        assert await clear(isDefault=True) == "Accepted"
        assert (await rig.request("GetDERControl", {"requestId": 1}))["status"] == "NotFound"


@requirement("R01.FR.03", "R02.FR.02", "R03.FR.02")
async def test_controls_persist_over_a_reboot() -> None:
    async with Rig() as rig:
        await set_control(rig, limit(50))
        boots = len(rig.calls("BootNotification"))
        assert (await rig.request("Reset", {"type": "Immediate"}))["status"] == "Accepted"
        await rig.until(lambda: len(rig.calls("BootNotification")) > boots and rig.station.online)
        assert rig.calls("BootNotification")[-1]["reason"] == "RemoteReset"
        await rig.sleep(2)
        assert set(await report(rig)) == {"lim50"}


@requirement("R02.FR.01", "R03.FR.01", "R03.FR.03")
async def test_an_ev_with_an_inverter_of_its_own() -> None:
    async with Rig(config=StationConfig(dc=False)) as rig:
        path = rig.power_paths[0]
        assert isinstance(path, CarPowerPath)
        rig.station.plug_in(1, with_inverter(path.plug(Car(CCS_63, 80.0), rig.clock.now())))
        await rig.until(lambda: bool(rig.calls("NotifyEVChargingNeeds")))
        (notice,) = rig.calls("NotifyEVChargingNeeds")
        assert notice["chargingNeeds"]["requestedEnergyTransfer"] == "AC_BPT_DER"
        inverter = notice["chargingNeeds"]["derChargingParameters"]
        assert inverter["evSupportedDERControl"] == ["VoltWatt", "FreqWatt"]
        ratings = [inverter[name] for name in ("maxChargeApparentPower", "maxDischargeApparentPower")]
        assert ratings == [11_000.0, 11_000.0]
        where = {"component": {"name": "ACDERCtrlr", "evse": {"id": 1}}, "variable": {"name": "ModesSupported"}}
        (found,) = (await rig.request("GetVariables", {"getVariableData": [where]}))["getVariableResult"]
        assert found["attributeStatus"] == "Accepted"
        assert {"VoltWatt", "LimitMaxDischarge"} <= set(found["attributeValue"].split(","))


@requirement("R05.FR.01", "R05.FR.02")
async def test_an_export_limit_is_applied_and_reported_once() -> None:
    async with Rig() as rig:
        body = {"priority": 5, "pctMaxDischargePower": 50.0}
        control = {"controlId": "cap", "controlType": "LimitMaxDischarge", "isDefault": True, "control": body}
        assert (await admin(rig, "POST", "der-controls", control))["answer"] == "applied"
        assert rig.of(EvseDescribed)[-1].limits.max_discharge_w == 5000.0  # the core requests no more
        await rig.charging()
        await rig.csms.set_power("CP1-1", -8000.0, 600.0)
        await rig.sleep(30)
        assert rig.evse().reading.power_w == near(-5000)
        (alarm,) = rig.calls("NotifyDERAlarm")
        assert alarm["controlType"] == "LimitMaxDischarge"
        assert (await admin(rig, "GET", ""))["der_alarms"] == {"LimitMaxDischarge": ""}
        assert rig.of(FaultRaised) == []  # the car goes on; only its power is bent
        await rig.csms.set_power("CP1-1", -3000.0, 600.0)
        await rig.sleep(10)
        first, second = rig.calls("NotifyDERAlarm")
        assert (first.get("alarmEnded"), second["alarmEnded"]) == (None, True)
        assert (await admin(rig, "GET", ""))["der_alarms"] == {}
        assert (await admin(rig, "DELETE", "der-controls", isDefault=True))["answer"] == "applied"
        assert rig.of(EvseDescribed)[-1].limits.max_discharge_w == 10_000.0


@requirement("R05.FR.01", "R05.FR.02", "R05.FR.03", "R05.FR.04")
async def test_a_grid_event_takes_over_and_one_control_follows_another() -> None:
    async with Rig() as rig:
        await set_control(rig, curve("vw"))
        points = [{"x": 50.2, "y": 100.0}, {"x": 51.0, "y": 0.0}]
        await set_control(
            rig, curve("fw", kind="FreqWatt") | {"curve": {"priority": 1, "yUnit": "PctMaxW", "curveData": points}}
        )
        await rig.charging()
        await rig.csms.set_power("CP1-1", -8000.0, 900.0)
        await rig.sleep(5)
        rig.station.measure_grid(voltage_v=230.0 * 1.08)
        await rig.sleep(5)
        assert rig.evse().reading.power_w == near(-5000)  # half of the rating at 108 %
        rig.station.measure_grid(voltage_v=230.0, frequency_hz=50.6)
        await rig.sleep(5)
        assert rig.evse().reading.power_w == near(-5000)
        rig.station.measure_grid(frequency_hz=50.0)
        await rig.sleep(5)
        assert rig.evse().reading.power_w == near(-8000)
        notices = [
            (c["controlType"], c.get("gridEventFault"), c.get("alarmEnded", False)) for c in rig.calls("NotifyDERAlarm")
        ]
        assert notices == [
            ("VoltWatt", "OverVoltage", False),
            ("FreqWatt", "OverFrequency", False),  # no end of the first is reported
            ("FreqWatt", "OverFrequency", True),
        ]


async def test_the_strictest_of_several_controls_limits_the_power() -> None:
    async with Rig() as rig:
        await set_control(rig, limit(50))
        points = [{"x": 50.2, "y": 100.0}, {"x": 51.0, "y": 0.0}]
        body = {"priority": 1, "yUnit": "PctMaxW", "curveData": points}
        await set_control(rig, curve("fw", kind="FreqWatt") | {"curve": body})
        await rig.charging()
        await rig.request("SetChargingProfile", {"evseId": 1, "chargingProfile": _discharging(rig)})
        await rig.sleep(5)
        assert rig.evse().reading.power_w == near(-5000)
        rig.station.measure_grid(frequency_hz=50.8)
        await rig.sleep(5)
        assert rig.evse().reading.power_w == near(-2500)
        assert rig.calls("NotifyDERAlarm")[-1]["controlType"] == "FreqWatt"


def _discharging(rig: Rig) -> dict[str, Any]:
    transaction = rig.evse().transaction
    assert transaction is not None
    return dynamic(-8000.0, None, transactionId=transaction.id)


@requirement("R04.FR.12", "R04.FR.14", "R04.FR.16")
async def test_the_gateway_sends_only_what_is_allowed() -> None:
    body = {"priority": 1, "yUnit": "PctMaxW", "curveData": VOLT_WATT}
    gradient = {"priority": 1, "gradient": 1.0, "softGradient": 1.0}

    async with Rig() as rig:
        for kind, control, default, clause in (
            ("VoltWatt", body | {"duration": 5}, True, "FR.12"),
            ("Gradients", gradient, False, "FR.14"),
        ):
            invalid = {"controlId": "a", "controlType": kind, "isDefault": default, "control": control}
            response = await request(rig, "POST", "der-controls", invalid)
            assert response.status_code == 422
            assert clause in response.json()["detail"]
        assert rig.calls("SetDERControl") == []
        controls: tuple[tuple[str, dict[str, Any]], ...] = (("VoltWatt", body), ("Gradients", gradient))
        for number, (kind, control) in enumerate(controls):
            valid = {"controlId": f"c{number}", "controlType": kind, "isDefault": True, "control": control}
            assert (await admin(rig, "POST", "der-controls", valid))["answer"] == "applied"
        for sent, name in zip(rig.calls("SetDERControl"), ("curve", "gradient"), strict=True):
            assert der.BODY_NAMES & sent.keys() == {name}
        assert {one["id"] for one in await admin(rig, "GET", "der-controls")} == {"c0", "c1"}
        assert (await admin(rig, "DELETE", "der-controls", isDefault=True))["answer"] == "applied"
        assert await admin(rig, "GET", "der-controls") == []


async def test_a_control_that_trips_the_inverter_is_a_fault() -> None:
    async with Rig() as rig:
        alarm = {"controlType": "HVMustTrip", "gridEventFault": "OverVoltage", "timestamp": stamp(rig.clock.wall())}
        await rig.station.call("NotifyDERAlarm", alarm)
        assert [(f.code, f.text) for f in rig.of(FaultRaised)] == [("DER:HVMustTrip", "OverVoltage")]
        await rig.station.call("NotifyDERAlarm", alarm | {"alarmEnded": True})
        assert [f.code for f in rig.of(FaultCleared)] == ["DER:HVMustTrip"]
