"""Devices under test that have sessions: their address, one session with its records, artefacts, bounded time."""

from __future__ import annotations

import asyncio
import io
import json
import os
import re
import sys
from collections.abc import Callable, Coroutine
from contextlib import redirect_stderr
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import pytest

from protocols import private_file

T = TypeVar("T")
ARGUMENTS = {"charger", "csms", "station", "ocpp", "password", "within_s", "secc", "ev", "can"}  # of the mark v2x_dut
WRONG_OPTIONS = 2  # exit status of the emulators


@dataclass(slots=True, repr=False)
class Session:
    """One session with the device: exit status, and the records of the emulator as its command prints with --json."""

    status: int
    records: list[dict[str, object]] = field(default_factory=list)

    def __repr__(self) -> str:  # what a failed assertion shows
        return f"{type(self).__name__}(ok={self.ok}, reason={self.reason!r}, {len(self.records)} records)"

    @property
    def reason(self) -> str:
        """Why the session ended, empty if unknown."""
        given = [one["reason"] for one in self.records if one.get("event") in ("Summary", "SessionEnded")]
        return str(given[-1]) if given else ""

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
        self._folder = None if folder is None else Path(folder) / file_name(name)
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


def file_name(test: str) -> str:
    """Return the name of a test's artefacts: its node id, as two files may have tests of the same name."""
    return re.sub(r"[^\w.-]+", "_", test)[-120:]


def number(value: object) -> float:
    """Return a number of a record; NaN for anything else."""
    return float(value) if isinstance(value, int | float) else float("nan")


def timed(work: Coroutine[object, None, int], within_s: float, what: Callable[[], str]) -> int:
    """Return the exit status of an emulator that runs in bounded time.

    A test that exceeds it fails with what `what` returns; one with wrong options fails with the emulator's error.
    """

    async def bounded() -> int | None:
        running = asyncio.get_running_loop().create_task(work)
        done, _ = await asyncio.wait({running}, timeout=within_s)
        if not done:  # a command that is cancelled ends in the regular way
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
            return None
        return running.result()

    errors = io.StringIO()
    with redirect_stderr(errors):
        status = asyncio.run(bounded())
    sys.stderr.write(errors.getvalue())
    if status is None:
        pytest.fail(f"{what()} within {within_s:g} s", pytrace=False)
    if status == WRONG_OPTIONS:
        pytest.fail(errors.getvalue().strip(), pytrace=False)
    return status


def marked(request: pytest.FixtureRequest) -> dict[str, object]:
    """Return the arguments of the marks v2x_dut of a test, of which the nearest takes precedence. Raises UsageError."""
    given: dict[str, object] = {}
    for mark in reversed(list(request.node.iter_markers("v2x_dut"))):
        if mark.args or set(mark.kwargs) - ARGUMENTS:
            raise pytest.UsageError(f"the mark v2x_dut has the arguments {', '.join(sorted(ARGUMENTS))}")
        given |= mark.kwargs
    return given


def target(request: pytest.FixtureRequest, role: str, form: str) -> str:
    """Return where the device of a test is: of the nearest mark, the option or the environment; skip without one.

    `form`: how a target is written, for the reason of the skip.
    """
    option, variable = f"--v2x-dut-{role}", f"V2X_DUT_{role.upper()}"
    given = marked(request).get(role) or request.config.getoption(option) or os.environ.get(variable)
    if not given:
        what = f"{option} {form}, {variable}, or the mark v2x_dut({role}=...)"
        pytest.skip(f"{request.fixturename} needs the device: {what}")
    return str(given)
