"""The highest demand window counts until its billing period ends, by the calendar of the site, also over a restart."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from gateway.authority.demand_window import DemandWindow
from gateway.energy.billing import BilledPeak
from gateway.energy.controller import SiteController
from gateway.energy.persistence import WINDOW, restore_rows, window_row
from gateway.energy.planning.problem import Problem
from gateway.energy.planning.rules import cost_of
from gateway.energy.planning.solve import solve
from gateway.energy.settings import EnergySection
from gateway.energy.view import View
from gateway.model.site import Grid, InputKind, Inputs

TOKYO, BERLIN = ZoneInfo("Asia/Tokyo"), ZoneInfo("Europe/Berlin")


def window(at: datetime, average_w: float) -> DemandWindow:
    return DemandWindow(at.timestamp(), at.timestamp() + 1800, average_w / 2)


def test_the_peak_begins_again_with_the_month_of_the_site() -> None:
    billed = BilledPeak("month", TOKYO)
    billed.count(window(datetime(2026, 11, 12, 18, tzinfo=TOKYO), 9000.0))
    billed.count(window(datetime(2026, 11, 30, 23, 30, tzinfo=TOKYO), 4000.0))
    assert billed.peak_w == 9000
    assert billed.at(datetime(2026, 11, 30, 14, 59, 59, tzinfo=UTC).timestamp()) == 9000
    assert billed.at(datetime(2026, 11, 30, 15, tzinfo=UTC).timestamp()) == 0
    billed.count(window(datetime(2026, 12, 1, tzinfo=TOKYO), 3000.0))
    assert billed.peak_w == 3000


def test_a_year_keeps_the_peak_over_its_months() -> None:
    billed = BilledPeak("year", TOKYO)
    billed.count(window(datetime(2026, 2, 12, 18, tzinfo=TOKYO), 9000.0))
    billed.count(window(datetime(2026, 12, 31, 23, 30, tzinfo=TOKYO), 4000.0))
    assert billed.peak_w == 9000
    billed.count(window(datetime(2027, 1, 1, tzinfo=TOKYO), 3000.0))
    assert billed.peak_w == 3000


@pytest.mark.parametrize(("month", "offset_h"), [(3, 1), (4, 2), (10, 2), (11, 1)])
def test_periods_begin_at_local_midnight_where_clocks_change(month: int, offset_h: int) -> None:
    billed = BilledPeak("month", BERLIN)
    begins = billed.next_start(datetime(2026, month - 1, 20, tzinfo=UTC).timestamp())
    assert begins == datetime(2026, month, 1, tzinfo=UTC).timestamp() - offset_h * 3600


@given(st.floats(0, 4e9), st.sampled_from(["month", "year"]), st.sampled_from(["Asia/Tokyo", "Europe/Berlin", "UTC"]))
def test_the_next_period_begins_later_and_on_a_first(wall: float, period: str, zone: str) -> None:
    billed = BilledPeak(period, ZoneInfo(zone))  # type: ignore[arg-type]
    begins = billed.next_start(wall)
    assert wall < begins <= wall + 367 * 86_400
    local = datetime.fromtimestamp(begins, ZoneInfo(zone))
    assert (local.day, local.hour, local.minute) == (1, 0, 0)
    assert period == "month" or local.month == 1


def run(controller: SiteController, begin: datetime, hours: float, watts: float) -> None:
    for second in range(0, int(hours * 3600), 30):
        wall = begin.timestamp() + second
        inputs = Inputs()
        inputs.put(InputKind.GRID, Grid(ts=wall, present=True, power_w=watts), second, wall)
        controller.on_grid.meter(View(float(second), wall, inputs), watts)


def test_the_peak_and_its_period_outlive_a_restart() -> None:
    settings = EnergySection(demand_charge_per_kw=1500.0, time_zone="Asia/Tokyo")  # no contract: the charge counts
    before = SiteController(settings)
    run(before, datetime(2026, 11, 30, 20, tzinfo=TOKYO), 2.0, 8000.0)
    row = window_row(before)
    assert row is not None
    after = SiteController(settings)
    assert restore_rows(after, {WINDOW: msgspec.json.encode(row).decode()}) == []
    assert after.on_grid.billed.at(datetime(2026, 11, 30, 23, tzinfo=TOKYO).timestamp()) == pytest.approx(
        8000, rel=0.01
    )
    assert after.on_grid.billed.at(datetime(2026, 12, 1, tzinfo=TOKYO).timestamp()) == 0
    run(after, datetime(2026, 12, 1, 0, 30, tzinfo=TOKYO), 2.0, 2000.0)
    assert after.on_grid.billed.peak_w == pytest.approx(2000, rel=0.01)


def test_a_row_of_an_earlier_version_counts_for_the_period_of_its_window() -> None:
    start = datetime(2026, 12, 1, tzinfo=TOKYO).timestamp()
    values = {"start": start, "at": start + 60, "imported_wh": 1.0, "power_w": 60.0, "length_s": 1800.0}
    body = msgspec.json.encode({**values, "offset_s": 0.0, "estimated_wh": 0.0, "peak_w": 7000.0}).decode()
    controller = SiteController(EnergySection(contract_w=9000.0, time_zone="Asia/Tokyo"))
    assert restore_rows(controller, {WINDOW: body}) == []
    assert controller.on_grid.billed.at(start - 1) == 7000
    assert controller.on_grid.billed.at(start) == 0


def test_the_plan_pays_for_each_period_by_itself() -> None:
    """A load of 8 kW on the last day and of 3 kW on the first: both peaks are paid, and neither for the other."""
    wall = datetime(2026, 11, 30, 12, tzinfo=TOKYO).timestamp()
    load = (8000.0,) * 24 + (3000.0,) * 24
    problem = Problem(
        wall, wall, 1800.0, load, (0.0,) * 48, (20.0,) * 48, (0.0,) * 48,
        demand_charge_per_kw=100.0, peak_so_far_w=9000.0, peak_resets_at=wall + 12 * 3600,
    )  # fmt: skip
    energy = sum(load) / 2000 * 20
    assert solve(problem)[0].cost == pytest.approx(energy + (9 + 3) * 100)
    assert cost_of(problem, {}) == pytest.approx(energy + (9 + 3) * 100)


def test_an_unknown_time_zone_is_an_error_of_the_configuration() -> None:
    with pytest.raises(ValidationError, match="not a time zone"):
        EnergySection(time_zone="Asia/Nowhere")
