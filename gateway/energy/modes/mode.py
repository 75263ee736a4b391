"""Interface of every mode: a target for the total power of vehicles and storages, from the values of one step.

A mode returns a target only; the site's limits, the reserve, the ramp and the control hierarchy narrow it. So no mode
can exceed a limit, and a change of mode only changes where the ramp goes. A mode keeps at most a latch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import field
from enum import StrEnum
from typing import Protocol

from gateway.energy.price import Tariff
from gateway.energy.resource import Resource
from protocols.frozen import frozen


@frozen
class Situation:
    """Values of one step, in W. `base_w` is load − PV, None where the meters are stale.

    `headroom_w`: what the site's limits leave for vehicles and storages together (negative: they must discharge);
    infinite without any limit. `export_headroom_w`: likewise the lowest power, by a limit on export. `planned_w` and
    `planned_grid_w`: the plan's figures for this moment, None without a plan in force.
    """

    now: float
    wall: float
    base_w: float | None
    resources: Sequence[Resource]
    headroom_w: float = float("inf")
    planned_w: float | None = None
    planned_grid_w: float | None = None
    tariff: Tariff = field(default_factory=Tariff)
    export_headroom_w: float = -float("inf")


BIAS_W = 50.0  # import aimed at, so that nothing is exported by mistake


class TargetCode(StrEnum):
    """Reason for the target of a mode, as published."""

    NO_ORDER = "mode_no_order"
    MANUAL = "mode_manual"
    FILLING_RESERVE = "mode_filling_reserve"
    INPUT_STALE = "mode_input_stale"
    SURPLUS = "mode_surplus"
    SELF_SUPPLY = "mode_self_supply"
    BALANCED = "mode_balanced"
    PRICE_UNKNOWN = "mode_price_unknown"
    SPREAD_TOO_SMALL = "mode_spread_too_small"
    CHEAP = "mode_cheap"
    EXPENSIVE = "mode_dear"  # the word on the wire (docs/architecture.md)
    MIDDLING = "mode_middling"
    PLAN_ZERO_GRID = "mode_plan_zero_grid"
    PLAN = "mode_plan"
    SHAVING = "mode_shaving"
    BELOW_PEAK = "mode_below_peak"
    RECHARGE = "mode_recharge"


@frozen
class Target:
    """Total power of vehicles and storages, + charge; None leaves each EVSE to its own commands.

    `code` and `text` give the reason. Vehicles that leave soon may charge on top of a `soft` target; a plan has
    decided about them already. `by_plan`: the plan also states which resources the target is for.
    """

    power_w: float | None
    code: TargetCode
    text: str
    soft: bool = True
    by_plan: bool = False


class Mode(Protocol):
    """One operating mode of the site; made anew when it begins to apply, so that its latches are reset."""

    def target(self, situation: Situation) -> Target:
        """Return the target of this mode now."""
