"""A limit of the site's connection reduces power; it never starts power without a request."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.authority.demand_window import open_window
from gateway.authority.meter_model import BaseLoad
from gateway.authority.priority import Bound, Layer, decide
from gateway.authority.site_limits import (
    Base,
    SiteLimits,
    base_power,
    demand_window_bound,
    headroom,
    metered,
    site_bounds,
)
from gateway.model.reason import Code
from gateway.model.site import AnyInput, Grid, InputKind, Load, Pv, Site, SitePolicy, Storage

FLOOR = Bound(Layer.SOC_FLOOR, low_w=0.0, code=Code.BELOW_FLOOR)
WALL = 1_770_000_000.0
CAR = Bound(Layer.STATION, -6000.0, 6000.0, Code.STATION_LIMIT)


@given(st.floats(0, 100_000), st.floats(-20_000, 200_000), st.floats(-20_000, 20_000))
def test_a_vehicle_at_its_floor_is_not_discharged_to_relieve_the_fuse(
    limit_w: float, base_w: float, others_w: float
) -> None:
    site = Site(SitePolicy("home", import_limit_w=limit_w))
    bounds = site_bounds(site, Base(base_w), others_w, others_w)
    assert decide([CAR, *bounds, FLOOR]).power_w >= 0


def test_a_limit_leaves_the_remaining_headroom() -> None:
    [bound] = site_bounds(Site(SitePolicy("home", import_limit_w=10_000)), Base(7000.0), 1000.0, 1000.0)
    assert bound.high_w == pytest.approx(2000.0)


WATTS = st.floats(-200_000, 200_000)


@given(st.floats(0, 100_000), st.floats(0, 100_000), st.none() | WATTS, WATTS, WATTS)
def test_no_limit_starts_power_without_a_request(
    import_w: float, export_w: float, base_w: float | None, high_w: float, low_w: float
) -> None:
    site = Site(SitePolicy("home", import_limit_w=import_w, export_limit_w=export_w), peak_limit_w=import_w / 2)
    bounds = site_bounds(site, Base(base_w, "load"), high_w, low_w)
    assert all(bound.low_w <= 0 <= bound.high_w for bound in bounds)
    assert decide([CAR, *bounds]).power_w == 0


# the site without its cars, and what its limits leave -----------------------------------------------------------------


def a_site(*inputs: tuple[InputKind, AnyInput], **policy: Any) -> Site:
    site = Site(SitePolicy("home", **policy))
    for kind, value in inputs:
        site.inputs.put(kind, value, 0.0, WALL)
    return site


def grid(power_w: float | None, present: bool = True) -> tuple[InputKind, AnyInput]:
    return InputKind.GRID, Grid(ts=WALL, present=present, power_w=power_w)


LOAD: tuple[InputKind, AnyInput] = (InputKind.LOAD, Load(ts=WALL, power_w=3000.0))
PV: tuple[InputKind, AnyInput] = (InputKind.PV, Pv(ts=WALL, power_w=1000.0))
STORAGE: tuple[InputKind, AnyInput] = (InputKind.STORAGE, Storage(ts=WALL, power_w=500.0))
SEEN = BaseLoad(4000.0, 3800.0, 4500.0)  # what the grid meter implies
UNCERTAIN = Base(4000.0, "", 200.0, 500.0)


@pytest.mark.parametrize(
    ("inputs", "now", "base"),
    [
        ([], 0.0, Base(0.0)),
        ([grid(5000.0)], 0.0, Base(4000.0)),
        ([grid(5000.0), LOAD, PV, STORAGE], 0.0, Base(4000.0)),
        ([grid(None), LOAD], 0.0, Base(3000.0)),
        ([grid(None)], 0.0, Base(0.0)),
        ([grid(None)], 1000.0, Base(0.0)),
        ([grid(0.0)], 0.0, Base(4000.0)),
        ([LOAD], 0.0, Base(3000.0)),
        ([PV], 0.0, Base(-1000.0)),
        ([STORAGE], 0.0, Base(500.0)),
        ([LOAD, PV, STORAGE], 0.0, Base(2500.0)),
        ([LOAD, PV, STORAGE], 20.0, Base(None, "load")),
        ([PV, STORAGE], 100.0, Base(None, "pv")),
        ([STORAGE], 100.0, Base(None, "storage")),
        ([grid(5000.0)], 100.0, Base(None, "grid")),
        ([grid(5000.0), PV], 30.0, Base(-1000.0)),
        ([grid(5000.0), LOAD], 12.0, Base(3000.0)),
    ],
)
def test_the_site_without_its_cars(inputs: list[tuple[InputKind, AnyInput]], now: float, base: Base) -> None:
    site = a_site(*inputs)
    assert base_power(site, SEEN, now) == (base if base.power_w != SEEN.power_w else UNCERTAIN)


def test_limits_are_kept_for_either_end_of_an_uncertain_base() -> None:
    limits = {"import_limit_w": 10_000.0, "export_limit_w": 4000.0}
    assert bounds_of(UNCERTAIN, 0.0, 0.0, **limits) == [
        (-math.inf, 5500.0, Code.IMPORT_LIMIT),
        (-7800.0, math.inf, Code.EXPORT_LIMIT),
    ]
    assert base_power(a_site(grid(5000.0)), None, 0.0) == Base(5000.0)


@pytest.mark.parametrize(
    ("inputs", "now", "message"),
    [([], 0.0, False), ([grid(None)], 0.0, False), ([grid(0.0)], 0.0, True), ([grid(1.0)], 100.0, False)],
)
def test_a_fresh_grid_meter_determines_the_site_limits(
    inputs: list[tuple[InputKind, AnyInput]], now: float, message: bool
) -> None:
    assert metered(a_site(*inputs), now) is message


def bounds_of(base: Base, high_w: float, low_w: float, **limits: float) -> list[tuple[float, float, Code]]:
    peak_w = limits.pop("peak_w", None)
    site = a_site(**limits)
    site.peak_limit_w = peak_w
    found = site_bounds(site, base, high_w, low_w)
    assert all(bound.layer is Layer.SITE and bound.text for bound in found)
    return [(bound.low_w, bound.high_w, bound.code) for bound in found]


def test_every_limit_is_reduced_by_base_load_and_other_cars() -> None:
    inf = math.inf
    assert bounds_of(Base(7000.0), 1000.0, -500.0) == []
    limits = {"import_limit_w": 10_000.0, "peak_w": 9000.0, "export_limit_w": 4000.0}
    assert bounds_of(Base(7000.0), 1000.0, -500.0, **limits) == [
        (-inf, 2000.0, Code.IMPORT_LIMIT),
        (-inf, 1000.0, Code.PEAK_LIMIT),
        (-10_500.0, inf, Code.EXPORT_LIMIT),
    ]
    assert bounds_of(Base(-3500.0), 0.0, -400.0, export_limit_w=4000.0) == [(-100.0, inf, Code.EXPORT_LIMIT)]
    assert bounds_of(Base(-3500.0), 0.0, -500.0, export_limit_w=4000.0) == [(0.0, inf, Code.EXPORT_LIMIT)]
    assert bounds_of(Base(-9000.0), 0.0, 0.0, export_limit_w=4000.0) == [(0.0, inf, Code.EXPORT_LIMIT)]
    assert bounds_of(Base(9500.0), 1000.0, 0.0, import_limit_w=10_000.0) == [(-inf, 0.0, Code.IMPORT_LIMIT)]
    assert bounds_of(Base(9500.0), 0.0, 0.0, peak_w=9600.0) == [(-inf, 100.0, Code.PEAK_LIMIT)]


def test_a_stale_input_leaves_nothing_in_a_limited_direction() -> None:
    limits = {"import_limit_w": 10_000.0, "peak_w": 9000.0, "export_limit_w": 4000.0}
    assert bounds_of(Base(None, "load"), 0.0, 0.0, **limits) == [
        (-math.inf, 0.0, Code.INPUT_STALE),
        (-math.inf, 0.0, Code.INPUT_STALE),
        (0.0, math.inf, Code.INPUT_STALE),
    ]
    site = a_site(import_limit_w=10_000.0)
    [bound] = site_bounds(site, Base(None, "load"), 0.0, 0.0)
    assert "load" in bound.text
    assert "import limit" in bound.text


def test_a_silent_meter_leaves_no_charge_below_a_contract() -> None:
    left = headroom(SiteLimits(contract_w=20_000), Base(None, "grid"), True, open_window(WALL, 1800.0), WALL)
    bound = demand_window_bound(left, 0.0)
    assert bound is not None
    assert (bound.low_w, bound.high_w, bound.code) == (-math.inf, 0.0, Code.INPUT_STALE)
