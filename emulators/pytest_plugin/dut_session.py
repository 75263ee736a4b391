"""Devices under test that have sessions: their address, one session with its records, artefacts, bounded time."""

from __future__ import annotations

import asyncio
import io
import json
import os
import re
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import pytest

from protocols import private_file

T = TypeVar("T")


@dataclass(slots=True)
class Session:
    """One session with the device: exit status, and the records of the emulator as its command prints with --json."""

    status: int
    records: list[dict[str, object]] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """True if the session ended well."""
        return self.status == 0

    def of(self, event: str) -> list[dict[str, object]]:
        """Return the records of an event, such as `Measured` or `ChargeLoopAnswered`."""
        return [one for one in self.records if one.get("event") == event]

    @property
    def powers_w(self) -> list[float]:
        """Power over time as our side measured it, + into the EV."""
        return [number(one.get("power_w")) for one in self.of("Measured")]


class Device:
    """A device at `target`, and the artefacts of one test with it."""

    def __init__(self, config: pytest.Config, target: str, name: str) -> None:
        self.target = target
        folder = config.getoption("--v2x-artifacts")
        self._folder = None if folder is None else Path(folder) / re.sub(r"[^\w.-]+", "_", name)
        self._count = 0

    def _artefact(self, suffix: str) -> Path | None:
        """Return the file of the next session or case, None without artefacts."""
        if self._folder is None:
            return None
        self._folder.mkdir(parents=True, exist_ok=True)
        return self._folder / f"{self._count:02d}{suffix}"

    def _records(self, out: io.StringIO) -> list[dict[str, object]]:
        """Return what an emulator printed, and store it."""
        lines = [line for line in out.getvalue().splitlines() if line.startswith("{")]
        file = self._artefact(".jsonl")
        if file is not None:
            with private_file.replacing(file) as written:
                written.write("\n".join(lines) + "\n")
        return [json.loads(line) for line in lines]


def number(value: object) -> float:
    """Return a number of a record; NaN for anything else."""
    return float(value) if isinstance(value, int | float) else float("nan")


def timed(work: Coroutine[object, None, T], within_s: float, what: Callable[[], str]) -> T:
    """Run a coroutine in bounded time; a test that exceeds it fails with what `what` returns."""

    async def bounded() -> T:
        running = asyncio.get_running_loop().create_task(work)
        done, _ = await asyncio.wait({running}, timeout=within_s)
        if not done:  # a command that is cancelled ends in the regular way
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
            raise TimeoutError
        return running.result()

    try:
        return asyncio.run(bounded())
    except TimeoutError:
        pytest.fail(f"{what()} within {within_s:g} s", pytrace=False)


def target(request: pytest.FixtureRequest, role: str, form: str) -> str:
    """Return where the device of a test is: of the nearest mark, the option or the environment; skip without one.

    `form`: how a target is written, for the reason of the skip.
    """
    marks = [one.kwargs[role] for one in request.node.iter_markers("v2x_dut") if role in one.kwargs]
    option, variable = f"--v2x-dut-{role}", f"V2X_DUT_{role.upper()}"
    given = marks[0] if marks else request.config.getoption(option) or os.environ.get(variable)
    if not given:
        what = f"{option} {form}, {variable}, or the mark v2x_dut({role}=...)"
        pytest.skip(f"{request.fixturename} needs the device: {what}")
    return str(given)
