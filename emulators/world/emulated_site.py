"""Emulated site: the parts of one site around the gateway, joined by a network, and the recording of its events."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from emulators.charger.hardware.shared_supply import Supply
from emulators.charger.station.station import Station
from emulators.ev.car import Car
from emulators.faults.fault import Fault
from emulators.faults.injection_points import InjectionPoints
from emulators.runtime.candump import CanRecording
from emulators.runtime.clock import VirtualClock
from emulators.runtime.pcap import Capture
from emulators.runtime.transcript import Transcript
from emulators.scenario.scenario import Scenario
from emulators.site.facility import Facility
from emulators.site.site import Site
from emulators.world.builders.site import build_site
from emulators.world.network import Network
from emulators.world.parking_bay import ParkingBay
from emulators.world.recording import EnergyCost, Recording
from emulators.world.safety import Requirements, Safety


@dataclass
class EmulatedSite:
    """Stations, parking bays, cars, site and facility of one scenario. Tests may act on any of them at any time."""

    scenario: Scenario
    seed: int
    clock: VirtualClock
    transcript: Transcript
    network: Network
    fast_forward: bool = False  # skip charge loops that only repeat the one before
    tls: bool = False  # between car and charger
    stations: dict[str, Station] = field(default_factory=dict)
    bays: dict[str, ParkingBay] = field(default_factory=dict)  # by EVSE
    cars: dict[str, Car] = field(default_factory=dict)
    supplies: list[Supply] = field(default_factory=list)  # fuses shared by several EVSEs
    tasks: set[asyncio.Task[None]] = field(default_factory=set)  # started by tests and faults; cancelled at the end
    site: Site = field(init=False)
    injection_points: InjectionPoints = field(init=False)
    facility: Facility = field(init=False)
    recording: Recording = field(init=False)

    def __post_init__(self) -> None:
        scenario = self.scenario
        self.site = build_site(scenario, self.seed, self.record_event)
        self.injection_points = InjectionPoints(self.clock, broker=self.network.broker, site=self.site, seed=self.seed)
        self.facility = Facility(
            scenario.gateway.site,
            self.network.facility,
            self.clock,
            self.site,
            sense_every_s=scenario.step,
            muted_inputs=self.injection_points.muted_inputs,
            pv_by_gateway=scenario.site.pv_over_modbus,
        )
        self.assigned_evses = dict(scenario.cars())  # by car
        safety = Safety(self.site, self.bays, Requirements.of(scenario, self.site))
        start = scenario.start.timestamp()
        self.recording = Recording(
            self.site, self.cars, self.bays, self.facility, safety, start, EnergyCost.of(scenario)
        )

    @property
    def captures(self) -> dict[str, Capture | CanRecording]:
        """Captures of the sessions of each EVSE, with a transcript."""
        found = {evse: bay.recorded for evse, bay in self.bays.items()}
        return {evse: capture for evse, capture in found.items() if capture is not None}

    def add_bay(self, bay: ParkingBay) -> None:
        """Add a parking bay with its power stage."""
        self.bays[bay.evse] = bay
        self.site.cars[bay.evse] = self.injection_points.stages[bay.evse] = bay.stage

    def add_car(self, car: Car) -> None:
        """Add a car, which is not plugged in."""
        self.cars[car.name] = self.injection_points.cars[car.name] = car

    def record_event(self, kind: str, text: str) -> None:
        """Add an event to the recording and to the transcript."""
        self.recording.add_event(self.clock.now(), kind, text)
        self.transcript.add(self.clock.now(), "world", kind, text)

    def record_fault(self, status: str, fault: Fault) -> None:
        """Record that a fault "begins", "ends" or was "missed", and exchange the next charge loop in full."""
        self.wake()
        self.record_event("fault", f"{fault.kind} {fault.target} {status}".replace("  ", " "))

    def wake(self) -> None:
        """End the skipping of charge loops: the state of the world was changed from outside."""
        for bay in self.bays.values():
            bay.wake()
