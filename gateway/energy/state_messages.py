"""Parts of the site's published energy state."""

from __future__ import annotations

from collections.abc import Mapping

from gateway.authority.demand_window import DemandWindow
from gateway.energy.planning.problem import Plan
from gateway.energy.resilience.autonomy import Hours
from gateway.model.energy_state import AutonomyHours, DemandWindowState, PlanState


def rounded(value: float | None) -> float | None:
    """Return whole watts, without −0."""
    return None if value is None else round(value) + 0.0


def rounded_hours(value: float | None) -> float | None:
    """Return hours, rounded to a hundredth."""
    return None if value is None else round(value, 2)


def share_state(share: float | None) -> float | None:
    """Return a share of one, rounded to a thousandth."""
    return None if share is None else round(share, 3)


def autonomy_state(hours: Mapping[str, Hours]) -> dict[str, AutonomyHours]:
    """Return the autonomy of each load tier."""
    return {
        name: AutonomyHours(low=round(one.low, 2), expected=round(one.expected, 2), high=round(one.high, 2))
        for name, one in hours.items()
    }


def plan_state(plan: Plan | None, reserve_pct: float) -> PlanState | None:
    """Return the plan's series from its first step."""
    if plan is None:
        return None
    return PlanState(
        source=plan.source,
        reason=plan.reason,
        made_at=plan.wall,
        start=plan.start,
        step_s=plan.step_s,
        power_w=tuple(map(round, plan.power_w)),
        grid_w=tuple(map(round, plan.grid_w)),
        reserve_pct=reserve_pct,
    )


def window_state(window: DemandWindow | None, contract_w: float | None) -> DemandWindowState | None:
    """Return the running demand window; None without a contract."""
    if window is None or contract_w is None:
        return None
    return DemandWindowState(
        ends_at=window.end,
        imported_wh=round(window.imported_wh, 1),
        average_w=round(window.average_w),
        contract_w=contract_w,
        estimated_wh=round(window.estimated_wh, 1),
    )
