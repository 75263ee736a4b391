"""Monitors of the emulated station: configuration, events and their reports (2.x N02-N08, N11-N15)."""

from __future__ import annotations

from functools import partial
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emulators.charger.station.device_model.model import Variable
from emulators.charger.station.monitoring.monitors import Monitors
from protocols.ocpp.schema import Version
from protocols.ocpp.times import parse
from tests.emulators.charger.csms_rig import CsmsRig
from tests.emulators.charger.station_rig import Rig
from tests.requirements import requirement
from tests.rounds import rounds

pytestmark = pytest.mark.virtual_time

LATE = [Version.V201, Version.V21]
EVSE1 = {"name": "EVSE", "evse": {"id": 1}}
POWER = ("EVSE", 1, "Power", "")


def monitor(kind: str, value: float, variable: str = "Power", severity: int = 5, **more: Any) -> dict[str, Any]:
    return {
        "type": kind, "value": value, "severity": severity, "component": EVSE1, "variable": {"name": variable}, **more,
    }  # fmt: skip


async def put(rig: Rig, *data: dict[str, Any]) -> list[dict[str, Any]]:
    answer = await rig.request("SetVariableMonitoring", {"setMonitoringData": list(data)})
    results: list[dict[str, Any]] = answer["setMonitoringResult"]
    return results


def notifications(rig: Rig, number: int) -> list[dict[str, Any]]:
    events = [e for call in rig.calls("NotifyEvent") for e in call["eventData"]]
    return [e for e in events if e.get("variableMonitoringId") == number]


@requirement("N07.FR.02", "N07.FR.06", "N07.FR.07", "N07.FR.16", "N07.FR.20")
@pytest.mark.parametrize("version", LATE)
async def test_a_threshold_on_the_real_power_alerts_and_clears(version: Version) -> None:
    """N07.FR.02, .06, .07, .16, .20."""
    async with Rig(version, vendor_profile="negative-limit" if version is Version.V201 else None) as rig:
        (result,) = await put(rig, monitor("UpperThreshold", 2000.0))
        assert result["status"] == "Accepted"
        await rig.charging()
        rig.evse().vendor_setpoint_w = 5000.0
        await rig.until(lambda: bool(notifications(rig, result["id"])), within=60)
        first = notifications(rig, result["id"])[0]
        assert first["trigger"] == "Alerting"
        assert float(first["actualValue"]) > 2000
        assert first["cleared"] is False
        assert first["transactionId"] == rig.evse().transaction.id  # type: ignore[union-attr]
        assert first["eventNotificationType"] == "CustomMonitor"
        assert first.get("severity") == (5 if version is Version.V21 else None)
        rig.station.unplug(1)
        await rig.until(lambda: len(notifications(rig, result["id"])) == 2)
        assert notifications(rig, result["id"])[1]["cleared"] is True
        assert [c["seqNo"] for c in rig.calls("NotifyEvent")] == [0] * len(rig.calls("NotifyEvent"))


@requirement(
    "N04.FR.01",
    "N04.FR.03",
    "N04.FR.04",
    "N04.FR.05",
    "N04.FR.06",
    "N04.FR.08",
    "N04.FR.10",
    "N04.FR.11",
    "N04.FR.12",
    "N04.FR.13",
    "N04.FR.14",
    "N04.FR.16",
    "N05.FR.02",
    "N06.FR.01",
    "N06.FR.02",
    "N06.FR.03",
)
@pytest.mark.parametrize("version", LATE)
async def test_rejected_monitors_state_the_reason(version: Version) -> None:
    """N04.FR.01-16."""
    async with Rig(version) as rig:
        first, *rest = await put(
            rig,
            monitor("UpperThreshold", 2000.0),
            monitor("UpperThreshold", 2500.0),
            monitor("UpperThreshold", 1e6, severity=4),
            monitor("Delta", -1.0),
            monitor("UpperThreshold", 1.0, "AvailabilityState"),
            monitor("Periodic", 0.0),
            monitor("Delta", 1.0, "Nonsense"),
            monitor("Delta", 1.0) | {"component": {"name": "Teapot"}},
            monitor("Delta", 1.0, id=4711),
        )
        assert first["status"] == "Accepted"
        assert [r["status"] for r in rest] == [
            "Duplicate", "Rejected", "Rejected", "UnsupportedMonitorType", "Rejected", "UnknownVariable",
            "UnknownComponent", "Rejected",
        ]  # fmt: skip
        (other,) = await put(rig, monitor("UpperThreshold", 30.0, "Temperature", id=first["id"]))
        assert other["status"] == "Rejected"  # N04.FR.16
        (again,) = await put(rig, monitor("UpperThreshold", 2600.0, id=first["id"]))
        assert (again["status"], again["id"]) == ("Accepted", first["id"])
        cleared = await rig.request("ClearVariableMonitoring", {"id": [first["id"], 4711, 1]})
        assert [r["status"] for r in cleared["clearMonitoringResult"]] == ["Accepted", "NotFound", "Rejected"]
        assert await rig.request("SetMonitoringLevel", {"severity": 10}) == {"status": "Rejected"}


@requirement(
    "N02.FR.01",
    "N02.FR.04",
    "N02.FR.06",
    "N02.FR.09",
    "N02.FR.10",
    "N03.FR.03",
    "N03.FR.04",
    "N03.FR.05",
    "N05.FR.03",
    "N07.FR.15",
)
@pytest.mark.parametrize("version", LATE)
async def test_reports_bases_and_levels(version: Version) -> None:
    """N02, N03, N05."""
    async with Rig(version) as rig:

        async def report(**about: Any) -> set[tuple[str, str]]:
            rig.messages.clear()
            answer = await rig.request("GetMonitoringReport", {"requestId": 7, **about})
            if answer["status"] == "EmptyResultSet":
                return set()
            await rig.sleep(1)
            parts = rig.calls("NotifyMonitoringReport")
            assert [p["seqNo"] for p in parts] == list(range(len(parts)))
            assert {p["requestId"] for p in parts} == {7}
            return {(m["variable"]["name"], m["variableMonitoring"][0]["type"]) for p in parts for m in p["monitor"]}

        builtin = {("Problem", "Delta"), ("Temperature", "UpperThreshold")}
        assert await report() == builtin
        await put(rig, monitor("Periodic", 5.0))
        assert await report() == builtin | {("Power", "Periodic")}
        assert await report(monitoringCriteria=["PeriodicMonitoring"]) == {("Power", "Periodic")}
        assert await report(componentVariable=[{"component": {"name": "Teapot"}}]) == set()
        await rig.request("SetMonitoringBase", {"monitoringBase": "All"})
        assert await report() == builtin | {("Power", "Periodic")}
        await rig.request("SetMonitoringBase", {"monitoringBase": "HardWiredOnly"})
        assert await report() == {("Problem", "Delta")}
        await rig.request("SetMonitoringBase", {"monitoringBase": "FactoryDefault"})
        assert await report() == builtin
        rig.station.fault(1, "GroundFailure")
        await rig.sleep(2)
        (event,) = [e for c in rig.calls("NotifyEvent") for e in c["eventData"]]
        assert (event["eventNotificationType"], event["actualValue"]) == ("HardWiredMonitor", "true")
        assert await rig.request("SetMonitoringLevel", {"severity": 1}) == {"status": "Accepted"}
        rig.messages.clear()
        rig.station.fault(1, None)
        await rig.sleep(5)
        assert not rig.calls("NotifyEvent")  # N07.FR.15: severity 2 is above 1


@requirement("N07.FR.04", "N08.FR.03", "N08.FR.06")
@pytest.mark.parametrize("version", LATE)
async def test_offline_queuing_severity(version: Version) -> None:
    """N07.FR.04, N08.FR.03."""
    async with Rig(version) as rig:
        severe, light = await put(rig, monitor("Periodic", 10.0, severity=2), monitor("Periodic", 10.0, severity=8))
        waits = {
            "component": {"name": "MonitoringCtrlr"}, "variable": {"name": "OfflineQueuingSeverity"},
            "attributeValue": "5",
        }  # fmt: skip
        await rig.request("SetVariables", {"setVariableData": [waits]})
        rig.messages.clear()
        rig.cut()
        await rig.sleep(95)
        rig.up = True
        await rig.until(lambda: rig.station.online and not rig.station.link.waiting)
        assert len(notifications(rig, severe["id"])) >= 9
        assert len(notifications(rig, light["id"])) <= 1
        at = [e["timestamp"] for e in notifications(rig, severe["id"])]
        assert at == sorted(at)


async def test_the_temperature_rises_under_load() -> None:
    async with Rig() as rig:
        cold = rig.evse().thermal.celsius
        await rig.charging(soc=30.0)
        rig.evse().vendor_setpoint_w = 8000.0
        await rig.sleep(900)
        assert rig.evse().thermal.celsius > cold + 5
        assert rig.station.device_model.get("EVSE", "Temperature", 1) != "25"


# event streams


def opened(csms: CsmsRig) -> list[dict[str, Any]]:
    return [c["constantStreamData"] for c in csms.calls("OpenPeriodicEventStream")]


async def stream_of(csms: CsmsRig, every: float, **params: int) -> int:
    data = monitor("Periodic", every, periodicEventStream=params)
    answer = await csms.call("SetVariableMonitoring", {"setMonitoringData": [data]})
    await csms.sleep(0.5)
    return int(answer["setMonitoringResult"][0]["id"])


@requirement(
    "N11.FR.01",
    "N11.FR.02",
    "N12.FR.01",
    "N13.FR.01",
    "N13.FR.05",
    "N14.FR.02",
    "N14.FR.03",
    "N15.FR.01",
    "N15.FR.04",
    "N15.FR.06",
    "N15.FR.07",
    "N15.FR.08",
    "N15.FR.09",
)
async def test_a_stream_is_opened_flushed_adjusted_and_closed() -> None:
    """N11.FR.01, .02, N12-N14, N15.FR.01-09."""
    async with CsmsRig(Version.V21) as csms:
        number = await stream_of(csms, 1.0, interval=10, values=4)
        constant = {"id": number, "variableMonitoringId": number, "params": {"interval": 10, "values": 4}}
        assert opened(csms) == [constant]
        await csms.sleep(30)
        parts = csms.sends
        assert len(parts) >= 6
        assert all(len(p["data"]) <= 4 and p["data"][0]["t"] == 0 and p["id"] == number for p in parts)
        assert not csms.calls("NotifyEvent")
        assert (await csms.call("GetPeriodicEventStream"))["constantStreamData"] == [constant]
        adjust = {"id": number, "params": {"interval": 5}}
        assert await csms.call("AdjustPeriodicEventStream", adjust) == {"status": "Accepted"}
        nothing = {"id": number, "params": {}}
        assert await csms.call("AdjustPeriodicEventStream", nothing) == {"status": "Rejected"}
        csms.sends.clear()
        await csms.sleep(20)
        assert {len(p["data"]) for p in csms.sends[1:]} <= {5, 6}
        await csms.call("ClearVariableMonitoring", {"id": [number]})
        await csms.sleep(1)
        assert csms.calls("ClosePeriodicEventStream") == [{"id": number}]
        assert await csms.call("GetPeriodicEventStream") == {}


async def test_a_stream_buffers_values_while_offline() -> None:
    async with CsmsRig(Version.V21) as csms:
        await stream_of(csms, 1.0, values=3)
        await csms.sleep(10)
        await csms.cut()
        await csms.sleep(60)
        csms.down.clear()
        await csms.until(lambda: len(opened(csms)) == 2)
        await csms.sleep(30)
        at = [parse(p["basetime"]) + v["t"] for p in csms.sends for v in p["data"]]
        assert len(at) >= 95
        assert at == sorted(at)
        gaps = [b - a for a, b in pairwise(at)]
        assert max(gaps) < 2.0


@requirement("N11.FR.07")
async def test_a_rejected_stream_falls_back_to_events() -> None:
    """N11.FR.07."""
    async with CsmsRig(Version.V21) as csms:
        csms.answers["OpenPeriodicEventStream"] = {"status": "Rejected"}
        number = await stream_of(csms, 1.0, interval=10)
        await csms.sleep(5)
        events = [e for c in csms.calls("NotifyEvent") for e in c["eventData"]]
        assert {e["variableMonitoringId"] for e in events} == {number}
        assert {e["trigger"] for e in events} == {"Periodic"}
        assert not csms.sends
        assert await csms.call("GetPeriodicEventStream") == {}


# laws


def shown(value: str, _variable: object) -> str:
    """Return a value for any variable."""
    return value


@given(
    st.lists(st.floats(-100, 100), min_size=1, max_size=60),
    st.floats(-50, 50),
    st.sampled_from(["UpperThreshold", "LowerThreshold"]),
)
def test_a_threshold_fires_at_each_crossing_and_only_then(values: list[float], bound: float, kind: str) -> None:
    monitors, variable = Monitors(), Variable("0", type="decimal")
    data = monitor(kind, bound)
    status, _ = monitors.set(data, POWER, variable, 0.0)
    assert status == "Accepted"
    beyond, expected = False, []
    for value in values:
        now = value > bound if kind == "UpperThreshold" else value < bound
        if now != beyond:
            expected.append((value, not now))
        beyond = now
    found = []
    for at, value in enumerate(values):
        found += [
            (float(f.value), f.cleared) for f in monitors.evaluate(partial(shown, repr(value)), lambda _: True, at)
        ]
    assert found == expected


@given(st.lists(st.floats(-100, 100), min_size=1, max_size=60), st.floats(0, 50))
def test_a_delta_is_relative_to_the_last_report(values: list[float], by: float) -> None:
    monitors, variable = Monitors(), Variable(repr(values[0]), type="decimal")
    monitors.set(monitor("Delta", by), POWER, variable, 0.0)
    last = values[0]
    for at, value in enumerate(values):
        fired = monitors.evaluate(partial(shown, repr(value)), lambda _: True, at)
        assert bool(fired) == (abs(value - last) > by)
        if fired:
            last = value


@settings(max_examples=rounds(20, 60))
@given(
    st.sampled_from(["Periodic", "PeriodicClockAligned"]),
    st.integers(1, 900),
    st.floats(0, 5000),
    st.lists(st.floats(0.01, 30), min_size=1, max_size=200),
)
def test_a_period_fires_once_in_each(kind: str, every: int, start: float, steps: list[float]) -> None:
    monitors = Monitors()
    monitors.set(monitor(kind, every), POWER, Variable("1", type="decimal"), start)
    now, fired = start, 0
    for step in steps:
        turn = monitors.next_change_at()
        assert turn is not None
        assert turn > now - 1e-6 or fired  # never in the past once looked at
        now += step
        count = len(monitors.evaluate(lambda _: "1", lambda _: True, now))
        assert count == (1 if now >= turn else 0)
        fired += count
