"""Time that runs as fast as the work allows: an asyncio loop whose clock jumps to the next timer when nothing is ready.

Here: the loop, the clocks that conform to `protocols.ports.Clock`, and `run_virtual` to run one coroutine. A clock that
drifts or jumps (a station's, a broken one) is a view of another clock. No physics and no scenario lives here.

The loop waits in earnest only for threads (executors, aiosqlite) and, if it is paced, for real time. It never polls.
"""

from __future__ import annotations

import asyncio
import math
import selectors
import sys
import time
from collections.abc import Callable, Coroutine
from concurrent.futures import Executor
from contextlib import AbstractAsyncContextManager, contextmanager
from contextvars import Context
from datetime import UTC, datetime
from heapq import heappush
from typing import TYPE_CHECKING, Any, TypeVar, TypeVarTuple

from protocols.ports import Clock

if TYPE_CHECKING:
    from collections.abc import Iterator

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

START = datetime(2026, 1, 15, tzinfo=UTC).timestamp()  # the wall time at which a virtual world begins
THREADS_WITHIN = 60.0  # s of real time that a thread may keep virtual time waiting
LEAST_WAIT = 0.5  # of a wait at a pace, however late the world is: bytes of others need it to arrive
MOST_LATE = 0.5  # s of real time that a paced world makes up for; more is forgotten
THREADED = ("aiosqlite", "sqlalchemy.dialects.sqlite.aiosqlite")  # modules whose futures a thread of their own resolves


class Stalled(RuntimeError):
    """Deadlock in virtual time: no task is ready, no timer is set, no socket is open and no thread is at work."""


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop with a clock of its own, in seconds from 0.

    `speed` is virtual seconds per real second; None is as fast as the work allows. Sockets work (they are looked at
    before every jump), but bytes still on their way to a foreign process lose the race: pace the loop for those.
    """

    def __init__(self, speed: float | None = None) -> None:
        self._virtual_now = 0.0
        self._holds = 0
        self._timers = 0
        self.speed = speed
        self.jumps = 0  # how often time moved: what a fast-forward saves, counted
        super().__init__(_JumpingSelector(self))
        if speed is not None and not speed > 0:
            self.close()
            raise ValueError(f"speed is virtual seconds per real second and more than 0, not {speed}")

    def time(self) -> float:
        """Virtual time, monotonic, seconds since the loop was made."""
        return self._virtual_now

    @property
    def _clock_resolution(self) -> float:
        """How early the loop may fire a timer: less than a step of its time, so not at all.

        The resolution of a real clock would fire a timer that is a nanosecond away without moving time to it, and
        whoever then waits for the rest of the nanosecond would never see it pass.
        """
        return math.ulp(self._virtual_now)

    @_clock_resolution.setter
    def _clock_resolution(self, seconds: float) -> None:
        """The base class sets that of the machine's clock."""

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self._virtual_now += seconds
        self.jumps += 1

    def jump(self, seconds: float) -> None:
        """Let time pass to the next timer: exactly to it, whatever was added up on the way."""
        scheduled = getattr(self, "_scheduled", None)
        when = self._virtual_now + seconds
        if scheduled and abs(scheduled[0].when() - when) < 1e-6:
            when = max(self._virtual_now, scheduled[0].when())
        self._virtual_now = when
        self.jumps += 1

    @property
    def held(self) -> bool:
        """Whether a thread is at work for somebody, so that time must stand still."""
        return self._holds > 0

    @contextmanager
    def hold(self) -> Iterator[None]:
        """Time stands still inside the block: for work in a thread that the loop cannot see by itself."""
        self._holds += 1
        try:
            yield
        finally:
            self._holds -= 1

    def _hold_for(self, future: asyncio.Future[Any]) -> None:
        self._holds += 1
        future.add_done_callback(self._let_go)

    def _let_go(self, _: object) -> None:
        self._holds -= 1

    def create_future(self) -> asyncio.Future[Any]:
        future = super().create_future()
        # aiosqlite resolves its futures from a thread that it does not announce; who asks tells us.
        if sys._getframe(1).f_globals.get("__name__", "").startswith(THREADED):
            self._hold_for(future)
        return future

    def call_at(
        self, when: float, callback: Callable[[*Ts], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.TimerHandle:
        """As any loop does, but timers of the same moment fire in the order in which they were set."""
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


class _OrderedTimer(asyncio.TimerHandle):
    """A timer that knows when it was set: a heap alone gives timers of one moment in any order."""

    __slots__ = ("order",)
    order: int

    def __lt__(self, other: object) -> bool:
        if isinstance(other, _OrderedTimer):
            mine: float = self._when  # type: ignore[attr-defined]
            theirs: float = other._when  # type: ignore[attr-defined]
            return mine < theirs or (mine == theirs and self.order < other.order)
        return NotImplemented


class _JumpingSelector(selectors.DefaultSelector):
    """Looks at sockets without waiting, then moves the loop's clock by what it was asked to wait."""

    def __init__(self, loop: VirtualLoop) -> None:
        super().__init__()
        self._loop = loop
        self._began = float("inf")  # real time at which the world would have begun, had it always kept its pace

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if ready or (timeout is not None and timeout <= 0):
            return ready
        if self._loop.held:
            ready = super().select(THREADS_WITHIN)
            if not ready:
                raise Stalled(f"a thread has kept virtual time waiting for {THREADS_WITHIN:.0f} s")
            return ready
        if timeout is None:
            if len(self.get_map()) > 1:  # more than the loop's own wake-up pipe: a socket can still speak
                return super().select(None)
            raise Stalled(f"deadlock in virtual time: no timer is set, and every task waits: {self._waiting()}")
        if self._loop.speed is None:
            self._loop.jump(timeout)
            return ready
        began, wait = time.monotonic(), timeout / self._loop.speed
        late = self._late(began)
        shorter = max(wait - late, wait * LEAST_WAIT)
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
        """Real seconds by which the world is behind its pace, because work takes time too."""
        assert self._loop.speed is not None
        paced = real - self._loop.time() / self._loop.speed
        self._began = max(paced - MOST_LATE, min(paced, self._began))
        return paced - self._began


class LoopClock:
    """A `Clock` that reads the running loop: virtual where the loop is virtual, real where it is real.

    `start` is the wall time (Unix, UTC) at loop time 0; without it wall time is the machine's.
    """

    def __init__(self, start: float | None = None) -> None:
        self._start = start
        self._loop: asyncio.AbstractEventLoop | None = None  # where it was first read: it can be read between runs too

    def now(self) -> float:
        loop = self._loop
        if loop is None or loop.is_closed():
            loop = self._loop = asyncio.get_running_loop()
        return loop.time()

    def wall(self) -> float:
        return time.time() if self._start is None else self._start + self.now()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    def timeout_at(self, deadline: float | None) -> AbstractAsyncContextManager[object]:
        return asyncio.timeout_at(deadline)


class VirtualClock(LoopClock):
    """The clock of a virtual world that begins at `start` (Unix time, UTC)."""

    def __init__(self, start: float = START) -> None:
        super().__init__(start)


class RealClock(LoopClock):
    """The machine's clock."""

    def __init__(self) -> None:
        super().__init__(None)


class SkewedClock:
    """Somebody's bad clock: the wall time of `base` plus an offset and a drift; deadlines are not touched.

    `drift_ppm` 50 gains 50 µs a second, 4.3 s a day. `jump` moves it at once, as a wrong NTP answer does.
    """

    def __init__(self, base: Clock, offset_s: float = 0.0, drift_ppm: float = 0.0) -> None:
        self.base = base
        self.offset_s = offset_s
        self.drift_ppm = drift_ppm

    def now(self) -> float:
        return self.base.now()

    def wall(self) -> float:
        return self.base.wall() + self.offset_s + self.base.now() * self.drift_ppm * 1e-6

    def jump(self, seconds: float) -> None:
        self.offset_s += seconds

    def set_wall(self, wall: float) -> None:
        """Put the clock right, as the time of a BootNotification or Heartbeat answer does."""
        self.offset_s += wall - self.wall()

    async def sleep(self, seconds: float) -> None:
        await self.base.sleep(seconds)

    def timeout_at(self, deadline: float | None) -> AbstractAsyncContextManager[object]:
        return self.base.timeout_at(deadline)


def run_virtual(main: Coroutine[Any, Any, T], speed: float | None = None) -> T:
    """Run `main` to its end in virtual time and return its result; tasks it left behind are cancelled."""
    with asyncio.Runner(loop_factory=lambda: VirtualLoop(speed)) as runner:
        return runner.run(main)
