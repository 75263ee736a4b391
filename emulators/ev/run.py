"""Command `v2x ev`: one session of an emulated vehicle with a charger over TCP or TLS, found by address or by SDP.

Exit status: 0 the session succeeded, 1 it failed, 2 the options are invalid. With JSON, one line per event and a last
one named `Summary`. Cancelling the coroutine (Ctrl-C) ends the session properly first.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TextIO

from emulators.ev import profile as profiles
from emulators.ev.car import Car, CarSpec
from emulators.ev.control_input import standard_input
from emulators.ev.ordered_sessions import OrderedSessions
from emulators.ev.report import (
    Lines,
    PowerChanges,
    Reporter,
    limits_text,
    plain,
    power_text,
    print_error,
)
from emulators.ev.session import EvSession, car_settings
from emulators.ev.session_options import (
    CONTROLS,
    OLDER,
    OptionError,
    known,
    protocols_of,
    tls_context,
    tls_version,
    usable,
)
from emulators.ev.wire_tools import WireTools
from emulators.runtime.clock import RealClock
from protocols.errors import LocalProtocolError
from protocols.iso15118 import io, tls
from protocols.iso15118.iso20 import events
from protocols.iso15118.iso20.evcc_session import EvccSettings
from protocols.iso15118.iso20.preparation import prepare_car
from protocols.iso15118.iso20.services import NAMES
from protocols.iso15118.sockets.io import OpenSocket
from protocols.iso15118.subject import domain_component
from protocols.iso15118.tcp.io import TcpWire
from protocols.ports import Clock, Wire
from protocols.sdp import Security

OpenDatagrams = Callable[[str], OpenSocket]  # by interface
END_WITHIN = 5.0  # s, to end the session after Ctrl-C


@dataclass(frozen=True, slots=True)
class EvOptions:
    """Options of `v2x ev`. The charger is at `connect` (`[ADDR]:PORT`) or found by SDP on `interface`.

    `timeout_factor` extends the message timers, for a charger that is known to be slow.
    """

    connect: str | None = None
    interface: str | None = None
    tls_version: str = "none"
    tls_profile: str = "interop"
    pki_directory: Path | None = None
    protocols: str = "iso20"
    service: str = "dc_bpt"
    control: str = "dynamic"
    profile: str = "ccs-63"
    soc_pct: float = 80.0
    loops: int | None = None
    loop_interval_s: float | None = None
    poll_interval_s: float | None = None
    evccid: str | None = None
    timeout_factor: float = 1.0
    trace: bool = False
    keylog: Path | None = None
    pcap: Path | None = None
    control_stdin: bool = False
    json: bool = False


async def run(
    options: EvOptions,
    out: TextIO | None = None,
    observe: Callable[[object], None] | None = None,
    wrap: Callable[[Wire], Wire] = lambda wire: wire,
    orders: AsyncIterator[bytes] | None = None,
) -> int:
    """Run one vehicle; return the exit status of its last session.

    `observe` gets each event. `wrap` changes what it sends, for negative tests; `orders` replaces standard input.
    """
    try:
        car = Car(_spec(options.profile, options.service, options.evccid), soc_pct=options.soc_pct)
        settings = _settings(car, options)
        protocols = protocols_of(options.protocols)
        version = tls_version(options.tls_version, protocols)
        context = tls_context(tls.client_context, version, options.tls_profile, options.pki_directory)
        if (options.connect is None) is (options.interface is None):
            raise OptionError("give either the address of a charger or the interface on which to find one")
        address = io.endpoint(options.connect) if options.connect is not None else None
    except (ValueError, profiles.ProfileError, LocalProtocolError) as error:
        print_error("v2x ev", f"{error}")
        return 2
    reporter = Reporter(out or sys.stdout, options.json, _lines(car), observe)
    if "iso20" in protocols:
        prepare_car(settings.services, settings.controls)
    if OLDER & set(protocols):
        from emulators.ev import older_engine  # loaded only for these protocols

        older_engine.prepare(protocols)
    clock = RealClock()
    started = clock.now()
    reporter.write_record("Searching", {"interface": options.interface, "address": address})
    where = f"[{address[0]}]:{address[1]}" if address is not None else f"a charger on {options.interface}"
    reporter.write_text(f"connecting to {where}; battery at {car.soc_pct:.0f} %")
    try:
        tools = WireTools(reporter, clock, context, trace=options.trace, keylog=options.keylog, pcap=options.pcap)
    except OSError as error:
        print_error("v2x ev", f"{error.filename}: {error.strerror or error}")
        return 2
    offered = protocols

    def make(paused: events.Paused | None) -> EvSession:
        resumed = replace(settings, resume=paused)
        return EvSession(car, clock, reporter, settings=resumed, protocols=offered, loops=options.loops)

    async def run_one(session: EvSession) -> events.SessionEnded:
        plain_tcp = version is tls.TlsVersion.ALLOW
        opening = tools.open_socket, tools.open_datagrams
        wire = await connect_to_secc(address, options.interface, clock, context, *opening, plain_tcp=plain_tcp)
        session.protocols = await _offered(protocols, wire)
        return await _until_ended(session, wrap(tools.observed(wire)))

    try:
        if options.control_stdin:
            sessions = OrderedSessions(make, run_one, reporter)
            ended = await sessions.run(orders if orders is not None else standard_input())
            session = sessions.session
        else:
            session = make(None)
            ended = await run_one(session)
    except OSError as error:
        print_error("v2x ev", f"{error}; not tried again")
        reporter.write_record("Summary", {"ok": False, "reason": str(error), "loops": 0})
        return 1
    finally:
        tools.close()
    _summarise(reporter, session, ended, clock.now() - started)
    return 0 if ended.ok else 1


async def _offered(protocols: tuple[str, ...], wire: TcpWire) -> tuple[str, ...]:
    """Return the protocols that may be offered on the connection. Raises ConnectionError if there are none."""
    offered = usable(protocols, wire.tls_version)
    if not offered:
        await wire.close()
        raise ConnectionError(f"none of the protocols {', '.join(protocols)} may be used on {wire.tls_version}")
    return offered


async def _until_ended(session: EvSession, wire: Wire) -> events.SessionEnded:
    """Run the session to its end; end it properly if this coroutine is cancelled."""
    driving = asyncio.ensure_future(session.run(wire))
    try:
        return await asyncio.shield(driving)
    except asyncio.CancelledError:
        session.stop("stopped by the driver")
        with suppress(TimeoutError):
            await asyncio.wait_for(driving, END_WITHIN)
        return session.ended or events.SessionEnded(reason="interrupted", ok=False)


def _settings(car: Car, options: EvOptions) -> EvccSettings:
    intervals = {"loop_interval": options.loop_interval_s, "poll_interval": options.poll_interval_s}
    return car_settings(
        car,
        controls=(known(CONTROLS, options.control, "control mode"),),
        tls=options.tls_version != "none",
        timeout_factor=options.timeout_factor,
        **{name: interval for name, interval in intervals.items() if interval is not None},
    )


def _spec(profile: str, service: str, evccid: str | None) -> CarSpec:
    services = tuple(name.strip() for name in service.split(","))
    for name in services:
        known(NAMES, name, "service")
    spec = replace(profiles.load(profile), services=services)
    return spec if evccid is None else replace(spec, evcc_id=evccid)


async def connect_to_secc(
    address: tuple[str, int] | None,
    interface: str | None,
    clock: Clock,
    context: ssl.SSLContext | None,
    open_socket: OpenSocket = socket.socket,
    open_datagrams: OpenDatagrams = lambda interface: socket.socket,
    *,
    plain_tcp: bool = False,
) -> TcpWire:
    """Connect to the charger at an address, or to the one that responds to SDP on the interface.

    `plain_tcp`: a charger found by SDP that has no TLS is acceptable. Raises OSError without a response, or if the TLS
    certificate is not that of a charge point operator.
    """
    if address is None:
        address, security = await _discover(interface or "", clock, context is not None, plain_tcp, open_datagrams)
        context = context if security is Security.TLS else None
    wire = await io.connect(address[0], address[1], context, open_socket)
    if wire.peer_certificate is not None and domain_component(wire.peer_certificate) != "CPO":
        await wire.close()
        raise ConnectionError("the charger's certificate is not that of a charge point operator (DC=CPO)")
    return wire


async def _discover(
    interface: str, clock: Clock, tls: bool, plain_tcp: bool, open_datagrams: OpenDatagrams
) -> tuple[tuple[str, int], Security]:
    """Return address and security of the charger on the interface; `plain_tcp`: also without the requested TLS."""
    security, opened = Security.TLS if tls else Security.NONE, open_datagrams(interface)
    found = await io.discover(interface, clock, security, required=tls and not plain_tcp, open_socket=opened)
    if found is None:
        raise OSError(f"no charger responds on {interface}")
    if found.security is Security.TLS and not tls:
        raise OSError(f"the charger on {interface} requires TLS")
    return (found.address, found.port), found.security


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
    reporter.write_record("Summary", values)
    reporter.write_text(
        f"{'succeeded' if ended.ok else 'FAILED'}: {ended.reason}; {session.loops} loops, battery at"
        f" {car.soc_pct:.1f} %, {car.energy_in_wh:.1f} Wh in, {car.energy_out_wh:.1f} Wh out"
    )


def _lines(car: Car) -> Lines:
    """Return the lines of a session for people: one for each change, none for each charge loop."""
    changes = PowerChanges()

    def looped(event: events.ChargeLoopAnswered) -> str | None:
        charger = event.station
        power_w = charger.present_power_w if charger.present_power_w is not None else charger.target_power_w or 0.0
        if charger.present_current_a is not None and charger.present_voltage_v is not None:
            power_w = charger.present_current_a * charger.present_voltage_v
        target_w = charger.target_power_w if charger.target_power_w is not None else power_w
        if not changes.select(power_w, target_w, car.soc_pct):
            return None
        permitted = limits_text(charger.limits.max_charge_w, charger.limits.max_discharge_w)
        return f"{power_text(power_w)}, battery at {car.soc_pct:.0f} %; the charger permits {permitted}"

    return {**_LINES, events.ChargeLoopAnswered: looped}


_LINES: Lines = {
    events.ProtocolAgreed: lambda e: f"protocol {e.namespace}",
    events.SessionOpened: lambda e: (
        f"session {e.session_id.hex().upper()} at {e.evse_id}{' (resumed)' if e.resumed else ''}"
    ),
    events.ServiceAgreed: lambda e: (
        f"service {e.choice.service.name}, {e.choice.parameters.control.name.lower()} control"
    ),
    events.PowerStarted: lambda e: "power on",
    events.Notified: lambda e: f"the charger requests {e.notification.name} within {e.within_s} s",
    events.Warned: lambda e: f"warning: {e.message}: {e.code}",
    events.PowerStopped: lambda e: "power off",
}
