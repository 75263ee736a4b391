"""The site's controller: one step a second, from a view to orders. Pure; the core carries the orders out.

    controller = SiteController(settings)
    orders = controller.step(view)                     # each second
    problem = controller.problem(view)                 # when `plan_due`, may be solved elsewhere
    controller.take_plan(*planner.plan(problem, now))

On the grid `on_grid.py` decides, off it `off_grid.py`; the island machine says which. The controller never decides
power past the order of authority: it hands bounds to it, each under the layer that it belongs to.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from gateway.energy.forecast import Memory
from gateway.energy.gathering import STORAGE, Gathering, modules_of
from gateway.energy.off_grid import OffGrid
from gateway.energy.on_grid import OnGrid, Share
from gateway.energy.plan.planner import Planner
from gateway.energy.plan.problem import Plan, Problem
from gateway.energy.planning import problem_of
from gateway.energy.reason import Decided
from gateway.energy.reserve import Reserve, StormWarning
from gateway.energy.resilience.grid_watch import Grid as Verdict
from gateway.energy.resilience.grid_watch import GridWatch, Seen
from gateway.energy.resilience.island import OFF_GRID, Island, Look, Phase, Source
from gateway.energy.resilience.island import Orders as IslandOrders
from gateway.energy.resilience.sharing import IslandShares
from gateway.energy.resource import Kind, Resource, usable_wh
from gateway.energy.settings import EnergySection
from gateway.energy.storage import GreenBook, watch_modules
from gateway.energy.view import EvseOrders, Orders, View
from gateway.model.reason import Code
from gateway.model.site import Freshness, Grid, InputKind, Load, Pv, Storage, Storm, Switch
from gateway.negotiation.authority import Bound, Layer

FIRST_PLAN_S = 60.0  # the facility's first messages come before the first plan
FORMED_W = 50.0  # a load that draws in an open island shows that there is a voltage


class SiteController:
    """One site. Holds what must be remembered between steps; everything it says is in the orders."""

    def __init__(self, settings: EnergySection) -> None:
        self.settings = settings
        self.memory = Memory()
        self.reserve = Reserve(settings.reserve_settings())
        self.island = Island(settings.island_settings(), GridWatch(settings.grid_limits()))
        self.on_grid = OnGrid(settings)
        self.off_grid = OffGrid(settings)
        self.gathering = Gathering(settings, self.reserve)
        self.planner = Planner()
        self.green = GreenBook()
        self._green_at: float | None = None
        self._modules_told: set[tuple[str, str]] = set()
        self._planned_at: float | None = None
        self._began: float | None = None
        self._plan_events: list[Decided] = []
        self._commanded: bool | None = None
        self._own_floors: dict[str, float] = {}

    # the plan -------------------------------------------------------------------------------------------------------

    def plan_due(self, now: float) -> bool:
        """Whether a new plan should be made."""
        if self._began is None:
            self._began = now
        since = (
            self._planned_at
            if self._planned_at is not None
            else self._began + FIRST_PLAN_S - self.settings.plan_every_s
        )
        return now - since >= self.settings.plan_every_s

    def problem(self, view: View) -> Problem | None:
        """The problem to plan, None where it cannot be stated (which is said as an event, once)."""
        self._planned_at = view.now
        try:
            resources = self.gathering.resources(view)
            return problem_of(view, self.settings, resources, self.memory, self.on_grid.window, self.on_grid.peak_w)
        except ValueError as error:
            self.on_grid.plan = None
            self._plan_events += self.planner.without(str(error), view.now)
            return None

    def take_plan(self, plan: Plan, events: Sequence[Decided]) -> None:
        """A plan has been made: it rules until the next."""
        self.on_grid.plan = plan
        self._plan_events += events

    # a step ---------------------------------------------------------------------------------------------------------

    def step(self, view: View) -> Orders:
        """One step. Nothing that is shown to it makes it raise."""
        events = list(self._plan_events)
        self._plan_events = []
        events += self._watch_grid(view)
        events += self.reserve.look(view.now, view.wall, _storm(view), self.island.phase in OFF_GRID)
        resources = self.gathering.resources(view)
        self._own_floors = {car.evse: car.floor_pct for car in view.cars}
        done, told = self.island.step(self._look(view, resources))
        events += told
        off = done.phase in OFF_GRID
        if off is not self.reserve.off_grid:  # the floors of the other world hold from this very step
            events += self.reserve.look(view.now, view.wall, _storm(view), off)
            resources = self.gathering.resources(view)
        self._remember(view, off)
        events += self._watch_storage(view, resources, off)
        floors = self._off_grid_floors(view, resources) if self.off_grid.due(view.now) else {}
        events += self.off_grid.look_ahead(view, resources, floors, self.memory, done.forming, done.forming is not None)
        if done.loads_off:
            events += self._start_loads(view.now, resources, done.forming)
        elif done.phase in (Phase.OPENING, Phase.DARK):
            events += self.off_grid.tiers.critical_only(view.now, "the site is without a source")
        elif not off:
            events += self.off_grid.tiers.on_all(view.now, "the grid carries the site")
        if done.phase in (Phase.ISLAND, Phase.SYNCHRONISING) and done.forming is not None:
            shares, more = self.off_grid.step(view, resources, done.forming)
            return self._island_orders(view, done, resources, shares, [*events, *more])
        if done.zero:
            return self._zero_orders(view, done, events)
        share = self.on_grid.step(view, resources, done.share)
        return self._grid_orders(view, done, resources, share, [*events, *share.events])

    def _watch_storage(self, view: View, resources: Sequence[Resource], off: bool) -> list[Decided]:
        """Books of what in the storage came from the sun, and its modules that stand out, each told once."""
        one = next((one for one in resources if one.name == STORAGE), None)
        told = view.inputs.fresh(Storage, view.now)
        before, self._green_at = self._green_at, view.now
        if one is None or told is None:
            return []
        if before is None and one.soc_pct is not None and one.capacity_wh is not None:
            self.green.stored_wh = (
                one.soc_pct / 100 * one.capacity_wh
            )  # where that came from nobody knows: not from the sun
        if before is not None and 0 < view.now - before <= 60:
            pv, load = view.inputs.fresh(Pv, view.now), view.inputs.fresh(Load, view.now)
            surplus = (pv.power_w if pv is not None else 0.0) - (load.power_w if load is not None else 0.0)
            surplus = max(surplus, -(self.on_grid.residual.power_w or 0.0)) if not off else surplus
            eta = one.charge_efficiency, one.discharge_efficiency
            self.green.flow(told.power_w, view.now - before, max(0.0, surplus), *eta)
        if told.modules is None:
            return []
        found = watch_modules(modules_of(told), view.now)
        fresh = [event for event in found if (event.code, event.subject) not in self._modules_told]
        self._modules_told = {(event.code, event.subject) for event in found}
        return fresh

    def _start_loads(self, now: float, resources: Sequence[Resource], forming: str | None) -> list[Decided]:
        """A source that can carry the critical tiers starts with them; a weak one starts with nothing."""
        tiers = self.off_grid.tiers
        critical_w = sum(tier.expected_w * tier.inrush for tier in tiers.tiers if tier.critical)
        power_w = next((one.max_discharge_w for one in resources if one.name == forming), 0.0)
        if critical_w <= power_w:
            return tiers.critical_only(now, "a source starts with the critical load only")
        return tiers.off_all(now, "a source starts without load")

    def _watch_grid(self, view: View) -> list[Decided]:
        grid = view.inputs.fresh(Grid, view.now)
        load, pv = view.inputs.fresh(Load, view.now), view.inputs.fresh(Pv, view.now)
        switch = view.inputs.fresh(Switch, view.now)
        expected = None
        if load is not None:
            storage = view.inputs.fresh(Storage, view.now)
            expected = load.power_w - (pv.power_w if pv is not None else 0.0)
            expected += (storage.power_w if storage is not None else 0.0) + sum(car.power_w or 0.0 for car in view.cars)
        closed = not switch.open if switch is not None else self.island.phase not in OFF_GRID
        seen = Seen(
            grid.present if grid is not None else None,
            grid.voltage_v if grid is not None else None,
            grid.frequency_hz if grid is not None else None,
            grid.power_w if grid is not None else None,
            expected,
            closed,
        )
        return self.island.grid.look(seen, view.now)

    def _look(self, view: View, resources: Sequence[Resource]) -> Look:
        grid = view.inputs.fresh(Grid, view.now)
        switch = view.inputs.fresh(Switch, view.now)
        load = view.inputs.fresh(Load, view.now)
        sources = []
        off = self.island.phase in OFF_GRID
        for one in resources:
            if one.can_form:
                floor = one.floor_pct if off else self._off_grid_floor(one)
                wh = usable_wh(one, floor) if one.soc_pct is not None and one.capacity_wh is not None else 0.0
                able = one.max_discharge_w > 0 or not off
                sources.append(Source(one.name, wh if able else 0.0, one.max_discharge_w, one.kind is Kind.STORAGE))
        formed: bool | None = None
        if load is not None and load.power_w > FORMED_W and switch is not None and switch.open:
            formed = True
        command: bool | None = None
        if view.backup is not self._commanded and (view.backup or self._commanded is not None):
            command = view.backup
        self._commanded = view.backup
        return Look(
            view.now,
            switch.open if switch is not None else None,
            grid.power_w if grid is not None else None,
            sources,
            formed,
            command,
            view.emergency,
            self.off_grid.swap.hand_to,
        )

    def _off_grid_floor(self, one: Resource) -> float:
        if one.kind is Kind.STORAGE:
            return max(self.settings.storage.floor_pct, self.settings.off_grid_pct)
        return max(self.settings.off_grid_pct, self._own_floors.get(one.name, 0.0))

    def _off_grid_floors(self, view: View, resources: Sequence[Resource]) -> dict[str, float]:
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

    def _zero_orders(self, view: View, done: IslandOrders, events: Sequence[Decided]) -> Orders:
        self.on_grid.ramp = None
        text = f"No power may flow: {self.island.grid.why}."
        if self.island.grid.verdict is Verdict.HEALTHY:
            text = f"No power may flow while the site is {done.phase.value.replace('_', ' ')}."
        bound = Bound(Layer.GRID_CODE, 0.0, 0.0, Code.GRID_LOST, text)
        evses = {car.evse: EvseOrders(None, (bound,), hands_off=car.evse == done.forming) for car in view.cars}
        if done.forming in evses:
            evses[done.forming] = EvseOrders(None, (), hands_off=True)
        storage_w = 0.0 if self.settings.storage.controlled and done.forming != STORAGE else None
        return self._orders(view, done, evses, storage_w, None, 0.0, events, islanded=done.forming is not None)

    def _grid_orders(
        self, view: View, done: IslandOrders, resources: Sequence[Resource], share: Share, events: Sequence[Decided]
    ) -> Orders:
        evses: dict[str, EvseOrders] = {}
        storage_w: float | None = None
        present = {one.name: one.present_w for one in resources}
        total = sum(present.values()) + sum(car.power_w or 0.0 for car in view.cars if car.held)
        held = {car.evse: car for car in view.cars if car.held}
        for one in resources:
            optimiser: Bound | None = None
            if share.shares is not None:
                power_w = share.shares.power_w[one.name]
                if one.name == STORAGE:
                    storage_w = power_w
                    continue
                optimiser = Bound(Layer.OPTIMISER, power_w, power_w, Code.POLICY, share.wish.text)
            if one.name == STORAGE:
                continue
            evses[one.name] = EvseOrders(optimiser, self._extra(one, done, share, total - one.present_w))
        for name, car in held.items():
            resource = self.gathering.car(view, car)
            evses[name] = EvseOrders(None, self._extra(resource, done, share, total - (car.power_w or 0.0)))
        return self._orders(view, done, evses, storage_w, None, share.target_w, events, islanded=False)

    def _extra(self, one: Resource, done: IslandOrders, share: Share, others_w: float) -> tuple[Bound, ...]:
        """Bounds of the layers above any command: the slow return, the demand window, the floor."""
        bounds: list[Bound] = []
        if done.share < 1.0:
            text = f"After an outage power comes back slowly: {100 * done.share:.0f} % now."
            low, high = -one.max_discharge_w * done.share, one.max_charge_w * done.share
            bounds.append(Bound(Layer.GRID_CODE, low, high, Code.GRID_CODE, text))
        if share.room.high_code == "demand_window":
            left_w = max(0.0, share.room.high_w - others_w)
            text = f"The demand window leaves {left_w:.0f} W for this EVSE."
            bounds.append(Bound(Layer.SITE, high_w=left_w, code=Code.DEMAND_WINDOW, text=text))
        if one.max_discharge_w <= 0 and one.soc_pct is not None and one.floor_pct > 0:
            floor = self.gathering.floors.get(one.name)
            whose = floor.whose if floor is not None else "its floor"
            text = f"The battery is at {one.soc_pct:.1f} %, and {whose} is {one.floor_pct:.1f} %."
            bounds.append(Bound(Layer.SOC_FLOOR, low_w=0.0, code=Code.BELOW_FLOOR, text=text))
        return tuple(bounds)

    def _island_orders(
        self,
        view: View,
        done: IslandOrders,
        resources: Sequence[Resource],
        shares: IslandShares,
        events: Sequence[Decided],
    ) -> Orders:
        evses: dict[str, EvseOrders] = {}
        by_name = {one.name: one for one in resources}
        source = by_name.get(done.forming or "")
        # how far the forming source can still follow, both ways: within it a follower may be commanded otherwise
        more_w = source.max_discharge_w + shares.forming_w if source is not None else 0.0
        less_w = source.max_charge_w - shares.forming_w if source is not None else 0.0
        count = max(1, len(view.cars) - 1)
        for car in view.cars:
            if car.evse == done.forming:
                evses[car.evse] = EvseOrders(None, (), hands_off=True)
                continue
            power_w = shares.power_w.get(car.evse, 0.0)
            if car.held:
                power_w = car.power_w or 0.0
            low, high = power_w - max(0.0, less_w) / count, power_w + max(0.0, more_w) / count
            text = f"The island needs {power_w:.0f} W here; {done.forming} can balance {low:.0f} to {high:.0f} W."
            wish = Bound(Layer.OPTIMISER, power_w, power_w, Code.ISLAND, text)
            extra: tuple[Bound, ...] = (Bound(Layer.ISLAND, low, high, Code.ISLAND, text),)
            one = by_name.get(car.evse)
            if one is not None and one.max_discharge_w <= 0 and one.floor_pct > 0:
                floor = f"The battery may not go below {one.floor_pct:.1f} %."
                extra = (*extra, Bound(Layer.SOC_FLOOR, low_w=0.0, code=Code.BELOW_FLOOR, text=floor))
            evses[car.evse] = EvseOrders(None if car.held else wish, extra)
        storage_w = shares.power_w.get(STORAGE) if STORAGE in by_name else None
        return self._orders(view, done, evses, storage_w, shares.pv_limit_w, None, events, islanded=True)

    def _orders(
        self,
        view: View,
        done: IslandOrders,
        evses: dict[str, EvseOrders],
        storage_w: float | None,
        pv_limit_w: float | None,
        target_w: float | None,
        events: Sequence[Decided],
        *,
        islanded: bool,
    ) -> Orders:
        self.gathering.told_storage(storage_w, view.wall)
        switch = done.switch if self.settings.island else ""
        orders = Orders(
            done.phase,
            evses,
            islanded,
            done.forming,
            switch,
            storage_w,
            pv_limit_w,
            dict(self.off_grid.tiers.on),
            target_w,
            tuple(events),
        )
        return replace(orders, state=self._state(view, orders))

    def _state(self, view: View, orders: Orders) -> dict[str, Any]:
        plan, window = self.on_grid.plan, self.on_grid.window
        state: dict[str, Any] = {
            "phase": orders.phase.value,
            "grid": self.island.grid.verdict.value,
            "grid_why": self.island.grid.why,
            "reconnect_in_s": None,
            "forming": orders.forming,
            "main_switch": orders.main_switch or None,
            "storage_w": _rounded(orders.storage_w),
            "pv_limit_w": _rounded(orders.pv_limit_w),
            "target_w": _rounded(orders.target_w),
            "reserve": self.reserve.as_json(),
            "plan": None,
            "demand_window": None,
            "storage_green_share": round(self.green.green_share, 3) if self.green.in_wh > 0 else None,
        } | self.off_grid.as_json()
        if orders.phase in OFF_GRID and self.island.grid.verdict is Verdict.HEALTHY:
            left = self.island.grid.reconnect_s(view.now) - self.island.grid.healthy_s(view.now)
            state["reconnect_in_s"] = round(max(0.0, left))
        if plan is not None:
            state["plan"] = {
                "source": plan.source,
                "reason": plan.reason,
                "made_at": plan.wall,
                "start": plan.start,
                "step_s": plan.step_s,
                "power_w": [round(value) for value in plan.power_w],
                "grid_w": [round(value) for value in plan.grid_w],
                "reserve_pct": self.reserve.pct,
            }
        if window is not None and self.settings.contract_w is not None:
            state["demand_window"] = {
                "ends_at": window.end,
                "imported_wh": round(window.imported_wh, 1),
                "average_w": round(window.average_w),
                "contract_w": self.settings.contract_w,
                "estimated_wh": round(window.estimated_wh, 1),
            }
        return state


def _storm(view: View) -> StormWarning | None:
    told = view.inputs.fresh(Storm, view.now)
    if told is None or not told.active:
        # a warning that has gone quiet still holds until its own end: silence is no fair weather
        held = view.inputs.readings.get(InputKind.STORM)
        stale = view.inputs.freshness(InputKind.STORM, view.now) is Freshness.STALE
        if stale and held is not None and isinstance(held.value, Storm) and held.value.active and held.value.until:
            return StormWarning(held.value.until, held.value.min_soc_pct)
        return None
    return StormWarning(told.until, told.min_soc_pct)


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value) + 0.0
