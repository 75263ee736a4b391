"""Random outages: supply, floors, limits, alarms and the end of commands, whatever fails besides the grid."""

from __future__ import annotations

import os

import pytest

from tests.rounds import SOAK
from tests.scenarios.outages import faults_of, outage, run

FIRST = int(os.environ.get("V2X_OUTAGE_SEED", "0"))
SEEDS = range(FIRST, FIRST + 100) if SOAK else (1,)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("seed", SEEDS)
def test_a_random_outage_is_survived(seed: int) -> None:
    assert list(faults_of(run(outage(seed)))) == []
