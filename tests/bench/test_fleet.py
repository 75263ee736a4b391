"""The fleet's figures are of stations that are there and cars that obey."""

from __future__ import annotations

from gateway.bench.fleet import fleet


def test_a_small_fleet_is_online_and_follows_commands() -> None:
    figures = fleet(20, measured_s=60.0)
    assert figures["ok"], figures
    assert figures["online"] == 20
    assert figures["obeyed"] == figures["commanded"] == 2
    assert figures["cpu_s_per_station_hour"] > 0
    assert figures["messages"]["ocpp"] > 100
