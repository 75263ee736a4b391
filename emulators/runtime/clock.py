"""Virtual time: an asyncio loop whose clock jumps to the next timer when no task is ready, and clocks that read it.

The clocks conform to `protocols.ports.Clock`; one that drifts or jumps (that of a station) is a view of another clock.
`run_virtual` runs one coroutine.

The loop waits in real time only for threads (executors, aiosqlite) and, with a limited speed, for its timers. It never
polls.
"""

from __future__ import annotations

import asyncio
import functools
import math
import selectors
import sys
import time
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import Executor
from contextlib import AbstractAsyncContextManager, contextmanager
from contextvars import Context
from datetime import UTC, datetime
from heapq import heappush
from typing import Any, TypeVar, TypeVarTuple

from protocols.ports import Clock, Scope

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

START = datetime(2026, 1, 15, tzinfo=UTC).timestamp()  # default wall time at loop time 0
THREADS_WITHIN = 60.0  # s of real time that a thread may hold virtual time
MIN_WAIT_FRACTION = 0.5  # of a wait at limited speed, even when late: data in transit needs the time
MAX_CATCH_UP = 0.5  # s of real time by which a loop with limited speed catches up
# Modules whose futures are resolved by their own thread
THREADED = ("aiosqlite", "sqlalchemy.dialects.sqlite.aiosqlite")


class Stalled(RuntimeError):
    """Deadlock in virtual time: no task is ready, no timer is set, no socket is open and no thread is at work."""


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop with virtual time, in seconds from 0.

    `speed` is virtual seconds per real second; None is as fast as possible. Sockets are polled before every jump, but
    data in transit to another process needs real time: limit the speed for those.
    """

    _closed: bool

    def __init__(self, speed: float | None = None) -> None:
        self._virtual_now = 0.0
        self._holds = 0
        self._timers = 0
        self.speed = speed
        self.jumps = 0  # advances of the time, for benchmarks
        super().__init__(_JumpingSelector(self))
        if speed is not None and not speed > 0:
            self.close()
            raise ValueError(f"speed must be more than 0 virtual seconds per real second, not {speed}")

    def time(self) -> float:
        """Return the virtual time, monotonic, seconds since the creation of the loop."""
        return self._virtual_now

    @property
    def _clock_resolution(self) -> float:
        """Return the tolerance of the loop's timers: less than the resolution of its time, so that none fires early.

        With the resolution of a real clock the loop would fire a timer a nanosecond early without advancing the time,
        and a task that then waits for the rest of the nanosecond would wait forever.
        """
        return math.ulp(self._virtual_now)

    @_clock_resolution.setter
    def _clock_resolution(self, seconds: float) -> None:
        """Ignore the resolution of the machine's clock, which the base class sets."""

    def advance(self, seconds: float) -> None:
        """Advance the time."""
        self._virtual_now += seconds
        self.jumps += 1

    def jump(self, seconds: float) -> None:
        """Advance to the next timer, exactly, without accumulated rounding errors."""
        scheduled = getattr(self, "_scheduled", None)
        when = self._virtual_now + seconds
        if scheduled and abs(scheduled[0].when() - when) < 1e-6:
            when = max(self._virtual_now, scheduled[0].when())
        self._virtual_now = when
        self.jumps += 1

    @property
    def held(self) -> bool:
        """Return whether a thread is at work, so that the time must not advance."""
        return self._holds > 0

    @contextmanager
    def hold(self) -> Iterator[None]:
        """Hold the time inside the block: for work in a thread outside the loop."""
        self._holds += 1
        try:
            yield
        finally:
            self._holds -= 1

    def _hold_for(self, future: asyncio.Future[Any]) -> None:
        self._holds += 1
        future.add_done_callback(self._release_hold)

    def _release_hold(self, _: object) -> None:
        self._holds -= 1

    def create_future(self) -> asyncio.Future[Any]:
        future: asyncio.Future[Any] = asyncio.Future(loop=self)
        # aiosqlite resolves its futures from a thread unknown to the loop; the calling module identifies them.
        if _threaded(sys._getframe(1).f_globals.get("__name__", "")):
            self._hold_for(future)
        return future

    def call_at(
        self, when: float, callback: Callable[[*Ts], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.TimerHandle:
        """Schedule a timer; timers of the same time fire in the order in which they were set."""
        self._check_closed()  # type: ignore[attr-defined]
        self._timers += 1
        timer = _OrderedTimer(when, callback, args, self, context)
        timer.order = self._timers
        heappush(self._scheduled, timer)  # type: ignore[attr-defined]
        timer._scheduled = True  # type: ignore[attr-defined]
        return timer

    def run_in_executor(self, executor: Executor | None, func: Callable[[*Ts], T], *args: *Ts) -> asyncio.Future[T]:
        future = super().run_in_executor(executor, func, *args)
        self._hold_for(future)
        return future

    async def shutdown_default_executor(self, *args: Any, **kwargs: Any) -> None:
        with self.hold():
            await super().shutdown_default_executor(*args, **kwargs)


@functools.cache
def _threaded(module: str) -> bool:
    return module.startswith(THREADED)


class _OrderedTimer(asyncio.TimerHandle):
    """A timer with a sequence number: a heap alone returns timers of the same time in any order."""

    __slots__ = ("order",)
    order: int
    _when: float

    def __lt__(self, other: _OrderedTimer) -> bool:  # type: ignore[override]  # all timers of the loop are of this class
        when, other_when = self._when, other._when
        return when < other_when or (when == other_when and self.order < other.order)


class _JumpingSelector(selectors.DefaultSelector):
    """Polls sockets without waiting, then advances the loop's time by the requested timeout."""

    def __init__(self, loop: VirtualLoop) -> None:
        super().__init__()
        self._loop = loop
        self._began = float("inf")  # real time of virtual time 0 at the limited speed

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if ready or (timeout is not None and timeout <= 0):
            return ready
        if self._loop.held:
            ready = super().select(THREADS_WITHIN)
            if not ready:
                raise Stalled(f"a thread has held virtual time for {THREADS_WITHIN:.0f} s")
            return ready
        if timeout is None:
            if len(self.get_map()) > 1:  # more than the loop's own wake-up pipe: data may still arrive
                return super().select(None)
            raise Stalled(f"deadlock in virtual time: no timer is set, and every task waits: {self._waiting()}")
        if self._loop.speed is None:
            self._loop.jump(timeout)
            return ready
        began, wait = time.monotonic(), timeout / self._loop.speed
        late = self._late(began)
        shorter = max(wait - late, wait * MIN_WAIT_FRACTION)
        ready = super().select(shorter)
        passed = time.monotonic() - began
        if ready and passed < shorter:
            self._loop.advance(timeout * passed / shorter)
        else:
            self._loop.jump(timeout)
        return ready

    def _waiting(self) -> str:
        """Names of the pending tasks, each with the line at which its outermost coroutine is suspended."""
        lines = (
            f"{task.get_name()} at {frame.f_code.co_filename}:{frame.f_lineno}"
            for task in asyncio.all_tasks(self._loop)
            for frame in task.get_stack(limit=1)
        )
        return ", ".join(sorted(lines)) or "none"

    def _late(self, real: float) -> float:
        """Return the real seconds by which the loop is behind its speed, because tasks take real time."""
        assert self._loop.speed is not None
        start = real - self._loop.time() / self._loop.speed
        self._began = max(start - MAX_CATCH_UP, min(start, self._began))
        return start - self._began


class LoopClock:
    """A `Clock` that reads the running loop: virtual time on a virtual loop, else real time.

    `start` is the wall time (Unix, UTC) at loop time 0; without it the wall time is the machine's.
    """

    def __init__(self, start: float | None = None) -> None:
        self._start = start
        self._loop: asyncio.AbstractEventLoop | None = None  # of the last reading, also while it is stopped

    def now(self) -> float:
        try:
            loop = self._loop = asyncio.get_running_loop()
        except RuntimeError:
            if self._loop is None or self._loop.is_closed():
                raise
            loop = self._loop
        return loop.time()

    def wall(self) -> float:
        return time.time() if self._start is None else self._start + self.now()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    def timeout_at(self, deadline: float | None) -> AbstractAsyncContextManager[Scope]:
        return asyncio.timeout_at(deadline)


class VirtualClock(LoopClock):
    """Clock of a virtual loop whose time 0 is `start` (Unix time, UTC)."""

    def __init__(self, start: float = START) -> None:
        super().__init__(start)

    def now(self) -> float:
        loop = self._loop  # of one run: it needs no look-up until it is closed
        if type(loop) is VirtualLoop and not loop._closed:
            return loop._virtual_now
        return super().now()


class RealClock(LoopClock):
    """The machine's clock."""


class DerivedClock:
    """A `Clock` with the times of another one, `base`."""

    now: Callable[[], float]

    def __init__(self, base: Clock) -> None:
        self.base = base
        self.now = base.now  # read more often than anything else

    def wall(self) -> float:
        return self.base.wall()

    async def sleep(self, seconds: float) -> None:
        await self.base.sleep(seconds)

    def timeout_at(self, deadline: float | None) -> AbstractAsyncContextManager[Scope]:
        return self.base.timeout_at(deadline)


class SkewedClock(DerivedClock):
    """An inaccurate clock: the wall time of `base` plus an offset and a drift; the monotonic time is that of `base`.

    `drift_ppm` 50 gains 50 µs a second, 4.3 s a day. `jump` steps it, as a wrong NTP answer does.
    """

    def __init__(self, base: Clock, offset_s: float = 0.0, drift_ppm: float = 0.0) -> None:
        super().__init__(base)
        self.offset_s = offset_s
        self.drift_ppm = drift_ppm

    def wall(self) -> float:
        wall = self.base.wall() + self.offset_s
        return wall + self.base.now() * self.drift_ppm * 1e-6 if self.drift_ppm else wall

    def jump(self, seconds: float) -> None:
        self.offset_s += seconds


def run_virtual(main: Coroutine[object, object, T], speed: float | None = None) -> T:
    """Run `main` to its end in virtual time and return its result; remaining tasks are cancelled."""
    results: list[T] = []

    async def run() -> None:
        results.append(await main)

    # `Runner.run` formats its task when it restores the handler of signals, and with it the result of the task: for the
    # recording of a simulation that takes a tenth of the run. So the task has no result.
    with asyncio.Runner(loop_factory=lambda: VirtualLoop(speed)) as runner:
        runner.run(run())
    return results[0]
