"""Runs the work of a command: signals, exit status (`reference_head.md` lists both), messages for people."""

from __future__ import annotations

import contextlib
import io
import re
import signal
import sys
from collections.abc import Callable, Collection, Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn, TextIO

import typer

if TYPE_CHECKING:
    import asyncio

    from gateway.config import Config

INTERRUPTED = 130


def run_until_done(
    work: Coroutine[object, None, int], loop_factory: Callable[[], asyncio.AbstractEventLoop] | None = None
) -> int:
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

    with asyncio.Runner(loop_factory=loop_factory) as runner:
        return runner.run(interruptible())


def end(status: int) -> NoReturn:
    """End the command with an exit status."""
    raise typer.Exit(status)


def report_error(command: str, error: object, status: int = 2) -> int:
    """Print what went wrong to standard error and return the exit status."""
    print_lines(f"v2x {command}: {error}", err=True)
    return status


def print_lines(text: str, err: bool = False) -> None:
    """Print lines that may contain texts of files or peers, without their control characters."""
    from gateway.model import foreign_text

    typer.echo("\n".join(foreign_text.line(one) for one in text.split("\n")), err=err)


class NeutralOutput(io.TextIOBase):
    """Output that passes each write on as one line without control characters, for programs that show messages."""

    def __init__(self, out: TextIO) -> None:
        self._out = out

    def write(self, text: str) -> int:
        """Write one line."""
        from gateway.model import foreign_text

        ending = "\n" if text.endswith("\n") else ""
        self._out.write(foreign_text.line(text.removesuffix("\n")) + ending)
        return len(text)

    def flush(self) -> None:
        """Flush the output."""
        self._out.flush()


def run_emulator(work: Coroutine[object, None, int]) -> int:
    """Run a program that shows the messages of its peers, and return its status."""
    out, err = NeutralOutput(sys.stdout), NeutralOutput(sys.stderr)
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        return run_until_done(work)


def fail(command: str, error: object, status: int = 2) -> NoReturn:
    """Print what went wrong to standard error and end the command."""
    end(report_error(command, error, status))


def read_config(path: Path) -> Config:
    """Return the configuration, or end the command with its mistakes."""
    from gateway.config import ConfigError, load

    try:
        return load(path)
    except ConfigError as error:
        print_lines(str(error), err=True)
        end(2)


def read_site(path: Path, site: str | None) -> Config:
    """Return the configuration of one site, or end the command where none of several is chosen."""
    config = read_config(path)
    if site is None and not config.cluster.sites:
        return config
    found = next((one for one in config.sites if one.site.id == site), None)
    if found is None:
        names = [one.site.id for one in config.sites]
        more = f" and {len(names) - 10} more" if len(names) > 10 else ""
        print_lines(f"{path}: choose one of its sites with --site: {', '.join(names[:10])}{more}", err=True)
        end(2)
    return found


def verified_config(path: Path) -> Config:
    """Return a configuration with which a gateway can start, or end the command with its mistakes."""
    from gateway.config import ConfigError
    from gateway.config.verification import verify

    config = read_config(path)
    try:
        verify(config)
    except ConfigError as error:
        print_lines(f"{path}: {error}", err=True)
        end(2)
    return config


def without_passwords(text: str) -> str:
    """Return a text whose URLs have no password."""
    return re.sub(r"(\w://[^\s/:@\"]*):[^\s/\"]*@", r"\1:***@", text)


def check_choices(command: str, option: str, given: str, known: Collection[str]) -> None:
    """End with a message if one of the comma-separated values of an option is not supported."""
    unknown = [one for one in given.split(",") if one not in known]
    if unknown:
        fail(command, f"{option} {unknown[0]!r} is not supported; choose from {', '.join(known)}")
