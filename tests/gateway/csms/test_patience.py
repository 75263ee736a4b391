"""Stations that keep nothing, implement nothing, or are gone: the gateway asks a few times, reports it and stops."""

from __future__ import annotations

import asyncio
import json
import logging
from typing import Any

import pytest

from gateway.csms.admin import Admin
from gateway.csms.csms import Csms
from gateway.csms.settings import CsmsSettings, StationSettings, UnknownStations, UnknownTokens
from gateway.csms.websocket_server import WebSocketServer
from gateway.model.event import EvseDescribed
from protocols.ocpp.schema import Version
from tests.gateway.csms.raw_station import Raw

pytestmark = pytest.mark.virtual_time


async def test_a_setting_that_is_not_kept_is_changed_twice_and_no_more(caplog: pytest.LogCaptureFixture) -> None:
    async with Raw(Version.V16, inventory=True) as raw:
        changes = []
        for _ in range(10):
            await raw.boot()
            await raw.ok("StatusNotification", {"connectorId": 1, "errorCode": "NoError", "status": "Available"})
            for _ in range(40):
                await asyncio.sleep(0.1)
                while raw.csms_calls:
                    _, number, action, payload = raw.csms_calls.pop(0)
                    answer: dict[str, Any] = {"status": "Accepted"}
                    if action == "GetConfiguration":
                        keys = {"MeterValueSampleInterval": "60", "MeterValuesSampledData": "SoC"}
                        answer = {"configurationKey": [
                            {"key": k, "readonly": False, "value": v} for k, v in keys.items()]}  # fmt: skip
                    if action == "ChangeConfiguration":
                        changes.append(payload["key"])
                    await raw.send(json.dumps([3, number, answer]))
        assert {key: changes.count(key) for key in changes} == {
            "MeterValueSampleInterval": 2, "MeterValuesSampledData": 2}  # fmt: skip
        assert "does not keep it" in caplog.text


@pytest.mark.parametrize("code", ["NotImplemented", "NotSupported"])
async def test_a_station_without_charging_profiles_is_not_queried_every_two_seconds(
    code: str, caplog: pytest.LogCaptureFixture
) -> None:
    raw = Raw(Version.V16)
    entry = StationSettings("CP1", vendor_profile="negative-limit", max_charge_w=1e4, max_discharge_w=1e4)
    settings = CsmsSettings(stations=(entry,), unknown_tokens=UnknownTokens.ACCEPT, inventory=False)
    raw.csms = Csms(settings, raw.events.append, raw.clock)
    async with raw:
        await raw.boot()
        begin = {"connectorId": 1, "idTag": "A", "meterStart": 0, "timestamp": raw.time()}
        await raw.ok("StartTransaction", begin)
        sent = 0

        async def answer() -> None:
            nonlocal sent
            while True:
                await asyncio.sleep(0.05)
                while raw.csms_calls:
                    _, number, action, _ = raw.csms_calls.pop(0)
                    sent += action == "SetChargingProfile"
                    await raw.send(json.dumps([4, number, code, "", {}]))

        with caplog.at_level(logging.WARNING):
            answering = asyncio.create_task(answer())
            for _ in range(300):
                await raw.csms.set_power("CP1-1", 0.0, 15.0)
                await asyncio.sleep(2)
            answering.cancel()
        assert 3 <= sent <= 20
        assert "less often" in caplog.text


async def test_unknown_stations_that_are_gone_make_way_for_new_ones() -> None:
    raw = Raw()
    settings = CsmsSettings(unknown_stations=UnknownStations.ACCEPT, max_unknown=3, inventory=False)
    raw.csms = csms = Csms(settings, raw.events.append, raw.clock)
    server = WebSocketServer(csms.context, csms.stations, csms.credentials, csms.attach, csms.stations.pop)
    for number in range(10):
        name = f"U{number}"
        assert server._has_capacity(name, False)
        csms.stations[name] = csms.create(name)
        csms.stations[name].disconnected_at = number
    assert list(csms.stations) == ["U7", "U8", "U9"]


@pytest.mark.parametrize("version", list(Version))
async def test_a_station_without_reported_limits_can_charge(version: Version) -> None:
    raw = Raw(version)
    settings = CsmsSettings(unknown_tokens=UnknownTokens.ACCEPT, inventory=False)
    raw.csms = Csms(settings, raw.events.append, raw.clock)
    admin = Admin(raw.csms)
    await admin.put_station("CP1", {})
    async with raw:
        await raw.boot()
        body: dict[str, Any] = {"connectorId": 1, "errorCode": "NoError", "status": "Preparing"}
        if version is not Version.V16:
            body = {"timestamp": raw.time(), "connectorStatus": "Occupied", "evseId": 1, "connectorId": 1}
        await raw.ok("StatusNotification", body)
        assert raw.of(EvseDescribed)[-1].limits.max_charge_w > 7000
        await admin.put_station("CP1", {"max_charge_w": 5000.0, "max_discharge_w": 4000.0})
        assert raw.of(EvseDescribed)[-1].limits.max_charge_w == 5000.0


@pytest.mark.parametrize("number", [70_000, 1_000])
async def test_refused_calls_are_among_the_violations(number: int) -> None:
    async with Raw(Version.V201) as raw:
        await raw.boot()
        body = {"timestamp": raw.time(), "connectorStatus": "Available", "connectorId": 0}
        assert await raw.ok("StatusNotification", body | {"evseId": 0}) == {}
        assert Admin(raw.csms).violations(None) == []
        assert (await raw.call("StatusNotification", body | {"evseId": number}))[0] == 4
        (violation,) = Admin(raw.csms).violations("CP1")
        assert violation["action"] == "StatusNotification"
