"""Electrical side of a small site around a `ServiceRig`: load, main switch, a grid-forming car that follows the load.

Each second: physics from the present orders, then the facility's inputs, then one step of the energy service.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar

from emulators.runtime.clock import VirtualClock
from gateway.bench.plain_station import PlainStations
from gateway.energy.service import EnergyService
from gateway.model.energy_state import MainSwitch
from gateway.model.message import rfc3339
from gateway.service import GatewayService

RESTART_S = 5  # after a collapse, by the inverter itself


R = TypeVar("R", bound="PlantRig")


class PlantRig(Protocol):
    """A service of one site with plain stations."""

    stations: PlainStations
    clock: VirtualClock

    @property
    def service(self) -> GatewayService: ...
    @property
    def energy_service(self) -> EnergyService: ...

    async def wait(self, seconds: float) -> None: ...
    def power(self, evse: str) -> float: ...


@dataclass
class IslandPlant(Generic[R]):
    """The plant of one site. `limit_w`: what a grid-forming source can supply; above it the island collapses.

    `steps`: the energy service does not run by itself.
    """

    rig: R
    load_w: float = 2000.0
    limit_w: float = 10_000.0
    present: bool = True
    tier_w: dict[str, float] = field(default_factory=dict)  # draw behind each contactor, besides `load_w`
    collapses: list[int] = field(default_factory=list)
    silent: set[str] = field(default_factory=set)  # inputs that the facility does not send
    open: bool = False
    trips: bool = False  # the main switch opens by itself without a grid
    seconds: int = 0
    formed_at: int | None = None
    dark_since_formed_s: int = 0
    lit: bool = True
    steps: bool = True

    @property
    def served_w(self) -> float:
        """Draw of what is connected, as the load tiers are ordered."""
        state = self.rig.energy_service.state
        on = state.tiers if state is not None else {}
        return self.load_w + sum(watts for name, watts in self.tier_w.items() if on.get(name, True))

    def input(self, kind: str, **body: Any) -> None:
        if kind in self.silent:
            return
        payload = json.dumps({"ts": rfc3339(self.rig.clock.wall()), **body}).encode()
        reason = self.rig.service.input(kind, payload)
        assert reason is None, reason

    async def live(self, seconds: int) -> None:
        """Advance by whole seconds."""
        for _ in range(seconds):
            self._physics()
            self._inputs()
            if self.steps:
                self.rig.energy_service.step()
            await self.rig.wait(1.0)
            self.seconds += 1

    def _physics(self) -> None:
        rig = self.rig
        state = rig.energy_service.state
        if state is not None and state.main_switch is not None:
            self.open = state.main_switch is MainSwitch.OPEN or (self.trips and not self.present)
        forming = rig.energy_service.forming if self.open else None
        self.lit = self.present and not self.open
        if forming is not None:
            others_w = sum(rig.power(name) for name in rig.stations.evses if name != forming)
            needed_w = self.served_w + others_w
            waiting = bool(self.collapses) and self.seconds - self.collapses[-1] < RESTART_S
            self.lit = not waiting and needed_w <= self.limit_w + 1.0
            if not self.lit and not waiting:  # the inverter switches off, and starts again by itself
                self.collapses.append(self.seconds)
            source = rig.stations.evses[forming]
            rig.stations._advance(source, rig.clock.now())
            source.power_w, source.until = (-needed_w if self.lit else 0.0), math.inf
            if self.lit and self.formed_at is None:
                self.formed_at = self.seconds
        if self.formed_at is not None and not self.lit:
            self.dark_since_formed_s += 1

    def _inputs(self) -> None:
        cars_w = sum(self.rig.power(name) for name in self.rig.stations.evses)
        self.input("switch", open=self.open)
        self.input("load", power_w=self.served_w if self.lit else 0.0)
        grid_w = self.served_w + cars_w if self.present and not self.open else 0.0
        self.input("grid", present=self.present, power_w=grid_w)
