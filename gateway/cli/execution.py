"""Runs the work of a command: signals, exit status, messages for people.

Exit status: 0 done; 1 it ran and did not end well; 2 the command line or a file it names is wrong; 130 interrupted.
"""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Collection, Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import typer

if TYPE_CHECKING:
    from gateway.config import Config

INTERRUPTED = 130


def run_until_done(work: Coroutine[Any, Any, int]) -> int:
    """Run a coroutine and return its status; SIGINT and SIGTERM cancel it, and it then ends in order."""
    import asyncio

    async def interruptible() -> int:
        task = asyncio.ensure_future(work)
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            with contextlib.suppress(NotImplementedError):
                loop.add_signal_handler(number, task.cancel)
        try:
            return await task
        except asyncio.CancelledError:
            return INTERRUPTED

    return asyncio.run(interruptible())


def end(status: int) -> NoReturn:
    """End the command with an exit status."""
    raise typer.Exit(status)


def report_error(command: str, error: object, status: int = 2) -> int:
    """Print what went wrong to standard error and return the exit status."""
    from gateway.model import foreign_text

    text = "\n".join(foreign_text.line(one) for one in f"v2x {command}: {error}".split("\n"))
    typer.echo(text, err=True)
    return status


def fail(command: str, error: object, status: int = 2) -> NoReturn:
    """Print what went wrong to standard error and end the command."""
    end(report_error(command, error, status))


def read_config(path: Path) -> Config:
    """Return the configuration, or end the command with its mistakes."""
    from gateway.config import ConfigError, load

    try:
        return load(path)
    except ConfigError as error:
        typer.echo(str(error), err=True)
        end(2)


def check_choices(command: str, option: str, given: str, known: Collection[str]) -> None:
    """End with a message if one of the comma-separated values of an option is not supported."""
    unknown = [one for one in given.split(",") if one not in known]
    if unknown:
        fail(command, f"{option} {unknown[0]!r} is not supported; choose from {', '.join(known)}")
