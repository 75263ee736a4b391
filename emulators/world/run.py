"""Simulation run: executes a scenario in a world and judges the result."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TextIO

from emulators.faults.fault import FaultError
from emulators.runtime.clock import run_virtual
from emulators.runtime.transcript import Transcript
from emulators.scenario import loading
from emulators.scenario.scenario import Scenario, ScenarioError
from emulators.world.multi_site import MultiSite
from emulators.world.recording import Recording
from emulators.world.sockets import Sockets
from emulators.world.world import World
from gateway.model.state import Happened
from gateway.observability.log import MEMBERS

MAX_COMMAND_BYTES = 4096
MAX_LOG_CHARACTERS = 300
_RANDOM_ID = re.compile(r"[0-9a-f]{12,}(-[0-9a-f]+)?")  # message ids that differ between runs


@dataclass(frozen=True, slots=True)
class LiveCommands:
    """Live commands of a run: faults, one a line, from a terminal or pipe; `answer` receives the reply to each."""

    source: TextIO
    answer: Callable[[str], None] = lambda text: None


@dataclass(frozen=True, slots=True)
class SimulationResult:
    """Result of a run."""

    scenario: Scenario
    seed: int
    figures: dict[str, float]
    violations: list[str]  # expectations that did not hold
    recording: Recording
    recordings: dict[str, Recording]  # by site, that of the scenario first
    transcript: Transcript
    virtual_s: float
    real_s: float
    cpu_s: float
    transports: str = "memory"

    @property
    def passed(self) -> bool:
        return not self.violations

    def summary(self) -> dict[str, Any]:
        """Return the JSON object of `v2x sim --json`."""
        return {
            "scenario": self.scenario.name,
            "seed": self.seed,
            "transports": self.transports,
            "passed": self.passed,
            "broken": self.violations,
            "virtual_s": round(self.virtual_s, 3),
            "real_s": round(self.real_s, 3),
            "cpu_s": round(self.cpu_s, 3),
            "speed": round(self.virtual_s / self.real_s, 1) if self.real_s > 0 else None,
            "messages": dict(sorted(self.transcript.counts.items())),
            "transcript": self.transcript.digest(),
            "figures": self.figures,
            "events": self.recording.event_rows(),
        }


async def run_world(make: Callable[[], World], live_commands: LiveCommands | None = None) -> SimulationResult:
    """Make a world on the running loop and run it to the end of its scenario."""
    started, cpu = time.perf_counter(), time.process_time()
    world = make()
    async with contextlib.AsyncExitStack() as sources:
        sources.enter_context(_recorded_warnings(world))
        if live_commands is not None:
            await sources.enter_async_context(_accepted_commands(world, live_commands))
        sites = {world.scenario.gateway.site: world}
        if world.scenario.town is None:
            await world.run()
        else:
            multi_site = MultiSite(world)
            sites = multi_site.worlds
            await multi_site.run()
    return SimulationResult(
        world.scenario,
        world.seed,
        world.recording.figures(),
        world.recording.violations(world.scenario.expect),
        world.recording,
        {site: one.recording for site, one in sites.items()},
        world.transcript,
        world.scenario.duration,
        time.perf_counter() - started,
        time.process_time() - cpu,
        world.transports,
    )


@contextlib.asynccontextmanager
async def _accepted_commands(world: World, commands: LiveCommands) -> AsyncIterator[None]:
    """Inject the faults of live commands while the context is entered; record those that are invalid."""
    loop, reader = asyncio.get_running_loop(), asyncio.StreamReader(limit=MAX_COMMAND_BYTES)

    async def accept() -> None:
        while line := await reader.readline():
            command = line.decode("utf-8", "replace").strip()
            try:
                if command:
                    await world.inject_command(command)
                    commands.answer(f"{world.clock.now():.1f} s: {command} begins")
            except FaultError as error:
                world.record_event("fault", f"invalid command: {error}")
                commands.answer(f"{world.clock.now():.1f} s: invalid command: {error}")

    try:
        transport, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), commands.source)
    except ValueError:
        raise ScenarioError("live commands are read from a terminal or a pipe, not from a file") from None
    task = loop.create_task(accept())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        transport.close()


@contextlib.contextmanager
def _recorded_warnings(world: World) -> Iterator[None]:
    """Record the warnings that the gateway logs, at their times; its events are recorded as the facility gets them, but
    for a lost broker, of which the facility gets none at that time."""
    handler = _WarningRecorder(world)
    handler.addFilter(
        lambda record: record.name != "v2x.event" or getattr(record, MEMBERS, {}).get("event") == Happened.BROKER_LOST
    )
    log = logging.getLogger("v2x")
    log.addHandler(handler)
    try:
        yield
    finally:
        log.removeHandler(handler)


class _WarningRecorder(logging.Handler):
    def __init__(self, world: World) -> None:
        super().__init__(logging.WARNING)
        self._world = world

    def emit(self, record: logging.LogRecord) -> None:
        text = _RANDOM_ID.sub("…", record.getMessage())[:MAX_LOG_CHARACTERS]
        self._world.recording.add_event(self._world.clock.now(), "log", text)


def simulate(
    scenario: str | Path | Scenario,
    *,
    speed: float | None = None,
    seed: int | None = None,
    report: Path | None = None,
    progress: Callable[[float], None] = lambda fraction: None,
    keep_transcript: bool = True,
    fast_forward: bool = False,
    sockets: Sockets | None = None,
    live_commands: LiveCommands | None = None,
) -> SimulationResult:
    """Run a scenario (a file, the name of a shipped one, or a loaded one) and judge the result.

    `speed` is virtual seconds per real second, None as fast as possible; `fast_forward` skips charge loops that only
    repeat. `sockets` connects the parts by real sockets; these and live commands need a speed. `report` is a folder for
    `report.html`, `result.json`, `junit.xml` and `transcript.jsonl`. Raises ScenarioError if the file or a combination
    of options is invalid.
    """
    loaded = scenario if isinstance(scenario, Scenario) else loading.load(scenario)
    if sockets is not None:
        sockets.check(loaded, speed)
    if live_commands is not None and speed is None:
        raise ScenarioError("live commands need a limited speed: use --speed real, or a number")

    make = partial(
        World,
        loaded,
        seed,
        keep_transcript=keep_transcript,
        fast_forward=fast_forward,
        progress=progress,
        sockets=sockets,
    )
    if report is not None:
        report.mkdir(parents=True, exist_ok=True)  # fail before the run if the folder cannot be created
    result = run_virtual(run_world(make, live_commands), speed)
    if report is not None:
        from emulators.world.report import html, junit

        summary = result.summary()
        html.write(summary, result.recordings, loaded, report)
        junit.write(summary, loaded, report / "junit.xml")
        result.transcript.write(report / "transcript.jsonl")
    return result
