"""The normal day, second by second: limits of the connection, the mode's wish, the ramp, the shares."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from gateway.authority.ramp import Ramp, walk
from gateway.energy.base_load import Residual
from gateway.energy.demand_window import DemandWindow, advance, corrected, open_window
from gateway.energy.headroom import Headroom, room
from gateway.energy.modes import Mode, Situation, Wish, all_modes
from gateway.energy.planning.assembly import tariff_now
from gateway.energy.planning.problem import Plan
from gateway.energy.reason import Decided
from gateway.energy.recharging import Recharging
from gateway.energy.resource import Resource
from gateway.energy.settings import EnergySection
from gateway.energy.share import Shares, must_w, share
from gateway.energy.tracking_supervision import Followers
from gateway.energy.view import View
from gateway.model.command import SiteMode
from gateway.model.site import Freshness, Grid, InputKind, Load, Meter, Pv, Storage

METER_KINDS = (InputKind.GRID, InputKind.LOAD)
PATIENCE = 0.3  # of the power of all cars that may be needed later before shaving begins now
OLD_PLANS = 3  # a plan that has not been renewed for so many times its turn is none
PLAN_SHORT_W = 50.0  # if those of the plan miss the target by more, all take part
SETTLED_W = 100.0  # so much is left when a site is handed over to its EVSEs' own commands
NEAR_W = 200.0  # the demand window is told of when it binds by more than this


@dataclass(frozen=True, slots=True)
class Share:
    """The outcome of one step on the grid. `shares` None: manual, each EVSE follows its own commands.

    Shares may name some only: in manual those that are owed energy from an outage.
    """

    wish: Wish
    room: Headroom
    target_w: float
    residual_w: float | None
    shares: Shares | None
    events: tuple[Decided, ...] = ()


@dataclass(slots=True)
class OnGrid:
    """State of the normal day: modes with their latches, the window, the meter's memory, the ramp."""

    settings: EnergySection
    recharging: Recharging
    modes: dict[SiteMode, Mode] = field(default_factory=all_modes)
    followers: Followers = field(default_factory=Followers)
    residual: Residual = field(default_factory=Residual)
    ramp: Ramp | None = None
    window: DemandWindow | None = None
    peak_w: float = 0.0
    finished: list[DemandWindow] = field(default_factory=list)
    plan: Plan | None = None
    _mode: SiteMode | None = None
    _code: str = ""
    _binding: str = ""
    _metered_ts: float = 0.0
    _shaving: bool = False
    arrived: bool = True  # the walk to what is wanted is over
    free_w: float = float("inf")  # what the connection left for charging in the last step

    def __post_init__(self) -> None:
        self.residual.delay_s = self.settings.meter_delay_s

    def site_w(self, view: View, controlled_w: float) -> tuple[float | None, float | None]:
        """(the grid's power, the site's own draw without what is ours), None where the meters are silent or absent."""
        grid = view.inputs.fresh(Grid, view.now)
        self.residual.controlled(view.now, controlled_w)
        if grid is not None and grid.power_w is not None:
            if grid.ts != self._metered_ts:
                self._metered_ts = grid.ts
                age_s = min(max(0.0, view.wall - grid.ts), 60.0) if not self.settings.meter_delay_s else 0.0
                self.residual.metered(view.now, grid.power_w, view.now - age_s if age_s else None)
            return grid.power_w, self.residual.power_w
        load, pv = view.inputs.fresh(Load, view.now), view.inputs.fresh(Pv, view.now)
        storage = view.inputs.fresh(Storage, view.now)
        if load is None:
            return None, None
        own = load.power_w - (pv.power_w if pv is not None else 0.0)
        own += sum(car.power_w or 0.0 for car in view.cars if car.held)
        if storage is not None and not self.settings.storage.controlled:
            own += storage.power_w
        return own + controlled_w, own

    def meter(self, view: View, grid_w: float | None) -> list[Decided]:
        """Move the demand window on, by our own count or the utility's; answers windows that ended above the
        contract.
        """
        contract_w = self.settings.contract_w
        limit_w = contract_w if contract_w is not None else view.import_w or 0.0
        if self.window is None:
            window = open_window(view.wall, self.settings.window_s)
            self.window = replace(window, at=window.start, power_w=limit_w)  # what was drawn before nobody saw
        self.window, done = advance(self.window, view.wall, grid_w, limit_w)
        told = view.inputs.fresh(Meter, view.now)
        if told is not None and told.window_start <= view.wall < told.window_start + told.window_s:
            since_s = max(0.0, view.wall - told.ts)
            energy = told.energy_wh + max(0.0, self.window.power_w) * since_s / 3600
            self.window = replace(self.window, length_s=told.window_s)
            left_s = told.window_start + told.window_s - view.wall
            self.window = corrected(self.window, view.wall, energy, left_s if left_s > 0 else None)
        if done is None:
            return []
        self.finished = [*self.finished[-47:], done]
        self.peak_w = max(self.peak_w, done.average_w)
        if contract_w is None or done.average_w <= contract_w:
            return []
        text = f"The demand window ended at {done.average_w:.0f} W, above the contract of {contract_w:.0f} W."
        return [Decided(view.now, "contract_exceeded", text, figures=(("average_w", round(done.average_w)),))]

    def step(self, view: View, resources: Sequence[Resource], limit_share: float) -> Share:
        """One second. `limit_share` (0 to 1) is what the return from an outage leaves of everybody's power."""
        controlled_w = sum(one.present_w for one in resources)
        grid_w, residual_w = self.site_w(view, controlled_w)
        events = self.meter(view, grid_w)
        measured = any(view.inputs.freshness(kind, view.now) is not Freshness.NEVER for kind in METER_KINDS)
        left = room(
            self.settings.connection(view.import_w, view.export_w, view.peak_w),
            residual_w,
            measured,
            self.window,
            view.wall,
        )
        usable = [_limited(one, limit_share) for one in resources]
        counted, noticed = self.followers.look(usable, view.now)
        must, others = must_w(counted, view.wall)
        left = self._patient(left, others - must)
        situation = self._situation(view, counted, residual_w, left)
        mode = self.modes[view.mode]
        if view.mode is not self._mode:
            mode.enter(situation)
            self._mode = view.mode
        wish = mode.wish(situation)
        self.free_w = left.high_w
        if wish.soft and self.recharging.debts:  # a command or a plan has decided about what is owed already
            leaving_w, _ = must_w([one for one in counted if one.name not in self.recharging.debts], view.wall)
            counted = self.recharging.hand_out(counted, left.high_w - leaving_w)
            must, others = must_w(counted, view.wall)
        if wish.power_w is None and self.ramp is not None and abs(self.ramp.power_w) > SETTLED_W:
            wish = replace(wish, power_w=0.0, soft=True)  # handed over at rest, so that nothing jumps
        self.arrived = True
        if wish.power_w is None:
            counted = [one for one in counted if one.must_w > 0]
            if not counted:
                self.ramp = None
                changes = self._changes(view, wish, left, 0.0)
                return Share(wish, left, controlled_w, residual_w, None, (*events, *noticed, *changes))
            wish = Wish(0.0, "recharge", "What the outage took is given back.")
            controlled_w = sum(one.present_w for one in counted)
            must, others = must_w(counted, view.wall)
        assert wish.power_w is not None
        before = self.ramp or Ramp(controlled_w, view.now)
        if view.now - before.at > self.settings.step_s:  # a rest is not made up for: a walk has no jumps
            before = Ramp(before.power_w, view.now - self.settings.step_s)
        low = max(left.low_w, -sum(one.max_discharge_w for one in counted))
        high = min(left.high_w, sum(one.max_charge_w for one in counted))
        wished_w = wish.power_w
        if wish.soft:
            wished_w = max(wished_w, -others) + must if wished_w <= 0 else max(wished_w, must)
        wanted_w = min(max(wished_w, low), high)
        self.ramp = walk(before, wanted_w, view.now, view.ramp_w_per_s, left.low_w, left.high_w)
        target_w = self.ramp.power_w
        self.arrived = target_w == min(max(wanted_w, left.low_w), left.high_w)
        shares = self._shares(target_w, counted, view, by_plan=wish.code.startswith("plan"))
        changes = self._changes(view, wish, left, wish.power_w)
        return Share(wish, left, target_w, residual_w, shares, (*events, *noticed, *changes))

    def _shares(self, target_w: float, counted: Sequence[Resource], view: View, *, by_plan: bool) -> Shares:
        """Shares of the target. Where the plan rules, first among those whom it gives this direction now, so that a car
        that it keeps for its owner is not emptied for a kitchen that is not in the plan.
        """
        step = self.plan.step_at(view.wall) if self.plan is not None and by_plan else None
        if self.plan is not None and step is not None:
            planned = {name: series[step] for name, series in self.plan.visit_w.items()}
            chosen = [
                replace(
                    one,
                    max_charge_w=one.max_charge_w if planned.get(one.name, 0.0) > 0 or target_w < 0 else 0.0,
                    max_discharge_w=one.max_discharge_w if planned.get(one.name, 0.0) < 0 or target_w > 0 else 0.0,
                )
                for one in counted
            ]
            shares = share(target_w, chosen, view.wall)
            if abs(shares.short_w) < PLAN_SHORT_W:
                return shares
        return share(target_w, counted, view.wall)

    def _patient(self, left: Headroom, able_w: float) -> Headroom:
        """Not every peak is a bad window: shaving waits while a third of the cars' power could still put it right.

        Only for the demand window, which is an average; a fuse does not wait.
        """
        needed_w = -left.high_w
        if left.high_code != "demand_window" or needed_w <= 0:
            self._shaving = False
            return left
        if not self._shaving and needed_w < PATIENCE * able_w:
            return replace(left, high_w=0.0, low_w=min(left.low_w, 0.0))
        self._shaving = True
        return left

    def _situation(
        self, view: View, resources: Sequence[Resource], residual_w: float | None, left: Headroom
    ) -> Situation:
        planned_w = planned_grid_w = None
        plan = self.plan
        fresh = plan is not None and view.wall - plan.wall < OLD_PLANS * self.settings.plan_every_s
        if plan is not None and fresh and plan.source == "optimum" and (step := plan.step_at(view.wall)) is not None:
            planned_w, planned_grid_w = plan.power_w[step], plan.grid_w[step]
        return Situation(
            view.now,
            view.wall,
            residual_w,
            resources,
            left.high_w,
            planned_w,
            planned_grid_w,
            view.command_w,
            tariff_now(view, self.settings),
        )

    def _changes(self, view: View, wish: Wish, left: Headroom, wanted_w: float) -> list[Decided]:
        """Say once when another reason rules, and when a limit of the connection begins or ends to bind."""
        events = []
        if wish.code != self._code:
            self._code = wish.code
            events.append(Decided(view.now, f"mode_{wish.code}", f"{view.mode.value}: {wish.text}"))
        binding = ""
        if wanted_w > left.high_w + NEAR_W:
            binding = left.high_code
        elif wanted_w < left.low_w - NEAR_W:
            binding = left.low_code
        if binding != self._binding:
            self._binding = binding
            if binding:
                edge_w = left.high_w if wanted_w > left.high_w else left.low_w
                text = f"The {binding.replace('_', ' ')} leaves {edge_w:.0f} W of the {wanted_w:.0f} W that are wanted."
                events.append(Decided(view.now, f"bound_by_{binding}", text))
        return events


def _limited(one: Resource, part: float) -> Resource:
    if part >= 1.0:
        return one
    return replace(one, max_charge_w=one.max_charge_w * part, max_discharge_w=one.max_discharge_w * part)
