"""Event of a decision of the energy controller, with its reason.

`code` is stable and for programs; `text` is a sentence for a person. The codes are listed in `docs/energy.md` and
`docs/resilience.md`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal, TypeAlias

EnergyCode: TypeAlias = Literal[
    "autonomy",
    "awaiting_command",
    "black_start",
    "black_start_failed",
    "car_let_go",
    "car_needed",
    "closing_main_switch",
    "contract_exceeded",
    "emergency_stop",
    "follower_retried",
    "grid_flapping",
    "grid_input_contradicted",
    "grid_lost",
    "grid_recovered",
    "grid_seen_again",
    "grid_suspect",
    "holding_zero",
    "interlock_tripped",
    "island_adopted",
    "island_cannot_hold",
    "island_ended",
    "island_formed",
    "island_handed_over",
    "island_overloaded",
    "main_switch_closed",
    "main_switch_not_closed",
    "main_switch_not_proven",
    "main_switch_open",
    "module_imbalance",
    "module_resistance",
    "module_worn_out",
    "no_source",
    "not_following",
    "on_grid",
    "opening_main_switch",
    "plan_fell_back",
    "plan_recovered",
    "proof_lost",
    "recharge_late",
    "recharge_over",
    "recharge_planned",
    "recharged",
    "reserve_in_use",
    "reserve_kept",
    "reserve_raised",
    "reserve_released",
    "returning",
    "source_back",
    "source_lost",
    "storm_announced",
    "switch_proof_believed",
    "switch_proof_contradicted",
    "synchronising",
    "tier_restored",
    "tier_shed",
    "transfer_called_off",
    "waiting_for_grid",
    "zero_released",
]
LendingCode: TypeAlias = Literal[
    "call_changed",
    "call_withdrawn",
    "car_called",
    "car_left",
    "floor_crossed",
    "given_back",
    "site_needs_cars",
    "site_restored",
    "supply_gap",
]
ServiceCode: TypeAlias = Literal[  # of the services that carry decisions out
    "energy_failed",
    "following_ordered",
    "forming_not_taken",
    "forming_ordered",
    "lent_not_taken",
    "repaid_not_taken",
    "report_not_written",
]


class LimitBinds(StrEnum):
    """A limit of the connection narrows the target of the mode; `bound_by_` and the code of the limit."""

    IMPORT_LIMIT = "bound_by_import_limit"
    EXPORT_LIMIT = "bound_by_export_limit"
    PEAK_LIMIT = "bound_by_peak_limit"
    DEMAND_WINDOW = "bound_by_demand_window"
    INPUT_STALE = "bound_by_input_stale"


@dataclass(frozen=True, slots=True)
class Decided:
    """One decision. `at` is monotonic time, s; `subject`: an EVSE, storage, tier, vehicle or the site ("")."""

    at: float
    code: EnergyCode | LendingCode | StrEnum  # of the mode (`TargetCode`), of a limit, of an arrival (`ArrivalCode`)
    text: str
    subject: str = ""
    figures: tuple[tuple[str, float], ...] = field(default=())
