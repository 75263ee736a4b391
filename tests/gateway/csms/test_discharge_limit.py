"""LimitMaxDischarge (OCPP 2.1 R04) as the station reports it: without a start, after a lost connection or a restart."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest

from gateway.model.event import EvseDescribed
from protocols.ocpp.schema import Version
from tests.gateway.csms.raw_station import Raw
from tests.gateway.csms.scripted_transaction import ACCEPTED, Session
from tests.gateway.csms.test_restart import SETTINGS, Lives

pytestmark = pytest.mark.virtual_time

Control = dict[str, Any]


@asynccontextmanager
async def reporting(raw: Raw, controls: list[Control], controller: str = "DCDERCtrlr") -> AsyncIterator[Session]:
    """Answer as a station with these LimitMaxDischarge controls."""
    one = Session(raw)
    one.answers |= {"GetDERControl": ACCEPTED, "GetBaseReport": ACCEPTED, "SetDERControl": ACCEPTED}

    async def report() -> None:
        while True:
            await asyncio.sleep(0.1)
            while one.calls:
                action, body = one.calls.pop(0)
                about: dict[str, Any] = {"requestId": body.get("requestId")}
                if action == "GetDERControl":
                    await raw.ok("ReportDERControl", about | {"limitMaxDischarge": controls})
                elif action == "GetBaseReport":
                    modes = {
                        "component": {"name": controller, "evse": {"id": 1}},
                        "variable": {"name": "ModesSupported"},
                        "variableAttribute": [{"value": "LimitMaxDischarge"}],
                    }
                    about |= {"generatedAt": raw.time(), "seqNo": 0, "reportData": [modes]}
                    await raw.ok("NotifyReport", about)

    tasks = [asyncio.create_task(work) for work in (one.answer(), report())]
    try:
        yield one
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def control(share_pct: float, **more: Any) -> Control:
    body = {"priority": 1, "pctMaxDischargePower": share_pct} | more
    return {"id": "a", "isDefault": not more, "isSuperseded": False, "limitMaxDischarge": body}


def limit_w(raw: Raw) -> float:
    limits = raw.csms.stations["CP1"].evses[1].limits
    assert limits is not None
    return limits.max_discharge_w


async def start(raw: Raw) -> None:
    await raw.boot()
    await raw.event("Started", 0)
    await asyncio.sleep(10)


async def test_a_control_without_a_start_is_in_force_while_it_is_reported() -> None:
    async with Raw() as raw:
        controls = [control(40.0, duration=120)]
        async with reporting(raw, controls):
            await start(raw)
            assert limit_w(raw) == 4000.0
            controls[:] = [control(80.0)]  # it ended, and the station does not notify it
            await asyncio.sleep(125)
            assert limit_w(raw) == 8000.0


async def test_controls_are_read_again_after_a_lost_connection() -> None:
    async with Raw() as raw:
        controls = [control(80.0)]
        async with reporting(raw, controls):
            await start(raw)
            assert limit_w(raw) == 8000.0
            controls[:] = [control(40.0, startTime=raw.time(60), duration=600)]
            assert raw.wire is not None
            await raw.wire.close()
            await asyncio.sleep(5)
        await raw.connect()
        async with reporting(raw, controls):
            await asyncio.sleep(10)
            assert limit_w(raw) == 10_000.0
            await asyncio.sleep(60)
            assert limit_w(raw) == 4000.0
    described = [event.limits.max_discharge_w for event in raw.events if isinstance(event, EvseDescribed)]
    assert described[-3:] == [8000.0, 10_000.0, 4000.0]


@pytest.mark.parametrize("inventory", [True, False])
@pytest.mark.parametrize("controller", ["DCDERCtrlr", "ACDERCtrlr"])
async def test_controls_are_read_after_a_restart_of_the_gateway(controller: str, inventory: bool) -> None:
    lives = Lives(Version.V21, replace(SETTINGS, inventory=inventory))
    async with lives.raw as raw, reporting(raw, [control(30.0)], controller):
        await start(raw)
        assert limit_w(raw) == 3000.0
    await lives.writer.write()
    await lives.kill()
    async with lives.raw as raw, reporting(raw, [control(30.0)], controller):
        await raw.ok("Heartbeat", {})
        await asyncio.sleep(10)
        assert limit_w(raw) == 3000.0


async def test_the_share_is_one_of_the_rating_beside_limits_of_other_systems() -> None:
    async with Raw() as raw, reporting(raw, [control(60.0)]):
        await start(raw)
        schedule = {
            "id": 1,
            "chargingRateUnit": "W",
            "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 8000.0, "dischargeLimit": -5000.0}],
        }
        body = {"chargingLimit": {"chargingLimitSource": "EMS"}, "evseId": 1, "chargingSchedule": [schedule]}
        await raw.ok("NotifyChargingLimit", body)
        assert limit_w(raw) == 5000.0
