"""Each wallbox of the register maps: orders, readings, its glitches, and what a bad line or device does."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable

import pytest

from emulators.modbus.device import EmulatedDevice
from emulators.modbus.wallbox import Wallbox
from emulators.runtime.clock import VirtualClock
from gateway.drivers.modbus.events import DeviceReady, ReadRefused
from gateway.drivers.power_order import PowerExpired
from gateway.model.station import Answer, OutcomeCode
from protocols.modbus.io import Framing
from protocols.modbus.messages import ExceptionCode, Write
from protocols.modbus.register import Meaning
from protocols.modbus.register_map import shipped
from tests.gateway.drivers.modbus.bench import WALLBOXES, Bench, connected, wallbox, wallbox_bench

pytestmark = pytest.mark.virtual_time

DISCHARGING = [name for name in WALLBOXES if name != "sigenergy-evdc"]
WITH_WATCHDOG = ["quasar-1", "bidipro-10"]
VALID_S = 15.0


def power_w(bench: Bench, plant: Wallbox) -> float:
    plant.advance(bench.clock.now())
    return plant.stage.reading(bench.clock.now()).ac_power_w


def latched(plant: Wallbox) -> bool:
    return plant.latched


async def hold(bench: Bench, watts: float, seconds: float) -> float:
    """Renew an order as the gateway does, whose set-points are valid longer at a slow device; return until when the
    last one is valid."""
    ends, valid_s = bench.clock.now() + seconds, VALID_S
    while True:
        sent = bench.clock.now()
        assert (await bench.driver.order(watts, valid_s)).answer is Answer.APPLIED
        took_s = bench.clock.now() - sent
        until, valid_s = sent + valid_s, VALID_S + (math.ceil(took_s) if took_s > 2 else 0)
        if sent >= ends:
            return until
        await bench.clock.sleep(max(0.0, sent + VALID_S / 3 - bench.clock.now()))


@pytest.mark.parametrize("framing", list(Framing))
@pytest.mark.parametrize("name", DISCHARGING)
async def test_an_order_discharges_and_its_meter_has_our_sign(name: str, framing: Framing) -> None:
    async with wallbox_bench(name, framing) as (bench, plant):
        for watts in (-3000.0, 2000.0):
            await hold(bench, watts, 30)
            assert power_w(bench, plant) == pytest.approx(watts, abs=1)
            values = bench.rounds[-1].values
            assert values[Meaning.POWER_W] == pytest.approx(watts, abs=1)
            assert values[Meaning.STATE] in ("charging", "discharging")
        assert (await bench.driver.order(0.0, VALID_S)).answer is Answer.APPLIED
        await bench.clock.sleep(5)
        assert power_w(bench, plant) == 0
        assert bench.device.violations == []
        assert bench.silences == []


@pytest.mark.parametrize("name", WALLBOXES)
async def test_a_power_that_is_not_renewed_ends_in_time(name: str) -> None:
    async with wallbox_bench(name) as (bench, plant):
        began = bench.clock.now()
        watts = 3000.0 if name == "sigenergy-evdc" else -3000.0
        assert (await bench.driver.order(watts, VALID_S)).answer is Answer.APPLIED
        await bench.clock.sleep(began + VALID_S + 1 - bench.clock.now())
        assert power_w(bench, plant) == 0
        assert bench.of(PowerExpired)
        assert plant.timeouts == []  # the gateway ended it, the time-out of the device had no part in it


@pytest.mark.parametrize("name", WITH_WATCHDOG)
async def test_the_device_ends_a_power_by_itself_when_the_gateway_is_gone(name: str) -> None:
    async with wallbox_bench(name) as (bench, plant):
        until = await hold(bench, -3000.0, 20)
        assert power_w(bench, plant) == pytest.approx(-3000, abs=1)
        bench.cable.cut()
        await bench.clock.sleep(until - bench.clock.now())
        assert power_w(bench, plant) == 0
        assert len(plant.timeouts) == 1


@pytest.mark.parametrize("name", WITH_WATCHDOG)
async def test_a_device_that_does_not_confirm_0_w_gets_no_requests_that_keep_it_on(name: str) -> None:
    async with wallbox_bench(name) as (bench, plant):
        until = await hold(bench, -3000.0, 10)
        bench.device.faults.refuses_writes = ExceptionCode.DEVICE_FAILURE
        await bench.clock.sleep(until - bench.clock.now())
        assert power_w(bench, plant) == 0
        assert plant.timeouts  # by its own time-out, since no 0 W could be written


async def test_a_discharge_session_of_sigenergy_is_started_at_the_inverter() -> None:
    async with wallbox_bench("sigenergy-evdc") as (bench, plant):
        refused = await bench.driver.order(-3000.0, VALID_S)
        assert (refused.answer, refused.code) == (Answer.REFUSED, OutcomeCode.CANNOT_DISCHARGE)
        assert "in the inverter only" in refused.text
        plant.start_discharge(bench.clock.now())
        await bench.clock.sleep(3)
        await hold(bench, -3000.0, 20)
        assert power_w(bench, plant) == pytest.approx(-3000, abs=1)


async def test_the_latch_of_sigenergy_is_never_triggered() -> None:
    async with wallbox_bench("sigenergy-evdc") as (bench, plant):
        await hold(bench, 4000.0, 10)
        for watts in (0.0, 300.0, -0.0):  # too small is 0 W, and that is a stop
            assert (await bench.driver.order(watts, VALID_S)).answer is Answer.APPLIED
            await bench.clock.sleep(3)
            assert power_w(bench, plant) == 0
        await hold(bench, 4000.0, 10)
        assert power_w(bench, plant) == pytest.approx(4000, abs=1)
        assert not latched(plant)
        assert bench.device.violations == []
    raw = EmulatedDevice(shipped("sigenergy-evdc"), plant, bench.clock)  # what happens to others
    raw.answer(Write(1, 41002, (0, 0)), bench.clock.now())
    assert latched(plant)
    assert len(raw.violations) == 1


async def test_a_slow_device_is_waited_for() -> None:
    """Quasar answers a write after 2.5 s: an order takes three of them, a renewal none."""
    async with wallbox_bench("quasar-1") as (bench, plant):
        began = bench.clock.now()
        assert (await bench.driver.order(-3000.0, VALID_S)).answer is Answer.APPLIED
        assert bench.clock.now() - began == pytest.approx(7.5, abs=0.5)
        began = bench.clock.now()
        assert (await bench.driver.order(-3000.0, VALID_S)).answer is Answer.APPLIED
        assert bench.clock.now() - began < 6
        await hold(bench, -3000.0, 60)
        assert power_w(bench, plant) == pytest.approx(-3000, abs=1)
        assert plant.timeouts == []


async def test_settings_that_a_person_changed_are_written_again() -> None:
    async with wallbox_bench("quasar-1") as (bench, _):
        writes = len(bench.device.writes)
        bench.device.answer(Write(1, 81, (0,)), bench.clock.now())  # the owner's app takes control
        await bench.clock.sleep(30)
        assert any(one.address == 81 and one.words == (1,) for _, one in bench.device.writes[writes + 1 :])


# faults of line and device -------------------------------------------------------------------------------------------


def silent(bench: Bench) -> None:
    bench.device.faults.silent = True


def deaf(bench: Bench) -> None:
    bench.device.faults.deaf = True


def half(bench: Bench) -> None:
    bench.device.faults.half = True


def refusing(bench: Bench) -> None:
    bench.device.faults.refuses = ExceptionCode.DEVICE_FAILURE


def wrong_unit(bench: Bench) -> None:
    bench.cable.link.tamper = lambda by, data: [(0.0, data[:6] + b"\x09" + data[7:] if by == "device" else data)]


def noisy(bench: Bench) -> None:
    bench.cable.link.tamper = lambda by, data: [(0.0, data[:-1] + bytes([data[-1] ^ 1]) if by == "device" else data)]


def clear(bench: Bench) -> None:
    faults = bench.device.faults
    faults.silent = faults.deaf = faults.half = False
    faults.refuses = None
    bench.cable.link.tamper = None


@pytest.mark.parametrize(
    ("fault", "framing", "reason"),
    [
        (silent, Framing.TCP, "no answer within"),
        (deaf, Framing.TCP, "no answer within"),
        (half, Framing.TCP, "registers instead of"),
        (wrong_unit, Framing.TCP, "an answer of unit 9 instead of"),
        (noisy, Framing.RTU, "a frame with a wrong checksum"),
        (half, Framing.RTU, "registers instead of"),
    ],
)
@pytest.mark.parametrize("name", ["quasar-1", "bidipro-10"])
async def test_a_fault_of_the_line_is_named_ends_the_power_and_goes_by_itself(
    name: str, fault: Callable[[Bench], None], framing: Framing, reason: str
) -> None:
    async with wallbox_bench(name, framing) as (bench, plant):
        until = await hold(bench, -3000.0, 10)
        fault(bench)
        await bench.clock.sleep(until - bench.clock.now())
        if fault is not half:  # which confirms writes
            assert power_w(bench, plant) == 0
        await bench.clock.sleep(30)
        assert power_w(bench, plant) == 0
        assert len(bench.silences) == 1
        assert reason in bench.silences[0]
        clear(bench)
        await bench.until_ready()
        assert (await bench.driver.order(-2000.0, VALID_S)).answer is Answer.APPLIED
        await bench.clock.sleep(1)
        assert power_w(bench, plant) == pytest.approx(-2000, abs=1)


async def test_a_device_that_refuses_everything() -> None:
    async with wallbox_bench("ambibox") as (bench, _):
        bench.device.faults.busy = 2
        assert (await bench.driver.order(-2000.0, VALID_S)).answer is Answer.APPLIED
        refusing(bench)
        refused = await bench.driver.order(-3000.0, VALID_S)
        assert (refused.answer, refused.code) == (Answer.REFUSED, "DeviceRefused")
        assert refused.text == "exception 4 (device_failure)"
        await bench.clock.sleep(60)
        assert bench.silences == ["it refuses to be read: exception 4 (device_failure)"]
        clear(bench)
        await bench.until_ready()
        assert (await bench.driver.order(-2000.0, VALID_S)).answer is Answer.APPLIED


async def test_registers_that_a_device_does_not_have_are_left_out() -> None:
    product = shipped("bidipro-10")
    device, _ = wallbox(product.changed(registers=tuple(one for one in product.registers if one.name != "capacity")),
                        VirtualClock())  # fmt: skip
    async with connected(device, product) as bench:
        await bench.until_ready()
        await bench.clock.sleep(5)
        refused = [event for event in bench.events if isinstance(event, ReadRefused)]
        assert [event.registers for event in refused] == [("capacity",)]
        assert Meaning.POWER_W in bench.rounds[-1].values


@pytest.mark.parametrize("name", DISCHARGING)
async def test_a_restart_of_the_device_in_the_middle(name: str) -> None:
    async with wallbox_bench(name) as (bench, plant):
        await hold(bench, -3000.0, 10)
        bench.cable.cut()
        plant.power_cycle(bench.clock.now())
        await bench.clock.sleep(1)
        assert power_w(bench, plant) == 0
        await bench.clock.sleep(20)
        assert len(bench.silences) == 1
        bench.cable.restore()
        await bench.until_ready()
        assert len(bench.of(DeviceReady)) == 2
        await hold(bench, -3000.0, 15)
        assert power_w(bench, plant) == pytest.approx(-3000, abs=1)
        assert bench.device.violations == []


@pytest.mark.parametrize("name", DISCHARGING)
async def test_a_restart_of_the_gateway_in_the_middle(name: str) -> None:
    async with wallbox_bench(name) as (first, plant):
        await hold(first, -3000.0, 10)
        device = first.device
    async with connected(device, shipped(name)) as second:  # the emulated device stays as it is
        await second.until_ready()
        assert (await second.driver.order(0.0, VALID_S)).answer is Answer.APPLIED
        await second.clock.sleep(1)
        assert power_w(second, plant) == 0


async def test_orders_in_a_row_and_a_stop_in_between() -> None:
    """A newer order supersedes one that is being written, and 0 W is written next."""
    async with wallbox_bench("quasar-1") as (bench, plant):
        first = asyncio.ensure_future(bench.driver.order(-3000.0, VALID_S))
        await bench.clock.sleep(1)
        second = asyncio.ensure_future(bench.driver.order(-4000.0, VALID_S))
        await bench.clock.sleep(0.1)
        third = asyncio.ensure_future(bench.driver.order(0.0, VALID_S))
        outcomes = [await one for one in (first, second, third)]
        assert [one.answer for one in outcomes] == [Answer.UNKNOWN, Answer.UNKNOWN, Answer.APPLIED]
        assert power_w(bench, plant) == 0


async def test_no_order_without_a_device() -> None:
    async with wallbox_bench("ambibox") as (bench, _):
        bench.cable.cut()
        await bench.clock.sleep(2)
        refused = await bench.driver.order(-2000.0, VALID_S)
        assert (refused.answer, refused.code) == (Answer.REFUSED, OutcomeCode.NOT_CONNECTED)
