"""Virtual time: an asyncio loop whose clock jumps to the next timer when no task is ready, and clocks that read it.

The clocks conform to `protocols.ports.Clock`; one that drifts or jumps (that of a station) is a view of another clock.
`run_virtual` runs one coroutine.

The loop waits in real time only for threads (executors, aiosqlite) and, with a limited speed, for its timers. It never
polls.
"""

from __future__ import annotations

import asyncio
import functools
import selectors
import sys
import time
from collections import deque
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import Executor
from contextlib import AbstractAsyncContextManager, contextmanager
from contextvars import Context, copy_context
from datetime import UTC, datetime
from heapq import heapify, heappop, heappush
from typing import TYPE_CHECKING, TypeVar, TypeVarTuple

from protocols.ports import Clock, Scope, Timer

if TYPE_CHECKING:
    from _typeshed import FileDescriptorLike

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

START = datetime(2026, 1, 15, tzinfo=UTC).timestamp()  # default wall time at loop time 0
THREADS_WITHIN = 60.0  # s of real time that a thread may hold virtual time
MIN_WAIT_FRACTION = 0.5  # of a wait at limited speed, even when late: data in transit needs the time
MAX_CATCH_UP = 0.5  # s of real time by which a loop with limited speed catches up
MAX_CANCELLED = 100  # timers that are kept in the schedule although they are cancelled
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
    _debug: bool
    _ready: deque[asyncio.Handle]
    _scheduled: list[tuple[float, int, asyncio.TimerHandle]]  # heap of (time, sequence number, timer)
    _stopping: bool
    _timer_cancelled_count: int

    def __init__(self, speed: float | None = None) -> None:
        self._virtual_now = 0.0
        self._holds = 0
        self._timers = 0
        self.polls = False  # there are sockets: they are polled in each iteration, not only before the time advances
        self.speed = speed
        self.jumps = 0  # advances of the time, for benchmarks
        super().__init__(_JumpingSelector(self))
        if speed is not None and not speed > 0:
            self.close()
            raise ValueError(f"speed must be more than 0 virtual seconds per real second, not {speed}")

    def time(self) -> float:
        """Return the virtual time, monotonic, seconds since the creation of the loop."""
        return self._virtual_now

    def advance(self, seconds: float) -> None:
        """Advance the time."""
        self._virtual_now += seconds
        self.jumps += 1

    def jump(self, seconds: float) -> None:
        """Advance to the next timer, exactly, without accumulated rounding errors."""
        when = self._virtual_now + seconds
        if self._scheduled and abs(self._scheduled[0][0] - when) < 1e-6:
            when = max(self._virtual_now, self._scheduled[0][0])
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

    def _hold_for(self, future: asyncio.Future[T]) -> None:
        self._holds += 1
        future.add_done_callback(self._release_hold)

    def _release_hold(self, _: object) -> None:
        self._holds -= 1

    def create_future(self) -> asyncio.Future[object]:
        future: asyncio.Future[object] = asyncio.Future(loop=self)
        # aiosqlite resolves its futures from a thread unknown to the loop; the calling module identifies them.
        if THREADED[0] in sys.modules and _threaded(sys._getframe(1).f_globals.get("__name__", "")):
            self._hold_for(future)
        return future

    def call_soon(
        self, callback: Callable[[*Ts], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.Handle:
        """Run a callback in the next iteration, as the base class; this is called for every step of every task."""
        if self._debug or self._closed:
            return super().call_soon(callback, *args, context=context)
        handle = _Handle(callback, args, self, context)
        self._ready.append(handle)
        return handle

    def call_at(
        self, when: float, callback: Callable[[*Ts], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.TimerHandle:
        """Schedule a timer; timers of the same time fire in the order in which they were set."""
        if self._closed:
            self._check_closed()  # type: ignore[attr-defined]
        self._timers += 1
        timer = (asyncio.TimerHandle if self._debug else _Timer)(when, callback, args, self, context)
        heappush(self._scheduled, (when, self._timers, timer))
        timer._scheduled = True  # type: ignore[attr-defined]  # so that the loop counts its cancellation
        return timer

    def _run_once(self) -> None:
        """Run all that is ready; advance to the next timer where nothing is.

        It replaces the iteration of the base class, which polls each time, whose heap returns timers of the same time
        in any order, and which fires timers early by the resolution of a real clock: without advancing the time, a
        task that then waits for the rest of a nanosecond would wait forever.
        """
        ready = self._ready
        self._drop_cancelled()
        timers = self._scheduled
        pending = bool(ready) or self._stopping
        if self.polls or self._holds or not pending:
            timeout = 0.0 if pending else max(0.0, timers[0][0] - self._virtual_now) if timers else None
            self._process_events(self._selector.select(timeout))  # type: ignore[attr-defined]
        while timers and timers[0][0] <= self._virtual_now:
            timer = heappop(timers)[2]
            timer._scheduled = False  # type: ignore[attr-defined]
            ready.append(timer)
        for _ in range(len(ready)):  # what they make ready runs in the next iteration
            handle = ready.popleft()
            if not handle._cancelled:
                handle._run()

    def _drop_cancelled(self) -> None:
        """Remove cancelled timers: the next ones, and all where they are many."""
        timers = self._scheduled
        if self._timer_cancelled_count > MAX_CANCELLED and self._timer_cancelled_count * 2 > len(timers):
            timers[:] = [one for one in timers if not one[2].cancelled()]
            heapify(timers)
            self._timer_cancelled_count = 0
        while timers and timers[0][2].cancelled():
            heappop(timers)[2]._scheduled = False  # type: ignore[attr-defined]
            self._timer_cancelled_count -= 1

    def run_in_executor(self, executor: Executor | None, func: Callable[[*Ts], T], *args: *Ts) -> asyncio.Future[T]:
        future = super().run_in_executor(executor, func, *args)
        self._hold_for(future)
        return future

    async def shutdown_default_executor(self, *args: object, **kwargs: object) -> None:
        with self.hold():
            await super().shutdown_default_executor(*args, **kwargs)


class _Handle(asyncio.Handle):
    """A handle without the stack of its caller, for which the base class asks the loop each time."""

    __slots__ = ()

    def __init__(
        self, callback: Callable[..., object], args: tuple[object, ...], loop: VirtualLoop, context: Context | None
    ) -> None:
        self._context = copy_context() if context is None else context
        self._loop, self._callback, self._args, self._cancelled = loop, callback, args, False
        self._repr = self._source_traceback = None


class _Timer(asyncio.TimerHandle):
    """The same of a timer."""

    __slots__ = ()

    def __init__(
        self,
        when: float,
        callback: Callable[..., object],
        args: tuple[object, ...],
        loop: VirtualLoop,
        context: Context | None,
    ) -> None:
        self._context = copy_context() if context is None else context
        self._loop, self._callback, self._args, self._cancelled = loop, callback, args, False
        self._repr = self._source_traceback = None
        self._when, self._scheduled = when, False


@functools.cache
def _threaded(module: str) -> bool:
    return module.startswith(THREADED)


class _JumpingSelector(selectors.DefaultSelector):
    """Polls sockets without waiting, then advances the loop's time by the requested timeout."""

    def __init__(self, loop: VirtualLoop) -> None:
        super().__init__()
        self._loop = loop
        self._began = float("inf")  # real time of virtual time 0 at the limited speed

    def register(self, fileobj: FileDescriptorLike, events: int, data: object = None) -> selectors.SelectorKey:
        key = super().register(fileobj, events, data)
        self._loop.polls = self._has_sockets()
        return key

    def unregister(self, fileobj: FileDescriptorLike) -> selectors.SelectorKey:
        key = super().unregister(fileobj)
        self._loop.polls = self._has_sockets()
        return key

    def _has_sockets(self) -> bool:
        """Return whether more is registered than the loop's own wake-up pipe."""
        return len(self.get_map()) > 1

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
            if self._has_sockets():  # data may still arrive
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
        return asyncio.Timeout(deadline)

    def call_at(self, when: float, callback: Callable[[], object]) -> asyncio.TimerHandle:
        return asyncio.get_running_loop().call_at(when, callback)


class VirtualClock(LoopClock):
    """Clock of a virtual loop whose time 0 is `start` (Unix time, UTC)."""

    def __init__(self, start: float = START) -> None:
        super().__init__(start)
        self._began = start

    def wall(self) -> float:
        loop = self._loop
        if type(loop) is VirtualLoop and not loop._closed:
            return self._began + loop._virtual_now
        return super().wall()

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

    def call_at(self, when: float, callback: Callable[[], object]) -> Timer:
        return self.base.call_at(when, callback)


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
