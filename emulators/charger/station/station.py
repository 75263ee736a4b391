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

from emulators.charger.station import availability, settings
from emulators.charger.station.clock_aligned import Aligned
from emulators.charger.station.connector_sessions import ConnectorSessions
from emulators.charger.station.csms_link import CsmsLink
from emulators.charger.station.device_model.event_streams import Streams
from emulators.charger.station.device_model.model import DeviceModel
from emulators.charger.station.device_model.monitoring import Monitoring
from emulators.charger.station.dialect import Dialect
from emulators.charger.station.evse import EvseState
from emulators.charger.station.local_list import LocalList
from emulators.charger.station.maintenance.display import Display
from emulators.charger.station.maintenance.maintenance import Upkeep
from emulators.charger.station.maintenance.network_profiles import Connect
from emulators.charger.station.persistence import Keeping, Store
from emulators.charger.station.power_path import Needs, PowerPath
from emulators.charger.station.reservations import Reservations
from emulators.charger.station.smart_charging import der
from emulators.charger.station.smart_charging.external import IDS_FROM, ExternalSystem
from emulators.charger.station.smart_charging.profile_rules import MODES, Abilities
from emulators.charger.station.smart_charging.profiles import Profiles
from emulators.charger.station.smart_charging.smart_charging import Steering
from emulators.charger.station.tariffs.tariffs import Tariffs
from emulators.charger.station.transaction import Message
from protocols.ocpp.link import Reply
from protocols.ocpp.schema import Payload, Version
from protocols.ocpp.times import stamp
from protocols.ocpp.vendor import Channel, VendorProfile, find
from protocols.ports import Clock

log = logging.getLogger("v2x.station")

TICK_S = 1.0
LAST_WORDS_WITHIN = 10.0  # s that a reboot waits for the ends of transactions to be told
SECURITY_EVENTS_KEPT = 1000
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
    csms: str = ""  # its address, without the id; where connecting is handed in, anything
    security_profile: int = 0
    password: str | None = None
    unsigned_firmware: bool | None = (
        None  # False: an update without signature is refused (L01); None: from profile 2 on
    )
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
        outlets: list[PowerPath],
        clock: Clock,
        connect: Connect,
        dialect: Callable[[Station], Dialect],
        store: Store | None = None,
    ) -> None:
        self.config, self.clock = config, clock
        self.evses = {number: EvseState(number, outlet) for number, outlet in enumerate(outlets, 1)}
        chosen = config.vendor_profile or f"generic-{config.version.number}"
        self.vendor = chosen if isinstance(chosen, VendorProfile) else find(chosen)
        self.quirks = self.vendor.quirks
        if self.vendor.forming.channel is not Channel.NONE:
            for evse in self.evses.values():
                evse.outlet.stage.told_to_form = False  # it waits for the order
        self.device = DeviceModel()
        self.profiles = Profiles(self._abilities(), config.seed)
        self.controls = der.Controls(frozenset(der.BODIES))
        self.grid = der.Grid()
        self.line = CsmsLink(self, connect)
        self.steering = Steering(self)
        self.woken = asyncio.Event()
        self.local_list = LocalList()
        self.reservations = Reservations(self)
        self.plugs = ConnectorSessions(self)
        self.ended = asyncio.Event()
        self.refused: list[str] = []  # why profiles were refused, with requirement ids: for tests and people
        self._tasks: set[asyncio.Task[None]] = set()
        self.external = ExternalSystem(self)
        self.aligned = Aligned(self)
        self.upkeep = Upkeep(self)
        self.firmware = config.firmware
        self.display = Display(self)
        self.tariffs = Tariffs(self)
        self.monitoring = Monitoring(self)
        self.streams = Streams(self)
        self.security_log: list[Payload] = []
        self.meter_interval_s = config.meter_interval_s  # of samples in a transaction, 0 for none
        self.dialect = dialect(self)
        self.keeping = Keeping(self, store)
        self.keeping.restore()  # before anything happens at the plugs

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
        loop = asyncio.get_running_loop()
        life = loop.create_task(self.steering.run())
        self._tasks |= {loop.create_task(work) for work in (self.aligned.run(), self.display.run())}
        try:
            await self.line.run()
        finally:
            life.cancel()
            self.keeping.close()
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
        while self.online and self.line.waiting and self.clock.now() < deadline:
            await self.clock.sleep(0.05)
        await self.line.close()

    async def reboot(self, reason: str, stopped: str) -> None:
        """Stop what runs, forget what is not kept over a reboot, and come back (B12.FR.04, .05)."""
        for evse in self.evses.values():
            if evse.transaction is not None:
                self.end_transaction(evse, "ResetCommand", stopped)
        deadline = self.clock.now() + LAST_WORDS_WITHIN
        await self.clock.sleep(0.1)
        while self.online and self.line.queue.tells_turns and self.clock.now() < deadline:
            await self.clock.sleep(0.1)
        for held in self.profiles:
            if held.purpose in ("TxProfile", "LocalGeneration", "ChargingStationExternalConstraints"):
                self.profiles.forget(held)  # K01.FR.27: the others and DER controls (R01.FR.03) persist
        for evse in self.evses.values():
            evse.resetting = False
            availability.show(self, evse)
        await self.line.reboot(reason)

    def started_up(self) -> None:
        """The first words after an accepted boot (A04; 2.x only)."""
        if self.config.version is not Version.V16:
            cold = self.line.boot_reason == "PowerUp"
            self.security_event("StartupOfTheDevice" if cold else "ResetOrReboot")

    def back_online(self) -> None:
        """The CSMS can be asked again: who waits at a plug may begin."""
        if len(self.streams):
            self.later(self.streams.resume())
        for evse in self.evses.values():
            if evse.vehicle is not None and evse.transaction is None:
                self.later(self.plugs.try_to_begin(evse))
            elif evse.vehicle is not None and evse.untold:
                self.later(self.plugs.tell_needs(evse))

    def variables_changed(self) -> None:
        """The CSMS has set something: what is looked at often is looked up once."""
        every = settings.number(self, "sample_interval")
        self.meter_interval_s = self.config.meter_interval_s if every == round(self.config.meter_interval_s) else every
        self.aligned.changed.set()

    def save(self, what: str) -> None:
        """Something that is kept over a restart has changed."""
        self.keeping.save(what)

    # the line, for those who speak

    @property
    def online(self) -> bool:
        """Whether the CSMS can be reached and has accepted the station."""
        return self.line.online

    def wall(self) -> float:
        """The station's own clock, Unix time."""
        return self.line.wall()

    def timestamp(self) -> str:
        """The same as OCPP writes it."""
        return stamp(self.line.wall())

    async def call(self, action: str, payload: Payload) -> Reply:
        """Ask the CSMS, if it can be reached."""
        return await self.line.call(action, payload)

    def tell(self, action: str, payload: Payload) -> None:
        """Tell the CSMS something that must not be lost: now, or when it can be told."""
        self.enqueue(Message(action, payload))

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

    # what happens at the plugs

    def arrive(self, number: int) -> None:
        """A plug is in; what the vehicle needs is not known yet."""
        self.set_status(self.evses[number], "Occupied")

    def leave(self, number: int, well: bool) -> None:
        """The vehicle's session is over, and with it what ran."""
        self.plugs.leave(self.evses[number], well)

    def plug_in(self, number: int, needs: Needs, token: str | None = None) -> None:
        """A vehicle is connected and stated its needs; with a token (or free use) its transaction begins.

        Told again in a transaction, the needs are new ones: the service was negotiated again (Q02.FR.07). ValueError
        where the EVSE takes no vehicle.
        """
        self.plugs.plug_in(self.evses[number], needs, token)

    def unplug(self, number: int) -> None:
        """The cable is pulled: whatever ran ends."""
        self.plugs.unplug(self.evses[number])

    async def present(self, number: int, token: str, sort: str = "ISO14443") -> str:
        """A card is held to an EVSE: `started`, `stopped` or `refused`. A vehicle may come before or after it."""
        return await self.plugs.present(self.evses[number], token, sort)

    def fault(self, number: int, code: str | None) -> None:
        """Something breaks, or with None is mended."""
        self.plugs.fault(self.evses[number], code)

    def end_transaction(self, evse: EvseState, trigger: str, reason: str) -> None:
        """The transaction ends: power off, contactors open, tell."""
        self.plugs.end(evse, trigger, reason)

    def set_status(self, evse: EvseState, status: str) -> None:
        """A connector's status, told when it changes."""
        if status != evse.status:
            evse.status = status
            self.wake()
            if self.online:
                self.later(self.line.tell_status(evse))

    def security_event(self, kind: str, info: str = "") -> None:
        """A04: told to the CSMS, and kept until it has heard of it."""
        event: Payload = {"type": kind, "timestamp": self.timestamp()}
        if info:
            event["techInfo"] = info[:255]
        self.security_log.append(event)
        del self.security_log[:-SECURITY_EVENTS_KEPT]
        self.tell("SecurityEventNotification", event)

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
