"""pytest plugin: fixtures of an emulated gateway, station, EV, site and grid, and coroutine tests in virtual time.

::

    def test_discharge(v2x_facility, v2x_ev, v2x_clock):
        result = v2x_clock.run(v2x_facility.command("CP1-1", "discharge", power_w=5000, lease_s=3600))
        v2x_clock.advance(3600)
        assert v2x_ev.soc_pct < 75

    @pytest.mark.v2x(cars={"leaf": "ariya-66"}, chargers=2, site="store", seed=7)
    async def test_outage(v2x_grid, v2x_site, v2x_clock): ...

    @pytest.mark.v2x(inject=[{"message": "DC_PreChargeRes", "occurrence": 1, "response_code": "FAILED"}])
    def test_a_failed_precharge(v2x_ev_factory): ...

    @pytest.mark.virtual_time
    async def test_renewal():
        await asyncio.sleep(4 * 3600)  # takes no time

Tests with `v2x_` fixtures are ordinary functions that drive the clock, or coroutines, which run on the loop of the
emulated world. `--v2x-seed` overrides the seed; a failing test prints it. `--v2x-artifacts DIR` stores transcript,
figures and captures of each test, and a JUnit file of all tests.

`@pytest.mark.virtual_time` is for coroutine tests without these fixtures, which pytest-asyncio (1.4 or newer) runs: the
test and its async fixtures get a `VirtualLoop`, whose clock jumps to the next timer. `speed=100.0` limits it to 100
virtual seconds per real second. The mark also works as `pytestmark` of a module or class; tests without it run in real
time. A test that waits for something that can no longer happen fails with `Stalled` and a list of the waiting tasks.
Tests driven by hypothesis share one loop among their examples: call `emulators.runtime.clock.run_virtual`
in them instead.

Devices under test are `v2x_dut_charger` and `v2x_dut_csms` (OCPP, `ocpp_devices.py`), `v2x_dut_secc` and `v2x_dut_ev`
(`dut_iso15118.py`), `v2x_dut_chademo_charger` and `v2x_dut_chademo_ev` (`dut_chademo.py`).

`pytest --v2x-board NAME` runs the conformance kit of hardware drivers (`board_kit.py`, docs/hardware.md).

Modules of the emulators are imported when a fixture or the mark is used.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
import json
import re
import tomllib
from collections.abc import Callable, Generator, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from emulators.pytest_plugin import ocpp_devices
from emulators.pytest_plugin.handles import Charger, Ev, GridHandle, RunningWorld, WorldClock
from emulators.pytest_plugin.ocpp_devices import v2x_dut_charger, v2x_dut_csms
from emulators.pytest_plugin.world_plan import plan_of
from protocols import private_file

if TYPE_CHECKING:
    from emulators.faults.fault import Fault
    from emulators.runtime.memory_broker import MemoryBroker
    from emulators.site.facility import Facility
    from emulators.site.site import Site
    from emulators.world import World
    from gateway.app import Gateway

pytest_plugins = ("emulators.pytest_plugin.dut_iso15118", "emulators.pytest_plugin.dut_chademo")  # real devices
DEFAULT_SEED = 1
READY_WITHIN_S = 60.0
INVENTORY_S = 3.0  # in which the gateway requests what a station can do
_WORLD = pytest.StashKey[RunningWorld]()

__all__ = ["v2x_dut_charger", "v2x_dut_csms"]  # fixtures of other modules

LoopFactories = Mapping[str, Callable[[], asyncio.AbstractEventLoop]]


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("v2x", "emulated cars, chargers and sites")
    group.addoption(
        "--v2x-seed", type=int, default=None, help="seed of every emulated world, instead of that of the test"
    )
    group.addoption(
        "--v2x-artifacts",
        default=None,
        metavar="DIR",
        help="store transcript, figures and captures of each test in DIR",
    )
    group.addoption(
        "--v2x-board",
        default=None,
        metavar="NAME",
        help="run the conformance kit on a board driver (entry point of v2x.board) instead of tests",
    )
    group.addoption(
        "--v2x-board-settings", default=None, metavar="FILE", help="TOML file with the settings of the board"
    )
    ocpp_devices.add_options(group)


def _check_board(name: str, settings: str | None) -> None:
    """Raise UsageError, once for all checks, where the driver is not installed or its settings cannot be read."""
    from gateway.drivers.board import registry  # on demand: only the kit needs it

    try:
        registry.driver(name)
        if settings is not None:
            tomllib.loads(Path(settings).read_text(encoding="utf-8"))
    except (registry.BoardError, OSError, ValueError) as error:
        raise pytest.UsageError(f"--v2x-board: {error}") from None


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    folder = config.getoption("--v2x-artifacts")
    if folder is not None and getattr(config.option, "xmlpath", "") is None:
        config.option.xmlpath = str(Path(folder) / "junit.xml")  # unless --junitxml is given
    if config.getoption("--v2x-board") is not None:
        if config.args_source is pytest.Config.ArgsSource.ARGS:
            raise pytest.UsageError("--v2x-board runs the conformance kit only; leave out the paths of tests")
        _check_board(config.getoption("--v2x-board"), config.getoption("--v2x-board-settings"))
        config.args = [str(Path(__file__).with_name("board_kit.py"))]
    config.addinivalue_line(
        "markers",
        "v2x(scenario=None, seed=None, chargers=1, ocpp='2.1', cars={'ev': 'ccs-63'}, soc_pct=80, site='home', "
        "min_soc_pct=0, forming=False, telemetry_s=10, vehicle_link='iso15118-20', inject=[], toml=''): the emulated "
        "world of the v2x fixtures of this test; toml: tables of a scenario file that are merged into it",
    )
    ocpp_devices.add_mark(config)
    config.addinivalue_line(
        "markers",
        "virtual_time(speed=None): run the coroutine test on a loop whose clock jumps to the next timer (by "
        "pytest-asyncio); speed limits it to that many virtual seconds per real second",
    )


def pytest_unconfigure(config: pytest.Config) -> None:
    ocpp_devices.close_devices(config)


@pytest.hookimpl(wrapper=True, optionalhook=True)
def pytest_asyncio_loop_factories(item: pytest.Item) -> Generator[None, LoopFactories | None, LoopFactories]:
    """Return the virtual loop for tests with the mark `virtual_time`, else those of other hooks or the default."""
    factories = yield
    mark = item.get_closest_marker("virtual_time")
    if mark is None:
        return factories or {"asyncio": asyncio.new_event_loop}
    if mark.args or set(mark.kwargs) - {"speed"}:
        raise pytest.UsageError(f"{item.nodeid}: the only argument of the mark virtual_time is speed=...")
    from emulators.runtime.clock import VirtualLoop

    return {"virtual": functools.partial(VirtualLoop, **mark.kwargs)}


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Fail a test in virtual time that pytest-asyncio would not run in it."""
    if item.get_closest_marker("virtual_time") is None or not isinstance(item, pytest.Function):
        return
    if not inspect.iscoroutinefunction(item.obj) or "v2x_world" in item.fixturenames:
        return
    if not item.config.hook.pytest_asyncio_loop_factories.has_spec():
        pytest.fail("the mark virtual_time needs pytest-asyncio 1.4 or newer", pytrace=False)
    if item.get_closest_marker("asyncio") is None:
        pytest.fail("the mark virtual_time needs asyncio_mode = auto, or the mark asyncio beside it", pytrace=False)


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Run a coroutine test that uses a v2x fixture on the loop of its world."""
    running = pyfuncitem.stash.get(_WORLD, None)
    if running is None:
        return None
    test = pyfuncitem.obj
    if pyfuncitem.get_closest_marker("asyncio") is not None:  # pytest-asyncio has wrapped it to run on its own loop
        test = getattr(test, "__wrapped__", test)
    if not inspect.iscoroutinefunction(test):
        return None
    names = pyfuncitem._fixtureinfo.argnames
    running.run(test(**{name: pyfuncitem.funcargs[name] for name in names}))
    return True


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Any:
    report = yield
    running = item.stash.get(_WORLD, None)
    if running is not None:
        if call.when == "call":
            item.user_properties.append(("v2x_seed", running.seed))
        if report.failed:
            tail = "\n".join(str(line)[:200] for line in running.world.transcript.lines[-15:])
            text = f"seed {running.seed}; repeat with: pytest --v2x-seed {running.seed} {item.nodeid!r}\n\n{tail}"
            report.sections.append(("v2x world", text))
    return report


# Fixtures ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def v2x_world(request: pytest.FixtureRequest) -> Iterator[World]:
    """The whole emulated world, for parts without a fixture of their own."""
    options: dict[str, Any] = {}
    for mark in reversed(list(request.node.iter_markers("v2x"))):  # the nearest mark takes precedence
        if mark.args:
            raise pytest.UsageError(f"the mark v2x takes names, such as scenario={mark.args[0]!r}")
        options |= mark.kwargs
    overriding = request.config.getoption("--v2x-seed")
    seed = overriding if overriding is not None else options.pop("seed", DEFAULT_SEED)
    options.pop("seed", None)
    plan = plan_of(options)

    def make() -> World:
        from emulators.world import World

        return World(plan, seed, fast_forward=True)

    running = RunningWorld(make, int(seed))
    request.node.stash[_WORLD] = running
    try:
        yield running.world
    finally:
        folder = request.config.getoption("--v2x-artifacts")
        try:
            if folder is not None:
                _store_artifacts(running.world, Path(folder), request.node.nodeid)
        finally:
            running.close()


@pytest.fixture
def v2x_clock(v2x_world: World, request: pytest.FixtureRequest) -> WorldClock:
    """The clock of the emulated world."""
    return WorldClock(request.node.stash[_WORLD])


@pytest.fixture
def v2x_broker(v2x_world: World, v2x_clock: WorldClock) -> MemoryBroker:
    """The MQTT broker in memory, with its fault injection."""
    return v2x_world.broker


@pytest.fixture
def v2x_gateway(v2x_world: World, v2x_clock: WorldClock) -> Gateway:
    """The gateway in operation: its production code."""
    assert v2x_world.gateway is not None
    return v2x_world.gateway


@pytest.fixture
def v2x_charger(v2x_world: World, v2x_clock: WorldClock) -> Charger:
    """The first charging station, online, and its device model with the gateway."""
    charger = Charger(v2x_world, next(iter(v2x_world.stations)))
    v2x_clock.until(lambda: bool(charger.station.online), READY_WITHIN_S, what=f"{charger.name} online")
    v2x_clock.advance(INVENTORY_S)
    return charger


@pytest.fixture
def v2x_ev(v2x_world: World, v2x_charger: Charger, v2x_ev_factory: Callable[..., Ev]) -> Ev:
    """The first car of the mark (a 63 kWh CCS car at 80 %), plugged in and in the charge loop."""
    name = next(iter(v2x_world.cars), None)
    if name is None:
        raise pytest.UsageError("the mark v2x of this test has no cars: set cars={...}, or use v2x_ev_factory")
    return v2x_ev_factory(v2x_world.cars[name], evse=v2x_world.assigned_evses[name])


@pytest.fixture
def v2x_ev_factory(v2x_world: World, v2x_clock: WorldClock, request: pytest.FixtureRequest) -> Callable[..., Ev]:
    """Create cars: `v2x_ev_factory("id-77", soc_pct=50, evse="CP1-1")`; a profile's name or file, a CarSpec, a Car."""
    running = request.node.stash[_WORLD]

    def make(profile: Any = "ccs-63", *, soc_pct: float = 80.0, evse: str = "CP1-1", plugged: bool = True) -> Ev:
        from emulators.ev.car import Car, CarSpec
        from emulators.ev.profile import load
        from emulators.scenario import validation

        world: World = running.world
        if evse not in world.bays:
            raise ValueError(f"unknown EVSE {evse}; known: {', '.join(world.bays)}")
        if isinstance(profile, Car):
            car = profile
        else:
            spec = profile if isinstance(profile, CarSpec) else load(profile)
            car = Car(spec, soc_pct, name=f"{spec.name}-{len(world.cars) + 1}")
        if missing := validation.missing_protocol(car.spec, world.bays[evse].settings.vehicle_link):
            links = validation.other_link(car.spec)
            raise ValueError(f"{missing}, which {evse} needs: mark the test v2x with vehicle_link = {links}")
        if plugged and running.in_a_coroutine:
            raise RuntimeError("in a coroutine create the car with plugged=False, then await its plug()")
        world.add_car(car)
        ev = Ev(running, car, world.bays[evse])
        if plugged:
            v2x_clock.run(ev.plug())
            try:
                v2x_clock.until(lambda: ev.charging, READY_WITHIN_S, what=f"charge loop of {car.name} at {evse}")
            except TimeoutError as error:
                raise TimeoutError(f"{error}{ev.last_session_end}") from None
        return ev

    return make


@pytest.fixture
def v2x_site(v2x_world: World, v2x_clock: WorldClock) -> Site:
    """The physical model of the site: loads, photovoltaics, storage, switch, meter."""
    return v2x_world.site


@pytest.fixture
def v2x_grid(v2x_world: World, v2x_clock: WorldClock, request: pytest.FixtureRequest) -> GridHandle:
    """The public grid."""
    return GridHandle(request.node.stash[_WORLD], v2x_world.site.grid)


@pytest.fixture
def v2x_facility(v2x_world: World, v2x_clock: WorldClock) -> Facility:
    """The energy management system of the facility: `command`, `hold`, `outcome` over MQTT."""
    v2x_clock.until(lambda: v2x_world.facility.online is True, READY_WITHIN_S, what="gateway online over MQTT")
    return v2x_world.facility


@pytest.fixture
def v2x_fault(v2x_world: World, v2x_clock: WorldClock, request: pytest.FixtureRequest) -> Callable[..., Fault]:
    """Inject a fault: `v2x_fault("cut", "ocpp:CP1")`, `v2x_fault("meter-stuck", "CP1-1", duration_s=60)`.

    In a coroutine the fault begins when the test next waits.
    """
    running = request.node.stash[_WORLD]

    def on_done(task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            running.errors.append(error)

    def begin(kind: str, target: str = "", duration_s: float | None = None, **more: float) -> Fault:
        from emulators.faults.fault import Fault

        fault = Fault(kind, target, v2x_clock.now(), duration_s, **more)
        if running.in_a_coroutine:
            task = asyncio.get_running_loop().create_task(v2x_world.inject(fault))
            v2x_world.tasks.add(task)
            task.add_done_callback(v2x_world.tasks.discard)
            task.add_done_callback(on_done)
        else:
            v2x_clock.run(v2x_world.inject(fault))
        return fault

    return begin


def _store_artifacts(world: World, folder: Path, test: str) -> None:
    name = re.sub(r"[^A-Za-z0-9._-]+", "_", test)[-120:]
    folder.mkdir(parents=True, exist_ok=True)
    world.transcript.write(folder / f"{name}.jsonl")
    figures = {"seed": world.seed, "figures": world.recording.figures(), "events": world.recording.event_rows()}
    with private_file.replacing(folder / f"{name}.json") as out:
        out.write(json.dumps(figures, indent=2) + "\n")
    for evse, capture in world.captures.items():
        if len(capture):
            capture.write(folder / f"{name}.{evse}{capture.suffix}")
