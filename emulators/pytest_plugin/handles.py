"""What the pytest plugin hands to tests: a world that lives on a loop of its own, its time, and handles on its parts.

The fixtures and hooks are in `pytest_plugin.py`. Everything heavy is imported when it is used.
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


class Living:
    """A world on a loop of its own that goes on between the calls of a test."""

    def __init__(self, make: Callable[[], World], seed: int) -> None:
        from emulators.runtime.clock import VirtualLoop

        self.seed = seed
        self.runner = asyncio.Runner(loop_factory=VirtualLoop)
        self.world: World
        self.late: list[BaseException] = []  # of what a coroutine test began without waiting for it
        self._make = make
        self._stop: asyncio.Event
        self._life: asyncio.Task[None]
        self.runner.run(self._start())

    async def _start(self) -> None:
        self._stop = asyncio.Event()
        lives: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._life = asyncio.get_running_loop().create_task(self._live(lives))
        self._life.add_done_callback(lambda _: None if lives.done() else lives.set_result(None))
        await lives
        if self._life.done():
            await self._life

    async def _live(self, lives: asyncio.Future[None]) -> None:
        self.world = self._make()
        async with self.world.living():
            lives.set_result(None)
            await self._stop.wait()

    @property
    def in_a_coroutine(self) -> bool:
        """Whether the world's time runs at this moment: the test is a coroutine."""
        return self.runner.get_loop().is_running()

    def run(self, doing: Coroutine[Any, Any, T]) -> T:
        """Let the world go on until this is done. What breaks in the world breaks the test."""
        if self.in_a_coroutine:
            doing.close()
            raise RuntimeError(
                "this test is a coroutine and lives in the world's time: await what is to be done, and "
                "v2x_clock.sleep(seconds) instead of advance(), run() or until()"
            )
        result = self.runner.run(doing)
        if self.late:
            raise self.late.pop()
        if self._life.done():
            self.runner.run(self._last_words())
        return result

    async def _last_words(self) -> None:
        await self._life

    async def _end(self) -> None:
        self._stop.set()
        await self._life

    def close(self) -> None:
        try:
            if not self._life.done():
                self.runner.run(self._end())
        finally:
            self.runner.close()


class Time:
    """`v2x_clock`: the time of the world. In ordinary tests `advance` and `run`, in coroutines `sleep`."""

    def __init__(self, living: Living) -> None:
        self._living = living

    def now(self) -> float:
        """Seconds since the world began."""
        return self._living.runner.get_loop().time()

    def wall(self) -> float:
        """Unix time in the world."""
        return self._living.world.scenario.start.timestamp() + self.now()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    def advance(self, seconds: float) -> None:
        """Let time pass; four hours take a few seconds."""
        self._living.run(asyncio.sleep(seconds))

    def run(self, doing: Awaitable[T]) -> T:
        """Do something asynchronous, such as a command of the facility."""

        async def do() -> T:
            return await doing

        return self._living.run(do())

    def until(
        self, condition: Callable[[], bool], within_s: float = 600.0, step_s: float = 0.5, what: str = "the condition"
    ) -> None:
        """Let time pass until something is so; TimeoutError, which names `what`, otherwise."""

        async def wait() -> bool:
            ends = self.now() + within_s
            while not condition():
                if self.now() >= ends:
                    return False
                await asyncio.sleep(step_s)
            return True

        if not self._living.run(wait()):
            raise TimeoutError(f"{what} did not come about within {within_s:g} s of the world, now at {self.now():g} s")


class Ev:
    """`v2x_ev`: a car at a plug. Attributes of `emulators.ev.car.Car` are its own."""

    def __init__(self, living: Living, car: Car, bay: ParkingBay) -> None:
        self._living, self.car, self.bay = living, car, bay

    def __getattr__(self, name: str) -> Any:
        return getattr(self.car, name)

    @property
    def soc_pct(self) -> float:
        return self.car.soc_pct

    @property
    def power_w(self) -> float:
        """At the meter of its EVSE, + into the car."""
        return self.bay.stage.reading(self._living.runner.get_loop().time()).ac_power_w

    @property
    def charging(self) -> bool:
        """In the charge loop, contactors closed."""
        return self.car.contactors_closed

    @property
    def hindrance(self) -> str:
        """Why the last session ended, if one did; for messages."""
        return f": {self.bay.ends[-1]}" if self.bay.ends else ""

    async def plug(self) -> None:
        await self.bay.plug(self.car)

    async def unplug(self) -> None:
        await self.bay.unplug(self.car)


class Charger:
    """`v2x_charger`: a station and its bays. Attributes of `emulators.charger.station.station.Station` are its own."""

    def __init__(self, world: World, name: str) -> None:
        self.world, self.name = world, name

    def __getattr__(self, name: str) -> Any:
        return getattr(self.station, name)

    @property
    def station(self) -> Station:
        return self.world.stations[self.name]

    def bay(self, evse: int = 1) -> ParkingBay:
        return self.world.bays[f"{self.name}-{evse}"]


class GridHandle:
    """`v2x_grid`: the public grid, and what may happen to it from now on."""

    def __init__(self, living: Living, grid: Grid) -> None:
        self._living, self.grid = living, grid

    def _add(self, kind: Any, duration_s: float, value: float = 0.0) -> None:
        from emulators.site.grid import GridEvent

        self.grid.add(GridEvent(kind, self._living.runner.get_loop().time(), duration_s, value))

    def fail(self, duration_s: float = FOREVER_S) -> None:
        """An outage begins."""
        self._add("outage", duration_s)

    def restore(self) -> None:
        """The outage ends."""
        self.grid.end("outage", self._living.runner.get_loop().time())

    def brown_out(self, voltage_pu: float, duration_s: float) -> None:
        self._add("brown-out", duration_s, voltage_pu)

    def frequency_step(self, hertz: float, duration_s: float) -> None:
        self._add("frequency-step", duration_s, hertz)
