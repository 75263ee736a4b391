"""Runs the site's energy controller: gives it a view of the site each second, and carries its orders out.

No decision is made here. Orders for an EVSE become bounds of the control hierarchy in its control state; orders for the
facility (main switch, tiers, storage, PV) become the `energy` part of the site's state; decisions become events. Plans
are solved in a thread, so that a slow one delays nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from gateway.authority.layers import dead_band, hardware_power, stated_discharge_w
from gateway.authority.meter_model import MeterModel
from gateway.authority.site_limits import connection_w
from gateway.authority.soc_floors import ReserveInForce, capacity_of, floors_of
from gateway.control.control_state import EvseControlState, EvseRegistry
from gateway.control.publisher import EventPublisher
from gateway.control.settings import SETTLE_S
from gateway.energy.controller import SiteController
from gateway.energy.grid_forming import GridFormingService
from gateway.energy.order_changes import SAME_W, hardly_more, near, same_orders, unaffected
from gateway.energy.persistence import EnergyPersistence
from gateway.energy.resilience.phase import OFF_GRID
from gateway.energy.resource import usable_wh
from gateway.energy.settings import EnergySection
from gateway.energy.view import Car, EvseOrders, Orders, View
from gateway.model.command import SiteMode
from gateway.model.energy_state import BlueSwitchState, EnergyState, SiteNeedState
from gateway.model.journal import Kept
from gateway.model.site import Site
from gateway.model.station import ReachableStations
from protocols.ports import Clock

log = logging.getLogger("v2x")

QUIET_S = 5.0  # between steps where there is nothing to manage, or where nothing has changed
TOGETHER_S = 0.05  # inputs of one moment are decided on together
PUBLISH_S = 60.0  # the slow parts of the state (autonomy, plan, window) are published this often
UNKNOWN_DRAW_W = 1000.0  # of a site that names no tiers
LATE_PLANS = 2  # planning periods: a plan that takes longer has failed
METER_S = 60.0  # a power older than this is not known


@dataclass(frozen=True, slots=True)
class LendingConstraints:
    """Requirements of lending agreements at this site now.

    `called`: vehicles here that are requested at another site; `due`: those that should have left. By
    EVSE: `floor_pct` of the vehicle's agreement, and `recharge_pct` up to which it is charged after an outage. `need`
    and `blue_switch` are parts of the energy state.
    """

    called: frozenset[str] = frozenset()
    due: frozenset[str] = frozenset()
    floor_pct: Mapping[str, float] = field(default_factory=dict)
    recharge_pct: Mapping[str, float] = field(default_factory=dict)
    need: SiteNeedState | None = None
    blue_switch: BlueSwitchState | None = None


@dataclass(frozen=True, slots=True)
class SiteDemand:
    """Power of the critical tiers, W; usable energy in the storage now and when it is full, Wh; its charge power, W."""

    draw_w: float
    stored_wh: float = 0.0
    store_wh: float = 0.0
    store_w: float = 0.0


class EnergyService:
    """Energy service of one site. `state` is the `energy` part of the site's state, None while nothing is managed."""

    def __init__(
        self,
        site: Site,
        registry: EvseRegistry,
        publisher: EventPublisher,
        settings: EnergySection,
        clock: Clock,
        stations: ReachableStations | None = None,
        persistence: EnergyPersistence | None = None,
        meter: MeterModel | None = None,
    ) -> None:
        self._site = site
        self._registry = registry
        self._publisher = publisher
        self._clock = clock
        self._persistence = persistence
        self._forming = GridFormingService(
            registry, publisher, clock, stations, settings.forming, settings.parallel_forming
        )
        self.settings = settings
        if settings.island or "nominal_v" in settings.model_fields_set:
            site.describe_grid(settings.nominal_v)
        self.lending = LendingConstraints()
        self.controller = SiteController(settings, meter)
        self.state: EnergyState | None = None
        self._published: tuple[object, ...] = ()
        self._published_at = -math.inf
        self._planning: asyncio.Task[None] | None = None
        self._planning_at = 0.0
        self._failing = False
        self.steps = self.plans = 0  # counted for benchmarks
        self.own_cars = frozenset(car.vehicle for car in settings.cars)
        self._sent: dict[str, tuple[float | None, float]] = {}  # by EVSE: set-point sent last, and since when

    def restore(self, kept: Sequence[Kept]) -> None:
        """Restore what an earlier run kept; before the first step."""
        if self._persistence is not None:
            self._persistence.restore(self.controller, kept)
        if self._site.grid_before is not None and not self._site.grid_before.present:
            self.controller.restore_loss()

    async def run(self) -> None:
        """Run until cancelled."""
        try:
            while True:
                active = self.active()
                if active:
                    self._step_safely()
                elif self.state is not None:
                    self._release()
                await self._rest(active)
        finally:
            if self._planning is not None:
                self._planning.cancel()
            await self._forming.end()

    async def _rest(self, active: bool) -> None:
        """Wait for the next step: `step_s` while anything changes, for an input or a while when nothing does."""
        clock, changed, step_s = self._clock, self._publisher.inputs_changed, self.settings.step_s
        if not active or step_s >= QUIET_S or not self.controller.still:
            changed.clear()
            await clock.sleep(step_s if active else QUIET_S)
            return
        began = clock.now()
        with contextlib.suppress(TimeoutError):
            async with clock.timeout_at(began + QUIET_S):
                await changed.wait()
        changed.clear()
        if (early_s := began + step_s - clock.now()) > 0:
            await clock.sleep(max(early_s, TOGETHER_S))
        elif clock.now() < began + QUIET_S:
            await clock.sleep(TOGETHER_S)

    def _step_safely(self) -> None:
        """Run a step; an error in it costs the site its optimum only: EVSEs are left to commands and limits."""
        try:
            self.step()
            self._failing = False
        except Exception:
            if not self._failing:
                self._failing = True
                log.exception("the energy controller failed; EVSEs are left to their own commands")
                text = "The energy controller has failed; EVSEs are left to commands and limits. See the log."
                self._publisher.decided("energy_failed", text, None, "", {})
            for state in self._registry:
                if not state.forms_grid:  # the source that forms an island continues
                    self._order(state, EvseOrders(), None)

    def active(self) -> bool:
        """Return whether this site has anything to manage."""
        one, site = self.settings, self._site
        if not one.enabled:
            return False
        managed = one.island or one.contract_w is not None or one.reserve_pct > 0 or one.tiers or one.storage.controlled
        return bool(managed) or site.mode is not SiteMode.MANUAL or site.backup or bool(one.calendar)

    def step(self) -> Orders:
        """Decide once, carry the orders out and return them."""
        view = self.view()
        if self.settings.plan and self.controller.plan_due(view.now):
            if self._planning is None or self._planning.done():
                self._planning = asyncio.get_running_loop().create_task(self._plan(view), name="plan")
                self._planning_at = view.now
            elif view.now - self._planning_at > LATE_PLANS * self.settings.plan_every_s:
                self.controller.plan_failed("the last plan is still being made", view.now)
        self.steps += 1
        orders = self.controller.step(view)
        self._carry_out(orders)
        if self._persistence is not None:
            self._persistence.keep(self.controller, view.now, view.wall)
        return orders

    async def _plan(self, view: View) -> None:
        try:
            await self._solve(view)
        except Exception as error:
            log.exception("the planner failed")
            self.controller.plan_failed(f"the planner failed: {error!r}", view.now)

    async def _solve(self, view: View) -> None:
        problem = self.controller.problem(view)
        if problem is not None and view.mode in (SiteMode.PRICE, SiteMode.PEAK_SHAVING):
            self.plans += 1
            plan, events = await asyncio.to_thread(self.controller.planner.plan, problem, view.now)
            self.controller.take_plan(plan, events)

    # view -----------------------------------------------------------------------------------------------------------

    def view(self) -> View:
        """Return the site as the controller decides about it."""
        site, policy, now = self._site, self._site.policy, self._clock.now()
        cars = [self._car(state, now) for state in self._registry if state.evse.session is not None]
        return View(
            now,
            self._clock.wall(),
            site.inputs,
            cars,
            site.mode,
            policy.import_limit_w,
            policy.export_limit_w,
            site.peak_limit_w,
            site.backup,
            site.emergency_stop is not None,
            self.lending.called,
            self.lending.due,
            self._forming.unable(),
            ramp_w_per_s=policy.ramp_w_per_s,
            floor_hysteresis_pct=policy.floor_hysteresis_pct,
            discharge_without_soc=policy.discharge_without_soc,
            connection_w=connection_w(site),
            supply_held=site.supply_held,
            at_rest=site.at_rest or site.emergency_stop is not None,
            independent=site.interconnections.independent,
            interconnected=site.interconnections.connected,
        )

    def _car(self, state: EvseControlState, now: float) -> Car:
        evse, needs = state.evse, state.evse.needs
        charge_w, discharge_w = hardware_power(evse)
        band = dead_band(evse)
        # a value measured before the set-point changed does not show the present power
        sent_w = state.setpoint.sent_w
        before_w, since = self._sent.get(evse.name, (None, -math.inf))
        if before_w is None or sent_w is None or abs(before_w - sent_w) >= SAME_W:
            since = now if sent_w is not None and before_w is not None else -math.inf
            self._sent[evse.name] = (sent_w, since)
        measured = evse.metered_at is not None and evse.metered_at >= max(now - METER_S, since + SETTLE_S)
        return Car(
            evse.name,
            charge_w,
            discharge_w,
            band.charge_w,
            band.discharge_w,
            evse.vehicle or "",
            evse.soc_pct,
            capacity_of(evse, self._site.policy).energy_wh,
            floors_of(evse, self._site, state.reserve, state.agreed_pct),
            evse.requested_soc_pct,
            needs.departure if needs is not None else None,
            evse.power_w if measured else None,
            sent_w or 0.0,
            state.command is not None,
            return_pct=self.lending.recharge_pct.get(evse.name),
            flowing_w=state.flowing_w(now),
            floor_reached=state.floor_reached,
            metered_at=evse.metered_at,
            stated_discharge_w=stated_discharge_w(evse),
        )

    # orders ---------------------------------------------------------------------------------------------------------

    def _carry_out(self, orders: Orders) -> None:
        if self._site.operate_islanded(orders.islanded, orders.island_w):
            self._publisher.inputs_changed.set()
            self._registry.wake_all()
        island = self.controller.island
        self._site.off_grid = self.off_grid
        if self._persistence is not None and island.supplied_by_grid and self._site.emergency_stop is None:
            self._persistence.end_hold(self._site)
        self._forming.step(orders.state.forming, island.interlock.may_start, island.sure)
        nothing, forms, reserve = EvseOrders(), EvseOrders(forms_grid=True), self.controller.reserve.in_force
        for state in self._registry:  # a grid-forming source whose station is away for a moment stays one
            one = orders.evses.get(state.name, forms if state.name == orders.state.forming else nothing)
            self._order(state, one, reserve)
        for event in orders.events:
            evse = event.subject if event.subject in self._registry else None
            self._publisher.decided(str(event.code), event.text, evse, event.subject, dict(event.figures))
        self._publish(orders.state)

    def _order(self, state: EvseControlState, orders: EvseOrders, reserve: ReserveInForce | None) -> None:
        before = EvseOrders(state.optimiser, state.extra, state.forms_grid)
        if hardly_more(before.optimiser, orders.optimiser):
            orders = replace(orders, optimiser=before.optimiser)
        # bounds above any command hold to the watt
        wake = not same_orders(before, orders) and not unaffected(state.decision, before, orders)
        schedule = None if orders.forms_grid else reserve
        state.apply_energy(orders.optimiser, orders.extra, orders.forms_grid, schedule, wake=wake)

    def _publish(self, state: EnergyState) -> None:
        now, lending = self._clock.now(), self.lending
        self.state = state.model_copy(
            update={"need": lending.need, "blue_switch": lending.blue_switch, "forming_order": self._forming.state}
        )
        at_once = _at_once(state)
        changed = len(self._published) != len(at_once) or any(map(_changed, self._published, at_once))
        if changed or now - self._published_at >= PUBLISH_S:
            self._published, self._published_at = at_once, now
            self._publisher.decision_changed(None)

    def _release(self) -> None:
        """Leave every EVSE to itself where nothing is managed any more."""
        self.state = None
        self._site.operate_islanded(False)
        self._site.off_grid = False
        for state in self._registry:
            self._order(state, EvseOrders(), None)
        self._publisher.changed(None)

    @property
    def storage_w(self) -> float | None:
        """Set-point of the storage, + charge; None leaves it to the facility."""
        return self.state.storage_w if self.state is not None else None

    @property
    def pv_limit_w(self) -> float | None:
        """Most power that the photovoltaics may generate; None is no limit."""
        return self.state.pv_limit_w if self.state is not None else None

    @property
    def off_grid(self) -> bool:
        """True while the site is without a grid."""
        return self.controller.island.phase in OFF_GRID

    @property
    def forming(self) -> str | None:
        """Source that forms the voltage of the island, None where none does."""
        return self.controller.island.forming

    def constrain(self, lending: LendingConstraints) -> None:
        """Apply what lending agreements require from the next step on."""
        self.lending = lending
        for state in self._registry:
            agreed_pct = lending.floor_pct.get(state.name)
            if agreed_pct != state.agreed_pct:
                state.agreed_pct = agreed_pct
                state.wake.set()

    def demand(self) -> SiteDemand:
        """Return what the site needs off the grid, and what its storage can hold."""
        tiers = self.controller.off_grid.tiers.tiers
        critical_w = sum(tier.expected_w for tier in tiers if tier.critical)
        storage = self.controller.resource_builder.storage(self.view())
        draw_w = critical_w or sum(tier.expected_w for tier in tiers) or UNKNOWN_DRAW_W
        if storage is None:
            return SiteDemand(draw_w)
        full_wh = usable_wh(replace(storage, soc_pct=storage.ceiling_pct))
        return SiteDemand(draw_w, usable_wh(storage), full_wh, storage.max_charge_w)


def _at_once(state: EnergyState) -> tuple[object, ...]:
    """Return the parts of the state whose changes are published at once."""
    # on the grid the storage's set-point changes by little only where a limit of the connection requires it
    storage: object = state.storage_w if state.forming is not None else (state.storage_w,)
    orders = (state.phase, state.forming, state.main_switch, storage, state.pv_limit_w, state.tiers)
    return (*orders, state.reserve, state.may_drive)


def _changed(one: object, two: object) -> bool:
    if isinstance(one, (int, float)) and isinstance(two, (int, float)) and not isinstance(one, bool):
        return not near(float(one), float(two))
    return bool(one != two)
