"""Run the tests against each mutant, in the mutated copy: `python -m tests.mutants.run JOB OUTCOMES`.

pytest collects once and runs every test once without a mutant, which records the functions that each test calls and its
time. Each mutant then gets a forked process that runs the tests that call the mutated function until one of them fails.
A test that killed other mutants of the function runs earlier, and a short test runs before a long one. Each test has a
limit of processor time and of wall-clock time, several times its own. Each outcome is written when it is known.
"""

from __future__ import annotations

import gc
import json
import os
import resource
import signal
import sys
import time
import warnings
from collections import Counter, defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import pytest
from mutmut.mutation.trampoline import set_mutant_under_test
from mutmut.state import state

from tests.mutants.generate import Mutant

CPU_FACTOR, CPU_MORE_S = 5.0, 2.0
WALL_FACTOR, WALL_MORE_S = 20.0, 20.0
MEMORY = 6 << 30
HARNESS_ERROR = 255  # exit code of a process that fails outside of a test


@dataclass(frozen=True)
class Seconds:
    """Duration of a test without a mutant."""

    cpu: float
    wall: float


@dataclass(frozen=True)
class Running:
    """A mutant under test and its tests in the order in which they run."""

    mutant: Mutant
    items: list[pytest.Item]


class Mutants:
    """Replaces pytest's loop over the tests."""

    def __init__(self, mutants: list[Mutant], targets: dict[str, list[str]], jobs: int, files: dict[str, Path]) -> None:
        self._mutants, self._targets, self._jobs = mutants, targets, jobs
        self._files = files  # for outcomes, by path of the source file
        self._callers: dict[str, list[pytest.Item]] = defaultdict(list)
        self._seconds: dict[pytest.Item, Seconds] = {}
        self._kills: dict[str, Counter[pytest.Item]] = defaultdict(Counter)  # by function
        self._ended = 0

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        if session.testsfailed:
            raise session.Interrupted("collecting the tests failed")
        self._without_mutants(session)
        if session.testsfailed:
            raise session.Interrupted("a test fails without any mutant")
        gc.collect()
        gc.freeze()  # the forked processes share these pages as long as no collection writes to them
        waiting, running = list(reversed(self._mutants)), dict[int, Running]()
        while waiting or running:
            while waiting and len(running) < self._jobs:
                self._start(session, waiting.pop(), running)
            if running:
                self._collect(running)
        return True

    def _without_mutants(self, session: pytest.Session) -> None:
        set_mutant_under_test("stats")
        for item in session.items:
            state()._stats.clear()
            wall, cpu = time.perf_counter(), time.process_time()
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=None)
            self._seconds[item] = Seconds(time.process_time() - cpu, time.perf_counter() - wall)
            for function in state()._stats:
                self._callers[function].append(item)
        set_mutant_under_test("none")
        total = Seconds(sum(one.cpu for one in self._seconds.values()), sum(one.wall for one in self._seconds.values()))
        print(f"\n{len(session.items)} tests take {total.cpu:.1f} s of CPU time, {total.wall:.1f} s", flush=True)

    def _start(self, session: pytest.Session, mutant: Mutant, running: dict[int, Running]) -> None:
        prefixes = tuple(self._targets[mutant.path])
        items = [item for item in self._callers[mutant.function] if item.nodeid.startswith(prefixes)]
        if not items:
            self._record(mutant, "survived")
            return
        kills = self._kills[mutant.function]
        items.sort(key=lambda item: self._seconds[item].cpu / (1 + kills[item]))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # newer Pythons warn of threads beside a fork
            pid = os.fork()
        if pid == 0:
            _try(session, mutant, [(item, self._seconds[item]) for item in items])
        running[pid] = Running(mutant, items)

    def _collect(self, running: dict[int, Running]) -> None:
        """Wait for one of the processes to end."""
        pid, status = os.wait()
        if (one := running.pop(pid, None)) is None:
            return
        code = os.waitstatus_to_exitcode(status)
        if code in (-signal.SIGPROF, -signal.SIGALRM, -signal.SIGKILL):
            self._record(one.mutant, "timed out")
        elif code == 0:
            self._record(one.mutant, "survived")
        elif code == HARNESS_ERROR:
            self._record(one.mutant, "error")
        else:
            if 0 < code < HARNESS_ERROR - 1:
                self._kills[one.mutant.function][one.items[code - 1]] += 1
            self._record(one.mutant, "killed")

    def _record(self, mutant: Mutant, outcome: str) -> None:
        with self._files[mutant.path].open("a") as file:
            file.write(json.dumps([mutant.name, outcome]) + "\n")
        self._ended += 1
        if self._ended % 100 == 0:
            print(f"{self._ended} of {len(self._mutants)}", flush=True)
        if outcome != "killed":
            print(f"{outcome}: {mutant.path}: {mutant.name}", flush=True)


def _try(session: pytest.Session, mutant: Mutant, tests: list[tuple[pytest.Item, Seconds]]) -> NoReturn:
    """In the forked process: exit with 0 if every test passes, else with the number of the test that fails, from 1.

    HARNESS_ERROR - 1 is any later test.
    """
    code = HARNESS_ERROR
    try:
        null = os.open(os.devnull, os.O_RDWR)
        for number in (0, 1, 2):
            os.dup2(null, number)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
        session.config.option.tbstyle = "no"
        set_mutant_under_test(mutant.key)
        for number, (item, seconds) in enumerate(tests, 1):
            after = tests[number][0] if number < len(tests) else None
            signal.setitimer(signal.ITIMER_PROF, seconds.cpu * CPU_FACTOR + CPU_MORE_S)
            signal.setitimer(signal.ITIMER_REAL, seconds.wall * WALL_FACTOR + WALL_MORE_S)
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=after)
            if session.testsfailed:
                code = min(number, HARNESS_ERROR - 1)
                break
        else:
            code = 0
    finally:
        os._exit(code)


def main() -> int:
    """Read the job and run it."""
    content, folder = json.loads(Path(sys.argv[1]).read_text()), Path(sys.argv[2])
    targets: dict[str, list[str]] = content["targets"]
    files = {path: folder / f"{content['digests'][path]}.jsonl" for path in targets}
    plugin = Mutants([Mutant(**one) for one in content["mutants"]], targets, content["jobs"], files)
    tests = sorted({path for paths in targets.values() for path in paths})
    tests = [path for path in tests if not any(path != other and path.startswith(other + "/") for other in tests)]
    # --assert=plain: only whether a test fails counts, not the explanation of the failure
    options = ["-q", "-s", "--timeout=0", "--tb=short", "--assert=plain", "-p", "no:cacheprovider", "-p", "no:xdist"]
    return int(pytest.main([*options, "-m", "not soak and not peer and not benchmark", *tests], plugins=[plugin]))


if __name__ == "__main__":
    sys.exit(main())
