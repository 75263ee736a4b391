"""A car at a converter, recorded events and steps of the tests of the site model."""

from __future__ import annotations

import pytest

from emulators.charger.hardware.power_stage import Contactors, PowerStage, StageSpec
from emulators.ev.car import Car
from emulators.runtime.clock import START
from emulators.site.balance import State
from emulators.site.site import Site

NOON_TOKYO = START + 3 * 3600


def a_car(soc: float, *, forming: bool) -> tuple[PowerStage, Car]:
    car = Car(soc_pct=soc)
    car.contactors_closed = True
    stage = PowerStage(StageSpec(forming=forming, max_current_a=40), step_s=1.0)
    stage.connect(car)
    stage.contactors = Contactors.CLOSED
    return stage, car


class Diary:
    """Events that a site reported."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, str]] = []

    def __call__(self, what: str, why: str) -> None:
        self.lines.append((what, why))


def run(site: Site, seconds: int, start: int = 0) -> list[State]:
    states = []
    for second in range(start, start + seconds):
        balance = site.step(float(second + 1), START + second + 1, 1.0)
        states.append(balance.state)
        if balance.state is not State.DE_ENERGISED:
            assert balance.load_w + balance.cars_w + balance.storage_w == pytest.approx(
                balance.pv_w + balance.grid_w, abs=max(150.0, 0.03 * balance.load_w)
            )
    return states
