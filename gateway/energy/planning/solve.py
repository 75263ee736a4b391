"""Solution of a model with HiGHS, starting from the last basis; one with binaries is solved by branch and bound.

The last basis is transferred by meaning, not by position: a visit's column of 14:30 keeps its status although it is now
the third of the row and no longer the fourth. So a plan five minutes later takes few iterations, even if vehicles have
arrived or left.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import highspy
import numpy as np
from numpy.typing import NDArray

from gateway.energy.planning.model import Block, Model, build
from gateway.energy.planning.problem import Plan, Problem
from gateway.model.energy_state import PlanSource

Statuses = NDArray[np.int8]
MIP_GAP = 1e-3  # relative distance from the bound
BASIC, AT_LOW = 1, 0  # highspy.HighsBasisStatus
FEASIBLE = int(highspy.SolutionStatus.kSolutionStatusFeasible)
STATUS = (
    highspy.HighsBasisStatus.kLower,
    highspy.HighsBasisStatus.kBasic,
    highspy.HighsBasisStatus.kUpper,
    highspy.HighsBasisStatus.kZero,
    highspy.HighsBasisStatus.kNonbasic,
)


class NoPlan(Exception):
    """The solver has no optimum; the message gives the reason."""


@dataclass(frozen=True, slots=True)
class Basis:
    """The status of columns and rows of a solved model."""

    model: Model
    columns: Statuses
    rows: Statuses


def solve(
    problem: Problem, before: Basis | None = None, within_s: float = 5.0, most_found: int | None = None
) -> tuple[Plan, Basis | None]:
    """Return the optimum of `problem` and its basis, None of a model with binaries; NoPlan where none is found in time.

    With binaries, the time or `most_found` of the search can be over before a plan is proven to be the optimum: then
    the best one found, with `proven` false. It is nearly always near to the optimum, which takes far longer to prove.
    """
    model = build(problem)
    core: Any = highspy.Highs.__base__  # the constructor of Highs itself prints a banner to standard output
    highs = core()
    options = {"output_flag": False, "threads": 1, "time_limit": within_s, "solver": "simplex", "mip_rel_gap": MIP_GAP}
    for option, value in options.items():
        highs.setOptionValue(option, value)
    if most_found is not None:
        highs.setOptionValue("mip_max_improving_sols", most_found)
    infinity = highspy.kHighsInf
    columns, rows = len(model.cost), len(model.row_low)
    kinds = np.zeros(columns, dtype=np.int32)
    kinds[columns - model.binaries :] = int(highspy.HighsVarType.kInteger)
    status = highs.passModel(
        columns,
        rows,
        len(model.index),
        int(highspy.MatrixFormat.kColwise),
        int(highspy.ObjSense.kMinimize),
        0.0,
        model.cost,
        model.low,
        np.where(np.isinf(model.high), infinity, model.high),
        np.where(np.isinf(model.row_low), -infinity, model.row_low),
        np.where(np.isinf(model.row_high), infinity, model.row_high),
        model.starts,
        model.index,
        model.value,
        kinds,
    )
    if status == highspy.HighsStatus.kError:
        raise NoPlan("the solver rejected the model")
    if before is not None and not model.binaries:
        highs.setOptionValue("presolve", "off")
        highs.setBasis(_as_highs(*carry(before, model)))
    highs.run()
    answer, info = highs.getModelStatus(), highs.getInfo()
    proven = answer == highspy.HighsModelStatus.kOptimal
    if not proven and not (model.binaries and info.primal_solution_status == FEASIBLE):
        raise NoPlan(f"the solver ended with {highs.modelStatusToString(answer)}")
    solution = np.array(highs.getSolution().col_value)
    found = _plan(model, solution, float(info.objective_function_value), int(info.simplex_iteration_count))
    if not proven:
        found = replace(found, reason=f"{found.reason}, not proven to be the optimum", proven=False)
    if model.binaries:
        return found, None
    basis = highs.getBasis()
    kept = Basis(
        model,
        np.array([int(one) for one in basis.col_status], dtype=np.int8),
        np.array([int(one) for one in basis.row_status], dtype=np.int8),
    )
    return found, kept


def carry(before: Basis, model: Model) -> tuple[Statuses, Statuses]:
    """Return the old basis in the order of the new model; a new column is at its lower bound, its row is basic."""
    old = before.model
    columns = np.full(len(model.cost), AT_LOW, dtype=np.int8)
    rows = np.full(len(model.row_low), BASIC, dtype=np.int8)
    shift = round((model.problem.start - old.problem.start) / model.problem.step_s)
    if old.problem.step_s != model.problem.step_s:
        return columns, rows
    known = {block.visit.name: block for block in old.blocks}
    for block in model.blocks:
        if (was := known.get(block.visit.name)) is not None:
            _carry_visit(before, was, block, shift, columns, rows)
        else:  # a new visit: its energy stays constant
            energy = slice(block.column + 2 * block.steps, block.column + 3 * block.steps)
            columns[energy] = BASIC
            rows[block.row : block.row + block.steps] = AT_LOW
    steps, old_steps = model.problem.steps, old.problem.steps
    source = np.clip(np.arange(steps) + shift, 0, old_steps - 1)
    for kind in range(4):
        columns[model.site_column + kind * steps + np.arange(steps)] = before.columns[
            old.site_column + kind * old_steps + source
        ]
    rows[model.node_row : model.node_row + steps] = before.rows[old.node_row + source]
    peak, old_peak = model.site_column + 4 * steps, old.site_column + 4 * old_steps
    period = int(model.problem.wall >= old.problem.peak_resets_at)  # the next of the old model is the first of this one
    columns[peak] = before.columns[old_peak + min(period, old.periods - 1)]
    gone = round((model.problem.start - old.problem.start) // model.problem.window_s)
    window = np.clip(np.arange(model.windows) + gone, 0, old.windows - 1)
    columns[peak + model.periods + np.arange(model.windows)] = before.columns[old_peak + old.periods + window]
    rows[model.window_row + np.arange(model.windows)] = before.rows[old.window_row + window]
    return columns, rows


def _carry_visit(before: Basis, was: Block, now: Block, shift: int, columns: Statuses, rows: Statuses) -> None:
    source = np.clip(np.arange(now.steps) + now.first + shift - was.first, 0, was.steps - 1)
    for kind in range(3):
        columns[now.column + kind * now.steps + np.arange(now.steps)] = before.columns[
            was.column + kind * was.steps + source
        ]
    rows[now.row : now.row + now.steps] = before.rows[was.row + source]
    for number in range(min(len(now.targets), len(was.targets))):
        columns[now.column + 3 * now.steps + number] = before.columns[was.column + 3 * was.steps + number]
        rows[now.row + now.steps + number] = before.rows[was.row + was.steps + number]


def _as_highs(columns: Statuses, rows: Statuses) -> object:
    basis = highspy.HighsBasis()
    basis.col_status = [STATUS[one] for one in columns.tolist()]
    basis.row_status = [STATUS[one] for one in rows.tolist()]
    basis.valid = True
    basis.alien = True  # it may be singular after the shift: HiGHS repairs it
    return basis


def _plan(model: Model, solution: NDArray[np.float64], cost: float, iterations: int) -> Plan:
    problem, steps = model.problem, model.problem.steps
    total = np.zeros(steps)
    visit_w: dict[str, tuple[float, ...]] = {}
    energy_wh: dict[str, tuple[float, ...]] = {}
    for block in model.blocks:
        count = block.steps
        charge, discharge, energy = solution[block.column : block.column + 3 * count].reshape(3, count) * 1000
        power = np.zeros(steps)
        power[block.first : block.first + count] = charge - discharge
        total += power
        visit_w[block.visit.name] = tuple(power.tolist())
        held = np.zeros(steps)
        held[block.first : block.first + count] = energy
        energy_wh[block.visit.name] = tuple(held.tolist())
    site = solution[model.site_column : model.site_column + 4 * steps].reshape(4, steps) * 1000
    grid = site[0] - site[1] + site[3]
    return Plan(
        problem.wall,
        problem.start,
        problem.step_s,
        tuple((total + 0.0).tolist()),
        tuple((grid + 0.0).tolist()),
        visit_w,
        energy_wh,
        cost,
        PlanSource.OPTIMUM,
        f"found in {iterations} iterations",
        iterations,
    )
