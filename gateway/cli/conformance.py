"""`v2x conformance`: a catalogue of cases against a device under test, with verdicts and reports."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gateway.cli.execution import end, fail, print_lines, run_emulator

if TYPE_CHECKING:
    from emulators.conformance.bench import Bench
    from emulators.conformance.case import Device, Mutant
    from emulators.conformance.catalogue import Catalogue
    from emulators.conformance.execution import Selection

app = typer.Typer(
    help="Test a device against a catalogue of cases. Not a certification.",
    no_args_is_help=True,
)

CaseOption = Annotated[list[str] | None, typer.Option("--case", metavar="ID", help="Only this case; repeatable.")]
TagOption = Annotated[
    list[str] | None, typer.Option("--tag", metavar="TAG", help="Only cases with this tag; several: with all of them.")
]
ListOption = Annotated[bool, typer.Option("--list", help="List the cases with their requirements, and end.")]
CapabilitiesOption = Annotated[
    Path | None,
    typer.Option(dir_okay=False, help="What the device claims (TOML). Default: what a dialogue with it shows."),
]
ReportOption = Annotated[
    Path | None, typer.Option(metavar="DIR", file_okay=False, help="Write report.html, results.json and junit.xml.")
]
ResumeOption = Annotated[
    bool, typer.Option("--resume", help="Continue the run of --report DIR; repeat inconclusive cases.")
]

Close = Callable[[], Awaitable[None]]
_SELECTION = {"--case", "--tag", "--report", "--pcap"}  # options with a value that the command of one case leaves out
_FLAGS = {"--resume", "--json", "--list"}


def command_line(arguments: Sequence[str]) -> str:
    """Return the command of this process without its selection and reports, to run a case again."""
    kept: list[str] = []
    words = iter(arguments)
    for word in words:
        if word in _SELECTION:
            next(words, None)
        elif word not in _FLAGS and word.partition("=")[0] not in _SELECTION:
            kept.append(word)
    return shlex.join(["v2x", *kept])


def selection(
    case: list[str] | None,
    tag: list[str] | None,
    capabilities: Path | None,
    report: Path | None,
    resume: bool,
    json: bool,
) -> Selection:
    """Return the selection of the options that all roles share."""
    from emulators.conformance.execution import Selection
    from gateway import __version__

    return Selection(
        command=command_line(sys.argv[1:]),
        cases=case or (),
        tags=tag or (),
        capabilities=capabilities,
        directory=report,
        resume=resume,
        json=json,
        version=__version__,
    )


def list_cases(catalogue: Catalogue[Device, Mutant], chosen: Selection) -> None:
    """Print the selected cases and end the command."""
    from emulators.conformance.execution import RunError, listed

    try:
        print_lines("\n".join(listed(catalogue, chosen)))
    except RunError as error:
        fail(f"conformance {catalogue.role}", error)
    end(0)


def run_cases(
    catalogue: Catalogue[Device, Mutant],
    bench: Bench[Device],
    chosen: Selection,
    close: Close | None = None,
    announced: str = "",
) -> None:
    """Run the selected cases, close the bench, end the command: 0 passed, 1 failed or not reached, 2 wrong options.

    `announced` is a line that is printed once the options are known to be right.
    """
    end(run_emulator(_run(catalogue, bench, chosen, close, announced)))


def _run(
    catalogue: Catalogue[Device, Mutant],
    bench: Bench[Device],
    chosen: Selection,
    close: Close | None,
    announced: str,
) -> Coroutine[object, None, int]:
    from emulators.conformance.execution import DeviceUnreachable, RunError, execute
    from gateway.cli.execution import report_error

    def announce() -> None:
        if announced:
            typer.echo(announced)

    async def work() -> int:
        try:
            return await execute(catalogue, bench, chosen, partial(print, flush=True), begins=announce)
        except RunError as error:
            return report_error(f"conformance {catalogue.role}", error)
        except DeviceUnreachable as error:
            return report_error(f"conformance {catalogue.role}", f"no device at {bench.target}: {error}", 1)
        finally:
            if close is not None:
                await close()

    return work()
