"""Faults of each part of a cluster while it serves stations and commands (`chaos`)."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.gateway.cluster.chaos import Chaos
from tests.gateway.cluster.rig import rig


@pytest.mark.timeout(180)
async def test_two_gateways_serve_200_stations_through_ten_faults(tmp_path: Path) -> None:
    names = [f"CP{number}" for number in range(1, 201)]
    with rig(tmp_path, names, lease_s=2.0) as one:
        run = Chaos(one, [one.nats], ["gw1", "gw2"], rounds=10)
        report = await run.run()
    assert report.violations == []
    assert sum(report.faults.values()) == 10
    assert report.outcomes["accepted/achieved"] > 50, report.outcomes
