"""Virtual loop: time jumps, order of timers, holding the time while threads work."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import threading
import time
from pathlib import Path

import aiosqlite
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulators.runtime.clock import LoopClock, RealClock, SkewedClock, Stalled, VirtualClock, VirtualLoop, run_virtual
from protocols.ports import Clock
from tests.virtual_time import virtual_examples


@pytest.mark.virtual_time
async def test_four_hours_take_no_time() -> None:
    began = time.monotonic()
    clock: Clock = VirtualClock(start=1000.0)
    await clock.sleep(4 * 3600)
    assert clock.now() == asyncio.get_running_loop().time() == pytest.approx(4 * 3600)
    assert clock.wall() == pytest.approx(1000 + 4 * 3600)
    assert time.monotonic() - began < 60


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=20))
@virtual_examples
async def test_tasks_wake_in_the_order_of_their_deadlines(delays: list[float]) -> None:
    woke: list[float] = []

    async def sleeper(delay: float) -> None:
        await asyncio.sleep(delay)
        woke.append(delay)

    async with asyncio.TaskGroup() as group:
        for delay in delays:
            group.create_task(sleeper(delay))
    assert all(later >= earlier - 1e-8 for earlier, later in itertools.pairwise(woke))


@pytest.mark.virtual_time
async def test_a_timeout_interrupts() -> None:
    clock = VirtualClock()
    with pytest.raises(TimeoutError):
        async with clock.timeout_at(5.0):
            await clock.sleep(100)
    async with clock.timeout_at(None):
        await clock.sleep(1)
    assert clock.now() == pytest.approx(6.0)


@given(st.floats(1, 1e6), st.floats(1e-12, 1e-8))
@virtual_examples
async def test_a_timer_never_fires_before_its_time(when: float, later: float) -> None:
    """Timers may be early by the clock resolution; in virtual time a task that waits for the rest would never wake."""
    loop, clock = asyncio.get_running_loop(), VirtualClock()
    fired = loop.create_future()
    loop.call_at(when, lambda: None)
    loop.call_at(when + later, lambda: fired.set_result(loop.time()))
    assert await fired >= when + later
    tries = 0
    while clock.now() < when + 2 * later:
        tries += 1
        assert tries < 5, "time does not pass"
        with contextlib.suppress(TimeoutError):
            async with clock.timeout_at(when + 2 * later):
                await loop.create_future()


@pytest.mark.virtual_time
async def test_time_does_not_advance_while_an_executor_works() -> None:
    loop = asyncio.get_running_loop()
    other = asyncio.create_task(asyncio.sleep(3600))
    await loop.run_in_executor(None, time.sleep, 0.02)
    assert loop.time() == 0.0
    other.cancel()


@pytest.mark.virtual_time
async def test_time_does_not_advance_while_sqlite_works(tmp_path: Path) -> None:
    other = asyncio.create_task(asyncio.sleep(3600))
    async with aiosqlite.connect(tmp_path / "a.db") as base:
        await base.execute("create table t (n integer)")
        for n in range(20):
            await base.execute("insert into t values (?)", (n,))
        await base.commit()
        rows = await base.execute_fetchall("select count(*) from t")
    assert list(rows) == [(20,)]
    assert asyncio.get_running_loop().time() == 0.0
    other.cancel()


@pytest.mark.virtual_time
async def test_a_garbage_collection_hold_covers_an_unknown_thread() -> None:
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualLoop)
    done = asyncio.Event()

    def work() -> None:
        time.sleep(0.02)
        loop.call_soon_threadsafe(done.set)

    other = asyncio.create_task(asyncio.sleep(3600))
    with loop.hold():
        threading.Thread(target=work).start()
        await done.wait()
    other.cancel()
    assert loop.time() == 0.0


def test_a_deadlock_is_an_error() -> None:
    with pytest.raises(Stalled, match=r"every task waits: Task-\d+ at "):
        run_virtual(asyncio.Event().wait())


def test_a_large_result_is_not_formatted() -> None:
    class Result:
        formatted = 0

        def __repr__(self) -> str:
            Result.formatted += 1
            return "Result"

    async def run() -> Result:
        await asyncio.sleep(1)
        return Result()

    assert isinstance(run_virtual(run()), Result)
    assert Result.formatted == 0


@pytest.mark.virtual_time
async def test_real_sockets_work_in_virtual_time() -> None:
    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(await reader.readexactly(5))
        writer.close()

    server = await asyncio.start_server(echo, "127.0.0.1", 0)
    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
    writer.write(b"hello")
    answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    server.close()
    await server.wait_closed()
    assert (answer, asyncio.get_running_loop().time()) == (b"hello", 0.0)


@pytest.mark.virtual_time(speed=100.0)
async def test_a_limited_speed_is_kept() -> None:
    began = time.monotonic()
    await asyncio.sleep(5.0)
    assert asyncio.get_running_loop().time() == pytest.approx(5.0)
    assert time.monotonic() - began >= 0.045
    with pytest.raises(ValueError, match="more than 0"):
        VirtualLoop(speed=0)


@pytest.mark.virtual_time
async def test_a_skewed_clock_drifts_and_jumps_with_monotonic_deadlines() -> None:
    base = VirtualClock(start=0.0)
    skewed: Clock = SkewedClock(base, offset_s=-10.0, drift_ppm=100.0)
    await base.sleep(86400)
    assert skewed.wall() == pytest.approx(86400 - 10 + 8.64)
    assert skewed.now() == base.now()
    assert isinstance(skewed, SkewedClock)
    skewed.jump(3600)
    assert skewed.wall() == pytest.approx(90000 - 10 + 8.64)
    with pytest.raises(TimeoutError):
        async with skewed.timeout_at(base.now() + 1):
            await skewed.sleep(2)


async def test_the_real_clock_is_that_of_the_machine() -> None:
    clock: Clock = RealClock()
    assert abs(clock.wall() - time.time()) < 5
    before = clock.now()
    await clock.sleep(0.01)
    assert clock.now() > before
    assert isinstance(clock, LoopClock)
