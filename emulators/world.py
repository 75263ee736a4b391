"""A whole world in one process: the real gateway, emulated stations, cars, a site and its controller, in virtual time.

Everything is joined by wires in memory, so that hours pass in seconds and the same seed says the same words on every
machine. `simulate` runs a scenario file; `World` is for those who want to reach into it while it runs.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from emulators import faults
from emulators.bay import Bay
from emulators.broker import MemoryBroker
from emulators.charger.build import dialect_of
from emulators.charger.meter import Meter, MeterSpec
from emulators.charger.power_stage import PowerStage, StageSpec
from emulators.charger.station import Station, StationConfig
from emulators.clock import SkewedClock, VirtualClock, run_virtual
from emulators.ev import driver, profile
from emulators.ev.car import Car
from emulators.pcap import Capture
from emulators.record import Record
from emulators.scenarios import scenario as scenarios
from emulators.scenarios.scenario import CarPart, ChargerPart, CommandPart, InputPart, Scenario
from emulators.site.build import build_site
from emulators.site.facility import LEASED, Facility
from emulators.transcript import Transcript
from emulators.wires import Link, text_wire_pair
from gateway.app import Gateway, Parts, gateway
from gateway.config import Config, from_table
from gateway.model.journal import Record as Record_
from gateway.store.memory import MemoryStore
from gateway.store.ports import Store
from protocols.ocpp.schema import Version
from protocols.ports import Bus, BusMessage, TextWire

GATEWAY_ID = "gw1"
KILLS = 20  # times a gateway is told to die before the world gives up on it
VERSIONS = {"1.6": Version.V16, "2.0.1": Version.V201, "2.1": Version.V21}


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a run gave."""

    scenario: Scenario
    seed: int
    figures: dict[str, float]
    broken: list[str]  # expectations that did not hold
    record: Record
    transcript: Transcript
    virtual_s: float
    real_s: float
    cpu_s: float

    @property
    def passed(self) -> bool:
        return not self.broken

    def summary(self) -> dict[str, Any]:
        """The JSON object of `v2x sim --json`."""
        return {
            "scenario": self.scenario.name,
            "seed": self.seed,
            "passed": self.passed,
            "broken": self.broken,
            "virtual_s": round(self.virtual_s, 3),
            "real_s": round(self.real_s, 3),
            "cpu_s": round(self.cpu_s, 3),
            "speed": round(self.virtual_s / self.real_s, 1) if self.real_s > 0 else None,
            "messages": dict(sorted(self.transcript.counts.items())),
            "transcript": self.transcript.digest(),
            "figures": self.figures,
            "events": self.record.events(),
        }


@dataclass
class World:
    """The parts, joined. `run` lives it; everything may be reached into while it does."""

    scenario: Scenario
    seed: int | None = None
    keep_transcript: bool = True
    fast_forward: bool = False  # leave out charge loops that only repeat
    progress: Callable[[float], None] = lambda part: None
    stations: dict[str, Station] = field(default_factory=dict)
    bays: dict[str, Bay] = field(default_factory=dict)
    cars: dict[str, Car] = field(default_factory=dict)
    gateway: Gateway | None = None

    def __post_init__(self) -> None:
        plan = self.scenario
        self.seed = plan.seed if self.seed is None else self.seed
        self.clock = VirtualClock(plan.start.timestamp())
        self.transcript = Transcript(keep=self.keep_transcript)
        self.broker = MemoryBroker()
        self.store = MemoryStore()
        self.site = build_site(plan, int(self.seed))
        self.parts = faults.Parts(self.clock, broker=self.broker, site=self.site, seed=self.seed)
        self.facility = Facility(plan.gateway.site, self._facility_link, self.clock, self.site)
        self.facility.mute = self.parts.mute_inputs
        self.facility.sense_every_s = plan.step
        self.broker.spy = self._published
        self._config = self._make_config()
        self._life: _Life | None = None
        self._gateway_clock = SkewedClock(self.clock)
        self._attached: set[asyncio.Task[None]] = set()
        self.tasks: set[asyncio.Task[None]] = set()  # of whoever reaches into the world: they end with it
        self.captures: dict[str, Capture] = {}  # of each EVSE's sessions, while the transcript is kept
        self.parts.clocks["gateway"] = self._gateway_clock
        self.parts.restarts["gateway"] = self.restart_gateway
        for part in plan.charger:
            self._make_chargers(part)
        self._make_cars()
        self.record = Record(self.site, self.cars, self.bays, self.facility, plan.gateway.min_soc_pct)
        self.site.report = lambda what, why: self._happened(what, why)

    # Living

    async def run(self) -> None:
        """From the start of the scenario to its end."""
        async with contextlib.AsyncExitStack() as life:
            await life.enter_async_context(self.living())
            await self.clock.sleep(max(0.0, self.scenario.duration - self.clock.now()))

    @contextlib.asynccontextmanager
    async def living(self) -> AsyncIterator[World]:
        """The world lives while this context is entered: for tests that do things of their own to it."""
        plan = self.scenario
        async with asyncio.TaskGroup() as tasks:
            await self.start_gateway()
            started = [tasks.create_task(self.facility.run(), name="facility")]
            for name, station in self.stations.items():
                started.append(tasks.create_task(station.run(), name=name))
            started.append(tasks.create_task(self._live_site(), name="site"))
            started.extend(
                tasks.create_task(self._visits(car, bay, part), name=car.name) for car, bay, part in self._drivers()
            )
            started.extend(tasks.create_task(self._command(part), name="command") for part in plan.command)
            started.extend(tasks.create_task(self._input(part), name="input") for part in plan.input)
            plan_of_faults = [
                faults.Fault(part.kind, part.target, part.at, part.duration, part.rate, part.value)
                for part in plan.fault
            ]
            if plan.chaos is not None:
                targets = self._breakable(plan.chaos.kinds)
                plan_of_faults += faults.random_faults(int(self.seed or 0), plan.duration, targets, plan.chaos.count)
            if plan_of_faults:
                started.append(tasks.create_task(faults.play(self.parts, plan_of_faults, self._fault_told)))
            if plan.gateway.mode != "manual" or plan.gateway.peak_limit_w is not None:
                started.append(tasks.create_task(self._set_policy()))
            try:
                yield self
            finally:
                self.transcript.keep = False  # what follows is the end of the process, in no order
                for task in [*started, *self.tasks]:
                    task.cancel()
                await self._stop_gateway()
                for bay in self.bays.values():
                    if bay._life is not None:
                        bay._life.cancel()

    async def _live_site(self) -> None:
        plan, clock = self.scenario, self.clock
        sampled, count = -1.0, 0
        while True:
            count += 1
            await clock.sleep(max(0.0, count * plan.step - clock.now()))
            now, wall = count * plan.step, clock.wall()
            balance = self.site.step(now, wall, plan.step)
            for bay in self.bays.values():
                bay.glance()
            self.record.step(balance)
            await self.facility.sense(balance, wall)
            if now - sampled >= plan.sample - 1e-6:
                sampled = now
                self.record.sample(now, balance)
                self.progress(min(1.0, now / plan.duration))

    # The gateway

    async def start_gateway(self) -> None:
        """Start it, with what its store remembers."""
        ready: asyncio.Future[Gateway] = asyncio.get_running_loop().create_future()
        life = _Life(self)
        life.task = asyncio.get_running_loop().create_task(life.run(ready), name="gateway")
        life.task.add_done_callback(lambda task: None if ready.done() else _pass_on(task, ready))
        self._life = life
        self.gateway = await ready

    async def _stop_gateway(self) -> None:
        """The process dies: nothing more is said to anybody, and nothing more is kept."""
        life, self._life, self.gateway = self._life, None, None
        if life is not None:
            life.dead = True
        for link in self.parts.text_links.values():
            link.cut()
        self.broker.cut(GATEWAY_ID)
        for task in list(self._attached):
            task.cancel()
        for _ in range(KILLS):
            await asyncio.sleep(0.01)  # its rooms see that their links are gone before they are told to stop
            if life is None or life.task is None or life.task.done():
                break
            life.task.cancel()
            await asyncio.wait({life.task}, timeout=1.0)

    async def restart_gateway(self, dark_s: float = 5.0) -> None:
        """Kill it and start it again after a while; its store is what survives."""
        self._happened("gateway", "killed")
        await self._stop_gateway()
        await self.clock.sleep(dark_s)
        await self.start_gateway()
        self._happened("gateway", "started again")

    def _facility_link(self) -> AbstractAsyncContextManager[Bus]:
        return self.broker.client("facility", clean_start=False, session_expiry_s=300.0)

    def _make_config(self) -> Config:
        part = self.scenario.gateway
        site: dict[str, Any] = {"id": part.site, "min_soc_pct": part.min_soc_pct}
        if part.import_limit_w is not None:
            site["import_limit_w"] = part.import_limit_w
        if part.export_limit_w is not None:
            site["export_limit_w"] = part.export_limit_w
        stations = [{"id": name} for charger in self.scenario.charger for name in charger.ids()]
        return from_table(
            {
                "site": site,
                "mqtt": {"gateway_id": GATEWAY_ID, "telemetry_s": self.scenario.telemetry, "homeassistant": "off"},
                "ocpp": {"security_profile": 0},
                "store": {"url": "memory:"},
                "stations": stations,
                "energy": {"nominal_hz": self.scenario.grid.nominal_hz, **part.energy},
            }
        )

    # Chargers and cars

    def _make_chargers(self, part: ChargerPart) -> None:
        for name in part.ids():
            supply = None if part.supply_w is None else part.supply_w / part.evses
            bays = []
            for number in range(1, part.evses + 1):
                spec = StageSpec(
                    max_charge_w=part.max_charge_w,
                    max_discharge_w=part.max_discharge_w,
                    max_current_a=part.max_current_a,
                    min_power_w=part.min_power_w,
                    ramp_w_per_s=part.ramp_w_per_s,
                    standby_w=part.standby_w,
                    forming=part.forming,
                )
                evse = f"{name}-{number}"
                seed = random.Random(f"meter-{self.seed}-{evse}").randrange(1 << 30)
                stage = PowerStage(spec, Meter(MeterSpec(class_pct=part.meter_class_pct), seed), self.scenario.step)
                if supply is not None:
                    stage.supply_limit_w = supply
                bay = Bay(
                    evse,
                    number,
                    stage,
                    self.clock,
                    self.transcript,
                    self.parts,
                    min(0.25, self.scenario.loop),
                    part.vehicle_link != "none",
                    hurries=self.fast_forward,
                )
                if self.transcript.keep:
                    bay.capture = self.captures[evse] = Capture()
                bays.append(bay)
                self.bays[evse] = bay
                self.site.cars[evse] = stage
                self.parts.stages[evse] = stage
            clock = SkewedClock(self.clock, drift_ppm=part.clock_drift_ppm)
            self.parts.clocks[name] = clock
            config = StationConfig(
                name,
                VERSIONS[part.ocpp],
                meter_interval_s=self.scenario.telemetry,
                tick_s=self.scenario.tick,
                seed=random.Random(f"station-{self.seed}-{name}").randrange(1 << 30),
            )
            station = Station(config, [bay.outlet for bay in bays], clock, self._door(name), dialect_of)
            for bay in bays:
                bay.bind(station)
            self.stations[name] = station

    def _door(self, name: str) -> Callable[[Version], Awaitable[TextWire]]:
        """How a station reaches the gateway."""

        async def connect(version: Version) -> TextWire:
            running = self.gateway
            if running is None or running.csms is None:
                raise ConnectionRefusedError("the gateway is not running")
            link: Link[str] = Link()
            link.spy = lambda sender, text: self.transcript.ocpp(self.clock.now(), name, sender, text)
            near, far = text_wire_pair(name, GATEWAY_ID, subprotocol=version.value, link=link)
            self.parts.text_links[name] = link
            task = asyncio.get_running_loop().create_task(running.csms.attach(far, name))
            self._attached.add(task)
            task.add_done_callback(self._attached.discard)
            return near

        return connect

    def _make_cars(self) -> None:
        places = dict(self.scenario.cars())
        for part in self.scenario.car:
            spec = profile.load(part.profile)
            for n in range(part.count):
                name = part.name if part.count == 1 else f"{part.name}{n + 1}"
                draw = random.Random(f"car-{self.seed}-{name}")
                soc = part.soc_pct + draw.uniform(-1, 1) * part.soc_spread_pct
                car = Car(spec, min(100.0, max(0.0, soc)), name=name, ambient_c=self.scenario.site.ambient_c)
                if part.floor_pct is not None:
                    car.v2x_min_soc_pct = max(part.floor_pct, spec.min_soc_pct)
                self.cars[name] = car
                self.parts.cars[name] = car
        self._places = places

    def _drivers(self) -> list[tuple[Car, Bay, CarPart]]:
        found = []
        for part in self.scenario.car:
            for n in range(part.count):
                name = part.name if part.count == 1 else f"{part.name}{n + 1}"
                found.append((self.cars[name], self.bays[self._places[name]], part))
        return found

    async def _visits(self, car: Car, bay: Bay, part: CarPart) -> None:
        plan = self.scenario
        if part.habit is not None:
            told = part.habit
            local = plan.start.hour + plan.start.minute / 60
            habit = driver.Habit(told.arrives_h, told.leaves_h, told.spread_h, told.driven_wh)
            days = int(plan.duration // 86400) + 2
            visits = habit.visits(days, f"{self.seed}-{car.name}", local)
        elif part.visits:
            visits = [driver.Visit(v.arrive, v.leave, v.driven_wh, v.floor_pct, v.target_pct) for v in part.visits]
        else:
            visits = [driver.Visit(0.0, plan.duration + 86400.0, announces_departure=False)]

        async def plug(one: Car) -> None:
            self._happened("car", f"{one.name} arrives at {bay.evse} with {one.soc_pct:.0f} %")
            await bay.plug(one)

        async def unplug(one: Car) -> None:
            self._happened("car", f"{one.name} leaves {bay.evse} with {one.soc_pct:.0f} %")
            await bay.unplug(one)

        await driver.keep(car, visits, self.clock, plug, unplug)

    # The site and its controller

    async def _command(self, part: CommandPart) -> None:
        await self.clock.sleep(max(0.0, part.at - self.clock.now()))
        fields = part.model_dump(exclude={"at", "target", "verb", "hold"}, exclude_none=True)
        try:
            if part.verb in LEASED and part.hold is not None:
                await self.facility.hold(part.target, part.verb, part.hold, **fields)
            else:
                result = await self.facility.command(part.target, part.verb, **fields)
                said = result.get("reason") or {}
                self._happened(
                    "command", f"{part.verb} {part.target}: {result['status']} {said.get('text', '')}".strip()
                )
        except (OSError, TimeoutError) as error:
            self._happened("command", f"{part.verb} {part.target}: no answer ({error or 'timeout'})")

    async def _input(self, part: InputPart) -> None:
        await self.clock.sleep(max(0.0, part.at - self.clock.now()))
        try:
            await self.facility.tell(part.kind, part.body, self.clock.wall())
        except (OSError, TimeoutError) as error:
            self._happened("input", f"{part.kind}: not told ({error or 'timeout'})")

    async def _set_policy(self) -> None:
        part = self.scenario.gateway
        await self.clock.sleep(2.0)
        if part.mode != "manual":
            await self.facility.command("site", "mode", mode=part.mode)
        if part.peak_limit_w is not None:
            await self.facility.command("site", "peak_limit", import_w=part.peak_limit_w)

    # What is written down

    def _published(self, client: str, message: BusMessage) -> None:
        text = message.payload.decode("utf-8", "replace")
        self.transcript.add(self.clock.now(), f"mqtt:{message.topic}", client, text)

    def _happened(self, what: str, text: str) -> None:
        self.record.note(self.clock.now(), what, text)
        self.transcript.add(self.clock.now(), "world", what, text)

    async def break_now(self, command: str) -> None:
        """A live command: "<kind> [<target> [<seconds>]]", such as "cut ocpp:CP1". FaultError if that cannot be."""
        words = command.split()
        if not 1 <= len(words) <= 3:
            raise faults.FaultError('a fault is said as "<kind> [<target> [<seconds>]]"')
        try:
            lasts = float(words[2]) if len(words) == 3 else None
        except ValueError:
            raise faults.FaultError(f"{words[2]!r} is no number of seconds") from None
        await self.begin(faults.Fault(words[0], words[1] if len(words) > 1 else "", self.clock.now(), lasts))

    async def begin(self, fault: faults.Fault) -> None:
        """Let a fault begin now, and end when its time is over; this does not wait for that."""
        await faults.begin(self.parts, fault)
        self._fault_told("begins", fault)
        if fault.duration_s is not None:
            task = asyncio.get_running_loop().create_task(self._mend(fault, fault.duration_s))
            self.tasks.add(task)
            task.add_done_callback(self.tasks.discard)

    async def _mend(self, fault: faults.Fault, after_s: float) -> None:
        await self.clock.sleep(after_s)
        await faults.end(self.parts, fault)
        self._fault_told("ends", fault)

    def _breakable(self, kinds: Sequence[str]) -> dict[str, list[str]]:
        """What a seed may break: every kind that heals by itself or by its end, with the targets of this world."""
        ocpp = [f"ocpp:{name}" for name in self.stations]
        iso = [f"iso15118:{name}" for name, bay in self.bays.items() if bay.speaks]
        links, evses = ["mqtt", *ocpp, *iso], list(self.bays)
        every: dict[str, list[str]] = {
            **dict.fromkeys(("delay", "duplicate"), links),
            **dict.fromkeys(("loss", "reorder", "corruption", "half-open", "cut"), ocpp),
            **dict.fromkeys(("meter-stuck", "deaf", "insulation"), evses),
            "broker-stop": [""],
            "broker-freeze": [""],
            "frozen-soc": list(self.cars),
            "clock-jump": list(self.stations),
            "input-silent": ["grid", "load", "meter"],
        }
        return {kind: targets for kind, targets in every.items() if targets and (not kinds or kind in kinds)}

    def wake(self) -> None:
        """Something was done to the world from outside: no charge loop that follows is left out unspoken."""
        for bay in self.bays.values():
            bay.wake()

    def _fault_told(self, what: str, fault: faults.Fault) -> None:
        self.wake()
        self._happened("fault", f"{fault.kind} {fault.target} {what}".replace("  ", " "))


class _Life:
    """One life of the gateway's process. Once dead, its links are refused and its store keeps nothing."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.dead = False
        self.task: asyncio.Task[None] | None = None

    async def run(self, ready: asyncio.Future[Gateway]) -> None:
        world = self.world
        store = cast("Store", _MortalStore(self, world.store))
        parts = Parts(world._gateway_clock, self._link, store, listen=False, seed=world.seed)
        async with gateway(world._config, parts) as running:
            ready.set_result(running)
            await asyncio.get_running_loop().create_future()

    @contextlib.asynccontextmanager
    async def _link(self, will: BusMessage) -> AsyncIterator[Bus]:
        if self.dead:
            raise ConnectionRefusedError("this gateway is dead")
        client = self.world.broker.client
        async with client(GATEWAY_ID, will=will, clean_start=False, session_expiry_s=60.0, acknowledges=True) as bus:
            yield bus


class _MortalStore:
    """The store as one life of the gateway sees it."""

    def __init__(self, life: _Life, store: MemoryStore) -> None:
        self._life, self._store = life, store

    async def write(self, records: Sequence[Record_]) -> None:
        if not self._life.dead:
            await self._store.write(records)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)


def _pass_on(task: asyncio.Task[None], ready: asyncio.Future[Gateway]) -> None:
    """A gateway that ends before it is ready says why to whoever waits for it."""
    error = None if task.cancelled() else task.exception()
    ready.set_exception(error or RuntimeError("the gateway ended before it was ready"))


async def live(make: Callable[[], World]) -> Outcome:
    """Make a world on the running loop and live it to the end of its scenario."""
    began, cpu = time.perf_counter(), time.process_time()
    world = make()
    await world.run()
    for stage in world.site.stages():
        stage.advance(world.scenario.duration)
    record = world.record
    return Outcome(
        world.scenario,
        int(world.seed or 0),
        record.figures(),
        record.broken(world.scenario.expect),
        record,
        world.transcript,
        world.scenario.duration,
        time.perf_counter() - began,
        time.process_time() - cpu,
    )


def simulate(
    scenario: str | Path | Scenario,
    *,
    speed: float | None = None,
    seed: int | None = None,
    report: Path | None = None,
    progress: Callable[[float], None] = lambda part: None,
    keep_transcript: bool = True,
    fast_forward: bool = False,
) -> Outcome:
    """Run a scenario (a file, or the name of one that is shipped) and judge it.

    `speed` is virtual seconds per real second, None as fast as possible; `fast_forward` leaves out charge loops that
    only repeat. `report` is a folder for `report.html`,
    `result.json` and `transcript.jsonl`. ScenarioError says what is wrong with the file.
    """
    plan = scenario if isinstance(scenario, Scenario) else scenarios.load(scenario)
    outcome = run_virtual(live(lambda: World(plan, seed, keep_transcript, fast_forward, progress)), speed)
    if report is not None:
        from emulators.scenarios.report import write

        write(outcome.summary(), outcome.record, plan, report)
        outcome.transcript.write(report / "transcript.jsonl")
    return outcome
