"""A limit of the site's connection reduces power; it never starts power without a request."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.authority.demand_window import open_window
from gateway.authority.meter_model import Band, BaseLoad
from gateway.authority.priority import Bound, decide
from gateway.authority.site_limits import (
    Base,
    Headroom,
    SiteLimits,
    allowed_grid_w,
    base_power,
    connection_w,
    demand_window_bound,
    headroom,
    import_limits,
    limits_of,
    metered,
    site_bounds,
    window_limit_w,
)
from gateway.model.reason import Code
from gateway.model.result import Layer
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


INF = math.inf


@pytest.mark.parametrize(
    ("import_w", "export_w", "expected_w"),
    [
        (None, None, None),
        (None, 20_000.0, None),
        (10_000.0, None, 20_000.0),
        (10_000.0, 12_000.0, 24_000.0),
        (10_000.0, 4000.0, 20_000.0),
        (5000.0, None, 15_000.0),
        (0.0, 8000.0, 16_000.0),
    ],
)
def test_a_reading_is_possible_up_to_some_times_the_limit_of_the_connection(
    import_w: float | None, export_w: float | None, expected_w: float | None
) -> None:
    assert connection_w(a_site(import_limit_w=import_w, export_limit_w=export_w)) == expected_w


def test_the_limits_of_a_site_are_those_configured_and_the_one_set_by_command() -> None:
    site = a_site(import_limit_w=1000.0, export_limit_w=2000.0)
    site.peak_limit_w = 3000.0
    assert limits_of(site) == SiteLimits(1000.0, 2000.0, None, 3000.0)
    assert import_limits(limits_of(site)) == [(Code.IMPORT_LIMIT, 1000.0), (Code.PEAK_LIMIT, 3000.0)]
    assert import_limits(SiteLimits(), 500.0) == [(Code.DEMAND_WINDOW, 500.0)]
    assert import_limits(SiteLimits(import_w=0.0), 0.0) == [(Code.IMPORT_LIMIT, 0.0), (Code.DEMAND_WINDOW, 0.0)]


@pytest.mark.parametrize(
    ("limits", "allowed"),
    [
        (SiteLimits(), Band()),
        (SiteLimits(contract_w=5000.0), Band()),
        (SiteLimits(import_w=5000.0), Band(-math.inf, 5000.0)),
        (SiteLimits(6000.0, 0.0, None, 4000.0), Band(0.0, 4000.0)),
        (SiteLimits(3000.0, 700.0, None, 4000.0), Band(-700.0, 3000.0)),
    ],
)
def test_the_limits_allow_powers_at_the_grid_meter(limits: SiteLimits, allowed: Band) -> None:
    assert allowed_grid_w(limits) == allowed


def test_the_demand_window_allows_the_contract_less_a_margin() -> None:
    window = open_window(WALL, 1000.0)  # which began at WALL
    assert window_limit_w(SiteLimits(contract_w=20_000.0), window, WALL) == pytest.approx(19_600.0)
    assert window_limit_w(SiteLimits(contract_w=20_000.0), window, WALL + 500) == pytest.approx(39_200.0)
    assert window_limit_w(SiteLimits(contract_w=20_000.0), None, WALL) is None
    assert window_limit_w(SiteLimits(import_w=20_000.0), window, WALL) is None


IMPORT, EXPORT, STALE = Code.IMPORT_LIMIT, Code.EXPORT_LIMIT, Code.INPUT_STALE
BOTH = SiteLimits(10_000.0, 4000.0)


@pytest.mark.parametrize(
    ("limits", "base", "window_w", "expected"),
    [
        (SiteLimits(), Base(7000.0), None, Headroom()),
        (SiteLimits(contract_w=1.0), Base(7000.0), None, Headroom()),
        (SiteLimits(import_w=10_000.0), Base(7000.0), None, Headroom(-INF, 3000.0, IMPORT, None)),
        (SiteLimits(export_w=4000.0), Base(7000.0), None, Headroom(-11_000.0, INF, None, EXPORT)),
        (BOTH, Base(7000.0), None, Headroom(-11_000.0, 3000.0, IMPORT, EXPORT)),
        (BOTH, UNCERTAIN, None, Headroom(-7800.0, 5500.0, IMPORT, EXPORT)),
        (BOTH, Base(12_000.0), None, Headroom(-16_000.0, -2000.0, IMPORT, EXPORT)),
        (BOTH, Base(-6000.0), None, Headroom(2000.0, 16_000.0, IMPORT, EXPORT)),
        (BOTH, Base(0.0), 9000.0, Headroom(-4000.0, 9000.0, Code.DEMAND_WINDOW, EXPORT)),
        (BOTH, Base(0.0), 11_000.0, Headroom(-4000.0, 10_000.0, IMPORT, EXPORT)),
        (SiteLimits(9000.0, None, None, 8000.0), Base(0.0), 8500.0, Headroom(-INF, 8000.0, Code.PEAK_LIMIT, None)),
        # both cannot be met: the limit on import is kept
        (SiteLimits(300.0, 200.0), UNCERTAIN, None, Headroom(-4200.0, -4200.0, IMPORT, EXPORT)),
    ],
)
@pytest.mark.parametrize("measured", [True, False])
def test_what_the_limits_leave_for_vehicles_and_storages(
    limits: SiteLimits, base: Base, window_w: float | None, expected: Headroom, measured: bool
) -> None:
    assert headroom(limits, base, measured, window_w) == expected


@pytest.mark.parametrize(
    ("limits", "window_w", "silent", "unmeasured"),
    [
        (SiteLimits(), None, Headroom(), Headroom()),
        (SiteLimits(export_w=4000.0), None, Headroom(0.0, INF, None, STALE), Headroom(-4000.0, INF, None, EXPORT)),
        (
            SiteLimits(import_w=5000.0),
            None,
            Headroom(-INF, 0.0, STALE, None),
            Headroom(-INF, 5000.0, IMPORT, None),
        ),
        (BOTH, 1.0, Headroom(0.0, 0.0, STALE, STALE), Headroom(-4000.0, 1.0, Code.DEMAND_WINDOW, EXPORT)),
    ],
)
def test_a_silent_meter_leaves_nothing_in_a_limited_direction_and_a_site_without_one_its_limits(
    limits: SiteLimits, window_w: float | None, silent: Headroom, unmeasured: Headroom
) -> None:
    assert headroom(limits, Base(None, "grid"), window_w=window_w) == silent
    assert headroom(limits, Base(None, "grid"), False, window_w) == unmeasured


def test_before_a_correction_is_due_nothing_has_to_be_discharged() -> None:
    window = Code.DEMAND_WINDOW
    assert Headroom(-4000.0, -500.0, window, EXPORT).without_correction() == Headroom(-4000.0, 0.0, window, EXPORT)
    assert Headroom(300.0, 500.0, window).without_correction() == Headroom(0.0, 0.0, window)
    assert Headroom(0.5, 0.5, window).without_correction() == Headroom(0.0, 0.0, window)


@pytest.mark.parametrize(
    ("left", "others_w", "high_w", "code"),
    [
        (Headroom(high_w=5000.0, high_code=Code.DEMAND_WINDOW), 2000.0, 3000.0, Code.DEMAND_WINDOW),
        (Headroom(high_w=5000.0, high_code=Code.DEMAND_WINDOW), -2000.0, 7000.0, Code.DEMAND_WINDOW),
        (Headroom(high_w=5000.0, high_code=Code.DEMAND_WINDOW), 5000.0, 0.0, Code.DEMAND_WINDOW),
        (Headroom(high_w=5000.0, high_code=Code.DEMAND_WINDOW), 4999.5, 0.5, Code.DEMAND_WINDOW),
        (Headroom(high_w=5000.0, high_code=Code.DEMAND_WINDOW), 6000.0, 0.0, Code.DEMAND_WINDOW),
        (Headroom(high_w=0.0, high_code=STALE), -2000.0, 0.0, STALE),
    ],
)
def test_the_demand_window_leaves_one_evse_what_the_others_do_not_take(
    left: Headroom, others_w: float, high_w: float, code: Code
) -> None:
    bound = demand_window_bound(left, others_w)
    assert bound is not None
    assert (bound.layer, bound.low_w, bound.high_w, bound.code) == (Layer.SITE, -INF, high_w, code)
    assert bound.text
    assert code is not STALE or " grid " in bound.text


@pytest.mark.parametrize("code", [None, IMPORT, Code.PEAK_LIMIT])
def test_the_demand_window_bounds_no_evse_where_another_limit_is_tighter(code: Code | None) -> None:
    assert demand_window_bound(Headroom(high_w=5000.0, high_code=code, low_code=Code.DEMAND_WINDOW), 0.0) is None


def test_a_silent_meter_leaves_no_charge_below_a_contract() -> None:
    left = headroom(SiteLimits(contract_w=20_000), Base(None, "grid"), True, 20_000.0)
    bound = demand_window_bound(left, 0.0)
    assert bound is not None
    assert (bound.low_w, bound.high_w, bound.code) == (-math.inf, 0.0, Code.INPUT_STALE)
