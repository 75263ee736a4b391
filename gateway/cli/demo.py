"""`v2x demo`: one discharge, or an outage, in one process."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from gateway.cli.execution import end, report_error, run_until_done
from gateway.cli.options import Json, examples, parse_speed

app = typer.Typer()


class Demo(StrEnum):
    """Demonstrations."""

    DISCHARGE = "discharge"
    OUTAGE = "outage"


@app.command(epilog=examples("v2x demo", "v2x demo --seconds 30", "v2x demo outage", "v2x demo outage --stay"))
def demo(
    what: Annotated[Demo, typer.Argument(help="One discharge, or an outage of a shelter.")] = Demo.DISCHARGE,
    seconds: Annotated[
        float | None, typer.Option(min=5, max=3600, help="Lease of the discharge, s. [default: 10]")
    ] = None,
    stay: Annotated[bool, typer.Option("--stay", help="Continue after the outage in real time until Ctrl-C.")] = False,
    speed: Annotated[
        str | None,
        typer.Option(help="Of the outage: max, real, or virtual seconds per second. [default: a minute in all]"),
    ] = None,
    json: Json = False,
) -> None:
    """Run one discharge, or an outage, in one process.

    Discharge: from MQTT to the battery and back; broker, gateway, station and EV run over real sockets. Outage: a
    shelter loses the grid at dusk, vehicles supply it, and the grid returns, in a minute. The gateway's page is open
    meanwhile.
    """
    try:
        if what is Demo.DISCHARGE:
            _discharge(seconds, stay, speed, json)
        else:
            _outage(seconds, stay, speed, json)
    except ValueError as error:
        end(report_error("demo", error))


def _discharge(seconds: float | None, stay: bool, speed: str | None, json: bool) -> None:
    if stay or speed is not None:
        raise ValueError("--stay and --speed are options of v2x demo outage")
    from emulators.demo.discharge import run

    end(run_until_done(run(seconds=10.0 if seconds is None else seconds, json_output=json)))


def _outage(seconds: float | None, stay: bool, speed: str | None, json: bool) -> None:
    if seconds is not None:
        raise ValueError("--seconds has no effect on the outage; use --speed")
    from emulators.demo.outage import default_speed, run, use_local_time
    from emulators.runtime.clock import VirtualLoop

    use_local_time()
    pace = default_speed() if speed is None else parse_speed(speed)
    end(run_until_done(run(stay=stay, json_output=json), lambda: VirtualLoop(pace)))
