"""An emulated charging station: its EVSEs, and what plugs, tokens and transactions do. Any OCPP version.

The line to the CSMS is in `line.py`, the step that makes power of profiles in `steering.py`; what is said how
in `ocpp16.py` and `ocpp2.py`. The wire and the vehicles are handed in.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, replace
from typing import Any

from emulators.charger import der
from emulators.charger.device_model import DeviceModel
from emulators.charger.dialect import Dialect
from emulators.charger.evse import EvseState
from emulators.charger.external import IDS_FROM, ExternalSystem
from emulators.charger.line import Connect, Line
from emulators.charger.modes import Memory
from emulators.charger.outlet import Needs, Outlet
from emulators.charger.profile_rules import MODES, Abilities
from emulators.charger.profiles import Profiles
from emulators.charger.steering import Steering
from emulators.charger.transaction import Message, Transaction
from emulators.charger.upkeep import Upkeep
from protocols.ocpp.io import Reply
from protocols.ocpp.schema import Payload, Version
from protocols.ocpp.vendor import Channel, VendorProfile, find
from protocols.ports import Clock

log = logging.getLogger("v2x.station")

TICK_S = 1.0
START_TOLD_WITHIN = 60.0  # s that a vehicle's needs wait for the start of its transaction to be told
STOP_WITHIN = 10.0  # s for the last messages when the station is stopped


@dataclass(frozen=True, slots=True)
class StationConfig:
    """What the station is. Powers come from its outlets."""

    id: str = "CP1"
    version: Version = Version.V21
    vendor: str = "v2x-gateway"
    model: str = "emulator"
    serial: str = "EMU-1"
    firmware: str = "1.0"
    vendor_profile: str | VendorProfile | None = None  # by name, or one of your own
    id_token: str = ""  # empty: nobody is asked (NoAuthorization), in 1.6 the tag FREE
    token_type: str = "ISO14443"
    meter_interval_s: float = 10.0
    dc: bool = True
    modes: tuple[str, ...] = MODES
    answer_within_s: float = 30.0
    tick_s: float = TICK_S  # between two looks at profiles and meters while nothing wakes it
    seed: int = 0


class Station:
    """One charging station. `run` lives its life; everything else happens to it."""

    def __init__(
        self,
        config: StationConfig,
        outlets: list[Outlet],
        clock: Clock,
        connect: Connect,
        dialect: Callable[[Station], Dialect],
    ) -> None:
        self.config, self.clock = config, clock
        self.evses = {number: EvseState(number, outlet) for number, outlet in enumerate(outlets, 1)}
        chosen = config.vendor_profile or f"generic-{config.version.number}"
        self.vendor = chosen if isinstance(chosen, VendorProfile) else find(chosen)
        self.quirks = self.vendor.quirks
        self.device = DeviceModel()
        self.profiles = Profiles(self._abilities(), config.seed)
        self.controls = der.Controls(frozenset(der.BODIES))
        self.grid = der.Grid()
        self.line = Line(self, connect)
        self.steering = Steering(self)
        self.woken = asyncio.Event()
        self.local_list: dict[str, dict[str, Any]] = {}
        self.local_list_version = 0
        self.ended = asyncio.Event()
        self.refused: list[str] = []  # why profiles were refused, with requirement ids: for tests and people
        self._tasks: set[asyncio.Task[None]] = set()
        self._numbers = 0
        self.external = ExternalSystem(self)
        self.upkeep = Upkeep(self)
        self.firmware = config.firmware
        self.messages: dict[int, dict[str, Any]] = {}  # what the display shows
        self.dialect = dialect(self)

    def _abilities(self) -> Abilities:
        late = self.config.version is Version.V21
        return Abilities(
            frozenset(self.evses),
            modes=frozenset(self.config.modes) if late else frozenset({"ChargingOnly"}),
            dc=self.config.dc,
            dynamic=late,
            max_offline=late,
            randomized_delay=late,
            limit_at_soc=late,
            negative_limit=self.vendor.setpoint.channel is Channel.LIMIT,
            replaces_twins=self.config.version is Version.V16,
            external_ids=IDS_FROM if late else None,
        )

    # life

    async def run(self) -> None:
        """Connect, boot, charge, and connect again, until `stop` is called."""
        life = asyncio.get_running_loop().create_task(self.steering.run())
        try:
            await self.line.run()
        finally:
            life.cancel()
            for task in list(self._tasks):
                task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await life
            self.ended.set()

    async def stop(self) -> None:
        """End all transactions in order, tell the CSMS, and close the link."""
        for evse in self.evses.values():
            if evse.transaction is not None:
                self.end_transaction(evse, "StopAuthorized", "Local")
        deadline = self.clock.now() + STOP_WITHIN
        while self.online and len(self.line.queue) and self.clock.now() < deadline:
            await self.clock.sleep(0.05)
        await self.line.close()

    async def reboot(self, reason: str, stopped: str) -> None:
        """Stop what runs, forget what is not kept over a reboot, and come back."""
        for evse in self.evses.values():
            if evse.transaction is not None:
                self.end_transaction(evse, "ResetCommand", stopped)
        await self.clock.sleep(0.1)
        for held in self.profiles:
            if held.purpose in ("TxProfile", "LocalGeneration", "ChargingStationExternalConstraints"):
                self.profiles.forget(held)  # K01.FR.27: the others and DER controls (R01.FR.03) persist
        await self.line.reboot(reason)

    def back_online(self) -> None:
        """The CSMS can be asked again: who waits at a plug may begin."""
        for evse in self.evses.values():
            if evse.vehicle is not None and evse.transaction is None:
                self.later(self._begin(evse))

    # the line, for those who speak

    @property
    def online(self) -> bool:
        """Whether the CSMS can be reached and has accepted the station."""
        return self.line.online

    def wall(self) -> float:
        """The station's own clock, Unix time."""
        return self.line.wall()

    async def call(self, action: str, payload: Payload) -> Reply:
        """Ask the CSMS, if it can be reached."""
        return await self.line.call(action, payload)

    def enqueue(self, message: Message) -> None:
        """Send a message of a transaction when its turn comes."""
        self.line.enqueue(message)

    def later(self, work: Coroutine[Any, Any, None]) -> None:
        """Do something after the answer at hand has gone out."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._finished)

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            log.error("%s: work beside a message failed", self.config.id, exc_info=task.exception())

    def wake(self) -> None:
        """Something changed: decide again at once."""
        self.woken.set()

    def step(self) -> None:
        """Decide and measure once, now."""
        self.steering.step()

    @property
    def meter_interval_s(self) -> float:
        """Seconds between samples, 0 for none."""
        return self.config.meter_interval_s

    # what happens at the plugs

    def arrive(self, number: int) -> None:
        """A plug is in; what the vehicle needs is not known yet."""
        self.set_status(self.evses[number], "Occupied")

    def leave(self, number: int, well: bool) -> None:
        """The vehicle's session is over, and with it what ran."""
        evse = self.evses[number]
        if evse.transaction is not None and well:
            self.end_transaction(evse, "EVDeparted", "StoppedByEV")
        elif evse.transaction is not None:
            self.end_transaction(evse, "EVCommunicationLost", "EVDisconnected")
        self.unplug(number)

    def plug_in(self, number: int, needs: Needs, token: str | None = None) -> None:
        """A vehicle is connected and stated its needs; with a token (or free use) its transaction begins.

        Told again in a transaction, the needs are new ones: the service was negotiated again (Q02.FR.07).
        """
        evse = self.evses[number]
        if evse.transaction is not None:
            evse.vehicle = needs
            self.later(self.dialect.needs(evse))
            return
        if not evse.operative or evse.fault is not None:
            raise ValueError(f"EVSE {number} is {evse.status} and takes no vehicle")
        evse.vehicle = evse.offered = needs
        self.set_status(evse, "Occupied")
        self.later(self._begin(evse, token))

    def unplug(self, number: int) -> None:
        """The cable is pulled: whatever ran ends."""
        evse = self.evses[number]
        if evse.transaction is not None:
            self.end_transaction(evse, "EVDeparted", "EVDisconnected")
        evse.vehicle, evse.offered, evse.allowed, evse.asked, evse.finishing = None, None, None, False, False
        self.set_status(evse, "Available" if evse.operative else "Unavailable")

    def set_status(self, evse: EvseState, status: str) -> None:
        """A connector's status, told when it changes."""
        if status != evse.status:
            evse.status = status
            if self.online:
                self.later(self._tell(evse))

    async def _tell(self, evse: EvseState) -> None:
        await self.call("StatusNotification", self.dialect.status(evse))

    async def _begin(self, evse: EvseState, token: str | None = None) -> None:
        name = self.config.id_token if token is None else token
        sort = self.config.token_type if name else "NoAuthorization"
        if evse.transaction is not None or evse.vehicle is None:
            return
        if name and not await self._may_charge(evse, name, sort):
            log.warning("%s: %s may not charge", self.config.id, name)
            return
        if evse.transaction is None and evse.vehicle is not None:
            self.begin_transaction(evse, name, sort)

    async def _may_charge(self, evse: EvseState, name: str, sort: str) -> bool:
        if not self.online:
            known = self.local_list.get(name.casefold())
            return known is not None and known.get("status", "Accepted") == "Accepted"
        return await self.dialect.authorize(evse, name, sort)

    def begin_transaction(self, evse: EvseState, token: str, sort: str, remote_start: int | None = None) -> Transaction:
        """A transaction begins: authorised and connected."""
        self._numbers += 1
        name = f"{self.config.id[:12]}-{int(self.clock.wall() * 1000):x}-{self._numbers:x}"
        new = Transaction(name[:36], evse.number, self.wall(), token, sort, remote_start=remote_start)
        new.authorized, new.ready_at = True, self.wall()
        new.vehicle = evse.vehicle.vehicle if evse.vehicle is not None else None
        reserved = evse.reservation
        if reserved is not None:
            new.reservation, evse.reservation = reserved["id"], None
        evse.transaction, evse.priority, evse.finishing = new, False, False
        evse.memory, evse.alarm, evse.sleeping = Memory(), None, False
        new.started_wh = evse.outlet.reading(self.clock.now()).charged_wh
        self.set_status(evse, "Occupied")
        evse.composite = self.steering.composite(evse)
        new.mode = evse.composite.mode
        evse.sampled_at, evse.soc_told = self.clock.now(), False
        self.dialect.started(evse, new)
        self.later(self._open(evse))
        return new

    async def _open(self, evse: EvseState) -> None:
        deadline = self.clock.now() + START_TOLD_WITHIN
        while self.online and self.line.queue.tells_turns and self.clock.now() < deadline:
            await self.clock.sleep(0.05)  # what the vehicle needs belongs to a transaction that the CSMS knows
        if self.online and evse.vehicle is not None:
            await self.dialect.needs(evse)
        if evse.transaction is not None:
            evse.outlet.open(self.clock.now())
            evse.open = True
            self.wake()

    def end_transaction(self, evse: EvseState, trigger: str, reason: str) -> None:
        """The transaction ends: power off, contactors open, tell."""
        transaction = evse.transaction
        if transaction is None:
            return
        now = self.clock.now()
        evse.outlet.set_power(0.0, now)
        evse.outlet.close(now)
        evse.open, evse.wish_w, evse.held_power_w = False, 0.0, None
        evse.reading = evse.outlet.reading(now)
        transaction.stopped = reason
        evse.transaction = None
        self.profiles.end_transaction(transaction.name)
        self.dialect.ended(evse, transaction, trigger)
        if evse.inoperative_next:
            evse.inoperative_next, evse.operative = False, False
            self.set_status(evse, "Unavailable")
        self.wake()

    def fault(self, number: int, code: str | None) -> None:
        """Something breaks, or with None is mended."""
        evse = self.evses[number]
        evse.fault = code
        if code is not None and evse.transaction is not None:
            self.end_transaction(evse, "AbnormalCondition", "Other")
        status = "Faulted" if code else "Occupied" if evse.vehicle else "Available" if evse.operative else "Unavailable"
        self.set_status(evse, status)

    async def renegotiate(self, evse: EvseState) -> None:
        """Q02.FR.06: agree with the vehicle on the best transfer that is allowed now."""
        vehicle = evse.vehicle
        if vehicle is None or evse.allowed is None:
            return
        best = next((mode for mode in vehicle.available if mode in evse.allowed), vehicle.energy_transfer)
        if evse.outlet.renegotiate():
            return  # the vehicle chooses, and states its needs again
        if best != vehicle.energy_transfer:
            evse.vehicle = replace(evse.offered or vehicle, energy_transfer=best)
        await self.dialect.needs(evse)

    # the world around it

    def measure_grid(self, *, voltage_v: float | None = None, frequency_hz: float | None = None) -> None:
        """The grid at the connection changes."""
        if voltage_v is not None:
            self.grid = replace(self.grid, voltage_v=voltage_v)
        if frequency_hz is not None:
            self.grid = replace(self.grid, frequency_hz=frequency_hz)
            for evse in self.evses.values():
                evse.surroundings.frequency_hz = frequency_hz
        self.wake()

    def measure_load(self, upstream_w: float) -> None:
        """The house's meter, + is consumption: one reading for local load balancing."""
        for evse in self.evses.values():
            evse.surroundings.upstream_w = upstream_w
        self.wake()
