"""The planner: the optimum, or the plan by rules where the solver has none, with the reason.

A plan that the solver found and did not prove in its time is used where it costs no more than the rules.

It keeps the last basis (for speed) and whether the solver works, so that each change is reported once, and not each of
those that come and go. More visits than `MOST_VISITS` are aggregated first: vehicles that leave in the same step are
one battery in the plan; the real-time loop distinguishes them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from statistics import fmean

from gateway.energy.planning.problem import EnergyTarget, Plan, Problem, Visit
from gateway.energy.planning.rules import cost_of, rule_plan
from gateway.energy.planning.solve import Basis, NoPlan, solve
from gateway.energy.reason import Decided

MOST_VISITS = 60
STEADY_PLANS = 12  # in a row: fewer between two times by rules are no recovery, but another relapse
WITHIN_S = 5.0  # of solver time


class Planner:
    """Planner of one site. `plan` is called every few minutes and never raises because of the solver."""

    def __init__(self, within_s: float = WITHIN_S, most_found: int | None = None) -> None:
        self._basis: Basis | None = None
        self._working = True
        self._optimised = 0  # plans in a row
        self._needed = 1  # of them, before a recovery is reported
        self._recovered = False
        self.within_s = within_s
        self.most_found = most_found  # of the search, which is then the same on every machine

    def plan(self, problem: Problem, now: float) -> tuple[Plan, list[Decided]]:
        """Return the plan for `problem` and what has changed; `now` is monotonic, for the events."""
        aggregated = aggregate(problem)
        try:
            plan, self._basis = solve(aggregated, self._basis, self.within_s, self.most_found)
        except Exception as error:  # any failure: the site continues by rules
            self._basis = None
            why = str(error) if isinstance(error, (NoPlan, ValueError)) else f"the solver failed: {error!r}"
            return rule_plan(problem, why), self.fall_back(why, now)
        if not plan.proven:
            why = "the solver found no better plan in its time"
            rules = rule_plan(problem, why)
            if rules.cost < cost_of(aggregated, plan.visit_w):
                return rules, self.fall_back(why, now)
        return plan, self._recover(now)

    def _recover(self, now: float) -> list[Decided]:
        """Report once that plans are optimised again; after a relapse when many in a row have been."""
        self._optimised += 1
        if self._working or self._optimised < self._needed:
            return []
        self._working, self._recovered, self._optimised = True, True, 0
        return [Decided(now, "plan_recovered", "The plan is optimised again.")]

    def fall_back(self, why: str, now: float) -> list[Decided]:
        """Report once that the site is managed by rules, for example without any forecast; `why` ends a sentence."""
        working, optimised = self._working, self._optimised
        self._working, self._optimised = False, 0
        if not working:
            return []
        self._needed = STEADY_PLANS if self._recovered and optimised < STEADY_PLANS else 1
        return [Decided(now, "plan_fell_back", f"The site is managed by rules, because {why}.")]


def aggregate(problem: Problem, most: int = MOST_VISITS) -> Problem:
    """Return the problem with at most about `most` visits: those of equal arrival and departure become one."""
    if len(problem.visits) <= most:
        return problem
    width = problem.step_s
    while True:
        groups: dict[tuple[float, float, bool], list[Visit]] = {}
        for visit in problem.visits:
            begin = problem.start if visit.start <= problem.wall else visit.start // width
            finish = min(visit.end, problem.start + problem.steps * problem.step_s) // width
            groups.setdefault((begin, finish, visit.max_discharge_w > 0), []).append(visit)
        if len(groups) <= most or width > problem.steps * problem.step_s:
            return replace(problem, visits=tuple(_one(group) for group in groups.values()))
        width *= 2


def _one(group: Sequence[Visit]) -> Visit:
    """Return a battery within the limits of the group: it arrives with the last of them and leaves with the first."""
    if len(group) == 1:
        return group[0]
    energy = sum(one.energy_wh for one in group)
    power = sum(one.max_charge_w for one in group)

    end = min(one.end for one in group)
    targets = [target for one in group for target in one.targets]
    together: tuple[EnergyTarget, ...] = ()
    if targets:
        wanted = sum(
            max([one.energy_wh * (not one.targets), *(target.energy_wh for target in one.targets)]) for one in group
        )
        together = (
            EnergyTarget(
                min(end, *(target.at for target in targets)), wanted, max(target.per_kwh for target in targets)
            ),
        )
    return Visit(
        "+".join(sorted(one.name for one in group))[:200],
        energy,
        sum(one.capacity_wh for one in group),
        power,
        sum(one.max_discharge_w for one in group),
        max(one.start for one in group),
        end,
        sum(min(one.floor_wh, one.energy_wh) for one in group),
        sum(max(min(one.ceiling_wh, one.capacity_wh), one.energy_wh) for one in group),
        fmean(one.charge_efficiency for one in group),
        fmean(one.discharge_efficiency for one in group),
        max(one.degradation_per_kwh for one in group),
        together,
        None if any(one.value_per_kwh is None for one in group) else fmean(one.value_per_kwh or 0.0 for one in group),
    )
