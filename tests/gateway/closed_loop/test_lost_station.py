"""Limits of the connection while a station is away that goes on with its last set-point, and when it is back."""

from __future__ import annotations

import itertools

import pytest

from gateway.model.site import SitePolicy
from tests.gateway.closed_loop.plant import TOLERANCE_W, Moment, Plant, Timing, plant
from tests.rounds import some

pytestmark = pytest.mark.virtual_time

LIMIT_W, BASE_W, ASKED_W = 11_000.0, 1000.0, 8000.0
SETTLES_S = 90.0
TIMINGS = [
    Timing(),
    Timing(meter_delay_s=3.0, meter_period_s=2.0, stamped=True, charger_delay_s=2.0, charger_w_per_s=4000.0),
    Timing(meter_delay_s=5.0, meter_period_s=5.0, charger_delay_s=1.0, evse_meter_s=5.0),
]


def _excess_w(one: Moment) -> float:
    return max(one.grid_w, -one.grid_w) - LIMIT_W


async def _ask(site: Plant, verb: str) -> None:
    for number in (1, 2):
        body = {"power_w": ASKED_W, "lease_s": 600}
        assert (await site.rig.send(f"CP{number}-1", verb, f"{verb}{number}", **body)).status in ("accepted", "clamped")


CASES = itertools.product([1.0, 8.0, 40.0], TIMINGS, ["charge", "discharge"])


@pytest.mark.parametrize(("away_s", "timing", "verb"), some(CASES, 5))
async def test_the_limits_are_kept_while_a_station_is_away_and_when_it_is_back(
    away_s: float, timing: Timing, verb: str
) -> None:
    policy = SitePolicy("home", LIMIT_W, LIMIT_W, min_soc_pct=20.0)
    base_w = BASE_W if verb == "charge" else -BASE_W
    async with plant(2, policy, timing, lambda _: base_w) as site:
        await site.rig.wait(25.0)
        await _ask(site, verb)
        await site.rig.wait(SETTLES_S)
        began = site.elapsed()
        assert abs(site.trace[-1].controlled_w) == pytest.approx(LIMIT_W - BASE_W, abs=TOLERANCE_W)
        site.cut("CP1-1")
        await site.rig.wait(away_s)
        took_over = [abs(one.powers_w[1]) for one in site.since(began)]
        site.connect("CP1-1")
        await site.rig.wait(SETTLES_S)
        assert max(map(_excess_w, site.since(began))) <= TOLERANCE_W
        expected_w = LIMIT_W - BASE_W if away_s < 10 else ASKED_W  # else the command has ended
        assert abs(site.trace[-1].controlled_w) == pytest.approx(expected_w, abs=TOLERANCE_W)
        assert site.rig.service.commands_in_force() == (2 if away_s < 10 else 1)
        assert (max(took_over) > ASKED_W - TOLERANCE_W) == (away_s > 15)
