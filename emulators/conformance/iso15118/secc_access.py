"""Access of a case to a SECC: connections of the tester's vehicle."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from emulators.conformance.bench import DeviceUnreachable
from emulators.conformance.capabilities import Capabilities
from emulators.conformance.case import NotApplicable
from emulators.conformance.evidence import Evidence
from emulators.conformance.iso15118.connection import Connection
from emulators.conformance.iso15118.profiles import Profile
from emulators.conformance.iso15118.vehicle import Vehicle
from protocols.ports import Clock, Wire

Connect = Callable[[Profile], Awaitable[Wire]]
RETRIES, RETRY_S = 20, 0.5  # a SECC may need time between two sessions


class SeccAccess:
    """Access of one case. `connect` opens a connection to the SECC for a profile; it raises ConnectionError."""

    def __init__(self, connect: Connect, clock: Clock, evidence: Evidence, capabilities: Capabilities) -> None:
        self._connect = connect
        self.clock, self.evidence, self.capabilities = clock, evidence, capabilities
        self._open: list[Connection] = []

    async def connect(self, profile: Profile) -> Connection:
        """Return a new connection. Raises DeviceUnreachable, or NotApplicable without the profile's capability."""
        if not self.capabilities.has(profile.capability):
            raise NotApplicable(f"the device does not have {profile.capability}")
        wire = await self._connected(profile)
        connection = Connection(wire, self.clock, self.evidence, profile.protocol)
        self.evidence.note(f"connected to {wire.peer}")
        self._open.append(connection)
        return connection

    async def _connected(self, profile: Profile) -> Wire:
        for attempt in range(RETRIES):
            try:
                return await self._connect(profile)
            except ConnectionError as error:
                if attempt == RETRIES - 1:
                    raise DeviceUnreachable(str(error)) from error
                await self.clock.sleep(RETRY_S)
        raise AssertionError("the last attempt returns or raises")

    async def vehicle(self, profile: Profile) -> Vehicle:
        """Return a vehicle with a new connection, before the handshake."""
        return Vehicle(profile, await self.connect(profile), self.clock, self.evidence)

    async def reach(self, profile: Profile, before: str) -> Vehicle:
        """Return a vehicle in a session whose next request is `before`. Raises Inconclusive."""
        return await (await self.vehicle(profile)).reach(before)

    async def close(self) -> None:
        """Close all connections."""
        for connection in self._open:
            await connection.close()
