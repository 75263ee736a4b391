"""From a scenario to what came of it: a world is made, lived to its end and judged."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from emulators.faults.injector import FaultError
from emulators.runtime.clock import run_virtual
from emulators.runtime.transcript import Transcript
from emulators.scenario import scenario as scenarios
from emulators.scenario.scenario import Scenario, ScenarioError
from emulators.world.multi_site import MultiSite
from emulators.world.recording import Recording
from emulators.world.sockets import Sockets
from emulators.world.world import World

LONGEST_LINE = 4096
LONGEST_LOG = 300  # characters
_DRAWN = re.compile(r"[0-9a-f]{12,}(-[0-9a-f]+)?")  # ids of messages come of the machine's randomness


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a run gave."""

    scenario: Scenario
    seed: int
    figures: dict[str, float]
    broken: list[str]  # expectations that did not hold
    record: Recording
    transcript: Transcript
    virtual_s: float
    real_s: float
    cpu_s: float
    wires: str = "memory"

    @property
    def passed(self) -> bool:
        return not self.broken

    def summary(self) -> dict[str, Any]:
        """The JSON object of `v2x sim --json`."""
        return {
            "scenario": self.scenario.name,
            "seed": self.seed,
            "wires": self.wires,
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


async def live(
    make: Callable[[], World], spoken: TextIO | None = None, answer: Callable[[str], None] = lambda text: None
) -> Outcome:
    """Make a world on the running loop and live it to the end of its scenario; `spoken` are live commands, by line,
    each of which is answered."""
    began, cpu = time.perf_counter(), time.process_time()
    world = make()
    async with contextlib.AsyncExitStack() as listening:
        listening.enter_context(_overhearing(world))
        if spoken is not None:
            await listening.enter_async_context(_obeying(world, spoken, answer))
        if world.scenario.town is None:
            await world.run()
        else:
            await MultiSite(world).run()
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
        "memory" if world.sockets is None else "sockets",
    )


@contextlib.asynccontextmanager
async def _obeying(world: World, spoken: TextIO, answer: Callable[[str], None]) -> AsyncIterator[None]:
    """Faults as people type them, while the context is entered. What cannot be goes into the diary with its reason."""
    loop, reader = asyncio.get_running_loop(), asyncio.StreamReader(limit=LONGEST_LINE)

    async def obey() -> None:
        while line := await reader.readline():
            command = line.decode("utf-8", "replace").strip()
            try:
                if command:
                    await world.break_now(command)
                    answer(f"{world.clock.now():.1f} s: {command} begins")
            except FaultError as error:
                world.happened("fault", f"not understood: {error}")
                answer(f"{world.clock.now():.1f} s: not understood: {error}")

    try:
        transport, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), spoken)
    except ValueError:
        raise ScenarioError("live commands are read from a terminal or a pipe, not from a file") from None
    task = loop.create_task(obey())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        transport.close()


@contextlib.contextmanager
def _overhearing(world: World) -> Iterator[None]:
    """What the gateway logs as a warning goes into the diary, at its time."""
    ear = _Ear(world)
    log = logging.getLogger("v2x")
    log.addHandler(ear)
    try:
        yield
    finally:
        log.removeHandler(ear)


class _Ear(logging.Handler):
    def __init__(self, world: World) -> None:
        super().__init__(logging.WARNING)
        self._world = world

    def emit(self, record: logging.LogRecord) -> None:
        text = _DRAWN.sub("…", record.getMessage())[:LONGEST_LOG]
        self._world.record.note(self._world.clock.now(), "log", text)


def simulate(
    scenario: str | Path | Scenario,
    *,
    speed: float | None = None,
    seed: int | None = None,
    report: Path | None = None,
    progress: Callable[[float], None] = lambda part: None,
    keep_transcript: bool = True,
    fast_forward: bool = False,
    sockets: Sockets | None = None,
    spoken: TextIO | None = None,
    answer: Callable[[str], None] = lambda text: None,
) -> Outcome:
    """Run a scenario (a file, or the name of one that is shipped) and judge it.

    `speed` is virtual seconds per real second, None as fast as possible; `fast_forward` leaves out charge loops that
    only repeat. `sockets` joins the parts by real ones. `spoken` are live commands, one fault a line, from a pipe or a
    terminal, and `answer` takes what is said to them. Both take a pace. `report` is a folder for `report.html`,
    `result.json`, `junit.xml` and `transcript.jsonl`. ScenarioError says what is wrong with the file or the options.
    """
    plan = scenario if isinstance(scenario, Scenario) else scenarios.load(scenario)
    if sockets is not None:
        sockets.check(plan, speed)
    if spoken is not None and speed is None:
        raise ScenarioError("live commands need a pace to be given in: say --speed real, or a number")

    def make() -> World:
        return World(plan, seed, keep_transcript, fast_forward, progress, sockets=sockets)

    if report is not None:
        report.mkdir(parents=True, exist_ok=True)  # a folder that cannot be is told before anything runs
    outcome = run_virtual(live(make, spoken, answer), speed)
    if report is not None:
        from emulators.scenario import junit
        from emulators.scenario.report import write

        summary = outcome.summary()
        write(summary, outcome.record, plan, report)
        junit.write(summary, plan, report / "junit.xml")
        outcome.transcript.write(report / "transcript.jsonl")
    return outcome
