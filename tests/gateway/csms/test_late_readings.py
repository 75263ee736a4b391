"""Readings that come late say what was counted, and not what a car does now."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.model.event import Metered
from tests.gateway.csms.raw import Raw

pytestmark = pytest.mark.virtual_time


def values(raw: Raw, offset: float, power_w: float, soc_pct: float, out_wh: float) -> list[dict[str, Any]]:
    samples = [
        {"value": -power_w, "measurand": "Power.Active.Export", "unitOfMeasure": {"unit": "W"}},
        {"value": soc_pct, "measurand": "SoC", "unitOfMeasure": {"unit": "Percent"}},
        {"value": out_wh, "measurand": "Energy.Active.Export.Register", "unitOfMeasure": {"unit": "Wh"}},
    ]
    return [{"timestamp": raw.time(offset), "sampledValue": samples}]


def read(raw: Raw) -> list[tuple[float | None, float | None, float | None]]:
    return [(e.power_w, e.soc_pct, e.energy_discharged_wh) for e in raw.events if isinstance(e, Metered)]


async def test_what_a_station_kept_while_it_was_offline_is_no_power_of_now() -> None:
    async with Raw() as raw:
        await raw.boot()
        await raw.event("Started", 0)
        await raw.event("Updated", 1, meterValue=values(raw, 0, -3000, 70, 100))
        await raw.event("Updated", 2, at=-3600, offline=True, meterValue=values(raw, -3600, -5000, 90, 50))
        await raw.event("Updated", 3, meterValue=values(raw, 0, -2000, 69, 120))
    assert read(raw) == [(-3000, 70, 100), (None, None, 50), (-2000, 69, 120)]


async def test_the_late_end_of_a_transaction_says_nothing_of_the_one_that_runs_now() -> None:
    async with Raw() as raw:
        await raw.boot()
        await raw.event("Started", 0, "old")
        await raw.event("Started", 0, "new")
        await raw.event("Updated", 1, "new", meterValue=values(raw, 0, -3000, 25, 100))
        await raw.event("Ended", 5, "old", at=-60, meterValue=values(raw, -60, -9000, 95, 80))
    assert read(raw) == [(-3000, 25, 100), (None, None, 80)]
