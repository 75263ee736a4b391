"""The plan: an optimum confirmed by an independent calculation, within its limits, warm as good as cold."""

from __future__ import annotations

import math
import random
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.energy.planning import planner as planner_module
from gateway.energy.planning.model import build
from gateway.energy.planning.planner import Planner, aggregate
from gateway.energy.planning.problem import EnergyTarget, Plan, Problem, Visit, grid_start
from gateway.energy.planning.rules import cost_of, rule_plan
from gateway.energy.planning.solve import NoPlan, solve
from tests.rounds import rounds

MIDNIGHT = 1_800_000_000.0 - 1_800_000_000.0 % 86_400
STEP_S = 1800.0
VALUE = 15.0  # of a kWh left over


def day(seed: int, wall: float, steps: int, visits: tuple[Visit, ...] = (), **more: object) -> Problem:
    """A store with PV on the roof and a tariff with a cheap night and an expensive evening; the same hours whatever the
    horizon.
    """
    start = grid_start(wall, STEP_S)
    load, pv, buy = [], [], []
    for step in range(steps):
        at = start + step * STEP_S
        hour, noise = at % 86_400 / 3600, random.Random(f"{seed} {at}")
        load.append(12_000 + 8000 * math.sin((hour - 8) / 24 * 2 * math.pi) + 2000 * noise.random())
        pv.append(
            max(0.0, 30_000 * math.sin((hour - 6) / 12 * math.pi)) * (0.5 + 0.5 * noise.random())
            if 6 < hour < 18
            else 0.0
        )
        buy.append((15.0 if hour < 6 else 45.0 if 17 <= hour < 21 else 28.0) + noise.random())
    made: dict[str, object] = {
        "import_w": 60_000, "export_w": 20_000, "contract_w": 40_000, "demand_charge_per_kw": 30.0, "peak_so_far_w":
        10_000,
    }  # fmt: skip
    return Problem(wall, start, STEP_S, tuple(load), tuple(pv), tuple(buy), (8.0,) * steps, visits, **(made | more))  # type: ignore[arg-type]


def fleet(seed: int, size: int, wall: float) -> tuple[Visit, ...]:
    r = random.Random(seed)
    found = [
        Visit("storage", 20_000, 40_000, 20_000, 20_000, floor_wh=4000, degradation_per_kwh=3.0, value_per_kwh=VALUE)
    ]
    for number in range(size):
        capacity = r.choice([40_000.0, 62_000.0])
        begin = wall + STEP_S * r.randint(0, 30)
        end = begin + STEP_S * r.randint(10, 30)
        target = EnergyTarget(end, 0.8 * capacity, 300.0)
        found.append(
            Visit(
                f"car{number}",
                r.uniform(0.35, 0.7) * capacity,
                capacity,
                6000,
                6000,
                begin,
                end,
                0.3 * capacity,
                degradation_per_kwh=4.0,
                targets=(target,),
                value_per_kwh=VALUE,
            )
        )
    return tuple(found)


@st.composite
def problems(draw: st.DrawFn) -> Problem:
    wall = MIDNIGHT + draw(st.integers(0, 47)) * STEP_S + draw(st.floats(0, 1700))
    seed, size, steps = draw(st.integers(0, 999)), draw(st.integers(0, 5)), draw(st.integers(4, 60))
    contract_w = draw(st.none() | st.floats(5_000, 60_000))
    return day(seed, wall, steps, fleet(seed, size, wall), contract_w=contract_w, imported_wh=draw(st.floats(0, 5000)))


@given(problems())
@settings(max_examples=rounds(20, 60))
def test_the_optimum_keeps_every_limit_and_has_the_reported_cost(problem: Problem) -> None:
    plan, _ = solve(problem)
    hours = problem.hours()
    for visit in problem.visits:
        series = plan.visit_w.get(visit.name, (0.0,) * problem.steps)
        energy = visit.energy_wh
        for step, power_w in enumerate(series):
            begin = problem.wall if step == 0 else problem.start + step * STEP_S
            assert -visit.max_discharge_w - 1 <= power_w <= visit.max_charge_w + 1
            if begin < visit.start - 1 or begin + hours[step] * 3600 > visit.end + 1 + STEP_S * (step == 0):
                assert power_w == 0
            eta = visit.charge_efficiency if power_w > 0 else 1 / visit.discharge_efficiency
            energy += power_w * eta * hours[step]
            assert min(visit.floor_wh, visit.energy_wh) - 2 <= energy <= visit.capacity_wh + 2
    net = [load - pv + power for load, pv, power in zip(problem.load_w, problem.pv_w, plan.power_w, strict=True)]
    assert all(grid >= one - 1 for grid, one in zip(plan.grid_w, net, strict=True))
    assert all(grid >= -problem.export_w - 1 for grid in plan.grid_w)
    assert plan.cost == pytest.approx(cost_of(problem, dict(plan.visit_w)), rel=2e-3, abs=2.0)


@given(problems())
@settings(max_examples=rounds(15, 40))
def test_no_rule_is_cheaper_than_the_optimum(problem: Problem) -> None:
    plan, _ = solve(problem)
    assert plan.cost <= rule_plan(problem, "to compare").cost + 0.002 * abs(plan.cost) + 2.0


@given(problems(), st.integers(0, 7200))
@settings(max_examples=rounds(15, 40))
def test_a_warm_start_changes_the_work_and_not_the_answer(problem: Problem, later_s: int) -> None:
    _, basis = solve(problem)
    wall = problem.wall + later_s
    moved = day(7, wall, problem.steps, problem.visits[:-1] if later_s % 2 else problem.visits)
    warm, _ = solve(moved, basis)
    cold, _ = solve(moved)
    assert warm.cost == pytest.approx(cold.cost, rel=1e-6, abs=1e-3)


def test_five_minutes_later_few_objects_are_left_to_collect() -> None:
    """Measured in iterations, not in milliseconds."""
    first, basis = solve(day(1, MIDNIGHT + 1, 96, fleet(1, 20, MIDNIGHT)))
    again, _ = solve(day(1, MIDNIGHT + 301, 96, fleet(1, 20, MIDNIGHT)), basis)
    assert again.iterations <= first.iterations / 5


def roll(seed: int, hours: int, ahead: int, rules: bool) -> tuple[float, float]:
    """Two days lived through, planning each half hour with perfect foresight; its cost beside that of the one
    optimum.
    """
    steps = hours * 2
    start_fleet = fleet(seed, 8, MIDNIGHT)
    now_wh = {visit.name: visit.energy_wh for visit in start_fleet}
    done: dict[str, list[float]] = {visit.name: [] for visit in start_fleet}
    planner, peak_w = Planner(), 10_000.0
    for step in range(steps):
        wall = MIDNIGHT + step * STEP_S
        visits = tuple(
            replace(
                visit,
                energy_wh=now_wh[visit.name],
                targets=tuple(target for target in visit.targets if target.at > wall),
            )
            for visit in start_fleet
            if visit.end > wall
        )
        problem = day(seed, wall, ahead * 2, visits, peak_so_far_w=peak_w)
        plan = rule_plan(problem, "to compare") if rules else planner.plan(problem, wall)[0]
        for visit in start_fleet:
            power_w = plan.visit_w[visit.name][0] if visit.name in plan.visit_w else 0.0
            done[visit.name].append(power_w)
            now_wh[visit.name] += (
                power_w * (visit.charge_efficiency if power_w > 0 else 1 / visit.discharge_efficiency) / 2
            )
        peak_w = max(peak_w, plan.grid_w[0])
    whole = day(seed, MIDNIGHT, steps, start_fleet)
    return cost_of(whole, {name: tuple(series) for name, series in done.items()}), solve(whole)[0].cost


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_rolling_with_perfect_foresight_is_within_one_percent_and_rules_are_not(seed: int) -> None:
    lived, best = roll(seed, 48, 30, rules=False)
    by_rules, _ = roll(seed, 48, 30, rules=True)
    assert best <= lived * (1 + 1e-6)
    assert lived <= best * 1.01
    assert by_rules > best * 1.01


def test_a_solver_without_time_falls_back_to_the_rules_and_reports_it_once() -> None:
    problem = day(1, MIDNIGHT, 96, fleet(1, 30, MIDNIGHT))
    planner = Planner(within_s=0.0)
    plan, events = planner.plan(problem, 10.0)
    assert plan.source == "rules"
    assert [event.code for event in events] == ["plan_fell_back"]
    assert planner.plan(problem, 20.0)[1] == []
    planner.within_s = 30.0
    plan, events = planner.plan(problem, 30.0)
    assert plan.source == "optimum"
    assert [event.code for event in events] == ["plan_recovered"]


def test_a_contract_that_cannot_be_kept_still_gives_a_plan() -> None:
    plan, _ = solve(day(1, MIDNIGHT + 12 * 3600, 24, contract_w=1000.0))
    assert plan.source == "optimum"
    assert max(plan.grid_w) > 6000


def test_a_car_below_its_floor_is_charged_up_to_it() -> None:
    low = Visit("low", 4000, 40_000, 6000, 6000, floor_wh=12_000)
    plan, _ = solve(day(1, MIDNIGHT, 48, (low,)))
    assert plan.energy_wh["low"][4] >= 11_999


def test_there_is_no_discharge_at_negative_prices() -> None:
    problem = day(1, MIDNIGHT, 24, fleet(1, 4, MIDNIGHT))
    plan, _ = solve(replace(problem, buy=(-5.0,) * 12 + problem.buy[12:], sell=(-6.0,) * 24))
    assert all(power_w >= -1e-6 for series in plan.visit_w.values() for power_w in series[:12])


def test_resources_of_many_cars_are_complete() -> None:
    problem = day(1, MIDNIGHT, 96, fleet(5, 400, MIDNIGHT))
    small = aggregate(problem)
    assert len(small.visits) <= 60
    assert sum(one.capacity_wh for one in small.visits) == pytest.approx(sum(one.capacity_wh for one in problem.visits))
    assert aggregate(problem, 10_000) is problem
    assert solve(small)[0].source == "optimum"


@pytest.mark.parametrize("wrong", [{"buy": (1.0,)}, {"load_w": (math.nan,) * 4}, {"wall": MIDNIGHT + 5000}])
def test_an_implausible_problem_is_rejected(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="must"):
        replace(day(1, MIDNIGHT, 4), **wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "error", [NoPlan("it has no answer"), RuntimeError("it broke"), MemoryError(), IndexError("a defect")]
)
def test_for_any_solver_failure_rules_take_over_until_it_recovers(
    error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    planner, problem, real = Planner(), day(1, MIDNIGHT, 24), solve

    def broken(*_: object) -> object:
        raise error

    monkeypatch.setattr(planner_module, "solve", broken)
    plan, events = planner.plan(problem, 0.0)
    assert (plan.source, [event.code for event in events]) == ("rules", ["plan_fell_back"])
    assert planner.plan(problem, 300.0)[1] == []
    monkeypatch.setattr(planner_module, "solve", real)
    plan, events = planner.plan(problem, 600.0)
    assert (plan.source, [event.code for event in events]) == ("optimum", ["plan_recovered"])


@pytest.mark.parametrize("beaten", [True, False])
def test_rules_and_optimum_that_alternate_are_reported_once(beaten: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """A slow solver finds a better plan than the rules, or any, for some problems only."""
    planner, problem = Planner(), day(1, MIDNIGHT, 24, fleet(1, 4, MIDNIGHT))
    best, _ = solve(problem)
    found = replace(best, visit_w=dict.fromkeys(best.visit_w, (6000.0,) * problem.steps), proven=False)
    worse = iter([(number // 2 % 2) == 1 for number in range(60)])

    def slow(*_: object) -> tuple[Plan, None]:
        if not next(worse):
            return best, None
        if beaten:
            return found, None
        raise NoPlan("it has no answer in time")

    monkeypatch.setattr(planner_module, "solve", slow)
    plans = [planner.plan(problem, 300.0 * number) for number in range(60)]
    assert {plan.source for plan, _ in plans} == {"optimum", "rules"}
    reported = [event.code for _, events in plans for event in events]
    assert reported == ["plan_fell_back", "plan_recovered", "plan_fell_back"]
    monkeypatch.setattr(planner_module, "solve", lambda *_: (best, None))
    later = [event.code for number in range(60, 90) for event in planner.plan(problem, 300.0 * number)[1]]
    assert later == ["plan_recovered"]


def feed_in(steps: int = 40, sell: float = 42.0, pv_hours: int = 5, **more: object) -> Problem:
    """A home with a feed-in tariff at ten in the morning: sun for some hours, a car that leaves in the next morning."""
    wall = MIDNIGHT + 10 * 3600
    pv = tuple(6000.0 if step < 2 * pv_hours else 0.0 for step in range(steps))
    car = Visit("car", 20_000, 60_000, 6000, 0, targets=(EnergyTarget(wall + 19 * 3600, 45_000, 10_000.0),))
    made: dict[str, object] = {"visits": (car,)}
    return Problem(wall, wall, STEP_S, (500.0,) * steps, pv, (20.0,) * steps, (sell,) * steps, **(made | more))  # type: ignore[arg-type]


def test_surplus_that_earns_more_than_import_costs_is_exported() -> None:
    plan, _ = solve(feed_in())
    by_day = sum(plan.visit_w["car"][:10]) * 0.5 / 1000
    by_night = sum(plan.visit_w["car"][10:]) * 0.5 / 1000
    assert by_day == pytest.approx(0, abs=0.01)
    assert by_night == pytest.approx(25 / 0.94, abs=0.1)
    assert plan.cost == pytest.approx(cost_of(feed_in(), dict(plan.visit_w)), abs=0.5)


@given(
    st.integers(0, 999),
    st.floats(-10, 60),
    st.floats(0, 60),
    st.floats(0, 8000),
    st.sampled_from([0.0, 3000.0, 6000.0]),
    st.sampled_from([math.inf, 4000.0, 0.0]),
)
@settings(max_examples=rounds(15, 40), deadline=None)
def test_no_kilowatt_hour_is_imported_and_exported_at_once(
    seed: int, buy: float, more: float, load_w: float, discharge_w: float, export_w: float
) -> None:
    """Whatever the prices, the cost is that of the net power at the meter, and no rule is cheaper."""
    r = random.Random(seed)
    steps = 24
    car = Visit("car", 20_000, 40_000, 6000, discharge_w, floor_wh=8000, degradation_per_kwh=3.0)
    problem = Problem(
        MIDNIGHT, MIDNIGHT, STEP_S,
        tuple(load_w * r.random() for _ in range(steps)),
        tuple(r.choice([0.0, 5000.0]) * r.random() for _ in range(steps)),
        tuple(buy + r.uniform(0, 10) for _ in range(steps)),
        tuple(buy + more * r.uniform(-0.5, 1) for _ in range(steps)),
        (car,),
        export_w=export_w,
    )  # fmt: skip
    plan, _ = solve(problem)
    if min(*problem.sell, *problem.buy) >= 0 or export_w == math.inf:  # else curtailed PV is priced like export
        assert plan.cost == pytest.approx(cost_of(problem, dict(plan.visit_w)), rel=1e-3, abs=0.5)
        assert plan.cost <= rule_plan(problem, "to compare").cost + 1.0 + 1e-3 * abs(plan.cost)


def test_at_a_negative_price_the_plan_does_not_count_on_less_sun() -> None:
    """Nothing curtails PV on the grid, so export costs what it costs, and charging from it is worth it."""
    car = Visit("car", 20_000, 60_000, 6000, 0)
    plan, _ = solve(feed_in(steps=10, sell=-8.0, visits=(car,)))
    assert plan.visit_w["car"] == pytest.approx((5500.0,) * 10, abs=1)
    assert plan.grid_w == pytest.approx((0.0,) * 10, abs=1)
    away = feed_in(steps=10, sell=-8.0, visits=())
    assert solve(away)[0].grid_w == pytest.approx((-5500.0,) * 10)


def test_only_an_export_price_above_the_import_price_needs_binaries() -> None:
    assert build(day(1, MIDNIGHT, 96, fleet(1, 20, MIDNIGHT))).binaries == 0
    assert build(feed_in(visits=())).binaries == 0
    assert build(feed_in()).binaries == 10  # while the sun shines the car decides; later only import is possible


def trading() -> Problem:
    """A site that buys and sells: export earns more than import costs in most steps, so that the search takes long."""
    r = random.Random(3)
    buy = tuple(20.0 + 20.0 * r.random() for _ in range(40))
    car = Visit("car", 30_000, 60_000, 6000, 6000, degradation_per_kwh=3.0)
    storage = Visit("storage", 5000, 10_000, 4000, 4000, degradation_per_kwh=3.0)
    return replace(feed_in(visits=(car, storage)), buy=buy, sell=tuple(price + r.uniform(-5, 15) for price in buy))


def test_a_plan_that_is_found_in_time_and_not_proven_is_used_where_it_is_better_than_the_rules() -> None:
    problem = trading()
    plan, events = Planner(60.0, most_found=1).plan(problem, 0.0)
    assert (plan.source, plan.proven, events) == ("optimum", False, [])
    assert "not proven" in plan.reason
    assert plan.cost < rule_plan(problem, "to compare").cost
    assert plan.cost == pytest.approx(cost_of(problem, plan.visit_w), abs=0.5)


@pytest.mark.parametrize(("proven", "source"), [(False, "rules"), (True, "optimum")])
def test_a_plan_that_is_not_proven_is_not_used_where_the_rules_are_better(
    proven: bool, source: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    problem = day(1, MIDNIGHT, 24, fleet(1, 4, MIDNIGHT))
    best, _ = solve(problem)
    charging = dict.fromkeys(best.visit_w, (6000.0,) * problem.steps)
    found = replace(best, visit_w=charging, proven=proven)
    assert cost_of(problem, charging) > rule_plan(problem, "to compare").cost
    monkeypatch.setattr(planner_module, "solve", lambda *_: (found, None))
    planner = Planner()
    plan, events = planner.plan(problem, 0.0)
    assert (plan.source, [event.code for event in events]) == (source, [] if proven else ["plan_fell_back"])
    assert planner.plan(problem, 300.0)[1] == []
