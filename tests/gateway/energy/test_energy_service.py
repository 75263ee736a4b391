"""The energy service and vehicle lending in a running gateway: bounds, orders in the state, agreements."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from typing import Any

import pytest

from gateway.blue_switch.agreement_file import parse
from gateway.blue_switch.handback import Deployment, energy_to_return
from gateway.blue_switch.service import VehicleLendingService
from gateway.energy.service import EnergyService, _at_once, _changed
from gateway.energy.settings import EnergySection, TierTable
from gateway.model.energy_state import MainSwitch, Phase, SharedEnergyState, SiteNeedState
from gateway.model.event import Metered, SessionStarted, VehicleIdentified
from gateway.model.message import rfc3339
from gateway.store.store import MemoryStore
from tests.gateway.commands.rig import ServiceRig, service_rig

pytestmark = pytest.mark.virtual_time

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


async def tell(rig: ServiceRig, kind: str, **body: Any) -> None:
    reason = rig.service.input(kind, json.dumps({"ts": rfc3339(rig.clock.wall()), **body}).encode())
    assert reason is None, reason


async def live(
    rig: ServiceRig,
    energy_service: EnergyService,
    seconds: int,
    present: bool,
    load_w: float,
    lending: VehicleLendingService | None = None,
) -> None:
    """One second a step: inputs of the facility, step of the energy service, main switch."""
    for _ in range(seconds):
        state = energy_service.state
        opened = state is not None and state.main_switch is MainSwitch.OPEN
        await tell(rig, "switch", open=opened)
        lit = present or (state is not None and state.forming is not None)
        await tell(rig, "load", power_w=load_w if lit else 0.0)
        grid: dict[str, Any] = {"present": present, "power_w": load_w if present and not opened else 0.0}
        await tell(rig, "grid", **grid)
        energy_service.step()
        if lending is not None:
            lending.step()
        await rig.wait(1.0)


async def kept_energy(store: MemoryStore) -> list[str]:
    return [one.key for one in await store.kept(10) if one.kind == "energy"]


def decided(rig: ServiceRig) -> list[str]:
    return [event.code or "" for event in rig.published.events if event.event.value == "decided"]


async def test_an_outage_is_supplied_and_the_grid_forming_car_gets_no_orders() -> None:
    async with service_rig("CP1-1", "CP2-1", energy=ISLAND) as rig:
        energy_service = rig.energy_service
        await live(rig, energy_service, 5, True, 2000.0)
        assert energy_service.active()
        await live(rig, energy_service, 30, False, 700.0)
        state = rig.service.site_state()
        assert state.islanded
        assert state.energy is not None
        assert state.energy.phase == "island"
        forming = state.energy.forming
        assert forming is not None
        assert rig.evse(forming).forms_grid
        assert state.energy.tiers["medical"] is True
        assert state.energy.autonomy_h["medical"].low > 0
        codes = decided(rig)
        assert codes.index("grid_lost") < codes.index("main_switch_open") < codes.index("island_formed")
        rig.stations.unplug(forming)
        await live(rig, energy_service, 5, False, 700.0)
        after = rig.service.site_state().energy
        assert after is not None
        assert after.forming not in (None, forming)


@pytest.mark.parametrize(
    ("forming", "storage_w", "published"),
    [(None, -868, True), (None, -873, False), ("CP1-1", -868, False), ("CP1-1", -848, True), ("CP1-1", None, True)],
)
async def test_a_small_step_of_the_storage_is_published_at_once_on_the_grid(
    forming: str | None, storage_w: int | None, published: bool
) -> None:
    async with service_rig("CP1-1", energy=ISLAND) as rig:
        await live(rig, rig.energy_service, 1, True, 2000.0)
        state = rig.energy_service.state
    assert state is not None
    before = state.model_copy(update={"forming": forming, "storage_w": -873})
    after = before.model_copy(update={"storage_w": storage_w})
    assert any(map(_changed, _at_once(before), _at_once(after))) is published


async def test_a_site_without_resources_is_not_managed() -> None:
    async with service_rig("CP1-1", energy=EnergySection()) as rig:
        energy_service = rig.energy_service
        assert not energy_service.active()
        disabled = EnergySection(enabled=False, contract_w=1000)
        assert not rig.energy(disabled).active()
        await rig.send(None, "mode", "m", mode="self_consumption")
        assert energy_service.active()
        for _ in range(12):
            await tell(rig, "grid", present=True, power_w=3000 + rig.power("CP1-1"))
            energy_service.step()
            await rig.wait(1.0)
        assert rig.power("CP1-1") == pytest.approx(-2950, abs=60)
        assert rig.service.explain("CP1-1").binding == "optimiser"  # type: ignore[union-attr]


async def test_a_command_comes_before_the_optimiser_and_the_demand_window_before_a_command() -> None:
    async with service_rig("CP1-1", energy=EnergySection(contract_w=20_000)) as rig:
        energy_service = rig.energy_service
        await rig.send(None, "mode", "m", mode="self_consumption")
        await live(rig, energy_service, 5, True, 3000.0)
        await rig.send("CP1-1", "charge", "c", power_w=4000, lease_s=300)
        await live(rig, energy_service, 5, True, 3000.0)
        assert rig.power("CP1-1") == 4000
        await tell(rig, "meter", energy_wh=9_900, window_start=rfc3339(rig.clock.wall() // 1800 * 1800))
        await live(rig, energy_service, 5, True, 3000.0)
        assert rig.power("CP1-1") < 4000
        assert rig.service.explain("CP1-1").binding == "site"  # type: ignore[union-attr]


async def test_in_an_outage_only_deployed_cars_discharge_and_the_report_has_the_energy_to_return(tmp_path: Any) -> None:
    async with service_rig("CP1-1", "CP2-1", energy=ISLAND) as rig:
        energy_service, coordinator = rig.energy_service, parse(LENT, "lent.toml")
        lending = rig.lending(coordinator, tmp_path)
        now = rig.clock.now()
        rig.service.report(VehicleIdentified("CP1-1", now, "LENT"))
        rig.service.report(VehicleIdentified("CP2-1", now, "STRANGER"))
        await live(rig, energy_service, 5, True, 700.0, lending)
        assert rig.energy_service.lending.floor_pct == {}
        await live(rig, energy_service, 30, False, 700.0, lending)
        codes = decided(rig)
        assert "site_needs_cars" in codes
        assert "arrival_unknown_car" in codes
        assert rig.energy_service.lending.floor_pct["CP2-1"] == 100.0
        assert rig.energy_service.lending.floor_pct["CP1-1"] == 25.0
        state = energy_service.state
        assert state is not None
        assert state.forming == "CP1-1"
        assert state.blue_switch is not None
        there = [(one.vehicle, one.site, one.floor_pct) for one in state.blue_switch.there]
        assert there == [("LENT", "home", 25.0)]
        outage = lending.coordinator.current
        assert outage is not None
        need = SiteNeedState(draw_w=900, stored_wh=100, bays=1)
        lending.receive_state("depot", SharedEnergyState(phase=Phase.ISLAND, need=need))
        assert "depot" in lending.coordinator.needs
        lending.receive_state("depot", SharedEnergyState(phase=Phase.ON_GRID))
        assert "depot" not in lending.coordinator.needs
        await live(rig, energy_service, 330, True, 700.0, lending)
        assert "site_restored" in decided(rig)
        await rig.wait(1.0)
        made = lending.coordinator.report(outage.id)
        assert made["chain"]["whole"]
        assert [one["vehicle"] for one in made["cars"]] == ["LENT"]
        assert outage.ended is not None
        assert len(list(tmp_path.iterdir())) == 2


async def test_a_deployed_car_of_unknown_arrival_is_charged_by_what_the_meter_counted() -> None:
    async with service_rig("CP1-1", energy=ISLAND) as rig:
        coordinator = parse(LENT + 'give_back = "as_arrived"', "lent.toml")
        lending, evse = rig.lending(coordinator, None), rig.evse("CP1-1").evse
        rig.service.report(VehicleIdentified("CP1-1", rig.clock.now(), "LENT"))
        deployed = Deployment("LENT", "home", "A", rig.clock.wall(), None, 25.0, 40_000.0, 1000.0, 6000.0)
        coordinator.deployments["home", "LENT"] = deployed
        await live(rig, rig.energy_service, 5, True, 700.0, lending)
        assert evse.soc_pct is not None
        assert evse.soc_pct == pytest.approx(80.0, abs=0.5)
        assert rig.energy_service.lending.recharge_pct["CP1-1"] == pytest.approx(evse.soc_pct + 17.5)
        left = energy_to_return(coordinator.deployments["home", "LENT"], coordinator.registry.cars["LENT"])
        assert left.charge_wh == pytest.approx(7000)


async def test_registers_that_a_restarted_gateway_reads_late_count_nothing() -> None:
    """The session is known before its meter reports: the lifetime of the register is not energy of the deployment."""
    async with service_rig("CP1-1", energy=ISLAND, plugged=False) as rig:
        rig.stations.evses["CP1-1"].metered_on_call = True
        coordinator = parse(LENT, "lent.toml")
        lending, now = rig.lending(coordinator, None), rig.clock.now()
        rig.service.report(SessionStarted("CP1-1", now, "tx"))
        rig.service.report(VehicleIdentified("CP1-1", now, "LENT"))
        deployed = Deployment("LENT", "home", "A", rig.clock.wall(), 80.0, 25.0, 40_000.0)
        coordinator.deployments["home", "LENT"] = replace(deployed, discharged_wh=6000.0, charged_wh=1000.0)
        for into_wh, out_wh in ((None, None), (4e6, None), (4e6, 7e6), (4e6, 7e6 + 10)):
            at = rig.clock.now()
            rig.service.report(
                Metered("CP1-1", at, power_w=-3600.0, energy_charged_wh=into_wh, energy_discharged_wh=out_wh)
            )
            await live(rig, rig.energy_service, 5, True, 700.0, lending)
        counted = coordinator.deployments["home", "LENT"]
        assert counted.discharged_wh == pytest.approx(6010.0)
        assert counted.charged_wh == pytest.approx(1000.0)


async def test_an_outage_continues_after_a_restart_and_ends_when_all_energy_is_returned() -> None:
    store = MemoryStore()
    async with service_rig("CP1-1", "CP2-1", store=store, energy=ISLAND) as rig:
        journal, energy_service = rig.journal, rig.energy_service
        await live(rig, energy_service, 5, True, 700.0)
        assert await kept_energy(store) == []
        await live(rig, energy_service, 20, False, 700.0)
        last = energy_service.state
        assert last is not None
        had = energy_service.controller.recharging.remembered()[0]
        await journal.flush()
    assert had
    assert await kept_energy(store) == ["outage"]
    async with service_rig("CP1-1", "CP2-1", store=store, energy=ISLAND) as rig:
        journal, energy_service = rig.journal, rig.energy_service
        energy_service.restore(await store.kept(10))
        assert energy_service.controller.recharging.remembered() == (had, True, None)
        energy_service.state = last
        await live(rig, energy_service, 20, False, 700.0)
        assert energy_service.state is not None
        assert energy_service.state.forming == last.forming
        assert "island_adopted" in decided(rig)
        assert "black_start" not in decided(rig)
        await live(rig, energy_service, 1800, True, 700.0)
        await journal.flush()
        assert [one for one in await store.kept(10) if one.key == "outage"] == []


async def test_an_exception_in_the_controller_falls_back_to_rules_and_the_gateway_continues(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with service_rig("CP1-1", energy=EnergySection(contract_w=20_000)) as rig:
        energy_service = rig.energy_service
        energy_service.controller.settings = None  # type: ignore[assignment]
        running = asyncio.create_task(energy_service.run())
        await rig.wait(5)
        assert not running.done()
        assert decided(rig).count("energy_failed") == 1
        await rig.send("CP1-1", "discharge", "d", power_w=3000, lease_s=60)
        await rig.wait(2)
        assert rig.power("CP1-1") == -3000
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    assert "the energy controller failed" in caplog.text


@pytest.mark.parametrize("breaks", ["problem", "plan", "never"])
async def test_a_planner_that_fails_or_never_returns_falls_back_to_rules_and_is_reported_once(
    breaks: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    section = EnergySection(contract_w=20_000, import_per_kwh=30.0, plan_every_s=60)
    async with service_rig("CP1-1", energy=section) as rig:
        energy_service = rig.energy_service
        await rig.send(None, "mode", "m", mode="price")

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
            await tell(rig, "grid", present=True, power_w=3000 + rig.power("CP1-1"))
            energy_service.step()
            await rig.wait(1.0)
        assert decided(rig).count("plan_fell_back") == 1
        if energy_service._planning is not None:
            energy_service._planning.cancel()


async def test_autonomy_is_known_with_the_first_vehicle() -> None:
    """At a start no station is connected yet: the hours of a site without sources are not kept for a minute."""
    async with service_rig(energy=ISLAND) as rig:
        rig.energy_service.step()
        await rig.wait(5)
        rig.stations.connect("CP1", "CP1-1")
        rig.stations.plug("CP1-1", "tx1")
        await rig.wait(2)
        rig.energy_service.step()
        state = rig.energy_service.state
        assert state is not None
        assert state.autonomy_h["medical"].expected > 10
