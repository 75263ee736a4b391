"""A CSMS under test as cases see it: the tester's station, other stations, and orders of its operator."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from ssl import TLSVersion
from types import EllipsisType
from typing import Protocol
from urllib.parse import quote

from emulators.conformance.case import Failed, Inconclusive
from emulators.conformance.ocpp.environment import run_command
from emulators.conformance.ocpp.opening import Open, Opened, Opening
from emulators.conformance.ocpp.peer import Kind, Message
from emulators.conformance.ocpp.tester_station import TesterStation
from protocols.ocpp.schema import Payload, Version

ORDERS = ("power", "stop")
OTHER_ORDERS = ("frequency", "transfers", "signal", "der")  # of OCPP 2.1, each with the capability lab.ORDER
KNOWN, SECOND, BLOCKED, EXPIRED, UNKNOWN = "DEC0DE01", "DEC0DE02", "DEC0DEB0", "DEC0DEE0", "04DEC0DE0000F0"
GROUP = "V2XGROUP"
UNKNOWN_STATION = "V2X-NO-SUCH-STATION"
RATED_W = 10_000.0
BOTH = ("AC_three_phase", "DC", "DC_BPT")


class Operator(Protocol):
    """Orders of the operator of the CSMS. Every method may raise NotApplicable or Inconclusive."""

    async def power(self, station: str, watts: float, seconds: float) -> None:
        """Order a power for EVSE 1, + is charging."""

    async def stop(self, station: str) -> None:
        """Order the end of the transaction at EVSE 1."""

    async def frequency(self, station: str, watts: float) -> None:
        """Order a power for EVSE 1 in the operation mode CentralFrequency."""

    async def transfers(self, station: str, allowed: Sequence[str]) -> None:
        """Allow energy transfers in the transaction at EVSE 1."""

    async def signal(self, station: str, signal: int) -> None:
        """Forward a signal of the grid operator (aFRR) to EVSE 1."""

    async def der(self, station: str, kind: str) -> None:
        """Set a default DER control of a type."""


class Orders:
    """Orders by commands of the laboratory, with STATION and the values of the order in their environment."""

    def __init__(self, commands: Mapping[str, str]) -> None:
        self._commands = dict(commands)

    async def power(self, station: str, watts: float, seconds: float) -> None:
        """Order a power for EVSE 1."""
        await self._run("power", station, WATTS=f"{watts:g}", SECONDS=f"{seconds:g}")

    async def stop(self, station: str) -> None:
        """Order the end of the transaction at EVSE 1."""
        await self._run("stop", station)

    async def frequency(self, station: str, watts: float) -> None:
        """Order a power in the operation mode CentralFrequency."""
        await self._run("frequency", station, WATTS=f"{watts:g}")

    async def transfers(self, station: str, allowed: Sequence[str]) -> None:
        """Allow energy transfers, as TRANSFERS (`DC,DC_BPT`)."""
        await self._run("transfers", station, TRANSFERS=",".join(allowed))

    async def signal(self, station: str, signal: int) -> None:
        """Forward a signal of the grid operator."""
        await self._run("signal", station, SIGNAL=str(signal))

    async def der(self, station: str, kind: str) -> None:
        """Set a default DER control of the type CONTROL."""
        await self._run("der", station, CONTROL=kind)

    async def _run(self, order: str, station: str, **values: str) -> None:
        await run_command(order, self._commands.get(order), {"STATION": station, **values})


class CsmsUnderTest:
    """One CSMS. `station` is registered there, with `password`; `make` returns a station with another id.

    `open_` performs an opening handshake.
    """

    def __init__(
        self,
        station: TesterStation,
        make: Callable[[str], TesterStation],
        operator: Operator,
        open_: Open | None = None,
        password: str | None = None,
    ) -> None:
        self.station, self.operator, self.password = station, operator, password
        self._make, self._open = make, open_

    async def opened(
        self,
        subprotocols: tuple[str, ...] | None = None,
        *,
        name: str | None = None,
        credentials: tuple[str, str] | EllipsisType | None = ...,
        tls: TLSVersion | None = None,
        plain: bool = False,
    ) -> Opened:
        """Return the answer to an opening handshake: that of the station, but for what is given."""
        if self._open is None:
            raise Inconclusive("the bench has no opening handshakes")
        if isinstance(credentials, EllipsisType):
            credentials = None if self.password is None else (self.station.name, self.password)
        user, password = (None, "") if credentials is None else credentials
        opening = Opening(
            quote(self.station.name, safe="") if name is None else name,
            (self.station.version.value,) if subprotocols is None else subprotocols,
            user,
            password,
            tls,
            plain,
        )
        self._record(opening.text, from_device=False)
        opened = await self._open(opening)
        self._record(opened.text, from_device=True)
        return opened

    def _record(self, text: str, *, from_device: bool) -> None:
        clock = self.station.clock
        self.station.recorded.add(
            Message(clock.now(), clock.wall(), from_device, Kind.OTHER, "", "opening handshake", {}, text)
        )

    @asynccontextmanager
    async def other(self, name: str = UNKNOWN_STATION) -> AsyncIterator[TesterStation]:
        """Return another station, connected."""
        station = self._make(name)
        station.recorded.on_message = self.station.recorded.on_message
        try:
            await station.connect()
        except ConnectionError as error:
            raise Inconclusive(f"the CSMS does not accept the connection of {name}: {error}") from None
        try:
            yield station
        finally:
            await station.close()

    async def charging(self, *, bidirectional: bool = True) -> str:
        """Boot, start a transaction with a vehicle, and return its id."""
        station = self.station
        await station.booted()
        await station.status("Preparing" if station.early else "Occupied")
        try:
            if station.early:
                number = await self.started_16(KNOWN)
                await station.status("Charging")
                return str(number)
            transaction = station.new_transaction()
            await station.event("Started", 0, transaction, KNOWN)
            if station.version is Version.V21:
                await self.report_v2x()
                await station.request("NotifyEVChargingNeeds", needs(bidirectional))
            info = {"transactionId": transaction, "chargingState": "Charging"}
            await station.event("Updated", 1, transaction, transactionInfo=info)
            return transaction
        except Failed as error:
            raise Inconclusive(f"preparation: {error}") from None

    async def report_v2x(self) -> None:
        """Report a bidirectional EVSE, as the inventory of a station does."""
        station = self.station
        await station.recorded.wait_for(lambda: bool(station.find("GetBaseReport", since=0)), 2.0)
        asked = station.find("GetBaseReport", since=0)
        values = {"Enabled": "true", "SupportedEnergyTransferModes": ",".join(BOTH)}
        values["SupportedOperationModes"] = "ChargingOnly,CentralSetpoint,CentralFrequency"
        component = {"name": "V2XChargingCtrlr", "evse": {"id": 1}}
        entries: list[Payload] = [
            {"component": component, "variable": {"name": name}, "variableAttribute": [{"value": value}]}
            for name, value in values.items()
        ]
        rated = {"dataType": "decimal", "supportsMonitoring": False, "maxLimit": RATED_W, "unit": "W"}
        entries += [
            {
                "component": {"name": "EVSE", "evse": {"id": 1}},
                "variable": {"name": name},
                "variableAttribute": [{"value": "0"}],
                "variableCharacteristics": rated,
            }
            for name in ("Power", "DischargePower")
        ]
        request = asked[-1].payload["requestId"] if asked else 1
        body: Payload = {"requestId": request, "generatedAt": station.time(), "seqNo": 0, "reportData": entries}
        await station.request("NotifyReport", body)

    async def started_16(self, token: str, **more: object) -> int:
        """Send StartTransaction of 1.6 and return the transaction id."""
        body: Payload = {"connectorId": 1, "idTag": token, "meterStart": 0, "timestamp": self.station.time(), **more}
        return int((await self.station.request("StartTransaction", body))["transactionId"])


def needs(bidirectional: bool) -> Payload:
    """Return the payload of NotifyEVChargingNeeds of 2.1 for a DC vehicle."""
    v2x: Payload = {"maxChargePower": RATED_W, "minChargePower": 0.0}
    if bidirectional:
        v2x |= {"maxDischargePower": RATED_W, "minDischargePower": 0.0}
    charging: Payload = {
        "requestedEnergyTransfer": "DC_BPT" if bidirectional else "DC",
        "availableEnergyTransfer": ["DC_BPT", "DC"] if bidirectional else ["DC"],
        "controlMode": "DynamicControl",
        "mobilityNeedsMode": "EVCC",
        "v2xChargingParameters": v2x,
    }
    return {"evseId": 1, "chargingNeeds": charging}
