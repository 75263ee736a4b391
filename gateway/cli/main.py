"""The command `v2x`: all groups of commands.

Each command imports what it runs when it runs, asyncio included, so that `v2x --help` stays fast. Results go to
standard output, errors to standard error; with `--json` standard output has JSON only.
"""

from __future__ import annotations

import importlib
import json as jsonlib
import os
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from gateway.cli import emulators, exi, operator, sim
from gateway.cli.execution import end, run_until_done
from gateway.cli.options import Json

CLOSED_PIPE = 1

app = typer.Typer(
    name="v2x",
    help="A gateway for bidirectional charging, with emulators of EVs, charging stations and sites.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # plain help: fast to import
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)
pki = typer.Typer(help="Test certificates for ISO 15118-2 and -20.", no_args_is_help=True)
app.add_typer(pki, name="pki")
app.add_typer(exi.app, name="exi")
app.add_typer(operator.app)
app.add_typer(emulators.app)
app.add_typer(sim.app)


def _version(requested: bool) -> None:
    if requested:
        from gateway import __version__

        typer.echo(f"v2x {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_version, help="Print the version.")
    ] = False,
) -> None:
    """A gateway for bidirectional EV charging, with emulators of EVs, stations and sites."""


@app.command()
def demo(
    seconds: Annotated[float, typer.Option(min=5, max=3600, help="Lease of the discharge, s.")] = 10.0,
    json: Json = False,
) -> None:
    """Run one discharge from MQTT to the battery and back: broker, gateway, station and EV in one process."""
    from emulators.demo.discharge import run

    end(run_until_done(run(seconds=seconds, json_output=json)))


@pki.command("create")
def pki_create(
    directory: Annotated[Path, typer.Argument(metavar="DIR")],
    evccid: Annotated[str | None, typer.Option(help="Common name of the vehicle certificate.")] = None,
) -> None:
    """Create test roots and chains (V2G, CPO, OEM, vehicle, MO) for both generations."""
    from protocols.iso15118 import pki as certificates

    made = certificates.create(directory, evccid=evccid or certificates.EVCCID)
    typer.echo(f"{len(made)} files in {directory}")


class Bench(StrEnum):
    """Benchmarks, each beside its peer in one run."""

    FIRST_LIGHT = "first-light"
    EXI = "exi"
    ISO20 = "iso20"
    OCPP = "ocpp"
    MQTT = "mqtt"
    FLEET = "fleet"
    DISPATCH = "dispatch"
    PLAN = "plan"
    SIM = "sim"
    HOSTILE = "hostile"


@app.command()
def bench(name: Bench, json: Json = False) -> None:
    """Run a benchmark, beside its peer in one run."""
    import asyncio
    import inspect

    module = importlib.import_module(f"gateway.bench.{name.name.lower()}")
    found = module.figures()
    if inspect.iscoroutine(found):
        found = asyncio.run(found)
    typer.echo(jsonlib.dumps(found) if json else "\n".join(module.text(found)))
    end(0 if found.get("ok", True) else 1)


def main() -> None:
    """Run the command line (entry point of the distribution). Ends quietly when the reader of its output has ended."""
    try:
        app()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # what is still buffered has no reader
        sys.exit(CLOSED_PIPE)
