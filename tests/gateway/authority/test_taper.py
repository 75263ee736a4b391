"""Tapers: a command to an EVSE and a command to the site meet the same power near the floor."""

from __future__ import annotations

import math

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.authority.layers import PowerRequest, Situation, hardware_power, layers
from gateway.authority.priority import decide
from gateway.authority.soc_floors import METER_EFFICIENCY, Floor, absorbable_w, taper_bound, taper_w
from gateway.energy.dispatch import share_command
from gateway.energy.resource import Resource
from gateway.model.event import PowerLimits, VehicleNeeds
from gateway.model.evse import Evse
from gateway.model.reason import Code
from gateway.model.result import Layer
from gateway.model.site import Site, SitePolicy

LIMITS = PowerLimits(11_000.0, 10_000.0)


def an_evse(soc_pct: float | None, capacity_wh: float | None = 40_000.0) -> Evse:
    needs = VehicleNeeds(LIMITS, True, battery_capacity_wh=capacity_wh)
    evse = Evse("CP1-1", "CP1", connected=True, session="tx", vehicle="V", limits=LIMITS, needs=needs)
    evse.can_discharge, evse.soc_pct = True, soc_pct
    return evse


@pytest.mark.parametrize(
    ("energy_wh", "power_w"),
    [(-5.0, 0.0), (0.0, 0.0), (0.001, 100.0), (1.0, 100.0), (5 / 3, 100.0), (2.0, 120.0), (100.0, 6000.0)],
)
def test_tapered_power_lasts_a_minute_and_ends_at_a_least_power(energy_wh: float, power_w: float) -> None:
    assert taper_w(energy_wh) == pytest.approx(power_w)


@pytest.mark.parametrize(
    ("soc_pct", "floor_pct", "capacity_wh", "low_w"),
    [
        (30.05, 30.0, 40_000.0, -1128.0),
        (30.05, 30.0, None, -564.0),  # of the assumed 20 kWh
        (30.001, 30.0, 40_000.0, -100.0),
        (32.0, 30.0, 40_000.0, None),
        (0.05, 0.0, 40_000.0, None),  # there is no floor
        (0.55, 0.5, 40_000.0, -1128.0),
        (None, 30.0, 40_000.0, None),
    ],
)
def test_bound_near_the_floor(
    soc_pct: float | None, floor_pct: float, capacity_wh: float | None, low_w: float | None
) -> None:
    bound = taper_bound(an_evse(soc_pct, capacity_wh), SitePolicy("home"), Floor(floor_pct, "the site's floor"))
    if low_w is None:
        assert bound is None
        return
    assert bound is not None
    assert (bound.layer, bound.code, bound.high_w) == (Layer.SOC_FLOOR, Code.NEAR_FLOOR, math.inf)
    assert bound.low_w == pytest.approx(low_w)
    assert f"{floor_pct:.1f} % (the site's floor)" in bound.text


@pytest.mark.parametrize(
    ("measured_w", "low_w"),
    [(0.0, None), (-9000.0, None), (-12_000.0, -13_000.0), (12_000.0, None)],
)
def test_near_the_floor_a_vehicle_is_limited_below_the_most_that_it_may_be_discharging(
    measured_w: float, low_w: float | None
) -> None:
    evse = an_evse(30.0 + 100 * 13_000.0 / 60 / METER_EFFICIENCY / 40_000.0)
    evse.power_w = measured_w
    bound = taper_bound(evse, SitePolicy("home"), Floor(30.0, "the site's floor"))
    assert (bound and bound.low_w) == (low_w if low_w is None else pytest.approx(low_w))


@given(st.floats(30.0, 31.0, exclude_min=True), st.floats(20_000, 90_000))
@example(30.05, 40_000.0)
def test_a_command_to_the_evse_meets_what_a_command_to_the_site_meets(soc_pct: float, capacity_wh: float) -> None:
    evse, floor = an_evse(soc_pct, capacity_wh), Floor(30.0, "the site's floor")
    request = PowerRequest(-10_000.0)
    decision = decide(*layers(Situation(evse, Site(SitePolicy("home")), 0.0, request=request, floor=floor)))
    charge_w, discharge_w = hardware_power(evse)
    resource = Resource("E", charge_w, discharge_w, soc_pct=soc_pct, capacity_wh=capacity_wh, floor_pct=30.0)
    assert decision.power_w == pytest.approx(share_command(-10_000.0, [resource])["E"], abs=1e-3)
    assert decision.code is (Code.NEAR_FLOOR if decision.power_w > -10_000.0 else Code.GRANTED)


@pytest.mark.parametrize(
    ("soc_pct", "ceiling_pct", "power_w"),
    [
        (None, 100.0, 0.0),
        (98.0, 100.0, 0.0),  # it may be at 98.99
        (97.0, 100.0, 2000.0),
        (50.0, 100.0, 6000.0),
        (95.0, 100.0, 6000.0),
        (87.0, 90.0, 2000.0),
    ],
)
def test_a_battery_that_forms_an_island_counts_as_full_early(
    soc_pct: float | None, ceiling_pct: float, power_w: float
) -> None:
    assert absorbable_w(6000.0, soc_pct, ceiling_pct) == pytest.approx(power_w)
