"""`v2x demo`: one discharge, and an outage, in one process."""

from __future__ import annotations

from typing import Annotated

import typer

from gateway.cli.execution import end, report_error, run_until_done
from gateway.cli.options import Json, examples, parse_speed

app = typer.Typer(invoke_without_command=True)


@app.callback(epilog=examples("v2x demo", "v2x demo --seconds 30", "v2x demo outage"))
def demo(
    context: typer.Context,
    seconds: Annotated[float, typer.Option(min=5, max=3600, help="Lease of the discharge, s.")] = 10.0,
    json: Json = False,
) -> None:
    """Run one discharge from MQTT to the battery and back.

    Broker, gateway, station and EV run in one process, over real sockets.
    """
    if context.invoked_subcommand is not None:
        return
    from emulators.demo.discharge import run

    end(run_until_done(run(seconds=seconds, json_output=json)))


@app.command(epilog=examples("v2x demo outage", "v2x demo outage --stay"))
def outage(
    stay: Annotated[bool, typer.Option("--stay", help="Continue in real time until Ctrl-C, for exploring.")] = False,
    speed: Annotated[
        str | None, typer.Option(help="max, real, or virtual seconds per second. [default: about a minute in all]")
    ] = None,
    json: Json = False,
) -> None:
    """Run an outage of a shelter, in about a minute.

    The grid is lost at dusk, vehicles supply the shelter, and the grid returns.
    """
    from emulators.demo.outage import default_speed, run
    from emulators.runtime.clock import VirtualLoop

    try:
        pace = default_speed() if speed is None else parse_speed(speed)
    except ValueError as error:
        end(report_error("demo outage", error))
    end(run_until_done(run(stay=stay, json_output=json), lambda: VirtualLoop(pace)))
