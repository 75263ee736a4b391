"""The energy service and vehicle lending in a running gateway: bounds, orders in the state, agreements."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from emulators.runtime.clock import run_virtual
from gateway.blue_switch.agreement_file import parse
from gateway.blue_switch.service import VehicleLendingService
from gateway.energy.persistence import EnergyPersistence
from gateway.energy.service import EnergyService
from gateway.energy.settings import EnergySection, TierTable
from gateway.model.event import VehicleIdentified
from gateway.model.moment import rfc3339
from gateway.store.memory import MemoryStore
from tests.gateway.commands.rig import House, house

TIERS = (
    TierTable(name="medical", priority=0, expected_w=700, critical=True),
    TierTable(name="cooling", priority=1, expected_w=2000, wants_hours=4),
)
ISLAND = EnergySection(island=True, parallel_forming=True, forming=("CP1-1", "CP2-1"), tiers=TIERS, off_grid_pct=15)
LENT = """
[[place]]
name = "home"
latitude = 35.6
longitude = 139.6
[[place]]
name = "depot"
latitude = 35.61
longitude = 139.62
[[car]]
vehicle = "LENT"
base = "depot"
capacity_wh = 40000
[[agreement]]
id = "A"
kind = "municipal"
lender = "the town"
cars = ["LENT"]
floor_pct = 25
"""


async def tell(home: House, kind: str, **body: Any) -> None:
    reason = home.service.input(kind, json.dumps({"ts": rfc3339(home.clock.wall()), **body}).encode())
    assert reason is None, reason


async def live(
    home: House,
    energy_service: EnergyService,
    seconds: int,
    present: bool,
    load_w: float,
    lender: VehicleLendingService | None = None,
) -> None:
    """One second a step: inputs of the facility, step of the energy service, main switch."""
    for _ in range(seconds):
        state = energy_service.state or {}
        opened = state.get("main_switch") == "open"
        await tell(home, "switch", open=opened)
        lit = present or state.get("forming") is not None
        await tell(home, "load", power_w=load_w if lit else 0.0)
        grid: dict[str, Any] = {"present": present, "power_w": load_w if present and not opened else 0.0}
        await tell(home, "grid", **grid)
        energy_service.step()
        if lender is not None:
            lender.step()
        await home.wait(1.0)


def decided(home: House) -> list[str]:
    return [event.code or "" for event in home.heard.events if event.event.value == "decided"]


def test_an_outage_is_lived_through_and_the_forming_car_is_left_alone() -> None:
    async def scene() -> None:
        async with house("CP1-1", "CP2-1") as home:
            energy_service = EnergyService(home.service.board, ISLAND)
            home.service.board.energy = lambda: energy_service.state
            await live(home, energy_service, 5, True, 2000.0)
            assert energy_service.active()
            await live(home, energy_service, 30, False, 700.0)
            state = home.service.site_state()
            assert state.islanded
            assert state.energy is not None
            assert state.energy["phase"] == "island"
            forming = state.energy["forming"]
            assert home.service.board.places[forming].hands_off
            assert state.energy["tiers"]["medical"] is True
            assert state.energy["autonomy_h"]["medical"]["low"] > 0
            told = decided(home)
            assert told.index("grid_lost") < told.index("main_switch_open") < told.index("island_formed")
            home.stations.unplug(forming)
            await live(home, energy_service, 5, False, 700.0)
            other = (home.service.site_state().energy or {})["forming"]
            assert other not in (None, forming)

    run_virtual(scene())


def test_a_site_with_nothing_to_manage_is_left_alone() -> None:
    async def scene() -> None:
        async with house("CP1-1") as home:
            energy_service = EnergyService(home.service.board, EnergySection())
            assert not energy_service.active()
            assert not EnergyService(home.service.board, EnergySection(enabled=False, contract_w=1000)).active()
            await home.send(None, "mode", "m", mode="self_consumption")
            assert energy_service.active()
            for _ in range(12):
                await tell(home, "grid", present=True, power_w=3000 + home.power("CP1-1"))
                energy_service.step()
                await home.wait(1.0)
            assert home.power("CP1-1") == pytest.approx(-2950, abs=60)
            assert home.service.explain("CP1-1").binding == "optimiser"  # type: ignore[union-attr]

    run_virtual(scene())


def test_a_command_comes_before_the_optimiser_and_the_demand_window_before_a_command() -> None:
    async def scene() -> None:
        async with house("CP1-1") as home:
            energy_service = EnergyService(home.service.board, EnergySection(contract_w=20_000))
            await home.send(None, "mode", "m", mode="self_consumption")
            await live(home, energy_service, 5, True, 3000.0)
            await home.send("CP1-1", "charge", "c", power_w=4000, lease_s=300)
            await live(home, energy_service, 5, True, 3000.0)
            assert home.power("CP1-1") == 4000
            await tell(home, "meter", energy_wh=9_900, window_start=rfc3339(home.clock.wall() // 1800 * 1800))
            await live(home, energy_service, 5, True, 3000.0)
            assert home.power("CP1-1") < 4000
            assert home.service.explain("CP1-1").binding == "site"  # type: ignore[union-attr]

    run_virtual(scene())


def test_in_an_outage_lent_cars_give_strangers_do_not_and_the_report_says_what_was_owed(tmp_path: Any) -> None:
    async def scene() -> None:
        async with house("CP1-1", "CP2-1") as home:
            energy_service = EnergyService(home.service.board, ISLAND)
            lender = VehicleLendingService(
                home.service.board, energy_service, parse(LENT, "lent.toml"), "home", tmp_path
            )
            now = home.clock.now()
            home.service.report(VehicleIdentified("CP1-1", now, "LENT"))
            home.service.report(VehicleIdentified("CP2-1", now, "STRANGER"))
            await live(home, energy_service, 5, True, 700.0, lender)
            assert energy_service.agreed_floors == {}
            await live(home, energy_service, 30, False, 700.0, lender)
            told = decided(home)
            assert "site_needs_cars" in told
            assert "arrival_unknown_car" in told
            assert energy_service.agreed_floors["CP2-1"] == 100.0
            assert energy_service.agreed_floors["CP1-1"] == 25.0
            assert (energy_service.state or {})["forming"] == "CP1-1"
            there = (energy_service.state or {})["blue_switch"]["there"]
            assert [(one["vehicle"], one["site"], one["floor_pct"]) for one in there] == [("LENT", "home", 25.0)]
            outage = lender.desk.current
            assert outage is not None
            lender.heard("depot", {"energy": {"phase": "island", "need": {"draw_w": 900, "stored_wh": 100, "bays": 1}}})
            assert "depot" in lender.desk.needs
            lender.heard("depot", {"energy": {"phase": "island", "need": {"draw_w": "much"}}})
            lender.heard("depot", {"energy": {"phase": "on_grid"}})
            assert "depot" not in lender.desk.needs
            await live(home, energy_service, 330, True, 700.0, lender)
            assert "site_restored" in decided(home)
            await home.wait(1.0)
            made = lender.desk.report(outage.id)
            assert made["chain"]["whole"]
            assert [one["vehicle"] for one in made["cars"]] == ["LENT"]
            assert outage.ended is not None
            assert len(list(tmp_path.iterdir())) == 2

    run_virtual(scene())


def test_an_outage_is_gone_on_with_in_the_next_life_and_forgotten_when_it_is_paid() -> None:
    async def scene() -> None:
        store = MemoryStore()
        async with house("CP1-1", "CP2-1", store=store) as home:
            journal = home.service.board.journal
            energy_service = EnergyService(home.service.board, ISLAND, keeper=EnergyPersistence(journal))
            await live(home, energy_service, 5, True, 700.0)
            assert await store.kept(10) == []
            await live(home, energy_service, 20, False, 700.0)
            forming = (energy_service.state or {})["forming"]
            had = energy_service.controller.recharging.remembered()[0]
            await journal.flush()
        assert had
        assert [(one.kind, one.key) for one in await store.kept(10)] == [("energy", "outage")]
        async with house("CP1-1", "CP2-1", store=store) as home:
            journal = home.service.board.journal
            energy_service = EnergyService(home.service.board, ISLAND, keeper=EnergyPersistence(journal))
            energy_service.restore(await store.kept(10))
            assert energy_service.controller.recharging.remembered() == (had, True, None)
            energy_service.state = {"main_switch": "open", "forming": forming}
            await live(home, energy_service, 20, False, 700.0)
            assert (energy_service.state or {})["forming"] == forming
            assert "island_adopted" in decided(home)
            assert "black_start" not in decided(home)
            await live(home, energy_service, 1800, True, 700.0)
            await journal.flush()
            assert [one for one in await store.kept(10) if one.key == "outage"] == []

    run_virtual(scene())


def test_a_defect_in_the_controller_costs_the_optimum_and_not_the_gateway(caplog: pytest.LogCaptureFixture) -> None:
    async def scene() -> None:
        async with house("CP1-1") as home:
            energy_service = EnergyService(home.service.board, EnergySection(contract_w=20_000))
            energy_service.controller.settings = None  # type: ignore[assignment]
            running = asyncio.create_task(energy_service.run())
            await home.wait(5)
            assert not running.done()
            assert decided(home).count("energy_failed") == 1
            await home.send("CP1-1", "discharge", "d", power_w=3000, lease_s=60)
            await home.wait(2)
            assert home.power("CP1-1") == -3000
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)

    run_virtual(scene())
    assert "the energy controller failed" in caplog.text


@pytest.mark.parametrize("breaks", ["problem", "plan", "never"])
def test_a_planner_that_breaks_or_never_answers_costs_the_optimum_and_it_is_said_once(
    breaks: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def scene() -> None:
        async with house("CP1-1") as home:
            energy_service = EnergyService(
                home.service.board, EnergySection(contract_w=20_000, import_per_kwh=30.0, plan_every_s=60)
            )
            await home.send(None, "mode", "m", mode="price")

            def wrong(*_: object) -> None:
                raise LookupError("a defect")

            async def silent(view: object) -> None:
                await asyncio.Event().wait()

            if breaks == "never":
                monkeypatch.setattr(energy_service, "_solve", silent)
            else:
                owner = energy_service.controller if breaks == "problem" else energy_service.controller.planner
                monkeypatch.setattr(owner, breaks, wrong)
            for _ in range(300):
                await tell(home, "grid", present=True, power_w=3000 + home.power("CP1-1"))
                energy_service.step()
                await home.wait(1.0)
            assert decided(home).count("plan_fell_back") == 1
            if energy_service._planning is not None:
                energy_service._planning.cancel()

    run_virtual(scene())
