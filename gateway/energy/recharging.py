"""Filling up again, from the sun during an outage and from the grid after it: who is first, and whether it will do.

In an island only what the sun gives too much is handed out, on the grid only what the connection leaves. Cars that
could not get home come first, then who is due first. A plan of the solver has the debts among its wants and chooses
the hours itself; then nothing is handed out here. What will not be ready is said now, not at the deadline.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from gateway.energy.forecast import Memory
from gateway.energy.reason import Decided
from gateway.energy.recharge_targets import RechargeTarget, debt_of, identity
from gateway.energy.reserve import Floor
from gateway.energy.resilience.recharge import Owed, Recharge, recharge_plan
from gateway.energy.resource import Resource
from gateway.energy.settings import EnergySection
from gateway.energy.view import View
from gateway.model.energy_state import RechargeState, RechargeTargetState
from gateway.model.moment import rfc3339
from gateway.model.site import Forecast

LOOK_S = 60.0
STEP_S = 1800.0
STEPS = 48
LATE_WH = 200.0  # less than this is measuring error
BACK_S = 900.0  # after a restart: what is owed to a car is kept until its station had time to come back
SPARE = 0.1  # of what is free left alone, so that what was given for a minute need not be taken back


@dataclass(slots=True)
class Recharging:
    """Remembers what batteries had before, plans each minute, and hands out power. Without debts it does nothing."""

    settings: EnergySection
    debts: dict[str, RechargeTarget] = field(default_factory=dict)
    plan: dict[str, Recharge] = field(default_factory=dict)
    _had: dict[str, float] = field(default_factory=dict)  # SoC by identity at its first sight off the grid
    _off: bool = False
    _back: float | None = None  # Unix time of the grid's return, while something is owed
    _looked: float | None = None
    _late: set[str] = field(default_factory=set)
    _given_w: dict[str, float] = field(default_factory=dict)
    _taken_up: bool = False
    _kept_until: float = -math.inf  # nothing is forgotten before

    # what outlives the process --------------------------------------------------------------------------------------

    def remembered(self) -> tuple[dict[str, float], bool, float | None]:
        """SoC by identity before the outage, whether it goes on, and when it was over (Unix time)."""
        return dict(self._had), self._off, self._back

    def take_up(self, had: Mapping[str, float], off: bool, back: float | None) -> None:
        """Go on where an earlier life of the gateway stood; before the first `look`."""
        self._had, self._off, self._back = dict(had), off, back
        self._taken_up = True

    # what is owed ---------------------------------------------------------------------------------------------------

    def look(
        self,
        view: View,
        resources: Sequence[Resource],
        floors: Mapping[str, Floor],
        off: bool,
        free_w: float,
        memory: Memory,
        sure: bool = True,
    ) -> list[Decided]:
        """Each step. `off`: the site is off the grid; `free_w`: what the connection leaves for charging now.

        `sure`: somebody has told about the grid since the gateway started.
        """
        if self._taken_up:
            self._taken_up, self._kept_until = False, view.now + BACK_S
        waits = view.now < self._kept_until
        if waits and not sure and not off:
            return []  # an outage is not over because nobody has spoken yet
        turned, self._off = off is not self._off, off
        if turned:
            self._looked, self._back = None, None if off else view.wall
        if off:
            for one in resources:
                if one.soc_pct is not None:
                    self._had.setdefault(identity(one), one.soc_pct)
        elif self._back is None:
            return []
        if self._looked is not None and view.now - self._looked < LOOK_S:
            return []
        self._looked = view.now
        events = self._settle(view, resources, floors)
        self._make_plan(view, resources, free_w, memory)
        self._given_w = {}  # handed out anew
        events += self._tell(view, turned and not off)
        if not off and not self.debts and not waits:
            self._back = None
            self._had.clear()
        return events

    def _settle(self, view: View, resources: Sequence[Resource], floors: Mapping[str, Floor]) -> list[Decided]:
        """The debts of what is here now; a debt that is paid is told, and not made again."""
        due = (self._back or view.wall) + self.settings.recharge_hours * 3600
        agreed = {car.evse: car.owed_pct for car in view.cars}
        held = {car.evse for car in view.cars if car.held}  # commanded otherwise for a while: still owed
        before = self.debts
        self.debts = {name: debt for name, debt in before.items() if name in held}
        events: list[Decided] = []
        for one in resources:
            old = before.get(one.name)
            debt = debt_of(one, self._had, agreed.get(one.name), due, floors, self.settings)
            if debt is not None:
                self.debts[one.name] = debt
            elif old is not None and old.vehicle == one.vehicle and not self._off:
                self._had.pop(identity(one), None)
                text = f"{identity(one)} has {old.target_pct:.0f} % again, for {old.because}."
                events.append(Decided(view.now, "recharged", text, one.name))
        if before and not self.debts and not self._off:
            events.append(Decided(view.now, "recharge_over", "Nothing is owed from the outage any more."))
        self._late &= set(self.debts)
        return events

    # when it is paid ------------------------------------------------------------------------------------------------

    def _make_plan(self, view: View, resources: Sequence[Resource], free_w: float, memory: Memory) -> None:
        most = {one.name: one.max_charge_w for one in resources}
        owed = [
            Owed(one.name, one.energy_wh, one.due, most.get(one.name, 0.0), 0 if one.urgent else 1, one.leaves)
            for one in self.debts.values()
        ]
        free = self._free(view, free_w, sum(most.values()), memory)
        self.plan = {one.name: one for one in recharge_plan(owed, view.wall, free, STEP_S)}

    def _free(self, view: View, free_w: float, most_w: float, memory: Memory) -> list[float]:
        """Free power of the next day's half hours: in an island the sun's surplus, else what the connection leaves."""
        try:
            ahead = memory.outlook(view.wall, STEP_S, STEPS, view.inputs.fresh(Forecast, view.now))
        except ValueError:
            return [0.0 if self._off else min(max(free_w, 0.0), most_w)] * STEPS
        net_w = [load - pv for load, pv in zip(ahead.load_w, ahead.pv_w, strict=True)]
        limit_w = 0.0 if self._off else free_w + net_w[0]
        return [min(max(0.0, limit_w - one), most_w) for one in net_w]

    def _tell(self, view: View, first: bool) -> list[Decided]:
        events = []
        if first and self.debts:
            total_wh = sum(one.energy_wh for one in self.debts.values())
            ready = ", ".join(f"{name} by {_at(one.ready)}" for name, one in list(self.plan.items())[:8])
            text = f"After the outage {total_wh / 1000:.1f} kWh are owed: {ready}."
            events.append(Decided(view.now, "recharge_planned", text, figures=(("owed_wh", round(total_wh)),)))
        for name, one in self.plan.items():
            debt = self.debts[name]
            if one.missing_wh <= LATE_WH or (self._off and not debt.urgent):  # nobody knows when the grid returns
                self._late.discard(name)
            elif name not in self._late:
                self._late.add(name)
                text = f"{debt.vehicle or name} will lack {one.missing_wh / 1000:.1f} kWh at {_at(debt.due)}"
                text += f" of the {debt.target_pct:.0f} % for {debt.because}."
                figures = (("missing_wh", round(one.missing_wh)),)
                events.append(Decided(view.now, "recharge_late", text, name, figures))
        return events

    # what each gets now ---------------------------------------------------------------------------------------------

    def wants(self, resources: Sequence[Resource]) -> Sequence[Resource]:
        """The resources with what they are owed among what they want, for plan and shares."""
        return [self._with(one) for one in resources] if self.debts else resources

    def _with(self, one: Resource) -> Resource:
        debt = self.debts.get(one.name)
        if debt is None:
            return one
        due = debt.due if one.due is None else min(debt.due, one.due)
        return replace(one, wanted_pct=max(one.wanted_pct or 0.0, debt.target_pct), due=due)

    def hand_out(self, resources: Sequence[Resource], free_w: float) -> list[Resource]:
        """`must_w` of each out of `free_w`: anew with each plan, and in between only less.

        Who is owed and has to wait gives nothing meanwhile, unless the connection itself wants it.
        """
        if not self.debts:
            return list(resources)
        if not self._given_w:
            self._given_w = self._shares(resources, free_w * (1 - SPARE))
        elif sum(self._given_w.values()) > max(0.0, free_w):
            self._given_w = self._shares(resources, free_w)
        keeps = free_w >= 0
        return [
            replace(
                one,
                must_w=min(self._given_w.get(one.name, 0.0), one.max_charge_w),
                max_discharge_w=0.0 if keeps and one.name in self.debts else one.max_discharge_w,
            )
            for one in resources
        ]

    def _shares(self, resources: Sequence[Resource], free_w: float) -> dict[str, float]:
        by_name = {one.name: one for one in resources}
        given: dict[str, float] = {}
        for debt in sorted(self.debts.values(), key=lambda one: (not one.urgent, one.due, one.name)):
            one = by_name.get(debt.name)
            watts = min(one.max_charge_w, free_w) if one is not None else 0.0
            if one is not None and watts > 0 and watts >= one.min_charge_w:
                given[debt.name] = watts
                free_w -= watts
        return given

    def state(self) -> RechargeState | None:
        """Return the open recharge targets as published in the site's state; None without any."""
        if not self.debts:
            return None
        rows = [
            RechargeTargetState(
                name=name,
                vehicle=debt.vehicle or None,
                target_pct=round(debt.target_pct, 1),
                because_of=debt.because,
                owed_wh=round(debt.energy_wh),
                due=debt.due,
                ready=None if math.isinf(one.ready) else one.ready,
                missing_wh=round(one.missing_wh),
            )
            for name, one in self.plan.items()
            if (debt := self.debts.get(name)) is not None
        ]
        return RechargeState(source="sun" if self._off else "grid", owed=tuple(rows))


def _at(wall: float) -> str:
    return "a time beyond tomorrow" if math.isinf(wall) else rfc3339(wall)[:16] + "Z"
