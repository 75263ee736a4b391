"""Faults of each part of a cluster while it serves stations and commands (`chaos`)."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.gateway.cluster.chaos import Chaos, Report
from tests.gateway.cluster.rig import rig


def _names(number: int) -> list[str]:
    return [f"CP{one}" for one in range(1, number + 1)]


def _verify(report: Report, rounds: int, achieved: int) -> None:
    assert report.violations == []
    assert sum(report.faults.values()) == rounds
    assert report.outcomes["accepted/achieved"] >= achieved, report.outcomes


@pytest.mark.timeout(240)
async def test_two_gateways_serve_200_stations_through_ten_faults(tmp_path: Path) -> None:
    with rig(tmp_path, _names(200), lease_s=3.0) as one:
        run = Chaos(one, ["gw1", "gw2"], commanded=10, rounds=10, command_lease_s=8.0)
        report = await run.run()
    _verify(report, 10, achieved=20)


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(1, 6))
async def test_four_gateways_on_three_servers_serve_1000_stations(seed: int, tmp_path: Path) -> None:
    """Twenty rounds each: kills, pauses and drains of gateways, kills and pauses of NATS servers."""
    with rig(tmp_path, _names(1000), lease_s=8.0, servers=3) as one:
        run = Chaos(
            one, ["gw1", "gw2", "gw3", "gw4"], commanded=40, rounds=20, seed=seed, command_lease_s=20.0, within_s=180.0
        )
        report = await run.run()
    _verify(report, 20, achieved=100)
