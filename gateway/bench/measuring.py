"""Shared by the benchmarks: times, quantiles, and peer processes that answer in JSON lines."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

INSTALL_WITHIN = 600  # s
Figures: TypeAlias = dict[str, Any]  # what a benchmark prints as JSON


def progress(step: str) -> None:
    """State on the error output what is measured now; the figures come at the end, minutes later for some."""
    sys.stderr.write(f"measuring {step}\n")
    sys.stderr.flush()


def timed_ms(work: Callable[..., Any], *given: Any) -> tuple[Any, float, float]:
    """Return the result of a call, its elapsed ms and its processor ms."""
    began, began_cpu = time.perf_counter(), time.process_time()
    result = work(*given)
    return result, (time.perf_counter() - began) * 1000, (time.process_time() - began_cpu) * 1000


def quantile(values: Sequence[float], part: float, digits: int = 3) -> float | None:
    """Return the value below which a part of the values lies, rounded; None without values."""
    return round(sorted(values)[round((len(values) - 1) * part)], digits) if values else None


def p50_p99(values: Sequence[float], digits: int = 3) -> Figures:
    """Return the median and the 99th percentile."""
    return {"p50": quantile(values, 0.5, digits), "p99": quantile(values, 0.99, digits)}


def resident_kib(pid: int | str = "self") -> int | None:
    """Return the resident memory of a process, where the system reports it."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return None
    return next((int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS:")), None)


class PeerAbsent(RuntimeError):
    """The peer is not available; the text states why."""


def python_with(imports: str, variable: str, place: str, *requirements: str) -> Path:
    """Return an interpreter that can import a package; PeerAbsent, with the command that installs it, if none can.

    It is the one that the environment variable names, or that of `.peers/<place>` in a checkout, or of an environment
    in the user's cache, which is made where it is missing.
    """
    configured = os.environ.get(variable)
    cache = Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")).expanduser() / "v2x-gateway" / place
    places = [Path(".peers") / place, cache]
    for python in [Path(configured)] if configured else [one / "bin/python" for one in places]:
        if python.exists() and not subprocess.run([python, "-c", f"import {imports}"], capture_output=True).returncode:
            return python.absolute()
    if configured:
        command = f"{configured} -m pip install {' '.join(requirements)}"
        raise PeerAbsent(f"{variable}={configured} cannot import {imports}; install it with: {command}")
    try:
        install = [str(cache / "bin/pip"), "install", "--quiet", *requirements]
        for step in ([sys.executable, "-m", "venv", str(cache)], install):
            subprocess.run(step, check=True, capture_output=True, timeout=INSTALL_WITHIN)
    except (OSError, subprocess.SubprocessError) as error:
        output = error.stderr or error.stdout if isinstance(error, subprocess.CalledProcessError) else b""
        reason = (output or str(error).encode()).decode(errors="replace").strip().splitlines()[-1]
        command = f"python3 -m venv {cache} && {cache}/bin/pip install {' '.join(requirements)}"
        raise PeerAbsent(f"{requirements[0]} can't be installed ({reason}); install it with: {command}") from None
    return cache / "bin" / "python"


class JsonProcess:
    """A process that answers each line of its input with one JSON object; it ends with its input."""

    def __init__(
        self,
        command: Sequence[str],
        environment: Mapping[str, str] | None = None,
        *,
        reports: bool = False,
        nice: int = 0,
    ) -> None:
        """`reports`: what it writes to its error output is shown. `nice` is what its priority is lower by."""
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=None if reports else subprocess.DEVNULL,
            env={**os.environ, **(environment or {})},
            text=True,
        )
        if nice:
            os.setpriority(os.PRIO_PROCESS, self._process.pid, os.getpriority(os.PRIO_PROCESS, 0) + nice)
        self.started = self._answer()  # the process writes its first line when it is ready

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def request(self, **request: Any) -> Figures:
        """Send a request and return the answer."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        return self._answer()

    def _answer(self) -> Figures:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"the process ended with status {self._process.wait()}")
        answer: Figures = json.loads(line)
        return answer

    def close(self) -> None:
        """End the process."""
        with self._process:
            assert self._process.stdin is not None
            self._process.stdin.close()
            try:
                self._process.wait(10)
            except subprocess.TimeoutExpired:
                self._process.kill()
