"""Perfect foresight: the least cost of a day that is known in full, as a mixed-integer programme of its own.

It shares nothing with the planner but the solver: each battery either charges or discharges, the site either imports or
exports, in steps of a quarter of an hour over exactly the day; no value of energy left, but given end states.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import highspy

STEP_H = 0.25
ETA = 0.94  # one way, of every battery
MIP_GAP = 5e-4
MOST_NODES = 60  # where buying and selling alternate the proof takes long; the bound so far is one as well


@dataclass(frozen=True)
class Battery:
    """One battery, kWh and kW. It is there from step `begin` until before step `end`; `left`: what it holds then."""

    start: float
    capacity: float
    power: float
    begin: int
    end: int
    left: float
    wear: float
    floor: float = 0.0
    ceiling: float = 0.0


@dataclass(frozen=True)
class Known:
    """The day: net load and prices of each step; kW, per kWh. `peak`: highest window so far, kW."""

    net: Sequence[float]
    buy: Sequence[float]
    sell: Sequence[float]
    demand_charge: float = 0.0
    peak: float = 0.0
    contract: float = highspy.kHighsInf


def least_cost(day: Known, batteries: Sequence[Battery]) -> float:
    """Return the least cost of the day, a bound that no control can undercut."""
    made: Any = highspy.Highs
    solver = made()
    solver.silent()
    solver.setOptionValue("mip_rel_gap", MIP_GAP)
    solver.setOptionValue("mip_max_nodes", MOST_NODES)
    steps = len(day.net)
    power: list[list[Any]] = [[] for _ in range(steps)]
    for one in batteries:
        held: Any = one.start
        for step in range(one.begin, one.end):
            into = solver.addVariable(0, one.power, 0)
            out = solver.addVariable(0, one.power, one.wear * STEP_H)
            charging = solver.addBinary()
            solver.addConstr(into <= one.power * charging)
            solver.addConstr(out + one.power * charging <= one.power)
            lowest = min(one.floor, one.start)
            highest = max(one.ceiling or one.capacity, one.start, one.left)
            energy = solver.addVariable(lowest, highest, 0)
            solver.addConstr(energy - ETA * STEP_H * into + STEP_H / ETA * out == held)
            held = energy
            power[step] += [into, -1 * out]
        solver.addConstr(held >= one.left - 1e-6)
    peak = solver.addVariable(day.peak, max(day.contract, day.peak), day.demand_charge)
    drawn = []
    for step in range(steps):
        able = sum(one.power for one in batteries if one.begin <= step < one.end)
        most_in, most_out = max(able + day.net[step], 0.0), max(able - day.net[step], 0.0)
        bought = solver.addVariable(0, most_in, day.buy[step] * STEP_H)
        sold = solver.addVariable(0, most_out, -day.sell[step] * STEP_H)
        importing = solver.addBinary()
        solver.addConstr(bought <= most_in * importing)
        solver.addConstr(sold + most_out * importing <= most_out)
        balance = bought - 1 * sold
        for term in power[step]:
            balance = balance - term
        solver.addConstr(balance == day.net[step])
        drawn.append(bought)
    if day.demand_charge or day.contract < highspy.kHighsInf:
        for step in range(0, steps - 1, 2):
            solver.addConstr(0.5 * drawn[step] + 0.5 * drawn[step + 1] <= peak)
    solver.minimize()
    status = solver.getModelStatus()
    found = (highspy.HighsModelStatus.kOptimal, highspy.HighsModelStatus.kSolutionLimit)
    assert status in found, solver.modelStatusToString(status)
    return float(solver.getInfo().mip_dual_bound)
