"""Driver: visits as planned, determined by the seed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulators.ev.car import Car
from emulators.ev.driver import Habit, Visit, make_visits
from emulators.runtime.clock import VirtualClock

pytestmark = pytest.mark.virtual_time


@given(st.integers(1, 14), st.integers(), st.floats(0, 24), st.floats(0, 24), st.floats(0, 24))
def test_visits_do_not_overlap(days: int, seed: int, arrives: float, leaves: float, start: float) -> None:
    habit = Habit(arrives_h=arrives, leaves_h=leaves)
    visits = habit.visits(days, seed, start)
    assert visits == habit.visits(days, seed, start)
    for earlier, later in zip(visits, visits[1:], strict=False):  # noqa: RUF007 - pairs of a list that may be short
        assert earlier.leaves_at < later.arrives_at
    for visit in visits:
        assert 0 <= visit.arrives_at < visit.leaves_at
        assert visit.driven_wh >= 0


def test_a_commuter_is_plugged_in_overnight() -> None:
    visits = Habit(18, 7.5, spread_h=0).visits(3, 1)
    assert [(round(v.arrives_at / 3600, 1), round(v.leaves_at / 3600, 1)) for v in visits] == [
        (0.0, 7.5),
        (18.0, 31.5),
        (42.0, 55.5),
        (66.0, 79.5),
    ]
    assert visits[0].driven_wh == 0 < visits[1].driven_wh


async def test_visits_drive_plug_and_unplug_the_car() -> None:
    clock = VirtualClock()
    car = Car(soc_pct=80)
    seen: list[tuple[str, float, float]] = []

    async def plug(it: Car) -> None:
        seen.append(("plug", clock.now(), it.soc_pct))

    async def unplug(it: Car) -> None:
        seen.append(("unplug", clock.now(), it.soc_pct))

    visits = [Visit(100, 200), Visit(7200, 9000, driven_wh=6300, floor_pct=50, target_pct=90)]
    await make_visits(car, visits, clock, plug, unplug)
    assert [(what, at) for what, at, _ in seen] == [
        ("plug", 100),
        ("unplug", 200),
        ("plug", 7200),
        ("unplug", 9000),
    ]
    assert seen[2][2] == pytest.approx(70, abs=1)
    assert (car.v2x_min_soc_pct, car.target_soc_pct, car.departure_at) == (50, 90, 9000)


def test_a_visit_ends_after_it_begins() -> None:
    with pytest.raises(ValueError, match="end after"):
        Visit(10, 5)
