"""The CSMS as the rest of the gateway knows it: which stations there are, and the core's orders to them.

`Csms` is the core's `Stations`. A second connection of a station wins over the first. Sockets come in through `door`;
in memory, `attach` takes a wire that somebody else has made.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from gateway.csms import charging_profile, grid_forming, local_list, operation_modes, restore, setpoint, v16, v21, v201
from gateway.csms.context import Context
from gateway.csms.credentials import Credentials
from gateway.csms.evse import Evse
from gateway.csms.persistence import CsmsPersistence, Writer
from gateway.csms.settings import CsmsSettings, StationSettings
from gateway.csms.station import Handlers, Station
from gateway.csms.websocket_server import WebSocketServer
from gateway.model.event import OperationMode, Report
from gateway.model.journal import Kept
from gateway.model.station import Answer, Outcome
from protocols.ocpp.schema import Payload, Version
from protocols.ocpp.times import stamp
from protocols.ocpp.vendor import Channel
from protocols.ports import Clock, TextWire

log = logging.getLogger("v2x.csms")

HANDLERS: dict[Version, Handlers] = {
    Version.V16: v16.HANDLERS,
    Version.V201: v201.HANDLERS,
    Version.V21: v21.HANDLERS,
}


class Csms:
    """The gateway's side of every charging station."""

    def __init__(self, settings: CsmsSettings, report: Report, clock: Clock, writer: Writer | None = None) -> None:
        self.settings, self.clock = settings, clock
        self.ledger = CsmsPersistence(clock, writer)
        self.context = Context.of(settings, report, clock, self.ledger)
        self.stations: dict[str, Station] = {}
        self.credentials = Credentials(self.ledger)
        self._spreading: asyncio.Task[None] | None = None
        self._closing: set[asyncio.Task[None]] = set()
        for station in settings.stations:
            self.register(station).configured = station.password_hash

    def restore(self, kept: Sequence[Kept]) -> None:
        """Take up what an earlier life of the gateway kept; before anybody comes in."""
        restore.restore(kept, self.context, self.stations)

    async def close(self) -> None:
        """Hand over what is not written yet."""
        if self._spreading is not None:
            self._spreading.cancel()
        await self.ledger.close()

    # who is known

    def register(self, station: StationSettings) -> Station:
        """Make a station known, or change what is known of it."""
        known = self.stations.get(station.id)
        if known is None:
            known = self.stations[station.id] = Station(station.id, station, self.context, True)
        else:
            self.credentials.forget(station.id)
            known.settings, known.registered, known.vendor = station, True, None
        return known

    async def remove(self, station: str) -> bool:
        """Forget a station and close its connection; whether it was known."""
        known = self.stations.pop(station, None)
        self.credentials.forget(station)
        if known is None:
            return False
        known.registered = False  # what it still says does not bring it back
        if known.link is not None:
            await known.link.close(1008, "this station was removed")
        return True

    def tokens_changed(self) -> None:
        """An operator changed tokens: stations that hold a list get it after a while without another change."""
        if not self.settings.local_list:
            return
        if self._spreading is not None:
            self._spreading.cancel()
        self._spreading = asyncio.get_running_loop().create_task(self._spread())

    async def _spread(self) -> None:
        await self.clock.sleep(local_list.QUIET_S)
        for station in self.stations.values():
            if station.ready:
                station.later(local_list.sync(station))

    def find(self, evse: str) -> tuple[Station, Evse] | None:
        """The station and EVSE of a name such as `CP1-1`."""
        name, _, number = evse.rpartition("-")
        station = self.stations.get(name)
        if station is None or not number.isdecimal() or int(number) not in station.evses:
            return None
        return station, station.evses[int(number)]

    # the core's `Stations`

    def reaches(self, evse: str) -> bool:
        """Whether the EVSE's station is connected and accepted."""
        found = self.find(evse)
        return found is not None and found[0].ready

    async def set_power(self, evse: str, power_w: float, hold_s: float) -> Outcome:
        """See `gateway.model.station.Stations`."""
        found = self.find(evse)
        if found is None:
            return Outcome(Answer.REFUSED, "UnknownEvse", f"no station has told of {evse}")
        return await setpoint.order(*found, power_w, hold_s)

    async def end_session(self, evse: str) -> Outcome:
        """RequestStopTransaction, or RemoteStopTransaction in 1.6."""
        found = self.find(evse)
        if found is None:
            return Outcome(Answer.REFUSED, "UnknownEvse", f"no station has told of {evse}")
        station, place = found
        transaction = self.context.transactions.active_at(station.id, place.number)
        if transaction is None:
            return Outcome(Answer.REFUSED, "TxNotFound", f"no transaction runs on {evse}")
        if station.version is Version.V16:
            reply = await station.call("RemoteStopTransaction", {"transactionId": int(transaction.id)})
        else:
            reply = await station.call("RequestStopTransaction", {"transactionId": transaction.id})
        return charging_profile.read_status(reply)

    async def reconcile(self, evse: str) -> float | None:
        """Put the safe profile back and ask what the station holds."""
        found = self.find(evse)
        if found is None or not self.reaches(evse):
            return None
        station, place = found
        async with place.order:
            place.safe.held = False
            if station.ways.fallback_profile or station.ways.setpoint.channel is Channel.NONE:
                await charging_profile.install_safe(station, place)
            return await charging_profile.held_power(station, place)

    async def form(self, evse: str, forms: bool) -> Outcome:
        """See `gateway.model.station.Formers`."""
        found = self.find(evse)
        if found is None or not self.reaches(evse):
            return Outcome(Answer.UNKNOWN, "NotConnected", f"the station of {evse} is not connected")
        return await grid_forming.order(*found, forms)

    async def allow_energy_transfer(self, evse: str, modes: Sequence[str]) -> Outcome:
        """Q02.FR.05: what the vehicle may now ask for, such as DC_BPT once somebody has permitted it. OCPP 2.1 only."""
        found = self.find(evse)
        transaction = None if found is None else self.context.transactions.active_at(found[0].id, found[1].number)
        if found is None or transaction is None:
            return Outcome(Answer.REFUSED, "TxNotFound", f"no transaction runs on {evse}")
        if found[0].version is not Version.V21:
            return Outcome(Answer.REFUSED, "NotSupported", "only OCPP 2.1 can change the allowed energy transfers")
        transaction.allowed = tuple(modes)
        body: Payload = {"transactionId": transaction.id, "allowedEnergyTransfer": list(modes)}
        return charging_profile.read_status(await found[0].call("NotifyAllowedEnergyTransfer", body))

    async def set_mode(
        self, evse: str, mode: OperationMode, values: Mapping[str, Any], hold_s: float | None = None
    ) -> Outcome:
        """Let a 2.1 station run in a mode of its own, such as LocalFrequency; see `modes.set_mode`."""
        found = self.find(evse)
        if found is None:
            return Outcome(Answer.REFUSED, "UnknownEvse", f"no station has told of {evse}")
        return await operation_modes.set_mode(*found, mode, values, hold_s)

    async def afrr_signal(self, evse: str, signal: int) -> Outcome:
        """Q08.FR.12: pass on a signal of the grid operator at once. OCPP 2.1 only."""
        found = self.find(evse)
        if found is None or found[0].version is not Version.V21:
            return Outcome(Answer.REFUSED, "NotSupported", "only OCPP 2.1 stations take aFRR signals")
        body: Payload = {"timestamp": stamp(self.clock.wall()), "signal": signal}
        return charging_profile.read_status(await found[0].call("AFRRSignal", body))

    # connections

    async def attach(self, wire: TextWire, station_id: str, security_profile: int = 0) -> None:
        """Serve one connection that has been let in, until it ends."""
        try:
            version = Version(wire.subprotocol)
        except ValueError:
            await wire.close(1002, "no common OCPP version; this gateway speaks " + ", ".join(Version))
            return
        station = self.stations.get(station_id)
        if station is None:
            station = self.stations[station_id] = Station(
                station_id, StationSettings(station_id), self.context, registered=False
            )
        before = station.link
        link = station.connect(wire, version, HANDLERS[version], security_profile)
        if before is not None:
            log.warning("%s connected again from %s; the connection before it is closed", station_id, wire.peer)
            closing = asyncio.get_running_loop().create_task(before.close(1000, "a newer connection took over"))
            self._closing.add(closing)
            closing.add_done_callback(self._closing.discard)
        try:
            await link.run()
        finally:
            station.disconnect(link, "the connection ended")

    async def serve(
        self, ready: Callable[[int], None] | None = None, tls_ready: Callable[[int], None] | None = None
    ) -> None:
        """Listen until cancelled; `ready` is told the port. Connections are then closed in order."""
        await WebSocketServer(self.context, self.stations, self.credentials, self.attach).serve(ready, tls_ready)

    async def renew_password(self, station: str) -> Outcome:
        """A01: give the station a new password over OCPP."""
        known = self.stations.get(station)
        if known is None or not known.connected:
            return Outcome(Answer.UNKNOWN, "NotConnected", f"{station} is not connected")
        return await self.credentials.renew(known)
