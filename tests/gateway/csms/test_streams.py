"""Periodic event streams of 2.1 stations at the gateway (N11-N15)."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from gateway.csms.admin import Admin
from gateway.csms.event_stream_registry import MAX_STREAMS
from gateway.csms.settings import UnknownStations
from gateway.model.event import FaultCleared, FaultRaised
from protocols.ocpp.schema import Version
from protocols.ocpp.times import parse, stamp
from tests.emulators.charger.station_rig import Rig
from tests.gateway.csms.raw_station import Raw
from tests.requirements import requirement

pytestmark = pytest.mark.virtual_time

POWER = {"component": {"name": "EVSE", "evse": {"id": 1}}, "variable": {"name": "Power"}}
PROBLEM = {"component": {"name": "RCD", "evse": {"id": 1}}, "variable": {"name": "Problem"}}


@asynccontextmanager
async def booted(version: Version = Version.V21) -> AsyncIterator[Raw]:
    """Run a station that has sent its BootNotification."""
    async with Raw(version) as raw:
        await raw.boot()
        yield raw


def opening(number: int = 7, monitor: int = 7, **params: int) -> dict[str, Any]:
    return {"constantStreamData": {"id": number, "variableMonitoringId": monitor, "params": params or {"interval": 10}}}


async def monitored(raw: Raw, number: int, about: dict[str, Any] = POWER) -> None:
    """Report a monitor that the gateway did not set itself."""
    one = {
        "id": number, "transaction": False, "value": 1.0, "type": "Periodic", "severity": 4,
        "eventNotificationType": "CustomMonitor",
    }  # fmt: skip
    body = {"requestId": 1, "seqNo": 0, "generatedAt": raw.time(), "monitor": [about | {"variableMonitoring": [one]}]}
    await raw.ok("NotifyMonitoringReport", body)


async def send(raw: Raw, number: int, *values: tuple[float, str], pending: int = 0, base: str | None = None) -> None:
    data = [{"t": t, "v": v} for t, v in values]
    body = {"id": number, "pending": pending, "basetime": base or raw.time(), "data": data}
    await raw.send(json.dumps([6, f"s{number}", "NotifyPeriodicEventStream", body]))
    await raw.ok("Heartbeat", {})  # behind it: what was sent is taken now


def streams(raw: Raw) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = Admin(raw.csms).station("CP1")["streams"]
    return found


@requirement("N11.FR.04", "N11.FR.06", "N11.FR.08", "N15.FR.03")
async def test_values_of_a_stream_are_those_of_its_monitors_variable() -> None:
    async with booted() as raw:
        await monitored(raw, 7)
        assert await raw.ok("OpenPeriodicEventStream", opening(interval=10, values=4)) == {"status": "Accepted"}
        base = raw.time(-5)
        await send(raw, 7, (0.0, "1000"), (2.5, "1250"), pending=3, base=base)
        (row,) = streams(raw)
        assert row == {
            "id": 7, "variableMonitoringId": 7, "component": "EVSE", "evseId": 1, "variable": "Power", "severity": 4,
            "interval": 10, "values": 4, "pending": 3, "received": 2, "value": "1250",
            "at": stamp((parse(base) or 0.0) + 2.5),
        }  # fmt: skip
        (message,) = Admin(raw.csms).messages("CP1", "NotifyPeriodicEventStream", 5)
        assert message["payload"]["data"][1] == {"t": 2.5, "v": "1250"}
        assert Admin(raw.csms).violations(None) == []


async def test_a_problem_reported_by_a_stream_is_a_fault() -> None:
    async with booted() as raw:
        await monitored(raw, 7, PROBLEM)
        await raw.ok("OpenPeriodicEventStream", opening())
        await send(raw, 7, (0.0, "false"), (1.0, "true"))
        assert [e.code for e in raw.of(FaultRaised)] == ["Problem"]
        await send(raw, 7, (0.0, "false"))
        assert len(raw.of(FaultCleared)) == 1


@requirement("N13.FR.02")
async def test_a_closed_stream_is_used_no_more() -> None:
    async with booted() as raw:
        await monitored(raw, 7)
        await raw.ok("OpenPeriodicEventStream", opening())
        assert await raw.ok("ClosePeriodicEventStream", {"id": 7}) == {}
        assert streams(raw) == []
        assert await raw.ok("ClosePeriodicEventStream", {"id": 99}) == {}


@requirement("N11.FR.05")
async def test_streams_above_the_limit_are_rejected_and_a_reopened_one_is_not_counted_twice() -> None:
    async with booted() as raw:
        for number in range(MAX_STREAMS):
            assert (await raw.ok("OpenPeriodicEventStream", opening(number)))["status"] == "Accepted"
        assert len([m for m in raw.csms_calls if m[2] == "GetMonitoringReport"]) == 1
        refused = await raw.ok("OpenPeriodicEventStream", opening(MAX_STREAMS))
        assert refused["status"] == "Rejected"
        assert refused["statusInfo"]["reasonCode"] == "OutOfMemory"
        assert (await raw.ok("OpenPeriodicEventStream", opening(0, values=9)))["status"] == "Accepted"
        assert len(streams(raw)) == MAX_STREAMS


async def test_a_stream_that_would_never_send_is_rejected() -> None:
    async with booted() as raw:
        body = opening()
        body["constantStreamData"]["params"] = {}
        assert (await raw.ok("OpenPeriodicEventStream", body))["status"] == "Rejected"


async def test_a_stream_of_an_unknown_monitor_requests_the_monitors() -> None:
    """Hard-wired and preconfigured monitors (N11.FR.03) were not set by the gateway."""
    async with booted() as raw:
        assert (await raw.ok("OpenPeriodicEventStream", opening(3, 30)))["status"] == "Accepted"
        await raw.next_call("GetMonitoringReport", {"status": "Accepted"})
        assert streams(raw)[0]["component"] is None
        await monitored(raw, 30)
        assert streams(raw)[0]["component"] == "EVSE"


async def test_values_of_a_stream_that_was_opened_before_a_restart() -> None:
    """It requests the list of open streams once (N12), whatever follows."""
    async with booted() as raw:
        await monitored(raw, 7)
        await send(raw, 7, (0.0, "1"))
        await send(raw, 7, (0.0, "2"))
        open_now = [opening()["constantStreamData"]]
        await raw.next_call("GetPeriodicEventStream", {"constantStreamData": open_now})
        await asyncio.sleep(0)
        await send(raw, 7, (0.0, "3"))
        assert raw.csms.stations["CP1"].variable("EVSE", "Power", 1) == "3"
        await send(raw, 8, (0.0, "4"))
        assert not [m for m in raw.csms_calls if m[2] == "GetPeriodicEventStream"]


async def test_a_boot_ends_streams_and_a_new_connection_does_not() -> None:
    async with booted() as raw:
        await raw.ok("OpenPeriodicEventStream", opening())
        await raw.connect()
        await raw.ok("Heartbeat", {})
        assert len(streams(raw)) == 1
        await raw.boot()
        assert streams(raw) == []


async def test_an_invalid_send_is_recorded_and_not_answered() -> None:
    async with booted() as raw:
        await monitored(raw, 7)
        await raw.ok("OpenPeriodicEventStream", opening())
        await raw.send(json.dumps([6, "s", "NotifyPeriodicEventStream", {"id": 7}]))
        await raw.ok("Heartbeat", {})
        (breach,) = raw.csms.context.violations
        assert (breach.action, breach.code) == ("NotifyPeriodicEventStream", "OccurrenceConstraintViolation")


async def test_streams_of_a_station_that_is_not_accepted_are_dropped() -> None:
    async with Raw(name="CP9", unknown_stations=UnknownStations.PENDING) as raw:
        await raw.boot()
        answer = await raw.call("OpenPeriodicEventStream", opening())
        assert (answer[0], answer[2]) == (4, "SecurityError")
        body = {"id": 7, "pending": 0, "basetime": raw.time(), "data": [{"t": 0, "v": "1"}]}
        await raw.send(json.dumps([6, "s", "NotifyPeriodicEventStream", body]))
        await asyncio.sleep(0.1)
        assert Admin(raw.csms).messages("CP9", "NotifyPeriodicEventStream", 5) == []


@requirement("N14.FR.01", "N15.FR.02", "N14.FR.03", "N13.FR.05")
async def test_an_operator_sets_adjusts_and_clears_a_stream_of_the_emulated_station() -> None:
    async with Rig() as rig:
        admin = Admin(rig.csms)
        wanted = {
            "value": 1.0, "type": "Periodic", "severity": 5, **POWER,
            "periodicEventStream": {"interval": 10, "values": 4},
        }  # fmt: skip
        set_ = await admin.call("CP1", "SetVariableMonitoring", {"setMonitoringData": [wanted]}, 10)
        number = set_["payload"]["setMonitoringResult"][0]["id"]
        await rig.until(lambda: any(row["received"] >= 4 for row in admin.station("CP1")["streams"]))
        (row,) = admin.station("CP1")["streams"]
        assert (row["id"], row["component"], row["variable"], row["severity"]) == (number, "EVSE", "Power", 5)
        assert not [m for m in admin.messages("CP1", "NotifyEvent", 9) if "Power" in json.dumps(m)]
        sent = {m[1] for who, m in rig.messages if m[0] == 6}
        assert sent, "values go by SEND"
        assert not [m for _, m in rig.messages if m[0] != 6 and m[1] in sent], "which nobody answers"
        about = {"id": number, "params": {"interval": 2, "values": 1}}
        adjusted = await admin.call("CP1", "AdjustPeriodicEventStream", about, 10)
        assert adjusted["payload"]["status"] == "Accepted"
        (row,) = admin.station("CP1")["streams"]
        assert (row["interval"], row["values"]) == (2, 1)
        await admin.call("CP1", "ClearVariableMonitoring", {"id": [number]}, 10)
        await rig.until(lambda: admin.station("CP1")["streams"] == [])


async def test_an_unreported_monitor_is_requested_once() -> None:
    async with booted() as raw:
        await raw.ok("OpenPeriodicEventStream", opening(3, 30))
        await raw.next_call("GetMonitoringReport", {"status": "Accepted"})
        await monitored(raw, 31)
        for _ in range(5):
            await send(raw, 3, (0.0, "1"))
            await asyncio.sleep(0.1)
        assert [m for m in raw.csms_calls if m[2] == "GetMonitoringReport"] == []
        await raw.ok("OpenPeriodicEventStream", opening(4, 40))
        await raw.next_call("GetMonitoringReport", {"status": "Accepted"})
