"""Access of a case to an EV: connections that the EV opens to the tester's SECC."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from emulators.conformance.bench import DeviceUnreachable
from emulators.conformance.capabilities import Capabilities, Capability
from emulators.conformance.case import NotApplicable
from emulators.conformance.evidence import Evidence
from emulators.conformance.iso15118.connection import Connection
from emulators.conformance.iso15118.profiles import Profile
from emulators.conformance.iso15118.station import Station
from protocols.ports import Clock, Wire

Accept = Callable[[Profile], Awaitable[Wire]]

CAPABILITIES: dict[str, Capability] = {
    "iso20.dc": Capability("ISO 15118-20, service 2 (DC)"),
    "iso20.dc_bpt": Capability("ISO 15118-20, service 6 (DC_BPT)"),
    "iso20.ac": Capability("ISO 15118-20, service 1 (AC)"),
    "iso20.ac_bpt": Capability("ISO 15118-20, service 5 (AC_BPT)"),
    "iso20.scheduled": Capability("ISO 15118-20: scheduled control mode"),
    "iso20.dynamic": Capability("ISO 15118-20: dynamic control mode"),
    "iso20.pause": Capability("ISO 15118-20: pause at the request of the SECC"),
    "iso20.renegotiation": Capability("ISO 15118-20: renegotiation of schedules and services"),
    "iso2.dc": Capability("ISO 15118-2, DC"),
    "iso2.ac": Capability("ISO 15118-2, AC"),
    "iso2.renegotiation": Capability("ISO 15118-2: renegotiation"),
    "din.dc": Capability("DIN SPEC 70121, DC"),
}


class EvAccess:
    """Access of one case. `accept` waits for the EV to connect; it raises DeviceUnreachable."""

    def __init__(self, accept: Accept, clock: Clock, evidence: Evidence, capabilities: Capabilities) -> None:
        self._accept = accept
        self.clock, self.evidence, self.capabilities = clock, evidence, capabilities
        self._open: list[Connection] = []

    async def station(self, profile: Profile) -> Station:
        """Return a station whose EV has connected, before the handshake. Raises DeviceUnreachable, NotApplicable."""
        if not self.capabilities.has(profile.capability):
            raise NotApplicable(f"the device does not have {profile.capability}")
        try:
            wire = await self._accept(profile)
        except ConnectionError as error:
            raise DeviceUnreachable(str(error)) from error
        connection = Connection(wire, self.clock, self.evidence, profile.protocol)
        self.evidence.note(f"connected from {wire.peer}")
        self._open.append(connection)
        return Station(profile, connection, self.clock, self.evidence)

    async def close(self) -> None:
        """Close all connections."""
        for connection in self._open:
            await connection.close()
