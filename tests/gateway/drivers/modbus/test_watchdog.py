"""Laws of the driver, with random orders, faults and times: no power outlives its time, no write is a forbidden one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from emulators.battery.pack import Pack, PackSpec
from emulators.modbus.sunspec import PvPlant, StoragePlant, sunspec_device
from emulators.runtime.clock import VirtualClock
from emulators.site.storage import Storage
from gateway.drivers.modbus.engine import ModbusEngine
from gateway.drivers.modbus.orders import watchdog_s
from gateway.drivers.power_order import OrderEnded, PowerOrder
from gateway.model.station import Answer as Result
from protocols.modbus.messages import ExceptionCode, NoAnswer, Read, Refused, Words, Write
from protocols.modbus.register import Access
from protocols.modbus.register_map import names, shipped
from tests.gateway.drivers.modbus.bench import WALLBOXES, Bench, connected, wallbox_bench
from tests.rounds import rounds
from tests.virtual_time import virtual_examples

WITH_WATCHDOG = ("quasar-1", "bidipro-10")
RAMP_S = 1.0  # of the emulated converter, and the step in which it is measured


def cut(bench: Bench) -> None:
    bench.cable.cut()


def silent(bench: Bench) -> None:
    bench.device.faults.silent = True


def deaf(bench: Bench) -> None:
    bench.device.faults.deaf = True


def refuses_writes(bench: Bench) -> None:
    bench.device.faults.refuses_writes = ExceptionCode.DEVICE_FAILURE


def refuses(bench: Bench) -> None:
    bench.device.faults.refuses = ExceptionCode.DEVICE_BUSY


def slow(bench: Bench) -> None:
    bench.device.faults.delay_s = 2.0


def late(bench: Bench) -> None:
    bench.device.faults.late_s = 2.0


def nothing(bench: Bench) -> None:
    """No fault."""


FAULTS: list[Callable[[Bench], None]] = [cut, silent, deaf, refuses_writes, refuses, slow]
STEPS = st.lists(
    st.tuples(st.integers(-8000, 8000), st.floats(1.0, 30.0), st.floats(0.1, 12.0)), min_size=1, max_size=5
)


class Log:
    """Until when power may flow: of the orders that a device may have received."""

    def __init__(self) -> None:
        self.until = 0.0

    async def order(self, bench: Bench, watts: float, valid_s: float) -> None:
        self.until = max(self.until, bench.clock.now() + valid_s)
        await bench.driver.order(watts, valid_s)


@settings(max_examples=rounds(15, 200))
@given(st.sampled_from(WITH_WATCHDOG), STEPS, st.sampled_from(FAULTS), st.floats(0.0, 25.0))
@virtual_examples
async def test_no_power_outlives_its_time_whatever_fails(
    name: str, steps: list[tuple[int, float, float]], fault: Callable[[Bench], None], fails_after_s: float
) -> None:
    async with wallbox_bench(name) as (bench, plant):
        log, clock = Log(), bench.clock
        fails_at = clock.now() + fails_after_s
        pending = []
        for watts, valid_s, pause_s in steps:
            pending.append(asyncio.ensure_future(log.order(bench, float(watts), valid_s)))
            await clock.sleep(pause_s)
            if clock.now() >= fails_at:
                fault(bench)
        fault(bench)
        await clock.sleep(max(0.0, log.until + RAMP_S - clock.now()))
        for _ in range(40):
            plant.advance(clock.now())
            assert plant.stage.reading(clock.now()).ac_power_w == 0
            await clock.sleep(0.7)
        assert bench.device.violations == []
        for one in pending:
            one.cancel()
        await asyncio.gather(*pending, return_exceptions=True)


@pytest.mark.virtual_time
async def test_a_longer_time_out_whose_write_was_not_answered_is_waited_for() -> None:
    async with wallbox_bench("bidipro-10") as (bench, plant):
        log, clock = Log(), bench.clock
        pending = [asyncio.ensure_future(log.order(bench, -5000.0, 12.0))]
        await clock.sleep(2.5)
        silent(bench)
        written = len(bench.device.writes)
        pending.append(asyncio.ensure_future(log.order(bench, -5000.0, 30.0)))
        async with asyncio.timeout(10):
            while len(bench.device.writes) == written:
                await clock.sleep(0.01)
        cut(bench)
        await clock.sleep(6)
        bench.device.faults.silent = False
        bench.cable.restore()
        await clock.sleep(log.until + RAMP_S - clock.now())
        plant.advance(clock.now())
        assert plant.stage.reading(clock.now()).ac_power_w == 0
        await asyncio.gather(*pending)


SITE_MODELS = {
    "sunspec-storage": ([1, 701, 702, 713, 704, 715], [1, 103, 120, 124]),
    "sunspec-pv": ([1, 701, 702, 704, 715], [1, 103, 120, 123]),
}


@settings(max_examples=rounds(15, 200))
@given(
    st.sampled_from(list(SITE_MODELS)),
    st.booleans(),
    STEPS,
    st.sampled_from([nothing, slow, late]),
    st.sampled_from(FAULTS),
    st.floats(0.0, 25.0),
)
@example("sunspec-storage", True, [(0, 1.0, 1.0), (51, 7.0, 1.0)], slow, slow, 0.0)
@example("sunspec-storage", False, [(-3000, 15.0, 9.0)], slow, cut, 0.0)
@example("sunspec-pv", False, [(26, 11.0, 9.0)], slow, cut, 0.0)
@virtual_examples
async def test_no_order_to_a_storage_or_to_photovoltaics_outlives_its_time(
    name: str,
    old: bool,
    steps: list[tuple[int, float, float]],
    first: Callable[[Bench], None],
    fault: Callable[[Bench], None],
    fails_after_s: float,
) -> None:
    clock, product = VirtualClock(), shipped(name)
    storage = StoragePlant(Storage(Pack(PackSpec("storage"), 55.0)))
    inverter = PvPlant(lambda at: 5000.0)
    pv = name == "sunspec-pv"
    device = sunspec_device(product, SITE_MODELS[name][old], inverter if pv else storage, clock)
    async with connected(device, product) as bench:
        await bench.until_ready()
        log, fails_at, pending = Log(), clock.now() + fails_after_s, []
        first(bench)
        for watts, valid_s, pause_s in steps:
            order_w = -float(abs(watts) % 5000) if pv else float(watts)
            pending.append(asyncio.ensure_future(log.order(bench, order_w, valid_s)))
            await clock.sleep(pause_s)
            if clock.now() >= fails_at:
                fault(bench)
        fault(bench)
        await clock.sleep(max(0.0, log.until + 2 * RAMP_S - clock.now()))
        for _ in range(40):
            if pv:
                assert inverter.power_w(clock.now()) == 5000
            else:
                storage.requested(clock.now())
                assert abs(storage.storage.power_w(clock.now())) <= 30  # its standby consumption
            await clock.sleep(0.7)
        assert device.violations == []
        for one in pending:
            one.cancel()
        await asyncio.gather(*pending, return_exceptions=True)


@given(st.sampled_from(names()), st.floats(0.1, 10_000))
def test_the_time_out_of_a_device_is_never_longer_than_the_power_is_valid(name: str, valid_s: float) -> None:
    seconds = watchdog_s(shipped(name), valid_s)
    assert seconds is None or seconds <= valid_s


ANSWERS = st.one_of(
    st.builds(Refused, st.integers(0, 255)),
    st.builds(NoAnswer, st.just("noise"), st.booleans()),
    st.integers(0, 0xFFFF),
)


@settings(max_examples=rounds(40, 2000))
@given(
    st.sampled_from(WALLBOXES),
    st.lists(st.tuples(ANSWERS, st.booleans(), st.integers(-20_000, 20_000), st.floats(0.1, 60)), max_size=150),
)
def test_no_register_that_is_never_written_is_written_whatever_a_device_answers(
    name: str, steps: list[tuple[Refused | NoAnswer | int, bool, int, float]]
) -> None:
    """The registers are compared with the map here, and not by the driver's own verification."""
    product = shipped(name)
    engine, now = ModbusEngine(product), 0.0
    ended: list[int] = []
    ordered = 0
    for answer, orders, watts, seconds in steps:
        now += seconds / 10
        events = []
        if orders:
            ordered += 1
            events += engine.command(PowerOrder(ordered, float(watts), now + seconds), now)
        request = engine.request(now)
        if isinstance(request, Write):
            written = [
                one for one in product.registers
                if one.address == request.address and product.unit_of(one) == request.unit and one.table == "holding"
            ]  # fmt: skip
            assert [one.access in (Access.WRITE, Access.READ_WRITE) for one in written] == [True]
            assert len(request.words) == written[0].count
            assert written[0].raw(request.words) not in written[0].never
        if request is not None:
            count = request.count if isinstance(request, Read) else 0
            events += engine.receive(Words((answer,) * count) if isinstance(answer, int) else answer, now)
        assert engine.deadline(now) >= now
        ended += [event.number for event in events if isinstance(event, OrderEnded)]
    assert len(ended) == len(set(ended)) <= ordered  # each order has one outcome at most


@settings(max_examples=rounds(20, 200))
@given(st.sampled_from(WALLBOXES), st.lists(st.tuples(st.integers(-9000, 9000), st.floats(0.5, 9.0)), max_size=6))
@virtual_examples
async def test_every_order_gets_an_outcome(name: str, orders: list[tuple[int, float]]) -> None:
    async with wallbox_bench(name) as (bench, _):
        waiting = []
        for watts, pause_s in orders:
            waiting.append(asyncio.ensure_future(bench.driver.order(float(watts), 15.0)))
            await bench.clock.sleep(pause_s)
        async with asyncio.timeout(120):
            outcomes = [await one for one in waiting]
        assert all(isinstance(one.answer, Result) for one in outcomes)
        assert bench.device.violations == []
