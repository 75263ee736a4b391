"""What stands in the site's state under `energy`: the parts that plan and demand window give. JSON values only."""

from __future__ import annotations

from typing import Any

from gateway.authority.demand_window import DemandWindow
from gateway.energy.planning.problem import Plan


def rounded(value: float | None) -> float | None:
    """Whole watts, and no −0."""
    return None if value is None else round(value) + 0.0


def share_state(share: float | None) -> float | None:
    """A part of one, to a thousandth."""
    return None if share is None else round(share, 3)


def plan_state(plan: Plan | None, reserve_pct: float) -> dict[str, Any] | None:
    """The plan's series from its first step on."""
    if plan is None:
        return None
    return {
        "source": plan.source,
        "reason": plan.reason,
        "made_at": plan.wall,
        "start": plan.start,
        "step_s": plan.step_s,
        "power_w": [round(value) for value in plan.power_w],
        "grid_w": [round(value) for value in plan.grid_w],
        "reserve_pct": reserve_pct,
    }


def window_state(window: DemandWindow | None, contract_w: float | None) -> dict[str, Any] | None:
    """The running demand window, where there is a contract."""
    if window is None or contract_w is None:
        return None
    return {
        "ends_at": window.end,
        "imported_wh": round(window.imported_wh, 1),
        "average_w": round(window.average_w),
        "contract_w": contract_w,
        "estimated_wh": round(window.estimated_wh, 1),
    }
