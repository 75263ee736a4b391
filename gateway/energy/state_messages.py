"""Parts of the site's published energy state.

Parts that change rarely are cached, because the state is made each second.
"""

from __future__ import annotations

from functools import lru_cache

from gateway.authority.demand_window import DemandWindow
from gateway.energy.planning.problem import Plan
from gateway.model.energy_state import AnnouncedReserve, AutonomyHours, DemandWindowState, PlanState, ReserveState


def rounded(value: float | None) -> float | None:
    """Return whole watts, without −0."""
    return None if value is None else round(value) + 0.0


def rounded_hours(value: float | None) -> float | None:
    """Return hours, rounded to a hundredth."""
    return None if value is None else round(value, 2)


def share_state(share: float | None) -> float | None:
    """Return a share of one, rounded to a thousandth."""
    return None if share is None else round(share, 3)


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
        power_w=tuple(round(value) for value in plan.power_w),
        grid_w=tuple(round(value) for value in plan.grid_w),
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


@lru_cache(maxsize=64)
def autonomy_hours(low: float, expected: float, high: float) -> AutonomyHours:
    """Return the hours of a load tier, rounded to a hundredth."""
    return AutonomyHours(low=round(low, 2), expected=round(expected, 2), high=round(high, 2))


@lru_cache(maxsize=64)
def reserve_state(
    pct: float,
    floor_pct: float,
    why: str,
    raised: bool,
    until: float | None,
    off_grid: bool,
    announced: tuple[float, float, str] | None,
) -> ReserveState:
    """Return the reserve in force; `announced`: start, state of charge and reason of the next one."""
    coming = None
    if announced is not None:
        coming = AnnouncedReserve(starts=announced[0], reserve_pct=announced[1], because_of=announced[2])
    return ReserveState(
        reserve_pct=pct,
        floor_pct=floor_pct,
        because_of=why,
        raised=raised,
        until=until,
        off_grid=off_grid,
        next=coming,
    )
