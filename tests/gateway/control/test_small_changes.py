"""Readings that hardly differ from the one before cost energy management no step of their own."""

from __future__ import annotations

import pytest

from gateway.model.event import Metered
from tests.gateway.commands.rig import service_rig

pytestmark = pytest.mark.virtual_time


@pytest.mark.parametrize(
    ("before", "after", "steps"),
    [
        ((-5000.0, 60.0), (-5024.0, 59.95), False),
        ((-5000.0, 60.0), (-5025.0, 60.0), True),
        ((-5000.0, 60.0), (-5000.0, 59.89), True),
        ((0.0, 60.0), (0.0, 60.0), False),
        ((0.0, 60.0), (24.0, 60.0), False),
        ((0.0, 60.0), (100.0, 60.0), True),
    ],
)
async def test_energy_management_decides_at_once_where_a_reading_has_changed(
    before: tuple[float, float], after: tuple[float, float], steps: bool
) -> None:
    async with service_rig("CP1-1") as rig:
        for power_w, soc_pct in (before, after):
            rig.control.publisher.inputs_changed.clear()
            rig.service.report(Metered("CP1-1", rig.clock.now(), power_w=power_w, soc_pct=soc_pct))
        assert rig.control.publisher.inputs_changed.is_set() is steps


async def test_the_first_state_of_charge_counts() -> None:
    async with service_rig("CP1-1") as rig:
        rig.evse("CP1-1").evse.soc_pct = None
        rig.control.publisher.inputs_changed.clear()
        rig.service.report(Metered("CP1-1", rig.clock.now(), soc_pct=60.0))
        assert rig.control.publisher.inputs_changed.is_set()
