"""Late meter values count energy, and do not change the present power or state of charge."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.model.event import Metered
from tests.gateway.csms.raw_station import Raw

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


async def test_queued_meter_values_are_not_the_present_power() -> None:
    async with Raw() as raw:
        await raw.boot()
        await raw.event("Started", 0)
        await raw.event("Updated", 1, meterValue=values(raw, 0, -3000, 70, 100))
        await raw.event("Updated", 2, at=-3600, offline=True, meterValue=values(raw, -3600, -5000, 90, 50))
        await raw.event("Updated", 3, meterValue=values(raw, 0, -2000, 69, 120))
    assert read(raw) == [(-3000, 70, 100), (None, None, 50), (-2000, 69, 120)]


async def test_a_late_end_does_not_change_the_active_transaction() -> None:
    async with Raw() as raw:
        await raw.boot()
        await raw.event("Started", 0, "old")
        await raw.event("Started", 0, "new")
        await raw.event("Updated", 1, "new", meterValue=values(raw, 0, -3000, 25, 100))
        await raw.event("Ended", 5, "old", at=-60, meterValue=values(raw, -60, -9000, 95, 80))
    assert read(raw) == [(-3000, 25, 100), (None, None, 80)]
