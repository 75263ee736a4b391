"""Grid codes at an emulated station: droop per unit, trip and momentary cessation curves, their alarms."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulators.charger.station.smart_charging import der
from emulators.charger.station.smart_charging.grid_protection import GridProtection
from gateway.model.event import FaultCleared, FaultRaised
from protocols.ocpp.events import Refused
from protocols.ocpp.schema import Version
from tests.emulators.charger.csms_rig import CsmsRig
from tests.emulators.charger.requirements.test_k28_k29 import near
from tests.emulators.charger.requirements.test_r import set_control
from tests.emulators.charger.station_rig import Rig
from tests.requirements import requirement

NOMINAL_V = 230.0


def curve(kind: str, points: list[tuple[float, float]], unit: str = "Not_Applicable", **more: Any) -> dict[str, Any]:
    """Return SetDERControl of a default curve."""
    data = [{"x": x, "y": y} for x, y in points]
    body = {"priority": 1, "yUnit": unit, "curveData": data, **more}
    return {"isDefault": True, "controlId": kind, "controlType": kind, "curve": body}


def enter_service(delay: float) -> dict[str, Any]:
    body = {
        "priority": 1,
        "highVoltage": 105.0,
        "lowVoltage": 92.0,
        "highFreq": 50.1,
        "lowFreq": 49.5,
        "delay": delay,
    }
    return {"isDefault": True, "controlId": "es", "controlType": "EnterService", "enterService": body}


def controls(*requests: dict[str, Any]) -> der.DerControls:
    found = der.DerControls(frozenset(der.BODIES))
    for request in requests:
        assert found.set(request, 0.0)[0] == "Accepted"
    return found


# droop


def droop(over: float = 0.05, under: float = 0.05) -> der.DerControls:
    body = {
        "priority": 1,
        "overFreq": 50.2,
        "underFreq": 49.8,
        "overDroop": over,
        "underDroop": under,
        "responseTime": 1.0,
    }
    return controls({"isDefault": True, "controlId": "d", "controlType": "FreqDroop", "freqDroop": body})


@pytest.mark.parametrize(
    ("hertz", "power"),
    [(50.0, -4000.0), (50.2, -4000.0), (50.7, -2000.0), (49.3, -6000.0), (52.7, 6000.0), (48.0, -10_000.0)],
)
def test_a_droop_of_5_percent_is_0_05_per_unit(hertz: float, power: float) -> None:
    """IEEE 1547-2018: 2.5 Hz of 50 Hz change the power by the whole rating of 10 kW."""
    found, kind, _ = der.bound(droop(), der.Grid(frequency_hz=hertz), -4000.0, 10_000.0, 10_000.0)
    assert found == pytest.approx(power)
    assert kind == (None if found == -4000.0 else "FreqDroop")


@given(st.floats(0.02, 0.07), st.floats(0.01, 2.0), st.sampled_from((50.0, 60.0)))
def test_the_response_to_a_deviation_is_inverse_to_the_droop(per_unit: float, deviation: float, nominal: float) -> None:
    body = {
        "priority": 1,
        "overFreq": nominal + 0.1,
        "underFreq": nominal - 0.1,
        "overDroop": per_unit,
        "underDroop": per_unit,
        "responseTime": 1.0,
    }
    held = controls({"isDefault": True, "controlId": "d", "controlType": "FreqDroop", "freqDroop": body})
    expected = min(deviation / nominal / per_unit * 10_000.0, 10_000.0)
    for sign in (1.0, -1.0):
        grid = der.Grid(frequency_hz=nominal + sign * (0.1 + deviation), nominal_hz=nominal)
        assert der.bound(held, grid, 0.0, 10_000.0, 10_000.0)[0] == pytest.approx(sign * expected, rel=1e-6)


# trip curves

TRIPS: list[tuple[str, list[tuple[float, float]], dict[str, float], float, str]] = [
    ("HVMustTrip", [(110.0, 13.0), (120.0, 0.16)], {"voltage_v": NOMINAL_V * 1.25}, 0.16, "OverVoltage"),
    ("HVMustTrip", [(110.0, 13.0), (120.0, 0.16)], {"voltage_v": NOMINAL_V * 1.15}, 13.0, "OverVoltage"),
    ("LVMustTrip", [(88.0, 21.0), (50.0, 2.0)], {"voltage_v": NOMINAL_V * 0.4}, 2.0, "UnderVoltage"),
    ("LVMustTrip", [(88.0, 21.0), (50.0, 2.0)], {"voltage_v": NOMINAL_V * 0.8}, 21.0, "UnderVoltage"),
    ("HFMustTrip", [(51.2, 300.0), (52.0, 0.16)], {"frequency_hz": 52.5}, 0.16, "OverFrequency"),
    ("LFMustTrip", [(48.5, 300.0), (47.0, 0.16)], {"frequency_hz": 46.5}, 0.16, "UnderFrequency"),
    ("LFMustTrip", [(48.5, 30.0), (47.0, 0.16)], {"frequency_hz": 48.0}, 30.0, "UnderFrequency"),
]


@pytest.mark.parametrize("by_time", [False, True], ids=["value-first", "time-first"])
@pytest.mark.parametrize(("kind", "points", "event", "seconds", "fault"), TRIPS)
@pytest.mark.virtual_time
@requirement("R05.FR.01", "R05.FR.02")
async def test_a_must_trip_curve_stops_the_inverter(
    kind: str, points: list[tuple[float, float]], event: dict[str, float], seconds: float, fault: str, by_time: bool
) -> None:
    """The points are (value, time) as in ISO 15118-20 Amendment 1, or (time, value) as in IEEE 2030.5."""
    written = [(y, x) for x, y in points] if by_time else points
    unit = "PctEffectiveV" if by_time and kind[1] == "V" else "Not_Applicable"
    async with Rig() as rig:
        assert (await set_control(rig, curve(kind, written, unit)))[0] == "Accepted"
        await rig.charging()
        await rig.csms.set_power("CP1-1", -8000.0, 900.0)
        await rig.sleep(5)
        rig.station.measure_grid(**event)
        await rig.sleep(seconds * 0.9)
        assert rig.evse().reading.power_w == near(-8000)
        assert rig.calls("NotifyDERAlarm") == []
        await rig.sleep(seconds * 0.1 + 0.2)
        assert rig.evse().reading.power_w == 0.0  # at once, without a ramp
        assert [(f.code, f.text) for f in rig.of(FaultRaised)] == [(f"DER:{kind}", fault)]
        rig.station.measure_grid(voltage_v=NOMINAL_V, frequency_hz=50.0)
        await rig.sleep(5)
        assert [f.code for f in rig.of(FaultCleared)] == [f"DER:{kind}"]
        notices = [
            (c["controlType"], c["gridEventFault"], c.get("alarmEnded", False)) for c in rig.calls("NotifyDERAlarm")
        ]
        assert notices == [(kind, fault, False), (kind, fault, True)]


@pytest.mark.virtual_time
async def test_a_short_deviation_trips_nothing_and_its_time_begins_anew() -> None:
    async with Rig() as rig:
        await set_control(rig, curve("HVMustTrip", [(110.0, 5.0)]))
        await rig.charging()
        await rig.csms.set_power("CP1-1", -8000.0, 900.0)
        await rig.sleep(5)
        for _ in range(5):
            rig.station.measure_grid(voltage_v=NOMINAL_V * 1.12)
            await rig.sleep(4)
            rig.station.measure_grid(voltage_v=NOMINAL_V)
            await rig.sleep(2)
            assert rig.evse().reading.power_w == near(-8000)
        assert rig.calls("NotifyDERAlarm") == []


@pytest.mark.virtual_time
async def test_a_tripped_inverter_returns_when_enter_service_allows_it() -> None:
    async with Rig() as rig:
        await set_control(rig, curve("HVMustTrip", [(110.0, 1.0)]))
        await set_control(rig, enter_service(60.0))
        await rig.charging()
        await rig.csms.set_power("CP1-1", 8000.0, 900.0)
        await rig.sleep(5)
        rig.station.measure_grid(voltage_v=NOMINAL_V * 1.15)
        await rig.sleep(2)
        assert rig.evse().reading.power_w == 0.0  # charging stops as well
        rig.station.measure_grid(voltage_v=NOMINAL_V * 1.07)  # no longer beyond the curve, not yet normal
        await rig.sleep(100)
        assert rig.evse().reading.power_w == 0.0
        rig.station.measure_grid(voltage_v=NOMINAL_V)
        await rig.sleep(58)
        assert rig.evse().reading.power_w == 0.0
        await rig.sleep(6)
        assert rig.evse().protection.cause is None
        assert rig.calls("NotifyDERAlarm")[-1]["alarmEnded"] is True


@pytest.mark.parametrize(
    ("kind", "threshold", "volts"), [("HVMomCess", 110.0, NOMINAL_V * 1.15), ("LVMomCess", 70.0, NOMINAL_V * 0.6)]
)
@pytest.mark.virtual_time
async def test_momentary_cessation_lasts_as_long_as_the_deviation(kind: str, threshold: float, volts: float) -> None:
    async with Rig() as rig:
        await set_control(rig, curve(kind, [(threshold, 0.08)]))
        await set_control(rig, enter_service(300.0))  # for trips, not for momentary cessation
        await rig.charging()
        await rig.csms.set_power("CP1-1", -8000.0, 900.0)
        await rig.sleep(5)
        rig.station.measure_grid(voltage_v=volts)
        await rig.sleep(0.5)
        assert rig.evse().reading.power_w == 0.0
        rig.station.measure_grid(voltage_v=NOMINAL_V)
        await rig.sleep(3)
        assert rig.evse().reading.power_w == near(-8000)
        assert [c["controlType"] for c in rig.calls("NotifyDERAlarm")] == [kind, kind]


def test_a_ride_through_curve_trips_nothing() -> None:
    held = controls(*(curve(kind, [(110.0, 1.0)]) for kind in ("HVMayTrip", "HFMayTrip")))
    protection = GridProtection()
    for second in range(100):
        protection.update(held, der.Grid(voltage_v=300.0, frequency_hz=60.0), 0.0, float(second))
    assert protection.cause is None


@pytest.mark.parametrize("nested", [False, True], ids=["own-control", "in-limit"])
def test_too_much_discharging_trips_by_power_monitoring(nested: bool) -> None:
    own = curve("PowerMonitoringMustTrip", [(70.0, 60.0)])
    limit = {"priority": 1, "pctMaxDischargePower": 70.0, "powerMonitoringMustTrip": own["curve"]}
    body = {"isDefault": True, "controlId": "l", "controlType": "LimitMaxDischarge", "limitMaxDischarge": limit}
    held, protection = controls(body if nested else own), GridProtection()
    protection.update(held, der.Grid(), 69.0, 0.0)
    assert protection.next_change_at() is None
    protection.update(held, der.Grid(), 75.0, 10.0)
    assert protection.next_change_at() == 70.0
    protection.update(held, der.Grid(), 75.0, 70.0)
    assert protection.cause == ("PowerMonitoringMustTrip", None)


@given(
    st.lists(st.tuples(st.floats(101.0, 150.0), st.floats(0.1, 60.0)), min_size=1, max_size=10),
    st.lists(st.tuples(st.floats(0.05, 20.0), st.floats(80.0, 160.0)), min_size=1, max_size=12),
)
def test_a_trip_comes_exactly_when_some_point_has_been_exceeded_for_its_time(
    points: list[tuple[float, float]], history: list[tuple[float, float]]
) -> None:
    """Against an independent computation from the whole history of the voltage."""
    held, protection = controls(curve("HVMustTrip", points)), GridProtection()
    moment, expected, tripped = 0.0, None, None
    since: dict[float, float] = {}
    for seconds, pct in history:
        protection.update(held, der.Grid(voltage_v=pct * 2.3), 0.0, moment)
        for threshold, _ in points:
            if pct >= threshold - 1e-9:
                since.setdefault(threshold, moment)
            else:
                since.pop(threshold, None)
        due = [since[threshold] + wait for threshold, wait in points if threshold in since]
        if due and min(due) <= moment + seconds:
            expected = max(min(due), moment)
        while tripped is None and (at := protection.next_change_at()) is not None and at <= moment + seconds:
            protection.update(held, der.Grid(voltage_v=pct * 2.3), 0.0, at)
            tripped = at if protection.cause else None
        moment += seconds
        if expected is not None or tripped is not None:
            break
    assert tripped == (None if expected is None else pytest.approx(expected, abs=1e-3))


@pytest.mark.virtual_time
async def test_the_end_of_a_transaction_ends_its_alarm() -> None:
    async with Rig() as rig:
        await set_control(rig, curve("HVMustTrip", [(110.0, 1.0)]))
        await rig.charging()
        await rig.csms.set_power("CP1-1", -8000.0, 900.0)
        rig.station.measure_grid(voltage_v=NOMINAL_V * 1.15)
        await rig.sleep(5)
        rig.station.unplug(1)
        await rig.sleep(2)
        assert [c.get("alarmEnded", False) for c in rig.calls("NotifyDERAlarm")] == [False, True]


@pytest.mark.virtual_time
async def test_a_report_of_der_controls_goes_only_from_the_station_to_the_csms() -> None:
    """OCPP 2.1 Edition 2 states the direction; R04.FR.40 is gone."""
    async with CsmsRig(Version.V21) as rig:
        reply = await rig.reply("ReportDERControl", {"requestId": 1})
        assert isinstance(reply, Refused)
        assert reply.code in ("NotSupported", "NotImplemented")
