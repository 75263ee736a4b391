"""Stations that take amperes only, whose clock is wrong, or that do not yet know the id of their transaction."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from gateway.csms.csms import Csms
from gateway.csms.settings import CsmsSettings, StationSettings, UnknownTokens
from gateway.model.journal import Record
from gateway.model.station import Answer
from protocols.ocpp.schema import Version
from protocols.ocpp.times import parse
from tests.gateway.csms.raw_station import Raw
from tests.gateway.csms.scripted_transaction import BPT

pytestmark = pytest.mark.virtual_time

Answerer = Callable[[str, dict[str, Any]], dict[str, Any]]


@asynccontextmanager
async def station(
    answer: Answerer, version: Version = Version.V16, skew_s: float = 0.0, writer: Any = None, inventory: bool = True
) -> AsyncIterator[tuple[Raw, list[tuple[str, dict[str, Any]]]]]:
    """Run a session at a station with `answer` to each call, whose clock is `skew_s` ahead."""
    profile = "negative-limit" if version is not Version.V21 else None
    entry = StationSettings("CP1", vendor_profile=profile, max_charge_w=1e4, max_discharge_w=1e4)
    raw, calls = Raw(version), []
    settings = CsmsSettings(stations=(entry,), unknown_tokens=UnknownTokens.ACCEPT, inventory=inventory)
    raw.csms = Csms(settings, raw.events.append, raw.clock, writer)

    async def respond() -> None:
        while True:
            await asyncio.sleep(0.01)
            while raw.csms_calls:
                _, number, action, payload = raw.csms_calls.pop(0)
                calls.append((action, payload))
                await raw.send(json.dumps([3, number, answer(action, payload)]))

    async with raw:
        running = asyncio.create_task(respond())
        try:
            await raw.boot()
            if version is Version.V16:
                status = {"connectorId": 1, "errorCode": "NoError", "status": "Preparing"}
                await raw.ok("StatusNotification", status | {"timestamp": raw.time(skew_s)})
                begin = {"connectorId": 1, "idTag": "A", "meterStart": 0, "timestamp": raw.time(skew_s)}
                await raw.ok("StartTransaction", begin)
            else:
                await raw.event("Started", 0, at=skew_s)
                if version is Version.V21:
                    await raw.ok("NotifyEVChargingNeeds", {"evseId": 1, "chargingNeeds": BPT})
            await asyncio.sleep(10)
            yield raw, calls
        finally:
            running.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await running


def schedule(payload: dict[str, Any]) -> dict[str, Any]:
    profile = payload.get("csChargingProfiles") or payload["chargingProfile"]
    found = profile["chargingSchedule"]
    one: dict[str, Any] = found if isinstance(found, dict) else found[0]
    return one


def amperes_only(known: bool, version: Version) -> Answerer:
    def answer(action: str, payload: dict[str, Any]) -> dict[str, Any]:
        if action == "SetChargingProfile":
            return {"status": "Accepted" if schedule(payload)["chargingRateUnit"] == "A" else "Rejected"}
        if action == "GetConfiguration":
            keys = [{"key": "ChargingScheduleAllowedChargingRateUnit", "readonly": True, "value": "Current"}]
            return {"configurationKey": keys if known else [], "unknownKey": []}
        if action == "GetVariables":
            results = [{**one, "attributeStatus": "UnknownVariable"} for one in payload["getVariableData"]]
            return {"getVariableResult": results}
        return {"status": "Rejected" if action in ("GetCompositeSchedule", "GetBaseReport") else "Accepted"}

    return answer


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("version", list(Version))
async def test_a_station_that_takes_amperes_gets_all_profiles_in_amperes(known: bool, version: Version) -> None:
    async with station(amperes_only(known, version), version) as (raw, calls):
        await asyncio.sleep(40)
        for power_w, amperes in ((-6900.0, -10.0), (6900.0, 10.0), (0.0, 0.0)):
            calls.clear()
            assert (await raw.csms.set_power("CP1-1", power_w, 15.0)).answer is Answer.APPLIED
            (period,) = schedule(calls[-1][1])["chargingSchedulePeriod"] if "Set" in calls[-1][0] else (
                calls[-1][1]["scheduleUpdate"],)  # fmt: skip
            assert period.get("limit", period.get("setpoint")) == amperes


@pytest.mark.parametrize(("unit", "value", "power_w"), [("A", -10.0, -6900.0), ("W", -500.0, -500.0)])
async def test_a_composite_schedule_is_read_in_its_unit(unit: str, value: float, power_w: float) -> None:
    def answer(action: str, payload: dict[str, Any]) -> dict[str, Any]:
        if action != "GetCompositeSchedule":
            return {"status": "Accepted"}
        periods = [{"startPeriod": 0, "limit": value}]
        return {"status": "Accepted", "chargingSchedule": {"chargingRateUnit": unit, "chargingSchedulePeriod": periods}}

    async with station(answer, inventory=False) as (raw, _):
        assert await raw.csms.reconcile("CP1-1") == power_w


@pytest.mark.parametrize("skew_s", [0.0, -3.0, -20.0, 12.0, 20.0, 3600.0, -1.7e9])
@pytest.mark.parametrize("version", [Version.V16, Version.V201])
async def test_a_set_point_begins_now_by_the_clock_of_the_station(skew_s: float, version: Version) -> None:
    async with station(lambda *_: {"status": "Accepted"}, version, skew_s, inventory=False) as (raw, calls):
        await raw.csms.set_power("CP1-1", -5000.0, 15.0)
        begins = parse(schedule(calls[-1][1])["startSchedule"])
        assert begins is not None
        assert -2.5 <= begins - (raw.clock.wall() + skew_s) <= 0.01


class SlowWriter:
    """A store that needs 3 s."""

    async def keep(self, *records: Record, within_s: float = 10.0) -> None:
        await asyncio.sleep(3)

    def later(self, *records: Record) -> None: ...


async def test_a_profile_of_a_transaction_follows_its_id() -> None:
    sent: list[str] = []

    def answer(action: str, payload: dict[str, Any]) -> dict[str, Any]:
        if action == "SetChargingProfile":
            sent.append(payload["csChargingProfiles"]["chargingProfilePurpose"])
        return {"status": "Accepted"}

    async with station(answer, writer=SlowWriter(), inventory=False) as (raw, _):
        sent.clear()
        begin = {"connectorId": 2, "idTag": "B", "meterStart": 0, "timestamp": raw.time()}
        starting = asyncio.create_task(raw.ok("StartTransaction", begin))
        await asyncio.sleep(0.1)
        order = asyncio.create_task(raw.csms.set_power("CP1-2", -5000.0, 15.0))
        await asyncio.sleep(2)
        assert not starting.done()
        assert "TxProfile" not in sent
        assert (await order).answer is Answer.APPLIED
        assert starting.done()
        assert sent[-1] == "TxProfile"
