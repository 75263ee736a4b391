"""Operation in an outage: load tiers, autonomy, rotation of vehicles, power in the island."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from gateway.authority.island_limits import ISLAND_MARGIN
from gateway.authority.soc_floors import METER_EFFICIENCY
from gateway.energy.forecast import LAST_SIGMA, DayProfile, Outlook
from gateway.energy.last_result import LastResult
from gateway.energy.reason import Decided
from gateway.energy.recharge_control import Recharging
from gateway.energy.resilience.autonomy import Hours, autonomy
from gateway.energy.resilience.collapse import CollapseWatch
from gateway.energy.resilience.drawn_power import drawn_w
from gateway.energy.resilience.island_balance import IslandShares, commanded_limits, fill_storage, share_island
from gateway.energy.resilience.phase import Phase
from gateway.energy.resilience.pv_curtailment import PvCurtailment
from gateway.energy.resilience.rotation import Rotation, RotationStep, called_away
from gateway.energy.resilience.tiers import Tiers
from gateway.energy.resource import Resource, free_capacity_wh, usable_wh
from gateway.energy.settings import SITE, EnergySection
from gateway.energy.state_messages import autonomy_state
from gateway.energy.view import View
from gateway.model.energy_state import AutonomyHours
from gateway.model.site import Arrival, Forecast, Load, Pv

EVERY_S = 60.0
OUTLOOK_STEP_S = 1800.0
OUTLOOK_STEPS = 96
LEAST_LOAD = 0.3  # of the tiers' expected power: a lower forecast would promise too many hours
TOO_MANY_COLLAPSES = 3  # collapses within the hour: an operator has to intervene
MARKS_H = (1.0, 2.0, 4.0, 8.0, 24.0)  # autonomy below each is reported


@dataclass(slots=True)
class OffGrid:
    """State of operation in an outage: tiers, rotation, autonomy of the last minute."""

    settings: EnergySection
    recharging: Recharging
    tiers: Tiers = field(init=False)
    rotation: Rotation = field(default_factory=Rotation)
    hours: dict[str, Hours] = field(default_factory=dict)
    rotation_step: RotationStep = field(default_factory=RotationStep)
    collapse: CollapseWatch = field(default_factory=CollapseWatch)
    curtailment: PvCurtailment = field(default_factory=PvCurtailment)
    _autonomy_state: Callable[[Mapping[str, Hours]], dict[str, AutonomyHours]] = field(init=False)
    _updated: float | None = None
    _lowest: float | None = None
    _forming: str | None = None
    _formed_at: float = -math.inf

    def __post_init__(self) -> None:
        self.tiers = Tiers(self.settings.tiers)
        self._autonomy_state = LastResult(autonomy_state)

    def due(self, now: float) -> bool:
        """Return whether a minute has passed since the last `look_ahead`."""
        return self._updated is None or now - self._updated >= EVERY_S

    def look_ahead(
        self,
        view: View,
        resources: Sequence[Resource],
        floors: Mapping[str, float],
        profile: DayProfile,
        forming: str | None,
        island: bool,
    ) -> list[Decided]:
        """Update the autonomy of each tier (on the grid: if it failed now), and the rotation in an island."""
        if not self.due(view.now):
            return []
        self._updated = view.now if resources else None  # without any: again in the next step
        try:
            start = view.wall - view.wall % OUTLOOK_STEP_S
            outlook = profile.outlook(start, OUTLOOK_STEP_S, OUTLOOK_STEPS, view.inputs.fresh(Forecast, view.now))
        except ValueError:
            outlook = None
        energy = sum(usable_wh(one, floors.get(one.name)) for one in resources)
        free = sum(free_capacity_wh(one) for one in resources)
        self.hours = self._autonomy(view, outlook, energy, free)
        if not island:
            self._lowest = None
            return []
        events = self._report(view)
        load = view.inputs.fresh(Load, view.now)
        pv = view.inputs.fresh(Pv, view.now)
        draw_w = (load.power_w if load is not None else self.tiers.expected_w) - (pv.power_w if pv is not None else 0.0)
        self.rotation_step = self.rotation.update(view.now, draw_w, resources, forming, view.called, view.due)
        return [*events, *self.rotation_step.events]

    def _autonomy(self, view: View, outlook: Outlook | None, energy_wh: float, free_wh: float) -> dict[str, Hours]:
        tiers = self.tiers.tiers
        total = sum(tier.expected_w for tier in tiers)
        if outlook is None:
            if total <= 0:
                return {}
            sigma = (LAST_SIGMA,)
            outlook = Outlook(OUTLOOK_STEP_S, (total,), (0.0,), sigma, sigma)
        coming = self._deliveries(view)
        if not tiers:
            return {SITE: autonomy(energy_wh, free_wh, 1.0, outlook, deliveries=coming)}
        outlook = replace(outlook, load_w=tuple(max(load, LEAST_LOAD * total) for load in outlook.load_w))
        found: dict[str, Hours] = {}
        so_far = 0.0
        for tier in tiers:
            so_far += tier.expected_w
            load_share = so_far / total if total else 0.0
            found[tier.name] = autonomy(energy_wh, free_wh, load_share, outlook, deliveries=coming)
        return found

    def _deliveries(self, view: View) -> list[tuple[float, float]]:
        """Return (h from now, Wh above the off-grid floor) of expected vehicles whose energy is known."""
        expected = view.inputs.fresh(Arrival, view.now)
        if expected is None:
            return []
        found = []
        for car in expected.arrivals:
            if car.at > view.wall and car.soc_pct is not None and car.capacity_wh is not None:
                above_pct = max(0.0, car.soc_pct - self.settings.off_grid_pct)
                above = above_pct / 100 * car.capacity_wh * METER_EFFICIENCY
                found.append(((car.at - view.wall) / 3600, above))
        return found

    def _report(self, view: View) -> list[Decided]:
        """Return an event each time the autonomy of the critical tiers falls below another mark."""
        if not self.hours:
            return []
        name = self.settings.autonomy_tier
        hours = self.hours[name]
        mark = next((mark for mark in MARKS_H if hours.low <= mark), None)
        if mark is None or (self._lowest is not None and mark >= self._lowest):
            return []
        self._lowest = mark
        text = f"{name} is supplied for {hours.low:.1f} to {hours.high:.1f} h, {hours.expected:.1f} h are expected."
        figures = (("hours_low", round(hours.low, 2)), ("hours_expected", round(hours.expected, 2)))
        return [Decided(view.now, "autonomy", text, name, figures)]

    def supplied_by(self, resources: Sequence[Resource]) -> bool:
        """Return whether these sources can form an island and supply its critical load now."""
        able = [one for one in resources if one.max_discharge_w > 0 and usable_wh(one) > 0]
        critical_w = sum(tier.expected_w for tier in self.tiers.tiers if tier.critical)
        most_w = sum(one.max_discharge_w for one in able) * (1 - ISLAND_MARGIN)
        return any(one.can_form for one in able) and critical_w <= most_w

    def measure(self, view: View, off: bool) -> None:
        """Measure what the load tiers draw; on the grid all of them are on."""
        load_w = drawn_w(view, self._forming if off else None, self._formed_at)
        if load_w is not None and (not off or not self.collapse.dark):
            self.collapse.draw(load_w, self.tiers.expected_w)

    def watch(self, view: View, phase: Phase, forming: str | None) -> list[Decided]:
        """Detect that the voltage of the island is gone, or back; return the event for the operator."""
        watch = self.collapse
        if forming != self._forming:
            self._forming, self._formed_at = forming, view.now
        if forming is None and not (watch.dark and phase is Phase.DARK):
            watch.reset()
            return []
        expected_w = self.tiers.expected_w if self.tiers.tiers else math.inf
        source = next((car for car in view.cars if car.evse == forming), None)
        supplied: tuple[float, ...] = ()
        if source is not None and source.power_w is not None and source.metered_at is not None:
            supplied = -source.power_w, source.metered_at
        load_w = drawn_w(view, forming, self._formed_at)
        change = watch.update(view.now, load_w, expected_w, *supplied)
        if change is True:
            return [Decided(view.now, "source_back", "The island has a voltage again.", forming or "")]
        return self._collapse_events(view.now, forming) if change is False else []

    def attempt_failed(self, now: float, source: str) -> list[Decided]:
        """Count an attempt after a collapse that brought no voltage back; return the event for the operator."""
        self.collapse.attempt_failed(now)
        return self._collapse_events(now, source)

    def _collapse_events(self, now: float, source: str | None) -> list[Decided]:
        watch = self.collapse
        if watch.count(now) < TOO_MANY_COLLAPSES:
            return []
        text = f"The island has collapsed {watch.count(now)} times within the hour: {source} cannot supply what is"
        text += f" connected, last {watch.last_w:.0f} W. Switch off by hand what is not needed, or plug in another"
        text += f" vehicle. The next attempt follows in {watch.pause_s(now):.0f} s."
        return [Decided(now, "island_cannot_hold", text, source or "", (("load_w", round(watch.last_w)),))]

    def step(self, view: View, resources: Sequence[Resource], forming: str) -> tuple[IslandShares, list[Decided]]:
        """Return the shares of one step in the island, and the changes of tiers."""
        load = view.inputs.fresh(Load, view.now)
        pv = view.inputs.fresh(Pv, view.now)
        pv_w = pv.power_w if pv is not None else 0.0
        held_names = {car.evse for car in view.cars if car.held} - {forming}
        held = [one for one in resources if one.name in held_names]
        held_w = sum(one.present_w for one in held)
        load_w = load.power_w if load is not None else self.tiers.expected_w
        supply_w = sum(one.max_discharge_w for one in resources) + pv_w
        hours = {name: one.low for name, one in self.hours.items()}
        unknown = any(one.soc_pct is None and one.max_discharge_w > 0 for one in resources)
        empty = not unknown and not any(usable_wh(one) > 0 for one in resources) and pv_w <= 0
        measured_w = drawn_w(view, forming, self._formed_at)
        factor = self.collapse.factor(view.now, trial=not any(self.tiers.on.values()))
        events = self.tiers.step(view.now, supply_w, measured_w, hours, empty, factor)
        net_w = load_w + held_w - pv_w
        free = [one for one in resources if one.name not in held_names]
        limits = commanded_limits(load_w - pv_w, free, held, forming)
        if net_w < 0:  # PV surplus: recharge targets come first
            free = self.recharging.hand_out(free, -net_w)
        fills = any(called_away(one, view.called) and usable_wh(one) > 0 for one in free)
        shares = (fill_storage if fills else share_island)(net_w, free, forming)
        by_source = {**shares.power_w, forming: shares.forming_w}
        evses_w = held_w + sum(by_source.get(car.evse, 0.0) for car in view.cars)
        absorbed_w = sum(one.max_charge_w for one in free) - held_w
        limit_w = self.curtailment.limit_w(pv_w, load_w, absorbed_w) if pv is not None else None
        return replace(shares, commanded=limits, evses_w=evses_w, pv_limit_w=limit_w), events

    def autonomy_state(self) -> dict[str, AutonomyHours]:
        """Return the autonomy per load tier as published in the site's state."""
        return self._autonomy_state(self.hours)
