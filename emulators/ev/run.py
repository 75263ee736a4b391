"""What `v2x ev` runs: one emulated car, one session with a charger over TCP or TLS, found by address or by SDP.

Exit status: 0 the session ended well, 1 it did not, 2 the options are wrong. With JSON, one line per event and a last
one named `Summary`. Cancelling the coroutine (Ctrl-C) ends the session in the ordinary way first."""

from __future__ import annotations

import asyncio
import ssl
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, TextIO

from emulators.ev import profile as profiles
from emulators.ev.car import Car, CarSpec
from emulators.ev.report import Reporter, complain, plain
from emulators.ev.session import EvSession, car_settings
from emulators.ev.session_options import CONTROLS, OptionError, iso20_version
from emulators.runtime.clock import RealClock
from protocols.errors import LocalProtocolError
from protocols.iso15118 import io, tls
from protocols.iso15118.iso20 import events
from protocols.iso15118.iso20.preparation import prepare_car
from protocols.iso15118.iso20.services import NAMES, ControlMode
from protocols.iso15118.subject import domain_component
from protocols.ports import Clock
from protocols.sdp import Security

ENDS_WITHIN = 5.0  # s for the ordinary end after Ctrl-C


async def run(
    *,
    connect: str | None = None,
    interface: str | None = None,
    tls_version: str = "none",
    tls_profile: str = "interop",
    pki_directory: Path | None = None,
    service: str = "dc_bpt",
    control: str = "dynamic",
    profile: str = "ccs-63",
    soc_pct: float = 80.0,
    loops: int | None = None,
    loop_interval_s: float | None = None,
    poll_interval_s: float | None = None,
    evccid: str | None = None,
    patience: float = 1.0,
    trace: bool = False,
    json: bool = False,
    out: TextIO | None = None,
) -> int:
    """Run one car. `connect` is `[ADDR]:PORT`; else the charger is looked for on `interface`.

    `patience` stretches the message timers for a charger that is known to be slow.
    """
    reporter = Reporter(out or sys.stdout, json, _LINES)
    try:
        spec = _spec(profile, service, evccid)
        settings = car_settings(
            car := Car(spec, soc_pct=soc_pct),
            controls=(_control(control),),
            tls=tls_version != "none",
            trace=trace,
            timeout_factor=patience,
        )
        if loop_interval_s is not None:
            settings = replace(settings, loop_interval=loop_interval_s)
        if poll_interval_s is not None:
            settings = replace(settings, poll_interval=poll_interval_s)
        version = iso20_version(tls_version)
        context = _context(version, tls.TlsProfile(tls_profile), pki_directory)
        if (connect is None) is (interface is None):
            raise OptionError("say either where to connect to or on which interface to look for a charger")
        address = io.endpoint(connect) if connect is not None else None
    except (ValueError, profiles.ProfileError, LocalProtocolError) as error:
        complain("v2x ev", f"{error}")
        return 2
    prepare_car(settings.services, settings.controls)
    clock = RealClock()
    started = clock.now()
    reporter.record("Searching", {"interface": interface, "address": address})
    try:
        wire = await reach(address, interface, clock, context)
    except OSError as error:
        complain("v2x ev", f"{error}")
        reporter.record("Summary", {"ok": False, "reason": str(error), "loops": 0})
        return 1
    session = EvSession(car, clock, reporter, settings=settings, loops=loops)
    driving = asyncio.ensure_future(session.run(wire))
    try:
        ended = await asyncio.shield(driving)
    except asyncio.CancelledError:
        session.stop("the driver stops")
        with suppress(TimeoutError):
            await asyncio.wait_for(driving, ENDS_WITHIN)
        ended = session.ended or events.SessionEnded(reason="interrupted", ok=False)
    _summarise(reporter, session, ended, clock.now() - started)
    return 0 if ended.ok else 1


def _spec(profile: str, service: str, evccid: str | None) -> CarSpec:
    wanted = tuple(name.strip() for name in service.split(","))
    unknown = [name for name in wanted if name not in NAMES]
    if unknown:
        raise OptionError(f"no service {unknown[0]!r}; there are {', '.join(NAMES)}")
    spec = replace(profiles.load(profile), services=wanted)
    return spec if evccid is None else replace(spec, evcc_id=evccid)


def _control(name: str) -> ControlMode:
    if name not in CONTROLS:
        raise OptionError(f"no control mode {name!r}; there are {', '.join(CONTROLS)}")
    return CONTROLS[name]


def _context(version: tls.TlsVersion, profile: tls.TlsProfile, directory: Path | None) -> ssl.SSLContext | None:
    if version is tls.TlsVersion.NONE:
        return None
    if directory is None:
        raise OptionError("TLS needs certificates: give their directory (`v2x pki create DIR` makes test ones)")
    return tls.client_context(directory, version, profile)


async def reach(
    address: tuple[str, int] | None, interface: str | None, clock: Clock, context: ssl.SSLContext | None
) -> io.TcpWire:
    """A stream to the charger at the address, or to the one that answers SDP on the interface.

    OSError: nobody answers, or somebody who is no charge point operator's (seen under TLS only).
    """
    if address is None:
        address = await _discover(interface or "", clock, context is not None)
    wire = await io.connect(address[0], address[1], context)
    if wire.peer_certificate is not None and domain_component(wire.peer_certificate) != "CPO":
        await wire.close()
        raise ConnectionError("the charger's certificate is not that of a charge point operator (DC=CPO)")
    return wire


async def _discover(interface: str, clock: Clock, wants_tls: bool) -> tuple[str, int]:
    security = Security.TLS if wants_tls else Security.NONE
    found = await io.discover(interface, clock, security, required=wants_tls)
    if found is None:
        raise OSError(f"no charger answers on {interface}")
    if found.security is not security:
        raise OSError(f"the charger on {interface} speaks TLS only")
    return found.address, found.port


def _summarise(reporter: Reporter, session: EvSession, ended: events.SessionEnded, seconds: float) -> None:
    car = session.car
    values = {
        "ok": ended.ok,
        "reason": ended.reason,
        "code": plain(ended.code),
        "paused": session.paused is not None,
        "loops": session.loops,
        "soc_pct": round(car.soc_pct, 3),
        "energy_in_wh": round(car.energy_in_wh, 3),
        "energy_out_wh": round(car.energy_out_wh, 3),
        "seconds": round(seconds, 3),
    }
    reporter.record("Summary", values)
    reporter.say(
        f"{'ended well' if ended.ok else 'FAILED'}: {ended.reason}; {session.loops} loops, battery at"
        f" {car.soc_pct:.1f} %, {car.energy_in_wh:.1f} Wh in, {car.energy_out_wh:.1f} Wh out"
    )


def _looped(event: events.StationLooped) -> str:
    turn = event.station
    if turn.present_current_a is not None and turn.present_voltage_v is not None:
        power = turn.present_current_a * turn.present_voltage_v
        return f"  {power:+9.0f} W  {turn.present_current_a:+7.1f} A  {turn.present_voltage_v:6.1f} V"
    return f"  {turn.target_power_w or 0.0:+9.0f} W asked"


_LINES: dict[type[Any], Callable[[Any], str | None]] = {
    events.ProtocolAgreed: lambda e: f"protocol {e.namespace}",
    events.SessionOpened: lambda e: (
        f"session {e.session_id.hex().upper()} at {e.evse_id}{' (resumed)' if e.resumed else ''}"
    ),
    events.ServiceAgreed: lambda e: (
        f"service {e.choice.service.name}, {e.choice.parameters.control.name.lower()} control"
    ),
    events.PowerStarted: lambda e: "power on",
    events.StationLooped: _looped,
    events.Notified: lambda e: f"the charger asks: {e.notification} within {e.within_s} s",
    events.Warned: lambda e: f"warning: {e.message}: {e.code}",
    events.PowerStopped: lambda e: "power off",
    events.SessionEnded: lambda e: None,
}
