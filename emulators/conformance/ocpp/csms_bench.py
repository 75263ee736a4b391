"""Bench of a CSMS at a URL: the tester connects as its station, once for all cases."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from emulators.conformance.bench import DeviceUnreachable, Discovery
from emulators.conformance.capabilities import Capabilities
from emulators.conformance.case import CaseEnd
from emulators.conformance.evidence import Evidence
from emulators.conformance.ocpp.csms_under_test import ORDERS, OTHER_ORDERS, UNKNOWN_STATION, CsmsUnderTest, Orders
from emulators.conformance.ocpp.declarations import versions_of
from emulators.conformance.ocpp.evidence import recorder
from emulators.conformance.ocpp.opening import Opened, Opening, open_connection
from emulators.conformance.ocpp.station_bench import Laboratory
from emulators.conformance.ocpp.tester_station import TesterStation
from emulators.runtime import ocpp_client
from protocols.ocpp.schema import Version
from protocols.ports import Clock, TextWire

BUSY_RETRIES, BUSY_S = 6, 10.0  # where a CSMS limits the rate of connections


class Busy(ConnectionError):
    """The CSMS accepts no connection at the moment."""


class CsmsBench:
    """A CSMS at a URL, to which the id of the station is appended."""

    def __init__(
        self,
        url: str,
        clock: Clock,
        version: Version,
        station: str,
        password: str | None = None,
        lab: Laboratory | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.target, self.clock, self._version = url, clock, version
        self._password, self._lab, self._tls = password, lab or Laboratory(), tls
        self._station = self._make(station)

    def _make(self, name: str) -> TesterStation:
        async def connect() -> TextWire:
            for _ in range(BUSY_RETRIES):
                try:
                    return await self._dial(name)
                except Busy:
                    await self.clock.sleep(BUSY_S)
            return await self._dial(name)

        return TesterStation(self.clock, self._version, name, connect)

    async def _dial(self, name: str) -> TextWire:
        """Connect. Raises Busy where the CSMS limits the number of connections in a time."""
        url = f"{self.target.rstrip('/')}/{name}"
        try:
            return await ocpp_client.connect(url, (self._version,), password=self._password, tls=self._tls)
        except ConnectionError as error:
            busy = any(f"HTTP {status}" in str(error) for status in (429, 503))
            raise (Busy(str(error)) if busy else error) from None

    async def open(self, opening: Opening) -> Opened:
        """Return the answer to an opening handshake."""
        return await open_connection(self.target, opening, self._tls)

    async def discover(self, evidence: Evidence) -> Discovery:
        """Return how the CSMS answers the boot of its station and of one that is not registered."""
        station = self._station
        station.recorded.on_message = recorder(evidence)
        try:
            await station.connect()
        except ConnectionError as error:
            raise DeviceUnreachable(str(error)) from None
        with suppress(CaseEnd):
            await station.boot()
        commands = self._lab.commands
        found = versions_of(self._version) | {"lab.operator": all(order in commands for order in ORDERS)}
        found |= {f"lab.{order}": order in commands for order in OTHER_ORDERS}
        found |= {"lab.password": self._password is not None, "csms.tls": self.target.startswith("wss://")}
        return Discovery(capabilities=found | await self._unknown_station(evidence))

    async def _unknown_station(self, evidence: Evidence) -> dict[str, bool]:
        station = self._make(UNKNOWN_STATION)
        station.recorded.on_message = recorder(evidence)
        status, refused = "", False
        try:
            await station.connect()
            status = str((await station.boot()).get("status"))
        except ConnectionError:
            refused = True
        except CaseEnd:
            pass
        await station.close()
        return {
            "csms.refuses-unknown": refused,
            "csms.not-accepted": status in ("Pending", "Rejected"),
            "csms.pending": status == "Pending",
            "csms.rejects": status == "Rejected",
        }

    @asynccontextmanager
    async def access(self, case: str, evidence: Evidence, capabilities: Capabilities) -> AsyncIterator[CsmsUnderTest]:
        """Return the CSMS, with the station connected; its end ends the transactions."""
        station = self._station
        station.recorded.forget()
        station.recorded.on_message = recorder(evidence)
        station.answers.clear()
        try:
            await station.ready()
        except ConnectionError as error:
            raise DeviceUnreachable(str(error)) from None
        try:
            yield CsmsUnderTest(station, self._make, Orders(self._lab.commands), self.open, self._password)
        finally:
            with suppress(CaseEnd):
                await station.finish()

    async def close(self) -> None:
        """Close the connection."""
        await self._station.close()
