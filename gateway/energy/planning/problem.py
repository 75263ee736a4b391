"""Planning problem and plan. Values only.

Time is divided into equal steps on the wall clock's grid; the first one may have begun already. Power is the mean over
a step in W at the meter, + charge; energy is Wh in the battery.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from gateway.authority.soc_floors import METER_EFFICIENCY
from gateway.model.energy_state import PlanSource

LEAST_STEP_S = 60.0  # a first step shorter than this is left out


@dataclass(frozen=True, slots=True)
class EnergyTarget:
    """Energy (Wh in the battery) wanted by `at` (Unix time); missing energy costs `per_kwh`."""

    at: float
    energy_wh: float
    per_kwh: float


@dataclass(frozen=True, slots=True)
class Visit:
    """Stay of one vehicle, now or later, or of a storage. Times are Unix time.

    `floor_wh` and `ceiling_wh` bound the energy in the battery; one that arrives below its floor is not discharged.
    `value_per_kwh`: value of energy left at the end of the horizon (None: the planner's own figure).
    """

    name: str
    energy_wh: float
    capacity_wh: float
    max_charge_w: float
    max_discharge_w: float
    start: float = -math.inf
    end: float = math.inf
    floor_wh: float = 0.0
    ceiling_wh: float = math.inf
    charge_efficiency: float = METER_EFFICIENCY
    discharge_efficiency: float = METER_EFFICIENCY
    degradation_per_kwh: float = 0.0
    targets: tuple[EnergyTarget, ...] = ()
    value_per_kwh: float | None = None


@dataclass(frozen=True, slots=True)
class Problem:
    """The next day or two of a site. Series have one value per step from `start`, on the grid of steps; `wall` is now.

    `contract_w`: limit of the average of each demand window, with a high penalty. `demand_charge_per_kw` is paid for
    the highest window above `peak_so_far_w`, and for the highest of the billing period that begins at
    `peak_resets_at`. `imported_wh`: energy drawn in the current window.
    """

    wall: float
    start: float
    step_s: float
    load_w: tuple[float, ...]
    pv_w: tuple[float, ...]
    buy: tuple[float, ...]
    sell: tuple[float, ...]
    visits: tuple[Visit, ...] = ()
    import_w: float = math.inf
    export_w: float = math.inf
    contract_w: float | None = None
    demand_charge_per_kw: float = 0.0
    peak_so_far_w: float = 0.0
    window_s: float = 1800.0
    imported_wh: float = 0.0
    peak_resets_at: float = math.inf

    def __post_init__(self) -> None:
        lengths = {len(self.load_w), len(self.pv_w), len(self.buy), len(self.sell)}
        if len(lengths) != 1 or not self.load_w:
            raise ValueError(f"load, PV and prices must have the same number of steps, not {sorted(lengths)}")
        every = (*self.load_w, *self.pv_w, *self.buy, *self.sell)
        if not all(map(math.isfinite, every)):
            raise ValueError("load, PV and prices must be finite")
        if self.step_s <= 0 or not self.start <= self.wall < self.start + self.step_s:
            raise ValueError("the first step must contain the present moment")

    @property
    def steps(self) -> int:
        return len(self.load_w)

    def hours(self) -> list[float]:
        """Return the duration of each step from now, h."""
        first = max(self.start + self.step_s - self.wall, LEAST_STEP_S)
        return [first / 3600, *([self.step_s / 3600] * (self.steps - 1))]


@dataclass(frozen=True, slots=True)
class Plan:
    """Power of each step from `start`. `power_w[t]` is the sum over all visits, `grid_w[t]` + import.

    `cost`: over the horizon, with degradation and missing energy, less the value of the energy left.
    `reason`: why it is not the optimum, or how it was found.
    """

    wall: float
    start: float
    step_s: float
    power_w: tuple[float, ...]
    grid_w: tuple[float, ...]
    visit_w: Mapping[str, tuple[float, ...]]
    energy_wh: Mapping[str, tuple[float, ...]]
    cost: float
    source: PlanSource
    reason: str
    iterations: int = 0
    proven: bool = True  # false: found within the solver's time, and there may be a better one

    def step_at(self, wall: float) -> int | None:
        """Return the step that contains `wall`, None outside the plan."""
        step = int((wall - self.start) // self.step_s)
        return step if 0 <= step < len(self.power_w) else None


def grid_start(wall: float, step_s: float) -> float:
    """Return the start of the step that contains `wall`."""
    return math.floor(wall / step_s) * step_s
