"""The site controller: one step each second, from a view to orders. Pure; the energy service applies the orders.

    controller = SiteController(settings)
    orders = controller.step(view)                     # each second: the real-time loop
    problem = controller.problem(view)                 # when `plan_due`: the look-ahead plan, solved elsewhere
    controller.take_plan(*planner.plan(problem, now))

`on_grid.py` sets the power on the grid, `off_grid.py` in an island; the island state machine selects. The view is read
by `input_mapping.py`, the bounds are built by `evse_orders.py`. The controller sets no power past the control
hierarchy: it adds bounds to it, each under its own layer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from gateway.authority.meter_model import MeterModel
from gateway.authority.soc_floors import Floor, absorbable_w, floor_in_force, storage_floor
from gateway.energy.evse_orders import Evses, grid_orders, island_orders, unreported_orders, zero_orders
from gateway.energy.forecast import DayProfile
from gateway.energy.input_mapping import grid_reading, island_inputs, opened_at, storm_warning
from gateway.energy.last_result import LastResult
from gateway.energy.off_grid import OffGrid
from gateway.energy.on_grid import OnGrid
from gateway.energy.planning.assembly import problem_of
from gateway.energy.planning.planner import Planner
from gateway.energy.planning.problem import Plan, Problem
from gateway.energy.reason import Decided
from gateway.energy.recharge_control import Recharging
from gateway.energy.reserve import SiteReserve
from gateway.energy.resilience.grid_watch import GridWatch
from gateway.energy.resilience.island import Island
from gateway.energy.resilience.island_supply import IslandSupply
from gateway.energy.resilience.phase import OFF_GRID, ZERO, Phase, Source
from gateway.energy.resilience.phase import Orders as IslandOrders
from gateway.energy.resource import STORAGE, Kind, Resource, usable_wh
from gateway.energy.resources import ResourceBuilder, free_of_commands
from gateway.energy.settings import EnergySection
from gateway.energy.state_messages import plan_state, rounded, rounded_hours, share_state, window_state
from gateway.energy.storage_accounting import StorageAccounting
from gateway.energy.view import Orders, View
from gateway.model.energy_state import EnergyState, GridStatus, MainSwitch
from gateway.model.site import Load, Pv

FIRST_PLAN_S = 60.0  # the facility's first messages arrive before the first plan


class SiteController:
    """Controller of one site; keeps the state between steps."""

    def __init__(self, settings: EnergySection, meter: MeterModel | None = None) -> None:
        self.settings = settings
        self.profile = DayProfile()
        self.reserve = SiteReserve(settings)
        self.island = Island(settings.island_settings(), GridWatch(settings.grid_limits()))
        self.recharging = Recharging(settings)
        self.on_grid = OnGrid(settings, self.recharging, meter or MeterModel(settings.meter_delay_s))
        self.off_grid = OffGrid(settings, self.recharging)
        self.island_supply = IslandSupply()
        self.resource_builder = ResourceBuilder(settings, self.reserve)
        self.planner = Planner()
        self.storage_accounting = StorageAccounting()
        self._plan_state = LastResult(plan_state)
        self._planned_at: float | None = None
        self._began: float | None = None
        self._plan_events: list[Decided] = []
        self._commanded: bool | None = None
        self._opened: float | None = None  # since when the main switch is reported as open, Unix time
        self._car_floors: dict[str, tuple[Floor, ...]] = {}
        self._returned = False  # after an outage: all power may flow again
        self.returning_since: float | None = None  # begin of the ramp that is not over, Unix time
        self._resumes = False  # that ramp is one of before a restart

    # look-ahead plan --------------------------------------------------------------------------------------------------

    def plan_due(self, now: float) -> bool:
        """Return whether a new plan is due."""
        every_s = self.settings.plan_every_s
        if self._began is None:
            self._began = now
        since = self._planned_at if self._planned_at is not None else self._began + FIRST_PLAN_S - every_s
        return now - since >= every_s

    def problem(self, view: View) -> Problem | None:
        """Return the problem to plan, None where it cannot be stated (which is reported once)."""
        self._planned_at = view.now
        try:
            resources = self.recharging.with_targets(free_of_commands(view, self.resource_builder.resources(view)))
            return problem_of(view, self.settings, resources, self.profile, self.on_grid.window, self.on_grid.billed)
        except ValueError as error:
            self.plan_failed(str(error), view.now)
            return None

    def take_plan(self, plan: Plan, events: Sequence[Decided]) -> None:
        """Use a new plan until the next one."""
        self.on_grid.use_plan(plan)
        self._plan_events += events

    def plan_failed(self, why: str, now: float) -> None:
        """Use rules until the next plan. `why` ends a sentence."""
        self.on_grid.use_plan(None)
        self._plan_events += self.planner.fall_back(why, now)

    def restore_loss(self) -> None:
        """Continue a loss of the grid from before a restart."""
        self.island.restore_loss()

    def restore_return(self, since: float | None) -> None:
        """Continue the ramp after an outage from before a restart; `since`: its begin, Unix time."""
        self.returning_since, self._resumes = since, since is not None

    # real-time loop ---------------------------------------------------------------------------------------------------

    @property
    def still(self) -> bool:
        """Return whether nothing changes with time alone: a healthy grid, no transition, no ramp."""
        on_grid = self.island.phase is Phase.ON_GRID and self.island.grid.status is GridStatus.HEALTHY
        return on_grid and self._returned and self.on_grid.arrived

    def step(self, view: View) -> Orders:
        """Return the orders of one step. No view makes it raise."""
        events, self._plan_events = self._plan_events, []
        was_off = self.island.phase in OFF_GRID
        self._opened = opened_at(view, self._opened)
        opened = self._opened if was_off else None
        view = self.island_supply.update(view, opened, self.island.forming, self.settings.forming)
        events += self.island.grid.update(grid_reading(view, not was_off), view.now)
        storm = storm_warning(view)
        events += self.reserve.update(view.now, view.wall, storm, was_off)
        resources = self._resources(view, events)
        self._car_floors = {car.evse: car.floors for car in view.cars}
        sources = self._sources(resources, view.unable)
        hand_to = self.off_grid.rotation_step.hand_to
        events += self.off_grid.watch(view, self.island.phase, self.island.forming)
        backup, collapse = self._backup(view.backup), self.off_grid.collapse
        inputs = island_inputs(view, sources, backup, hand_to, collapse, self._opened)
        source = self.island.forming
        if self._resumes and self.returning_since is not None:
            self._resumes, self.island.ramp_from = False, view.now - max(0.0, view.wall - self.returning_since)
        done, changes = self.island.step(inputs)
        if inputs.collapsed and any(change.code == "black_start_failed" for change in changes):
            changes += self.off_grid.attempt_failed(view.now, source or "")
        self._returned = done.share >= 1.0
        if self._returned:
            self.returning_since = None
        elif self.returning_since is None and self.island.ramp_from is not None:
            self.returning_since = view.wall - (view.now - self.island.ramp_from)
        events += changes
        off = done.phase in OFF_GRID
        if off is not self.reserve.off_grid:  # the floors of the new situation apply from this step
            events += self.reserve.update(view.now, view.wall, storm, off)
            resources = self._resources(view, events)
        if self.island.unreported and done.forming is not None:
            evses = unreported_orders(view, done.forming)
            return self._orders(view, done, evses, None, events)
        events += self._update(view, done, resources, off)
        if done.phase in (Phase.ISLAND, Phase.SYNCHRONISING) and done.forming is not None:
            resources = [
                replace(one, max_charge_w=absorbable_w(one.max_charge_w, one.soc_pct, one.ceiling_pct))
                for one in resources
            ]
            shares, more = self.off_grid.step(view, resources, done.forming)
            evses, storage_w = island_orders(view, resources, shares, done.forming)
            orders = self._orders(view, done, evses, storage_w, [*events, *more], pv_limit_w=shares.pv_limit_w)
            return replace(orders, island_w=shares.evses_w)
        if done.phase in ZERO:
            return self._zero(view, done, events)
        resources = free_of_commands(view, resources)
        step = self.on_grid.step(view, self.recharging.with_targets(resources), done.share)
        evses, storage_w = grid_orders(view, resources, step, done.share, self.resource_builder)
        if view.at_rest and self.settings.storage.controlled:
            storage_w = 0.0
        return self._orders(view, done, evses, storage_w, [*events, *step.events], target_w=step.target_w)

    def _resources(self, view: View, events: list[Decided]) -> list[Resource]:
        """Return the resources; reserves of EVSEs are used in an outage that no other source can supply."""
        forming = self.island.forming
        found = self.resource_builder.resources(view, forming)
        if not self.settings.island or not self.reserve.off_grid or self.reserve.needed:
            return found
        reserved = any(floor.unless_needed for car in view.cars for floor in car.floors)
        if reserved and not self.off_grid.supplied_by(found):
            events.append(self.reserve.use_all(view.now))
            found = self.resource_builder.resources(view, forming)
        return found

    def _update(self, view: View, done: IslandOrders, resources: Sequence[Resource], off: bool) -> list[Decided]:
        """Update everything that follows the phase: profile, accounting, autonomy, recharge targets, tiers."""
        self._record(view, off)
        self.off_grid.measure(view, off)
        events = self.storage_accounting.update(view, resources, None if off else self.on_grid.metered_base_w)
        floors = self._off_grid_floors(resources) if self.off_grid.due(view.now) else {}
        forming = done.forming
        events += self.off_grid.look_ahead(view, resources, floors, self.profile, forming, forming is not None)
        sure = self.island.grid.status is not GridStatus.UNKNOWN
        floors_in_force, free_w = self.resource_builder.floors, self.on_grid.free_w
        counted = resources if off else free_of_commands(view, resources)
        events += self.recharging.update(view, counted, floors_in_force, off, free_w, self.profile, sure)
        return events + self._tiers(view.now, done, resources, off)

    def _zero(self, view: View, done: IslandOrders, events: Sequence[Decided]) -> Orders:
        self.on_grid.stop()
        grid = self.island.grid
        healthy = grid.status is GridStatus.HEALTHY
        why = f" while the site is {done.phase.value.replace('_', ' ')}" if healthy else f": {grid.why}"
        evses = zero_orders(view, done.forming, f"No power may flow{why}.", self.off_grid.tiers.expected_w)
        storage_w = 0.0 if self.settings.storage.controlled and done.forming != STORAGE else None
        return self._orders(view, done, evses, storage_w, events, target_w=0.0)

    def _tiers(self, now: float, done: IslandOrders, resources: Sequence[Resource], off: bool) -> list[Decided]:
        """Set the load tiers during transitions; in an island they follow the power of the sources."""
        tiers = self.off_grid.tiers
        if done.phase is Phase.STARTING:
            power_w = next((one.max_discharge_w for one in resources if one.name == done.forming), 0.0)
            return tiers.start(now, power_w, self.off_grid.collapse.factor(now))
        if done.phase in (Phase.OPENING, Phase.DARK):
            return tiers.critical_only(now, "the site is without a source")
        return [] if off else tiers.on_all(now, "the grid supplies the site")

    # inputs of the island state machine -------------------------------------------------------------------------------

    def _sources(self, resources: Sequence[Resource], unable: frozenset[str]) -> list[Source]:
        """Return the sources that can form an island, with their energy above the off-grid floor.

        Those that did not accept the order to form are left out where there is another one.
        """
        off = self.island.phase in OFF_GRID
        found = []
        for one in resources:
            if one.can_form:
                wh = usable_wh(one, one.floor_pct if off else self._off_grid_floor(one))
                able = one.max_discharge_w > 0 or not off
                storage, reported = one.kind is Kind.STORAGE, one.soc_pct is not None
                supplies_island = one.name in self.island_supply.seen_w
                found.append(
                    Source(one.name, wh if able else 0.0, one.max_discharge_w, storage, reported, supplies_island)
                )
        others = [one for one in found if one.name not in unable]
        return others if any(one.usable_wh > 0 for one in others) else found

    def _backup(self, commanded: bool) -> bool | None:
        """Return the standing command for an island as a new command: only where it has changed."""
        changed = commanded is not self._commanded and (commanded or self._commanded is not None)
        self._commanded = commanded
        return commanded if changed else None

    def _off_grid_floor(self, one: Resource) -> float:
        """Return the floor that would hold if the grid failed now."""
        outage = replace(self.reserve.in_force, off_grid=True)
        if one.kind is Kind.STORAGE:
            return storage_floor(outage, self.settings.storage.floor_pct).pct
        return floor_in_force(self._car_floors.get(one.name, ()), outage).pct

    def _off_grid_floors(self, resources: Sequence[Resource]) -> dict[str, float]:
        """Return the floors that would hold if the grid failed now."""
        if self.reserve.off_grid:
            return {}
        return {one.name: min(one.floor_pct, self._off_grid_floor(one)) for one in resources}

    def _record(self, view: View, off: bool) -> None:
        """Record load and PV; not off the grid, where tiers are shed and the grid meter reads zero."""
        if off or self.island.grid.status in (GridStatus.LOST, GridStatus.SUSPECT):
            return
        load, pv = view.inputs.fresh(Load, view.now), view.inputs.fresh(Pv, view.now)
        load_w = load.power_w if load is not None else None
        base_w = self.on_grid.metered_base_w
        if load_w is None and base_w is not None:
            load_w = max(0.0, base_w + (pv.power_w if pv is not None else 0.0))
        self.profile.record(view.wall, load_w, pv.power_w if pv is not None else None)

    # orders -----------------------------------------------------------------------------------------------------------

    def _orders(
        self,
        view: View,
        done: IslandOrders,
        evses: Evses,
        storage_w: float | None,
        events: Sequence[Decided],
        *,
        pv_limit_w: float | None = None,
        target_w: float | None = None,
    ) -> Orders:
        self.resource_builder.storage_ordered(storage_w, view.wall)
        switch = done.switch if self.settings.island else ""
        state = EnergyState(
            phase=done.phase,
            grid=self.island.grid.status,
            grid_why=self.island.grid.why,
            reconnect_in_s=self._reconnect_in_s(view.now, done.phase),
            forming=done.forming,
            main_switch=MainSwitch(switch) if switch else None,
            storage_w=rounded(storage_w),
            pv_limit_w=rounded(pv_limit_w),
            target_w=rounded(target_w),
            reserve=self.reserve.state(),
            plan=self._plan_state(self.on_grid.plan, self.reserve.pct),
            demand_window=window_state(self.on_grid.window, self.settings.contract_w),
            recharge=self.recharging.state(),
            storage_green_share=share_state(self.storage_accounting.renewable_share),
            tiers=dict(self.off_grid.tiers.on),
            autonomy_h=self.off_grid.autonomy_state(),
            car_needed_in_h=rounded_hours(self.off_grid.rotation_step.needed_in_h),
            may_drive=self.off_grid.rotation_step.released,
        )
        islanded = done.forming is not None
        return Orders(evses, islanded, storage_w, pv_limit_w, target_w, tuple(events), state=state)

    def _reconnect_in_s(self, now: float, phase: Phase) -> int | None:
        grid = self.island.grid
        if phase not in OFF_GRID or grid.status is not GridStatus.HEALTHY:
            return None
        return round(max(0.0, grid.reconnect_s(now) - grid.healthy_s(now)))
