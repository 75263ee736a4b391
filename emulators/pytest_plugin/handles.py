"""Values of the `v2x_` fixtures: the world on a loop of its own, its clock, and handles of its parts.

Fixtures and hooks are in `__init__.py`. Modules of the emulators are imported when they are used.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from emulators.charger.station.station import Station
    from emulators.ev.car import Car
    from emulators.site.grid import Grid
    from emulators.world import World
    from emulators.world.parking_bay import ParkingBay

T = TypeVar("T")

FOREVER_S = 30 * 86_400.0


class RunningWorld:
    """A world on a loop of its own, which keeps its state between the calls of a test."""

    def __init__(self, make: Callable[[], World], seed: int) -> None:
        from emulators.runtime.clock import VirtualLoop

        self.seed = seed
        self.runner = asyncio.Runner(loop_factory=VirtualLoop)
        self.world: World
        self.errors: list[BaseException] = []  # errors of tasks that a coroutine test started without waiting
        self._make = make
        self._stop: asyncio.Event
        self._task: asyncio.Task[None]
        self.runner.run(self._start())

    async def _start(self) -> None:
        self._stop = asyncio.Event()
        started: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._task = asyncio.get_running_loop().create_task(self._run(started))
        self._task.add_done_callback(lambda _: None if started.done() else started.set_result(None))
        await started
        if self._task.done():
            await self._task

    async def _run(self, started: asyncio.Future[None]) -> None:
        self.world = self._make()
        async with self.world.running():
            started.set_result(None)
            await self._stop.wait()

    @property
    def in_a_coroutine(self) -> bool:
        """Return whether the loop of the world is running: the test is a coroutine."""
        return self.runner.get_loop().is_running()

    def run(self, coroutine: Coroutine[object, object, T]) -> T:
        """Run a coroutine on the loop of the world to its end; raise errors of the world in the test."""
        if self.in_a_coroutine:
            coroutine.close()
            raise RuntimeError(
                "a coroutine test runs on the loop of the world: use await, and "
                "v2x_clock.sleep(seconds) instead of advance(), run() or until()"
            )
        result = self.runner.run(coroutine)
        if self.errors:
            raise self.errors.pop()
        if self._task.done():
            self.runner.run(self._end())
        return result

    async def _end(self) -> None:
        self._stop.set()
        await self._task

    def close(self) -> None:
        try:
            if not self._task.done():
                self.runner.run(self._end())
        finally:
            self.runner.close()


class WorldClock:
    """`v2x_clock`: clock of the world. Ordinary tests use `advance` and `run`, coroutine tests `sleep`."""

    def __init__(self, running: RunningWorld) -> None:
        self._running = running

    def now(self) -> float:
        """Return the seconds since the start of the world."""
        return self._running.runner.get_loop().time()

    def wall(self) -> float:
        """Return the Unix time of the world."""
        return self._running.world.scenario.start.timestamp() + self.now()

    async def sleep(self, seconds: float) -> None:
        """Let virtual time pass, in a coroutine test."""
        await asyncio.sleep(seconds)

    def advance(self, seconds: float) -> None:
        """Let virtual time pass; four hours take a few seconds."""
        self._running.run(asyncio.sleep(seconds))

    def run(self, awaitable: Awaitable[T]) -> T:
        """Run an awaitable, such as a command of the facility, and return its result."""

        async def do() -> T:
            return await awaitable

        return self._running.run(do())

    def until(
        self, condition: Callable[[], bool], within_s: float = 600.0, step_s: float = 0.5, what: str = "the condition"
    ) -> None:
        """Let virtual time pass until the condition is true; otherwise a TimeoutError names `what`."""

        async def wait() -> bool:
            ends = self.now() + within_s
            while not condition():
                if self.now() >= ends:
                    return False
                await asyncio.sleep(step_s)
            return True

        if not self._running.run(wait()):
            raise TimeoutError(f"timeout after {within_s:g} s of virtual time, at {self.now():g} s: {what}")


class Ev:
    """`v2x_ev`: a car at an EVSE, with the attributes of `emulators.ev.car.Car`."""

    def __init__(self, running: RunningWorld, car: Car, bay: ParkingBay) -> None:
        self._running, self.car, self.bay = running, car, bay

    def __getattr__(self, name: str) -> Any:
        return getattr(self.car, name)

    @property
    def power_w(self) -> float:
        """Power at the meter of its EVSE, + is charge."""
        return self.bay.stage.reading(self._running.runner.get_loop().time()).ac_power_w

    @property
    def charging(self) -> bool:
        """Return whether the contactors are closed, in the charge loop."""
        return self.car.contactors_closed

    @property
    def last_session_end(self) -> str:
        """Reason of the end of the last session, for error messages."""
        return f": {self.bay.session_ends[-1]}" if self.bay.session_ends else ""

    async def plug(self) -> None:
        """Plug the car in."""
        await self.bay.plug(self.car)

    async def unplug(self) -> None:
        """Unplug the car."""
        await self.bay.unplug(self.car)


class Charger:
    """`v2x_charger`: a station, with the attributes of `emulators.charger.station.station.Station`."""

    def __init__(self, world: World, name: str) -> None:
        self.world, self.name = world, name

    def __getattr__(self, name: str) -> Any:
        return getattr(self.station, name)

    @property
    def station(self) -> Station:
        """The emulated station."""
        return self.world.stations[self.name]

    def bay(self, evse: int = 1) -> ParkingBay:
        """Return the parking bay of an EVSE, with its power stage and meter."""
        return self.world.bays[f"{self.name}-{evse}"]


class GridHandle:
    """`v2x_grid`: the public grid, and disturbances that begin now."""

    def __init__(self, running: RunningWorld, grid: Grid) -> None:
        self._running, self.grid = running, grid

    def _add(self, kind: Any, duration_s: float, value: float = 0.0) -> None:
        from emulators.site.grid import GridEvent

        self.grid.add(GridEvent(kind, self._running.runner.get_loop().time(), duration_s, value))

    def fail(self, duration_s: float = FOREVER_S) -> None:
        """Begin an outage."""
        self._add("outage", duration_s)

    def restore(self) -> None:
        """End the outage."""
        self.grid.end("outage", self._running.runner.get_loop().time())

    def brown_out(self, voltage_pu: float, duration_s: float) -> None:
        """Lower the voltage to a share of the nominal one."""
        self._add("brown-out", duration_s, voltage_pu)

    def frequency_step(self, hertz: float, duration_s: float) -> None:
        """Change the frequency by a deviation in Hz."""
        self._add("frequency-step", duration_s, hertz)
