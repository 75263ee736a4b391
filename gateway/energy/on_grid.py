"""One step on the grid: meters, headroom of the connection, target of the mode, ramp, shares.

`OnGrid.step` is a pipeline of values; what must be remembered between steps are the fields of `OnGrid`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from gateway.authority.demand_window import DemandWindow, advance, corrected, correction_due, open_window
from gateway.authority.island_limits import return_bound
from gateway.authority.meter_model import MeterModel
from gateway.authority.ramp import Ramp, walk
from gateway.authority.site_limits import Base, Headroom, SiteLimits, allowed_grid_w, headroom, window_limit_w
from gateway.energy.billing import BilledPeak
from gateway.energy.dispatch import Fleet, Shares, share_fleet
from gateway.energy.last_result import LastResult
from gateway.energy.modes import MODES
from gateway.energy.modes.mode import Mode, Situation, Target, TargetCode
from gateway.energy.plan_shares import share_as_planned
from gateway.energy.planning.assembly import tariff_from
from gateway.energy.planning.problem import Plan
from gateway.energy.price import Tariff
from gateway.energy.reason import Decided, LimitBinds
from gateway.energy.recharge_control import Recharging
from gateway.energy.resource import STORAGE, Resource
from gateway.energy.resources import STORAGE_SAME_W
from gateway.energy.settings import EnergySection
from gateway.energy.tracking_supervision import TrackingSupervision
from gateway.energy.view import View
from gateway.model.command import SiteMode
from gateway.model.energy_state import PlanSource
from gateway.model.reason import Code
from gateway.model.site import Grid, InputKind, Load, Meter, Price, Pv, Storage
from protocols.quantities import clamp

AT_REST = (0.0,)
METER_KINDS = (InputKind.GRID, InputKind.LOAD)
PLAN_LIFE = 3  # a plan that has not been renewed for so many planning intervals is no longer used
SETTLED_W = 100.0  # a site is handed over to the EVSEs' own commands below this power
NEAR_W = 200.0  # a limit is reported when it binds by more than this


@dataclass(frozen=True, slots=True)
class GridStep:
    """Result of one step on the grid. `shares` None: manual, each EVSE follows its own commands.

    `shares` may cover some resources only: in manual those that are recharged after an outage.
    """

    target: Target
    headroom: Headroom
    target_w: float
    base_w: float | None
    shares: Shares | None
    events: tuple[Decided, ...] = ()


@dataclass(slots=True)
class OnGrid:
    """State of operation on the grid: modes, demand window, base load, ramp, plan."""

    settings: EnergySection
    recharging: Recharging
    meter_model: MeterModel
    tracking: TrackingSupervision = field(default_factory=TrackingSupervision)
    ramp: Ramp | None = None
    window: DemandWindow | None = None
    billed: BilledPeak = field(init=False)  # highest demand window of the billing period
    plan: Plan | None = None
    arrived: bool = True  # the ramp has reached its target
    free_w: float = float("inf")  # left by the connection for charging in the last step
    _tariff: Callable[[Price | None, EnergySection], Tariff] = field(init=False)
    _mode: tuple[SiteMode, Mode] | None = None  # in force
    _code: TargetCode | None = None
    _binding: tuple[Code | None, bool] = (None, False)  # the limit reported last, and whether it is by command
    _shaving: bool = False
    _handed_over: bool = False  # each EVSE followed its own commands in the last step
    _held: Sequence[str] = ()
    _storage_w: float | None = None  # set-point of the storage in the last step
    _present: set[str] = field(default_factory=set)  # EVSEs whose vehicles were there in the last step

    def __post_init__(self) -> None:
        self._tariff = LastResult(tariff_from)
        self.billed = BilledPeak(self.settings.billing_period, self.settings.zone())

    def step(self, view: View, resources: Sequence[Resource], limit_share: float) -> GridStep:
        """Return the result of one step; `limit_share` (0 to 1) is the share of all power after an outage."""
        controlled_w = sum(one.present_w for one in resources)
        grid_w, base = self.site_w(view, resources)
        base_w = base.power_w
        events = self.meter(view, grid_w)
        returning = resources if limit_share >= 1.0 else [_returning(one, limit_share) for one in resources]
        counted, deviations = self.tracking.update(returning, view.now)
        fleet = Fleet(counted, view.wall)
        left = self._delay_shaving(self._headroom(view, base), fleet)
        self.free_w = left.high_w
        target = self._target_of_mode(view, fleet, base_w, left)
        fleet = self._with_recharge(target, fleet, left, view.wall)
        by_command = target.power_w is None
        target = self._at_rest_first(target)
        changes = self._changes(view, target, left, by_command)
        if by_command:  # limits only forbid then
            left = replace(left, low_w=min(left.low_w, 0.0), high_w=max(left.high_w, 0.0))
        self.arrived, self._handed_over = True, target.power_w is None
        if target.power_w is None:
            handed_out = [] if view.at_rest else [one for one in fleet.resources if one.must_w > 0]
            if not handed_out:
                self.ramp = None
                return GridStep(target, left, controlled_w, base_w, None, (*events, *deviations, *changes))
            fleet = Fleet(handed_out, view.wall)
            target = Target(0.0, TargetCode.RECHARGE, "Energy discharged in the outage is recharged.")
            controlled_w = sum(one.present_w for one in fleet.resources)
        target_w = self._ramped(view, _goal_w(target, fleet, left), left, controlled_w)
        shares = self._shares(target_w, fleet, view, by_plan=target.by_plan)
        shares = _without_small_steps(shares, fleet.resources, left)
        self.ordered(view, shares.power_w)
        return GridStep(target, left, target_w, base_w, shares, (*events, *deviations, *changes))

    def use_plan(self, plan: Plan | None) -> None:
        """Follow another plan; None: rules."""
        self.plan = plan

    def stop(self) -> None:
        """Begin at rest again: no power flows on the grid now."""
        self.ramp = None

    def restore(self, window: DemandWindow | None, peak_w: float, peak_seen: float) -> None:
        """Restore the demand window and the highest average of an earlier run; before the first step."""
        self.window = window
        self.billed.restore(peak_w, peak_seen)

    # meters and limits ------------------------------------------------------------------------------------------------

    @property
    def metered_base_w(self) -> float | None:
        """Return the base load by the grid meter, vehicles under commands of their own included."""
        found = self.meter_model.base_load(self._held)
        return found.power_w if found is not None else None

    def site_w(self, view: View, resources: Sequence[Resource]) -> tuple[float | None, Base]:
        """Return the grid power and the base load without the resources, None where meters are stale or absent."""
        self._record(view, resources)
        grid = view.inputs.fresh(Grid, view.now)
        if grid is not None and grid.power_w is not None:
            age_s, allowed = view.wall - grid.ts, allowed_grid_w(self._limits(view))
            self.meter_model.metered(view.now, grid.ts, age_s, grid.power_w, view.connection_w, allowed)
            if (seen := self.meter_model.base_load(self._held)) is not None:
                return grid.power_w, Base(seen.power_w, "", seen.power_w - seen.low_w, seen.high_w - seen.power_w)
        load, pv = view.inputs.fresh(Load, view.now), view.inputs.fresh(Pv, view.now)
        storage = view.inputs.fresh(Storage, view.now)
        if load is None:
            return None, Base(None)
        base_w = load.power_w - (pv.power_w if pv is not None else 0.0)
        base_w += sum(car.power_w or 0.0 for car in view.cars if car.held)
        if storage is not None and not self.settings.storage.controlled:
            base_w += storage.power_w
        return base_w + sum(one.present_w for one in resources), Base(base_w)

    def _record(self, view: View, resources: Sequence[Resource]) -> None:
        """Record the power of all that is controlled for the model of the meter."""
        history = self.meter_model.history
        self._held = [car.evse for car in view.cars if car.held]
        present = {car.evse for car in view.cars}
        for name in self._present - present:  # it has left, perhaps while power flowed
            history.record(name, view.now, AT_REST)
        self._present = present
        for car in view.cars:
            history.record(car.evse, view.now, car.flowing_w or (car.present_w,))
        storage = next((one for one in resources if one.name == STORAGE), None)
        history.record(STORAGE, view.now, AT_REST if storage is None else storage.flowing_w or (storage.present_w,))
        self._storage_w = None if storage is None else storage.setpoint_w

    def ordered(self, view: View, powers_w: Mapping[str, float]) -> None:
        """Record the orders of this step, except of vehicles whose power is recorded with the orders sent.

        A storage that has its set-point already is on the way recorded, or rests at the power measured.
        """
        followed = {car.evse for car in view.cars if car.flowing_w is not None}
        for name, power_w in powers_w.items():
            if name not in followed and (name != STORAGE or power_w != self._storage_w):
                self.meter_model.history.order(name, view.now, power_w)

    def meter(self, view: View, grid_w: float | None) -> list[Decided]:
        """Advance the demand window by the grid power or the utility's meter; return windows above the contract."""
        contract_w = self.settings.contract_w
        limit_w = contract_w if contract_w is not None else view.import_w or 0.0
        if self.window is None:
            window = open_window(view.wall, self.settings.window_s)
            self.window = replace(window, at=window.start, power_w=limit_w)  # the energy drawn so far is unknown
        self.window, done = advance(self.window, view.wall, grid_w, limit_w)
        reading = view.inputs.fresh(Meter, view.now)
        if reading is not None and reading.window_start <= view.wall < reading.window_start + reading.window_s:
            since_s = max(0.0, view.wall - reading.ts)
            energy = reading.energy_wh + max(0.0, self.window.power_w) * since_s / 3600
            self.window = replace(self.window, length_s=reading.window_s)
            left_s = reading.window_start + reading.window_s - view.wall
            self.window = corrected(self.window, view.wall, energy, left_s)
        if done is None:
            return []
        self.billed.count(done)
        if contract_w is None or done.average_w <= contract_w:
            return []
        text = f"The demand window ended at {done.average_w:.0f} W, above the contract of {contract_w:.0f} W."
        return [Decided(view.now, "contract_exceeded", text, figures=(("average_w", round(done.average_w)),))]

    def _headroom(self, view: View, base: Base) -> Headroom:
        measured = any(kind in view.inputs.readings for kind in METER_KINDS)
        limits = self._limits(view)
        return headroom(limits, base, measured, window_limit_w(limits, self.window, view.wall))

    def _limits(self, view: View) -> SiteLimits:
        return self.settings.site_limits(view.import_w, view.export_w, view.peak_w)

    def _delay_shaving(self, left: Headroom, fleet: Fleet) -> Headroom:
        """Return the headroom, 0 W while the demand window can be corrected later; a fuse allows no delay."""
        needed_w = -left.high_w if left.high_code is Code.DEMAND_WINDOW else 0.0
        self._shaving = correction_due(needed_w, fleet.able_w - fleet.must_w, self._shaving)
        return left if self._shaving or needed_w <= 0 else left.without_correction()

    # target -----------------------------------------------------------------------------------------------------------

    def _target_of_mode(self, view: View, fleet: Fleet, base_w: float | None, left: Headroom) -> Target:
        if view.at_rest:
            self._mode = self.ramp = None
            return Target(None, TargetCode.MANUAL, "After an emergency stop power flows by commands only.")
        planned_w = planned_grid_w = None
        plan = self.plan
        fresh = plan is not None and view.wall - plan.wall < PLAN_LIFE * self.settings.plan_every_s
        if (
            plan is not None
            and fresh
            and plan.source is PlanSource.OPTIMUM
            and (step := plan.step_at(view.wall)) is not None
        ):
            planned_w, planned_grid_w = plan.power_w[step], plan.grid_w[step]
        tariff = self._tariff(view.inputs.fresh(Price, view.now), self.settings)
        situation = Situation(
            view.now, view.wall, base_w, fleet.resources, left.high_w, planned_w, planned_grid_w, tariff, left.low_w
        )
        if self._mode is None or self._mode[0] is not view.mode:
            self._mode = view.mode, MODES[view.mode]()
        return self._mode[1].target(situation)

    def _with_recharge(self, target: Target, fleet: Fleet, left: Headroom, wall: float) -> Fleet:
        """Return the fleet with the recharge after an outage; a command or a plan has decided about it already."""
        if not target.soft or not self.recharging.targets:
            return fleet
        others = [one for one in fleet.resources if one.name not in self.recharging.targets]
        leaving_w = Fleet(others, wall).must_w
        return Fleet(self.recharging.hand_out(fleet.resources, left.high_w - leaving_w), wall)

    def _at_rest_first(self, target: Target) -> Target:
        """Return a target of 0 W before the site is handed over to the EVSEs' own commands, so that nothing jumps."""
        at_rest = self._handed_over or self.ramp is None or abs(self.ramp.power_w) <= SETTLED_W
        return target if target.power_w is not None or at_rest else replace(target, power_w=0.0)

    def _ramped(self, view: View, goal_w: float, left: Headroom, start_w: float) -> float:
        before = self.ramp or Ramp(start_w, view.now)
        earliest = view.now - self.settings.step_s
        if before.at < earliest:  # a pause is not made up for
            before = Ramp(before.power_w, earliest)
        self.ramp = walk(before, goal_w, view.now, view.ramp_w_per_s, left.low_w, left.high_w)
        self.arrived = self.ramp.power_w == clamp(goal_w, left.low_w, left.high_w)
        return self.ramp.power_w

    # shares and events ------------------------------------------------------------------------------------------------

    def _shares(self, target_w: float, fleet: Fleet, view: View, *, by_plan: bool) -> Shares:
        """Return shares of the target: under a plan those of the plan, else first among the resources that it runs.

        So a vehicle that the plan keeps for its driver is not discharged for a load that the plan does not contain.
        """
        step = self.plan.step_at(view.wall) if self.plan is not None and by_plan else None
        if self.plan is not None and step is not None:
            planned = {name: series[step] for name, series in self.plan.visit_w.items()}
            shares = share_as_planned(target_w, fleet, planned, view.wall)
            if shares is not None:
                return shares
        return share_fleet(target_w, fleet)

    def _changes(self, view: View, target: Target, left: Headroom, by_command: bool) -> list[Decided]:
        """Return an event when the reason changes, and when a limit of the connection begins to bind.

        `by_command`: EVSEs follow their own commands, so that nothing is discharged or charged for a limit.
        """
        events = []
        if target.code != self._code:
            self._code = target.code
            events.append(Decided(view.now, target.code, f"{view.mode.value}: {target.text}"))
        target_w = target.power_w or 0.0
        binding, edge_w = None, left.low_w
        if target_w > left.high_w + NEAR_W:
            binding, edge_w = left.high_code, left.high_w
        elif target_w < left.low_w - NEAR_W:
            binding = left.low_code
        if (binding, by_command) != self._binding:
            self._binding = (binding, by_command)
            if binding is not None:
                text = f"The {binding.replace('_', ' ')} leaves {edge_w:.0f} W of a target of {target_w:.0f} W."
                if by_command:
                    text += " No vehicle supports the site for it without a command."
                events.append(Decided(view.now, LimitBinds(f"bound_by_{binding.value}"), text))
        return events


def _without_small_steps(shares: Shares, resources: Sequence[Resource], left: Headroom) -> Shares:
    """Return the shares with the set-point of the storage as it is, where the limits allow it and it hardly differs."""
    held_w = next((one.setpoint_w for one in resources if one.name == STORAGE), 0.0)
    change_w = held_w - shares.power_w.get(STORAGE, 0.0)
    total_w = shares.total_w + change_w
    resting = not held_w or not shares.power_w[STORAGE]  # 0 W is an order to rest
    if resting or abs(change_w) >= STORAGE_SAME_W or not left.low_w <= total_w <= left.high_w:
        return shares
    return Shares({**shares.power_w, STORAGE: held_w}, total_w, shares.short_w - change_w)


def _goal_w(target: Target, fleet: Fleet, left: Headroom) -> float:
    """Return where the ramp goes: the target, what vehicles that leave soon must charge, the limits of all."""
    goal_w = target.power_w or 0.0
    if target.soft:
        goal_w = max(goal_w, clamp(goal_w, -fleet.able_w, 0.0) + fleet.must_w)
    low_w = max(left.low_w, -sum(one.max_discharge_w for one in fleet.resources))
    high_w = min(left.high_w, sum(one.max_charge_w for one in fleet.resources))
    return clamp(goal_w, low_w, high_w)


def _returning(one: Resource, share: float) -> Resource:
    """Return a resource with what the ramp after an outage leaves of its power."""
    bound = return_bound(one.max_charge_w, one.max_discharge_w, share)
    return one if bound is None else replace(one, max_charge_w=bound.high_w, max_discharge_w=-bound.low_w)
