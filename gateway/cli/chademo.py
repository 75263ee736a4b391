"""`v2x chademo`: recordings of CHAdeMO sessions as states, limits, faults and plots."""

from __future__ import annotations

import json as jsonlib
from pathlib import Path
from typing import Annotated

import typer

from gateway.cli.execution import end, fail, print_lines
from gateway.cli.options import Json, examples

app = typer.Typer(help="Recordings of CHAdeMO sessions.", no_args_is_help=True)


@app.callback()
def group() -> None:
    """Recordings of CHAdeMO sessions."""


@app.command(
    epilog=examples(
        "v2x chademo decode session.log",
        "v2x chademo decode session.log --html session.html",
        "v2x chademo decode session.log --json",
    )
)
def decode(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="As of candump or SavvyCAN (CSV); also .xz and .gz.")],
    html: Annotated[
        Path | None, typer.Option(metavar="PAGE", help="Write a page with plots, one file.", dir_okay=False)
    ] = None,
    json: Json = False,
) -> None:
    """States, limits, faults and findings of the sessions in a recording.

    Exit status 1: the recording cannot be read, or has no session.
    """
    from emulators.runtime.candump import RecordingError, read
    from gateway.cli.chademo_report import observed, page, record, text

    try:
        recording = read(file)
    except RecordingError as error:
        fail("chademo decode", error, 1)
    observer = observed(recording)
    if json:
        typer.echo(jsonlib.dumps(record(file.name, recording, observer)))
    else:
        for line in text(file.name, recording, observer):
            print_lines(line)
    if html is not None:
        from protocols import private_file

        try:
            with private_file.replacing(html) as out:
                out.write(page(file.name, recording, observer))
        except OSError as error:
            fail("chademo decode", error, 1)
    end(0 if observer.sessions else 1)
