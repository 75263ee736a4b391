"""States that need a person's next command: discharge in manual mode, and everything after an emergency stop."""

from __future__ import annotations

import json
from itertools import product
from typing import Any

import pytest

from gateway.energy.settings import EnergySection, StorageTable
from gateway.model.command import SiteMode
from gateway.model.message import rfc3339
from gateway.model.site import SitePolicy
from gateway.store.store import MemoryStore
from tests.gateway.commands.rig import ServiceRig, service_rig
from tests.gateway.energy.island_plant import IslandPlant
from tests.gateway.energy.test_island_commands import ISLAND
from tests.rounds import some

pytestmark = pytest.mark.virtual_time

SECTION = EnergySection(contract_w=100_000)
MODES = ("peak_shaving", "self_consumption", "price", "grid_service")


async def live(rig: ServiceRig, seconds: int, load_w: float) -> None:
    for _ in range(seconds):
        report(rig, "grid", present=True, power_w=load_w + rig.power("CP1-1"))
        rig.energy_service.step()
        await rig.wait(1.0)


@pytest.mark.parametrize(("mode", "limit"), some(product(MODES, ["import", "peak"]), 3))
async def test_manual_mode_does_not_discharge_for_a_limit_that_binds(mode: str, limit: str) -> None:
    policy = SitePolicy("home", import_limit_w=5000.0 if limit == "import" else None)
    async with service_rig("CP1-1", energy=SECTION, policy=policy) as rig:
        if limit == "peak":
            await rig.send(None, "peak_limit", "p", import_w=5000)
        await rig.send(None, "mode", "m", mode=mode)
        await live(rig, 30, 9000.0)
        assert rig.power("CP1-1") <= -3500
        await rig.send(None, "mode", "n", mode="manual")
        await live(rig, 30, 9000.0)
        assert rig.power("CP1-1") == 0
        texts = [event.text for event in rig.published.events if event.code == f"bound_by_{limit}_limit"]
        assert "without a command" in texts[-1]
        await live(rig, 60, 9000.0)
        assert rig.power("CP1-1") == 0
        await rig.send("CP1-1", "discharge", "d", power_w=2000, lease_s=30)
        await live(rig, 5, 9000.0)
        assert rig.power("CP1-1") == -2000


@pytest.mark.parametrize(("mode", "restarts", "configured"), some(product(MODES, [False, True], [False, True]), 5))
async def test_the_release_of_an_emergency_stop_resumes_nothing(mode: str, restarts: bool, configured: bool) -> None:
    """Whether the mode was commanded or configured, and also after a restart: the next command is a person's."""
    policy = SitePolicy("home", import_limit_w=5000.0, mode=SiteMode(mode) if configured else SiteMode.MANUAL)
    store = MemoryStore()
    async with service_rig("CP1-1", energy=SECTION, policy=policy, store=store) as rig:
        if not configured:
            await rig.send(None, "mode", "m", mode=mode)
        await live(rig, 20, 9000.0)
        assert rig.power("CP1-1") <= -3500
        await rig.send(None, "emergency_stop", "e")
        await live(rig, 5, 9000.0)
        await rig.send(None, "release", "r")
        await live(rig, 30, 9000.0)
        assert rig.power("CP1-1") == 0
        assert rig.service.site_state().mode == "manual"
        [text] = [event.text for event in rig.published.events if "emergency stop is over" in event.text]
        assert "next command" in text
        if not restarts:
            await rig.send(None, "mode", "n", mode=mode)
            await live(rig, 30, 9000.0)
            assert rig.power("CP1-1") <= -3500
        await rig.journal.flush()
    async with service_rig("CP1-1", energy=SECTION, policy=policy, store=store) as rig:
        await live(rig, 30, 9000.0)
        assert (rig.power("CP1-1") == 0) is restarts


@pytest.mark.parametrize(
    ("mode", "idle_w", "load_w", "stopped_s"),
    some(product(MODES, [0.0, 2000.0], [9000.0, -4000.0], [0, 5]), 7),
)
async def test_no_power_flows_between_the_release_and_the_next_command(
    mode: str, idle_w: float, load_w: float, stopped_s: int
) -> None:
    """Not even until the next step of energy management; neither at an EVSE nor at the storage."""
    policy = SitePolicy("home", import_limit_w=5000.0, idle_power_w=idle_w)
    section = EnergySection(contract_w=100_000, storage=StorageTable(controlled=True))
    async with service_rig("CP1-1", energy=section, policy=policy) as rig:
        wall, price = rig.clock.wall(), 60.0 if load_w > 0 else 5.0
        prices = [
            {
                "start": rfc3339(wall + 40_000 * later),
                "duration_s": 40_000,
                "import_per_kwh": one,
                "export_per_kwh": one,
            }
            for later, one in enumerate((price, 30.0))
        ]
        report(rig, "price", prices=prices)
        await rig.send(None, "mode", "m", mode=mode)
        await beside_a_storage(rig, 100, load_w)
        await rig.send(None, "emergency_stop", "e")
        await beside_a_storage(rig, stopped_s, load_w)
        await rig.wait(0.9)
        await rig.send(None, "release", "r")
        flows: set[tuple[float, float | None]] = set()
        for _ in range(12):
            await rig.wait(0.1)
            flows.add((rig.power("CP1-1"), rig.energy_service.storage_w if stopped_s else 0.0))
        for _ in range(10):
            await beside_a_storage(rig, 1, load_w)
            flows.add((rig.power("CP1-1"), rig.energy_service.storage_w))
        assert flows == {(0.0, 0.0)}
        await rig.send(None, "mode", "n", mode="manual")
        await beside_a_storage(rig, 3, load_w)
        allowed_w = idle_w if load_w < 0 else 0.0  # by the import limit
        assert (rig.power("CP1-1"), rig.energy_service.storage_w) == (allowed_w, None)


def report(rig: ServiceRig, kind: str, **members: object) -> None:
    payload = json.dumps({"ts": rfc3339(rig.clock.wall()), **members}).encode()
    assert rig.service.input(kind, payload) is None


async def beside_a_storage(rig: ServiceRig, seconds: int, load_w: float) -> None:
    for _ in range(seconds):
        report(rig, "storage", power_w=0.0, soc_pct=50.0, max_charge_w=3000.0, max_discharge_w=3000.0, capacity_wh=9000)
        await live(rig, 1, load_w)


async def test_a_clamped_command_gets_more_when_the_limit_leaves_more() -> None:
    policy = SitePolicy("home", import_limit_w=10_000.0)
    async with service_rig("CP1-1", policy=policy) as rig:
        await live(rig, 3, 8000.0)
        result = await rig.send("CP1-1", "charge", "c", power_w=6000, lease_s=120)
        assert (result.status, result.effective_w) == ("clamped", 2000.0)
        await live(rig, 10, 8000.0)
        await live(rig, 10, 1000.0)
        assert rig.power("CP1-1") == 6000


def grid_forming(rig: ServiceRig) -> str | None:
    return rig.energy_service.forming


async def stop_in_an_island(rig: ServiceRig, plant: IslandPlant[ServiceRig], *, backup: bool, stopped_s: int) -> str:
    """Form an island, stop it, release the stop; return the text of the release."""
    await plant.live(5)
    if backup:
        await rig.send(None, "backup", "enter", action="enter")
    else:
        plant.present = False
    await plant.live(40)
    assert grid_forming(rig) == "CP1-1"
    await rig.send(None, "emergency_stop", "e")
    if stopped_s:
        rig.energy_service.step()  # before the plant, which follows the source that energy management names
        await plant.live(stopped_s)
    await rig.send(None, "release", "r")
    rig.energy_service.step()
    [text] = [event.text for event in rig.published.events if "emergency stop is over" in event.text]
    return text


def discharges(plant: IslandPlant[ServiceRig]) -> bool:
    return any(plant.rig.power(name) < 0 for name in plant.rig.stations.evses) or grid_forming(plant.rig) is not None


RESUMING: list[dict[str, Any]] = [
    {"verb": "backup", "action": "enter"},
    {"verb": "mode", "mode": "self_consumption"},
    {"verb": "mode", "mode": "backup"},
]
NOT_RESUMING: list[dict[str, Any]] = [
    {"verb": "backup", "action": "leave"},
    {"verb": "mode", "mode": "manual"},
    {"verb": "reserve", "min_soc_pct": 20},
    {"verb": "stop"},
    {"verb": "release"},
    {"verb": "discharge", "power_w": 2000},
]


@pytest.mark.parametrize(
    ("backup", "stopped_s", "restarts", "resuming"), some(product([False, True], [0, 10], [False, True], RESUMING), 7)
)
async def test_the_release_of_an_emergency_stop_in_an_island_supplies_nothing_before_the_named_command(
    backup: bool, stopped_s: int, restarts: bool, resuming: dict[str, Any]
) -> None:
    store = MemoryStore()
    async with service_rig("CP1-1", energy=ISLAND, store=store) as rig:
        plant = IslandPlant(rig)
        text = await stop_in_an_island(rig, plant, backup=backup, stopped_s=stopped_s)
        assert "`backup` with action `enter`" in text
        plant.present = False  # a grid that were there would supply the building
        await plant.live(5)
        for _ in range(60):
            await plant.live(1)
            assert not discharges(plant)
        for number, body in enumerate(NOT_RESUMING):
            verb = body["verb"]
            await rig.send(None, verb, f"n{number}", **{key: one for key, one in body.items() if key != "verb"})
            await plant.live(5)
            assert not discharges(plant)
        await rig.journal.flush()
        if not restarts:
            await resume(rig, plant, resuming)
            return
    async with service_rig("CP1-1", energy=ISLAND, store=store) as rig:
        rig.energy_service.restore(await store.kept(10))
        plant = IslandPlant(rig, present=False, open=True)
        for _ in range(240):
            await plant.live(1)
            assert not discharges(plant)
        assert [event.code for event in rig.published.events].count("awaiting_command") == 1
        await resume(rig, plant, resuming)


async def resume(rig: ServiceRig, plant: IslandPlant[ServiceRig], resuming: dict[str, Any]) -> None:
    body = dict(resuming)
    result = await rig.send(None, body.pop("verb"), "resume", **body)
    assert result.status == "accepted"
    await plant.live(40)
    assert grid_forming(rig) == "CP1-1"
    assert rig.power("CP1-1") < 0


@pytest.mark.parametrize(("restarts", "backup"), some(product([False, True], [False, True]), 3))
async def test_after_the_release_the_grid_supplies_the_building_and_the_next_outage_is_a_new_one(
    backup: bool, restarts: bool
) -> None:
    store = MemoryStore()
    async with service_rig("CP1-1", energy=ISLAND, store=store) as rig:
        plant = IslandPlant(rig)
        await stop_in_an_island(rig, plant, backup=backup, stopped_s=10)
        plant.present = True
        await plant.live(900)
        assert plant.lit
        assert not discharges(plant)
        await rig.journal.flush()
        if not restarts:
            plant.present = False
            await plant.live(40)
            assert grid_forming(rig) == "CP1-1"
            return
    async with service_rig("CP1-1", energy=ISLAND, store=store) as rig:
        rig.energy_service.restore(await store.kept(10))
        plant = IslandPlant(rig)
        await plant.live(5)
        plant.present = False
        await plant.live(40)
        assert grid_forming(rig) == "CP1-1"


async def test_a_stop_and_release_on_the_grid_do_not_keep_the_next_outage_dark() -> None:
    async with service_rig("CP1-1", energy=ISLAND) as rig:
        plant = IslandPlant(rig)
        await plant.live(5)
        await rig.send(None, "emergency_stop", "e")
        await plant.live(5)
        await rig.send(None, "release", "r")
        await plant.live(5)
        plant.present = False
        await plant.live(40)
        assert grid_forming(rig) == "CP1-1"


@pytest.mark.parametrize("while_stopped", [False, True])
async def test_an_outage_while_the_site_is_stopped_is_dark_until_the_named_command(while_stopped: bool) -> None:
    async with service_rig("CP1-1", energy=ISLAND) as rig:
        plant = IslandPlant(rig)
        await plant.live(5)
        await rig.send(None, "emergency_stop", "e")
        await plant.live(5)
        plant.present = False
        await plant.live(30 if while_stopped else 1)
        await rig.send(None, "release", "r")
        await plant.live(60)
        assert not discharges(plant)
        await resume(rig, plant, RESUMING[0])
