"""Bench of stations that connect to a port of the tester, one connection for all cases."""

from __future__ import annotations

import tomllib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from emulators.conformance.bench import DeviceUnreachable, Discovery
from emulators.conformance.capabilities import Capabilities
from emulators.conformance.case import CaseEnd, Inconclusive
from emulators.conformance.evidence import Evidence
from emulators.conformance.ocpp import csms_under_test, discovery
from emulators.conformance.ocpp.environment import ORDERS, Commands
from emulators.conformance.ocpp.evidence import recorder
from emulators.conformance.ocpp.interruption import uninterrupted
from emulators.conformance.ocpp.station_under_test import StationUnderTest
from emulators.conformance.ocpp.tester_csms import TesterCsms

CONNECTS_WITHIN = 120.0  # s until a station has to connect
AFTER_LOSS_WITHIN = 5.0  # s for the next cases where a case has waited in vain: a run without a device ends soon
BEGINS_WITHIN = 5.0  # s from a connection to its first message
BOOTS_WITHIN = 10.0  # s after which a connected station is one that has booted before
_CAPABILITIES = {
    "plug": "lab.plug", "unplug": "lab.unplug", "present": "lab.reader", "external": "lab.external",
    "grid": "lab.grid",
}  # fmt: skip


class LaboratoryError(ValueError):
    """Invalid file of the laboratory."""


@dataclass(frozen=True, slots=True)
class Laboratory:
    """Commands of the laboratory by order, and whether a vehicle is connected to EVSE 1 all the time.

    connected = true

    [commands]
    present = "reader-robot --token $TOKEN"
    """

    connected: bool = False
    commands: dict[str, str] = field(default_factory=dict)

    @property
    def capabilities(self) -> dict[str, bool]:
        """Capabilities of the laboratory."""
        found = {name: order in self.commands for order, name in _CAPABILITIES.items()}
        return found | {"lab.vehicle": found["lab.plug"] or self.connected, "lab.vacant": not self.connected}

    def environment(self) -> Commands:
        """Return the means that cases use."""
        return Commands(self.commands, connected=self.connected)


def laboratory(path: Path) -> Laboratory:
    """Return the content of a file of the laboratory. Raises LaboratoryError."""
    try:
        table = tomllib.loads(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise LaboratoryError(f"{path}: {error}") from error
    commands = table.pop("commands", {})
    connected = table.pop("connected", False)
    if table or not isinstance(commands, dict) or not isinstance(connected, bool):
        raise LaboratoryError(f"{path}: it has `connected` (true or false) and the table `commands`")
    for order, command in commands.items():
        known = (*ORDERS, *csms_under_test.ORDERS, *csms_under_test.OTHER_ORDERS)
        if order not in known or not isinstance(command, str):
            raise LaboratoryError(f"{path}: commands are texts by order: {', '.join(known)}")
    return Laboratory(connected, commands)


class Port(Protocol):
    """Where the station connects: a `Listener` that is open. `rejected` names those that were not accepted."""

    csms: TesterCsms
    station: str | None
    rejected: list[str]

    @property
    def url(self) -> str: ...


class StationBench:
    """One station at a port."""

    def __init__(self, listener: Port, lab: Laboratory | None = None, within: float = CONNECTS_WITHIN) -> None:
        self.listener, self._lab, self._within = listener, lab or Laboratory(), within
        self._lost = False  # the last wait for a connection was in vain

    @property
    def target(self) -> str:
        """URL at which the station connects."""
        return f"{self.listener.url}/{self.listener.station or 'ID'}"

    async def connected(self) -> StationUnderTest:
        """Return the station once it has connected. Raises DeviceUnreachable with those that were rejected."""
        csms = self.listener.csms
        within = min(self._within, AFTER_LOSS_WITHIN) if self._lost else self._within
        try:
            await csms.connected(within)
            self._lost = False
        except Inconclusive as error:
            self._lost = True
            rejected = "".join(f"; rejected: {text}" for text in dict.fromkeys(self.listener.rejected))
            raise DeviceUnreachable(f"{error}{rejected}") from None
        return StationUnderTest(csms, self._lab.environment())

    async def discover(self, evidence: Evidence) -> Discovery:
        """Return what the boot and the device model show."""
        station = await self.connected()
        recorded = station.recorded
        recorded.on_message = recorder(evidence)
        await recorded.wait_for(lambda: bool(recorded.find("BootNotification", since=0)), BOOTS_WITHIN)
        await station.sleep(2.0)
        if not recorded.find("BootNotification", since=0):
            with suppress(CaseEnd):
                await station.request("TriggerMessage", {"requestedMessage": "BootNotification"})
                await station.expect("BootNotification", within=5.0)
        found = await discovery.capabilities(station)
        found["lab.password"] = bool(self.listener.csms.passwords)
        found["station.security-1"] = bool(self.listener.csms.handshakes[-1][1].authorization)
        return Discovery(discovery.identity(recorded), found | self._lab.capabilities)

    async def _begun(self, station: StationUnderTest) -> None:
        """Wait for the first message of a connection: a station that was restarted boots before it accepts requests."""
        at = station.csms.handshakes[-1][0]

        def begun() -> bool:
            return any(message.from_device and message.at >= at for message in station.recorded.messages)

        if station.clock.now() - at < BEGINS_WITHIN:
            await station.recorded.wait_for(begun, BEGINS_WITHIN)

    @asynccontextmanager
    async def access(
        self, case: str, evidence: Evidence, capabilities: Capabilities
    ) -> AsyncIterator[StationUnderTest]:
        """Return the station without a transaction; its end restores what the case changed."""
        station = await self.connected()
        await self._begun(station)
        await station.quiet()
        if station.transactions():
            with suppress(CaseEnd):
                await station.stop_all()
            await station.quiet()
        recorded = station.recorded
        recorded.forget()
        recorded.on_message = recorder(evidence, self.listener.csms.passwords)
        try:
            with uninterrupted(self.listener.csms):
                yield station
        finally:
            with suppress(CaseEnd):
                await station.restore()
