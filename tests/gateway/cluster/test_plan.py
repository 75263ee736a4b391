"""The plan of the rounds of faults."""

from __future__ import annotations

import pytest

from tests.gateway.cluster.plan import ALL, SHORT, Fault, Kind, Part, round_of


@pytest.mark.parametrize("faults", [ALL, SHORT])
def test_each_fault_comes_once_in_a_turn(faults: tuple[Fault, ...]) -> None:
    drawn = [round_of(3, number, 10.0, faults) for number in range(1, 2 * len(faults) + 1)]
    first, second = drawn[: len(faults)], drawn[len(faults) :]
    assert {one.fault for one in first} == {one.fault for one in second} == set(faults)
    assert [one.fault for one in first] != [one.fault for one in second]


def test_a_round_is_the_same_alone() -> None:
    alone = round_of(3, 25, 10.0)
    assert alone == [round_of(3, number, 10.0) for number in range(1, 30)][24]
    assert alone != round_of(4, 25, 10.0)
    assert str(alone) == (
        "seed 3, round 25: cut postgres (of several: 0.91) after 0.07 s for 18.20 s, beyond a take-over 0.84 s"
    )


def test_every_part_is_killed_paused_and_cut_off() -> None:
    assert {(one.kind, one.part) for one in ALL} >= {
        (kind, part) for kind in (Kind.KILL, Kind.PAUSE, Kind.CUT) for part in Part
    }


def test_the_short_rounds_have_a_fault_of_each_part() -> None:
    assert {one.part for one in SHORT} == set(Part)
    assert len(SHORT) == 10
