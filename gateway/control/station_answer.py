"""Wait for the answer of a station, which a more urgent order interrupts."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from protocols.ports import Clock, Scope

T = TypeVar("T")


class Overtaken(Exception):
    """The order was abandoned for a more urgent one."""


async def answer(
    work: Awaitable[T], clock: Clock, within_s: float, wake: asyncio.Event, urgent: Callable[[], bool] | None
) -> T:
    """Return the answer of a station; raises TimeoutError, or Overtaken where `urgent` holds after a wake-up.

    `wake` is set again at the end, so that the caller receives the wake-ups too.
    """
    woken = overtaken = False

    async def watch(scope: Scope) -> None:
        nonlocal woken, overtaken
        while not overtaken:
            await wake.wait()
            wake.clear()
            woken, overtaken = True, urgent is not None and urgent()
        scope.reschedule(asyncio.get_running_loop().time())

    try:
        async with clock.timeout_at(clock.now() + within_s) as scope:
            watcher = asyncio.get_running_loop().create_task(watch(scope))
            try:
                return await work
            finally:
                watcher.cancel()
                if woken:
                    wake.set()
    except TimeoutError:
        if overtaken:
            raise Overtaken from None
        raise
