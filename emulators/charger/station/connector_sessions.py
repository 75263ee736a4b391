"""What happens at the plugs of an emulated station: vehicles and tokens come and go, transactions begin and end."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from emulators.charger.station import availability
from emulators.charger.station.device_model import settings
from emulators.charger.station.evse import EvseState
from emulators.charger.station.power_path import Needs
from emulators.charger.station.smart_charging.operation_modes import Memory
from emulators.charger.station.transaction import Transaction

if TYPE_CHECKING:
    from emulators.charger.station.station import Station

log = logging.getLogger("v2x.station")

START_TOLD_WITHIN = 60.0  # s that a vehicle's needs wait for the start of its transaction to be told


@dataclass(frozen=True, slots=True)
class Order:
    """Who begins a transaction: a token, by hand or by the CSMS. `profile` is put in force with it."""

    token: str
    sort: str
    remote_start: int | None = None
    profile: dict[str, Any] | None = None
    group: str | None = None


class ConnectorSessions:
    """The EVSEs' front side."""

    def __init__(self, station: Station) -> None:
        self.station, self.clock = station, station.clock
        self._numbers = 0

    # vehicles

    def leave(self, evse: EvseState, well: bool) -> None:
        """The vehicle's session is over, and with it what ran."""
        if evse.transaction is not None and well:
            self.end(evse, "StopAuthorized", "StoppedByEV")
        elif evse.transaction is not None:
            self.end(evse, "EVCommunicationLost", "EVDisconnected", gone=True)
        self.unplug(evse)

    def plug_in(self, evse: EvseState, needs: Needs, token: str | None) -> None:
        """A vehicle is connected and stated its needs."""
        station, transaction = self.station, evse.transaction
        if transaction is not None and evse.vehicle is not None:
            evse.vehicle = needs
            station.later(station.dialect.needs(evse))
            return
        if transaction is None and (not evse.operative or evse.fault is not None):
            raise ValueError(f"EVSE {evse.number} is {evse.status} and takes no vehicle")
        evse.vehicle = evse.offered = needs
        station.set_status(evse, "Occupied")
        if transaction is not None:  # authorised before it came (E03)
            transaction.ready_at, transaction.vehicle = station.wall(), needs.vehicle
            transaction.state = "EVConnected"
            station.dialect.updated(evse, transaction, "CablePluggedIn")
            station.later(self._open(evse))
        elif evse.awaited is not None:
            order, evse.awaited = evse.awaited, None
            self.begin(evse, order)
        else:
            station.later(self.try_to_begin(evse, token))

    def unplug(self, evse: EvseState) -> None:
        """The cable is pulled: whatever ran ends."""
        if evse.transaction is not None:
            self.end(evse, "EVCommunicationLost", "EVDisconnected", gone=True)
        evse.vehicle, evse.offered, evse.allowed, evse.asked, evse.finishing = None, None, None, False, False
        availability.show(self.station, evse)

    def fault(self, evse: EvseState, code: str | None) -> None:
        """Something breaks, or with None is mended."""
        evse.fault = code
        if code is not None:
            self.station.reservations.lapse(evse)
            if evse.transaction is not None:
                self.end(evse, "AbnormalCondition", "Other")
        availability.show(self.station, evse)
        self.station.wake()

    # tokens

    async def present(self, evse: EvseState, token: str, sort: str) -> str:
        """A card is held to the EVSE: `started`, `stopped`, or `refused`.

        The token of the running transaction, or one of its group, stops it (C01, E07); another is refused.
        """
        running, evse.group = evse.transaction, None
        if running is not None:
            same = running.token.casefold() == token.casefold()
            may = same or await self._may_charge(evse, token, sort)
            group = self._group(evse, token)
            if evse.transaction is running and (same or (may and group is not None and group == running.group)):
                self.end(evse, "StopAuthorized", "Local")
                return "stopped"
            return "refused"
        if not evse.operative or evse.fault is not None or evse.resetting:
            return "refused"
        if not await self._may_charge(evse, token, sort) or evse.transaction is not None:
            return "refused"
        order = Order(token, sort, group=self._group(evse, token))
        if not self._reserved_for(evse, order):
            return "refused"
        self.order(evse, order)
        return "started"

    def _group(self, evse: EvseState, token: str) -> str | None:
        """What the CSMS has just said, else what the list says."""
        return evse.group or self.station.local_list.group(token)

    def order(self, evse: EvseState, order: Order) -> Transaction | None:
        """An authorised start: at once, or in 1.6 as soon as a vehicle is there (ConnectionTimeOut)."""
        if evse.vehicle is not None or self.station.dialect.begins_at_authorization:
            return self.begin(evse, order)
        evse.awaited = order
        self.station.set_status(evse, "Occupied")
        self.station.later(self._give_up_waiting(evse, order))
        return None

    def _reserved_for(self, evse: EvseState, order: Order) -> bool:
        return self.station.reservations.allows(evse, order.token, order.group)

    async def try_to_begin(self, evse: EvseState, token: str | None = None) -> None:
        """A vehicle waits: begin with the token that the station has of its own, or for free."""
        config = self.station.config
        name = config.id_token if token is None else token
        sort = config.token_type if name else "NoAuthorization"
        evse.group = None
        if evse.transaction is not None or evse.vehicle is None or evse.resetting:
            return
        if not self._reserved_for(evse, Order(name, sort, group=self.station.local_list.group(name))):
            return
        if name and not await self._may_charge(evse, name, sort):
            log.warning("%s: %s may not charge", config.id, name)
            return
        if evse.transaction is None and evse.vehicle is not None:
            self.begin(evse, Order(name, sort, group=self._group(evse, name)))

    async def _may_charge(self, evse: EvseState, name: str, sort: str) -> bool:
        """C01, C13, C14, C15: the CSMS where it can be asked, the local list where it may decide."""
        station = self.station
        listed = station.local_list.status(name, station.wall()) if settings.truth(station, "list_enabled") else None
        if station.online:
            if listed == "Accepted" and settings.truth(station, "pre_authorize"):
                return True
            if listed not in (None, "Accepted") and settings.truth(station, "list_final"):
                return False
            return await station.dialect.authorize(evse, name, sort)
        if listed is not None:
            return listed == "Accepted" and settings.truth(station, "offline_list")
        return settings.truth(station, "offline_unknown")

    # transactions

    def begin(self, evse: EvseState, order: Order) -> Transaction:
        """A transaction begins: authorised, and connected if a vehicle is there."""
        station = self.station
        self._numbers += 1
        name = f"{station.config.id[:12]}-{int(self.clock.wall() * 1000):x}-{self._numbers:x}"
        new = Transaction(name[:36], evse.number, station.wall(), order.token, order.sort, order.group)
        new.remote_start, new.authorized = order.remote_start, True
        if evse.vehicle is not None:
            new.ready_at, new.vehicle, new.state = station.wall(), evse.vehicle.vehicle, "EVConnected"
        used = station.reservations.use(evse, order.token, order.group)
        if used is not None:
            new.reservation, new.reserved_at = used.id, used.made_at
        evse.transaction, evse.priority, evse.finishing = new, False, False
        evse.memory, evse.alarm, evse.sleeping = Memory(), None, False
        new.started_wh = evse.outlet.reading(self.clock.now()).charged_wh
        if evse.vehicle is not None:
            station.set_status(evse, "Occupied")
        evse.composite = station.steering.composite(evse)
        new.mode = evse.composite.mode
        evse.sampled_at, evse.soc_told = self.clock.now(), False
        station.tariffs.begin(evse, new, None if used is None else max(0.0, station.wall() - used.made_at))
        station.dialect.started(evse, new)
        if order.profile is not None:
            station.profiles.install(evse.number, {**order.profile, "transactionId": new.id}, station.wall(), new.id)
        station.later(self._open(evse) if evse.vehicle is not None else self._wait_for_vehicle(evse, new))
        station.save("transactions")
        return new

    async def _wait_for_vehicle(self, evse: EvseState, transaction: Transaction) -> None:
        """E03.FR.05, F02: without a vehicle in time the transaction ends."""
        await self.clock.sleep(settings.number(self.station, "connection_timeout"))
        if evse.transaction is transaction and evse.vehicle is None:
            self.end(evse, "EVConnectTimeout", "Timeout")

    async def _give_up_waiting(self, evse: EvseState, order: Order) -> None:
        await self.clock.sleep(settings.number(self.station, "connection_timeout"))
        if evse.awaited is order:
            evse.awaited = None
            availability.show(self.station, evse)

    async def tell_needs(self, evse: EvseState) -> None:
        """What the vehicle needs belongs to a transaction that the CSMS knows. Offline it is told later (`untold`)."""
        station, deadline = self.station, self.clock.now() + START_TOLD_WITHIN
        while station.online and station.line.queue.tells_turns and self.clock.now() < deadline:
            await self.clock.sleep(0.05)
        evse.untold = not station.online
        if station.online and evse.vehicle is not None:
            await station.dialect.needs(evse)

    async def _open(self, evse: EvseState) -> None:
        station = self.station
        await self.tell_needs(evse)
        if evse.transaction is not None and evse.vehicle is not None:
            evse.outlet.open(self.clock.now())
            evse.open = True
            station.wake()

    def end(self, evse: EvseState, trigger: str, reason: str, *, gone: bool = False) -> None:
        """The transaction ends: power off, contactors open, tell. `gone`: the vehicle is off already."""
        transaction, station = evse.transaction, self.station
        if transaction is None:
            return
        now = self.clock.now()
        evse.outlet.set_power(0.0, now)
        evse.outlet.close(now)
        evse.open, evse.wish_w, evse.held_power_w = False, 0.0, None
        evse.reading = evse.outlet.reading(now)
        transaction.stopped, transaction.state = reason, "Idle" if gone or evse.vehicle is None else "EVConnected"
        station.tariffs.look(evse)
        evse.transaction = None
        station.profiles.end_transaction(transaction.name)
        station.dialect.ended(evse, transaction, trigger)
        station.tariffs.end(evse)
        station.display.end_transaction(transaction.id)
        if evse.inoperative_next:
            evse.inoperative_next, evse.operative = False, False
        if not evse.operative or evse.vehicle is None:
            availability.show(station, evse)
        station.save("transactions")
        station.wake()
