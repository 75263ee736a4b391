"""Look-ahead plan: power of vehicles and storage over one or two days, optimised every few minutes."""

from __future__ import annotations

from gateway.energy.planning.planner import Planner
from gateway.energy.planning.problem import Plan, Problem, Visit, Want

__all__ = ["Plan", "Planner", "Problem", "Visit", "Want"]
