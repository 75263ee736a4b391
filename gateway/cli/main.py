"""The command `v2x`: options in, exit status out.

Each command imports what it runs when it runs, asyncio included, so `v2x --help` stays quick. Nothing is decided here.
What people read goes to standard output, what went wrong to standard error; with `--json` standard output carries JSON
only.
Exit status: 0 done, 1 it ran and did not end well, 2 the command or a file it names is wrong, 130 interrupted.
"""

from __future__ import annotations

import contextlib
import importlib
import json as jsonlib
import signal
import sys
from collections.abc import Callable, Coroutine, Iterator
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from gateway.cli import exi, operator
from gateway.cli.operator import ConfigFile, Json, read

if TYPE_CHECKING:
    from emulators.world import Sockets

app = typer.Typer(
    name="v2x",
    help="A gateway for bidirectional charging, with software cars and chargers to try it with.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # plain help: no box to draw, nothing more to import
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)
pki = typer.Typer(help="Test certificates for ISO 15118-2 and -20.", no_args_is_help=True)
app.add_typer(pki, name="pki")
app.add_typer(exi.app, name="exi")
app.add_typer(operator.app)

Pki = Annotated[Path | None, typer.Option("--pki", help="Folder of certificates, as `v2x pki create` makes.")]
Interface = Annotated[str | None, typer.Option(help="Network interface for SDP discovery.")]
Trace = Annotated[bool, typer.Option("--trace", help="Print every message.")]

INTERRUPTED = 130


class Ocpp(StrEnum):
    V16 = "1.6"
    V201 = "2.0.1"
    V21 = "2.1"


class Tls(StrEnum):
    NONE = "none"
    V12 = "1.2"
    V13 = "1.3"


class TlsProfile(StrEnum):
    STRICT = "strict"
    INTEROP = "interop"


class Protocol(StrEnum):
    ISO20 = "iso20"


class Auth(StrEnum):
    EIM = "eim"


TlsOption = Annotated[Tls, typer.Option("--tls", help="ISO 15118-20 wants 1.3; see docs/tls.md.")]
ProfileOption = Annotated[
    TlsProfile, typer.Option("--tls-profile", help="strict as the standard, interop as peers can.")
]
Protocols = Annotated[str, typer.Option(help="Protocols to offer, in order of preference.")]


# ------------------------------------------------------------------------------------------------------------ the demo


@app.command()
def demo(
    seconds: Annotated[float, typer.Option(min=5, max=3600, help="How long the lease of the discharge lasts.")] = 10.0,
    json: Json = False,
) -> None:
    """One discharge from MQTT to the battery and back: broker, gateway, charger and car in one process."""
    from emulators.demo.discharge import run

    _exit(_run(run(seconds=seconds, json_output=json)))


# --------------------------------------------------------------------------------------------------------- the product


@app.command()
def gateway(config: ConfigFile) -> None:
    """The product: serves charging stations, cars and facility controllers until it is stopped."""
    from gateway import app as product
    from gateway.observability import log

    settings = read(config)
    log.configure(settings.log.level, settings.log.format)

    async def serve() -> int:
        try:
            await product.run(settings, ready=_tell_ready)
        except product.StartError as error:
            return _complain("gateway", error)
        return 0

    _exit(_run(serve()))


# ---------------------------------------------------------------------------------------------------------- emulators


@app.command()
def charger(
    csms: Annotated[str, typer.Option(help="Where the CSMS listens: ws://host:port/ocpp")],
    id: Annotated[str, typer.Option("--id", help="The station's id.")] = "CP1",
    ocpp: Annotated[Ocpp, typer.Option(help="Version to speak.")] = Ocpp.V21,
    evses: Annotated[int, typer.Option(min=1, max=64)] = 1,
    secc: Annotated[str | None, typer.Option(metavar="[ADDR]:PORT", help="Cars connect here by ISO 15118.")] = None,
    charge_w: Annotated[float, typer.Option(min=0, help="Rated power into the car, W.")] = 10_000.0,
    discharge_w: Annotated[float, typer.Option(min=0, help="Rated power out of the car, W.")] = 10_000.0,
    meter_class_pct: Annotated[float, typer.Option(min=0, max=10, help="Accuracy class of the meter.")] = 0.0,
    meter_interval_s: Annotated[float, typer.Option(min=0.1, help="Between meter values.")] = 10.0,
    vendor_profile: Annotated[str | None, typer.Option(help="Behave like this product.")] = None,
    password_file: Annotated[Path | None, typer.Option(help="Basic auth password (security profiles 1, 2).")] = None,
    ca: Annotated[Path | None, typer.Option(help="Certificates to verify the CSMS with (wss).")] = None,
    cert: Annotated[Path | None, typer.Option(help="Client certificate (security profile 3).")] = None,
    key: Annotated[Path | None, typer.Option(help="Its key.")] = None,
    id_token: Annotated[str, typer.Option(help="Token presented when a car is plugged in.")] = "",
    token_type: Annotated[str, typer.Option(help="Its type.")] = "ISO14443",
    car: Annotated[str | None, typer.Option(help="Without --secc: plug in a car of this profile at each EVSE.")] = None,
    soc: Annotated[float, typer.Option(min=0, max=100, help="Its state of charge, %.")] = 80.0,
    state: Annotated[Path | None, typer.Option(help="Folder of what the station remembers over restarts.")] = None,
    json: Json = False,
) -> None:
    """An emulated charging station."""
    from emulators.charger.station.run import run

    _exit(
        _run(
            run(
                csms=csms,
                id=id,
                ocpp=ocpp.value,
                evses=evses,
                secc=secc,
                charge_w=charge_w,
                discharge_w=discharge_w,
                meter_class_pct=meter_class_pct,
                meter_interval_s=meter_interval_s,
                vendor_profile=vendor_profile,
                password_file=password_file,
                ca=ca,
                cert=cert,
                key=key,
                id_token=id_token,
                token_type=token_type,
                car=car,
                soc_pct=soc,
                state=state,
                json=json,
            )
        )
    )


@app.command()
def secc(
    listen: Annotated[str | None, typer.Option(metavar="[ADDR]:PORT", help="Where cars connect.")] = None,
    interface: Interface = None,
    tls: TlsOption = Tls.NONE,
    tls_profile: ProfileOption = TlsProfile.INTEROP,
    pki: Pki = None,
    services: Annotated[str, typer.Option(help="Of dc, dc_bpt, ac, ac_bpt.")] = "dc,dc_bpt",
    protocols: Protocols = "iso20",
    control: Annotated[str, typer.Option(help="Of scheduled, dynamic.")] = "scheduled,dynamic",
    power_w: Annotated[
        float | None, typer.Option(help="Set-point; negative discharges. Default: as the car likes.")
    ] = None,
    rated_w: Annotated[float, typer.Option(min=0, help="Rated power, W, both ways.")] = 11_000.0,
    sessions: Annotated[int | None, typer.Option(min=1, help="End after so many.")] = None,
    trace: Trace = False,
    json: Json = False,
) -> None:
    """An emulated SECC alone: one EVSE that serves cars."""
    from emulators.charger.secc.run import run

    _spoken("secc", "--protocols", protocols, Protocol)
    _openssl(tls, tls_profile)
    _exit(
        _run(
            run(
                listen=listen,
                interface=interface,
                tls_version=tls.value,
                tls_profile=tls_profile.value,
                pki_directory=pki,
                services=services,
                control=control,
                power_w=power_w,
                rated_w=rated_w,
                sessions=sessions,
                trace=trace,
                json=json,
            )
        )
    )


@app.command()
def ev(
    connect: Annotated[str | None, typer.Option(metavar="[ADDR]:PORT", help="The charger's SECC.")] = None,
    interface: Interface = None,
    tls: TlsOption = Tls.NONE,
    tls_profile: ProfileOption = TlsProfile.INTEROP,
    pki: Pki = None,
    protocols: Protocols = "iso20",
    service: Annotated[str, typer.Option(help="Of dc, dc_bpt, ac, ac_bpt; several in order of preference.")] = "dc_bpt",
    control: Annotated[str, typer.Option(help="dynamic or scheduled.")] = "dynamic",
    auth: Annotated[str, typer.Option(help="eim: who pays is settled at the charger.")] = "eim",
    profile: Annotated[str, typer.Option(help="Kind of car: a name, or a TOML file.")] = "ccs-63",
    soc: Annotated[float, typer.Option(min=0, max=100, help="State of charge on arrival, %.")] = 80.0,
    loops: Annotated[int | None, typer.Option(min=1, help="Leave after so many charge loops.")] = None,
    evccid: Annotated[str | None, typer.Option(help="Identity of the car.")] = None,
    trace: Trace = False,
    json: Json = False,
) -> None:
    """An emulated car: one session with a charger. Exit status 0: the session ended well."""
    from emulators.ev.run import EvOptions, run

    _spoken("ev", "--protocols", protocols, Protocol)
    _spoken("ev", "--auth", auth, Auth)
    _openssl(tls, tls_profile)
    _exit(
        _run(
            run(
                EvOptions(
                    connect=connect,
                    interface=interface,
                    tls_version=tls.value,
                    tls_profile=tls_profile.value,
                    pki_directory=pki,
                    service=service,
                    control=control,
                    profile=profile,
                    soc_pct=soc,
                    loops=loops,
                    evccid=evccid,
                    trace=trace,
                    json=json,
                )
            )
        )
    )


@pki.command("create")
def pki_create(
    directory: Annotated[Path, typer.Argument(metavar="DIR")],
    evccid: Annotated[str | None, typer.Option(help="Common name of the vehicle certificate.")] = None,
) -> None:
    """Make test roots and chains (V2G, CPO, OEM, vehicle, MO) for both generations."""
    from protocols.iso15118 import pki as certificates

    made = certificates.create(directory, evccid=evccid or certificates.EVCCID)
    typer.echo(f"{len(made)} files in {directory}")


def _scenario_schema(wanted: bool) -> None:
    if wanted:
        from emulators.scenario.scenario import json_schema

        typer.echo(jsonlib.dumps(json_schema(), indent=2))
        raise typer.Exit


@app.command()
def sim(
    scenario: Annotated[str, typer.Argument(help="A TOML file, or the name of a shipped scenario.")],
    speed: Annotated[
        str | None, typer.Option(help="max, real, or virtual seconds per second. [default: max; real over sockets]")
    ] = None,
    wires: Annotated[
        str, typer.Option(help="What joins the parts: memory (deterministic) or sockets (real TCP, WebSocket, MQTT).")
    ] = "memory",
    broker: Annotated[
        str | None, typer.Option(metavar="URL", help="Over sockets: mqtt://host[:port] instead of one inside.")
    ] = None,
    interface: Annotated[
        str | None, typer.Option(metavar="IF", help="Over sockets: cars find their charger here by SDP.")
    ] = None,
    tls: Annotated[Tls, typer.Option(help="Over sockets: between car and charger.")] = Tls.NONE,
    seed: Annotated[int | None, typer.Option(help="Instead of the scenario's own.")] = None,
    report: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Write report.html, result.json, junit.xml, transcript.")
    ] = None,
    full: Annotated[
        bool, typer.Option("--full", help="Exchange every charge loop, also those that only repeat.")
    ] = False,
    live: Annotated[
        bool, typer.Option("--live", help='Break things by lines on standard input: "<kind> [<target> [<seconds>]]".')
    ] = False,
    schema: Annotated[
        bool,
        typer.Option("--schema", is_eager=True, callback=_scenario_schema, help="Print the file's JSON Schema."),
    ] = False,
    json: Json = False,
) -> None:
    """A whole site in virtual time. Exit status 0: everything the scenario expects came about."""
    from emulators.world import LiveCommands, simulate

    try:
        sockets = _sockets(wires, broker, interface, tls)
        pace = _pace(speed or ("max" if sockets is None else "real"))
        with _progress(not json) as progress:
            outcome = simulate(
                scenario,
                speed=pace,
                seed=seed,
                report=report,
                progress=progress,
                fast_forward=pace is None and not full,
                sockets=sockets,
                live_commands=LiveCommands(sys.stdin, lambda text: typer.echo(text, err=True)) if live else None,
            )
    except (ValueError, OSError, RuntimeError) as error:
        _exit(_complain("sim", error))
    if json:
        typer.echo(jsonlib.dumps(outcome.summary()))
    else:
        _tell_outcome(outcome)
    _exit(0 if outcome.passed else 1)


def _sockets(wires: str, broker: str | None, interface: str | None, tls: Tls) -> Sockets | None:
    from emulators.world import Sockets, Transports

    if wires not in list(Transports):
        raise ValueError(f"--wires is memory or sockets, not {wires!r}")
    if wires == Transports.SOCKETS:
        if tls is Tls.V12:
            raise ValueError("ISO 15118-20 needs --tls 1.3, or none")
        return Sockets(broker, interface, tls=tls is Tls.V13)
    for option, given in (("--broker", broker), ("--interface", interface), ("--tls", tls is not Tls.NONE)):
        if given:
            raise ValueError(f"{option} makes no sense with wires in memory: say --wires sockets")
    return None


def _pace(speed: str) -> float | None:
    named = {"max": None, "real": 1.0}
    if speed in named:
        return named[speed]
    try:
        pace = float(speed)
    except ValueError:
        raise ValueError(f"--speed is max, real or a number, not {speed!r}") from None
    if not 0 < pace < float("inf"):
        raise ValueError(f"--speed is virtual seconds per second and more than 0, not {speed}")
    return pace


@contextlib.contextmanager
def _progress(shown: bool) -> Iterator[Callable[[float], None]]:
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), disable=not (shown and sys.stderr.isatty()), transient=True) as bar:
        task = bar.add_task("virtual time", total=1.0)
        yield lambda part: bar.update(task, completed=part)


def _tell_outcome(outcome: Any) -> None:
    for name, value in outcome.figures.items():
        typer.echo(f"{name:>36}  {value:.6g}")
    typer.echo(f"{outcome.virtual_s:.0f} s of the world in {outcome.real_s:.2f} s, seed {outcome.seed}")
    if expected := len(outcome.scenario.expect):
        typer.echo(f"{expected - len(outcome.violations)} of {expected} expectations held")
    for broken in outcome.violations:
        typer.echo(f"NOT as expected: {broken}", err=True)


# ------------------------------------------------------------------------------------------------------------- figures


class Bench(StrEnum):
    FIRST_LIGHT = "first-light"
    EXI = "exi"
    ISO20 = "iso20"
    OCPP = "ocpp"
    MQTT = "mqtt"
    FLEET = "fleet"
    DISPATCH = "dispatch"
    PLAN = "plan"
    SIM = "sim"


@app.command()
def bench(name: Bench, json: Json = False) -> None:
    """Measure, beside the peer in one run."""
    module = importlib.import_module(f"gateway.bench.{name.name.lower()}")
    _exit(module.main(json))


# -------------------------------------------------------------------------------------------------------------- border


def _run(work: Coroutine[Any, Any, int]) -> int:
    """Run to the end; SIGINT and SIGTERM cancel the work, which then ends in order."""
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


def _exit(status: int) -> NoReturn:
    raise typer.Exit(status)


def _complain(command: str, error: object, status: int = 2) -> int:
    typer.echo(f"v2x {command}: {error}", err=True)
    return status


def _tell_ready(running: Any) -> None:
    typer.echo(
        jsonlib.dumps({"event": "ready", "site": running.config.site.id, "ocpp_port": running.ocpp_port}), err=True
    )


def _spoken(command: str, option: str, wanted: str, known: type[StrEnum]) -> None:
    """End with a clear word where something of the comma-separated `wanted` is not among `known`."""
    unknown = [one for one in wanted.split(",") if one not in set(known)]
    if unknown:
        _exit(_complain(command, f"{option} {unknown[0]!r} is not spoken here; there is {', '.join(known)}"))


def _openssl(version: Tls, profile: TlsProfile) -> None:
    """TLS groups and suites come from a file that OpenSSL reads when the process starts: start again with it."""
    if version is Tls.V13:
        from protocols.iso15118 import tls

        tls.ensure_configuration(tls.TlsProfile(profile.value))


def main() -> None:
    """The entry point of the distribution."""
    app()
