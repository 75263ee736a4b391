"""A charger that forms an island by its hardware although nothing declares it: recognised by what is measured."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulators.scenario.loading import parse
from emulators.world import SimulationResult, simulate
from gateway.energy.resilience.island_supply import IslandSupply
from gateway.energy.settings import EnergySection, TierTable
from gateway.energy.view import Car, View
from gateway.model.energy_state import FormingBy, Phase
from gateway.model.message import rfc3339
from gateway.model.site import InputKind, Inputs, Load, SitePolicy, Switch
from tests.gateway.commands.rig import ServiceRig, service_rig
from tests.rounds import some

TIERS = (
    TierTable(name="medical", priority=0, expected_w=800, critical=True),
    TierTable(name="cooling", priority=1, expected_w=1500, wants_hours=4),
)
FLOOR_PCT = 20.0
OUTAGE = """
name = "the hardware of a charger forms an island by itself"
start = 2026-09-08T19:00:00+09:00
duration = "14m"
telemetry = "10s"
[gateway]
min_soc_pct = 20
[gateway.ocpp]
unknown_tokens = "accept"
[gateway.energy]
island = true
off_grid_pct = 20
{forming}
tiers = [
    {{ name = "light and refrigerator", priority = 0, expected_w = 400, critical = true }},
    {{ name = "kitchen and bath", priority = 1, expected_w = 900 }},
    {{ name = "air conditioning", priority = 2, expected_w = 800 }},
]
[site]
kind = "home"
[[grid.events]]
kind = "outage"
at = "2m"
duration = "3m"
[[charger]]
id = "CP1"
forming = true
ocpp = "{ocpp}"
vehicle_link = "{link}"
[[car]]
name = "car"
evse = "CP1-1"
soc_pct = {soc}
"""


def outage(ocpp: str, link: str, *, listed: bool, soc_pct: float = 80.0) -> SimulationResult:
    forming = 'forming = ["CP1-1"]' if listed else ""
    return simulate(parse(OUTAGE.format(ocpp=ocpp, link=link, forming=forming, soc=soc_pct), "test"), fast_forward=True)


@pytest.mark.parametrize(
    ("ocpp", "link", "listed"),
    some([("1.6", "none", True), ("1.6", "none", False), ("2.0.1", "iso15118-20", False), ("2.1", "none", False)], 3),
)
def test_a_station_without_discharge_that_supplies_the_island_is_its_source(ocpp: str, link: str, listed: bool) -> None:
    result = outage(ocpp, link, listed=listed)
    figures = result.figures
    assert figures["dark_s"] <= 25.0  # the transfer to the island, and back
    assert figures["not_seen_on_meter"] == 0
    assert figures["alarms"] == 0
    assert figures.get("decided.island_adopted", 0) >= 1
    assert figures.get("decided.island_ended", 0) == 0


def test_a_source_that_takes_the_surplus_of_pv_is_recognised() -> None:
    """It is ordered to 0 W, and the roof supplies more than the load: it charges."""
    text = OUTAGE.format(ocpp="2.0.1", link="iso15118-20", forming="", soc=80).replace("T19:00", "T12:00")
    text = text.replace('kind = "home"', 'kind = "home"\npv = [{ peak_w = 6000 }]')
    figures = simulate(parse(text, "test"), fast_forward=True).figures
    assert figures["car.car.charged_wh"] > 50.0
    assert figures["not_seen_on_meter"] == 0
    assert figures["alarms"] == 0
    assert figures["decided.island_adopted"] >= 1


class SelfCarrying:
    """A site whose charger declares no discharge, and supplies it whenever the main switch is open."""

    def __init__(self, rig: ServiceRig, load_w: float = 1000.0) -> None:
        self.rig, self.load_w, self.present, self.open, self.loads = rig, load_w, True, False, True
        self.supplies = True

    async def live(self, seconds: int) -> None:
        rig, held = self.rig, self.rig.stations.evses["CP1-1"]
        for _ in range(seconds):
            self.open = not self.present
            rig.stations._advance(held, rig.clock.now())
            lit = self.present or self.supplies
            held.power_w, held.until = (-self.load_w if self.open and self.supplies else 0.0), math.inf
            self.input("switch", open=self.open)
            if self.loads:
                self.input("load", power_w=self.load_w if lit else 0.0)
            self.input("grid", present=self.present, power_w=self.load_w if self.present else 0.0)
            rig.energy_service.step()
            await rig.wait(1.0)

    def input(self, kind: str, **body: object) -> None:
        payload = json.dumps({"ts": rfc3339(self.rig.clock.wall()), **body}).encode()
        assert self.rig.service.input(kind, payload) is None

    def connect(self, soc_pct: float | None = 80.0) -> None:
        stations = self.rig.stations
        stations.connect("CP1", "CP1-1", can_discharge=False)
        stations.plug("CP1-1", "tx1", soc_pct=soc_pct)
        stations.evses["CP1-1"].ignores_setpoints = True


ISLAND = EnergySection(island=True, tiers=TIERS, off_grid_pct=FLOOR_PCT, reconnect_s=60.0)
POLICY = SitePolicy("home", min_soc_pct=FLOOR_PCT)


@pytest.mark.virtual_time
@pytest.mark.parametrize("loads", [True, False])
async def test_a_source_that_is_seen_to_supply_is_left_alone_and_the_state_says_what_a_person_can_do(
    loads: bool,
) -> None:
    async with service_rig(energy=ISLAND, policy=POLICY) as rig:
        site = SelfCarrying(rig)
        site.loads = loads
        site.connect()
        await site.live(20)
        site.present = False
        held = rig.stations.evses["CP1-1"]
        await site.live(20)
        sent = len(held.orders)
        await site.live(300)
        state = rig.energy_service.state
        assert state is not None
        assert (state.phase, state.forming) == (Phase.ISLAND, "CP1-1")
        assert state.forming_order is not None
        assert state.forming_order.by is FormingBy.HARDWARE
        assert len(held.orders) == sent
        assert "fault" not in rig.published.kinds()
        adopted = [one for one in rig.published.events if one.code == "island_adopted"]
        assert [("unplug" in (one.text or "")) for one in adopted] == [True]
        assert state.tiers == {"medical": True, "cooling": True}
        site.present = True
        await site.live(400)
        assert rig.energy_service.state is not None
        assert rig.energy_service.state.phase is Phase.ON_GRID
        assert "fault" not in rig.published.kinds()


@pytest.mark.virtual_time
async def test_its_floor_applies_and_the_state_says_that_it_cannot_be_ended() -> None:
    async with service_rig(energy=ISLAND, policy=POLICY) as rig:
        site = SelfCarrying(rig, load_w=6000.0)
        site.connect(soc_pct=21.0)
        await site.live(20)
        site.present = False
        await site.live(600)
        assert rig.evse("CP1-1").evse.soc_pct is not None
        assert (rig.evse("CP1-1").evse.soc_pct or 100.0) < FLOOR_PCT
        state = rig.energy_service.state
        assert state is not None
        assert state.forming is None
        assert not state.tiers["cooling"]
        codes = [one.code for one in rig.published.events]
        assert codes.count("island_adopted") == codes.count("island_ended") == 1
        assert codes.index("island_ended") < len(codes) - 1 - codes[::-1].index("no_source")
        *_, ended = [one for one in rig.published.events if one.code == "no_source"]
        assert "CP1-1 has reached its floor and still supplies the island by itself" in (ended.text or "")
        assert "fault" not in rig.published.kinds()


@pytest.mark.virtual_time
async def test_a_source_of_unknown_state_of_charge_that_supplies_is_the_source() -> None:
    async with service_rig(energy=ISLAND, policy=POLICY) as rig:
        site = SelfCarrying(rig)
        site.connect(soc_pct=None)
        await site.live(20)
        site.present = False
        await site.live(120)
        state = rig.energy_service.state
        assert state is not None
        assert (state.phase, state.forming, state.tiers["medical"]) == (Phase.ISLAND, "CP1-1", True)


@pytest.mark.virtual_time
async def test_it_is_the_source_again_after_a_restart_of_the_gateway_in_the_island() -> None:
    """A gateway that starts in the outage finds the main switch open and the charger at work."""
    async with service_rig(energy=ISLAND, policy=POLICY) as rig:
        site = SelfCarrying(rig)
        site.connect()
        site.present = False
        await site.live(120)
        state = rig.energy_service.state
        assert state is not None
        assert (state.phase, state.forming) == (Phase.ISLAND, "CP1-1")
        assert "fault" not in rig.published.kinds()


def view_of(power_w: float | None, setpoint_w: float, age_s: float, inputs: Mapping[InputKind, object]) -> View:
    now, wall = 1000.0, 1.8e9
    found = Inputs()
    for kind, value in inputs.items():
        found.put(kind, value, now, wall)  # type: ignore[arg-type]
    car = Car("CP1-1", 6000.0, 0.0, power_w=power_w, setpoint_w=setpoint_w, metered_at=now - age_s)
    return View(now, wall, found, [car])


@given(
    st.sampled_from([None, -5000.0, -600.0, -60.0, 0.0, 900.0]),
    st.sampled_from([-2000.0, 0.0, 500.0]),
    st.sampled_from([0.0, 5.0, 60.0]),
    st.sampled_from([True, False, None]),
    st.sampled_from([0.0, 1500.0, None]),
    st.booleans(),
)
def test_nothing_but_power_without_an_order_behind_an_open_switch_shows_a_source(
    power_w: float | None, setpoint_w: float, age_s: float, is_open: bool | None, load_w: float | None, other: bool
) -> None:
    inputs: dict[InputKind, object] = {}
    if is_open is not None:
        inputs[InputKind.SWITCH] = Switch(ts=1.8e9, open=is_open)
    if load_w is not None:
        inputs[InputKind.LOAD] = Load(ts=1.8e9, power_w=load_w)
    view = view_of(power_w, setpoint_w, age_s, inputs)
    supply = IslandSupply()
    found = supply.update(view, 1.8e9 - 30.0 if is_open is not False else None, "CP2-1" if other else None, ())
    shown = power_w is not None and power_w < -100.0 and setpoint_w >= 0 and age_s < 30.0
    surplus = power_w == 900.0 and setpoint_w <= 0 and age_s <= 20.0 and load_w is not None
    expected = (shown or surplus) and is_open is True and load_w != 0.0 and not other
    assert found.cars[0].supplies_island is expected
    assert (found.cars[0].max_discharge_w > 0) is expected
    assert supply.update(view, None, None, ()).cars[0].supplies_island is False
