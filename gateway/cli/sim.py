"""`v2x sim`: a scenario of a whole site, in virtual time or over real sockets."""

from __future__ import annotations

import contextlib
import json as jsonlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gateway.cli.execution import end, print_lines, report_error
from gateway.cli.options import Json, Tls, examples, parse_speed

if TYPE_CHECKING:
    from emulators.world import SimulationResult, Sockets

app = typer.Typer()


def _scenario_schema(requested: bool) -> None:
    if requested:
        from emulators.scenario.scenario import json_schema

        typer.echo(jsonlib.dumps(json_schema(), indent=2))
        raise typer.Exit


def _shipped_scenarios(requested: bool) -> None:
    if requested:
        from emulators.scenario.loading import shipped

        typer.echo("\n".join(shipped()))
        raise typer.Exit


@app.command(
    epilog=examples(
        "v2x sim --list", "v2x sim evening-at-home --report out", "v2x sim site.toml --transports sockets --speed 10"
    )
)
def sim(
    scenario: Annotated[str, typer.Argument(help="A TOML file, or the name of a shipped scenario.")],
    speed: Annotated[
        str | None, typer.Option(help="max, real, or virtual seconds per second. [default: max; real over sockets]")
    ] = None,
    transports: Annotated[
        str, typer.Option(help="Transports: memory (deterministic) or sockets (real TCP, WebSocket, MQTT).")
    ] = "memory",
    wires: Annotated[str | None, typer.Option(hidden=True, help="Former name of --transports.")] = None,
    broker: Annotated[
        str | None, typer.Option(metavar="URL", help="Over sockets: mqtt://host[:port] instead of an embedded broker.")
    ] = None,
    interface: Annotated[
        str | None, typer.Option(metavar="IF", help="Over sockets: interface for SDP discovery.")
    ] = None,
    tls: Annotated[Tls, typer.Option(help="Over sockets: TLS between EV and SECC.")] = Tls.NONE,
    seed: Annotated[int | None, typer.Option(help="Seed instead of the scenario's.")] = None,
    report: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Write report.html, result.json, junit.xml, transcript.")
    ] = None,
    full: Annotated[bool, typer.Option("--full", help="Exchange every charge loop, also repeated ones.")] = False,
    live: Annotated[
        bool, typer.Option("--live", help='Read faults from standard input: "<kind> [<target> [<seconds>]]".')
    ] = False,
    schema: Annotated[
        bool,
        typer.Option(
            "--schema", is_eager=True, callback=_scenario_schema, help="Print the JSON Schema of scenario files."
        ),
    ] = False,
    shown: Annotated[
        bool,
        typer.Option("--list", is_eager=True, callback=_shipped_scenarios, help="Print the shipped scenarios."),
    ] = False,
    json: Json = False,
) -> None:
    """Simulate a whole site. Exit status 0: all expectations of the scenario are met."""
    from emulators.world import LiveCommands, simulate
    from gateway import garbage_collection

    garbage_collection.settle()
    try:
        sockets = _sockets(_transports(transports, wires), broker, interface, tls)
        pace = parse_speed(speed or ("max" if sockets is None else "real"))
        with _progress(not json) as progress:
            outcome = simulate(
                scenario,
                speed=pace,
                seed=seed,
                report=report,
                progress=progress,
                fast_forward=pace is None and not full,
                sockets=sockets,
                live_commands=LiveCommands(sys.stdin, lambda text: print_lines(text, err=True)) if live else None,
            )
    except (ValueError, OSError, RuntimeError) as error:
        end(report_error("sim", error))
    if json:
        typer.echo(jsonlib.dumps(outcome.summary()))
    else:
        _print_outcome(outcome)
    end(0 if outcome.passed else 1)


def _transports(transports: str, wires: str | None) -> str:
    if wires is None:
        return transports
    typer.echo("v2x sim: --wires is deprecated; use --transports", err=True)
    return wires


def _sockets(transports: str, broker: str | None, interface: str | None, tls: Tls) -> Sockets | None:
    from emulators.world import Sockets, Transports

    if transports not in list(Transports):
        raise ValueError(f"--transports is memory or sockets, not {transports!r}")
    if transports == Transports.SOCKETS:
        if tls is Tls.V12:
            raise ValueError("ISO 15118-20 needs --tls 1.3, or none")
        return Sockets(broker, interface, tls=tls is Tls.V13)
    for option, given in (("--broker", broker), ("--interface", interface), ("--tls", tls is not Tls.NONE)):
        if given:
            raise ValueError(f"{option} has no effect with transports in memory: add --transports sockets")
    return None


@contextlib.contextmanager
def _progress(shown: bool) -> Iterator[Callable[[float], None]]:
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), disable=not (shown and sys.stderr.isatty()), transient=True) as bar:
        task = bar.add_task("virtual time", total=1.0)
        yield lambda part: bar.update(task, completed=part)


def _print_outcome(outcome: SimulationResult) -> None:
    for name, value in outcome.figures.items():
        print_lines(f"{name:>36}  {value:.6g}")
    typer.echo(f"{outcome.virtual_s:.0f} s simulated in {outcome.real_s:.2f} s, seed {outcome.seed}")
    if expected := len(outcome.scenario.expect):
        typer.echo(f"{expected - len(outcome.violations)} of {expected} expectations met")
    for violation in outcome.violations:
        print_lines(f"expectation NOT met: {violation}", err=True)
