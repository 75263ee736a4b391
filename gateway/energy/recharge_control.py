"""Recharging after an outage, and from PV surplus during it: priority, power and deadlines.

In an island only PV surplus is handed out, on the grid only what the connection leaves. Vehicles that could not get
home come first, then the earliest deadline. A plan of the solver contains the targets and chooses the hours itself;
then nothing is handed out here. A target that will be missed is reported in advance.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from gateway.authority.soc_floors import Floor
from gateway.energy.forecast import DayProfile
from gateway.energy.reason import Decided
from gateway.energy.recharge_schedule import Recharge, RechargeDemand, recharge_schedule
from gateway.energy.recharge_targets import RechargeTarget, identity, recharge_target
from gateway.energy.resource import Resource
from gateway.energy.settings import EnergySection
from gateway.energy.view import View
from gateway.model.energy_state import RechargeState, RechargeTargetState
from gateway.model.message import rfc3339
from gateway.model.site import Forecast

EVERY_S = 60.0
STEP_S = 1800.0
STEPS = 48
LATE_WH = 200.0  # less than this is measuring error
RESTORE_S = 900.0  # after a restart: targets are kept until the vehicle's station had time to connect
SPARE = 0.1  # of the free power left unused, so that small changes take nothing away again


@dataclass(slots=True)
class Recharging:
    """Records the SoC before an outage, schedules each minute, hands out power. Without targets it does nothing."""

    settings: EnergySection
    targets: dict[str, RechargeTarget] = field(default_factory=dict)
    schedule: dict[str, Recharge] = field(default_factory=dict)
    _before: dict[str, float] = field(default_factory=dict)  # SoC by identity when first seen off the grid
    _off: bool = False
    _back: float | None = None  # Unix time of the grid's return, while a target is open
    _updated: float | None = None
    _late: set[str] = field(default_factory=set)
    _power_w: dict[str, float] = field(default_factory=dict)
    _restored: bool = False
    _kept_until: float = -math.inf  # no target is dropped before

    # restart ----------------------------------------------------------------------------------------------------------

    def remembered(self) -> tuple[dict[str, float], bool, float | None]:
        """Return SoC by identity before the outage, whether it continues, and its end (Unix time), for the store."""
        return dict(self._before), self._off, self._back

    def restore(self, before: Mapping[str, float], off: bool, back: float | None) -> None:
        """Restore the state of `remembered` after a restart, before the first `update`."""
        self._before, self._off, self._back = dict(before), off, back
        self._restored = True

    # targets ----------------------------------------------------------------------------------------------------------

    def update(
        self,
        view: View,
        resources: Sequence[Resource],
        floors: Mapping[str, Floor],
        off: bool,
        free_w: float,
        profile: DayProfile,
        sure: bool,
    ) -> list[Decided]:
        """Update targets and schedule; called each step. `off`: off the grid; `free_w`: left for charging now.

        `sure`: the state of the grid has been reported since the gateway started.
        """
        if self._restored:
            self._restored, self._kept_until = False, view.now + RESTORE_S
        waits = view.now < self._kept_until
        if waits and not sure and not off:
            return []  # missing inputs are not the end of an outage
        changed, self._off = off is not self._off, off
        if changed:
            self._updated, self._back = None, None if off else view.wall
        if off:
            for one in resources:
                if one.soc_pct is not None:
                    self._before.setdefault(identity(one), one.soc_pct)
        elif self._back is None:
            return []
        if self._updated is not None and view.now - self._updated < EVERY_S:
            return []
        self._updated = view.now
        events = self._update_targets(view, resources, floors)
        self._make_schedule(view, resources, free_w, profile)
        self._power_w.clear()  # handed out anew
        events += self._report(view, changed and not off)
        if not off and not self.targets and not waits:
            self._back = None
            self._before.clear()
        return events

    def _update_targets(self, view: View, resources: Sequence[Resource], floors: Mapping[str, Floor]) -> list[Decided]:
        """Replace the targets by those of the present batteries; a target that is reached is reported once."""
        due = (self._back or view.wall) + self.settings.recharge_hours * 3600
        agreed = {car.evse: car.return_pct for car in view.cars}
        held = {car.evse for car in view.cars if car.held}  # under a command for a while: the target stays
        before = self.targets
        self.targets = {name: target for name, target in before.items() if name in held}
        events: list[Decided] = []
        for one in resources:
            old = before.get(one.name)
            target = recharge_target(one, self._before, agreed.get(one.name), due, floors, self.settings)
            if target is not None:
                self.targets[one.name] = target
            elif old is not None and old.vehicle == one.vehicle and not self._off:
                self._before.pop(identity(one), None)
                text = f"{identity(one)} is recharged to {old.target_pct:.0f} %, for {old.because}."
                events.append(Decided(view.now, "recharged", text, one.name))
        if before and not self.targets and not self._off:
            events.append(Decided(view.now, "recharge_over", "All batteries are recharged after the outage."))
        self._late &= set(self.targets)
        return events

    # schedule ---------------------------------------------------------------------------------------------------------

    def _make_schedule(self, view: View, resources: Sequence[Resource], free_w: float, profile: DayProfile) -> None:
        most = {one.name: one.max_charge_w for one in resources}
        demands = [
            RechargeDemand(one.name, one.energy_wh, one.due, most.get(one.name, 0.0), not one.urgent, one.leaves)
            for one in self.targets.values()
        ]
        free = self._free(view, free_w, sum(most.values()), profile)
        self.schedule = {one.name: one for one in recharge_schedule(demands, view.wall, free, STEP_S)}

    def _free(self, view: View, free_w: float, most_w: float, profile: DayProfile) -> list[float]:
        """Return the free power of the next day's half hours: PV surplus in an island, else what the site leaves."""
        try:
            ahead = profile.outlook(view.wall, STEP_S, STEPS, view.inputs.fresh(Forecast, view.now))
        except ValueError:
            return [0.0 if self._off else min(max(free_w, 0.0), most_w)] * STEPS
        net_w = [load - pv for load, pv in zip(ahead.load_w, ahead.pv_w, strict=True)]
        limit_w = 0.0 if self._off else free_w + net_w[0]
        return [min(max(0.0, limit_w - one), most_w) for one in net_w]

    def _report(self, view: View, first: bool) -> list[Decided]:
        events = []
        if first and self.targets:
            total_wh = sum(one.energy_wh for one in self.targets.values())
            ready = ", ".join(f"{name} by {_at(one.ready)}" for name, one in list(self.schedule.items())[:8])
            text = f"After the outage {total_wh / 1000:.1f} kWh are to be recharged: {ready}."
            events.append(Decided(view.now, "recharge_planned", text, figures=(("owed_wh", round(total_wh)),)))
        for name, one in self.schedule.items():
            target = self.targets[name]
            if one.missing_wh <= LATE_WH or (self._off and not target.urgent):  # the grid's return is unknown
                self._late.discard(name)
            elif name not in self._late:
                self._late.add(name)
                text = f"{target.vehicle or name} will be {one.missing_wh / 1000:.1f} kWh short at {_at(target.due)}"
                text += f" of the {target.target_pct:.0f} % for {target.because}."
                figures = (("missing_wh", round(one.missing_wh)),)
                events.append(Decided(view.now, "recharge_late", text, name, figures))
        return events

    # power ------------------------------------------------------------------------------------------------------------

    def with_targets(self, resources: Sequence[Resource]) -> Sequence[Resource]:
        """Return the resources with their recharge targets among the wanted SoC, for plan and shares."""
        return [self._with_target(one) for one in resources] if self.targets else resources

    def _with_target(self, one: Resource) -> Resource:
        target = self.targets.get(one.name)
        if target is None:
            return one
        due = target.due if one.due is None else min(target.due, one.due)
        return replace(one, wanted_pct=max(one.wanted_pct or 0.0, target.target_pct), due=due)

    def hand_out(self, resources: Sequence[Resource], free_w: float) -> list[Resource]:
        """Return the resources with `must_w` out of `free_w`: anew with each schedule, in between only less.

        A battery that waits for its recharge is not discharged meanwhile, unless the site's limits require it.
        """
        if not self.targets:
            return list(resources)
        if not self._power_w:
            self._power_w = self._shares(resources, free_w * (1 - SPARE))
        elif sum(self._power_w.values()) > max(0.0, free_w):
            self._power_w = self._shares(resources, free_w)
        keeps = free_w >= 0
        return [
            replace(
                one,
                must_w=min(self._power_w.get(one.name, 0.0), one.max_charge_w),
                max_discharge_w=0.0 if keeps and one.name in self.targets else one.max_discharge_w,
            )
            for one in resources
        ]

    def _shares(self, resources: Sequence[Resource], free_w: float) -> dict[str, float]:
        by_name = {one.name: one for one in resources}
        power: dict[str, float] = {}
        for target in sorted(self.targets.values(), key=lambda one: (not one.urgent, one.due, one.name)):
            one = by_name.get(target.name)
            if one is None:
                continue
            charge_w = min(one.max_charge_w, free_w)
            if charge_w > 0 and charge_w >= one.min_charge_w:
                power[target.name] = charge_w
                free_w -= charge_w
        return power

    def state(self) -> RechargeState | None:
        """Return the open recharge targets as published in the site's state; None without any."""
        if not self.targets:
            return None
        rows = [
            RechargeTargetState(
                name=name,
                vehicle=target.vehicle or None,
                target_pct=round(target.target_pct, 1),
                because_of=target.because,
                owed_wh=round(target.energy_wh),
                due=target.due,
                ready=None if math.isinf(one.ready) else one.ready,
                missing_wh=round(one.missing_wh),
            )
            for name, one in self.schedule.items()
            if (target := self.targets.get(name)) is not None
        ]
        return RechargeState(source="sun" if self._off else "grid", owed=tuple(rows))


def _at(wall: float) -> str:
    return "a time beyond tomorrow" if math.isinf(wall) else rfc3339(wall)[:16] + "Z"
