"""A whole gateway whose energy management orders a storage battery over ECHONET Lite."""

from __future__ import annotations

from typing import Any

import pytest

from emulators.echonet.run import BoxOptions
from gateway.drivers.echonet.storage import VALID_S
from protocols.echonet.classes import STORAGE_BATTERY
from protocols.echonet.frames import Esv, Frame
from tests.gateway.drivers.echonet.echonet_home import BOX, GATEWAY, EchonetHome

pytestmark = pytest.mark.virtual_time
HOUSE_W = 3000.0


def tables(**energy: Any) -> dict[str, Any]:
    return {
        "site": {"id": "home", "mode": "self_consumption"},
        "meters": [{"driver": "echonet", "address": BOX, "eoj": "028801"}],
        "storages": [{"driver": "echonet", "address": BOX}],
        "energy": {"plan": False, "storage": {"controlled": True}, **energy},
    }


def home() -> EchonetHome:
    return EchonetHome(BoxOptions(beside=("storage", "meter"), car="", house_w=HOUSE_W))


def storage_w(site: EchonetHome) -> float:
    site.home.advance(site.clock.now())
    assert site.home.storage is not None
    return site.home.storage.power_w(site.clock.now())


def policy(site: EchonetHome) -> str:
    assert site.home.storage is not None
    return site.home.storage.policy


def set_properties(site: EchonetHome) -> list[int]:
    """Return what the gateway has set at the battery."""
    flights = [one for one in site.lan.trace if one.sender == GATEWAY and not one.multicast]
    frames = [Frame.decode(one.data) for one in flights]
    wanted = [one for one in frames if one.esv is Esv.SETC and one.destination.class_code == STORAGE_BATTERY]
    return [one.epc for frame in wanted for one in frame.properties]


async def test_energy_management_supplies_the_house_from_the_battery() -> None:
    site = home()
    async with site.gateway(**tables()) as running:
        await site.until("the discharge", lambda: abs(storage_w(site) + HOUSE_W) < 200, 120)
        assert policy(site) == "idle", "it follows orders, not the house by itself"
        assert set_properties(site)[:3] == [0xC2, 0xEC, 0xDA]
        assert running.energy_service.storage_w == pytest.approx(storage_w(site), abs=200)
        await site.clock.sleep(3 * VALID_S)
        assert storage_w(site) == pytest.approx(-HOUSE_W, abs=200), "it is renewed"
        assert abs(site.home.advance(site.clock.now()).grid_w) < 250
    assert policy(site) == "self_consumption", "the gateway has stopped: the battery is left to itself"


async def test_energy_management_keeps_the_reserve_that_the_battery_would_use() -> None:
    site = home()
    async with site.gateway(**tables(reserve_pct=60.0)) as _:
        await site.until("the inputs", lambda: set_properties(site), 120)
        await site.clock.sleep(60)
        assert storage_w(site) > -50
        assert site.bodies("site/state")[-1]["energy"]["storage_w"] >= 0
