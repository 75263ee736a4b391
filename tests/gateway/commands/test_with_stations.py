"""Emulated stations under a whole service: a command is carried out with every version and profile."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from gateway.control.settings import ServiceSettings
from gateway.model.command import Channel, Submission
from gateway.model.result import Result
from gateway.model.site import SitePolicy
from gateway.service import GatewayService
from gateway.store.journal import Journal
from gateway.store.store import MemoryStore
from protocols.ocpp.schema import Version
from tests.emulators.charger.station_rig import Rig

pytestmark = pytest.mark.virtual_time

CHANNELS = [
    (Version.V16, "negative-limit"),
    (Version.V201, "negative-limit"),
    (Version.V16, "vendor-message"),
    (Version.V201, "vendor-message"),
    (Version.V16, "vendor-variable"),
]


@asynccontextmanager
async def governed(rig: Rig) -> AsyncIterator[GatewayService]:
    """A core over the rig's CSMS, which receives its events."""
    service = GatewayService(
        ServiceSettings(SitePolicy("home")), rig.clock, lambda _: rig.csms, Journal(MemoryStore(), rig.clock)
    )

    async def hear() -> None:
        forwarded = 0
        while True:
            while forwarded < len(rig.events):
                service.report(rig.events[forwarded])
                forwarded += 1
            await rig.clock.sleep(0.05)

    tasks = [asyncio.create_task(service.run()), asyncio.create_task(hear())]
    try:
        yield service
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def send(service: GatewayService, verb: str, id: str, **body: object) -> Result:
    return await service.submit(Submission("CP1-1", verb, json.dumps({"id": id, **body}).encode(), Channel.MQTT))


@pytest.mark.parametrize(("version", "profile"), CHANNELS)
async def test_a_discharge_reaches_the_station_and_ends_with_its_lease(version: Version, profile: str) -> None:
    async with Rig(version, vendor_profile=profile) as rig, governed(rig) as service:
        await rig.charging()
        await rig.sleep(5)
        assert (await send(service, "discharge", "d", power_w=4600, lease_s=30)).status == "accepted"
        await rig.sleep(25)
        assert rig.evse().reading.power_w == pytest.approx(-4600, rel=0.01)
        _, final = await service.result("d")
        assert final is not None
        assert final.status == "achieved"
        await rig.sleep(20)
        assert rig.evse().reading.power_w == 0


@pytest.mark.parametrize("version", [Version.V16, Version.V201])
async def test_without_a_vendor_profile_the_command_is_refused_with_the_reason(version: Version) -> None:
    async with Rig(version) as rig, governed(rig) as service:
        await rig.charging()
        await rig.sleep(5)
        refused = await send(service, "discharge", "d", power_w=4600)
        assert (refused.status, refused.reason.code) == ("refused", "charging_only")
        assert "vendor profile" in refused.reason.text


async def test_a_car_plugged_in_while_the_station_was_offline_can_be_discharged_after_reconnection() -> None:
    async with Rig(Version.V21) as rig, governed(rig) as service:
        rig.cut()
        await rig.sleep(30)
        rig.plug()
        await rig.sleep(120)
        rig.up = True
        await rig.until(lambda: rig.csms.context.transactions.active_at("CP1", 1) is not None)
        await rig.sleep(10)
        assert (await send(service, "discharge", "d", power_w=4600, lease_s=30)).status == "accepted"
        await rig.sleep(20)
        assert rig.evse().reading.power_w == pytest.approx(-4600, rel=0.01)
        assert [call["evseId"] for call in rig.calls("NotifyEVChargingNeeds")] == [1]


RECONNECTING = [*CHANNELS, (Version.V21, None)]


async def discharging(rig: Rig, service: GatewayService) -> None:
    """Begin a discharge of two minutes, and wait until the vehicle supplies it."""
    await rig.charging()
    await rig.sleep(5)
    assert (await send(service, "discharge", "d", power_w=4600, lease_s=120)).status == "accepted"
    await rig.sleep(25)


@pytest.mark.parametrize(("version", "profile"), RECONNECTING)
async def test_a_command_goes_on_at_a_station_that_connects_again(version: Version, profile: str | None) -> None:
    async with Rig(version, vendor_profile=profile) as rig, governed(rig) as service:
        await discharging(rig, service)
        rig.cut()
        await rig.sleep(1)
        state = service.state("CP1-1")
        assert state is not None
        assert (state.connection, state.binding, state.command is not None) == ("offline", "station", True)
        assert (await send(service, "charge", "c", power_w=4600, lease_s=30)).reason.code == "offline"
        rig.up = True
        await rig.until(lambda: service.is_connected("CP1-1"))
        for _ in range(30):
            await rig.sleep(1)
            assert rig.evse().reading.power_w == pytest.approx(-4600, rel=0.01)
        assert service.commands_in_force() == 1


@pytest.mark.parametrize(("version", "profile"), RECONNECTING)
async def test_another_vehicle_after_the_connection_is_back_never_gets_the_command(
    version: Version, profile: str | None
) -> None:
    async with Rig(version, vendor_profile=profile) as rig, governed(rig) as service:
        await discharging(rig, service)
        rig.cut()
        await rig.sleep(0.5)
        rig.station.unplug(1)
        await rig.sleep(2)
        rig.plug()
        await rig.sleep(2)
        rig.up = True
        await rig.until(lambda: service.is_connected("CP1-1"))
        for _ in range(60):
            assert rig.evse().reading.power_w >= 0
            await rig.sleep(0.5)
        assert service.commands_in_force() == 0
        ended = [one.cause for one in await service.entries(command="d", limit=100) if one.step == "ended"]
        assert ended == ["session_ended"]
