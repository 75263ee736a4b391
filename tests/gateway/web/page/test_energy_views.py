"""Outage and plan of the page, from a running energy service in virtual time."""

from __future__ import annotations

import json
import re
from html import unescape
from typing import Any

import httpx
import pytest

from gateway.csms.csms import Csms
from gateway.csms.settings import CsmsSettings
from gateway.energy.settings import EnergySection, StorageTable, TierTable
from gateway.model.command import SiteMode
from gateway.model.event import NeedsStated, PowerLimits, VehicleNeeds
from gateway.model.site import SitePolicy
from gateway.store.store import MemoryStore
from tests.gateway.commands.rig import ServiceRig, service_rig
from tests.gateway.energy.island_plant import IslandPlant
from tests.gateway.web.page.charging_page import served

pytestmark = pytest.mark.virtual_time
TIERS = (
    TierTable(name="medical", priority=0, expected_w=700, critical=True),
    TierTable(name="cooling", priority=1, expected_w=1500),
)
ISLAND = EnergySection(island=True, parallel_forming=True, forming=("CP1-1",), tiers=TIERS, off_grid_pct=15)


def csms_of(rig: ServiceRig) -> Csms:
    return Csms(CsmsSettings(), lambda _: None, rig.clock)


def text_of(answer: httpx.Response) -> str:
    """Return the text of a page without its tags."""
    assert answer.status_code == 200
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", answer.text))


def charts_of(page: str) -> list[dict[str, Any]]:
    return [json.loads(unescape(one)) for one in re.findall(r'data-chart="([^"]+)"', page)]


async def test_an_outage_for_the_person_in_charge() -> None:
    async with (
        service_rig("CP1-1", "CP2-1", energy=ISLAND) as rig,
        served(rig.service, csms_of(rig), rig.clock) as http,
    ):
        plant = IslandPlant(rig)
        for one in rig.stations.evses.values():
            one.soc_pct = 40.0
        await plant.live(70)
        before = text_of(await http.get("/outage"))
        assert "Connected to the grid" in before
        assert "Nothing to do." in before
        assert re.search(r"medical would be supplied for about 7\d h; in the worst case for 4\d h", before)
        plant.present = False
        await plant.live(400)
        during = text_of(await http.get("/outage"))
        assert "Outage: island operation" in during
        assert "Do not unplug vehicles that supply the site." in during
        assert re.search(r"From now, medical is supplied for about \d+ h; in the worst case for \d+ h", during)
        assert re.search(r"Switched off next: cooling, expected 2026-01-15 \d\d:\d\d; in the worst case 2026", during)
        rig.control.publisher.decided("no_source", "", None, "", {})  # of before the island ran
        rig.control.publisher.deliver()
        assert "Plug in a vehicle with more charge." not in text_of(await http.get("/outage"))
        assert "forms the island" in during
        assert "Island operation supplies the site." in during  # of the decisions
        assert re.search(r"medical on [\d.]+ h \([\d.]+ to [\d.]+ h\)", during)
        plant.present = True
        await plant.live(5)
        assert "Synchronising" in text_of(await http.get("/outage")) or "Reconnection in" in text_of(
            await http.get("/outage")
        )


async def test_an_instruction_is_shown_until_its_cause_has_ended() -> None:
    store = MemoryStore()
    async with service_rig("CP1-1", energy=ISLAND, store=store) as rig:
        decide = rig.control.publisher.decided
        await IslandPlant(rig).live(2)
        decide("main_switch_not_proven", "", None, "", {})
        decide("recharge_late", "", "CP1-1", "CP1-1", {})
        await rig.journal.flush()
        async with served(rig.service, csms_of(rig), rig.clock) as http:  # decisions of before its start
            await rig.wait(1)
            text = text_of(await http.get("/outage"))
            assert "Open the main switch by hand and check its contact." in text
            assert "or let it stay longer. (CP1-1)" in text
            decide("main_switch_open", "", None, "", {})
            decide("supply_gap", "", None, "", {})
            rig.control.publisher.deliver()
            text = text_of(await http.get("/outage"))
            assert "Open the main switch by hand" not in text
            assert "Ask for help elsewhere" in text
            assert "or let it stay longer. (CP1-1)" in text


async def test_the_plan_with_prices_departures_and_expected_charge() -> None:
    section = EnergySection(storage=StorageTable(controlled=True, capacity_wh=10_000, max_charge_w=3000))
    policy = SitePolicy("home", import_limit_w=20_000, mode=SiteMode.PRICE)
    async with service_rig("CP1-1", policy=policy, energy=section) as rig:
        plant, wall = IslandPlant(rig), rig.clock.wall()
        rig.control.site.mode = SiteMode.PRICE
        report, now = rig.service.report, rig.clock.now()
        needs = VehicleNeeds(PowerLimits(6000, 6000), True, departure=wall + 8 * 3600, target_soc_pct=90.0)
        report(NeedsStated("CP1-1", now, needs))
        rig.stations.evses["CP1-1"].soc_pct = 40.0
        hours = [{"start": wall + h * 3600, "duration_s": 3600, "import_per_kwh": 20 + h} for h in range(-6, 24)]
        plant.input("price", currency="JPY", prices=hours)
        plant.input("storage", power_w=0.0, soc_pct=50.0)
        async with served(rig.service, csms_of(rig), rig.clock) as http:
            assert "Plan : none" in text_of(await http.get("/plan")) or "none; plans are made" in text_of(
                await http.get("/plan")
            )
            await plant.live(70)
            answer = await http.get("/plan")
        text = text_of(answer)
        assert "optimised, made 2026-01-" in text
        power, soc, price = (
            json.loads(one.replace("&#34;", '"')) for one in re.findall(r'data-chart="([^"]+)"', answer.text)
        )
        now = rig.clock.wall()
        for chart in (power, soc, price):
            assert chart["range"] == pytest.approx([now - 4 * 3600, now + 20 * 3600], abs=2)
            assert all(len(line["values"]) == len(chart["times"]) for line in chart["lines"])
            assert chart["times"] == sorted(chart["times"])
        assert soc["lines"][0]["values"][0] == pytest.approx(40.0, abs=3)
        assert max(one for one in soc["lines"][0]["values"] if one is not None) == pytest.approx(90.0, abs=2)
        assert soc["marks"][1] == pytest.approx(wall + 8 * 3600, abs=1)
        assert "JPY/kWh" in text
        assert "Import: lowest 16.0 JPY/kWh" in text
        assert re.search(r"CP1-1 \S+ is here 2026-01-15 \d\d:00 (89|90|91) %", text)
