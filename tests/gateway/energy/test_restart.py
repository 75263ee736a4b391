"""State restored after a restart: SoC before an outage, grid-forming source, demand window, mean day."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.energy import persistence
from gateway.energy.controller import SiteController
from gateway.energy.resilience.phase import OFF_GRID, Phase
from gateway.energy.settings import EnergySection
from gateway.energy.view import View
from gateway.model.command import SiteMode
from gateway.model.site import Inputs
from tests.gateway.energy.site_sim import Sim, SimCar
from tests.gateway.energy.test_recharge_control import SECTION, load, lost
from tests.rounds import SOAK, rounds, some


def rows(controller: SiteController) -> dict[str, str]:
    """Return the rows in the store when the process dies."""
    found: dict[str, msgspec.Struct | None] = {
        persistence.OUTAGE: persistence.outage_row(controller),
        persistence.WINDOW: persistence.window_row(controller),
        persistence.DAYS: persistence.days_row(controller),
    }
    return {key: msgspec.json.encode(row).decode() for key, row in found.items() if row is not None}


def restart(sim: Sim, remembers: bool = True, dark_s: float = 5.0) -> None:
    """Restart the controller without any input; the power of the last orders continues for a moment."""
    kept = rows(sim.controller)
    if sim.orders is not None and sim.orders.state.forming is None:
        sim.orders = None  # chargers let their leases end
    sim.now += dark_s
    sim.inputs = Inputs()
    sim.controller = SiteController(sim.settings)
    if remembers:
        assert persistence.restore_rows(sim.controller, kept) == []


def night(mode: SiteMode = SiteMode.MANUAL, section: EnergySection = SECTION) -> Sim:
    cars = [SimCar("E1", 80.0, can_form=True), SimCar("E2", 70.0, can_form=True)]
    return Sim(section, cars, load, grid=lost(1.0, 6.0), mode=mode, step_s=10.0 if SOAK else 20.0, import_w=12_000.0)


@pytest.mark.parametrize("at", some([3.0, 5.99, 6.05, 6.5], 3))  # within, at its end, in the delay, recharging
def test_soc_before_the_outage_persists_over_a_restart(at: float) -> None:
    sim = night().run(at)
    restart(sim)
    best = [0.0, 0.0]
    for _ in range(int((11.5 - at) * 6)):
        sim.run(1 / 6)
        best = [max(most, car.soc_pct) for most, car in zip(best, sim.cars, strict=True)]
    assert best[0] >= 80 - 1.2
    assert best[1] >= 70 - 1.2
    assert sim.codes().count("recharge_over") == 1
    assert persistence.outage_row(sim.controller) is None


def test_a_car_that_returns_late_after_a_restart_still_has_energy_to_receive() -> None:
    sim = night().run(6.05)
    assert sim.controller.island.phase in OFF_GRID
    restart(sim)
    away = sim.hour + 0.2  # its station needs twelve minutes
    sim.cars[1].there = ((away, 1e9),)
    sim.run(5.4)
    assert sim.cars[1].soc_pct >= 70 - 1.2


@pytest.mark.parametrize("soc", [(80.0, 95.0), (95.0, 80.0), (60.0, 61.0)])
def test_the_island_goes_on_with_the_source_that_formed_it(soc: tuple[float, float]) -> None:
    sim = night()
    for car, pct in zip(sim.cars, soc, strict=True):
        car.soc_pct = pct
    sim.run(1.5)
    assert sim.orders is not None
    forming = sim.orders.state.forming
    other = "E2" if forming == "E1" else "E1"
    next(car for car in sim.cars if car.evse == other).soc_pct = 100.0  # a new choice would fall on this one
    restart(sim)
    sim.run(0.1)
    assert sim.orders is not None
    assert (sim.orders.state.phase, sim.orders.state.forming) == (Phase.ISLAND, forming)


def test_no_other_source_starts_while_the_previous_source_is_returning() -> None:
    sim = night().run(1.5)
    assert sim.orders is not None
    forming = sim.orders.state.forming
    restart(sim)
    back_at = sim.now + 60
    whole = sim._view

    def shown() -> View:
        view = whole()
        late = forming if sim.now < back_at else None
        return replace(view, cars=[car for car in view.cars if car.evse != late])

    sim._view = shown  # type: ignore[method-assign]
    seen = set()
    while sim.now < back_at + 30:
        sim.tick()
        assert sim.orders is not None
        seen.add(sim.orders.state.forming)
        if sim.orders.state.forming is None:  # the hardware goes on, whatever the state of the gateway
            state = sim.orders.state.model_copy(update={"forming": forming})
            sim.orders = replace(sim.orders, state=state)
    assert seen == {None, forming}


def test_a_gateway_that_starts_with_the_grid_back_and_the_island_running_adopts_the_island() -> None:
    sim = night().run(6.03)
    assert sim.open
    restart(sim)
    sim.run(0.01)
    assert sim.orders is not None
    assert sim.orders.state.phase is Phase.ISLAND  # not on the grid behind an open switch
    orders = sim.run(1.0).orders
    assert orders is not None
    assert orders.state.phase is Phase.ON_GRID
    assert sim.open is False


def short_outage() -> Sim:
    cars = [SimCar("E1", 80.0, can_form=True), SimCar("E2", 70.0, can_form=True)]
    return Sim(SECTION, cars, load, grid=lost(0.01, 0.1), step_s=2.0, import_w=12_000.0)


def run_until(sim: Sim, phase: Phase, within_s: float = 3600.0) -> set[Phase]:
    """Run until a phase and return the phases before it."""
    seen, since = set(), sim.now
    while sim.controller.island.phase is not phase:
        sim.tick()
        seen.add(sim.controller.island.phase)
        assert sim.now - since < within_s
    return seen - {phase}


@pytest.mark.parametrize("share", [0.1, 0.9])
def test_the_ramp_after_an_outage_goes_on(share: float) -> None:
    sim = short_outage()
    run_until(sim, Phase.RETURNING)
    ramp_s = sim.settings.return_ramp_s
    sim.run(share * ramp_s / 3600)
    restart(sim)
    sim.tick()
    began = sim.controller.island.ramp_from
    assert began is not None
    assert sim.now - began == pytest.approx(share * ramp_s + 5.0, abs=5.0)
    assert sim.controller.returning_since is not None
    sim.run((1 - share) * ramp_s / 3600)
    assert sim.controller.returning_since is None


def test_the_reconnect_delay_is_kept_where_the_grid_returned_before_the_restart() -> None:
    sim = short_outage()
    run_until(sim, Phase.CLOSING)
    restart(sim)
    since = sim.now
    assert Phase.ON_GRID not in run_until(sim, Phase.RETURNING, 2 * sim.settings.reconnect_s)
    assert sim.now - since >= sim.settings.reconnect_s


def busy(hour: float) -> dict[str, float]:
    return {"site": 9000.0 if hour % 0.5 < 0.25 else 3000.0}


@settings(max_examples=rounds(3, 12), deadline=None)
@given(st.lists(st.floats(0.05, 1.9), min_size=1, max_size=3), st.booleans())
def test_the_demand_window_is_kept_across_restarts(at: list[float], remembers: bool) -> None:
    section = EnergySection(contract_w=8000.0)
    cars = [SimCar("E1", 60.0, wanted_pct=95.0, leaves_h=3.0), SimCar("E2", 90.0)]
    sim = Sim(section, cars, busy, mode=SiteMode.PEAK_SHAVING, step_s=5.0)
    for moment in sorted(at):
        if moment > sim.hour:
            sim.run(moment - sim.hour)
            restart(sim, remembers)
    sim.run(max(0.1, 2.0 - sim.hour))
    assert sim.highest_window_w <= 8000 * 1.01


def test_daily_totals_persist_over_a_restart() -> None:
    sim = Sim(EnergySection(), [SimCar("E1")], busy, step_s=10.0).run(12.0)
    before = sim.controller.profile.days()
    assert sum(one is not None for one in before[0]) >= 22
    restart(sim)
    assert sim.controller.profile.days() == before
    sim.tick()
    outlook = sim.controller.profile.outlook(sim.wall - 12 * 3600, 1800.0, 4)
    assert outlook.load_w == pytest.approx((6000,) * 4, rel=0.01)


damages: list[Callable[[str], str]] = [
    lambda body: body[: len(body) // 2],
    lambda body: "[]",
    lambda body: body.replace("0", '"x"'),
    lambda body: body.replace(":", ":-1e99,", 1),
    lambda body: "{}",
]


@given(st.sampled_from([persistence.OUTAGE, persistence.WINDOW, persistence.DAYS]), st.sampled_from(damages))
@settings(max_examples=rounds(6, 15), deadline=None)
def test_a_damaged_row_is_left_out_and_named(key: str, damage: Callable[[str], str]) -> None:
    sim = night(section=SECTION.model_copy(update={"contract_w": 9000.0})).run(1.2)
    kept = rows(sim.controller)
    kept[key] = damage(kept[key])
    fresh = SiteController(sim.settings)
    assert persistence.restore_rows(fresh, kept) == [key]
    sim.controller, sim.inputs = fresh, Inputs()
    sim.run(0.05)
