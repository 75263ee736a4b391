"""Processes forked from one that has imported all modules: they start in milliseconds, an interpreter in seconds.

`Program` runs the command line `v2x` in one, where a test needs a process that it can stop, kill or watch, and not the
start of an interpreter.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
from pathlib import Path
from typing import Any

PRELOADED = [  # by one list for all, since a test process has one such server
    "gateway.app", "gateway.clustered", "gateway.csms.admin", "gateway.cli.operator_actions", "gateway.web.api",
    "gateway.web.page", "gateway.observability.endpoint", "gateway.store.sql", "gateway.store.schema", "aiosqlite",
    "alembic.command", "asyncpg", "nats", "sqlalchemy.dialects.sqlite.aiosqlite", "uvicorn.protocols.http.h11_impl",
    "tests.forked", "tests.gateway.cluster.fleet", "tests.gateway.cluster.rig", "tests.gateway.crash.gateway_process",
    "tests.gateway.crash.whole_gateway_process",
]  # fmt: skip


def processes() -> Any:
    """Return the context of such processes."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOADED)
    return context


class Program:
    """`v2x` with `arguments` in `folder`; standard output and errors go to files."""

    def __init__(
        self,
        *arguments: str,
        folder: Path,
        errors: Path,
        output: Path | None = None,
    ) -> None:
        self.errors = errors
        for file in (errors, output):
            if file is not None:
                file.write_bytes(b"")  # of an earlier one
        files = (str(output or os.devnull), str(errors))
        arguments_of_run = (arguments, str(folder), files, dict(os.environ))
        self._process = processes().Process(target=_run, args=arguments_of_run, daemon=True)
        self._process.start()

    @property
    def pid(self) -> int:
        """Return the process id."""
        pid: int = self._process.pid
        return pid

    def poll(self) -> int | None:
        """Return the exit status, negative for a signal; None while it runs."""
        status: int | None = self._process.exitcode
        return status

    def wait(self, within_s: float) -> int:
        """Return the exit status when it has ended; raise TimeoutError where it has not."""
        self._process.join(within_s)
        status = self.poll()
        if status is None:
            raise TimeoutError(f"process {self.pid} runs after {within_s:.0f} s")
        return status

    def send_signal(self, number: int) -> None:
        """Send a signal."""
        os.kill(self.pid, number)

    def terminate(self) -> None:
        """Send SIGTERM, if it runs."""
        self._process.terminate()

    def kill(self) -> None:
        """Send SIGKILL, if it runs, and wait for its end."""
        self._process.kill()
        self._process.join()


def _run(arguments: tuple[str, ...], folder: str, files: tuple[str, str], environ: dict[str, str]) -> None:
    """Be the program: its folder, environment, standard files, handlers of signals and arguments, then its entry."""
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environ)
    for number, file in enumerate(files, 1):
        opened = os.open(file, os.O_WRONLY | os.O_APPEND)
        os.dup2(opened, number)
        os.close(opened)
    sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", encoding="utf-8", closefd=False, buffering=1)  # noqa: SIM115
    signal.signal(signal.SIGHUP, signal.SIG_DFL)  # it may be ignored, under `nohup`
    sys.argv = ["v2x", *arguments]
    from gateway.cli.main import main

    main()
