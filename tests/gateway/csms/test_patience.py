"""Stations that keep nothing, implement nothing, or are gone: the gateway asks a few times, reports it and stops."""

from __future__ import annotations

import asyncio
import json
import logging
from dataclasses import replace
from typing import Any

import pytest

from emulators.runtime.clock import VirtualClock
from emulators.runtime.memory_broker import MemoryBroker
from gateway.app import Parts, gateway
from gateway.config import from_table
from gateway.csms.admin import Admin
from gateway.csms.admission import Admission
from gateway.csms.csms import Csms
from gateway.csms.settings import CsmsSettings, StationSettings, UnknownStations, UnknownTokens
from gateway.model.event import EvseDescribed, StationRemoved
from protocols.ocpp.schema import Version
from protocols.ports import BusMessage
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
                await raw.called(0.05)
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
    admission = Admission(csms.context, csms.stations, csms.credentials, csms.attach, csms._forget)
    for number in range(10):
        name = f"U{number}"
        assert admission._has_capacity(name, False)
        csms.stations[name] = csms.create(name)
        csms.stations[name].disconnected_at = number
    assert list(csms.stations) == ["U7", "U8", "U9"]
    assert [event.station for event in raw.of(StationRemoved)] == [f"U{number}" for number in range(7)]


@pytest.mark.parametrize("version", [Version.V16, Version.V201])
@pytest.mark.parametrize("charging", [{0}, {1, 2}, set(range(8)), set()])
async def test_a_forgotten_station_leaves_nothing_in_the_gateway(version: Version, charging: set[int]) -> None:
    """`charging`: the stations that go away inside a transaction."""
    broker, clock = MemoryBroker(), VirtualClock()
    listens = {"unknown_stations": "accept", "unknown_tokens": "accept", "listen": "127.0.0.1:0", "security_profile": 0}
    config = from_table(
        {"site": {"id": "home"}, "store": {"url": "memory:"}, "ocpp": listens, "mqtt": {"gateway_id": "g"}}
    )

    def connect(will: BusMessage) -> Any:
        return broker.client("v2x-home-g", will=will, clean_start=False, session_expiry_s=60, version=5)

    async with gateway(config, Parts(clock=clock, connect=connect, seed=1, listen=False)) as running:
        csms = running.csms
        assert csms is not None
        csms.context.settings = replace(csms.context.settings, max_unknown=3, inventory=False)
        admission = Admission(csms.context, csms.stations, csms.credentials, csms.attach, csms._forget)
        given = {}
        for number in range(8):
            assert admission._has_capacity(f"U{number}", False)
            given[number] = await _visit(Raw(version, csms, f"U{number}"), number in charging)
        kept = sorted(f"{name}-1" for name in csms.stations)
        assert len(kept) == 3
        assert sorted(running.service.evses()) == kept
        states = [topic for topic in broker._retained if topic.endswith("/state") and "/evse/" in topic]
        assert sorted(topic.split("/")[4] for topic in states) == kept
        gone = next(number for number in range(8) if f"U{number}-1" not in kept)
        assert admission._has_capacity(f"U{gone}", False)
        async with Raw(version, csms, f"U{gone}") as raw:  # it comes back, and so does its transaction
            await raw.boot()
            await _continue(raw, given[gone])
            await clock.sleep(3)
            state = running.service.state(f"U{gone}-1")
            assert state is not None
            assert (state.session is not None) is (gone in charging)


async def _visit(raw: Raw, charging: bool) -> int | None:
    """Connect for a while; return the id of the transaction."""
    number = None
    async with raw:
        await raw.boot()
        if raw.version is Version.V16:
            await _continue(raw, None, "Charging" if charging else "Available")
            if charging:
                begin = {"connectorId": 1, "idTag": raw.name, "meterStart": 0, "timestamp": raw.time()}
                number = (await raw.ok("StartTransaction", begin))["transactionId"]
        elif charging:
            await raw.event("Started", 0, raw.name)
            number = 0
        else:
            await _continue(raw, None)
        await raw.clock.sleep(3)
    await raw.clock.sleep(3)
    return number


async def _continue(raw: Raw, number: int | None, status: str = "Available") -> None:
    """Send meter values of a transaction, or a status without one."""
    if raw.version is Version.V16 and number is not None:
        values = [{"timestamp": raw.time(), "sampledValue": [{"value": "100"}]}]
        await raw.ok("MeterValues", {"connectorId": 1, "transactionId": number, "meterValue": values})
    elif raw.version is Version.V16:
        await raw.ok("StatusNotification", {"connectorId": 1, "errorCode": "NoError", "status": status})
    elif number is not None:
        await raw.event("Updated", 1, raw.name)
    else:
        body = {"timestamp": raw.time(), "connectorStatus": status, "evseId": 1, "connectorId": 1}
        await raw.ok("StatusNotification", body)


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
