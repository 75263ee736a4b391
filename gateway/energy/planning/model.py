"""The plan as a linear programme: columns, rows and matrix as arrays for HiGHS.

For each visit and each step that it stays through: charge c, discharge d (kW at the meter), energy e (kWh in the
battery)

    e[t] = e[t-1] + ηc·h·c[t] − h·d[t]/ηd                                    (its balance)
    e[t] + u ≥ wanted                                                        (a target; u is the missing energy)

and for the site: import i, export x, curtailed PV k, load beyond the fuse o, demand peak p, contract overrun v

    i[t] − x[t] + o[t] − k[t] − Σc + Σd = load[t] − PV[t]                     (the node)
    Σ (i + o)·h over a window / window − p − v[w] ≤ −(already drawn)/window  (the demand meter)

The cost is energy bought minus sold, degradation per kWh discharged, demand charge and penalties, minus the value of
the energy left. No binary variables: charging and discharging at once pays only at a negative price, and no visit may
discharge in steps with one. Dead bands are left to the real-time loop.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import median

import numpy as np
from numpy.typing import NDArray

from gateway.energy.planning.problem import Problem, Visit

Floats = NDArray[np.float64]
Ints = NDArray[np.int32]

EARLY = 1e-4  # cost per kWh and horizon: of two equal plans the one that charges sooner
OVER_FUSE = 200.0  # times the highest price, per kWh: used only where the limit cannot be kept
OVER_CONTRACT = 100.0  # times the highest price, per kW
REFILL_S = 2 * 3600.0  # time within which a battery below its floor is to be charged up to it


@dataclass(frozen=True, slots=True)
class Block:
    """Position of a visit's columns and rows. Columns: c, d, e, each `steps` long; then one u per target."""

    visit: Visit
    first: int  # its first step
    steps: int
    column: int
    row: int
    targets: tuple[int, ...]  # the step at whose end each target is due
    due: tuple[float, ...]  # kWh


@dataclass(frozen=True, slots=True)
class Model:
    """min cost·z with row_low ≤ A·z ≤ row_high, low ≤ z ≤ high; A by columns."""

    problem: Problem
    hours: Floats
    blocks: tuple[Block, ...]
    site_column: int  # i, x, k, o: each `problem.steps` long; then p, then v per window
    node_row: int
    window_row: int
    windows: int
    cost: Floats
    low: Floats
    high: Floats
    row_low: Floats
    row_high: Floats
    starts: Ints
    index: Ints
    value: Floats


class _Columns:
    """Columns under construction: bounds, cost, and entries by column."""

    def __init__(self) -> None:
        self.cost: list[Floats] = []
        self.low: list[Floats] = []
        self.high: list[Floats] = []
        self.count: list[Ints] = []
        self.index: list[Ints] = []
        self.value: list[Floats] = []

    def add(self, cost: Floats, low: Floats, high: Floats, rows: Ints, values: Floats) -> None:
        """Add columns with entries `rows[j]`, `values[j]` (a row of −1 is no entry)."""
        there = rows >= 0
        self.cost.append(cost)
        self.low.append(low)
        self.high.append(high)
        self.count.append(there.sum(axis=1, dtype=np.int32))
        self.index.append(rows[there])
        self.value.append(values[there])


def build(problem: Problem) -> Model:
    """Return the programme of `problem`; visits outside its steps are left out."""
    steps = problem.steps
    hours = np.array(problem.hours())
    buy = np.array(problem.buy)
    sell = np.minimum(np.array(problem.sell), buy)
    highest = max(float(np.abs(buy).max()), 1.0)
    node_row, window_row = 0, steps
    window_of = _windows(problem)
    windows = int(window_of[-1]) + 1
    row = window_row + windows
    columns = _Columns()
    blocks: list[Block] = []
    row_low: list[Floats] = []
    row_high: list[Floats] = []
    column = 0
    worth = float(median(problem.buy))
    for visit in problem.visits:
        block = place(problem, visit, column, row)
        if block is None:
            continue
        blocks.append(block)
        balance = _visit_columns(columns, block, hours, buy, worth, steps)
        row_low += [balance, np.array(block.due)]
        row_high += [balance, np.full(len(block.due), math.inf)]
        column += 3 * block.steps + len(block.targets)
        row += block.steps + len(block.targets)
    _site_columns(columns, problem, hours, buy, sell, highest, window_of)
    net = (np.array(problem.load_w) - np.array(problem.pv_w)) / 1000
    window_h = problem.window_s / 3600
    drawn = np.zeros(windows)
    drawn[0] = problem.imported_wh / 1000 / window_h
    starts = np.zeros(sum(map(len, columns.count)) + 1, dtype=np.int32)
    np.cumsum(np.concatenate(columns.count), out=starts[1:])
    return Model(
        problem,
        hours,
        tuple(blocks),
        column,
        node_row,
        window_row,
        windows,
        np.concatenate(columns.cost),
        np.concatenate(columns.low),
        np.concatenate(columns.high),
        np.concatenate([net, np.full(windows, -math.inf), *row_low]),
        np.concatenate([net, -drawn, *row_high]),
        starts,
        np.concatenate(columns.index).astype(np.int32),
        np.concatenate(columns.value),
    )


def _windows(problem: Problem) -> Ints:
    """Return the demand window of each step, from 0; a step longer than a window counts as one."""
    starts = problem.start + np.arange(problem.steps) * problem.step_s
    number = np.floor(starts / problem.window_s).astype(np.int64)
    _, dense = np.unique(number, return_inverse=True)
    return dense.astype(np.int32)


def place(problem: Problem, visit: Visit, column: int = 0, row: int = 0) -> Block | None:
    """Return the steps that a visit covers completely, and its targets among them; None without any."""
    last_end = problem.start + problem.steps * problem.step_s
    first = 0 if visit.start <= problem.wall else math.ceil((visit.start - problem.start) / problem.step_s - 1e-9)
    until = problem.steps if visit.end >= last_end else math.floor((visit.end - problem.start) / problem.step_s + 1e-9)
    if first >= problem.steps or until <= first:
        return None
    floor = min(visit.floor_wh, visit.energy_wh)
    wanted = [(target.at, target.energy_wh) for target in visit.targets]
    if floor < visit.floor_wh:
        wanted.append((max(problem.wall, visit.start) + REFILL_S, visit.floor_wh))
    by_step: dict[int, float] = {}
    for at, energy_wh in wanted:
        step = min(max(math.floor((at - problem.start) / problem.step_s + 1e-9) - 1, first), until - 1)
        if at <= last_end + 1:
            by_step[step] = max(by_step.get(step, 0.0), min(energy_wh, visit.ceiling_wh, visit.capacity_wh) / 1000)
    due = tuple(by_step[step] for step in sorted(by_step))
    return Block(visit, first, until - first, column, row, tuple(sorted(by_step)), due)


def left_price(visit: Visit, worth: float) -> float:
    """Return the value of a kWh left in this battery at the end of the horizon; `worth` is the median price."""
    if visit.value_per_kwh is not None:
        return visit.value_per_kwh
    return max(0.0, worth * visit.discharge_efficiency - visit.degradation_per_kwh)


def missing_price(visit: Visit, worth: float) -> float:
    """Return the cost of a missing kWh."""
    return max((target.per_kwh for target in visit.targets), default=max(worth * 5, 100.0))


def _visit_columns(columns: _Columns, block: Block, hours: Floats, buy: Floats, worth: float, steps: int) -> Floats:
    """Add c, d, e and u of a visit; return the right-hand side of its balance."""
    visit, count = block.visit, block.steps
    here = np.arange(block.first, block.first + count)
    h = hours[here]
    balance = (block.row + np.arange(count)).astype(np.int32)
    node = here.astype(np.int32)
    ones = np.ones(count)
    zero = np.zeros(count)
    early = EARLY * h * here / steps
    rows = np.stack((balance, node), axis=1)
    columns.add(
        early,
        zero,
        np.full(count, visit.max_charge_w / 1000),
        rows,
        np.stack((-visit.charge_efficiency * h, -ones), axis=1),
    )
    most = np.where(buy[here] < 0, 0.0, visit.max_discharge_w / 1000)
    columns.add(
        visit.degradation_per_kwh * h, zero, most, rows, np.stack((h / visit.discharge_efficiency, ones), axis=1)
    )
    following = np.append(balance[1:], np.int32(-1)).astype(np.int32)
    targets = np.full(count, -1, dtype=np.int32)
    for number, step in enumerate(block.targets):
        targets[step - block.first] = block.row + count + number
    energy_cost = np.zeros(count)
    if block.first + count == steps:
        energy_cost[-1] = -left_price(visit, worth)
    least = min(visit.floor_wh, visit.energy_wh) / 1000
    ceiling = max(min(visit.ceiling_wh, visit.capacity_wh), visit.energy_wh) / 1000
    columns.add(
        energy_cost,
        np.full(count, least),
        np.full(count, ceiling),
        np.stack((balance, following, targets), axis=1),
        np.stack((ones, -ones, ones), axis=1),
    )
    if block.targets:
        price = missing_price(visit, worth)
        number = len(block.targets)
        own = (block.row + count + np.arange(number, dtype=np.int32)).reshape(-1, 1)
        columns.add(np.full(number, price), np.zeros(number), np.full(number, math.inf), own, np.ones((number, 1)))
    begin = np.zeros(count)
    begin[0] = visit.energy_wh / 1000
    return begin


def _site_columns(
    columns: _Columns, problem: Problem, hours: Floats, buy: Floats, sell: Floats, highest: float, window_of: Ints
) -> None:
    """Add i, x, k, o, p and v."""
    steps = problem.steps
    node = np.arange(steps, dtype=np.int32).reshape(-1, 1)
    ones, zero = np.ones((steps, 1)), np.zeros(steps)
    window = (steps + window_of).astype(np.int32).reshape(-1, 1)
    window_h = problem.window_s / 3600
    in_window = (hours / window_h).reshape(-1, 1)
    columns.add(
        buy * hours,
        zero,
        np.full(steps, problem.import_w / 1000),
        np.hstack((node, window)),
        np.hstack((ones, in_window)),
    )
    columns.add(-sell * hours, zero, np.full(steps, problem.export_w / 1000), node, -ones)
    columns.add(zero, zero, np.array(problem.pv_w) / 1000, node, -ones)
    beyond = OVER_FUSE * highest * hours
    columns.add(beyond, zero, np.full(steps, math.inf), np.hstack((node, window)), np.hstack((ones, in_window)))
    windows = int(window_of[-1]) + 1
    rows = (steps + np.arange(windows, dtype=np.int32)).reshape(1, -1)
    contract = math.inf if problem.contract_w is None else problem.contract_w / 1000
    least = min(problem.peak_so_far_w / 1000, contract)
    columns.add(
        np.array([problem.demand_charge_per_kw]), np.array([least]), np.array([contract]), rows, -np.ones((1, windows))
    )
    over = np.full(windows, OVER_CONTRACT * highest)
    columns.add(over, np.zeros(windows), np.full(windows, math.inf), rows.reshape(-1, 1), -np.ones((windows, 1)))
