"""Wait for the answer of a station, which a more urgent order interrupts."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from protocols.ports import Clock

T = TypeVar("T")


class Overtaken(Exception):
    """The order was abandoned for a more urgent one."""


class WakeUp(asyncio.Event):
    """Event that wakes the controller of an EVSE; an observer is called at each wake-up while it awaits an answer."""

    def __init__(self) -> None:
        super().__init__()
        self.observer: Callable[[], None] | None = None

    def set(self) -> None:
        super().set()
        if self.observer is not None:
            self.observer()

    def observe(self, observer: Callable[[], None] | None) -> None:
        """Call an observer at each wake-up, or none any more."""
        self.observer = observer


async def answer(
    work: Awaitable[T], clock: Clock, within_s: float, wake: WakeUp, urgent: Callable[[], bool] | None
) -> T:
    """Return the answer of a station; raises TimeoutError, or Overtaken where `urgent` holds after a wake-up.

    The wake-ups are left to the caller.
    """
    overtaken = False
    loop = asyncio.get_running_loop()

    def check() -> None:
        nonlocal overtaken
        if wake.observer is woken and not overtaken and urgent is not None and urgent():
            overtaken = True
            scope.reschedule(loop.time())

    def woken() -> None:
        loop.call_soon(check)  # at a wake-up only a part of what decides may have changed

    try:
        async with clock.timeout_at(clock.now() + within_s) as scope:
            if urgent is not None:
                wake.observe(woken)
                if wake.is_set():
                    woken()
            try:
                return await work
            finally:
                wake.observe(None)
    except TimeoutError:
        if overtaken:
            raise Overtaken from None
        raise
