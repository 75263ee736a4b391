"""Faults of each part of a cluster while it serves stations and commands (`chaos`)."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.gateway.cluster.chaos import Report, Size, network_of, perform
from tests.gateway.cluster.network import Proxies
from tests.gateway.cluster.plan import SHORT, round_of
from tests.gateway.cluster.soak import size_of

FEW = Size(
    200, instances=2, servers=1, commanded=20, lease_s=3.0, command_lease_s=5.0, within_s=120.0, overlap=True
)  # fmt: skip


def _verify(report: Report, size: Size, rounds: int) -> None:
    """No violations, and at least the commands after the faults are achieved, however slow the machine is."""
    assert report.verdict.violations == []
    assert sum(report.faults.values()) == rounds
    assert report.verdict.outcomes["accepted/achieved"] >= size.commanded, report.verdict.reasons


@pytest.mark.timeout(400)
async def test_two_gateways_serve_200_stations_through_ten_faults(tmp_path: Path) -> None:
    rounds = [round_of(1, number, FEW.lease_s, SHORT, longest=1.2) for number in range(1, 11)]
    _verify(await perform(tmp_path, FEW, rounds, Proxies()), FEW, 10)


@pytest.mark.soak
@pytest.mark.parametrize(("seed", "stations", "number"), [*((seed, 1000, 20) for seed in range(1, 6)), (6, 10_000, 3)])
async def test_four_gateways_on_three_servers(seed: int, stations: int, number: int, tmp_path: Path) -> None:
    """Kills, pauses and network cuts of each part; a round is repeated alone by `soak`."""
    size = size_of(stations)
    rounds = [round_of(seed, one, size.lease_s) for one in range(1, number + 1)]
    _verify(await perform(tmp_path, size, rounds, network_of(size)), size, number)
