"""`v2x replay`: one side of a recorded session against a live peer."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from gateway.cli.emulators import (
    Pki,
    ProfileOption,
    SessionTls,
    TlsOption,
    TlsProfile,
    Trace,
    restart_with_openssl_settings,
)
from gateway.cli.execution import end, fail, run_emulator
from gateway.cli.options import Json, examples, parse_speed

app = typer.Typer()


class Role(StrEnum):
    """Side of a session."""

    EV = "ev"
    SECC = "secc"


@app.command(
    epilog=examples(
        "v2x replay session.pcapng --as ev --connect [::1]:15118",
        "v2x replay session.pcap --as secc --listen [::1]:15118 --keylog keys",
        "v2x replay trace.jsonl --as ev --connect [::1]:15118 --speed max --json",
    )
)
def replay(
    capture: Annotated[
        Path,
        typer.Argument(
            metavar="CAPTURE", dir_okay=False, help="A pcap or pcapng file, or the output of --trace --json."
        ),
    ],
    role: Annotated[Role, typer.Option("--as", help="The side to play.")],
    connect: Annotated[str | None, typer.Option(metavar="[ADDR]:PORT", help="As ev: address of the SECC.")] = None,
    listen: Annotated[str | None, typer.Option(metavar="[ADDR]:PORT", help="As secc: address for the EV.")] = None,
    keylog: Annotated[
        Path | None, typer.Option(dir_okay=False, help="Secrets of TLS in the capture, besides those in a pcapng file.")
    ] = None,
    tls_version: TlsOption = SessionTls.NONE,
    tls_profile: ProfileOption = TlsProfile.INTEROP,
    pki_directory: Pki = None,
    speed: Annotated[str, typer.Option(help="max, real, or recorded seconds per second.")] = "real",
    measured: Annotated[
        float | None, typer.Option(min=0, help="Compare measured values, too: permitted difference in percent.")
    ] = None,
    trace: Trace = False,
    json: Json = False,
) -> None:
    """Play one side of a recorded session against a live peer.

    Session ids and times are adapted. It prints where the peer's answers differ from the recorded ones. Exit status 0:
    they do not differ.
    """
    from emulators.replay.run import ReplayOptions, run

    try:
        speed_factor = parse_speed(speed)
    except ValueError as error:
        fail("replay", error)
    restart_with_openssl_settings(tls_version, tls_profile)
    options = ReplayOptions(
        capture=capture,
        role=role.value,
        connect=connect,
        listen=listen,
        keylog=keylog,
        tls_version=tls_version.value,
        tls_profile=tls_profile.value,
        pki_directory=pki_directory,
        pace=0.0 if speed_factor is None else 1 / speed_factor,
        measured_pct=measured,
        trace=trace,
        json=json,
    )
    end(run_emulator(run(options)))
