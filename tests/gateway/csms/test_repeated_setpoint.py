"""A set-point that is sent again, to a vehicle that negotiates anew, ends when the order that it repeats ends."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Any

import pytest

from gateway.csms import negotiated_profile
from tests.emulators.charger.requirements.test_k28_k29 import near
from tests.emulators.charger.station_rig import Rig

pytestmark = pytest.mark.virtual_time


def slow(rig: Rig, seconds: float) -> None:
    """Let the station handle set-points this much later."""
    handlers: Any = rig.station.ocpp.handlers
    for action in ("UpdateDynamicSchedule", "SetChargingProfile"):
        handle = handlers[action]

        async def later(request: dict[str, Any], handle: Any = handle) -> Any:
            await rig.sleep(seconds)
            done = handle(request)
            return await done if isinstance(done, Awaitable) else done

        handlers[action] = later


async def test_it_does_not_overtake_an_order_that_was_on_its_way() -> None:
    async with Rig() as rig:
        await rig.charging()
        await rig.csms.set_power("CP1-1", -8000.0, 20.0)
        evse = rig.known.evses[1]
        slow(rig, 4.0)
        stopping = asyncio.create_task(rig.csms.set_power("CP1-1", 0.0, 20.0))
        await rig.sleep(1)
        await negotiated_profile.repeat(rig.known, evse)
        await stopping
        await rig.sleep(3)
        assert rig.evse().reading.power_w == 0.0


@pytest.mark.parametrize("delay_s", [0.0, 3.0, 8.0])
async def test_it_ends_with_its_order(delay_s: float) -> None:
    async with Rig() as rig:
        await rig.charging()
        await rig.csms.set_power("CP1-1", -8000.0, 20.0)
        began = rig.clock.now()
        slow(rig, delay_s)
        for _ in range(3):
            await negotiated_profile.repeat(rig.known, rig.known.evses[1])
        await rig.sleep(max(0.0, 20.0 + delay_s + 5.0 - (rig.clock.now() - began)))
        assert rig.evse().reading.power_w == 0.0


async def test_it_continues_until_then() -> None:
    async with Rig() as rig:
        await rig.charging()
        await rig.csms.set_power("CP1-1", -8000.0, 20.0)
        await rig.sleep(10)
        await negotiated_profile.repeat(rig.known, rig.known.evses[1])
        await rig.sleep(8)
        assert rig.evse().reading.power_w == near(-8000)
        await rig.sleep(6)
        assert rig.evse().reading.power_w == 0.0
