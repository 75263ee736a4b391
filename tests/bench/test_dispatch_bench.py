"""Cost of a step of energy management, counted in calls of Python functions: times depend on the machine."""

from __future__ import annotations

import random
import sys
from types import FrameType

from gateway.bench import dispatch

FIXED_CALLS = 350  # of a step; 330 when this was written, and 398 with columns and states made twice
CALLS_PER_VEHICLE = 28.0  # 26.3 then, and 32.4


def test_a_step_calls_few_functions() -> None:
    few, many = calls_per_step(10), calls_per_step(60)
    per_vehicle = (many - few) / 50
    assert per_vehicle <= CALLS_PER_VEHICLE
    assert few - 10 * per_vehicle <= FIXED_CALLS


def calls_per_step(vehicles: int) -> float:
    calls = 0

    def count(frame: FrameType, event: str, argument: object) -> None:
        nonlocal calls
        calls += event == "call"

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        dispatch._steps(vehicles, random.Random(1))
    finally:
        sys.setprofile(before)
    return calls / dispatch.ROUNDS
