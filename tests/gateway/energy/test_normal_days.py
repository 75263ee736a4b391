"""Laws of operation on the grid: no jumps, no oscillation, the demand window stays within the contract."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.energy.resources import STORAGE_SAME_W
from gateway.energy.settings import EnergySection, StorageTable
from gateway.model.command import SiteMode
from tests.gateway.energy.site_sim import Sim, SimCar
from tests.rounds import rounds

RAMP_W = 2500.0
STORAGE = StorageTable(controlled=True)
modes = st.sampled_from([mode for mode in SiteMode if mode is not SiteMode.PRICE])


def stepped(powers: list[float], every_s: float):  # type: ignore[no-untyped-def]
    return lambda hour: {"site": powers[int(hour * 3600 / every_s) % len(powers)]}


@settings(max_examples=rounds(4, 20), deadline=None)
@given(
    st.lists(st.tuples(modes, st.integers(3, 240)), min_size=2, max_size=8),
    st.lists(st.floats(0, 20_000), min_size=1, max_size=4),
    st.lists(st.floats(5, 95), min_size=1, max_size=4),
    st.floats(0, 9000),
    st.booleans(),
)
def test_power_never_jumps_for_any_change_of_mode(
    changes: list[tuple[SiteMode, int]], loads: list[float], socs: list[float], sun_w: float, reserve: bool
) -> None:
    cars = [SimCar(f"E{number}", pct) for number, pct in enumerate(socs, 1)]
    section = EnergySection(storage=STORAGE, reserve_pct=40.0 if reserve else 0.0)
    sim = Sim(
        section, cars, stepped(loads, 60.0), pv=lambda hour: sun_w, storage=SimCar("storage", 50.0, 10_000.0, 5000.0)
    )
    totals = [0.0]
    for mode, seconds in changes:
        sim.mode = mode
        for _ in range(seconds):
            sim.tick()
            totals.append(sum(car.now_w for car in cars) + (sim.storage.now_w if sim.storage else 0.0))
    jumps = [abs(two - one) for one, two in pairwise(totals)]
    assert max(jumps) <= RAMP_W + STORAGE_SAME_W  # smaller steps of the storage are not ordered


@settings(max_examples=rounds(4, 20), deadline=None)
@given(
    st.integers(0, 8),
    st.floats(500, 15_000),
    st.floats(500, 15_000),
    st.tuples(st.floats(30, 90), st.floats(30, 90), st.floats(30, 90)),
    st.sampled_from([SiteMode.SELF_CONSUMPTION, SiteMode.PEAK_SHAVING]),
    st.none() | st.integers(0, 2),
)
def test_three_chargers_with_a_delayed_meter_settle(
    delay_s: int, before_w: float, after_w: float, socs: tuple[float, float, float], mode: SiteMode, lazy: int | None
) -> None:
    """A load step, a delayed meter with delayed time stamps, and perhaps one vehicle that does not follow."""
    cars = [SimCar(f"E{number}", pct) for number, pct in enumerate(socs, 1)]
    if lazy is not None:
        cars[lazy].stubborn = True
    section = EnergySection(meter_delay_s=float(delay_s), contract_w=9000.0)
    sim = Sim(
        section, cars, lambda hour: {"site": before_w if hour < 0.05 else after_w}, mode=mode, meter_delay=delay_s
    )
    sim.run(0.05 + 100 / 3600)
    seen: list[list[float]] = [[] for _ in cars]
    totals = []
    for _ in range(60):
        sim.tick()
        totals.append(sum(car.now_w for car in cars))
        for number, car in enumerate(cars):
            seen[number].append(car.now_w)
    turns = sum(
        (two - one) * (three - two) < -(100.0**2)
        for one, two, three in zip(totals, totals[1:], totals[2:], strict=False)
    )
    assert turns <= 1, totals
    for powers in seen:  # no car is started and stopped again and again
        starts = sum(abs(one) < 1 <= abs(two) for one, two in pairwise(powers))
        assert starts <= 1, powers


@settings(max_examples=rounds(4, 20), deadline=None)
@given(
    st.lists(st.floats(1000, 21_500), min_size=3, max_size=12),
    st.sampled_from([60.0, 300.0, 700.0]),
    st.sampled_from([0, 1]),  # steps of five seconds
    st.sampled_from([SiteMode.SELF_CONSUMPTION, SiteMode.PEAK_SHAVING, SiteMode.BACKUP]),
    st.booleans(),
)
def test_the_demand_window_keeps_the_contract_where_the_cars_can(
    loads: list[float], every_s: float, delay_s: int, mode: SiteMode, wants: bool
) -> None:
    """Two vehicles of 6 kW can supply every load here. In `manual` each EVSE follows its own commands."""
    contract_w = 10_000.0
    cars = [SimCar("E1", 70.0), SimCar("E2", 60.0, wanted_pct=90.0 if wants else None, leaves_h=2.0 if wants else None)]
    section = EnergySection(contract_w=contract_w, meter_delay_s=5.0 * delay_s)
    sim = Sim(section, cars, stepped(loads, every_s), mode=mode, meter_delay=delay_s, step_s=5.0).run(1.0)
    assert sim.highest_window_w <= contract_w * 1.005
