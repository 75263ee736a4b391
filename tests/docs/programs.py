"""Programs that a page of the documents starts, in shells of their own, with the ports of a test."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.docs.pages import blocks, shell_lines

WITHIN_S = 60.0


def commands(page: Path) -> list[str]:
    """Return the commands of a page in their order."""
    return [line for block in blocks(page, "sh") for line in shell_lines(block)]


@dataclass
class Programs:
    """Programs of the page, in a folder with their output."""

    folder: Path
    ports: dict[str, int]
    running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def line(self, text: str) -> str:
        """Return a line of the page with the ports of this test."""
        return re.sub("|".join(self.ports), lambda found: str(self.ports[found[0]]), text)

    def run(self, line: str) -> str:
        """Run a line to its end and return its output."""
        done = subprocess.run(
            ["bash", "-c", self.line(line)], cwd=self.folder, env=environment(), capture_output=True, text=True,
            timeout=WITHIN_S, check=False,
        )  # fmt: skip
        assert done.returncode == 0, f"{line}: {done.stdout}{done.stderr}"
        return done.stdout

    def start(self, line: str, more: str = "") -> None:
        """Start a line in a shell of its own."""
        name = line.split()[1] if line.startswith("v2x") else line.split()[0]
        with (self.folder / f"{name}.log").open("wb") as output:
            self.running[name] = subprocess.Popen(
                ["bash", "-c", f"exec {self.line(line)} {more}"], cwd=self.folder, env=environment(),
                stdout=output, stderr=output,
            )  # fmt: skip

    def output(self, name: str) -> str:
        return (self.folder / f"{name}.log").read_text(errors="replace")

    def interrupt(self, name: str) -> list[str]:
        """Send Ctrl-C and return the lines that the program has written."""
        self.running[name].send_signal(signal.SIGINT)
        assert self.running[name].wait(20) in (0, 130), self.output(name)
        return self.output(name).splitlines()

    def until(self, what: str, reached: Callable[[], bool]) -> None:
        deadline = time.monotonic() + WITHIN_S
        while not reached():
            if time.monotonic() > deadline:
                tails = "\n".join(f"== {name}\n{self.output(name)[-1500:]}" for name in self.running)
                raise AssertionError(f"not within {WITHIN_S:g} s: {what}\n{tails}")
            time.sleep(0.1)


def environment() -> dict[str, str]:
    """Return the environment of a shell in which `v2x` is found."""
    return os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}


@contextmanager
def programs(folder: Path, ports: dict[str, int]) -> Iterator[Programs]:
    """Programs of a page, which end with the context. `ports`: the port of the test for each one of the page."""
    programs = Programs(folder, ports)
    try:
        yield programs
    finally:
        for one in programs.running.values():
            one.kill()
            one.wait(10)
