"""Injection points: the links, broker, chargers, vehicles, clocks and switches of a world that faults act on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Protocol

from emulators.charger.hardware.power_stage import PowerStage
from emulators.ev.car import Car
from emulators.faults.fault import Fault
from emulators.faults.tampering import Tampering, chain
from emulators.runtime.can_link import CanLink
from emulators.runtime.clock import SkewedClock
from emulators.runtime.memory_broker import Tamper
from emulators.runtime.transports import Link
from emulators.site.site import Site
from protocols.ports import Clock


class FaultableBroker(Protocol):
    """A broker that faults can act on: the one in memory supports all of them, a real one behind a relay fewer."""

    tamper: Tamper | None

    def cut(self, client_id: str) -> None:
        """Drop the connection of a client without a DISCONNECT."""

    def stop(self, *, forget: bool = False) -> None:
        """Stop the broker; `forget` discards sessions and retained messages."""

    def start(self) -> None:
        """Start the broker again."""

    def freeze(self) -> None:
        """Stop processing while connections stay open."""

    def thaw(self) -> None:
        """Resume processing."""


@dataclass(slots=True)
class InjectionPoints:
    """Everything in a world that faults can act on, by name. Links are the present ones: a reconnection replaces its
    entry."""

    clock: Clock
    text_links: dict[str, Link[str]] = field(default_factory=dict)  # OCPP, by station
    byte_links: dict[str, Link[bytes]] = field(default_factory=dict)  # ISO 15118, by EVSE
    broker: FaultableBroker | None = None
    stages: dict[str, PowerStage] = field(default_factory=dict)  # by EVSE
    cars: dict[str, Car] = field(default_factory=dict)  # by name
    clocks: dict[str, SkewedClock] = field(default_factory=dict)  # by station, and "gateway"
    site: Site | None = None
    muted_inputs: set[str] = field(default_factory=set)  # kinds that the facility no longer publishes
    restarts: dict[str, Callable[[], Awaitable[None]]] = field(default_factory=dict)  # by station, and "gateway"
    modems: dict[str, Callable[[], Awaitable[None]]] = field(default_factory=dict)  # resets, by station
    seed: int | str = 0
    device_links: dict[str, Link[bytes]] = field(default_factory=dict)  # Modbus, by EVSE
    devices: set[str] = field(default_factory=set)  # EVSEs over Modbus
    injections: dict[str, Callable[[Link[bytes]], Tampering]] = field(default_factory=dict)  # by EVSE
    tamperings: dict[str, list[tuple[Fault, Tampering]]] = field(default_factory=dict)  # active ones, by link
    active: Counter[tuple[str, str]] = field(default_factory=Counter)  # faults not yet ended, by kind and target
    _injected: dict[str, list[Tampering]] = field(default_factory=dict)  # into the present link, by EVSE
    original_quirks: dict[tuple[str, str], object] = field(default_factory=dict)  # of vehicles, before their faults
    can_links: dict[str, CanLink] = field(default_factory=dict)  # CHAdeMO, by EVSE

    def add_process(self, name: str, clock: SkewedClock, restart: Callable[[], Awaitable[None]]) -> None:
        """Add a station or the gateway, with its clock and the function that restarts it."""
        self.clocks[name], self.restarts[name] = clock, restart

    def attach_station(self, station: str, link: Link[str]) -> None:
        """Register the new OCPP link of a station; active faults of that link apply to it."""
        self.text_links[station] = link
        link.tamper = chain([tampering for _, tampering in self.tamperings.get(f"ocpp:{station}", ())])

    def attach_device(self, evse: str, link: Link[bytes]) -> None:
        """Register the new Modbus link of an EVSE; active faults of that link apply to it."""
        self.device_links[evse] = link
        link.tamper = chain([tampering for _, tampering in self.tamperings.get(f"modbus:{evse}", ())])

    def attach_vehicle(self, evse: str, link: Link[bytes]) -> None:
        """Register the new ISO 15118 link at an EVSE; active faults of that link apply to it."""
        self.byte_links[evse] = link
        self._injected[evse] = [self.injections[evse](link)] if evse in self.injections else []
        link.tamper = self.vehicle_tampering(evse)

    def attach_can(self, evse: str, link: CanLink) -> None:
        """Register the new CHAdeMO link at an EVSE; active faults of that link apply to it."""
        self.can_links[evse] = link
        link.tamper = chain([tampering for _, tampering in self.tamperings.get(f"chademo:{evse}", ())])

    def impairs_can(self, evse: str) -> bool:
        """Return whether a fault acts on the frames between a vehicle and its charger."""
        link = self.can_links.get(evse)
        return link is not None and (link.tamper is not None or bool(link.silent) or link.broken)

    def vehicle_tampering(self, evse: str) -> Tampering | None:
        """Return what acts on the present ISO 15118 link of an EVSE: its injections, then its faults."""
        faults = [tampering for _, tampering in self.tamperings.get(f"iso15118:{evse}", ())]
        return chain([*self._injected.get(evse, ()), *faults])

    def impairs_vehicle_link(self, evse: str) -> bool:
        """Return whether a fault acts on the messages between a vehicle and its charger."""
        link = self.byte_links.get(evse)
        return link is not None and (link.tamper is not None or bool(link.silent))
