"""A CHAdeMO EVSE that the gateway hosts, with an emulated LEAF: power in both directions."""

from __future__ import annotations

import pytest

from gateway.model import event as model
from tests.gateway.drivers.chademo.bay import Bay, running

pytestmark = pytest.mark.virtual_time


@pytest.mark.parametrize("vehicle", ["leaf-24", "leaf-40"])
async def test_a_leaf_discharges_charges_and_changes_direction(vehicle: str) -> None:
    async with running(Bay(vehicle)) as bay:
        await bay.plug()
        await bay.flowing(-3000.0)
        assert bay.current_a < -5
        await bay.flowing(3000.0)
        assert bay.current_a > 5
        await bay.flowing(-5000.0)
        assert len(bay.of(model.SessionStarted)) == 1, "no new negotiation"
        assert bay.faults() == []
        assert bay.car.violations == []
