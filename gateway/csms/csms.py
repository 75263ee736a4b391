"""The CSMS: the stations, their connections, and the orders of the gateway to their EVSEs.

`Csms` implements `gateway.model.station.Stations`. A new connection of a station replaces the former one. WebSockets
are accepted by `websocket_server`; in memory, `attach` takes any `TextWire`.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence

from gateway.csms import (
    composite_schedule,
    evse_events,
    lifecycle,
    local_list,
    outcomes,
    restore,
    setpoint,
    v16,
    v21,
    v201,
    vendor_channel,
)
from gateway.csms.admission import Admission
from gateway.csms.context import Context
from gateway.csms.credentials import Credentials
from gateway.csms.evse import Evse
from gateway.csms.persistence import CsmsPersistence, Writer
from gateway.csms.settings import CsmsSettings, StationSettings
from gateway.csms.station import Handlers, Station
from gateway.csms.websocket_server import WebSocketServer
from gateway.model.event import Report, StationRemoved
from gateway.model.journal import Kept
from gateway.model.station import Answer, Outcome, OutcomeCode
from protocols.ocpp import enums
from protocols.ocpp.schema import Version
from protocols.ocpp.vendor import Channel
from protocols.ports import Clock, TextWire

log = logging.getLogger("v2x.csms")

HANDLERS: dict[Version, Handlers] = {
    Version.V16: v16.HANDLERS,
    Version.V201: v201.HANDLERS,
    Version.V21: v21.HANDLERS,
}


class Csms:
    """The charging station management system of the gateway."""

    def __init__(self, settings: CsmsSettings, report: Report, clock: Clock, writer: Writer | None = None) -> None:
        self.settings, self.clock = settings, clock
        persistence = CsmsPersistence(clock, writer)
        self.context = Context.of(settings, report, clock, persistence)
        self.stations: dict[str, Station] = {}
        self.credentials = Credentials(persistence)
        self._list_update: asyncio.Task[None] | None = None
        self._closing: set[asyncio.Task[None]] = set()
        for station in settings.stations:
            self.register(station).configured.hash = station.password_hash

    def restore(self, kept: Sequence[Kept]) -> None:
        """Restore stored records, before the first connection."""
        restore.restore(kept, self.context, self.stations, self.create)

    async def close(self) -> None:
        """Write what is not stored yet."""
        if self._list_update is not None:
            self._list_update.cancel()
        self.credentials.close()
        await self.context.persistence.close()

    # stations

    def create(self, name: str, settings: StationSettings | None = None) -> Station:
        """Return a new station that is not registered and not yet among the stations."""
        return Station(name, settings or StationSettings(name), self.context, lifecycle, registered=False)

    def register(self, settings: StationSettings) -> Station:
        """Register a station, or replace its settings."""
        station = self.stations.get(settings.id)
        if station is None:
            station = self.stations[settings.id] = self.create(settings.id, settings)
        else:
            self.credentials.discard(settings.id)
            station.configure(settings)
            station.vendor = None
        station.registered = True
        return station

    async def remove(self, name: str) -> None:
        """Remove a station and close its connection."""
        station = self.stations.pop(name, None)
        self.credentials.discard(name)
        if station is None:
            return
        station.registered = False  # pending messages do not store it again
        if station.link is not None:
            await station.link.close(1008, "this station was removed")

    def tokens_changed(self) -> None:
        """Schedule new local authorisation lists after a change of tokens; a further change restarts the delay."""
        if not self.settings.local_list:
            return
        if self._list_update is not None:
            self._list_update.cancel()
        self._list_update = asyncio.get_running_loop().create_task(self._update_lists())

    async def _update_lists(self) -> None:
        await self.clock.sleep(local_list.DELAY_S)
        for station in self.stations.values():
            if station.ready:
                station.spawn(local_list.synchronise(station))

    def find(self, evse: str) -> tuple[Station, Evse] | None:
        """Return station and EVSE of a name such as `CP1-1`."""
        name, _, number = evse.rpartition("-")
        station = self.stations.get(name)
        if station is None or not number.isdecimal() or int(number) not in station.evses:
            return None
        return station, station.evses[int(number)]

    # `gateway.model.station.Stations` and `GridFormingStations`

    def reaches(self, evse: str) -> bool:
        """Return True if the EVSE's station is connected and accepted."""
        found = self.find(evse)
        return found is not None and found[0].ready

    async def set_power(self, evse: str, power_w: float, valid_for_s: float) -> Outcome:
        """Apply a set-point for `valid_for_s`."""
        found = self.find(evse)
        return _unknown(evse) if found is None else await setpoint.apply(*found, power_w, valid_for_s)

    async def end_session(self, evse: str) -> Outcome:
        """Send RequestStopTransaction, or RemoteStopTransaction of 1.6."""
        found = self.find(evse)
        if found is None:
            return _unknown(evse)
        station, place = found
        transaction = self.context.transactions.active_at(station.id, place.number)
        if transaction is None:
            return Outcome(Answer.REFUSED, OutcomeCode.TX_NOT_FOUND, f"no transaction is active on {evse}")
        if station.version is Version.V16:
            reply = await station.call(enums.v16.Action.remote_stop_transaction, {"transactionId": int(transaction.id)})
        else:
            reply = await station.call(enums.v21.Action.request_stop_transaction, {"transactionId": transaction.id})
        return outcomes.of_status(reply)

    async def reconcile(self, evse: str) -> float | None:
        """Install the fallback profile again and return the set-point in force, in W; None where it is not reported."""
        found = self.find(evse)
        if found is None or not self.reaches(evse):
            return None
        station, place = found
        vendor = station.vendor_profile
        async with place.lock:
            place.fallback.installed = False
            if vendor.fallback_profile or vendor.setpoint.channel is Channel.NONE:
                await setpoint.install_fallback(station, place)
            return await composite_schedule.composite_power(station, place)

    async def form(self, evse: str, forms: bool) -> Outcome:
        """Switch the EVSE to grid-forming, or back to grid-following."""
        found = self.find(evse)
        if found is None or not self.reaches(evse):
            return Outcome(Answer.UNKNOWN, OutcomeCode.NOT_CONNECTED, f"the station of {evse} is not connected")
        station, place = found
        return await vendor_channel.switch_forming(station, place.number, forms)

    def _forget(self, name: str) -> None:
        """Remove a disconnected, unregistered station to admit another; its next message resumes its transactions."""
        station = self.stations.pop(name, None)
        if station is None:
            return
        for transaction in self.context.transactions.active_of(name):
            evse_events.presume_ended(station, transaction, "its station was away when other stations connected")
        self.context.report(StationRemoved(name, self.clock.now()))

    # connections

    async def attach(
        self, wire: TextWire, station_id: str, security_profile: int = 0, *, resumes: bool = False
    ) -> None:
        """Serve one authenticated connection until it ends. `resumes`: another process has served it so far."""
        try:
            version = Version(wire.subprotocol)
        except ValueError:
            await wire.close(1002, "no common OCPP version; this gateway supports " + ", ".join(Version))
            return
        station = self.stations.get(station_id)
        if station is None:
            station = self.stations[station_id] = self.create(station_id)
        before = station.link
        link = station.connect(wire, version, HANDLERS[version], security_profile, resumes=resumes)
        if before is not None:
            log.warning("%s connected again from %s; the former connection is closed", station_id, wire.peer)
            closing = asyncio.get_running_loop().create_task(before.close(1000, "replaced by a newer connection"))
            self._closing.add(closing)
            closing.add_done_callback(self._closing.discard)
        try:
            await link.run()
        finally:
            station.disconnect(link, "the connection ended")

    async def serve(
        self, ready: Callable[[int], None] | None = None, tls_ready: Callable[[int], None] | None = None
    ) -> None:
        """Listen until cancelled, then close the connections; `ready` is called with the port."""
        admission = Admission(self.context, self.stations, self.credentials, self.attach, self._forget)
        await WebSocketServer(admission).serve(ready, tls_ready)


def _unknown(evse: str) -> Outcome:
    return Outcome(Answer.REFUSED, OutcomeCode.UNKNOWN_EVSE, f"no station has reported {evse}")
