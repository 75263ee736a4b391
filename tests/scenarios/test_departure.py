"""A car before its departure: the gateway refuses with a reason what its charger would refuse silently."""

from __future__ import annotations

from emulators.scenario.loading import parse
from emulators.world import simulate

CAR = """
name = "a car that leaves soon"
start = 2026-01-15T17:00:00+09:00
duration = "25m"
telemetry = "5s"
[site]
kind = "home"
[[charger]]
id = "CP1"
[[car]]
name = "car"
evse = "CP1-1"
soc_pct = {soc}
visits = [{{arrive = "2s", leave = "{leave}", target_pct = 80}}]
[[command]]
at = "30s"
target = "CP1-1"
verb = "discharge"
power_w = 5000
lease_s = 30
hold = "20m"
"""


def test_discharge_of_a_car_without_spare_time_is_refused_with_a_reason() -> None:
    beginning = CAR.replace('duration = "25m"', 'duration = "5m"')
    run = simulate(parse(beginning.format(soc=70, leave="24m"), "test"), fast_forward=True)
    results = run.recording.facility.results
    assert {result["status"] for result in results} == {"refused"}
    assert {result["reason"]["code"] for result in results} == {"needed_for_departure"}
    assert "leaves at 08:24Z" in results[0]["reason"]["text"]
    assert run.figures["cars_discharged_wh"] == 0


def test_a_discharge_ends_with_a_reason_when_charging_time_is_needed() -> None:
    """79 % of 80 %: discharge is possible for some minutes, then the energy has to be charged again."""
    run = simulate(parse(CAR.format(soc=79, leave="24m"), "test"), fast_forward=True)
    facility = run.recording.facility
    assert run.figures["cars_discharged_wh"] > 200
    refused = [result for result in facility.results if result["status"] == "refused"]
    assert refused
    assert {result["reason"]["code"] for result in refused} == {"needed_for_departure"}
    failed = [result for result in facility.results if result["status"] == "failed"]
    assert {result["reason"]["code"] for result in failed} <= {"needed_for_departure"}
    clamped = [event for event in facility.events if event.get("event") == "clamp_changed"]
    assert refused[0]["status"] == "refused" or clamped
