"""The hours ahead: what to buy, store and give over one or two days, every few minutes anew."""

from __future__ import annotations

from gateway.energy.planning.planner import Planner
from gateway.energy.planning.problem import Plan, Problem, Visit, Want

__all__ = ["Plan", "Planner", "Problem", "Visit", "Want"]
