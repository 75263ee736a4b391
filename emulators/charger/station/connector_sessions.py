"""Connector sessions of an emulated station: vehicles, tokens, and the transactions they start and end."""

from __future__ import annotations

import logging
from dataclasses import replace

from emulators.charger.station.availability import Availability
from emulators.charger.station.context import StationContext
from emulators.charger.station.csms_link.message_queue import Queue
from emulators.charger.station.display_messages import DisplayMessages
from emulators.charger.station.evse import EvseState
from emulators.charger.station.local_list import LocalList
from emulators.charger.station.ocpp_enums import ChargingState, ConnectorStatus, StopReason, TriggerReason
from emulators.charger.station.power_path import Needs
from emulators.charger.station.reservations import Reservations
from emulators.charger.station.smart_charging.operation_modes import AlgorithmState
from emulators.charger.station.smart_charging.profiles import Profiles
from emulators.charger.station.smart_charging.smart_charging import SmartCharging
from emulators.charger.station.tariffs.tariffs import Tariffs
from emulators.charger.station.transaction import Transaction, TransactionStart
from protocols.ocpp.enums import v21

log = logging.getLogger("v2x.station")

START_SENT_WITHIN = 60.0  # s that charging needs wait for the start of their transaction to be sent


class ConnectorSessions:
    """Sessions at the connectors of one station."""

    def __init__(
        self,
        context: StationContext,
        reservations: Reservations,
        availability: Availability,
        local_list: LocalList,
        profiles: Profiles,
        smart_charging: SmartCharging,
        tariffs: Tariffs,
        display: DisplayMessages,
        queue: Queue,
    ) -> None:
        self._context, self._clock = context, context.clock
        self._reservations, self._availability = reservations, availability
        self._local_list, self._display, self._queue = local_list, display, queue
        self._profiles, self._smart_charging, self._tariffs = profiles, smart_charging, tariffs
        self._numbers = 0

    # vehicles

    def leave(self, evse: EvseState, well: bool) -> None:
        """End the vehicle's session and its transaction. `well` is False after a communication error."""
        if evse.transaction is not None and well:
            self.end(evse, TriggerReason.stop_authorized, StopReason.stopped_by_ev)
        elif evse.transaction is not None:
            self.end(evse, TriggerReason.ev_communication_lost, StopReason.ev_disconnected, vehicle_left=True)
        self._clear_vehicle(evse)

    def plug_in(self, evse: EvseState, needs: Needs, token: str | None) -> None:
        """Connect a vehicle with its charging needs, or update the needs during a transaction.

        Raises ValueError where the EVSE accepts no vehicle.
        """
        context, transaction = self._context, evse.transaction
        if transaction is not None and evse.vehicle is not None:
            evse.vehicle = needs
            context.later(context.messages.needs(evse))
            return
        if transaction is None and (not evse.operative or evse.fault is not None):
            raise ValueError(f"EVSE {evse.number} is {evse.status} and accepts no vehicle")
        evse.vehicle = evse.initial_needs = needs
        context.set_status(evse, ConnectorStatus.occupied)
        if transaction is not None:  # authorised before the vehicle was connected (E03)
            transaction.ready_at, transaction.vehicle = context.wall(), needs.vehicle
            transaction.state = ChargingState.ev_connected
            context.messages.updated(evse, transaction, TriggerReason.cable_plugged_in)
            context.later(self._open(evse))
        elif evse.pending_start is not None:
            start, evse.pending_start = evse.pending_start, None
            self.begin(evse, start)
        else:
            context.later(self.try_to_begin(evse, token))

    def deauthorize(self, evse: EvseState, transaction: Transaction) -> None:
        """Suspend a running transaction whose token the CSMS has rejected, or end it (StopTxOnInvalidId)."""
        if evse.transaction is transaction:
            transaction.authorized = False
            if self._context.settings.truth("stop_invalid"):
                self.end(evse, TriggerReason.deauthorized, StopReason.de_authorized)

    def unplug(self, evse: EvseState) -> None:
        """Disconnect the vehicle; a running transaction ends."""
        if evse.transaction is not None:
            self.end(evse, TriggerReason.ev_communication_lost, StopReason.ev_disconnected, vehicle_left=True)
        evse.finishing = False
        self._clear_vehicle(evse)

    def _clear_vehicle(self, evse: EvseState) -> None:
        """Drop what the vehicle stated; the connector stays occupied while the vehicle is plugged in."""
        evse.vehicle = evse.initial_needs = evse.allowed_transfers = None
        evse.authorize_answered = False
        evse.finishing = evse.finishing and evse.power_path.plugged
        self._availability.update_status(evse)

    def fault(self, evse: EvseState, code: str | None) -> None:
        """Set the fault of an EVSE, or clear it with None."""
        evse.fault = code
        if code is not None:
            self._reservations.lapse(evse)
            if evse.transaction is not None:
                self.end(evse, TriggerReason.abnormal_condition, StopReason.other)
        self._availability.update_status(evse)
        self._context.wake()

    # tokens

    async def present(self, evse: EvseState, token: str, token_type: str) -> str:
        """Present a token at the EVSE; return `started`, `stopped` or `refused`.

        The token of the running transaction and tokens of its group stop it (C01, E07); others are refused.
        """
        running, evse.group = evse.transaction, None
        if running is not None:
            same = running.token.casefold() == token.casefold()
            may = same or await self._may_charge(evse, token, token_type)
            group = self._group(evse, token)
            if evse.transaction is running and (same or (may and group is not None and group == running.group)):
                self.end(evse, TriggerReason.stop_authorized, StopReason.local)
                return "stopped"
            return "refused"
        if not evse.in_service:
            return "refused"
        if not await self._may_charge(evse, token, token_type) or evse.transaction is not None:
            return "refused"
        start = TransactionStart(token, token_type, group=self._group(evse, token))
        if not self._reserved_for(evse, start):
            return "refused"
        self.start(evse, start)
        return "started"

    def _group(self, evse: EvseState, token: str) -> str | None:
        """Return the group stated in the last authorisation, otherwise that in the local list."""
        return evse.group or self._local_list.group(token)

    def start(self, evse: EvseState, start: TransactionStart) -> Transaction | None:
        """Begin an authorised transaction: at once, or in 1.6 when a vehicle is connected (ConnectionTimeOut)."""
        if evse.vehicle is not None or self._context.messages.begins_at_authorization:
            return self.begin(evse, start)
        evse.pending_start = start
        self._context.set_status(evse, ConnectorStatus.occupied)
        self._context.later(self._expire_start(evse, start))
        return None

    def _reserved_for(self, evse: EvseState, start: TransactionStart) -> bool:
        return self._reservations.allows(evse, start.token, start.group)

    async def try_to_begin(self, evse: EvseState, token: str | None = None) -> None:
        """Begin a transaction for a connected vehicle with the given or configured token, or without authorisation."""
        config = self._context.config
        name = config.id_token if token is None else token
        token_type = config.token_type if name else "NoAuthorization"
        evse.group = None
        if evse.transaction is not None or evse.vehicle is None or not evse.in_service:
            return
        if not self._reserved_for(evse, TransactionStart(name, token_type, group=self._local_list.group(name))):
            return
        if name and not await self._may_charge(evse, name, token_type):
            log.warning("%s: token %s is not authorised", config.id, name)
            return
        if evse.transaction is None and evse.vehicle is not None:
            self.begin(evse, TransactionStart(name, token_type, group=self._group(evse, name)))

    async def _may_charge(self, evse: EvseState, name: str, token_type: str) -> bool:
        """Authorise a token online by the CSMS, offline by the local list (C01, C13, C14, C15)."""
        context, settings = self._context, self._context.settings
        listed = self._local_list.status(name, context.wall()) if settings.truth("list_enabled") else None
        if context.online:
            if listed == v21.AuthorizationStatusEnumType.accepted and settings.truth("pre_authorize"):
                return True
            if listed not in (None, v21.AuthorizationStatusEnumType.accepted) and settings.truth("list_final"):
                return False
            return await context.messages.authorize(evse, name, token_type)
        if listed is not None:
            return listed == v21.AuthorizationStatusEnumType.accepted and settings.truth("offline_list")
        return settings.truth("offline_unknown")

    # transactions

    def begin(self, evse: EvseState, start: TransactionStart) -> Transaction:
        """Begin an authorised transaction, with or without a connected vehicle."""
        context = self._context
        self._numbers += 1
        name = f"{context.config.id[:12]}-{int(self._clock.wall() * 1000):x}-{self._numbers:x}"
        new = Transaction(name[:36], evse.number, context.wall(), start.token, start.token_type, start.group)
        new.remote_start, new.authorized = start.remote_start, True
        if evse.vehicle is not None:
            new.ready_at, new.vehicle, new.state = context.wall(), evse.vehicle.vehicle, ChargingState.ev_connected
        used = self._reservations.use(evse, start.token, start.group)
        if used is not None:
            new.reservation = used.id
        evse.transaction, evse.priority, evse.finishing = new, False, False
        evse.algorithm, evse.sleeping = AlgorithmState(), False
        new.started_wh = evse.power_path.reading(self._clock.now()).charged_wh
        if evse.vehicle is not None:
            context.set_status(evse, ConnectorStatus.occupied)
        evse.composite = self._smart_charging.composite(evse)
        new.mode = evse.composite.mode
        evse.sampled_at, evse.soc_reported = self._clock.now(), False
        self._tariffs.begin(evse, new, None if used is None else max(0.0, context.wall() - used.made_at))
        context.messages.started(evse, new)
        if start.profile is not None:
            self._profiles.install(evse.number, {**start.profile, "transactionId": new.id}, context.wall(), new.id)
        if evse.vehicle is None:
            evse.power_path.wake_vehicle()
        context.later(self._open(evse) if evse.vehicle is not None else self._wait_for_vehicle(evse, new))
        context.save("transactions")
        return new

    async def _wait_for_vehicle(self, evse: EvseState, transaction: Transaction) -> None:
        """End the transaction if no vehicle is connected in time (E03.FR.05, F02)."""
        await self._clock.sleep(self._context.settings.number("connection_timeout"))
        if evse.transaction is transaction and evse.vehicle is None:
            self.end(evse, TriggerReason.ev_connect_timeout, StopReason.timeout)

    async def _expire_start(self, evse: EvseState, start: TransactionStart) -> None:
        """1.6: drop an authorised start if no vehicle is connected in time."""
        await self._clock.sleep(self._context.settings.number("connection_timeout"))
        if evse.pending_start is start:
            evse.pending_start = None
            self._availability.update_status(evse)

    async def send_needs(self, evse: EvseState) -> None:
        """Send charging needs after the start of their transaction; offline they are sent later (`needs_unsent`)."""
        context, deadline = self._context, self._clock.now() + START_SENT_WITHIN
        while context.online and self._queue.has_essential and self._clock.now() < deadline:
            await self._clock.sleep(0.05)
        evse.needs_unsent = not context.online
        if context.online and evse.vehicle is not None:
            await context.messages.needs(evse)

    async def renegotiate(self, evse: EvseState) -> None:
        """Agree with the vehicle on the best energy transfer that is allowed now (Q02.FR.06)."""
        vehicle = evse.vehicle
        if vehicle is None or evse.allowed_transfers is None:
            return
        best = next((mode for mode in vehicle.available if mode in evse.allowed_transfers), vehicle.energy_transfer)
        if evse.power_path.renegotiate():
            return  # the vehicle chooses, and states its needs again
        if best != vehicle.energy_transfer:
            evse.vehicle = replace(evse.initial_needs or vehicle, energy_transfer=best)
        await self._context.messages.needs(evse)

    async def _open(self, evse: EvseState) -> None:
        """Send the charging needs, then close the contactors."""
        await self.send_needs(evse)
        if evse.transaction is not None and evse.vehicle is not None:
            evse.power_path.open(self._clock.now())
            evse.open = True
            self._context.wake()

    def end(self, evse: EvseState, trigger: str, reason: str, *, vehicle_left: bool = False) -> None:
        """End a transaction: power off, contactors open, messages queued. `vehicle_left`: no vehicle is connected."""
        transaction, context = evse.transaction, self._context
        if transaction is None:
            return
        now = self._clock.now()
        evse.power_path.set_power(0.0, now)
        evse.power_path.close(now)
        evse.open, evse.setpoint_w, evse.vendor_setpoint_w = False, 0.0, None
        evse.reading = evse.power_path.reading(now)
        transaction.stopped = reason
        transaction.state = ChargingState.idle if vehicle_left or evse.vehicle is None else ChargingState.ev_connected
        self._tariffs.update(evse)
        evse.transaction = None
        evse.vehicle = evse.initial_needs or evse.vehicle  # the next transaction negotiates anew
        self._profiles.end_transaction(transaction.name)
        context.messages.ended(evse, transaction, trigger)
        self._tariffs.end(evse)
        self._display.end_transaction(transaction.id)
        if evse.inoperative_next:
            evse.inoperative_next, evse.operative = False, False
        if not evse.operative or evse.vehicle is None:
            self._availability.update_status(evse)
        context.save("transactions")
        context.wake()
