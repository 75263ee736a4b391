"""Runs the site's energy controller: shows it the board each second, and carries its orders out.

No decision is taken here. What the controller says of an EVSE becomes bounds of the order of authority at its place;
what it says to the facility (main switch, tiers, storage, roof) becomes the `energy` part of the site's state; what it
has decided becomes an event. Plans are solved in a thread, so that a slow one stops nobody.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from gateway.authority.hardware_limits import dead_band, hardware_power
from gateway.authority.priority import Bound
from gateway.authority.soc_floors import floors
from gateway.control.board import Board
from gateway.control.control_state import EvseControlState
from gateway.control.settings import SETTLE_S
from gateway.energy.controller import SiteController
from gateway.energy.grid_forming import GridFormingService
from gateway.energy.persistence import EnergyPersistence
from gateway.energy.settings import EnergySection
from gateway.energy.view import Car, EvseOrders, Orders, View
from gateway.model.command import SiteMode
from gateway.model.journal import Kept
from gateway.model.station import Formers

log = logging.getLogger("v2x")

QUIET_S = 5.0  # where there is nothing to manage, or where nothing has moved and nobody told anything
TOGETHER_S = 0.05  # what is told at one moment is looked at together
TELL_S = 60.0  # the slow parts of the state (autonomy, plan, window) are told this often
SAME_W = 25.0  # a bound that moved by less is the same
SAME_SHARE = 0.02  # of a wish: one for more power that is no further off is not worth a message to the station
LATE_PLANS = 2  # times its turn: a plan that takes longer does not come
METER_S = 60.0  # a power older than this is not known
TOLD_AT_ONCE = ("phase", "forming", "main_switch", "storage_w", "pv_limit_w", "tiers", "reserve", "may_drive")


class EnergyService:
    """One site's. `state` is what the site's state carries under `energy`, None while nothing is managed."""

    def __init__(
        self,
        board: Board,
        settings: EnergySection,
        rooms: Formers | None = None,
        keeper: EnergyPersistence | None = None,
    ) -> None:
        self._board = board
        self._keeper = keeper
        self._former = GridFormingService(board, rooms, settings.forming, settings.parallel_forming)
        self.settings = settings
        self.controller = SiteController(settings)
        self.state: dict[str, Any] | None = None
        self._told: dict[str, Any] = {}
        self._told_at = -math.inf
        self._planning: asyncio.Task[None] | None = None
        self._planning_at = 0.0
        self._failing = False
        self.steps = self.plans = 0  # what they cost is counted
        self.called: frozenset[str] = frozenset()  # cars here that are wanted at another site
        self.agreed_floors: dict[str, float] = {}  # by EVSE: the floor of the agreement the car stands under
        self.owed_pct: dict[str, float] = {}  # by EVSE: up to where its agreement has it filled after an outage
        self.extra_state: dict[str, Any] = {}  # parts of the state that others know
        self.own_cars = frozenset(car.vehicle for car in settings.cars)
        self._sent: dict[str, tuple[float | None, float]] = {}  # what each station was last told, and since when

    def restore(self, kept: Sequence[Kept]) -> None:
        """Take up the books of an earlier life of the gateway; before the first step."""
        if self._keeper is not None:
            self._keeper.restore(self.controller, kept)

    async def run(self) -> None:
        """Until cancelled."""
        try:
            while True:
                active = self.active()
                if active:
                    self._safely()
                elif self.state is not None:
                    self._let_go()
                await self._rest(active)
        finally:
            if self._planning is not None:
                self._planning.cancel()
            await self._former.end()

    async def _rest(self, active: bool) -> None:
        """Until the next step: after `step_s` while anything moves, on news or after a while when all is still."""
        clock, news, step_s = self._board.clock, self._board.news, self.settings.step_s
        if not active or step_s >= QUIET_S or not self.controller.still:
            news.clear()
            await clock.sleep(step_s if active else QUIET_S)
            return
        began = clock.now()
        with contextlib.suppress(TimeoutError):
            async with clock.timeout_at(began + QUIET_S):
                await news.wait()
        news.clear()
        if (early_s := began + step_s - clock.now()) > 0:
            await clock.sleep(max(early_s, TOGETHER_S))
        elif clock.now() < began + QUIET_S:
            await clock.sleep(TOGETHER_S)

    def _safely(self) -> None:
        """A step; a defect in it costs the site its optimum, not its gateway: EVSEs are left to commands and limits."""
        try:
            self.step()
            self._failing = False
        except Exception:
            if not self._failing:
                self._failing = True
                log.exception("the energy controller failed; EVSEs are left to their own commands")
                text = "The energy controller has failed; EVSEs are left to commands and limits. See the log."
                self._board.decided("energy_failed", text, None, "", {})
            for place in self._board.places.values():
                if not place.hands_off:  # who carries an island goes on
                    self._order(place, EvseOrders())

    def active(self) -> bool:
        """Whether this site has anything to manage."""
        one, site = self.settings, self._board.site
        if not one.enabled:
            return False
        managed = one.island or one.contract_w is not None or one.reserve_pct > 0 or one.tiers or one.storage.controlled
        return bool(managed) or site.mode is not SiteMode.MANUAL or site.backup or bool(one.calendar)

    def step(self) -> Orders:
        """One look and its orders."""
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
        if self._keeper is not None:
            self._keeper.keep(self.controller, view.now, view.wall)
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

    # what it is shown -----------------------------------------------------------------------------------------------

    def view(self) -> View:
        """The board as the controller sees it."""
        board = self._board
        site, policy, now = board.site, board.site.policy, board.clock.now()
        bare = replace(site, reserve_pct=None, reserve_wh=None)
        cars = [self._car(place, bare, now) for place in board.places.values() if place.evse.session is not None]
        return View(
            now,
            board.clock.wall(),
            site.inputs,
            cars,
            site.mode,
            policy.import_limit_w,
            policy.export_limit_w,
            site.peak_limit_w,
            site.reserve_pct,
            site.backup,
            site.emergency_stop is not None,
            self.called,
            self._former.unable(),
            ramp_w_per_s=policy.ramp_w_per_s,
            floor_hysteresis_pct=policy.floor_hysteresis_pct,
            discharge_without_soc=policy.discharge_without_soc,
        )

    def _car(self, place: EvseControlState, bare: Any, now: float) -> Car:
        evse, needs = place.evse, place.evse.needs
        charge_w, discharge_w = hardware_power(evse)
        band = dead_band(evse)
        found = floors(evse, bare, place.reserve, None, self.agreed_floors.get(evse.name))
        wanted = needs.target_soc_pct if needs is not None else None
        if (
            wanted is None
            and needs is not None
            and needs.target_energy_wh
            and evse.known_capacity_wh
            and evse.soc_pct is not None
        ):
            wanted = min(100.0, evse.soc_pct + 100.0 * needs.target_energy_wh / evse.known_capacity_wh)
        # a value measured before the station was told something else says nothing about now
        before_w, since = self._sent.get(evse.name, (None, -math.inf))
        if before_w is None or place.sent_w is None or abs(before_w - place.sent_w) >= SAME_W:
            since = now if place.sent_w is not None and before_w is not None else -math.inf
            self._sent[evse.name] = (place.sent_w, since)
        told_at = since + SETTLE_S
        measured = evse.metered_at is not None and now - evse.metered_at <= METER_S and evse.metered_at >= told_at
        return Car(
            evse.name,
            charge_w,
            discharge_w,
            band.charge_w,
            band.discharge_w,
            evse.vehicle or "",
            evse.soc_pct,
            evse.known_capacity_wh,
            found[0].pct,
            wanted,
            needs.departure if needs is not None else None,
            evse.power_w if measured else None,
            place.sent_w or 0.0,
            place.holding is not None,
            return_pct=self.owed_pct.get(evse.name),
        )

    # what it carries out --------------------------------------------------------------------------------------------

    def _carry_out(self, orders: Orders) -> None:
        board = self._board
        if board.site.islanded is not orders.islanded:
            board.site.islanded = orders.islanded
            board.wake_all()
        island = self.controller.island
        self._former.step(orders.forming, island.interlock.may_start, island.sure)
        nothing = EvseOrders()
        for place in board.places.values():
            self._order(place, orders.evses.get(place.name, nothing))
        for event in orders.events:
            evse = event.subject if event.subject in board.places else None
            figures = dict(event.figures)
            board.decided(event.code, event.text, evse, event.subject, figures)
        self._tell(orders.state)

    def _order(self, place: EvseControlState, mine: EvseOrders) -> None:
        before = (place.optimiser, place.extra, place.hands_off)
        wish = before[0] if _hardly_more(before[0], mine.optimiser) else mine.optimiser
        # bounds above any command hold to the watt
        place.optimiser, place.extra, place.hands_off = wish, mine.extra, mine.hands_off
        if _same(before, (wish, mine.extra, mine.hands_off)):
            return
        place.wake.set()

    def _tell(self, state: Mapping[str, Any]) -> None:
        now = self._board.clock.now()
        self.state = {**state, **self.extra_state, "forming_order": self._former.state}
        at_once = {key: state.get(key) for key in TOLD_AT_ONCE}
        known = {key: self._told.get(key) for key in TOLD_AT_ONCE}
        moved = any(_moved(known[key], at_once[key]) for key in TOLD_AT_ONCE)
        if moved or now - self._told_at >= TELL_S:
            self._told, self._told_at = self.state, now
            self._board.changed(None)

    def _let_go(self) -> None:
        """Nothing is managed any more: every EVSE is left to itself."""
        self.state = None
        self._board.site.islanded = False
        for place in self._board.places.values():
            self._order(place, EvseOrders())
        self._board.changed(None)


def _same(one: tuple[Bound | None, tuple[Bound, ...], bool], two: tuple[Bound | None, tuple[Bound, ...], bool]) -> bool:
    if one[2] is not two[2] or (one[0] is None) is not (two[0] is None) or len(one[1]) != len(two[1]):
        return False
    pairs = list(zip(one[1], two[1], strict=True))
    if one[0] is not None and two[0] is not None:
        pairs.append((one[0], two[0]))
    return all(
        a.layer is b.layer and a.code is b.code and _near(a.low_w, b.low_w) and _near(a.high_w, b.high_w)
        for a, b in pairs
    )


def _hardly_more(held: Bound | None, new: Bound | None) -> bool:
    """Whether a wish is the one that holds, give or take what no meter of a site shows. What errs, errs on less."""
    if held is None or new is None or held.low_w != held.high_w or new.low_w != new.high_w:
        return False
    if held.code is not new.code or held.low_w * new.low_w <= 0:
        return False
    more_w = abs(new.low_w) - abs(held.low_w)
    return -SAME_W < more_w < max(SAME_W, SAME_SHARE * abs(held.low_w))


def _near(one: float, two: float) -> bool:
    """The same to `SAME_W`; but zero is only zero, for it is an order of its own."""
    if one == two:
        return True
    return bool(one) is bool(two) and abs(one - two) < SAME_W


def _moved(one: Any, two: Any) -> bool:
    if isinstance(one, (int, float)) and isinstance(two, (int, float)) and not isinstance(one, bool):
        return not _near(float(one), float(two))
    return bool(one != two)
