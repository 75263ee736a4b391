"""Power of the loads of an island, by the meters that there are."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.energy.resilience.drawn_power import drawn_w
from gateway.energy.resource import STORAGE
from gateway.energy.view import Car, View
from gateway.model.site import Grid, InputKind, Inputs, Load, Pv, Storage, Switch

NOW, WALL, FORMED_AT = 1000.0, 1_800_000_000.0, 990.0
OPEN = Switch(ts=WALL, open=True)
LOST = Grid(ts=WALL, present=False)


def evse(name: str, power_w: float | None = None, metered_at: float | None = NOW, setpoint_w: float = 0.0) -> Car:
    return Car(name, 6000.0, 6000.0, power_w=power_w, metered_at=metered_at, setpoint_w=setpoint_w)


def a_view(*cars: Car, age_s: float = 0.0, **inputs: Any) -> View:
    received = Inputs()
    for kind, value in inputs.items():
        received.put(InputKind[kind.upper()], value, NOW - age_s, WALL)
    return View(NOW, WALL, received, cars)


FORMING = evse("A", -3000.0)


def test_the_load_meter_comes_first() -> None:
    view = a_view(FORMING, load=Load(ts=WALL, power_w=1234.0))
    assert drawn_w(view, "A", FORMED_AT) == 1234.0
    assert drawn_w(view, None, FORMED_AT) == 1234.0


@pytest.mark.parametrize("inputs", [{"grid": LOST}, {"switch": OPEN}, {"grid": LOST, "switch": OPEN}])
def test_without_a_load_meter_the_forming_evse_shows_it(inputs: dict[str, Any]) -> None:
    assert drawn_w(a_view(FORMING, **inputs), "A", FORMED_AT) == 3000.0
    assert drawn_w(a_view(FORMING, age_s=60.0, **inputs), "A", FORMED_AT) is None  # the facility is silent


def test_a_silent_facility_shows_nothing() -> None:
    assert drawn_w(a_view(FORMING), "A", FORMED_AT) is None
    assert drawn_w(a_view(FORMING, pv=Pv(ts=WALL, power_w=500.0)), "A", FORMED_AT) is None


@pytest.mark.parametrize(
    "cars",
    [
        (),
        (evse("B", -3000.0),),  # another EVSE
        (evse("A", -3000.0, None),),
        (evse("A", -3000.0, FORMED_AT),),  # from before it formed the island
        (evse("A", None),),
    ],
)
def test_an_evse_that_has_shown_no_power_since_it_forms_the_island_shows_nothing(cars: tuple[Car, ...]) -> None:
    assert drawn_w(a_view(*cars, switch=OPEN), "A", FORMED_AT) is None


def test_nothing_forms_the_island() -> None:
    assert drawn_w(a_view(FORMING, switch=OPEN), None, FORMED_AT) is None


@pytest.mark.parametrize(
    ("pv_w", "storage_w", "other_w", "expected"),
    [
        (None, None, 0.0, 3000.0),
        (500.0, None, 0.0, 3500.0),
        (0.5, None, 0.0, 3000.5),
        (None, -400.0, 0.0, 3400.0),  # a storage that discharges supplies loads, too
        (None, 400.0, 0.0, 3000.0),  # never less than the source gives
        (None, None, -1000.0, 4000.0),
        (2000.0, 700.0, 300.0, 4000.0),
    ],
)
def test_all_sources_together_supply_the_loads(
    pv_w: float | None, storage_w: float | None, other_w: float, expected: float
) -> None:
    inputs: dict[str, Any] = {"switch": OPEN}
    if pv_w is not None:
        inputs["pv"] = Pv(ts=WALL, power_w=pv_w)
    if storage_w is not None:
        inputs["storage"] = Storage(ts=WALL, power_w=storage_w)
    assert drawn_w(a_view(evse("B", setpoint_w=other_w), FORMING, **inputs), "A", FORMED_AT) == expected


def test_a_storage_that_forms_the_island_shows_it() -> None:
    assert drawn_w(a_view(switch=OPEN), STORAGE, FORMED_AT) is None
    view = a_view(evse("A", -3000.0), switch=OPEN, storage=Storage(ts=WALL, power_w=-1000.0))
    assert drawn_w(view, STORAGE, FORMED_AT) == 4000.0
    assert drawn_w(a_view(switch=OPEN, storage=Storage(ts=WALL, power_w=0.0)), STORAGE, FORMED_AT) == 0.0
