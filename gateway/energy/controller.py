"""The site's controller: one step a second, from a view to orders. Pure; the core carries the orders out.

    controller = SiteController(settings)
    orders = controller.step(view)                     # each second
    problem = controller.problem(view)                 # when `plan_due`, may be solved elsewhere
    controller.take_plan(*planner.plan(problem, now))

On the grid `on_grid.py` decides, off it `off_grid.py`; the island machine says which. `witnesses.py` reads the view,
`ordering.py` writes the bounds. The controller never decides power past the order of authority: it hands bounds to it,
each under the layer that it belongs to.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from gateway.energy.evse_limits import Evses, grid_orders, island_orders, zero_orders
from gateway.energy.forecast import Memory
from gateway.energy.input_mapping import look_of, seen_of, storm_of
from gateway.energy.off_grid import OffGrid
from gateway.energy.on_grid import OnGrid
from gateway.energy.planning.assembly import problem_of
from gateway.energy.planning.planner import Planner
from gateway.energy.planning.problem import Plan, Problem
from gateway.energy.reason import Decided
from gateway.energy.recharging import Recharging
from gateway.energy.reserve import Reserve
from gateway.energy.resilience.grid_watch import Grid as Verdict
from gateway.energy.resilience.grid_watch import GridWatch
from gateway.energy.resilience.island import Island
from gateway.energy.resilience.phase import OFF_GRID, Phase, Source
from gateway.energy.resilience.phase import Orders as IslandOrders
from gateway.energy.resource import Kind, Resource, usable_wh
from gateway.energy.resources import STORAGE, ResourceBuilder
from gateway.energy.settings import EnergySection
from gateway.energy.state_messages import plan_state, rounded, rounded_hours, share_state, window_state
from gateway.energy.storage_accounting import Storekeeper
from gateway.energy.view import Orders, View
from gateway.model.energy_state import EnergyState, MainSwitch
from gateway.model.site import Load, Pv

FIRST_PLAN_S = 60.0  # the facility's first messages come before the first plan


class SiteController:
    """One site. Holds what must be remembered between steps; everything it says is in the orders."""

    def __init__(self, settings: EnergySection) -> None:
        self.settings = settings
        self.memory = Memory()
        self.reserve = Reserve(settings.reserve_settings())
        self.island = Island(settings.island_settings(), GridWatch(settings.grid_limits()))
        self.recharging = Recharging(settings)
        self.on_grid = OnGrid(settings, self.recharging)
        self.off_grid = OffGrid(settings, self.recharging)
        self.gathering = ResourceBuilder(settings, self.reserve)
        self.planner = Planner()
        self.storekeeper = Storekeeper()
        self._planned_at: float | None = None
        self._began: float | None = None
        self._plan_events: list[Decided] = []
        self._commanded: bool | None = None
        self._own_floors: dict[str, float] = {}
        self._returned = False  # after an outage: all power may flow again

    # the plan -------------------------------------------------------------------------------------------------------

    def plan_due(self, now: float) -> bool:
        """Whether a new plan should be made."""
        every_s = self.settings.plan_every_s
        if self._began is None:
            self._began = now
        since = self._planned_at if self._planned_at is not None else self._began + FIRST_PLAN_S - every_s
        return now - since >= every_s

    def problem(self, view: View) -> Problem | None:
        """The problem to plan, None where it cannot be stated (which is said as an event, once)."""
        self._planned_at = view.now
        try:
            resources = self.recharging.wants(self.gathering.resources(view))
            return problem_of(view, self.settings, resources, self.memory, self.on_grid.window, self.on_grid.peak_w)
        except ValueError as error:
            self.plan_failed(str(error), view.now)
            return None

    def take_plan(self, plan: Plan, events: Sequence[Decided]) -> None:
        """A plan has been made: it rules until the next."""
        self.on_grid.plan = plan
        self._plan_events += events

    def plan_failed(self, why: str, now: float) -> None:
        """There is no plan: rules until the next one. `why` ends a sentence."""
        self.on_grid.plan = None
        self._plan_events += self.planner.without(why, now)

    # a step ---------------------------------------------------------------------------------------------------------

    @property
    def still(self) -> bool:
        """Whether nothing here runs on time alone: a healthy grid, nobody on the way to an island or back from one."""
        on_grid = self.island.phase is Phase.ON_GRID and self.island.grid.verdict is Verdict.HEALTHY
        return on_grid and self._returned and self.on_grid.arrived

    def step(self, view: View) -> Orders:
        """One step. Nothing that is shown to it makes it raise."""
        events, self._plan_events = self._plan_events, []
        events += self.island.grid.look(seen_of(view, self.island.phase not in OFF_GRID), view.now)
        storm = storm_of(view)
        events += self.reserve.look(view.now, view.wall, storm, self.island.phase in OFF_GRID)
        resources = self.gathering.resources(view)
        self._own_floors = {car.evse: car.floor_pct for car in view.cars}
        sources = self._sources(resources, view.unable)
        look = look_of(view, sources, self._backup(view.backup), self.off_grid.swap.hand_to)
        done, told = self.island.step(look)
        self._returned = done.share >= 1.0
        events += told
        off = done.phase in OFF_GRID
        if off is not self.reserve.off_grid:  # the floors of the other world hold from this very step
            events += self.reserve.look(view.now, view.wall, storm, off)
            resources = self.gathering.resources(view)
        self._remember(view, off)
        events += self.storekeeper.look(view, resources, None if off else self.on_grid.residual.power_w)
        floors = self._off_grid_floors(resources) if self.off_grid.due(view.now) else {}
        events += self.off_grid.look_ahead(view, resources, floors, self.memory, done.forming, done.forming is not None)
        sure = self.island.grid.verdict is not Verdict.UNKNOWN
        events += self.recharging.look(
            view, resources, self.gathering.floors, off, self.on_grid.free_w, self.memory, sure
        )
        events += self._tiers(view.now, done, resources, off)
        if done.phase in (Phase.ISLAND, Phase.SYNCHRONISING) and done.forming is not None:
            shares, more = self.off_grid.step(view, resources, done.forming)
            evses, storage_w = island_orders(view, resources, shares, done.forming)
            return self._orders(view, done, evses, storage_w, [*events, *more], pv_limit_w=shares.pv_limit_w)
        if done.zero:
            return self._zero(view, done, events)
        share = self.on_grid.step(view, self.recharging.wants(resources), done.share)
        evses, storage_w = grid_orders(view, resources, share, done.share, self.gathering)
        return self._orders(view, done, evses, storage_w, [*events, *share.events], target_w=share.target_w)

    def _zero(self, view: View, done: IslandOrders, events: Sequence[Decided]) -> Orders:
        self.on_grid.ramp = None
        grid = self.island.grid
        healthy = grid.verdict is Verdict.HEALTHY
        why = f" while the site is {done.phase.value.replace('_', ' ')}" if healthy else f": {grid.why}"
        evses = zero_orders(view, done.forming, f"No power may flow{why}.")
        storage_w = 0.0 if self.settings.storage.controlled and done.forming != STORAGE else None
        return self._orders(view, done, evses, storage_w, events, target_w=0.0)

    def _tiers(self, now: float, done: IslandOrders, resources: Sequence[Resource], off: bool) -> list[Decided]:
        """The loads while the site changes worlds; in an island they go by what the sources can give."""
        tiers = self.off_grid.tiers
        if done.loads_off:  # a source that can carry the critical tiers starts with them; a weak one with nothing
            critical_w = sum(tier.expected_w * tier.inrush for tier in tiers.tiers if tier.critical)
            power_w = next((one.max_discharge_w for one in resources if one.name == done.forming), 0.0)
            if critical_w <= power_w:
                return tiers.critical_only(now, "a source starts with the critical load only")
            return tiers.off_all(now, "a source starts without load")
        if done.phase in (Phase.OPENING, Phase.DARK):
            return tiers.critical_only(now, "the site is without a source")
        return [] if off else tiers.on_all(now, "the grid carries the site")

    # what the machines are shown ------------------------------------------------------------------------------------

    def _sources(self, resources: Sequence[Resource], unable: frozenset[str]) -> list[Source]:
        """Who could form a voltage, with what is above the floor that would hold off the grid."""
        off = self.island.phase in OFF_GRID
        found = []
        for one in resources:
            if one.can_form and one.name not in unable:
                wh = usable_wh(one, one.floor_pct if off else self._off_grid_floor(one))
                able = one.max_discharge_w > 0 or not off
                found.append(Source(one.name, wh if able else 0.0, one.max_discharge_w, one.kind is Kind.STORAGE))
        return found

    def _backup(self, wanted: bool) -> bool | None:
        """The standing wish for an island as a command: only its changes are one."""
        changed = wanted is not self._commanded and (wanted or self._commanded is not None)
        self._commanded = wanted
        return wanted if changed else None

    def _off_grid_floor(self, one: Resource) -> float:
        own = self.settings.storage.floor_pct if one.kind is Kind.STORAGE else self._own_floors.get(one.name, 0.0)
        return max(own, self.settings.off_grid_pct)

    def _off_grid_floors(self, resources: Sequence[Resource]) -> dict[str, float]:
        """Down to where each could be used if the grid failed now."""
        if self.reserve.off_grid:
            return {}
        return {one.name: min(one.floor_pct, self._off_grid_floor(one)) for one in resources}

    def _remember(self, view: View, off: bool) -> None:
        """A day off the grid is no example for other days: tiers are shed, and a dead meter reads nothing."""
        if off or self.island.grid.verdict in (Verdict.LOST, Verdict.SUSPECT):
            return
        load, pv = view.inputs.fresh(Load, view.now), view.inputs.fresh(Pv, view.now)
        load_w = load.power_w if load is not None else None
        if load_w is None and self.on_grid.residual.power_w is not None:
            load_w = max(0.0, self.on_grid.residual.power_w + (pv.power_w if pv is not None else 0.0))
        self.memory.see(view.wall, load_w, pv.power_w if pv is not None else None)

    # orders ---------------------------------------------------------------------------------------------------------

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
        self.gathering.told_storage(storage_w, view.wall)
        switch = done.switch if self.settings.island else ""
        state = EnergyState(
            phase=done.phase,
            grid=self.island.grid.verdict,
            grid_why=self.island.grid.why,
            reconnect_in_s=self._reconnect_in_s(view.now, done.phase),
            forming=done.forming,
            main_switch=MainSwitch(switch) if switch else None,
            storage_w=rounded(storage_w),
            pv_limit_w=rounded(pv_limit_w),
            target_w=rounded(target_w),
            reserve=self.reserve.state(),
            plan=plan_state(self.on_grid.plan, self.reserve.pct),
            demand_window=window_state(self.on_grid.window, self.settings.contract_w),
            recharge=self.recharging.state(),
            storage_green_share=share_state(self.storekeeper.green_share),
            tiers=self.off_grid.tiers.on,
            autonomy_h=self.off_grid.autonomy_state(),
            car_needed_in_h=rounded_hours(self.off_grid.swap.needed_in_h),
            may_drive=self.off_grid.swap.let_go,
        )
        tiers: Mapping[str, bool] = dict(self.off_grid.tiers.on)
        return Orders(
            done.phase,
            evses,
            done.forming is not None,
            done.forming,
            switch,
            storage_w,
            pv_limit_w,
            tiers,
            target_w,
            tuple(events),
            state=state,
        )

    def _reconnect_in_s(self, now: float, phase: Phase) -> int | None:
        grid = self.island.grid
        if phase not in OFF_GRID or grid.verdict is not Verdict.HEALTHY:
            return None
        return round(max(0.0, grid.reconnect_s(now) - grid.healthy_s(now)))
