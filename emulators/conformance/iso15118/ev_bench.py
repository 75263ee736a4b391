"""Benches for EVs: an EV that connects to an address or over SDP, and the emulated EV in memory."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path

from emulators.conformance.bench import DeviceUnreachable, Discovery
from emulators.conformance.capabilities import Capabilities, DeviceIdentity
from emulators.conformance.case import CaseEnd
from emulators.conformance.evidence import Evidence
from emulators.conformance.iso15118.ev_access import CAPABILITIES, EvAccess
from emulators.conformance.iso15118.mutation import Mutant, MutantWire
from emulators.conformance.iso15118.profiles import DC_BPT, PROFILES, Profile
from emulators.conformance.iso15118.secc_bench import one_version, wire_tools
from emulators.ev import profile as profiles
from emulators.ev.car import Car
from emulators.ev.session import EvSession, car_settings
from emulators.ev.session_options import tls_context
from emulators.ev.wire_tools import WireTools
from emulators.runtime.clock import RealClock
from emulators.runtime.transports import wire_pair
from protocols.iso15118 import io, tls
from protocols.iso15118.iso20.services import ControlMode, ServiceId
from protocols.ports import Clock, Wire
from protocols.sdp import Security

CONNECTS_WITHIN_S = 120.0
WAITING = 4  # connections that wait for a case


class SocketEvBench:
    """EVs that connect to `[ADDR]:PORT`, or over SDP on an interface: one connection for each session of a case."""

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
        self._queue: asyncio.Queue[Wire] = asyncio.Queue(WAITING)
        self._served: dict[Wire, asyncio.Event] = {}
        self._listener: io.Listener | None = None
        self._responder: io.SdpResponder | None = None

    @property
    def port(self) -> int:
        """Port on which EVs are served, 0 before the first case."""
        return 0 if self._listener is None else self._listener.port

    async def discover(self, evidence: Evidence) -> Discovery:
        """Return the protocols that the EV offers in its first handshake. Raises DeviceUnreachable."""
        await self._start()
        async with self.access("discovery", evidence, Capabilities(CAPABILITIES)) as access:
            station = await access.station(DC_BPT)
            with suppress(CaseEnd):
                await station.handshake("Failed_NoNegotiation")
        offered = {one.get("ProtocolNamespace") for one in station.offered}
        if not offered:
            raise DeviceUnreachable("it sends no handshake")
        found = {profile.capability: profile.namespace in offered for profile in PROFILES}
        return Discovery(DeviceIdentity(), found)

    async def _start(self) -> None:
        if self._listener is not None:
            return
        try:
            if self._interface:
                self._listener = await io.listen_on_link(self._take, self.target, self._tls, self._tools.open_socket)
                offered = frozenset({Security.NONE if self._tls is None else Security.TLS})
                opened = self._tools.open_datagrams(self.target)
                self._responder = io.SdpResponder(self.target, self._listener.port, offered, opened)
                await self._responder.start()
            else:
                host, port = io.endpoint(self.target)
                self._listener = await io.listen(self._take, host, port, self._tls, self._tools.open_socket)
        except OSError as error:
            raise DeviceUnreachable(f"cannot listen: {error.strerror or error}") from error

    async def _take(self, wire: Wire) -> None:
        """Hold a connection open until its case has ended."""
        self._served[wire] = asyncio.Event()
        await self._queue.put(wire)
        await self._served[wire].wait()

    @asynccontextmanager
    async def access(self, case: str, evidence: Evidence, capabilities: Capabilities) -> AsyncIterator[EvAccess]:
        """See `Bench`."""
        await self._start()
        while not self._queue.empty():  # connections from before the case
            await self._release(self._queue.get_nowait())
        access = EvAccess(self._accept, self._clock, evidence, capabilities)
        try:
            yield access
        finally:
            await access.close()
            for event in self._served.values():
                event.set()
            self._served.clear()

    async def _release(self, wire: Wire) -> None:
        await wire.close()
        held = self._served.pop(wire, None)
        if held is not None:
            held.set()

    async def _accept(self, profile: Profile) -> Wire:
        try:
            async with self._clock.timeout_at(self._clock.now() + CONNECTS_WITHIN_S):
                return await self._queue.get()
        except TimeoutError:
            raise DeviceUnreachable(f"no EV connects within {CONNECTS_WITHIN_S:g} s") from None

    async def close(self) -> None:
        """Stop listening, and complete the capture."""
        if self._responder is not None:
            await self._responder.close()
        if self._listener is not None:
            await self._listener.close()
        self._tools.close()


def socket_bench(
    target: str, tls_version: str, tls_profile: str, pki_directory: Path | None, pcap: Path | None = None
) -> SocketEvBench:
    """Return the bench of a device; `target` is `[ADDR]:PORT` or an interface. Raises ValueError, OSError of `pcap`."""
    context = tls_context(tls.server_context, one_version(tls_version), tls_profile, pki_directory)
    if ":" in target:
        io.endpoint(target)
    clock = RealClock()
    return SocketEvBench(target, clock, context, ":" not in target, wire_tools(clock, context, pcap))


class MemoryEvBench:
    """The emulated EV in memory, correct or with a mutant; it offers the protocol of the case's profile."""

    target = "emulated EV in memory"

    def __init__(self, clock: Clock, mutant: Mutant | None = None) -> None:
        self._clock, self._mutant = clock, mutant
        self._tasks: set[asyncio.Task[object]] = set()
        self._connections = 0

    async def discover(self, evidence: Evidence) -> Discovery:
        """See `Bench`."""
        return Discovery(DeviceIdentity(name="emulated EV"))

    @asynccontextmanager
    async def access(self, case: str, evidence: Evidence, capabilities: Capabilities) -> AsyncIterator[EvAccess]:
        """See `Bench`."""
        self._connections = 0
        access = EvAccess(self._accept, self._clock, evidence, capabilities)
        try:
            yield access
        finally:
            await access.close()
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            self._tasks.clear()

    async def _accept(self, profile: Profile) -> Wire:
        spec = replace(profiles.load("ccs-63"), services=(_service(profile),))
        car = Car(spec, soc_pct=60)
        controls = (ControlMode.DYNAMIC if profile.dynamic else ControlMode.SCHEDULED,)
        settings = car_settings(car, controls=controls)
        session = EvSession(car, self._clock, settings=settings, protocols=(profile.protocol,))
        ours, device = wire_pair("tester", "ev")
        self._connections += 1
        mutant = self._mutant
        affected = mutant is not None and self._connections >= mutant.from_connection
        wire: Wire = MutantWire(device, self._clock, mutant) if mutant is not None and affected else device
        self._tasks.add(asyncio.ensure_future(session.run(wire)))
        return ours


def _service(profile: Profile) -> str:
    if profile.service:
        return ServiceId(profile.service).name.lower()
    return "dc" if profile.dc else "ac"
