"""Laws of an outage under combined faults, checked in each second.

A grid that flaps and browns out, wrong or silent sensors, vehicles that come, leave and do not follow, a gateway that
restarts (with or without its store). Checked in every step, mostly in `site_sim.py`: no power flows into a dead grid,
no source forms an island behind a closed switch, no floor is crossed by more than 0.5 %.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.energy.controller import SiteController
from gateway.energy.settings import EnergySection, StorageTable, TierTable
from gateway.energy.view import Orders, View
from gateway.model.command import SiteMode
from tests.gateway.energy.site_sim import Sim, SimCar
from tests.gateway.energy.test_restart import restart
from tests.rounds import rounds

TIERS = (
    TierTable(name="medical", priority=0, expected_w=800, critical=True),
    TierTable(name="kitchen", priority=2, expected_w=2500, wants_hours=6),
)
SECTION = EnergySection(
    island=True,
    forming=("E1", "E2"),
    tiers=TIERS,
    off_grid_pct=20,
    reconnect_s=60,
    return_ramp_s=60,
    contract_w=15_000,
    storage=StorageTable(controlled=True, forming=True, floor_pct=15),
)
GRIDS = {"well": (True, 202.0, 50.0), "gone": (False, 0.0, 0.0), "brown": (True, 140.0, 49.9), "dip": (True, 0.0, 0.0)}
NOTICED_S = 3.0
SENSORS = ("grid", "load", "pv", "switch", "storage")


@dataclass
class Night:
    """One part of a night: state of the grid, and other faults."""

    seconds: int
    grid: str
    silent: frozenset[str]
    lies: bool  # the facility's word on the grid is wrong
    dies: str  # the gateway: "", "whole" (with its stored state) or "bare"
    mode: SiteMode
    stubborn: bool
    emergency: bool


nights = st.lists(
    st.builds(
        Night,
        seconds=st.sampled_from([3, 20, 90, 400]),
        grid=st.sampled_from(list(GRIDS)),
        silent=st.frozensets(st.sampled_from(SENSORS), max_size=2),
        lies=st.booleans(),
        dies=st.sampled_from(["", "", "", "whole", "bare"]),
        mode=st.sampled_from([mode for mode in SiteMode if mode is not SiteMode.PRICE]),
        stubborn=st.booleans(),
        emergency=st.sampled_from([False, False, False, True]),
    ),
    min_size=2,
    max_size=7,
)


@dataclass
class BadSim(Sim):
    """A site whose facility may report a wrong state of the grid."""

    now_grid: str = "well"
    lies: bool = False
    quiet: frozenset[str] = frozenset()
    dead_s: float = 0.0  # time for which the grid has been reported lost while the switch was closed

    def __post_init__(self) -> None:
        super().__post_init__()
        self.grid = lambda hour: GRIDS[self.now_grid]
        self.silent = lambda hour: self.quiet

    def _physics(self, present: bool) -> None:
        before = {car.evse: car.soc_pct for car in self.cars}
        super()._physics(present and GRIDS[self.now_grid][1] > 100)
        for car in self.cars:
            if car.soc_pct < before[car.evse]:
                assert car.soc_pct >= 20.0 - 0.5, f"{car.evse} went below its floor"

    def _tell(self, present: bool, volts: float, hertz: float) -> None:
        super()._tell(present is not self.lies, volts, hertz)

    def _check(self, present: bool) -> None:
        super()._check(present)
        down = GRIDS[self.now_grid][1] < 100 and not self.open
        self.dead_s = self.dead_s + self.step_s if down and "grid" not in self.quiet else 0.0
        if self.dead_s > NOTICED_S:
            for car in self.cars:
                assert self._decided(car) == 0.0, f"{car.evse} would feed a dead grid"
            storage_w = self.orders.storage_w if self.orders is not None else None
            assert not storage_w


@settings(max_examples=rounds(4, 60), deadline=None)
@given(nights, st.floats(20, 95), st.floats(20, 95), st.floats(15, 90), st.booleans())
def test_no_outage_night_violates_an_invariant(
    parts: list[Night], one: float, two: float, pack: float, parallel: bool
) -> None:
    cars = [SimCar("E1", one, can_form=True), SimCar("E2", two, can_form=True), SimCar("E3", 60.0)]
    section = SECTION.model_copy(update={"parallel_forming": parallel})
    sim = BadSim(
        section,
        cars,
        lambda hour: {"medical": 800.0, "kitchen": 2000.0},
        pv=lambda hour: 1500.0 if hour % 0.2 < 0.1 else 0.0,
        storage=SimCar("storage", pack, 10_000.0, 5000.0),
        import_w=12_000.0,
        export_w=3000.0,
    )
    for part in parts:
        sim.now_grid, sim.lies, sim.quiet = part.grid, part.lies, part.silent
        sim.mode, sim.emergency = part.mode, part.emergency
        cars[2].stubborn = part.stubborn
        if part.dies:
            restart(sim, remembers=part.dies == "whole")
        sim.run(part.seconds / 3600)
    assert all(event.text.endswith((".", ".Z")) for event in sim.events)


class _Blind(SiteController):
    """A controller without any order."""

    def step(self, view: View) -> Orders:
        return replace(super().step(view), evses={})


def test_the_invariant_check_detects_a_violation() -> None:
    """The check can fail: a controller that assumes a grid lets a vehicle discharge into a dead one."""
    sim = BadSim(EnergySection(confirm_s=60.0), [SimCar("E1", 90.0, command_w=-3000.0)], import_w=12_000.0)
    sim.run(0.01)
    sim.now_grid, sim.controller = "gone", _Blind(sim.settings)
    with pytest.raises(AssertionError, match=r"feed a dead grid|into a grid that is down"):
        sim.run(0.01)
