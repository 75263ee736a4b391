"""Run the tests against each mutant, in the mutated copy: `python -m tests.mutants.run JOB RESULT`.

pytest collects once and runs every test once without a mutant, which shows what each test calls. Then each mutant gets
a forked process, in which the tests that call the mutated function run, the fastest first, until one of them fails. A
mutant is given several times the time of these tests, on the processor and on the clock.
"""

from __future__ import annotations

import json
import math
import os
import resource
import signal
import sys
import time
import warnings
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import pytest
from mutmut.mutation.trampoline import set_mutant_under_test
from mutmut.state import state

from tests.mutants.generate import Mutant

CPU_FACTOR, CPU_MORE_S = 4.0, 5.0
WALL_FACTOR, WALL_MORE_S = 10.0, 30.0
MEMORY = 6 << 30


@dataclass
class Running:
    """A mutant under test."""

    mutant: Mutant
    until: float


class Mutants:
    """Replaces pytest's loop over the tests."""

    def __init__(self, mutants: list[Mutant], targets: dict[str, list[str]], jobs: int) -> None:
        self._mutants, self._targets, self._jobs = mutants, targets, jobs
        self._callers: dict[str, list[pytest.Item]] = defaultdict(list)
        self._seconds: dict[pytest.Item, float] = {}
        self.outcomes: dict[str, str] = {}  # by the mutant's key

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        if session.testsfailed:
            raise session.Interrupted("collecting the tests failed")
        self._without_mutants(session)
        if session.testsfailed:
            raise session.Interrupted("a test fails without any mutant")
        waiting, running = list(reversed(self._mutants)), dict[int, Running]()
        while waiting or running:
            while waiting and len(running) < self._jobs:
                self._start(session, waiting.pop(), running)
            self._collect(running)
            time.sleep(0.005)
        return True

    def _without_mutants(self, session: pytest.Session) -> None:
        set_mutant_under_test("stats")
        for item in session.items:
            state()._stats.clear()
            begun = time.perf_counter()
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=None)
            self._seconds[item] = time.perf_counter() - begun
            for function in state()._stats:
                self._callers[function].append(item)
        set_mutant_under_test("none")

    def _start(self, session: pytest.Session, mutant: Mutant, running: dict[int, Running]) -> None:
        prefixes = tuple(self._targets[mutant.path])
        items = [item for item in self._callers[mutant.function] if item.nodeid.startswith(prefixes)]
        if not items:
            self.outcomes[mutant.key] = "survived"
            print(f"no test calls {mutant.function}", flush=True)
            return
        items.sort(key=self._seconds.__getitem__)
        seconds = sum(self._seconds[item] for item in items)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # newer Pythons warn of threads beside a fork
            pid = os.fork()
        if pid == 0:
            _try(session, mutant, items, math.ceil(seconds * CPU_FACTOR + CPU_MORE_S))
        running[pid] = Running(mutant, time.monotonic() + seconds * WALL_FACTOR + WALL_MORE_S)

    def _collect(self, running: dict[int, Running]) -> None:
        for pid, one in list(running.items()):
            late = time.monotonic() > one.until
            if late:
                os.kill(pid, signal.SIGKILL)
            done, status = os.waitpid(pid, 0 if late else os.WNOHANG)
            if not done:
                continue
            del running[pid]
            code = os.waitstatus_to_exitcode(status)
            if late or code in (-signal.SIGXCPU, -signal.SIGKILL):
                outcome = "timed out"
            else:
                outcome = "survived" if code == 0 else "killed"
            self.outcomes[one.mutant.key] = outcome
            if len(self.outcomes) % 100 == 0:
                print(f"{len(self.outcomes)} of {len(self._mutants)}", flush=True)
            if outcome == "survived":
                print(f"survived: {one.mutant.path}: {one.mutant.name}", flush=True)


def _try(session: pytest.Session, mutant: Mutant, items: list[pytest.Item], cpu_s: int) -> NoReturn:
    """In the forked process: exit with 0 if every test passes."""
    code = 1
    try:
        null = os.open(os.devnull, os.O_RDWR)
        for number in (0, 1, 2):
            os.dup2(null, number)
        resource.setrlimit(resource.RLIMIT_CPU, (cpu_s, cpu_s + 5))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
        set_mutant_under_test(mutant.key)
        for item, after in zip(items, [*items[1:], None], strict=True):
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=after)
            if session.testsfailed:
                break
        else:
            code = 0
    finally:
        os._exit(code)


def main() -> int:
    """Read the job, run it, and write the outcomes."""
    job, result = Path(sys.argv[1]), Path(sys.argv[2])
    told = json.loads(job.read_text())
    targets: dict[str, list[str]] = told["targets"]
    plugin = Mutants([Mutant(**one) for one in told["mutants"]], targets, told["jobs"])
    tests = sorted({path for paths in targets.values() for path in paths})
    tests = [path for path in tests if not any(path != other and path.startswith(other + "/") for other in tests)]
    options = ["-q", "-s", "--timeout=0", "--tb=short", "-p", "no:cacheprovider", "-p", "no:xdist"]
    code = pytest.main([*options, "-m", "not soak and not peer and not benchmark", *tests], plugins=[plugin])
    if code == 0:
        result.write_text(json.dumps(plugin.outcomes))
    return int(code)


if __name__ == "__main__":
    sys.exit(main())
