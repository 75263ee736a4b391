"""What `v2x secc` runs: one emulated EVSE that serves cars over TCP or TLS, found by address or by SDP.

Exit status: 0 all its sessions ended well, 1 one did not, 2 the options are wrong. With JSON, one line per event; the
first is `Listening` with the port. Cancelling the coroutine (Ctrl-C) asks the car to end, then stops.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, TextIO, TypeVar

from emulators.charger.hardware.power_stage import PowerStage, StageSpec
from emulators.charger.secc import secc as charger
from emulators.ev.report import Reporter, complain
from emulators.ev.session_options import CONTROLS, OptionError, iso20_version
from emulators.runtime.clock import RealClock
from protocols.errors import LocalProtocolError
from protocols.iso15118 import io, tls
from protocols.iso15118.io import TcpWire
from protocols.iso15118.iso20 import events
from protocols.iso15118.iso20.preparation import prepare_charger
from protocols.iso15118.iso20.secc_session import SeccSettings
from protocols.iso15118.iso20.services import NAMES
from protocols.sdp import Security

_T = TypeVar("_T")
ENDS_WITHIN = 5.0  # s for the car to follow after Ctrl-C


async def run(
    *,
    listen: str | None = None,
    interface: str | None = None,
    tls_version: str = "none",
    tls_profile: str = "interop",
    pki_directory: Path | None = None,
    services: str = "dc,dc_bpt",
    control: str = "scheduled,dynamic",
    power_w: float | None = None,
    rated_w: float = 11_000.0,
    sessions: int | None = None,
    evse_id: str = "ZZ00000",
    cable_check_s: float = 1.0,
    loop_timeout_s: float | None = None,
    terminate_after_loops: int | None = None,
    customer_s: float = 0.0,
    trace: bool = False,
    json: bool = False,
    out: TextIO | None = None,
) -> int:
    """Serve `sessions` cars (None: until cancelled) on `listen` ([ADDR]:PORT), or on `interface` with SDP.

    `power_w`: set-point, signed, negative discharges; None charges as the car likes. `customer_s`: how long
    authorization waits for the customer.
    """
    reporter = Reporter(out or sys.stdout, json, _LINES)
    try:
        wanted = [_known(NAMES, name, "service") for name in services.split(",")]
        controls = [_known(CONTROLS, name, "control mode") for name in control.split(",")]
        version = iso20_version(tls_version)
        context = None
        if version is not tls.TlsVersion.NONE:
            if pki_directory is None:
                raise OptionError("TLS needs certificates: give their directory (`v2x pki create DIR` makes test ones)")
            context = tls.server_context(pki_directory, version, tls.TlsProfile(tls_profile))
        if (listen is None) is (interface is None):
            raise OptionError("say either where to listen or on which interface to be found")
        address = io.endpoint(listen) if listen is not None else ("", 0)
        if interface is not None:
            address = (f"{io.link_local_address(interface)}%{interface}", 0)  # OSError: no such link
    except (ValueError, LocalProtocolError, OSError) as error:
        complain("v2x secc", f"{error}")
        return 2
    station = _Station(
        reporter,
        PowerStage(StageSpec(max_charge_w=rated_w, max_discharge_w=rated_w, max_current_a=rated_w / 200)),
        sessions,
        terminate_after_loops,
        customer_s,
    )
    settings = charger.stage_settings(
        station.stage, evse_id=evse_id, services=wanted, controls=controls, loop_timeout=loop_timeout_s, trace=trace
    )
    if version is tls.TlsVersion.TLS_1_3 and tls.TlsProfile(tls_profile) is tls.TlsProfile.STRICT:
        settings = replace(settings, tls_required=True, identity_required=True)
    station.build(settings, power_w, cable_check_s)
    prepare_charger(wanted, controls)
    try:
        if interface is not None:
            server = await io.listen_on_link(station.serve, interface, context)
        else:
            server = await io.listen(station.serve, address[0], address[1], context)
    except OSError as error:
        complain("v2x secc", f"can't listen on [{address[0]}]:{address[1]}: {error.strerror or error}")
        return 2
    responder: io.SdpResponder | None = None
    if interface is not None:
        offered = frozenset({Security.NONE if context is None else Security.TLS})
        responder = io.SdpResponder(interface, server.port, offered)
        try:
            await responder.start()
        except OSError as error:
            complain("v2x secc", f"can't answer SDP on {interface}: {error.strerror or error}")
            await server.close()
            return 2
    reporter.record("Listening", {"address": address[0], "port": server.port, "tls": version.value})
    reporter.say(f"listening on [{address[0]}]:{server.port}, TLS {version.value}")
    try:
        await station.done.wait()
    except asyncio.CancelledError:
        await station.stop()
    finally:
        if responder is not None:
            await responder.close()
        await server.close()
    return 0 if station.all_well else 1


class _Station:
    """One EVSE, its sessions counted."""

    def __init__(
        self,
        reporter: Reporter,
        stage: PowerStage,
        sessions: int | None,
        terminate_after_loops: int | None,
        customer_s: float,
    ) -> None:
        self.reporter = reporter
        self.stage = stage
        self.done = asyncio.Event()
        self.idle = asyncio.Event()
        self.idle.set()
        self.all_well = True
        self._sessions = sessions
        self._terminate_after = terminate_after_loops
        self._customer_s = customer_s
        self._loops = 0

    def build(self, settings: SeccSettings, power_w: float | None, cable_check_s: float) -> None:
        clock = RealClock()
        self.secc = charger.EvseSecc(
            self.stage,
            clock,
            self.observe,
            settings=replace(settings, trace=False),
            free_vend=self._customer_s <= 0,
            cable_check_s=cable_check_s,
            trace=self.reporter if settings.trace else None,
        )
        self.secc.set_power(power_w)

    async def serve(self, wire: TcpWire) -> None:
        if self.secc.connected or self.done.is_set():
            return
        self.idle.clear()
        self._loops = 0
        try:
            await self.secc.serve(wire)
        finally:
            self.idle.set()
            if self._sessions is not None:
                self._sessions -= 1
                if self._sessions <= 0:
                    self.done.set()

    def observe(self, event: charger.SeccEvent) -> None:
        self.reporter(event)
        if isinstance(event, charger.AuthorizationWanted):
            self.secc.wait_for_customer()
            asyncio.get_running_loop().call_later(self._customer_s, self.secc.authorize, True)
        elif isinstance(event, charger.Measured):
            self._loops += 1
            if self._loops == self._terminate_after:
                self.secc.terminate("enough loops")
        elif isinstance(event, charger.SessionEnded):
            self.all_well = self.all_well and event.ok

    async def stop(self) -> None:
        """Ask the car on the line to end; unplug it if it doesn't."""
        if not self.secc.connected:
            return
        self.secc.terminate("the charger stops", within_s=2)
        with suppress(TimeoutError):
            async with asyncio.timeout(ENDS_WITHIN):
                await self.idle.wait()
        if self.secc.connected:
            await self.secc.unplug()


def _known(table: dict[str, _T], name: str, what: str) -> _T:
    if name.strip() not in table:
        raise OptionError(f"no {what} {name.strip()!r}; there are {', '.join(table)}")
    return table[name.strip()]


def _measured(event: charger.Measured) -> str:
    soc = "" if event.soc_pct is None else f"  {event.soc_pct:3.0f} %"
    bound = "" if event.binding is None else f"  bound by {event.binding}"
    return f"  {event.power_w:+9.0f} W of {event.target_w:+9.0f} W  {event.current_a:+7.1f} A{soc}{bound}"


def _message(event: events.MessageSent | events.MessageReceived) -> str:
    arrow = "->" if isinstance(event, events.MessageSent) else "<-"
    return f"{arrow} {type(event.message).__name__}"


_LINES: dict[type[Any], Callable[[Any], str | None]] = {
    charger.VehicleIdentified: lambda e: f"car {e.evccid}{' (resumed)' if e.resumed else ''}",
    charger.NeedsStated: lambda e: f"needs: {e.service}, {e.control} control",
    charger.ChargingStarted: lambda e: "power on",
    charger.Measured: _measured,
    charger.StandbyEntered: lambda e: "standby",
    charger.ChargingStopped: lambda e: "power off",
    charger.SessionEnded: lambda e: f"session {'ended' if e.ok else 'FAILED'}: {e.reason}",
    events.MessageSent: _message,
    events.MessageReceived: _message,
}
