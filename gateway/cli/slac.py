"""`v2x slac`: one side of the matching of ISO 15118-3 on a network interface."""

from __future__ import annotations

import sys
from collections.abc import Coroutine
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from gateway.cli.execution import check_choices, end, fail, run_emulator
from gateway.cli.options import Json, examples

if TYPE_CHECKING:
    from emulators.ev.report import Reporter

app = typer.Typer()

EMULATED = "emulated"


class Role(StrEnum):
    """Side of a matching, or a modem between two interfaces."""

    EVSE = "evse"
    EV = "ev"
    MODEM = "modem"


@app.command(
    epilog=examples(
        "v2x slac --interface eth1 --role evse",
        "v2x slac --interface eth1 --role ev --profile ioniq --json",
        "v2x slac --interface veth0 --role ev --modem emulated",
        "v2x slac --interface veth0 --role modem --host veth2",
    )
)
def slac(
    interface: Annotated[str, typer.Option(help="Network interface of the modem, or of the line.")],
    role: Annotated[Role, typer.Option(help="Side of the matching; modem: an emulated one for the host on --host.")],
    modem: Annotated[
        str, typer.Option(metavar="MAC|emulated", help="Address of the modem; emulated: the interface is the line.")
    ] = "00:b0:52:00:00:01",
    vendor: Annotated[str, typer.Option(help="Whose messages it understands: qualcomm, lumissil, none.")] = "qualcomm",
    profile: Annotated[str, typer.Option(help="Behaviour of a make, see docs/slac.md.")] = "standard",
    emulated: Annotated[str, typer.Option("--emulate", help="Model of the emulated modem.")] = "qca7000",
    attenuation_db: Annotated[int, typer.Option(min=0, max=255, help="That an emulated modem measures, dB.")] = 8,
    neighbour: Annotated[
        list[str] | None, typer.Option(metavar="MAC=DB", help="Attenuation of another host on the line, dB.")
    ] = None,
    host: Annotated[str | None, typer.Option(help="Role modem: interface of the host.")] = None,
    matchings: Annotated[int | None, typer.Option(min=1, help="EVSE: end after this number of matchings.")] = None,
    stay_s: Annotated[float, typer.Option(min=0, help="Stay matched for this time before the end, s.")] = 2.0,
    timeout_s: Annotated[float, typer.Option(min=0, help="EV: give up after this time, s.")] = 60.0,
    trace: Annotated[bool, typer.Option("--trace", help="Print ignored frames, too.")] = False,
    json: Json = False,
) -> None:
    """Match an EV with an EVSE by SLAC (ISO 15118-3).

    Linux, CAP_NET_RAW. Without a control pilot: an EVSE takes it that a vehicle is connected. Exit status 0: matched,
    1: not.
    """
    from emulators.powerline.modem import MODEM_PROFILES
    from emulators.powerline.program import SlacOptions, bridge, match
    from protocols.slac.behaviour import EV_PROFILES, EVSE_PROFILES
    from protocols.slac.frames import parse_mac
    from protocols.slac.vendor import ModemVendor

    check_choices("slac", "--vendor", vendor, [one.value for one in ModemVendor])
    check_choices("slac", "--emulate", emulated, MODEM_PROFILES)
    if role is Role.MODEM:
        if host is None:
            fail("slac", "--role modem needs --host")
        work = bridge(host, interface, _reporter(json), profile=emulated, attenuation_db=attenuation_db)
        end(_run(work))
    check_choices("slac", "--profile", profile, EV_PROFILES if role is Role.EV else EVSE_PROFILES)
    try:
        address = None if modem == EMULATED else parse_mac(modem)
        neighbours = dict(_attenuation(one) for one in neighbour or ())
    except ValueError as error:
        fail("slac", error)
    behaviour = (vendor, profile, emulated, attenuation_db, neighbours)
    options = SlacOptions(interface, role.value, address, *behaviour, matchings, stay_s, timeout_s, trace)
    end(_run(match(options, _reporter(json))))


def _attenuation(text: str) -> tuple[bytes, int]:
    """Return address and attenuation of a neighbour. Raises ValueError."""
    from protocols.slac.frames import parse_mac

    mac, _, decibel = text.partition("=")
    if not decibel.isdecimal() or int(decibel) > 255:
        raise ValueError(f"--neighbour is an address and an attenuation such as 02:00:00:00:00:01=40, not {text!r}")
    return parse_mac(mac), int(decibel)


def _reporter(json: bool) -> Reporter:
    from emulators.ev.report import Reporter
    from emulators.ev.slac_lines import LINES

    return Reporter(sys.stdout, json, LINES)


def _run(work: Coroutine[object, None, int]) -> int:
    """Run a program on a network interface, or end with the reason why there is none."""
    try:
        return run_emulator(work)
    except OSError as error:
        fail("slac", error.strerror or error)
