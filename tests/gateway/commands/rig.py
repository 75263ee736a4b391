"""A gateway service with plain stations, in virtual time: the rig of the tests of commands and control."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from emulators.runtime.clock import START, VirtualClock
from gateway.bench.plain_station import PlainStations
from gateway.blue_switch.coordinator import Coordinator
from gateway.blue_switch.persistence import BlueSwitchPersistence
from gateway.blue_switch.service import VehicleLendingService
from gateway.control.components import ControlComponents
from gateway.control.control_state import EvseControlState
from gateway.control.settings import ServiceSettings
from gateway.energy.persistence import EnergyPersistence
from gateway.energy.service import EnergyService
from gateway.energy.settings import EnergySection
from gateway.model.command import Channel, Submission
from gateway.model.event import Event
from gateway.model.journal import Phase, ReplyTo
from gateway.model.result import Result
from gateway.model.site import AnyInput, InputKind, SitePolicy
from gateway.model.state import EventMessage
from gateway.model.station import Outcome, Stations
from gateway.service import GatewayService
from gateway.store.journal import Journal
from gateway.store.store import MemoryStore, Store

POLICY = SitePolicy("home")
UNMANAGED = EnergySection(enabled=False)


@dataclass
class Published:
    """A subscriber that records what is published."""

    results: list[tuple[Result, Phase | None]] = field(default_factory=list)
    events: list[EventMessage] = field(default_factory=list)
    changes: list[str | None] = field(default_factory=list)

    def result(self, result: Result, reply: ReplyTo | None, phase: Phase | None) -> None:
        self.results.append((result, phase))

    def event(self, event: EventMessage) -> None:
        self.events.append(event)

    def changed(self, evse: str | None) -> None:
        self.changes.append(evse)

    def measured(self, evse: str | None) -> None:
        """Not recorded."""

    def statuses(self, command: str) -> list[str]:
        return [result.status.value for result, phase in self.results if result.id == command and phase is not None]

    def final(self, command: str) -> Result:
        [found] = [result for result, phase in self.results if result.id == command and phase is Phase.FINAL]
        return found

    def kinds(self) -> list[str]:
        return [event.event.value for event in self.events]


class Backend:
    """Stations that can be replaced during a test."""

    def __init__(self, stations: Stations) -> None:
        self.stations = stations

    def reaches(self, evse: str) -> bool:
        return self.stations.reaches(evse)

    async def set_power(self, evse: str, power_w: float, valid_for_s: float) -> Outcome:
        return await self.stations.set_power(evse, power_w, valid_for_s)

    async def reconcile(self, evse: str) -> float | None:
        return await self.stations.reconcile(evse)


@dataclass
class ServiceRig:
    """A running service of one site."""

    service: GatewayService
    stations: PlainStations
    subscriber: Published
    clock: VirtualClock
    store: Store
    journal: Journal
    control: ControlComponents
    energy_service: EnergyService
    input_handlers: dict[InputKind, Callable[[AnyInput], None]]  # of every message
    backend: Backend

    @property
    def published(self) -> Published:
        """Messages published up to now."""
        self.control.publisher.deliver()
        return self.subscriber

    def energy(self, section: EnergySection) -> EnergyService:
        """Return another energy service of the site."""
        control = self.control
        control.site.policy = replace(control.site.policy, grid_forming=frozenset(section.forming))
        return EnergyService(
            control.site, control.registry, control.publisher, section, self.clock, meter=control.meter
        )

    def lending(
        self, coordinator: Coordinator, reports: Path | None, persistence: BlueSwitchPersistence | None = None
    ) -> VehicleLendingService:
        """Return a vehicle lending service of the site `home`."""
        control = self.control
        return VehicleLendingService(
            control.site,
            control.registry,
            control.publisher,
            self.energy_service,
            coordinator,
            "home",
            self.clock,
            reports,
            persistence,
        )

    async def send(self, evse: str | None, verb: str, id: str, **body: Any) -> Result:
        payload = json.dumps({"id": id, **body}).encode()
        return await self.service.submit(Submission(evse, verb, payload, Channel.MQTT))

    async def wait(self, seconds: float) -> None:
        await self.clock.sleep(seconds)

    def evse(self, evse: str) -> EvseControlState:
        """Return the control state of an EVSE."""
        state = self.control.registry.get(evse)
        assert state is not None
        return state

    def power(self, evse: str) -> float:
        """Return the power at which the EVSE runs, its watchdog included."""
        held = self.stations.evses[evse]
        return held.power_w if self.clock.now() < held.until else 0.0


@asynccontextmanager
async def service_rig(
    *evses: str,
    policy: SitePolicy = POLICY,
    store: Store | None = None,
    plugged: bool = True,
    energy: EnergySection = UNMANAGED,
    start: float = START,
    **settings: Any,
) -> AsyncIterator[ServiceRig]:
    """Run a service; every EVSE is at a station of its own, with a vehicle in session. `start`: Unix time of 0."""
    clock = VirtualClock(start)
    store = store or MemoryStore()
    await store.open()
    journal = Journal(store, clock)
    given = replace(ServiceSettings(replace(policy, grid_forming=frozenset(energy.forming))), **settings)

    def report(event: Event) -> None:
        service.report(event)

    stations = PlainStations(clock, report)
    backend = Backend(stations)
    control = ControlComponents.create(given, clock, journal)
    energy_service = EnergyService(
        control.site,
        control.registry,
        control.publisher,
        energy,
        clock,
        None,
        EnergyPersistence(journal),
        control.meter,
    )
    handlers: dict[InputKind, Callable[[AnyInput], None]] = {}
    service = GatewayService(given, clock, lambda _: backend, journal, control, energy_service, handlers)
    published = Published()
    service.subscribe(published)
    running = asyncio.create_task(service.run())
    metering = asyncio.create_task(stations.run())
    try:
        await service.ready.wait()
        for number, evse in enumerate(evses):
            stations.connect(evse.rpartition("-")[0], evse)
            if plugged:
                stations.plug(evse, f"tx{number}")
        await clock.sleep(0.5)
        yield ServiceRig(
            service, stations, published, clock, store, journal, control, energy_service, handlers, backend
        )
    finally:
        for task in (metering, running):
            task.cancel()
        await asyncio.gather(metering, running, return_exceptions=True)
        await store.close()
