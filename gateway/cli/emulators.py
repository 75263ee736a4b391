"""`v2x charger`, `v2x secc`, `v2x ev`, `v2x v2h-box`: emulated charging stations, SECCs, EVs and V2H boxes."""

from __future__ import annotations

import json as jsonlib
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gateway.cli.execution import check_choices, end, fail, run_emulator
from gateway.cli.options import Json, examples

if TYPE_CHECKING:
    from collections.abc import Callable

    from protocols.ports import Wire

app = typer.Typer()

Pki = Annotated[Path | None, typer.Option("--pki", help="Folder of certificates, as `v2x pki create` makes.")]
Interface = Annotated[str | None, typer.Option(help="Network interface for SDP discovery.")]
Slac = Annotated[bool, typer.Option("--slac", help="First control pilot and SLAC on --interface (emulated modem).")]
Trace = Annotated[bool, typer.Option("--trace", help="Print every message, whole.")]
Keylog = Annotated[
    Path | None, typer.Option(dir_okay=False, help="Add the secrets of TLS to this file (as does SSLKEYLOGFILE).")
]
Pcap = Annotated[
    Path | None, typer.Option(dir_okay=False, help="Write a capture (pcapng) with the secrets of TLS inside.")
]
Inject = Annotated[
    Path | None,
    typer.Option(dir_okay=False, help="Deviations in what it sends (TOML); schema: `v2x inject-schema`."),
]
Chademo = Annotated[
    str | None, typer.Option("--chademo", metavar="CHANNEL", help="CAN instead: can0, udp:GROUP or memory:NAME.")
]
Candump = Annotated[Path | None, typer.Option(dir_okay=False, help="With --chademo: write frames as candump -L does.")]
ControlStdin = Annotated[
    bool, typer.Option("--control-stdin", help='Take orders, one JSON object a line, such as {"order": "stop"}.')
]


class Ocpp(StrEnum):
    """OCPP version of an emulated station."""

    V16 = "1.6"
    V201 = "2.0.1"
    V21 = "2.1"


class SessionTls(StrEnum):
    """TLS between EV and SECC; the last two are 1.2 and 1.3, as the other side offers, `allow` also none."""

    NONE = "none"
    V12 = "1.2"
    V13 = "1.3"
    REQUIRE = "require"
    ALLOW = "allow"


class TlsProfile(StrEnum):
    """Strictness of TLS."""

    STRICT = "strict"
    INTEROP = "interop"


class ToleranceProfile(StrEnum):
    """Tolerance of deviations from ISO 15118-2 and DIN 70121."""

    STRICT = "strict"
    INTEROP = "interop"


PROTOCOLS = ("iso20", "iso2", "din")
TlsOption = Annotated[
    SessionTls,
    typer.Option("--tls", help="1.3 for ISO 15118-20, 1.2 for ISO 15118-2; require: either; allow: either or none."),
]
ProfileOption = Annotated[
    TlsProfile, typer.Option("--tls-profile", help="strict: as the standard; interop: as peers in the field.")
]
Protocols = Annotated[str, typer.Option(help="Of iso20, iso2, din; a car prefers the first.")]


@app.command(
    epilog=examples(
        "v2x charger --csms ws://127.0.0.1:9000/ocpp --id CP1 --car ccs-63",
        "v2x charger --csms ws://127.0.0.1:9000/ocpp --secc [::1]:15119",
        "v2x charger --csms ws://127.0.0.1:9000/ocpp --chademo udp:239.74.163.2",
        "v2x charger --csms wss://gw:9000/ocpp --ca ca.pem --password-file pw",
    )
)
def charger(
    csms: Annotated[str, typer.Option(help="URL of the CSMS: ws://host:port/ocpp")],
    id: Annotated[str, typer.Option("--id", help="The station's id.")] = "CP1",
    ocpp: Annotated[Ocpp, typer.Option(help="OCPP version.")] = Ocpp.V21,
    evses: Annotated[int, typer.Option(min=1, max=64, help="Number of EVSEs.")] = 1,
    secc: Annotated[str | None, typer.Option(metavar="[ADDR]:PORT", help="Address for EVs over ISO 15118.")] = None,
    chademo: Annotated[
        str | None,
        typer.Option(metavar="CHANNEL", help="CAN bus for an EV over CHAdeMO: can0, udp:GROUP, memory:NAME."),
    ] = None,
    candump: Candump = None,
    charge_w: Annotated[float, typer.Option(min=0, help="Rated charging power, W.")] = 10_000.0,
    discharge_w: Annotated[float, typer.Option(min=0, help="Rated discharging power, W.")] = 10_000.0,
    meter_class_pct: Annotated[float, typer.Option(min=0, max=10, help="Accuracy class of the meter.")] = 0.0,
    meter_interval_s: Annotated[float, typer.Option(min=0.1, help="Interval of meter values, s.")] = 10.0,
    vendor_profile: Annotated[str | None, typer.Option(help="Vendor profile of the product.")] = None,
    password_file: Annotated[Path | None, typer.Option(help="Basic auth password (security profiles 1, 2).")] = None,
    ca: Annotated[Path | None, typer.Option(help="Certificates to verify the CSMS with (wss).")] = None,
    cert: Annotated[Path | None, typer.Option(help="Client certificate (security profile 3).")] = None,
    key: Annotated[Path | None, typer.Option(help="Its key.")] = None,
    id_token: Annotated[str, typer.Option(help="Token presented at plug-in.")] = "",
    token_type: Annotated[str, typer.Option(help="Its type.")] = "ISO14443",
    car: Annotated[str | None, typer.Option(help="Without --secc: profile of the EV at each EVSE.")] = None,
    soc_pct: Annotated[float, typer.Option("--soc", min=0, max=100, help="Its state of charge, %.")] = 80.0,
    state: Annotated[Path | None, typer.Option(help="Folder for the state that survives a restart.")] = None,
    control_stdin: Annotated[
        bool, typer.Option("--control-stdin", help='Take orders of a laboratory: {"order": "plug", "evse": 1}.')
    ] = False,
    trace: Trace = False,
    json: Json = False,
) -> None:
    """Run an emulated charging station until it is stopped.

    It prints its connection, states and power; with --trace every message. A failed connection is printed with its
    reason and the time of the next attempt.
    """
    options = locals()
    from emulators.charger.station.run import Options, run
    from gateway.csms.payload_secrets import without_secrets

    del options["password_file"], options["json"], options["trace"]
    work = run(Options(**options), redact=without_secrets, password_file=password_file, trace=trace, json=json)
    end(run_emulator(work))


@app.command(
    epilog=examples(
        "v2x secc --listen [::1]:15118 --power-w=-5000",
        "v2x secc --interface eth1 --tls 1.3 --pki pki --pcap session.pcapng",
        "v2x secc --listen [::1]:15118 --protocols iso2,din --services dc,ac",
        "v2x secc --interface veth0 --slac --sessions 1",
    )
)
def secc(
    listen: Annotated[str | None, typer.Option(metavar="[ADDR]:PORT", help="Address for EVs.")] = None,
    interface: Interface = None,
    slac: Slac = False,
    tls_version: TlsOption = SessionTls.NONE,
    tls_profile: ProfileOption = TlsProfile.INTEROP,
    pki_directory: Pki = None,
    services: Annotated[str, typer.Option(help="Of dc, dc_bpt, ac, ac_bpt.")] = "dc,dc_bpt",
    protocols: Protocols = "iso20,iso2,din",
    tolerance: Annotated[
        ToleranceProfile, typer.Option(help="interop: deviations of cars in the field are accepted in iso2 and din.")
    ] = ToleranceProfile.INTEROP,
    control: Annotated[str, typer.Option(help="Of scheduled, dynamic.")] = "scheduled,dynamic",
    power_w: Annotated[
        float | None, typer.Option(help="Set-point; negative discharges. Default: as the EV requests.")
    ] = None,
    rated_w: Annotated[float, typer.Option(min=0, help="Rated power, W, both ways.")] = 11_000.0,
    sessions: Annotated[int | None, typer.Option(min=1, help="End after this number of sessions.")] = None,
    trace: Trace = False,
    keylog: Keylog = None,
    pcap: Pcap = None,
    inject: Inject = None,
    control_stdin: ControlStdin = False,
    wait_authorisation: Annotated[
        bool, typer.Option("--wait-authorisation", help="Cars wait for an order authorise.")
    ] = False,
    json: Json = False,
) -> None:
    """Run an emulated SECC: one EVSE that serves EVs.

    It prints the requests of each EV and the power; with --trace every message.
    """
    options = locals()
    del options["slac"]
    from emulators.charger.secc.run import RunOptions, run

    check_choices("secc", "--protocols", protocols, PROTOCOLS)
    restart_with_openssl_settings(tls_version, tls_profile)
    wrap = injections("secc", options.pop("inject"))
    work = partial(run, RunOptions(**options), None)
    if slac:
        from emulators.charger.secc.slac import run_on_cable

        end(run_emulator(run_on_cable(_cable("secc", interface), json, partial(work, wrap=wrap))))
    end(run_emulator(work(wrap=wrap)))


@app.command(
    epilog=examples(
        "v2x ev --connect [::1]:15118 --service dc_bpt --soc 80",
        "v2x ev --interface eth1 --tls 1.3 --pki pki --loops 100",
        "v2x ev --connect [::1]:15118 --protocols iso2,din --service dc",
        "v2x ev --interface veth1 --slac --loops 10",
        "v2x ev --connect [::1]:15118 --trace --inject faults.toml",
        "v2x ev --chademo udp:239.74.163.2 --profile leaf-40 --candump leaf.log",
    )
)
def ev(
    connect: Annotated[str | None, typer.Option(metavar="[ADDR]:PORT", help="Address of the SECC.")] = None,
    interface: Interface = None,
    chademo: Chademo = None,
    candump: Candump = None,
    slac: Slac = False,
    tls_version: TlsOption = SessionTls.NONE,
    tls_profile: ProfileOption = TlsProfile.INTEROP,
    pki_directory: Pki = None,
    protocols: Protocols = "iso20",
    service: Annotated[str, typer.Option(help="Of dc, dc_bpt, ac, ac_bpt; several in order of preference.")] = "dc_bpt",
    control: Annotated[str, typer.Option(help="dynamic or scheduled.")] = "dynamic",
    auth: Annotated[str, typer.Option(help="eim: external identification at the charging station.")] = "eim",
    profile: Annotated[
        str | None,
        typer.Option(help="Vehicle profile: a name, or a TOML file. [default: ccs-63; over CAN leaf-40]"),
    ] = None,
    soc_pct: Annotated[float, typer.Option("--soc", min=0, max=100, help="State of charge on arrival, %.")] = 80.0,
    loops: Annotated[int | None, typer.Option(min=1, help="End the session after this number of charge loops.")] = None,
    evccid: Annotated[str | None, typer.Option(help="EVCCID of the EV.")] = None,
    trace: Trace = False,
    keylog: Keylog = None,
    pcap: Pcap = None,
    inject: Inject = None,
    control_stdin: ControlStdin = False,
    json: Json = False,
) -> None:
    """Run an emulated EV for one session.

    It connects to a SECC, or to a charger over CHAdeMO.
    It prints its power and state of charge; with --trace every message and the time since its request.
    Exit status 0: the session ended well.
    """
    if chademo is not None:
        from emulators.ev.chademo_run import ChademoOptions
        from emulators.ev.chademo_run import run as run_chademo

        end(
            run_emulator(
                run_chademo(ChademoOptions(chademo, profile or "leaf-40", soc_pct, loops, json, trace, candump))
            )
        )
    if candump is not None:
        fail("ev", "--candump needs --chademo")
    options = locals() | {"profile": profile or "ccs-63"}
    del options["slac"], options["chademo"], options["candump"]
    from emulators.ev.run import EvOptions, run

    check_choices("ev", "--protocols", protocols, PROTOCOLS)
    check_choices("ev", "--auth", options.pop("auth"), ("eim",))
    restart_with_openssl_settings(tls_version, tls_profile)
    wrap = injections("ev", options.pop("inject"))
    work = partial(run, EvOptions(**options), None)
    if slac:
        from emulators.ev.slac import run_plugged_in

        end(run_emulator(run_plugged_in(_cable("ev", interface), json, partial(work, wrap=wrap))))
    end(run_emulator(work(wrap=wrap)))


def _cable(command: str, interface: str | None) -> str:
    """Return the interface of a cable, or end the command without one."""
    return interface if interface is not None else fail(command, "--slac needs --interface")


@app.command(
    "v2h-box",
    epilog=examples(
        "v2x v2h-box --interface eth0",
        "v2x v2h-box --address 192.0.2.10 --car leaf-40 --soc 60 --release Q",
        "v2x v2h-box --car '' --json",
        "v2x v2h-box --beside storage,pv,board,meter,pcs --storage-wh 9800",
    ),
)
def v2h_box(
    address: Annotated[str, typer.Option(help="Own address, IPv4 or IPv6; link-local needs --interface.")] = "0.0.0.0",
    interface: Annotated[str, typer.Option(help="Network interface for multicast.")] = "",
    port: Annotated[int, typer.Option(min=1, max=65535, help="UDP port, of all nodes.")] = 3610,
    car: Annotated[str, typer.Option(help="Profile of the vehicle; empty: none.")] = "leaf-40",
    soc_pct: Annotated[float, typer.Option("--soc", min=0, max=100, help="Its state of charge, %.")] = 80.0,
    release: Annotated[str, typer.Option(help="Release of the standard, D to R.")] = "R",
    power_w: Annotated[float, typer.Option(min=500, max=100_000, help="Rated power, W.")] = 6000.0,
    house_w: Annotated[float, typer.Option(help="Power of the house without the box, + from the grid, W.")] = 500.0,
    beside: Annotated[str, typer.Option(help="Other devices of the home: storage, pv, board, meter, pcs.")] = "",
    pv_w: Annotated[float, typer.Option(min=100, max=65_000, help="Peak power of the PV, W.")] = 5000.0,
    storage_wh: Annotated[float, typer.Option(min=500, max=1e6, help="Energy of the storage battery, Wh.")] = 10_000.0,
    json: Json = False,
) -> None:
    """Run an emulated V2H box of ECHONET Lite.

    It prints what a controller sets, its power and the state of charge of its vehicle, until it is stopped.
    A LEAF is connected over CHAdeMO.
    """
    from emulators.echonet.run import BoxOptions, run

    others = tuple(name.strip() for name in beside.split(",") if name.strip())
    options = BoxOptions(
        address, interface, port, car, soc_pct, release, power_w, house_w, others, pv_w, storage_wh, json
    )
    end(run_emulator(run(options)))


@app.command("inject-schema", epilog=examples("v2x inject-schema > inject.schema.json"))
def inject_schema() -> None:
    """Print the JSON Schema of files for --inject."""
    from emulators.faults.injection_file import json_schema

    typer.echo(jsonlib.dumps(json_schema(), indent=2))


def injections(command: str, path: Path | None) -> Callable[[Wire], Wire]:
    """Return what changes the messages on a wire by a file of injections; an invalid file ends the command."""
    if path is None:
        return lambda wire: wire
    from emulators.faults.injected_wire import from_file
    from emulators.faults.injection_file import InjectionError, load

    try:
        return from_file(load(path), report=lambda text: typer.echo(f"{command}: {text}", err=True))
    except InjectionError as error:
        fail(command, error)


def restart_with_openssl_settings(version: SessionTls, profile: TlsProfile) -> None:
    """Start the process again with a configuration of OpenSSL that names the groups and suites of TLS 1.3."""
    if version is not SessionTls.NONE:
        from protocols.iso15118 import tls

        tls.ensure_configuration(tls.TlsProfile(profile.value), tls.TlsVersion(version.value))
