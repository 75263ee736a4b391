"""Benches for SECCs: a device at an address or interface, and the emulated SECC in memory."""

from __future__ import annotations

import asyncio
import ssl
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

from emulators.charger.hardware.power_stage import PowerStage, StageSpec
from emulators.charger.secc.evse_hardware import stage_settings
from emulators.charger.secc.secc import EvseSecc
from emulators.conformance.bench import DeviceUnreachable, Discovery
from emulators.conformance.capabilities import Capabilities
from emulators.conformance.evidence import Evidence
from emulators.conformance.iso15118.mutation import Mutant, MutantWire
from emulators.conformance.iso15118.profiles import Profile
from emulators.conformance.iso15118.secc_access import SeccAccess
from emulators.conformance.iso15118.secc_discovery import discover
from emulators.ev.report import Reporter
from emulators.ev.session_options import OptionError, tls_context
from emulators.ev.wire_tools import WireTools
from emulators.runtime.clock import RealClock
from emulators.runtime.transports import wire_pair
from protocols.iso15118 import io, tls
from protocols.iso15118.iso20.services import ServiceId
from protocols.iso15118.tls import TlsVersion
from protocols.ports import Clock, Wire
from protocols.sdp import Security

SERVICES = (ServiceId.DC_BPT, ServiceId.DC, ServiceId.AC_BPT, ServiceId.AC)
RATED_W, MAX_VOLTAGE_V = 11_000.0, 1_000.0
DISCHARGE_W = -4_000.0


class SocketSeccBench:
    """A SECC at `[ADDR]:PORT`, or found by SDP on an interface for each connection."""

    def __init__(
        self,
        target: str,
        clock: Clock,
        tls: ssl.SSLContext | None = None,
        interface: bool = False,
        tools: WireTools | None = None,
    ) -> None:
        self.target = target
        self._clock, self._tls, self._interface = clock, tls, interface
        self._tools = tools or wire_tools(clock, tls, None)

    async def discover(self, evidence: Evidence) -> Discovery:
        """See `Bench`."""
        return await discover(self._connect, self._clock, evidence)

    @asynccontextmanager
    async def access(self, case: str, evidence: Evidence, capabilities: Capabilities) -> AsyncIterator[SeccAccess]:
        """See `Bench`."""
        access = SeccAccess(self._connect, self._clock, evidence, capabilities)
        try:
            yield access
        finally:
            await access.close()

    async def _connect(self, profile: Profile) -> Wire:
        if not self._interface:
            host, port = io.endpoint(self.target)
            return await io.connect(host, port, self._tls, self._tools.open_socket)
        security = Security.NONE if self._tls is None else Security.TLS
        try:
            opened = self._tools.open_datagrams(self.target)
            found = await io.discover(self.target, self._clock, security, tries=10, open_socket=opened)
        except OSError as error:
            raise DeviceUnreachable(str(error)) from error
        if found is None:
            raise ConnectionError(f"no response to SDP on {self.target}")
        if self._tls is not None and found.security is not Security.TLS:
            raise DeviceUnreachable("the SECC offers no TLS")
        return await io.connect(str(found.address), found.port, self._tls, self._tools.open_socket)

    async def close(self) -> None:
        """Complete the capture."""
        self._tools.close()


def wire_tools(clock: Clock, tls: ssl.SSLContext | None, pcap: Path | None) -> WireTools:
    """Return what captures the connections of a bench in `pcap` (pcapng, with the secrets of TLS). Raises OSError."""
    return WireTools(Reporter(sys.stdout, False, {}), clock, tls, pcap=pcap)


def one_version(name: str) -> TlsVersion:
    """Return the TLS version of an option. Raises OptionError for an option with several versions."""
    version = TlsVersion(name)
    if version in tls.BOTH:
        raise OptionError("--tls is none, 1.2 or 1.3 here")
    return version


def socket_bench(
    target: str, tls_version: str, tls_profile: str, pki_directory: Path | None, pcap: Path | None = None
) -> SocketSeccBench:
    """Return the bench of a device; `target` is `[ADDR]:PORT` or an interface. Raises ValueError, OSError of `pcap`."""
    context = tls_context(tls.client_context, one_version(tls_version), tls_profile, pki_directory)
    if ":" in target:
        io.endpoint(target)
    clock = RealClock()
    return SocketSeccBench(target, clock, context, ":" not in target, wire_tools(clock, context, pcap))


class MemorySeccBench:
    """The emulated SECC in memory, correct or with a mutant."""

    target = "emulated SECC in memory"

    def __init__(self, clock: Clock, mutant: Mutant | None = None) -> None:
        self._clock, self._mutant = clock, mutant
        self._tasks: set[asyncio.Task[bool]] = set()
        self._secc = self._built()
        self._connections = 0

    def _built(self, standby: bool = True) -> EvseSecc:
        stage = PowerStage(
            StageSpec(
                max_charge_w=RATED_W,
                max_discharge_w=RATED_W,
                max_current_a=RATED_W / 200,
                max_voltage_v=MAX_VOLTAGE_V,
            )
        )
        settings = stage_settings(stage, evse_id="DE8AAE00001", services=SERVICES)
        settings = replace(settings, standby=standby)
        return EvseSecc(stage, self._clock, settings=settings, tolerance="strict")

    async def discover(self, evidence: Evidence) -> Discovery:
        """See `Bench`."""
        return await discover(self._connect, self._clock, evidence)

    @asynccontextmanager
    async def access(self, case: str, evidence: Evidence, capabilities: Capabilities) -> AsyncIterator[SeccAccess]:
        """See `Bench`."""
        self._secc, self._connections = self._built(capabilities.has("iso20.standby")), 0
        access = SeccAccess(self._connect, self._clock, evidence, capabilities)
        try:
            yield access
        finally:
            await access.close()
            await self._secc.unplug()
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            self._tasks.clear()

    async def _connect(self, profile: Profile) -> Wire:
        if self._secc.connected:
            raise ConnectionRefusedError("the emulated SECC serves another connection")
        self._secc.set_power(DISCHARGE_W if profile.bpt and profile.dynamic else None)
        ours, device = wire_pair("tester", "secc")
        self._connections += 1
        mutant = self._mutant
        affected = mutant is not None and self._connections >= mutant.from_connection
        wire: Wire = MutantWire(device, self._clock, mutant) if mutant is not None and affected else device
        self._tasks.add(asyncio.ensure_future(self._secc.serve(wire)))
        return ours
