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

from gateway.cli import (
    chademo,
    cluster,
    conformance,
    conformance_iso15118,
    conformance_ocpp,
    demo,
    echonet,
    emulators,
    exi,
    operator,
    replay,
    sim,
    slac,
    store,
)
from gateway.cli.execution import end, fail, report_error
from gateway.cli.options import Json, examples

CLOSED_PIPE, WRONG = 1, 2
COMPLETION = "_V2X_COMPLETE"  # set by the completion of a shell
EXTRAS = {"asyncpg": "postgres", "nats": "cluster", "amqtt": "broker", "can": "can"}  # by package

app = typer.Typer(
    name="v2x",
    help="A gateway for bidirectional charging, with emulators of EVs, charging stations and sites.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # plain help: fast to import
    context_settings={
        "help_option_names": ["-h", "--help"],
        "max_content_width": 80,
        "default_map": {"help": False},  # a value that is bool already: None makes Typer import Pydantic
    },
)
pki = typer.Typer(help="Test certificates for ISO 15118-2 and -20.", no_args_is_help=True)
app.add_typer(pki, name="pki")
app.add_typer(exi.app, name="exi")
app.add_typer(chademo.app, name="chademo")
app.add_typer(cluster.app, name="cluster")
conformance.app.add_typer(conformance_iso15118.app)
conformance.app.add_typer(conformance_ocpp.app)
app.add_typer(conformance.app, name="conformance")
app.add_typer(echonet.app, name="echonet")
app.add_typer(store.app, name="store")
app.add_typer(operator.app)
app.add_typer(emulators.app)
app.add_typer(slac.app)
app.add_typer(replay.app)
app.add_typer(sim.app)
app.add_typer(demo.app)


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


@pki.command("create", epilog=examples("v2x pki create pki"))
def pki_create(
    directory: Annotated[Path, typer.Argument(metavar="DIR")],
    evccid: Annotated[str | None, typer.Option(help="Common name of the vehicle certificate.")] = None,
) -> None:
    """Create test roots and chains for both generations.

    V2G, CPO, OEM, vehicle and MO, of ISO 15118-2 and ISO 15118-20.
    """
    from protocols.iso15118 import pki as certificates

    try:
        made = certificates.create(directory, evccid=evccid or certificates.EVCCID)
    except OSError as error:
        fail("pki", f"{error.filename or directory}: {error.strerror or error}")
    typer.echo(f"{len(made)} files in {directory}")


class Shell(StrEnum):
    """Shells with completion."""

    BASH = "bash"
    ZSH = "zsh"
    FISH = "fish"


@app.command(
    epilog=examples(
        "source <(v2x completion bash)",
        "v2x completion zsh > ~/.zfunc/_v2x",
        "v2x completion fish > ~/.config/fish/completions/v2x.fish",
    )
)
def completion(shell: Annotated[Shell, typer.Argument(help="Your shell.")]) -> None:
    """Print the completion of commands and options for a shell."""
    from typer._completion_shared import get_completion_script

    typer.echo(get_completion_script(prog_name="v2x", complete_var=COMPLETION, shell=shell.value))


class Bench(StrEnum):
    """Benchmarks, each beside its peer in one run."""

    FIRST_LIGHT = "first-light"
    EXI = "exi"
    ISO15118 = "iso15118"
    OCPP = "ocpp"
    MQTT = "mqtt"
    HOSTED = "hosted"
    FLEET = "fleet"
    DISPATCH = "dispatch"
    PLAN = "plan"
    SIM = "sim"
    HOSTILE = "hostile"
    CHADEMO = "chademo"
    ECHONET = "echonet"
    CLUSTER = "cluster"


@app.command(epilog=examples("v2x bench ocpp", "v2x bench cluster --gateways 1,2 --stations 200,1000"))
def bench(
    name: Annotated[Bench, typer.Argument(show_choices=False, metavar="NAME", help=f"One of {', '.join(Bench)}.")],
    gateways: Annotated[str, typer.Option(metavar="N,N", help="Numbers of gateways of `cluster`.")] = "",
    stations: Annotated[str, typer.Option(metavar="N,N", help="Numbers of stations of `cluster`.")] = "",
    json: Json = False,
) -> None:
    """Run a benchmark, beside its peer in one run."""
    import asyncio
    import inspect

    sizes = {option: _numbers(option, value) for option, value in _given(gateways=gateways, stations=stations)}
    if sizes and name is not Bench.CLUSTER:
        fail("bench", f"{name} has no option {', '.join(f'--{one}' for one in sizes)}", WRONG)
    module = importlib.import_module(f"gateway.bench.{name.name.lower()}")
    found = module.figures(**sizes)
    if inspect.iscoroutine(found):
        found = asyncio.run(found)
    typer.echo(jsonlib.dumps(found) if json else "\n".join(module.text(found)))
    end(0 if found.get("ok", True) else 1)


def _given(**options: str) -> list[tuple[str, str]]:
    return [(name, value) for name, value in options.items() if value]


def _numbers(option: str, value: str) -> list[int]:
    """Return the positive numbers of a list such as 1,2."""
    found = [int(one) for one in value.split(",") if one.isdecimal()]
    if len(found) != value.count(",") + 1 or min(found, default=0) < 1:
        fail("bench", f"--{option} {value}: numbers such as 1,2 are expected", WRONG)
    return found


def _omit_other_groups(command: str = "") -> None:
    """Leave only the group of files that has the command: Typer builds all commands, which takes time."""
    for group in app.registered_groups:
        found = group.typer_instance.registered_commands if group.typer_instance is not None else []
        names = {one.name or (one.callback.__name__.replace("_", "-") if one.callback else "") for one in found}
        if not isinstance(group.name, str) and command in names:
            app.registered_groups, app.registered_commands = [group], []
            return


def main() -> None:
    """Run the command line (entry point of the distribution). Ends quietly when the reader of its output has ended."""
    if COMPLETION in os.environ:
        from typer._completion_classes import completion_init

        completion_init()
    _omit_other_groups(*sys.argv[1:2])
    try:
        app(prog_name="v2x")
    except ModuleNotFoundError as error:
        extra = EXTRAS.get(error.name or "")
        if extra is None:
            raise
        remedy = f"install it with pip install 'v2x-gateway[{extra}]'"
        sys.exit(report_error(" ".join(sys.argv[1:2]), f"the package {error.name} is missing; {remedy}", WRONG))
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # what is still buffered has no reader
        sys.exit(CLOSED_PIPE)
