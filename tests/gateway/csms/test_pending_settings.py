"""Settings that take effect with the next boot (RebootRequired): shown, reported, stored, and over after the boot."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from gateway.csms import faults
from gateway.csms.admin import Admin
from gateway.csms.csms import Csms
from gateway.csms.passwords import verify
from gateway.model.event import RebootRequired
from gateway.model.state import Happened
from protocols.ocpp.schema import Version
from tests.gateway.commands.rig import service_rig
from tests.gateway.csms.raw_station import Raw
from tests.gateway.csms.test_restart import restartable

pytestmark = pytest.mark.virtual_time


def setting(version: Version, component: str, variable: str, value: str) -> tuple[str, dict[str, Any]]:
    if version is Version.V16:
        return "ChangeConfiguration", {"key": variable, "value": value}
    names = {"component": {"name": component}, "variable": {"name": variable}}
    return "SetVariables", {"setVariableData": [names | {"attributeValue": value}]}


def reboot_required(action: str, payload: dict[str, Any]) -> dict[str, Any]:
    if action == "ChangeConfiguration":
        return {"status": "RebootRequired"}
    entry = payload["setVariableData"][0]
    names = {key: entry[key] for key in ("component", "variable")}
    return {"setVariableResult": [names | {"attributeStatus": "RebootRequired"}]}


async def change(raw: Raw, csms: Csms, component: str, variable: str, value: str = "60") -> dict[str, Any]:
    """Set a setting by a raw call; the station answers RebootRequired."""
    action, payload = setting(raw.version, component, variable, value)
    call = asyncio.create_task(Admin(csms).call("CP1", action, payload, 10.0))
    await raw.next_call(action, reboot_required(action, payload))
    return await call


@pytest.mark.parametrize("version", list(Version))
async def test_a_required_reboot_is_reported_and_a_reset_is_offered_until_the_boot(version: Version) -> None:
    async with restartable(version) as lives:
        await lives.raw.boot()
        assert Admin(lives.csms).station("CP1")["reboot_required"] is None
        for _ in range(2):
            await change(lives.raw, lives.csms, "OCPPCommCtrlr", "HeartbeatInterval")
        name = "HeartbeatInterval" if version is Version.V16 else "OCPPCommCtrlr.HeartbeatInterval"
        assert [event.settings for event in lives.of(RebootRequired)] == [(name,)]
        shown = {"settings": [name], "operation": "reset"}
        assert Admin(lives.csms).station("CP1")["reboot_required"] == shown
        await lives.writer.write()
        await lives.kill()
        assert Admin(lives.csms).station("CP1")["reboot_required"] == shown
        await lives.raw.boot()
        assert Admin(lives.csms).station("CP1")["reboot_required"] is None


async def test_what_a_station_reported_survives_a_change_of_its_settings_and_a_restart() -> None:
    async with restartable(Version.V21) as lives:
        await lives.raw.boot()
        await change(lives.raw, lives.csms, "OCPPCommCtrlr", "HeartbeatInterval")
        faults.set_station(lives.csms.stations["CP1"], faults.der_control("UnderVoltage"), "DER:UnderVoltage", "text")
        await lives.writer.write()
        shown = Admin(lives.csms).station("CP1")["reboot_required"]
        await Admin(lives.csms).put_station("CP1", {"max_charge_w": 5000.0})
        await lives.kill()
        assert Admin(lives.csms).station("CP1")["reboot_required"] == shown
        found = lives.csms.stations["CP1"].faults
        assert found == {faults.der_control("UnderVoltage"): ("DER:UnderVoltage", "text")}


@pytest.mark.parametrize("way", ["raw", "renew"])
@pytest.mark.parametrize("version", list(Version))
async def test_until_the_boot_both_passwords_are_valid(version: Version, way: str) -> None:
    """A station that uses the new password after its next boot connects with the former one until then."""
    async with restartable(version) as lives:
        csms, raw = lives.csms, lives.raw
        await raw.boot()
        station = csms.stations["CP1"]
        await csms.credentials.stage(station, "the former password")
        await csms.credentials.settle(station, accepted=True)
        new = "00112233445566778899aabb"
        variable = "AuthorizationKey" if version is Version.V16 else "BasicAuthPassword"
        if way == "raw":
            await change(raw, csms, "SecurityCtrlr", variable, new)
        else:
            renewal = asyncio.create_task(csms.credentials.renew(station))
            action, payload = setting(version, "SecurityCtrlr", variable, new)
            payload = await raw.next_call(action, reboot_required(action, payload))
            new = payload["value"] if version is Version.V16 else payload["setVariableData"][0]["attributeValue"]
            assert (await renewal).code == "RebootRequired"
        assert verify("the former password", station.settings.password_hash or "")
        assert await csms.credentials.verify(station, b"the former password")
        assert await csms.credentials.verify(station, new.encode())
        assert not await csms.credentials.verify(station, b"the former password")


async def test_a_required_reboot_is_an_event_of_each_evse_of_the_station() -> None:
    async with service_rig("CP1-1", "CP2-1") as rig:
        rig.service.report(RebootRequired("CP1", rig.clock.now(), ("OCPPCommCtrlr.HeartbeatInterval",)))
        (event,) = [one for one in rig.published.events if one.event is Happened.REBOOT_REQUIRED]
        assert event.evse == "CP1-1"
        assert "OCPPCommCtrlr.HeartbeatInterval" in event.text
