"""Recording of a run: samples for the plots, events, and the figures that a scenario may constrain."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from emulators.ev.car import Car
from emulators.scenario.scenario import Scenario
from emulators.scenario.tables import Bound
from emulators.scenario.validation import STATUSES, is_counted
from emulators.site.balance import Balance, State
from emulators.site.facility import Facility
from emulators.site.site import Site
from emulators.world.parking_bay import ParkingBay
from emulators.world.safety import Safety, count_alarms
from gateway.model.energy_state import Phase

HOLDING_ZERO = frozenset({None, Phase.ON_GRID, Phase.SUSPECT, Phase.WAITING})  # phases in which no island is managed


@dataclass(frozen=True, slots=True)
class RecordedEvent:
    """One event of the run."""

    at: float  # s since the start of the scenario
    kind: str
    text: str


@dataclass(frozen=True, slots=True)
class PricePeriod:
    """Energy prices per kWh from `start` to `end` (Unix time)."""

    start: float
    end: float
    import_price: float
    export_price: float


@dataclass(slots=True)
class EnergyCost:
    """Cost of the energy exchanged with the grid, at the prices of the scenario."""

    periods: Sequence[PricePeriod] = ()
    total: float = 0.0

    @classmethod
    def of(cls, scenario: Scenario) -> EnergyCost:
        """Return the cost account for the last price input of a scenario."""
        inputs = [one.body.get("prices", ()) for one in scenario.input if one.kind == "price"]
        periods = []
        for row in inputs[-1] if inputs else ():
            start = datetime.fromisoformat(str(row["start"])).timestamp()
            prices = float(row["import_per_kwh"]), float(row.get("export_per_kwh", 0.0))
            periods.append(PricePeriod(start, start + float(row["duration_s"]), *prices))
        return cls(periods)

    def at(self, wall: float) -> PricePeriod | None:
        """Return the period of a time (Unix), None without prices."""
        return next((one for one in self.periods if one.start <= wall < one.end), None)

    def add(self, grid_w: float, wall: float, seconds: float) -> None:
        """Add the cost of a power that was exchanged for some seconds, + is import."""
        period = self.at(wall)
        if period is not None:
            self.total += grid_w * seconds / 3.6e6 * (period.import_price if grid_w > 0 else period.export_price)


@dataclass(slots=True)
class Recording:
    """Samples, events and counts of one site, filled while it runs."""

    site: Site
    cars: dict[str, Car]
    bays: dict[str, ParkingBay]
    facility: Facility
    safety: Safety
    start: float = 0.0  # wall time
    energy_cost: EnergyCost = field(default_factory=EnergyCost)
    times: list[float] = field(default_factory=list)
    power: dict[str, list[float]] = field(default_factory=dict)  # grid, pv, storage, cars, load; W
    soc: dict[str, list[float | None]] = field(default_factory=dict)  # by car; None while it is unplugged
    storage_soc: list[float] = field(default_factory=list)
    setpoints: dict[str, list[float]] = field(default_factory=dict)  # by EVSE, effective W
    bindings: dict[str, list[str]] = field(default_factory=dict)  # by EVSE: the limiting constraint
    events: list[RecordedEvent] = field(default_factory=list)
    soc_min_pct: float = 100.0
    fed_dead_grid_steps: int = 0  # steps with export into a failed grid after the trip time of the protection
    steps: int = 0
    held_zero_s: float = 0.0  # longest time without the grid in which the gateway managed no island
    _held_zero_s: float = 0.0
    _final: dict[str, float] | None = None  # figures at the end of the run
    _fed_wh: float = 0.0
    _additional: Callable[[], dict[str, float]] = dict

    def add_event(self, at: float, kind: str, text: str) -> None:
        """Record an event."""
        self.events.append(RecordedEvent(at, kind, text))

    def include(self, figures: Callable[[], dict[str, float]]) -> None:
        """Add the figures of other sites and of deployed vehicles to those of this one."""
        self._additional = figures

    def step(self, balance: Balance, wall: float = 0.0, seconds: float = 0.0) -> None:
        """Update energy cost, SoC extremes and safety counts after a step of the site."""
        self.steps += 1
        self.safety.step(balance, seconds)
        self.energy_cost.add(balance.grid_w, wall, seconds)
        if self.site.fed_dead_grid_wh > self._fed_wh:
            self._fed_wh, self.fed_dead_grid_steps = self.site.fed_dead_grid_wh, self.fed_dead_grid_steps + 1
        self._held_zero_s = self._held_zero_s + seconds if self._holds_zero(balance) else 0.0
        self.held_zero_s = max(self.held_zero_s, self._held_zero_s)
        for bay in self.bays.values():
            if bay.car is not None:
                self.soc_min_pct = min(self.soc_min_pct, bay.car.soc_pct)

    def _holds_zero(self, balance: Balance) -> bool:
        energy = self.facility.states.get("site", {}).get("energy") or {}
        return balance.state is not State.GRID and energy.get("phase") in HOLDING_ZERO

    def sample(self, at: float, balance: Balance) -> None:
        """Record one point of the plots."""
        self.times.append(at)
        for name, value in (
            ("grid", balance.grid_w),
            ("pv", balance.pv_w),
            ("storage", balance.storage_w),
            ("cars", balance.cars_w),
            ("load", balance.load_w),
            ("unserved", balance.demand_w - balance.load_w),
        ):
            self.power.setdefault(name, []).append(round(value, 1))
        plugged = {bay.car.name: bay.car for bay in self.bays.values() if bay.car is not None}
        for name in {**self.cars, **plugged, **self.soc}:  # also deployed vehicles, which are of no site
            earlier: list[float | None] = [None] * (len(self.times) - 1)
            soc = round(plugged[name].soc_pct, 2) if name in plugged else None
            self.soc.setdefault(name, earlier).append(soc)
        if self.site.storage:
            self.storage_soc.append(round(self.site.storage[0].soc_pct, 2))
        for evse in self.bays:
            state = self.facility.states.get(evse, {})
            self.setpoints.setdefault(evse, []).append(float(state.get("effective_w") or 0.0))
            self.bindings.setdefault(evse, []).append(str(state.get("binding") or ""))

    def close(self, now: float) -> None:
        """Fix the figures at the end of the run: the shutdown that follows has no deterministic order."""
        if self._final is None:
            for stage in self.site.stages():
                stage.advance(now)
            self._final = self.figures()

    def figures(self) -> dict[str, float]:
        """Return all figures that `expect` may constrain."""
        if self._final is not None:
            return self._final
        site, loads = self.site, self.site.loads
        discharged = sum(bay.stage.meter.true_discharged_wh for bay in self.bays.values())
        charged = sum(bay.stage.meter.true_charged_wh for bay in self.bays.values())
        statuses = [str(result.get("status")) for result in self.facility.results]
        figures: dict[str, float] = {
            "import_wh": site.import_wh,
            "export_wh": site.export_wh,
            "pv_wh": site.pv_wh,
            "pv_curtailed_wh": sum(array.curtailed_wh for array in site.pv),
            "pv_trips": float(sum(array.trips for array in site.pv)),
            "served_wh": loads.served_wh,
            "unserved_wh": loads.unserved_wh,
            "unserved_critical_wh": loads.unserved_critical_wh,
            "unserved_transfer_wh": loads.unserved_transfer_wh,
            "transfer_gap_s": site.transfer_gap_s + (site.board.gap_s if site.board is not None else 0.0),
            "dark_s": site.de_energised_s,
            "fed_dead_grid_wh": site.fed_dead_grid_wh,
            "fed_dead_grid_steps": float(self.fed_dead_grid_steps),
            "peak_demand_w": site.meter.peak_w,
            "cars_discharged_wh": discharged,
            "cars_charged_wh": charged,
            "floor_crossed_pct": self.safety.floor_crossed_pct,
            "over_limit_s": self.safety.over_limit_s,
            "alarms": float(count_alarms(self.facility.events, site.grid, self.start)),
            "held_zero_s": self.held_zero_s,
            "soc_min_pct": self.soc_min_pct,
            "car_violations": float(sum(len(car.violations) for car in self.cars.values())),
            "switch_operations": float(site.switch.operations),
            "autonomy_h": self.autonomy_h(),
            "energy_cost": self.energy_cost.total,
        }
        for status in STATUSES:
            figures[f"commands_{status}"] = float(statuses.count(status))
        for event in self.facility.events:
            kind = event.get("event")
            name = f"decided.{event.get('code')}" if kind == "decided" else f"event.{kind}"
            figures[name] = figures.get(name, 0.0) + 1.0
        figures["not_seen_on_meter"] = float(sum(_unordered(event) for event in self.facility.events))
        for name, car in self.cars.items():
            figures[f"car.{name}.soc_pct"] = car.soc_pct
            figures[f"car.{name}.discharged_wh"] = car.energy_out_wh
            figures[f"car.{name}.charged_wh"] = car.energy_in_wh
        for n, storage in enumerate(site.storage):
            figures[f"storage.{n}.soc_pct"] = storage.soc_pct
        figures |= self._additional()
        return {name: round(value, 3) for name, value in figures.items()}

    def autonomy_h(self) -> float:
        """Return how long the plugged-in cars could supply the present load before they reach their floors, hours."""
        above = sum(
            max(0.0, bay.car.pack.energy_between_wh(bay.car.v2x_min_soc_pct, bay.car.soc_pct))
            for bay in self.bays.values()
            if bay.car is not None
        )
        load = sum(tier.demand_w for tier in self.site.loads.tiers if tier.connected)
        return above * 0.93 / load if load > 0 else 0.0

    def violations(self, expect: dict[str, Bound]) -> list[str]:
        """Return the expectations that the figures violate, as sentences."""
        figures, found = self.figures(), []
        for name, bound in expect.items():
            value = figures.get(name, 0.0 if is_counted(name) else None)
            if value is None:
                found.append(f"there is no figure {name}")
            elif bound.min is not None and value < bound.min:
                found.append(f"{name} is {value:g}, expected at least {bound.min:g}")
            elif bound.max is not None and value > bound.max:
                found.append(f"{name} is {value:g}, expected at most {bound.max:g}")
        return found

    def event_rows(self) -> list[dict[str, str | float]]:
        """Return the events as rows of `result.json`."""
        return [{"at": round(one.at, 3), "what": one.kind, "text": one.text} for one in self.events]


def _unordered(event: dict[str, Any]) -> bool:
    """Return whether an event of the gateway reports power that it has not ordered."""
    reason = event.get("reason")
    return event.get("event") == "fault" and isinstance(reason, dict) and reason.get("code") == "not_seen_on_meter"
