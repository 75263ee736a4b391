"""What sharing gave for many fleets is held: laws say what is right, these vectors say that nothing changed unnoticed.

`V2X_DRAW=1` writes them anew, which needs a reason in the commit that does it.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from random import Random
from typing import Any

import pytest

from gateway.energy.resource import Kind, Resource
from gateway.energy.share import Shares, must_w, share, share_command

HELD = Path(__file__).with_name("held_shares.json")
WALL = 1_800_000_000.0
FLEETS = 400


def resource(chance: Random, number: int) -> Resource:
    floor, ceiling = chance.choice([0.0, 10.0, 30.0]), chance.choice([80.0, 95.0, 100.0])
    band = chance.choice([0.0, 0.0, 700.0, 1400.0])
    soc = chance.choice([None, floor, floor + 0.05, ceiling, ceiling - 0.05, 50.0, 50.0, chance.uniform(0, 100)])
    leaves = chance.choice([None, None, 600.0, 1800.0, 3600.0, 9000.0, 30_000.0, 200_000.0])
    due = chance.choice([None, None, None, 2400.0, 7200.0])
    return Resource(
        f"E{number}",
        chance.choice([0.0, 3000.0, 6000.0, 6000.0, 11_000.0]),
        chance.choice([0.0, 3000.0, 6000.0, 6000.0, 10_000.0]),
        chance.choice(list(Kind)),
        band,
        chance.choice([band, 0.0, 900.0]),
        soc,
        chance.choice([None, 10_000.0, 40_000.0, 40_000.0, 60_000.0]),
        floor,
        ceiling,
        chance.choice([None, None, 60.0, 90.0, 100.0]),
        None if leaves is None else WALL + leaves,
        None if due is None else WALL + due,
        chance.choice([0.0, 0.0, 0.0, 500.0, 2000.0, 20_000.0]),
        setpoint_w=chance.choice([0.0, 0.0, 2000.0, -2000.0, -5000.0]),
        charge_efficiency=chance.choice([0.94, 0.9]),
        discharge_efficiency=chance.choice([0.94, 0.9]),
        wear_per_kwh=chance.choice([0.0, 3.0, 8.0]),
        rank=chance.choice([0, 1, 1, 2, 5]),
        efficient_w=chance.choice([0.0, 0.0, 2500.0, 5000.0]),
    )


def target_w(chance: Random, fleet: list[Resource]) -> float:
    most, least = sum(one.max_charge_w for one in fleet), sum(one.min_discharge_w for one in fleet)
    return chance.choice([0.0, 1e-7, -1e-7, most, -least, *(chance.uniform(-12_000, 12_000) for _ in range(8))])


def fleets() -> list[tuple[float, list[Resource]]]:
    chance = Random(12)
    found = []
    for _ in range(FLEETS):
        fleet = [resource(chance, number) for number in range(chance.choice([1, 2, 3, 4, 5, 9]))]
        found.append((target_w(chance, fleet), fleet))
    return found


def shared(target: float, fleet: list[Resource]) -> dict[str, Any]:
    done = share(target, fleet, WALL)
    return {
        "share": [*done.power_w.values()],
        "total": [done.total_w, done.short_w, done.must_w],
        "command": [*share_command(target, fleet).values()],
        "must": [*must_w(fleet, WALL)],
    }


def test_every_fleet_gets_what_it_got() -> None:
    cases = fleets()
    if os.environ.get("V2X_DRAW"):
        rows = [json.dumps(shared(*case)) for case in cases]
        HELD.write_text("[\n" + ",\n".join(rows) + "\n]\n")
    held = json.loads(HELD.read_text())
    for number, (case, expected) in enumerate(zip(cases, held, strict=True)):
        found = shared(*case)
        assert found.keys() == expected.keys()
        for name, values in found.items():
            assert values == pytest.approx(expected[name], rel=1e-6, abs=1e-4), f"{number}: {name}"


def test_shares_are_named_and_their_total_is_their_sum() -> None:
    for target, fleet in fleets()[:50]:
        done = share(target, fleet, WALL)
        names = [one.name for one in fleet]
        assert [*done.power_w] == [*share_command(target, fleet)] == names
        assert done.total_w == pytest.approx(sum(done.power_w.values()))
        assert "-0.0" not in str([*done.power_w.values(), *share_command(target, fleet).values()])


def test_without_resources_there_is_nothing_to_share() -> None:
    assert share(-5000.0, []) == Shares({}, 0.0, -5000.0, 0.0)
    assert share_command(-5000.0, []) == {}
    assert must_w([], WALL) == (0.0, 0.0)


@pytest.mark.parametrize("target", [0.5, -0.5, 1e-5, -1e-5])
def test_little_power_is_shared_as_well(target: float) -> None:
    one = Resource("A", 6000.0, 6000.0, soc_pct=50.0, capacity_wh=40_000.0)
    assert share(target, [one]).power_w["A"] == pytest.approx(target)
    assert share_command(target, [one])["A"] == pytest.approx(target)


def test_unless_it_is_told_the_time_is_0() -> None:
    leaving = Resource("L", 6000.0, 0.0, soc_pct=30.0, capacity_wh=40_000.0, wanted_pct=60.0, departure=9000.0)
    assert share(0.0, [leaving]) == share(0.0, [leaving], 0.0)
    assert share(0.0, [leaving]) != share(0.0, [leaving], 1.0)
