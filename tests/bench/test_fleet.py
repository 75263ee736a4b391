"""The fleet's figures are of stations that are there and cars that obey."""

from __future__ import annotations

import pytest

from gateway.bench import fleet as bench
from gateway.bench.fleet import fleet


def test_a_small_fleet_is_online_and_follows_commands() -> None:
    figures = fleet(20, measured_s=60.0)
    assert figures["ok"], figures
    assert figures["online"] == 20
    assert figures["obeyed"] == figures["commanded"] == 2
    assert figures["cpu_s_per_station_hour"] > 0
    assert figures["messages"]["ocpp"] > 100


def test_the_cost_of_a_command_has_the_renewals_of_its_power(monkeypatch: pytest.MonkeyPatch) -> None:
    few = fleet(10, measured_s=60.0)
    monkeypatch.setattr(bench, "COMMANDED", 1.0)
    all_of_them = fleet(10, measured_s=60.0)
    more, messages = (all_of_them[name] for name in ("commanded", "messages"))
    each = (messages["ocpp"] - few["messages"]["ocpp"]) / (more - few["commanded"])
    assert each > 2 * 60 / 6  # each 6 s, and its answer
