"""A set-point that is sent again, to a vehicle that negotiates anew, ends when the order that it repeats ends."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from gateway.csms import negotiated_profile
from gateway.csms.evse import Evse
from gateway.csms.station import Station
from gateway.model.station import Answer
from tests.emulators.charger.requirements.test_k28_k29 import near
from tests.emulators.charger.station_rig import Rig

pytestmark = pytest.mark.virtual_time


def slow(rig: Rig, seconds: float) -> list[tuple[float, float]]:
    """Let the station handle set-points this much later; return the powers of profiles that it receives, and for how
    long they are valid."""
    received: list[tuple[float, float]] = []
    handlers: Any = rig.station.ocpp.handlers
    for action in ("UpdateDynamicSchedule", "SetChargingProfile"):
        handle = handlers[action]

        async def later(request: dict[str, Any], handle: Any = handle) -> Any:
            for schedule in request.get("chargingProfile", {}).get("chargingSchedule", ()):
                received.append((schedule["chargingSchedulePeriod"][0]["setpoint"], schedule["duration"]))
            await rig.sleep(seconds)
            done = handle(request)
            return await done if isinstance(done, Awaitable) else done

        handlers[action] = later
    return received


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


@pytest.mark.parametrize("send", [negotiated_profile.repeat, negotiated_profile.initialise])
@pytest.mark.parametrize(
    ("delay_s", "profiles"),
    [
        (0.0, [(-8000, 15)]),
        (1.0, [(-8000, 15)]),
        (6.0, [(-8000, 15), (-8000, 9), (-8000, 3), (0, 60)]),
    ],
)
async def test_a_station_that_responds_late_gets_the_rest_again(
    send: Callable[[Station, Evse], Awaitable[None]], delay_s: float, profiles: list[tuple[float, float]]
) -> None:
    async with Rig() as rig:
        await rig.charging()
        await rig.csms.set_power("CP1-1", -8000.0, 20.0)
        await rig.sleep(5)
        evse = rig.known.evses[1]
        before, received = evse.setpoint, slow(rig, delay_s)
        await send(rig.known, evse)
        assert received == profiles
        assert evse.setpoint == before or len(profiles) > 1


async def test_0_w_is_not_sent_again_for_a_new_vehicle() -> None:
    async with Rig() as rig:
        await rig.charging()
        await rig.csms.set_power("CP1-1", 0.0, 20.0)
        received = slow(rig, 6.0)
        await negotiated_profile.initialise(rig.known, rig.known.evses[1])
        assert [power_w for power_w, _ in received] == [0]


async def test_without_a_fallback_profile_no_power_is_sent_that_nothing_ends() -> None:
    """After a station connected again its fallback profile may be missing while a set-point is still in force."""
    async with Rig() as rig:
        await rig.charging()
        await rig.csms.set_power("CP1-1", -8000.0, 20.0)
        evse = rig.known.evses[1]
        handlers: Any = rig.station.ocpp.handlers
        handle = handlers["SetChargingProfile"]
        received: list[dict[str, Any]] = []

        def without_default(request: dict[str, Any]) -> Any:
            if request["chargingProfile"]["chargingProfilePurpose"] == "TxDefaultProfile":
                return {"status": "Rejected"}
            received.extend(request["chargingProfile"]["chargingSchedule"])
            return handle(request)

        handlers["SetChargingProfile"] = without_default
        evse.reset_profiles()
        await negotiated_profile.initialise(rig.known, evse)
        assert [(one["chargingSchedulePeriod"][0]["setpoint"], one.get("duration")) for one in received] == [(0, None)]


async def test_an_order_that_was_given_up_may_be_in_force() -> None:
    async with Rig() as rig:
        await rig.charging()
        await rig.csms.set_power("CP1-1", -8000.0, 20.0)
        slow(rig, 5.0)
        evse = rig.known.evses[1]
        order = asyncio.create_task(rig.csms.set_power("CP1-1", -3000.0, 20.0))
        await rig.sleep(1)
        order.cancel()
        await asyncio.wait({order})
        assert evse.setpoint is not None
        assert evse.setpoint[0] == -3000.0


@pytest.mark.parametrize("wait_s", [4.0, 8.0])
async def test_a_set_point_ends_with_its_validity_however_late_it_is_sent(wait_s: float) -> None:
    """It waits for the response to another one, and for that to the fallback profile."""
    async with Rig() as rig:
        await rig.charging()
        await rig.csms.set_power("CP1-1", -8000.0, 20.0)
        received = slow(rig, wait_s)
        orders = [asyncio.create_task(rig.csms.set_power("CP1-1", power_w, 14.0)) for power_w in (-3000.0, -2000.0)]
        await asyncio.gather(*orders)
        assert [power_w for power_w, _ in received] == [-3000, -2000]
        assert received[1][1] <= 14 - wait_s
        received.clear()
        orders = [asyncio.create_task(rig.csms.set_power("CP1-1", *one)) for one in ((-3000.0, 20.0), (-2000.0, 3.0))]
        await asyncio.gather(*orders)
        assert received[-1] == (-2000, 1)  # the shortest validity


async def test_what_had_no_response_is_not_sent_again_beyond_its_validity() -> None:
    """The validity counts from the call, not from the end of the wait for its response."""
    async with Rig() as rig:
        await rig.charging()
        await rig.csms.set_power("CP1-1", -8000.0, 20.0)
        evse, began = rig.known.evses[1], rig.clock.now()
        slow(rig, 1000.0)
        outcome = await rig.csms.set_power("CP1-1", -3000.0, 60.0)
        assert outcome.answer is Answer.UNKNOWN
        assert evse.setpoint == (-3000.0, near(began + 60.0))


@pytest.mark.parametrize("installed", [False, True], ids=["as a profile", "as an update"])
async def test_a_set_point_ends_with_its_validity_however_long_another_call_is_not_answered(installed: bool) -> None:
    """Without the wait it would be an update of the profile that lasts as long; with it, what is left of that."""
    async with Rig() as rig:
        await rig.charging()
        await rig.csms.set_power("CP1-1", -8000.0, 14.0 if installed else 20.0)
        received = slow(rig, 0.0)
        handlers: Any = rig.station.ocpp.handlers

        async def late(request: dict[str, Any]) -> Any:
            await rig.sleep(8.0)
            return {"status": "NotFound"}

        handlers["GetDERControl"] = late
        other = asyncio.create_task(rig.known.call("GetDERControl", {"requestId": 1}))
        await rig.sleep(0.1)
        outcome = await rig.csms.set_power("CP1-1", -3000.0, 14.0)
        assert outcome.answer is Answer.APPLIED
        assert received == [(-3000.0, 6)]
        await other
