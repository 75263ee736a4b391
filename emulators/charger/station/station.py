"""An emulated charging station of any OCPP version: its components, its lifecycle and its environment.

The station is composed of components that share a `StationContext`, which it implements. The OCPP version, the
connection to the CSMS and the power paths to the vehicles are arguments.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable

from emulators.charger.station.availability import Availability
from emulators.charger.station.clock_aligned import ClockAlignedData
from emulators.charger.station.config import StationConfig
from emulators.charger.station.connector_sessions import ConnectorSessions
from emulators.charger.station.context import Work
from emulators.charger.station.csms_link.link import CsmsLink
from emulators.charger.station.csms_link.message_queue import Message
from emulators.charger.station.csms_link.network_profiles import Connect, NetworkProfiles
from emulators.charger.station.csms_link.station_clock import StationClock
from emulators.charger.station.device_model.model import DeviceModel
from emulators.charger.station.device_model.settings import Settings
from emulators.charger.station.device_model.variables_v2x import set_connected_ev
from emulators.charger.station.display_messages import DisplayMessages
from emulators.charger.station.evse import EvseState
from emulators.charger.station.local_list import LocalList
from emulators.charger.station.maintenance.certificate_store import CertificateStore
from emulators.charger.station.maintenance.maintenance import Maintenance
from emulators.charger.station.messages import Messages, OcppVersion
from emulators.charger.station.monitoring.event_streams import EventStreams
from emulators.charger.station.monitoring.monitoring import Monitoring, built_in
from emulators.charger.station.monitoring.monitors import Monitors
from emulators.charger.station.ocpp_enums import ConnectorStatus, OperationMode, StopReason, TriggerReason
from emulators.charger.station.persistence import Part, Persistence, StoredMessages
from emulators.charger.station.power_path import Needs, PowerPath
from emulators.charger.station.reservations import Reservations
from emulators.charger.station.smart_charging import der
from emulators.charger.station.smart_charging.external_control import IDS_FROM, ExternalControlSystem
from emulators.charger.station.smart_charging.profile_rules import StationCapabilities
from emulators.charger.station.smart_charging.profiles import Profiles
from emulators.charger.station.smart_charging.smart_charging import SmartCharging
from emulators.charger.station.smart_charging.vendor_power import VendorPower
from emulators.charger.station.store import Store
from emulators.charger.station.tariffs.tariffs import Tariffs
from protocols.ocpp.enums import v21
from protocols.ocpp.events import Reply
from protocols.ocpp.schema import Payload, Version
from protocols.ocpp.times import stamp
from protocols.ocpp.vendor import Channel, VendorProfile, find
from protocols.ports import Clock

log = logging.getLogger("v2x.station")

ENDS_SENT_WITHIN = 10.0  # s that a reboot waits for the ends of transactions to be delivered
MAX_SECURITY_EVENTS = 1000
STOP_WITHIN = 10.0  # s for the last messages when the station is stopped


class Station:
    """One charging station. `run` operates it until `stop`; the other methods are its environment."""

    def __init__(
        self,
        config: StationConfig,
        power_paths: list[PowerPath],
        clock: Clock,
        connect: Connect,
        version_of: Callable[[Station], OcppVersion],
        store: Store | None = None,
        on_retry: Callable[[str, float], None] | None = None,
    ) -> None:
        self.config, self.clock = config, clock
        self.evses = {number: EvseState(number, power_path) for number, power_path in enumerate(power_paths, 1)}
        chosen = config.vendor_profile or f"generic-{config.version.number}"
        self.vendor = chosen if isinstance(chosen, VendorProfile) else find(chosen)
        self.quirks = self.vendor.quirks
        if self.vendor.forming.channel is not Channel.NONE:
            for evse in self.evses.values():
                evse.power_path.stage.grid_forming_ordered = False  # forms a grid only by order
        self.device_model = DeviceModel()
        self.settings = Settings(self.device_model, config.version)
        self.rejections: list[str] = []  # rejected charging profiles with requirement ids
        self.security_log: list[Payload] = []
        self.ended = asyncio.Event()
        self._tasks: set[asyncio.Task[object]] = set()

        self.profiles = Profiles(_capabilities(config, self.vendor, self.evses), config.seed)
        self.der_controls = der.DerControls(frozenset(der.BODIES))
        self.certificates = CertificateStore()
        self._station_clock = StationClock(clock, self._shift_times)
        stored = None if store is None else StoredMessages(store, self.evses)
        self.link = CsmsLink(
            self,
            connect,
            NetworkProfiles(self, self.certificates),
            self._station_clock,
            self.profiles,
            stored,
            on_retry,
        )
        self.local_list = LocalList()
        self.reservations = Reservations(self)
        self.availability = Availability(self, self.reservations)
        self.display = DisplayMessages(self)
        self.tariffs = Tariffs(self)
        monitors = Monitors(() if config.version is Version.V16 else built_in(self.evses))
        self.event_streams = EventStreams(self, monitors)
        self.monitoring = Monitoring(self, monitors, self.event_streams)
        self.smart_charging = SmartCharging(
            self, self.profiles, self.der_controls, self.monitoring, self.event_streams, self.tariffs
        )
        self.vendor_power = VendorPower(self, self.smart_charging)
        self.external_control = ExternalControlSystem(self, self.profiles)
        self.sessions = ConnectorSessions(
            self, self.reservations, self.availability, self.local_list, self.profiles, self.smart_charging,
            self.tariffs, self.display, self.link.queue,
        )  # fmt: skip
        self.clock_aligned = ClockAlignedData(self)
        self.maintenance = Maintenance(self, self.availability, self.certificates, self.link.sent, self.security_log)
        self.persistence = Persistence(self, self.link, self._parts(), store)
        self.ocpp = version_of(self)
        self.persistence.restore()  # before anything happens at the connectors
        for number, evse in self.evses.items():
            evse.power_path.attach(self, number)
        self.variables_changed()

    @property
    def messages(self) -> Messages:
        """Messages of the station's OCPP version."""
        return self.ocpp.messages

    def _parts(self) -> dict[str, Part]:
        """Return the parts of the persistent state by name. The names and their JSON are a stored format."""
        return {
            "availability": self.availability,
            "certificates": self.certificates,
            "controls": self.der_controls,
            "display": self.display,
            "firmware": self.maintenance,
            "local_list": self.local_list,
            "monitors": self.monitoring.monitors,
            "network": self.link.network_profiles,
            "profiles": self.profiles,
            "reservations": self.reservations,
            "tariffs": self.tariffs,
            "variables": self.device_model,
        }

    # lifecycle

    async def run(self) -> None:
        """Connect, boot, charge and reconnect until `stop`."""
        loop = asyncio.get_running_loop()
        stepping = loop.create_task(self.smart_charging.run())
        self._tasks |= {loop.create_task(work) for work in (self.clock_aligned.run(), self.display.run())}
        try:
            await self.link.run()
        finally:
            stepping.cancel()
            self.persistence.close()
            for task in list(self._tasks):
                task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await stepping
            self.ended.set()

    async def stop(self) -> None:
        """End all transactions, deliver the messages, and close the link."""
        for evse in self.evses.values():
            if evse.transaction is not None:
                self.end_transaction(evse, TriggerReason.stop_authorized, StopReason.local)
        deadline = self.clock.now() + STOP_WITHIN
        while self.online and self.link.waiting and self.clock.now() < deadline:
            await self.clock.sleep(0.05)
        await self.link.close()

    async def reboot(self, reason: str, stopped: str) -> None:
        """End all transactions, drop what does not persist, and boot again (B12.FR.04, .05)."""
        self.availability.scheduled_resets.clear()  # one boot fulfils them all
        for evse in self.evses.values():
            if evse.transaction is not None:
                self.end_transaction(evse, TriggerReason.reset_command, stopped)
        deadline = self.clock.now() + ENDS_SENT_WITHIN
        await self.clock.sleep(0.1)
        while self.online and self.link.queue.has_essential and self.clock.now() < deadline:
            await self.clock.sleep(0.1)
        self.profiles.drop_volatile()  # DER controls persist (R01.FR.03)
        self.availability.reset_done(list(self.evses.values()), 0)
        await self.link.reboot(reason)
        for evse in self.evses.values():
            evse.power_path.wake_vehicle()

    def started_up(self) -> None:
        """Record the security event that follows an accepted boot (A04; 2.x only)."""
        if self.config.version is not Version.V16:
            cold = self.link.boot_reason == v21.BootReasonEnumType.power_up
            self.security_event("StartupOfTheDevice" if cold else "ResetOrReboot")

    def back_online(self) -> None:
        """Resume event streams, and sessions that wait for the CSMS."""
        if len(self.event_streams):
            self.later(self.event_streams.resume())
        for evse in self.evses.values():
            if evse.vehicle is not None and evse.transaction is None:
                self.later(self.sessions.try_to_begin(evse))
            elif evse.vehicle is not None and evse.needs_unsent:
                self.later(self.sessions.send_needs(evse))

    def variables_changed(self) -> None:
        """Apply changed variables that are not read at each use."""
        configured, current = self.config.meter_interval_s, self.settings.number("sample_interval")
        self.smart_charging.sample_interval_s = configured if current == round(configured) else current
        self.clock_aligned.changed.set()

    # StationContext

    @property
    def online(self) -> bool:
        """True while the station is connected and accepted."""
        return self.link.online

    @property
    def offline_since(self) -> float | None:
        """Unix time at which the connection was lost; None while online."""
        return self.link.offline_since

    def evse_of(self, transaction: str) -> EvseState | None:
        """Return the EVSE of a running transaction."""
        running = (e for e in self.evses.values() if e.transaction is not None and e.transaction.id == transaction)
        return next(running, None)

    def wall(self) -> float:
        """Return the station's wall clock, Unix time."""
        return self._station_clock.wall()

    def timestamp(self) -> str:
        """Return the station's wall clock as an OCPP dateTime."""
        return stamp(self.wall())

    def _shift_times(self, seconds: float) -> None:
        """Move stored times by a step of the wall clock."""
        self.profiles.shift_times(seconds)
        self.link.shift_times(seconds)
        for evse in self.evses.values():
            if evse.transaction is not None and evse.transaction.ready_at is not None:
                evse.transaction.ready_at += seconds

    async def call(self, action: str, payload: Payload) -> Reply:
        """Send a CALL and return its reply; `Lost` while disconnected."""
        return await self.link.call(action, payload)

    async def send(self, action: str, payload: Payload) -> None:
        """Send a message without a response. Raises ConnectionError while disconnected."""
        await self.link.send(action, payload)

    def notify(self, action: str, payload: Payload) -> None:
        """Queue a notification that must be delivered, if necessary after a reconnection."""
        self.enqueue(Message(action, payload))

    def enqueue(self, message: Message) -> None:
        """Queue a message behind those of its kind."""
        self.link.enqueue(message)

    def later(self, work: Work) -> None:
        """Run a coroutine after the response at hand."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._finished)

    def _finished(self, task: asyncio.Task[object]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            log.error("%s: a background task failed", self.config.id, exc_info=task.exception())

    def save(self, name: str) -> None:
        """Store one part of the persistent state."""
        self.persistence.save(name)

    def wake(self) -> None:
        """Request a smart charging step at once."""
        self.smart_charging.wake()

    def set_status(self, evse: EvseState, status: str) -> None:
        """Set the status of a connector and send it if it changed."""
        if status != evse.status:
            evse.status = status
            self.wake()
            if self.online:
                self.later(self.link.send_status(evse))

    def station_status_changed(self) -> None:
        """Send the status of the station as a whole, where the version has one (1.6: connector 0)."""
        if self.online:
            self.later(self.link.send_station_status())

    def security_event(self, kind: str, info: str = "") -> None:
        """Record a security event and notify the CSMS (A04)."""
        event: Payload = {"type": kind, "timestamp": self.timestamp()}
        if info:
            event["techInfo"] = info[:255]
        self.security_log.append(event)
        del self.security_log[:-MAX_SECURITY_EVENTS]
        self.notify(v21.Action.security_event_notification, event)

    # vehicles and drivers

    def arrive(self, number: int) -> None:
        """Occupy a connector by a vehicle whose needs are not known yet."""
        self.set_status(self.evses[number], ConnectorStatus.occupied)

    def leave(self, number: int, in_order: bool) -> None:
        """End the vehicle's session and its transaction. `in_order` is False after a communication error."""
        self.sessions.leave(self.evses[number], in_order)
        set_connected_ev(self.device_model, number, None)

    def plug_in(self, number: int, needs: Needs, token: str | None = None) -> None:
        """Connect a vehicle with its charging needs; with a token or free charging its transaction begins.

        During a transaction the needs are updated: the service was renegotiated (Q02.FR.07). Raises ValueError where
        the EVSE accepts no vehicle.
        """
        self.sessions.plug_in(self.evses[number], needs, token)

    def unplug(self, number: int) -> None:
        """Disconnect the vehicle; a running transaction ends."""
        self.sessions.unplug(self.evses[number])
        set_connected_ev(self.device_model, number, None)

    async def present(self, number: int, token: str, token_type: str = "ISO14443") -> str:
        """Present a token at an EVSE, before or after the vehicle; return `started`, `stopped` or `refused`."""
        return await self.sessions.present(self.evses[number], token, token_type)

    def fault(self, number: int, code: str | None) -> None:
        """Set the fault of an EVSE, or of the station and all its EVSEs with 0, or clear it with None."""
        if number == 0:
            self.availability.fault = code
        for evse in self.evses.values() if number == 0 else (self.evses[number],):
            self.sessions.fault(evse, code)

    def end_transaction(self, evse: EvseState, trigger: str, reason: str) -> None:
        """End the transaction of an EVSE."""
        self.sessions.end(evse, trigger, reason)

    # environment

    def measure_grid(self, *, voltage_v: float | None = None, frequency_hz: float | None = None) -> None:
        """Set the grid voltage or frequency at the connection point."""
        self.smart_charging.measure_grid(voltage_v, frequency_hz)

    def measure_load(self, upstream_w: float) -> None:
        """Set the reading of the site meter, + is consumption: one reading for local load balancing."""
        for evse in self.evses.values():
            evse.conditions.upstream_w = upstream_w
        self.wake()


def _capabilities(config: StationConfig, vendor: VendorProfile, evses: dict[int, EvseState]) -> StationCapabilities:
    """Return which charging profiles the station accepts."""
    late = config.version is Version.V21
    return StationCapabilities(
        frozenset(evses),
        modes=frozenset(config.modes) if late else frozenset({OperationMode.charging_only}),
        dc=config.dc,
        dynamic=late,
        max_offline=late,
        randomized_delay=late,
        limit_at_soc=late,
        negative_limit=vendor.setpoint.channel is Channel.LIMIT,
        replaces_same_level=config.version is Version.V16,
        external_ids=IDS_FROM if late else None,
    )
