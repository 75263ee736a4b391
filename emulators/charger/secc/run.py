"""Program behind `v2x secc`: one emulated EVSE that serves cars over TCP or TLS, found by address or by SDP.

Exit status: 0 all sessions ended well, 1 a session failed, 2 the options are wrong. With JSON, one line per event; the
first is `Listening` with the port. Cancelling the coroutine (Ctrl-C) ends the car's session, then stops.
"""

from __future__ import annotations

import asyncio
import math
import ssl
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TextIO

from emulators.charger.hardware.power_stage import PowerStage, StageSpec
from emulators.charger.secc import events as charger
from emulators.charger.secc.evse_hardware import stage_settings
from emulators.charger.secc.secc import EvseSecc
from emulators.ev.control_input import Handler, Order, OrderRefused, obey, standard_input
from emulators.ev.report import Lines, PowerChanges, Reporter, limits_text, power_text, print_error
from emulators.ev.session_options import (
    CONTROLS,
    OLDER,
    TOLERANCES,
    OptionError,
    known,
    protocols_of,
    tls_context,
    tls_version,
)
from emulators.ev.wire_tools import WireTools
from emulators.runtime.clock import RealClock
from protocols.errors import LocalProtocolError
from protocols.iso15118 import io, tls
from protocols.iso15118.app_protocol import NAMESPACE_DIN, NAMESPACE_ISO2
from protocols.iso15118.iso20.preparation import prepare_charger
from protocols.iso15118.iso20.secc_session import SeccSettings
from protocols.iso15118.iso20.services import NAMES, ControlMode, ServiceId
from protocols.iso15118.tcp.io import TcpWire
from protocols.ports import Wire
from protocols.sdp import Security

MAX_VOLTAGE_V = 1_000.0  # 400 V and 800 V batteries
Wrap = Callable[[Wire], Wire]
ENDS_WITHIN = 5.0  # s for the car to end its session after Ctrl-C


@dataclass(frozen=True, kw_only=True, slots=True)
class RunOptions:
    """Options of `v2x secc`. Either `listen` ([ADDR]:PORT) or `interface`, on which the EVSE is found by SDP.

    `power_w`: set-point, signed, negative discharges; None charges as the car requests. `sessions`: number of cars,
    None until cancelled. `customer_s`: duration of the authorization by the customer; `wait_authorisation` waits for an
    order instead.
    """

    listen: str | None = None
    interface: str | None = None
    tls_version: str = "none"
    tls_profile: str = "interop"
    pki_directory: Path | None = None
    services: str = "dc,dc_bpt"
    protocols: str = "iso20,iso2,din"
    tolerance: str = "interop"
    control: str = "scheduled,dynamic"
    power_w: float | None = None
    rated_w: float = 11_000.0
    sessions: int | None = None
    evse_id: str = "ZZ00000"
    cable_check_s: float = 1.0
    loop_timeout_s: float | None = None
    terminate_after_loops: int | None = None
    renegotiate_after_loops: int | None = None
    customer_s: float = 0.0
    trace: bool = False
    keylog: Path | None = None
    pcap: Path | None = None
    control_stdin: bool = False
    wait_authorisation: bool = False
    json: bool = False


@dataclass(frozen=True, slots=True)
class _Endpoint:
    """Parsed options of the connection and the session."""

    host: str
    port: int
    context: ssl.SSLContext | tls.ServerContexts | None
    version: tls.TlsVersion
    services: list[ServiceId]
    controls: list[ControlMode]
    protocols: tuple[str, ...]
    tolerance: str


async def run(
    options: RunOptions,
    out: TextIO | None = None,
    started: Callable[[EvseSecc], None] | None = None,
    wrap: Wrap = lambda wire: wire,
    orders: AsyncIterator[bytes] | None = None,
) -> int:
    """Serve cars until their number is reached or until cancelled; return the exit status.

    `started` gets the SECC. `wrap` changes what the charger sends on a connection, for negative tests; `orders`
    replaces standard input.
    """
    reporter = Reporter(out or sys.stdout, options.json, _lines())
    try:
        endpoint = _endpoint(options)
    except (ValueError, LocalProtocolError, OSError) as error:
        print_error("v2x secc", f"{error}")
        return 2
    try:
        tools = WireTools(
            reporter, RealClock(), endpoint.context, trace=options.trace, keylog=options.keylog, pcap=options.pcap
        )
    except OSError as error:
        print_error("v2x secc", f"{error.filename}: {error.strerror or error}")
        return 2
    evse = _Evse(reporter, options, tools, wrap)
    evse.build(_settings(options, endpoint, evse.stage), endpoint)
    if started is not None:
        started(evse.secc)
    if "iso20" in endpoint.protocols:
        prepare_charger(endpoint.services, endpoint.controls)
    if OLDER & set(endpoint.protocols):
        from protocols.iso15118 import older_secc  # loaded only for these protocols

        older_secc.prepare(endpoint.protocols)
    try:
        server = await _listen(options, endpoint, evse)
    except OSError as error:
        print_error("v2x secc", f"can't listen on [{endpoint.host}]:{endpoint.port}: {error.strerror or error}")
        return 2
    try:
        responder = await _answer_sdp(options.interface, endpoint, server.port, tools)
    except OSError as error:
        print_error("v2x secc", f"can't answer SDP on {options.interface}: {error.strerror or error}")
        await server.close()
        return 2
    reporter.write_record("Listening", {"address": endpoint.host, "port": server.port, "tls": endpoint.version.value})
    reporter.write_text(f"listening on [{endpoint.host}]:{server.port}, TLS {endpoint.version.value}")
    controls = None
    if options.control_stdin:
        lines = orders if orders is not None else standard_input()
        controls = asyncio.ensure_future(obey(lines, evse.handlers(), reporter))
    try:
        await evse.done.wait()
    except asyncio.CancelledError:
        await evse.stop()
    finally:
        if controls is not None:
            controls.cancel()
            await asyncio.gather(controls, return_exceptions=True)
        if responder is not None:
            await responder.close()
        await server.close()
        tools.close()
    return 0 if evse.all_well else 1


def _endpoint(options: RunOptions) -> _Endpoint:
    """Parse the options. Raises OptionError, ValueError or LocalProtocolError, or OSError without the interface."""
    services = [known(NAMES, name, "service") for name in options.services.split(",")]
    controls = [known(CONTROLS, name, "control mode") for name in options.control.split(",")]
    protocols = protocols_of(options.protocols)
    version = tls_version(options.tls_version, protocols)
    context: ssl.SSLContext | tls.ServerContexts | None = (
        tls_context(tls.server_contexts, version, options.tls_profile, options.pki_directory)
        if version in tls.BOTH
        else tls_context(tls.server_context, version, options.tls_profile, options.pki_directory)
    )
    if (options.listen is None) is (options.interface is None):
        raise OptionError("give either an address to listen on or an interface for SDP")
    host, port = io.endpoint(options.listen) if options.listen is not None else ("", 0)
    if not all(map(math.isfinite, (options.power_w or 0.0, options.rated_w))):
        raise OptionError("--power-w and --rated-w are finite numbers")
    if options.interface is not None:
        host, port = f"{io.link_local_address(options.interface)}%{options.interface}", 0
    tolerance = known(TOLERANCES, options.tolerance, "tolerance")
    return _Endpoint(host, port, context, version, services, controls, protocols, tolerance)


def _settings(options: RunOptions, endpoint: _Endpoint, stage: PowerStage) -> SeccSettings:
    settings = stage_settings(
        stage,
        evse_id=options.evse_id,
        services=endpoint.services,
        controls=endpoint.controls,
        loop_timeout=options.loop_timeout_s,
    )
    strict = tls.TlsProfile(options.tls_profile) is tls.TlsProfile.STRICT
    if endpoint.version not in (tls.TlsVersion.NONE, tls.TlsVersion.TLS_1_2) and strict:
        settings = replace(settings, tls_required=True, identity_required=True)
    return settings


async def _listen(options: RunOptions, endpoint: _Endpoint, evse: _Evse) -> io.Listener:
    if options.interface is not None:
        return await io.listen_on_link(evse.serve, options.interface, endpoint.context, evse.tools.open_socket)
    return await io.listen(evse.serve, endpoint.host, endpoint.port, endpoint.context, evse.tools.open_socket)


async def _answer_sdp(
    interface: str | None, endpoint: _Endpoint, port: int, tools: WireTools
) -> io.SdpResponder | None:
    """Start to answer SDP requests on an interface; None without one."""
    if interface is None:
        return None
    offered = {Security.NONE if endpoint.context is None else Security.TLS}
    if endpoint.version is tls.TlsVersion.ALLOW:
        offered.add(Security.NONE)
    responder = io.SdpResponder(interface, port, frozenset(offered), tools.open_datagrams(interface))
    await responder.start()
    return responder


class _Evse:
    """One EVSE and the number of its sessions."""

    def __init__(self, reporter: Reporter, options: RunOptions, tools: WireTools, wrap: Wrap) -> None:
        rated_w = options.rated_w
        self.reporter, self._options, self.tools, self._wrap = reporter, options, tools, wrap
        self.stage = PowerStage(
            StageSpec(
                max_charge_w=rated_w, max_discharge_w=rated_w, max_current_a=rated_w / 200, max_voltage_v=MAX_VOLTAGE_V
            )
        )
        self.done = asyncio.Event()
        self.all_well = True
        self._sessions = options.sessions
        self._loops = 0
        self._unplugged = False

    def build(self, settings: SeccSettings, endpoint: _Endpoint) -> None:
        """Create the SECC."""
        self.secc = EvseSecc(
            self.stage,
            RealClock(),
            self.observe,
            settings=settings,
            protocols=endpoint.protocols,
            tolerance=endpoint.tolerance,
            free_vend=self._options.customer_s <= 0 and not self._options.wait_authorisation,
            cable_check_s=self._options.cable_check_s,
        )
        self.secc.set_power(self._options.power_w)

    async def serve(self, wire: TcpWire) -> None:
        """Serve one car; reject others meanwhile and after the last session."""
        if self.done.is_set() or self._unplugged or not await self.secc.serve(self._wrap(self.tools.observed(wire))):
            return
        self._loops = 0
        if self._sessions is not None:
            self._sessions -= 1
            if self._sessions <= 0:
                self.done.set()

    def observe(self, event: charger.SeccEvent) -> None:
        """Report an event and react to it."""
        self.reporter(event)
        if isinstance(event, charger.AuthorizationRequested):
            self.secc.wait_for_customer()
            if self._options.wait_authorisation:
                return
            asyncio.get_running_loop().call_later(self._options.customer_s, self.secc.authorize, True)
        elif isinstance(event, charger.Measured):
            self._loops += 1
            if self._loops == self._options.terminate_after_loops:
                self.secc.terminate("enough loops")
            if self._loops == self._options.renegotiate_after_loops:
                self.secc.renegotiate()
        elif isinstance(event, charger.SessionEnded):
            self.all_well = self.all_well and event.ok

    def handlers(self) -> dict[str, Handler]:
        """Return the orders of standard input."""

        def of_session(act: Callable[[Order], None]) -> Handler:
            async def handle(order: Order) -> None:
                if not self.secc.connected:
                    raise OrderRefused(f"{order.order}: no car is connected")
                act(order)

            return handle

        async def power(order: Order) -> None:
            self.secc.set_power(order.power_w)

        async def plug(order: Order) -> None:
            self._unplugged = False

        async def unplug(order: Order) -> None:
            self._unplugged = True
            await self.secc.unplug()

        async def stop(order: Order) -> None:
            await self.stop()
            self.done.set()

        return {
            "power": power,
            "terminate": of_session(lambda order: self.secc.terminate("order")),
            "pause": of_session(lambda order: self.secc.pause()),
            "renegotiate": of_session(self._renegotiate),
            "standby": of_session(self._standby),
            "authorise": of_session(lambda order: self.secc.authorize(order.accepted)),
            "plug": plug,
            "unplug": unplug,
            "stop": stop,
        }

    def _renegotiate(self, order: Order) -> None:
        engine = self.secc.engine
        namespace = "" if engine is None else engine.session.namespace
        if namespace == NAMESPACE_DIN:
            raise OrderRefused("renegotiate: DIN 70121 has no renegotiation: limits apply at once")
        if namespace == NAMESPACE_ISO2 and order.services:
            raise OrderRefused("renegotiate: ISO 15118-2 has no renegotiation of services")
        self.secc.renegotiate(services=order.services)

    def _standby(self, order: Order) -> None:
        if order.enter:
            raise OrderRefused("standby: the car enters it; the charger can only end it with enter = false")
        self.secc.exit_standby()

    async def stop(self) -> None:
        """Request the end of the car's session; disconnect a car that does not end it."""
        if not self.secc.connected:
            return
        self.secc.terminate("the charger stops", within_s=2)
        with suppress(TimeoutError):
            async with asyncio.timeout(ENDS_WITHIN):
                while self.secc.connected:  # noqa: ASYNC110 - no event: the session ends when its wire is closed
                    await asyncio.sleep(0.05)
        if self.secc.connected:
            await self.secc.unplug()


def _lines() -> Lines:
    """Return the lines of an EVSE for people: one for each change, none for each charge loop."""
    changes = PowerChanges()

    def measured(event: charger.Measured) -> str | None:
        if not changes.select(event.power_w, event.target_w, event.soc_pct):
            return None
        soc = "" if event.soc_pct is None else f", car at {event.soc_pct:.0f} %"
        bound = "" if event.binding is None else f", limited by {event.binding}"
        permitted = limits_text(event.limits.max_charge_w, event.limits.max_discharge_w)
        return f"{power_text(event.power_w)}, target {event.target_w:+.0f} W{bound}{soc}; the car permits {permitted}"

    return {**_LINES, charger.Measured: measured}


def _needs(event: charger.NeedsStated) -> str:
    energy = "" if event.needs is None else f"; {event.needs.target_wh / 1000:+.1f} kWh"
    target = "" if event.target_soc_pct is None else f"; {event.target_soc_pct} % charged"
    departure = "" if event.departure_s is None else f"; departs in {event.departure_s / 60:.0f} min"
    permitted = limits_text(event.limits.max_charge_w, event.limits.max_discharge_w)
    return f"the car requests {event.service}, {event.control} control, {permitted}{energy}{target}{departure}"


_LINES: Lines = {
    charger.VehicleIdentified: lambda e: f"car {e.evccid}{' (resumed)' if e.resumed else ''}",
    charger.AuthorizationRequested: lambda e: "the car waits for authorization",
    charger.NeedsStated: _needs,
    charger.ChargingStarted: lambda e: "power on",
    charger.StandbyEntered: lambda e: "standby",
    charger.ChargingStopped: lambda e: "power off",
    charger.SetpointRefused: lambda e: f"set-point {e.power_w:+.0f} W refused: {e.reason}",
    charger.SessionEnded: lambda e: f"session {'ended' if e.ok else 'FAILED'}: {e.reason}",
}
