"""Which charger is recognised as the source of an island from what is measured, each condition by itself."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gateway.energy.resilience.island_supply import IslandSupply
from gateway.energy.view import Car, View
from gateway.model.site import InputKind, Inputs, Load, Switch

NOW, WALL = 1000.0, 1_800_000_000.0
OPENED = WALL - 30.0
CAR = Car("CP1-1", 6000.0, 0.0, power_w=-500.0, metered_at=NOW)
OTHER = replace(CAR, evse="CP2-1")


def a_view(*cars: Car, is_open: bool | None = True, load_w: float | None = 500.0) -> View:
    """Return a view of now; None: the input is not there."""
    inputs = Inputs()
    if is_open is not None:
        inputs.put(InputKind.SWITCH, Switch(ts=WALL, open=is_open), NOW, WALL)
    if load_w is not None:
        inputs.put(InputKind.LOAD, Load(ts=WALL, power_w=load_w), NOW, WALL)
    return View(NOW, WALL, inputs, list(cars))


@pytest.mark.parametrize(
    ("power_w", "setpoint_w", "since_s", "load_w", "recognised"),
    [
        # a discharge: more than the charger itself consumes, not ordered, since the main switch opened
        (-100.0, 0.0, 30.0, 500.0, False),
        (-100.5, 0.0, 30.0, 500.0, True),
        (-500.0, -0.5, 30.0, 500.0, False),
        (-500.0, 0.5, 30.0, 500.0, True),
        (-500.0, 0.0, -0.5, 500.0, False),
        (-500.0, 0.0, 0.0, 500.0, True),
        (-500.0, 0.0, 30.0, None, True),
        (-500.0, 0.0, 30.0, 50.0, False),  # the site has no voltage
        (-500.0, 0.0, 30.0, 50.5, True),
        # a charge: the same, 10 s after the main switch opened, beside a load that is known
        (100.0, 0.0, 30.0, 500.0, False),
        (100.5, 0.0, 30.0, 500.0, True),
        (500.0, -0.5, 30.0, 500.0, True),
        (500.0, 0.5, 30.0, 500.0, False),
        (500.0, 0.0, 9.5, 500.0, False),
        (500.0, 0.0, 10.0, 500.0, True),
        (500.0, 0.0, 30.0, None, False),
        (500.0, 0.0, 30.0, 50.0, False),
        (0.0, 0.0, 30.0, 500.0, False),
        (None, 0.0, 30.0, 500.0, False),
        (-500.0, 0.0, None, 500.0, False),  # when it was measured is not known
    ],
)
def test_power_without_an_order_shows_a_source(
    power_w: float | None, setpoint_w: float, since_s: float | None, load_w: float | None, recognised: bool
) -> None:
    metered_at = None if since_s is None else NOW - 30.0 + since_s
    car = replace(CAR, power_w=power_w, setpoint_w=setpoint_w, metered_at=metered_at)
    view = a_view(car, load_w=load_w)
    found = IslandSupply().update(view, OPENED, None, ())
    assert found.cars[0].supplies_island is recognised
    assert (found is view) is not recognised


@pytest.mark.parametrize("is_open", [None, False])
def test_nothing_is_recognised_without_an_open_main_switch(is_open: bool | None) -> None:
    assert not IslandSupply().update(a_view(CAR, is_open=is_open), OPENED, None, ()).cars[0].supplies_island
    assert not IslandSupply().update(a_view(CAR), None, None, ()).cars[0].supplies_island


@pytest.mark.parametrize(
    ("able", "max_discharge_w", "recognised"),
    [((), 0.0, True), ((), 5000.0, True), (["CP1-1"], 0.0, True), (["CP1-1"], 0.5, False), (["CP2-1"], 5000.0, True)],
)
def test_a_configured_source_is_recognised_only_where_it_has_no_discharge_by_order(
    able: list[str], max_discharge_w: float, recognised: bool
) -> None:
    view = a_view(replace(CAR, max_discharge_w=max_discharge_w))
    assert IslandSupply().update(view, OPENED, None, able).cars[0].supplies_island is recognised


@pytest.mark.parametrize(
    ("forming", "recognised"), [(None, ["CP1-1", "CP2-1"]), ("CP1-1", ["CP1-1", "CP2-1"]), ("CP3-1", [])]
)
def test_a_discharge_beside_another_source_proves_nothing(forming: str | None, recognised: list[str]) -> None:
    found = IslandSupply().update(a_view(CAR, OTHER), OPENED, forming, ())
    assert [car.evse for car in found.cars if car.supplies_island] == recognised


def test_a_discharge_beside_a_source_that_is_not_recognised_proves_nothing() -> None:
    found = IslandSupply().update(a_view(replace(CAR, power_w=0.0), OTHER), OPENED, "CP1-1", ())
    assert not any(car.supplies_island for car in found.cars)


def test_a_recognised_source_stays_one_until_its_vehicle_leaves_or_the_switch_closes() -> None:
    supply = IslandSupply()
    supply.update(a_view(CAR), OPENED, None, ())
    at_rest = a_view(replace(CAR, power_w=None), replace(OTHER, power_w=0.0))
    assert [car.supplies_island for car in supply.update(at_rest, OPENED, "CP2-1", ["CP1-1"]).cars] == [True, False]
    assert supply.update(a_view(OTHER), OPENED, "CP3-1", ()).cars == [OTHER]
    assert not supply.update(at_rest, OPENED, None, ()).cars[0].supplies_island
    supply.update(a_view(CAR), OPENED, None, ())
    supply.update(a_view(CAR), None, None, ())
    assert not supply.update(at_rest, OPENED, None, ()).cars[0].supplies_island


@pytest.mark.parametrize(
    ("powers_w", "max_w", "stated_w", "expected_w"),
    [
        ([-500.0, -200.0], 0.0, 0.0, 500.0),
        ([-500.0, 800.0], 0.0, 0.0, 800.0),
        ([-500.0, None], 0.0, 0.0, 500.0),
        ([-500.0], 0.0, 3000.0, 3000.0),
        ([-500.0], 4000.0, 3000.0, 4000.0),
    ],
)
def test_its_power_is_what_its_charger_states_or_was_seen(
    powers_w: list[float | None], max_w: float, stated_w: float, expected_w: float
) -> None:
    supply = IslandSupply()
    for power_w in powers_w:
        car = replace(CAR, power_w=power_w, max_discharge_w=max_w, stated_discharge_w=stated_w)
        found = supply.update(a_view(car), OPENED, None, ())
    assert found.cars[0].max_discharge_w == expected_w
