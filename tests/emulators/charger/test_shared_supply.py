"""Shared supply of several EVSEs: fair shares within the rating, unused power to the others."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulators.charger.hardware.shared_supply import Supply, fair
from emulators.scenario.loading import parse
from emulators.world import simulate

TWO_ON_ONE = """
name = "two EVSEs on 8 kW"
start = 2026-01-15T17:00:00+09:00
duration = "6m"
step = 1
telemetry = "5s"
sample = "5s"
[site]
kind = "home"
[[charger]]
id = "CP1"
evses = 2
supply_w = 8000
[[car]]
name = "first"
evse = "CP1-1"
soc_pct = 40
[[car]]
name = "second"
evse = "CP1-2"
soc_pct = 40
[[command]]
at = "30s"
target = "CP1-1"
verb = "charge"
power_w = 7000
lease_s = 300
[[command]]
at = "3m"
target = "CP1-2"
verb = "charge"
power_w = 7000
lease_s = 170
"""


@given(st.floats(0, 50_000), st.lists(st.floats(0, 20_000), max_size=8))
def test_shares_are_proportional_and_within_the_total(limit_w: float, requested_w: list[float]) -> None:
    shares = fair(limit_w, requested_w)
    assert sum(shares) <= limit_w + 1e-6
    assert all(share <= request_w + 1e-9 for share, request_w in zip(shares, requested_w, strict=True))
    assert sum(shares) == pytest.approx(min(limit_w, sum(requested_w)), abs=1e-6)
    short = [share for share, request_w in zip(shares, requested_w, strict=True) if share < request_w - 1e-6]
    assert all(share >= max(shares) - 1e-6 for share in short)  # who lacks has as much as anybody


def test_an_idle_evse_leaves_the_whole_supply_and_an_active_one_half() -> None:
    outcome = simulate(parse(TWO_ON_ONE, "test"), fast_forward=True)
    record = outcome.recording

    def at(moment: float) -> float:
        return next(watts for time, watts in zip(record.times, record.power["cars"], strict=True) if time >= moment)

    assert at(120) == pytest.approx(7000, rel=0.01)  # alone
    assert at(215) == pytest.approx(8000, rel=0.01)  # together, half each
    assert at(300) == pytest.approx(7000, rel=0.01)  # alone again
    assert max(record.power["cars"]) <= 8_050
    assert outcome.figures["car.second.charged_wh"] == pytest.approx(0.94 * 4000 * 62 / 3600, rel=0.08)
    [ended] = [result for result in record.facility.results if result["status"] == "failed"]
    assert (
        "3999 W" in ended["reason"]["text"]
    )  # the fuse is not configured in the gateway, which reports the measured power


def test_an_empty_supply_shares_nothing() -> None:
    Supply(10_000.0).share()
