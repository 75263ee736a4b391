"""Orders to a storage battery: steps and read-back, refusals, silence, and the watchdog."""

from __future__ import annotations

import json
import logging

import pytest

from gateway.drivers.echonet.storage import PROFILE, VALID_S
from tests.gateway.drivers.echonet.storage_bench import C1, C2, DA, EB, EC, storage_bench

pytestmark = pytest.mark.virtual_time
ENDS_S = VALID_S + 2 * PROFILE.answer_within_s + 1.0


async def test_method_power_and_mode_are_set_in_this_order_and_held() -> None:
    async with storage_bench() as one:
        assert one.writes() == []
        one.storage_w = -2000.0
        await one.until("the discharge", lambda: abs(one.power_w + 2000) < 30)
        assert one.writes() == [(C2, "designatedPower"), (EC, 2000), (DA, "discharging")]
        await one.clock.sleep(120)
        assert one.power_w == pytest.approx(-2000, abs=30), "it is renewed"
        assert len(one.writes()) == 3, "what it holds is not set again"
        one.storage_w = 1500.0
        await one.until("the charge", lambda: abs(one.power_w - 1500) < 30)
        assert one.writes()[3:] == [(C1, "designatedPower"), (EB, 1500), (DA, "charging")]
        one.storage_w = 0.0
        await one.until("rest", lambda: one.mode == "standby" and abs(one.power_w) < 1)


async def test_a_battery_that_is_not_controlled_is_only_read() -> None:
    async with storage_bench(controlled=False) as one:
        one.storage_w = -2000.0
        await one.clock.sleep(60)
        assert (one.writes(), one.mode) == ([], "auto")


@pytest.mark.parametrize(("release", "mode"), [("R", "auto"), ("C", "standby")])
async def test_a_battery_that_energy_management_releases_is_left_to_itself(release: str, mode: str) -> None:
    async with storage_bench(release) as one:
        one.storage_w = -2000.0
        await one.until("the discharge", lambda: one.mode == "discharging")
        one.storage_w = None
        assert await one.until("the release", lambda: one.mode == mode) < 3
        one.storage_w = 0.0
        await one.until("0 W", lambda: one.mode == "standby")
        one.storage_w = None
        await one.until("the release", lambda: one.mode == mode)


async def test_it_is_left_to_itself_when_the_gateway_stops() -> None:
    async with storage_bench() as one:
        one.storage_w = 3000.0
        await one.until("the charge", lambda: one.mode == "charging")
        await one.driver.close()
        assert one.mode == "auto"
        await one.clock.sleep(60)
        assert one.mode == "auto", "nothing is ordered any more"


async def test_a_battery_with_modes_only_gets_no_power_and_says_so(caplog: pytest.LogCaptureFixture) -> None:
    async with storage_bench(omitted={EB, EC}) as one:
        assert json.loads(one.inputs[-1])["max_discharge_w"] == 0
        assert json.loads(one.inputs[-1])["max_charge_w"] == 0
        with caplog.at_level(logging.WARNING):
            one.storage_w = -2000.0
            await one.clock.sleep(40)
        found = "the battery has modes only: its discharging power (dischargingPower (EC)) cannot be set"
        assert [line.getMessage() for line in caplog.records] == [
            f"storages.0: an order of -2000 W is not applied: {found}"
        ]
        assert one.mode == "standby"


async def test_a_direction_that_it_cannot_do_ends_the_other_one() -> None:
    async with storage_bench(omitted={EC}) as one:
        one.storage_w = 1500.0
        await one.until("the charge", lambda: one.mode == "charging")
        one.storage_w = -1500.0
        assert await one.until("rest", lambda: one.mode == "standby") < 3


@pytest.mark.parametrize(
    ("keeps", "refuses", "text"),
    [
        ({EC}, set(), "the battery acknowledged dischargingPower = 2000 and keeps 5000"),
        (set(), {EC}, "the battery refuses dischargingPower = 2000 in operation mode standby"),
        (set(), {"discharging"}, "the battery refuses operationMode = discharging"),
        ({DA}, set(), "the battery acknowledged operationMode = discharging and keeps auto"),
    ],
)
async def test_a_refused_setting_is_a_reason(
    keeps: set[int], refuses: set[int | str], text: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with storage_bench() as one:
        one.battery.keeps, one.battery.refuses = frozenset(keeps), frozenset(refuses)
        one.storage_w = -2000.0
        with caplog.at_level(logging.WARNING):
            await one.clock.sleep(40)
        assert one.mode in ("auto", "standby")
        assert f"storages.0: an order of -2000 W is not applied: {text}" in caplog.text


async def test_a_power_ends_when_orders_end() -> None:
    async with storage_bench() as one:
        one.storage_w = -2000.0
        await one.until("the discharge", lambda: one.mode == "discharging")
        one.follower.cancel()  # nothing renews the order
        assert await one.until("the watchdog", lambda: one.mode == "auto") <= ENDS_S


async def test_a_battery_that_refuses_its_own_mode_ends_in_standby() -> None:
    async with storage_bench() as one:
        one.storage_w = -2000.0
        await one.until("the discharge", lambda: one.mode == "discharging")
        one.battery.refuses = frozenset({"auto"})
        one.storage_w = None
        await one.until("standby", lambda: one.mode == "standby", 15)


async def test_a_battery_that_cannot_answer_is_left_to_itself_and_ordered_again(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with storage_bench() as one:
        one.storage_w = -2000.0
        await one.until("the discharge", lambda: one.mode == "discharging")
        one.silent = True
        assert await one.until("the watchdog", lambda: one.mode == "auto") <= ENDS_S
        assert "CommunicationFault" in caplog.text
        one.silent = False
        await one.until("the discharge", lambda: one.mode == "discharging")


async def test_a_person_at_the_battery_is_overruled_at_the_next_order() -> None:
    async with storage_bench() as one:
        one.storage_w = -2000.0
        await one.until("the discharge", lambda: abs(one.power_w + 2000) < 30)
        one.battery.write(EC, 700, one.clock.now())
        assert await one.until("the power", lambda: abs(one.power_w + 2000) < 30) <= VALID_S / 3 + 3
        one.battery.write(DA, "standby", one.clock.now())
        await one.clock.sleep(3)
        await one.until("the mode", lambda: one.mode == "discharging", VALID_S)


async def test_a_battery_that_supplies_an_island_gets_no_orders() -> None:
    async with storage_bench() as one:
        one.storage_w = -2000.0
        await one.until("the discharge", lambda: one.mode == "discharging")
        one.battery.independent = True
        await one.clock.sleep(5)
        count, one.storage_w = len(one.writes()), None
        await one.clock.sleep(ENDS_S)
        await one.driver.storages[0].close()
        assert len(one.writes()) == count


async def test_a_battery_that_runs_when_it_is_found_is_left_to_itself() -> None:
    async with storage_bench() as one:
        one.battery.write(DA, "charging", one.clock.now())
        assert await one.until("auto", lambda: one.mode == "auto") <= 20
