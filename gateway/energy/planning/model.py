"""The plan as a linear programme: columns, rows and matrix as arrays for HiGHS.

For each visit and each step that it stays through: charge c, discharge d (kW at the meter), energy e (kWh in the
battery)

    e[t] = e[t-1] + ηc·h·c[t] − h·d[t]/ηd                                    (its balance)
    e[t] + u ≥ wanted                                                        (a target; u is the missing energy)

and for the site: import i, export x, curtailed PV k, load beyond the fuse o, demand peak p of each billing period,
contract overrun v

    i[t] − x[t] + o[t] − k[t] − Σc + Σd = load[t] − PV[t]                     (the node)
    Σ (i + o)·h over a window / window − p − v[w] ≤ −(already drawn)/window  (the demand meter)

The cost is energy bought minus sold, degradation per kWh discharged, demand charge and penalties, minus the value of
the energy left. PV is curtailed only where it may not be exported: at a negative price nothing curtails it on the grid.

Charging and discharging one battery at once pays only at a negative price; there a binary a decides between them, or
no visit discharges in such steps where they are more than `MOST_BINARIES`. Import and export at once pays only where
the export price exceeds the import price; one meter cannot have both. In such a step the direction that no choice of
powers can reach is closed, and where both can be reached a binary s decides:

    i[t] ≤ most import · s[t],   x[t] ≤ most export · (1 − s[t]),   c[t] ≤ max · a[t],   d[t] ≤ max · (1 − a[t])

All other problems are linear programmes. Dead bands are left to the real-time loop.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import median
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gateway.energy.planning.problem import Problem, Visit
from gateway.energy.resource import REFILL_S

Floats = NDArray[np.float64]
Ints = NDArray[np.int32]

EARLY = 1e-4  # cost per kWh and horizon: of two equal plans the one that charges sooner
OVER_FUSE = 200.0  # times the highest price, per kWh: used only where the limit cannot be kept
OVER_CONTRACT = 100.0  # times the highest price, per kW
MOST_BINARIES = 100  # for charge or discharge of the visits


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
    site_column: int  # i, x, k, o: each `problem.steps` long; then p per period, v per window, s
    node_row: int
    window_row: int
    windows: int
    periods: int  # billing periods
    binaries: int  # the last columns
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
    sell = np.array(problem.sell)
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
    either = _either_steps(problem, buy, sell)
    for visit in problem.visits:
        block = place(problem, visit, column, row)
        if block is None:
            continue
        blocks.append(block)
        own = _within(either, block)
        balance = _visit_columns(columns, block, hours, buy, worth, steps, own)
        row_low += [balance, np.array(block.due)]
        row_high += [balance, np.full(len(block.due), math.inf)]
        if own.size:
            row_low.append(np.full(2 * len(own), -math.inf))
            row_high += [np.zeros(len(own)), np.full(len(own), visit.max_discharge_w / 1000)]
        column += 3 * block.steps + len(block.targets)
        row += block.steps + len(block.targets) + 2 * len(own)
    net = (np.array(problem.load_w) - np.array(problem.pv_w)) / 1000
    meter = _meter(problem, blocks, buy, sell, net)
    periods = _site_columns(columns, problem, hours, _Prices(buy, sell, highest), window_of, meter, row)
    signs = len(meter.both)
    row_low.append(np.full(2 * signs, -math.inf))
    row_high.append(np.concatenate([np.zeros(signs), meter.export_kw[meter.both]]))
    binaries = signs + sum(_either_columns(columns, block, _within(either, block)) for block in blocks)
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
        periods,
        binaries,
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


def _either_steps(problem: Problem, buy: Floats, sell: Floats) -> Ints:
    """Return the steps in which a binary decides whether a visit charges or discharges; none where it is too many."""
    either = np.flatnonzero((buy < 0) & (sell > buy)).astype(np.int32)
    if either.size:
        blocks = [block for visit in problem.visits if (block := place(problem, visit)) is not None]
        if sum(len(_within(either, block)) for block in blocks) > MOST_BINARIES:
            return either[:0]
    return either


def _within(either: Ints, block: Block) -> Ints:
    """Return those of the steps in which this visit can both charge and discharge."""
    if not either.size or block.visit.max_charge_w <= 0 or block.visit.max_discharge_w <= 0:
        return either[:0]
    return either[(either >= block.first) & (either < block.first + block.steps)]


def _either_columns(columns: _Columns, block: Block, own: Ints) -> int:
    """Add a of a visit; return their number."""
    number, visit = len(own), block.visit
    if number:
        rows = block.row + block.steps + len(block.targets) + np.arange(2 * number, dtype=np.int32)
        values = np.full((number, 2), (-visit.max_charge_w / 1000, visit.max_discharge_w / 1000))
        columns.add(np.zeros(number), np.zeros(number), np.ones(number), rows.reshape(2, number).T, values)
    return number


def left_price(visit: Visit, worth: float) -> float:
    """Return the value of a kWh left in this battery at the end of the horizon; `worth` is the median price."""
    if visit.value_per_kwh is not None:
        return visit.value_per_kwh
    return max(0.0, worth * visit.discharge_efficiency - visit.degradation_per_kwh)


def missing_price(visit: Visit, worth: float) -> float:
    """Return the cost of a missing kWh."""
    return max((target.per_kwh for target in visit.targets), default=max(worth * 5, 100.0))


def _visit_columns(
    columns: _Columns, block: Block, hours: Floats, buy: Floats, worth: float, steps: int, own: Ints
) -> Floats:
    """Add c, d, e and u of a visit; return the right-hand side of its balance. `own`: its steps with a binary."""
    visit, count = block.visit, block.steps
    here = np.arange(block.first, block.first + count)
    h = hours[here]
    balance = (block.row + np.arange(count)).astype(np.int32)
    node = here.astype(np.int32)
    ones = np.ones(count)
    zero = np.zeros(count)
    early = EARLY * h * here / steps
    rows = np.stack((balance, node), axis=1)
    charge_rows, charge = rows, np.stack((-visit.charge_efficiency * h, -ones), axis=1)
    discharge_rows, discharge = rows, np.stack((h / visit.discharge_efficiency, ones), axis=1)
    most = np.where(buy[here] < 0, 0.0, visit.max_discharge_w / 1000)
    if own.size:
        either = np.full((2, count, 1), -1, dtype=np.int32)
        first = block.row + count + len(block.targets)
        either[:, own - block.first, 0] = first + np.arange(2 * len(own), dtype=np.int32).reshape(2, -1)
        charge_rows, charge = np.hstack((rows, either[0])), np.column_stack((charge, ones))
        discharge_rows, discharge = np.hstack((rows, either[1])), np.column_stack((discharge, ones))
        most[own - block.first] = visit.max_discharge_w / 1000
    columns.add(early, zero, np.full(count, visit.max_charge_w / 1000), charge_rows, charge)
    columns.add(visit.degradation_per_kwh * h, zero, most, discharge_rows, discharge)
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


@dataclass(frozen=True, slots=True)
class _Meter:
    """Most import and export of each step, kW, and the steps in which a binary decides between them."""

    import_kw: Floats
    export_kw: Floats
    both: Ints


def _meter(problem: Problem, blocks: list[Block], buy: Floats, sell: Floats, net: Floats) -> _Meter:
    charge, discharge = np.zeros(problem.steps), np.zeros(problem.steps)
    for block in blocks:
        here = slice(block.first, block.first + block.steps)
        charge[here] += block.visit.max_charge_w / 1000
        discharge[here] += block.visit.max_discharge_w / 1000
    dearer = sell > buy
    most_in = np.where(dearer, np.maximum(0.0, net + charge), math.inf)
    most_out = np.where(dearer, np.maximum(0.0, discharge - net), math.inf)
    import_kw = np.minimum(problem.import_w / 1000, most_in)
    export_kw = np.minimum(problem.export_w / 1000, most_out)
    both = np.flatnonzero(dearer & (import_kw > 0) & (export_kw > 0)).astype(np.int32)
    return _Meter(import_kw, export_kw, both)


class _Prices(NamedTuple):
    """Prices of each step, per kWh, and the highest amount of them."""

    buy: Floats
    sell: Floats
    highest: float


def _site_columns(
    columns: _Columns,
    problem: Problem,
    hours: Floats,
    prices: _Prices,
    window_of: Ints,
    meter: _Meter,
    sign_row: int,
) -> int:
    """Add i, x, k, o, p, v and s; return the number of billing periods. `sign_row`: first row of s."""
    steps, binaries, (buy, sell, highest) = problem.steps, len(meter.both), prices
    node = np.arange(steps, dtype=np.int32).reshape(-1, 1)
    ones, zero = np.ones((steps, 1)), np.zeros(steps)
    window = (steps + window_of).astype(np.int32).reshape(-1, 1)
    window_h = problem.window_s / 3600
    in_window = (hours / window_h).reshape(-1, 1)
    number = np.arange(binaries, dtype=np.int32)
    signs = np.full((2, steps, 1), -1, dtype=np.int32)
    signs[0, meter.both, 0] = sign_row + number
    signs[1, meter.both, 0] = sign_row + binaries + number
    rows = np.hstack((node, window, signs[0]))
    columns.add(buy * hours, zero, meter.import_kw, rows, np.hstack((ones, in_window, ones)))
    columns.add(-sell * hours, zero, meter.export_kw, np.hstack((node, signs[1])), np.hstack((-ones, ones)))
    forced_kw = (np.array(problem.pv_w) - np.array(problem.load_w) - problem.export_w) / 1000
    curtailed = np.maximum(0.0, -np.minimum(buy, sell)) * hours  # no less than that export costs
    columns.add(curtailed, zero, np.maximum(0.0, forced_kw), node, -ones)
    beyond = OVER_FUSE * highest * hours
    columns.add(beyond, zero, np.full(steps, math.inf), np.hstack((node, window)), np.hstack((ones, in_window)))
    windows = int(window_of[-1]) + 1
    contract = math.inf if problem.contract_w is None else problem.contract_w / 1000
    period_of = np.zeros(windows, dtype=np.int32)
    period_of[window_of] = problem.start + np.arange(steps) * problem.step_s >= problem.peak_resets_at
    periods = int(period_of[-1]) + 1
    window_rows = steps + np.arange(windows, dtype=np.int32)
    own = np.where(period_of == np.arange(periods).reshape(-1, 1), window_rows, -1).astype(np.int32)
    least = np.zeros(periods)
    least[0] = min(problem.peak_so_far_w / 1000, contract)
    charge = np.full(periods, problem.demand_charge_per_kw)
    columns.add(charge, least, np.full(periods, contract), own, -np.ones((periods, windows)))
    over = np.full(windows, OVER_CONTRACT * highest)
    columns.add(over, np.zeros(windows), np.full(windows, math.inf), window_rows.reshape(-1, 1), -np.ones((windows, 1)))
    if binaries:
        values = np.stack((-meter.import_kw[meter.both], meter.export_kw[meter.both]), axis=1)
        rows = np.stack((sign_row + number, sign_row + binaries + number), axis=1).astype(np.int32)
        columns.add(np.zeros(binaries), np.zeros(binaries), np.ones(binaries), rows, values)
    return periods
