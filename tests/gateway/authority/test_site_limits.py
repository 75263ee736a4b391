"""A limit of the site's connection reduces power; it never starts power without a request."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.authority.priority import Bound, Layer, decide
from gateway.authority.site_limits import Base, site_bounds
from gateway.model.reason import Code
from gateway.model.site import Site, SitePolicy

FLOOR = Bound(Layer.SOC_FLOOR, low_w=0.0, code=Code.BELOW_FLOOR)
CAR = Bound(Layer.STATION, -6000.0, 6000.0, Code.STATION_LIMIT)


@given(st.floats(0, 100_000), st.floats(-20_000, 200_000), st.floats(-20_000, 20_000))
def test_a_vehicle_at_its_floor_is_not_discharged_for_the_fuse(limit_w: float, base_w: float, others_w: float) -> None:
    site = Site(SitePolicy("home", import_limit_w=limit_w))
    bounds = site_bounds(site, Base(base_w), others_w, others_w)
    assert decide([CAR, *bounds, FLOOR]).power_w >= 0


def test_the_limit_leaves_what_it_leaves() -> None:
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
