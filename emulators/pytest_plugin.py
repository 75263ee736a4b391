"""Fixtures for pytest: a gateway, a charger, a car, a site, a grid and a facility, in virtual time, without a socket.

::

    def test_discharge(v2x_facility, v2x_ev, v2x_clock):
        result = v2x_clock.run(v2x_facility.command("CP1-1", "discharge", power_w=5000, lease_s=3600))
        v2x_clock.advance(3600)
        assert v2x_ev.soc_pct < 75

    @pytest.mark.v2x(cars={"leaf": "ariya-66"}, chargers=2, site="store", seed=7)
    async def test_outage(v2x_grid, v2x_site, v2x_clock): ...

Tests may be ordinary functions that drive the clock, or coroutines, which run in the world's time. `--v2x-seed`
overrides the seed; a failing test prints it. `--v2x-artifacts DIR` keeps transcript, figures and captures of each test,
and a JUnit file of them all.
Everything heavy is imported when a fixture is used.
"""

from __future__ import annotations

import asyncio
import inspect
import json
import re
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import pytest

if TYPE_CHECKING:
    from emulators.bay import Bay
    from emulators.broker import MemoryBroker
    from emulators.charger.station import Station
    from emulators.ev.car import Car
    from emulators.faults import Fault
    from emulators.site.facility import Facility
    from emulators.site.grid import Grid
    from emulators.site.site import Site
    from emulators.world import World
    from gateway.app import Gateway

T = TypeVar("T")

DEFAULT_SEED = 1
START = "2026-01-15T09:00:00+09:00"
FOREVER_S = 30 * 86_400.0
READY_WITHIN_S = 60.0
_WORLD = pytest.StashKey["Living"]()


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("v2x", "emulated cars, chargers and sites")
    group.addoption("--v2x-seed", type=int, default=None, help="seed of every world, instead of the test's own")
    group.addoption(
        "--v2x-artifacts", default=None, metavar="DIR", help="keep transcript, figures and captures of each test here"
    )


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    folder = config.getoption("--v2x-artifacts")
    if folder is not None and getattr(config.option, "xmlpath", "") is None:
        config.option.xmlpath = str(Path(folder) / "junit.xml")  # unless --junitxml says where else
    config.addinivalue_line(
        "markers",
        "v2x(scenario=None, seed=None, chargers=1, ocpp='2.1', cars={'ev': 'ccs-63'}, soc_pct=80, site='home', "
        "min_soc_pct=0, forming=False, telemetry_s=10, toml=''): the world that the v2x fixtures of this test live in",
    )


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Run a coroutine test that uses a v2x fixture in the time of its world."""
    if not inspect.iscoroutinefunction(pyfuncitem.obj) or "v2x_clock" not in pyfuncitem.fixturenames:
        return None
    living = pyfuncitem.stash.get(_WORLD, None)
    if living is None:
        return None
    names = pyfuncitem._fixtureinfo.argnames
    living.run(pyfuncitem.obj(**{name: pyfuncitem.funcargs[name] for name in names}))
    return True


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Any:
    report = yield
    living = item.stash.get(_WORLD, None)
    if living is not None and call.when == "call":
        item.user_properties.append(("v2x_seed", living.seed))
        if report.failed:
            tail = "\n".join(str(line)[:200] for line in living.world.transcript.lines[-15:])
            text = f"seed {living.seed}; repeat with: pytest --v2x-seed {living.seed} {item.nodeid!r}\n\n{tail}"
            report.sections.append(("v2x world", text))
    return report


class Living:
    """A world on a loop of its own that goes on between the calls of a test."""

    def __init__(self, make: Callable[[], World], seed: int) -> None:
        from emulators.clock import VirtualLoop

        self.seed = seed
        self.runner = asyncio.Runner(loop_factory=VirtualLoop)
        self.world: World
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

    def run(self, doing: Coroutine[Any, Any, T]) -> T:
        """Let the world go on until this is done. What breaks in the world breaks the test."""
        result = self.runner.run(doing)
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

    def until(self, condition: Callable[[], bool], within_s: float = 600.0, step_s: float = 0.5) -> None:
        """Let time pass until something is so; TimeoutError otherwise."""

        async def wait() -> None:
            async with asyncio.timeout(within_s):
                while not condition():  # noqa: ASYNC110 - the condition is the test's own and tells nobody
                    await asyncio.sleep(step_s)

        self._living.run(wait())


class Ev:
    """`v2x_ev`: a car at a plug. Attributes of `emulators.ev.car.Car` are its own."""

    def __init__(self, living: Living, car: Car, bay: Bay) -> None:
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

    async def plug(self) -> None:
        await self.bay.plug(self.car)

    async def unplug(self) -> None:
        await self.bay.unplug(self.car)


class Charger:
    """`v2x_charger`: a station and its bays. Attributes of `emulators.charger.station.Station` are its own."""

    def __init__(self, world: World, name: str) -> None:
        self.world, self.name = world, name

    def __getattr__(self, name: str) -> Any:
        return getattr(self.station, name)

    @property
    def station(self) -> Station:
        return self.world.stations[self.name]

    def bay(self, evse: int = 1) -> Bay:
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


# Fixtures ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def v2x_world(request: pytest.FixtureRequest) -> Iterator[World]:
    """The whole world, for what the other fixtures do not reach."""
    mark = request.node.get_closest_marker("v2x")
    told: dict[str, Any] = dict(mark.kwargs) if mark is not None else {}
    option = request.config.getoption("--v2x-seed")
    seed = option if option is not None else told.pop("seed", DEFAULT_SEED)
    told.pop("seed", None)
    plan = _plan(told)

    def make() -> World:
        from emulators.world import World

        return World(plan, seed, fast_forward=True)

    living = Living(make, int(seed))
    request.node.stash[_WORLD] = living
    try:
        yield living.world
    finally:
        folder = request.config.getoption("--v2x-artifacts")
        try:
            if folder is not None:
                _keep(living.world, Path(folder), request.node.nodeid)
        finally:
            living.close()


@pytest.fixture
def v2x_clock(v2x_world: World, request: pytest.FixtureRequest) -> Time:
    """The world's time."""
    return Time(request.node.stash[_WORLD])


@pytest.fixture
def v2x_broker(v2x_world: World, v2x_clock: Time) -> MemoryBroker:
    """The MQTT broker in memory, with its ways to fail."""
    return v2x_world.broker


@pytest.fixture
def v2x_gateway(v2x_world: World, v2x_clock: Time) -> Gateway:
    """The running gateway, real code."""
    assert v2x_world.gateway is not None
    return v2x_world.gateway


@pytest.fixture
def v2x_charger(v2x_world: World, v2x_clock: Time) -> Charger:
    """The first station, online."""
    charger = Charger(v2x_world, next(iter(v2x_world.stations)))
    v2x_clock.until(lambda: bool(charger.station.online), READY_WITHIN_S)
    return charger


@pytest.fixture
def v2x_ev(v2x_world: World, v2x_charger: Charger, v2x_ev_factory: Callable[..., Ev]) -> Ev:
    """The first car of the mark (a 63 kWh CCS car at 80 %), plugged in and ready to move energy."""
    name = next(iter(v2x_world.cars))
    return v2x_ev_factory(v2x_world.cars[name], evse=v2x_world.places[name])


@pytest.fixture
def v2x_ev_factory(v2x_world: World, v2x_clock: Time, request: pytest.FixtureRequest) -> Callable[..., Ev]:
    """Make cars: `v2x_ev_factory("id-77", soc_pct=50, evse="CP1-1")`; a profile's name or file, a CarSpec, a Car."""
    living = request.node.stash[_WORLD]

    def make(profile: Any = "ccs-63", *, soc_pct: float = 80.0, evse: str = "CP1-1", plugged: bool = True) -> Ev:
        from emulators.ev.car import Car, CarSpec
        from emulators.ev.profile import load

        world: World = living.world
        if isinstance(profile, Car):
            car = profile
        else:
            spec = profile if isinstance(profile, CarSpec) else load(profile)
            car = Car(spec, soc_pct, name=f"{spec.name}-{len(world.cars) + 1}")
        world.cars[car.name] = world.parts.cars[car.name] = car
        ev = Ev(living, car, world.bays[evse])
        if plugged:
            v2x_clock.run(ev.plug())
            v2x_clock.until(lambda: ev.charging, READY_WITHIN_S)
        return ev

    return make


@pytest.fixture
def v2x_site(v2x_world: World, v2x_clock: Time) -> Site:
    """The site in physics: loads, sun, storage, switch, meter."""
    return v2x_world.site


@pytest.fixture
def v2x_grid(v2x_world: World, v2x_clock: Time, request: pytest.FixtureRequest) -> GridHandle:
    """The public grid."""
    return GridHandle(request.node.stash[_WORLD], v2x_world.site.grid)


@pytest.fixture
def v2x_facility(v2x_world: World, v2x_clock: Time) -> Facility:
    """The facility's controller: `command`, `hold`, `outcome` over MQTT."""
    v2x_clock.until(lambda: v2x_world.facility.online is True, READY_WITHIN_S)
    return v2x_world.facility


@pytest.fixture
def v2x_fault(v2x_world: World, v2x_clock: Time) -> Callable[..., Fault]:
    """Break something now: `v2x_fault("cut", "ocpp:CP1")`, `v2x_fault("meter-stuck", "CP1-1", duration_s=60)`."""

    def begin(kind: str, target: str = "", duration_s: float | None = None, **more: float) -> Fault:
        from emulators.faults import Fault

        fault = Fault(kind, target, v2x_clock.now(), duration_s, **more)
        v2x_clock.run(v2x_world.begin(fault))
        return fault

    return begin


def _plan(told: dict[str, Any]) -> Any:
    from emulators.scenarios import scenario

    if (named := told.pop("scenario", None)) is not None:
        if told:
            raise pytest.UsageError(f"the mark v2x has a scenario, so {', '.join(told)} cannot be given too")
        return scenario.load(named)
    cars = told.pop("cars", {"ev": "ccs-63"})
    chargers, soc = told.pop("chargers", 1), told.pop("soc_pct", 80.0)
    table = {
        "name": "test",
        "start": START,
        "duration": FOREVER_S,
        "telemetry": told.pop("telemetry_s", 10.0),
        "gateway": {"min_soc_pct": told.pop("min_soc_pct", 0.0)},
        "site": {"kind": told.pop("site", "home")},
        "charger": [{"id": f"CP{n + 1}"} for n in range(chargers)],
        "car": [
            # away until a test plugs it
            {"name": name, "profile": profile, "evse": f"CP{n % chargers + 1}-1", "soc_pct": soc, "visits": [_NEVER]}
            for n, (name, profile) in enumerate(cars.items())
        ],
    }
    ocpp, forming = told.pop("ocpp", "2.1"), told.pop("forming", False)
    for charger in table["charger"]:
        charger |= {"ocpp": ocpp, "forming": forming}
    if told:
        raise pytest.UsageError(f"the mark v2x knows no {', '.join(told)}")
    return scenario.check(table, "the mark v2x")


_NEVER = {"arrive": FOREVER_S, "leave": FOREVER_S + 1}


def _keep(world: World, folder: Path, test: str) -> None:
    name = re.sub(r"[^A-Za-z0-9._-]+", "_", test)[-120:]
    folder.mkdir(parents=True, exist_ok=True)
    world.transcript.write(folder / f"{name}.jsonl")
    figures = {"seed": world.seed, "figures": world.record.figures(), "events": world.record.events()}
    (folder / f"{name}.json").write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    for evse, capture in world.captures.items():
        if len(capture):
            capture.write(folder / f"{name}.{evse}.pcap")
