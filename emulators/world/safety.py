"""Safety of a run, by the true values of the emulation: SoC floors, limits of the connection, alarms of the gateway."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from emulators.scenario.scenario import Scenario
from emulators.site.balance import Balance, State
from emulators.site.grid import Grid
from emulators.site.site import Site
from emulators.site.storage import Storage
from emulators.world.parking_bay import ParkingBay
from gateway.energy.settings import EnergySection

DISCHARGES_A = -0.5  # below it a battery discharges
TOLERANCE_W, TOLERANCE_SHARE = 50.0, 0.02  # of a limit: accuracy of meters
CONFIRM_S = 15.0  # a disturbance of the grid is reported up to so long after its end
ALARMS = frozenset(
    {
        "black_start_failed",
        "energy_failed",
        "floor_crossed",
        "forming_not_taken",
        "grid_input_contradicted",
        "interlock_tripped",
        "island_cannot_hold",
        "island_overloaded",
        "main_switch_not_closed",
        "main_switch_not_proven",
        "not_following",
        "source_lost",
        "switch_proof_contradicted",
    }
)  # decisions of the gateway that call for a person, or deny that something works
GRID_ALARMS = frozenset({"grid_lost", "grid_suspect", "holding_zero"})  # false while the grid is normal


@dataclass(frozen=True, slots=True)
class Requirements:
    """Limits that the gateway of a site has to keep. Floors in %, limits in W.

    `island_pct`: floor of vehicles in an island, `storage_pct` and `storage_island_pct`: of the storage.
    `storage_controlled`: the gateway sets the power of the storage, which otherwise is load or generation to it.
    """

    grid_pct: float = 0.0
    island_pct: float = 0.0
    storage_pct: float = 0.0
    storage_island_pct: float = 0.0
    import_w: float | None = None
    export_w: float | None = None
    storage_controlled: bool = True

    @classmethod
    def of(cls, scenario: Scenario, site: Site) -> Requirements:
        """Return the requirements of a scenario. An island that no gateway manages keeps the floor of its hardware."""
        gateway = scenario.gateway
        energy = EnergySection.model_validate(gateway.energy)
        own_pct = energy.storage.floor_pct if energy.storage.controlled else 0.0
        managed = energy.enabled and energy.island
        return cls(
            gateway.min_soc_pct,
            max(gateway.min_soc_pct, energy.off_grid_pct) if managed else site.spec.island_floor_pct,
            own_pct,
            max(own_pct, energy.off_grid_pct) if managed and energy.storage.controlled else site.spec.island_floor_pct,
            gateway.import_limit_w,
            gateway.export_limit_w,
            energy.storage.controlled,
        )


@dataclass(slots=True)
class Safety:
    """Extremes since the start of a run, updated each step of the site.

    `agreed_pct`: floors of deployed vehicles by name. `floor_crossed_pct`: how far a battery was discharged below its
    floor. `over_limit_s`: longest time for which charge or discharge took the connection beyond a limit.
    """

    site: Site
    bays: Mapping[str, ParkingBay]
    required: Requirements = field(default_factory=Requirements)
    agreed_pct: dict[str, float] = field(default_factory=dict)
    floor_crossed_pct: float = 0.0
    over_limit_s: float = 0.0
    _over_s: float = 0.0
    _before: State | None = None  # state of the last step

    def step(self, balance: Balance, seconds: float) -> None:
        """Update after a step of the site."""
        on_grid = balance.state is State.GRID
        for bay in self.bays.values():
            car = bay.car
            if car is not None and car.contactors_closed and bay.stage.current_a < DISCHARGES_A:
                floor = self.required.grid_pct if on_grid else self.required.island_pct
                floor = max(floor, car.v2x_min_soc_pct, self.agreed_pct.get(car.name, 0.0))
                self.floor_crossed_pct = max(self.floor_crossed_pct, floor - car.soc_pct)
        for storage in self.site.storage:
            if storage.stage.current_a < DISCHARGES_A:
                self.floor_crossed_pct = max(
                    self.floor_crossed_pct, self._floor(storage, balance.state) - storage.soc_pct
                )
        self._before = balance.state
        self._over_s = self._over_s + seconds if on_grid and self._over_limit(balance) else 0.0
        self.over_limit_s = max(self.over_limit_s, self._over_s)

    def _floor(self, storage: Storage, state: State) -> float:
        """Return the floor of a storage: by its hardware alone where it supplies the protected board by itself, because
        it is kept full for that or because the site has no other supply, now or at the begin of the step."""
        hardware_pct = self.site.spec.island_floor_pct
        if State.DE_ENERGISED in (state, self._before):
            return hardware_pct
        if state is State.GRID:
            return max(storage.floor_pct, self.required.storage_pct)
        standby = storage.policy == "standby"
        return hardware_pct if standby else max(hardware_pct, self.required.storage_island_pct)

    def _over_limit(self, balance: Balance) -> bool:
        """Return whether controlled batteries, not the load alone, take the connection beyond a limit."""
        batteries_w = balance.cars_w + (balance.storage_w if self.required.storage_controlled else 0.0)
        found = (
            (self.required.import_w, balance.grid_w, batteries_w),
            (self.required.export_w, -balance.grid_w, -batteries_w),
        )
        return any(
            limit_w is not None and min(flow_w - limit_w, caused_w) > max(TOLERANCE_W, TOLERANCE_SHARE * limit_w)
            for limit_w, flow_w, caused_w in found
        )


def count_alarms(events: Iterable[Mapping[str, Any]], grid: Grid, start: float) -> int:
    """Return how many events of the gateway call for a person, or report a disturbance of a grid that is normal.

    `start`: wall time of the start of the run.
    """
    return sum(
        event.get("code") in ALARMS or (event.get("code") in GRID_ALARMS and _normal(grid, event, start))
        for event in events
        if event.get("event") == "decided"
    )


def _normal(grid: Grid, event: Mapping[str, Any], start: float) -> bool:
    """Return whether no disturbance of the grid was active shortly before an event."""
    at = datetime.fromisoformat(str(event["ts"])).timestamp() - start
    return not any(one.at <= at and at - CONFIRM_S < one.at + one.duration_s for one in grid.events)
