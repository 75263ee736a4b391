"""Tasks of a station beside the processing of its messages."""

from __future__ import annotations

import asyncio
import inspect

from gateway.csms.background_tasks import BackgroundTasks


async def test_work_that_has_not_begun_is_closed_with_the_connection() -> None:
    async def work() -> None:
        await asyncio.sleep(1)

    tasks, first, second = BackgroundTasks("CP1"), work(), work()
    tasks.spawn(first, second)
    tasks.cancel_tasks()
    await asyncio.sleep(0.01)
    assert [inspect.getcoroutinestate(one) for one in (first, second)] == ["CORO_CLOSED"] * 2


async def test_works_run_one_after_the_other_until_one_fails() -> None:
    done: list[int] = []

    async def work(number: int) -> None:
        await asyncio.sleep(0)
        done.append(number)
        if number == 2:
            raise ValueError

    works = [work(number) for number in (1, 2, 3)]
    BackgroundTasks("CP1").spawn(*works)
    await asyncio.sleep(0.01)
    assert done == [1, 2]
    assert inspect.getcoroutinestate(works[2]) == "CORO_CLOSED"
