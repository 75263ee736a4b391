"""For all inputs and vehicles the controller returns orders that can be followed."""

from __future__ import annotations

import math
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.authority.priority import Bound, decide
from gateway.authority.soc_floors import Floor, floor_in_force
from gateway.energy.controller import SiteController
from gateway.energy.settings import EnergySection, SeasonTable, StorageTable, TierTable
from gateway.energy.view import Car, View
from gateway.model.command import SiteMode
from gateway.model.result import Layer
from gateway.model.site import (
    Arrival,
    ArrivingCar,
    Forecast,
    ForecastPeriod,
    Grid,
    InputKind,
    Inputs,
    Load,
    Meter,
    Price,
    PricePeriod,
    Pv,
    Storage,
    Storm,
    Switch,
)
from tests.gateway.energy.site_sim import START
from tests.rounds import rounds

powers = st.floats(-1e7, 1e7)
magnitudes = st.floats(0, 1e7)
maybe_pct = st.none() | st.floats(0, 100)


@st.composite
def inputs(draw: st.DrawFn) -> tuple[InputKind, Any]:
    kind = draw(st.sampled_from([kind for kind in InputKind if kind not in (InputKind.LENT, InputKind.REPAID)]))
    ts = START + draw(st.floats(-4000, 4000))
    start = START + draw(st.floats(-90_000, 90_000))
    made: dict[InputKind, Any] = {
        InputKind.GRID: lambda: Grid(
            ts=ts,
            present=draw(st.booleans()),
            frequency_hz=draw(st.none() | st.floats(0, 100)),
            voltage_v=draw(st.none() | st.floats(0, 500)),
            power_w=draw(st.none() | powers),
        ),
        InputKind.LOAD: lambda: Load(ts=ts, power_w=draw(magnitudes)),
        InputKind.PV: lambda: Pv(ts=ts, power_w=draw(magnitudes)),
        InputKind.STORAGE: lambda: Storage(
            ts=ts,
            power_w=draw(powers),
            soc_pct=draw(maybe_pct),
            capacity_wh=draw(st.none() | st.floats(0, 1e6)),
            max_charge_w=draw(st.none() | magnitudes),
            max_discharge_w=draw(st.none() | magnitudes),
        ),
        InputKind.METER: lambda: Meter(
            ts=ts,
            energy_wh=draw(st.floats(0, 1e7)),
            window_start=start,
            window_s=draw(st.sampled_from([900.0, 1800.0])),
        ),
        InputKind.SWITCH: lambda: Switch(ts=ts, open=draw(st.booleans())),
        InputKind.PRICE: lambda: Price(
            ts=ts,
            prices=(
                PricePeriod(
                    start=start, duration_s=draw(st.floats(1, 90_000)), import_per_kwh=draw(st.floats(-50, 100))
                ),
            ),
        ),
        InputKind.FORECAST: lambda: Forecast(
            ts=ts,
            series=(
                ForecastPeriod(
                    start=start,
                    duration_s=draw(st.floats(1, 90_000)),
                    load_w=draw(st.none() | magnitudes),
                    pv_w=draw(st.none() | magnitudes),
                ),
            ),
        ),
        InputKind.STORM: lambda: Storm(
            ts=ts, active=draw(st.booleans()), until=draw(st.none() | st.just(start)), min_soc_pct=draw(maybe_pct)
        ),
        InputKind.ARRIVAL: lambda: Arrival(
            ts=ts,
            arrivals=(
                ArrivingCar(
                    vehicle="V", at=start, soc_pct=draw(maybe_pct), capacity_wh=draw(st.none() | st.floats(0, 1e6))
                ),
            ),
        ),
    }
    return kind, made[kind]()


cars = st.builds(
    Car,
    evse=st.sampled_from(["E1", "E2", "E3"]),
    max_charge_w=magnitudes,
    max_discharge_w=magnitudes,
    min_charge_w=st.floats(0, 3000),
    min_discharge_w=st.floats(0, 3000),
    vehicle=st.sampled_from(["", "V", "W"]),
    soc_pct=maybe_pct,
    capacity_wh=st.floats(1, 1e6),
    floors=st.builds(Floor, st.floats(0, 100), st.just("the site's floor"), st.booleans()).map(lambda one: (one,)),
    floor_reached=st.booleans(),
    wanted_pct=maybe_pct,
    departure=st.none() | st.floats(START - 1e5, START + 1e5),
    power_w=st.none() | powers,
    setpoint_w=powers,
    held=st.booleans(),
)
SECTION = EnergySection(
    contract_w=30_000,
    demand_charge_per_kw=10,
    island=True,
    parallel_forming=True,
    forming=("E1", "E2"),
    reserve_pct=30,
    storage=StorageTable(controlled=True, forming=True),
    calendar=(SeasonTable(start=START + 100, end=START + 1000, pct=70),),
    tiers=(
        TierTable(name="a", priority=0, expected_w=500, critical=True),
        TierTable(name="b", priority=1, expected_w=900, wants_hours=5),
    ),
)


@settings(max_examples=rounds(30, 60))
@given(
    st.lists(
        st.tuples(
            st.lists(inputs(), max_size=4),
            st.lists(cars, max_size=3, unique_by=lambda car: car.evse),
            st.sampled_from(SiteMode),
            st.sampled_from([0.5, 1.0, 30.0, 400.0, 5000.0]),
            st.none() | st.floats(0, 1e6),
            st.booleans(),
            st.booleans(),
        ),
        min_size=1,
        max_size=12,
    )
)
def test_the_controller_returns_and_its_orders_are_feasible(steps: list[tuple[Any, ...]]) -> None:
    controller, site_inputs, now = SiteController(SECTION), Inputs(), 0.0
    for messages, here, mode, gap, limit_w, backup, emergency in steps:
        now += gap
        for kind, value in messages:
            site_inputs.put(kind, value, now, START + now)
        view = View(
            now, START + now, site_inputs, here, mode, limit_w, limit_w, limit_w, backup=backup, emergency=emergency
        )
        if controller.plan_due(now) and (problem := controller.problem(view)) is not None:
            controller.take_plan(*controller.planner.plan(problem, now))
        orders = controller.step(view)
        assert set(orders.evses) <= {car.evse for car in here}
        for car in here:
            mine = orders.evses.get(car.evse)
            if mine is None:
                continue
            bounds = [Bound(Layer.STATION, -car.max_discharge_w, car.max_charge_w), *mine.extra]
            decision = decide([*bounds, *([mine.optimiser] if mine.optimiser is not None else [])])
            assert math.isfinite(decision.power_w)
            if (
                car.soc_pct is not None
                and car.soc_pct < floor_in_force(car.floors, controller.reserve.in_force).pct
                and not mine.forms_grid
                and orders.state.forming is None
            ):
                assert decision.power_w >= 0
        if orders.state.forming is None and controller.island.grid.status.value in ("lost", "suspect"):
            for mine in orders.evses.values():
                assert (
                    decide(
                        [Bound(Layer.STATION, -1e6, 1e6), *mine.extra, *([mine.optimiser] if mine.optimiser else [])]
                    ).power_w
                    == 0
                )
        assert all(event.code and event.text and len(event.text) < 1000 for event in orders.events)
