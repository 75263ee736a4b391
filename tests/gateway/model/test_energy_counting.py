"""Power and time bound what a frozen, jumping or once-reported state of charge and a misread register can do."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.model.battery import LOSS_OUT
from gateway.model.event import EvseDescribed, Metered, NeedsStated, PowerLimits, SessionStarted, VehicleNeeds
from gateway.model.evse import Evse
from gateway.model.register import RESOLUTION_WH, Register
from gateway.model.soc import CONFIRMED_AFTER, FROZEN_PCT, JUMP_PCT

RATED_W = 10_000.0
CAPACITY_WH = 40_000.0
LIMITS = PowerLimits(RATED_W, RATED_W)
EVERY_S = 10.0


def a_car(soc_pct: float = 34.0, capacity_wh: float | None = CAPACITY_WH) -> Evse:
    evse = Evse("CP1-1", "CP1")
    evse.apply(EvseDescribed("CP1-1", "CP1", 0.0, LIMITS, True))
    evse.apply(SessionStarted("CP1-1", 0.0, "tx"))
    needs = VehicleNeeds(LIMITS, True, soc_pct=soc_pct, battery_capacity_wh=capacity_wh)
    evse.apply(NeedsStated("CP1-1", 0.0, needs))
    return evse


def soc_of(evse: Evse) -> float:
    assert evse.soc_pct is not None
    return evse.soc_pct


GLITCHES = st.sampled_from([0.0, 1.0, 65_535.0, 4_294_967.0]) | st.floats(0, 1e9)
STEPS = st.lists(
    st.tuples(st.floats(-RATED_W, RATED_W), st.floats(1, 60), st.none() | GLITCHES, st.none() | GLITCHES), max_size=40
)


@given(STEPS, st.sampled_from([0.0, 4_000_000.0]))
def test_registers_that_are_misread_once_count_nothing_twice(
    steps: list[tuple[float, float, float | None, float | None]], base_wh: float
) -> None:
    """A wrong reading is followed by a right one: after it the energy is the true one, up to the resolution."""
    evse, now, into_wh, out_wh = a_car(50.0), 0.0, base_wh, base_wh
    evse.apply(Metered("CP1-1", now, power_w=0.0, energy_charged_wh=into_wh, energy_discharged_wh=out_wh))
    misread = False
    for power_w, passed_s, wrong_in, wrong_out in steps:
        now += passed_s
        into_wh += max(0.0, power_w) * passed_s / 3600
        out_wh += max(0.0, -power_w) * passed_s / 3600
        wrong = not misread and (wrong_in is not None or wrong_out is not None)
        misread = wrong
        evse.apply(
            Metered(
                "CP1-1",
                now,
                power_w=power_w,
                energy_charged_wh=wrong_in if wrong and wrong_in is not None else into_wh,
                energy_discharged_wh=wrong_out if wrong and wrong_out is not None else out_wh,
            )
        )
        assert evse.charged.total_wh is not None
        assert evse.discharged.total_wh is not None
    now += EVERY_S
    evse.apply(Metered("CP1-1", now, power_w=0.0, energy_charged_wh=into_wh, energy_discharged_wh=out_wh))
    wrongs = sum(step[2] is not None or step[3] is not None for step in steps)
    slack_wh = 2 * RESOLUTION_WH * wrongs + 1.0
    assert (evse.charged.total_wh or 0.0) - into_wh == pytest.approx(0.0, abs=slack_wh)
    assert (evse.discharged.total_wh or 0.0) - out_wh == pytest.approx(0.0, abs=slack_wh)


@given(
    st.lists(st.tuples(st.floats(0, 60), st.none() | GLITCHES, st.none() | GLITCHES, st.floats(-1e8, 1e8)), max_size=30)
)
def test_whatever_meters_report_the_state_of_charge_rises_by_power_and_time_only(
    steps: list[tuple[float, float | None, float | None, float]],
) -> None:
    evse, now = a_car(), 0.0
    for passed_s, into_wh, out_wh, power_w in steps:
        now += passed_s
        evse.apply(Metered("CP1-1", now, None, power_w, into_wh, out_wh))
        most_wh = 2 * RATED_W * now / 3600 + RESOLUTION_WH
        assert soc_of(evse) <= 34.0 + 100 * most_wh / CAPACITY_WH + 1e-6


@given(st.lists(st.tuples(st.floats(0, 600), GLITCHES), max_size=40))
def test_a_register_never_counts_more_than_flowed_and_its_resolution(steps: list[tuple[float, float]]) -> None:
    register, now, counted_wh = Register(), 0.0, 0.0
    for passed_s, value_wh in steps:
        now += passed_s
        before_wh = register.total_wh
        register.read(value_wh, now, RATED_W)
        assert register.total_wh is not None
        if before_wh is not None:
            assert register.total_wh >= before_wh
            counted_wh += register.total_wh - before_wh
    assert counted_wh <= RATED_W * now / 3600 + RESOLUTION_WH * len(steps)


@pytest.mark.parametrize("values", [(4e6, 0.0, 4e6), (4e6, 4e7, 4e6), (3e3, 0.0, 3e3), (4e6, 0.0, 0.0, 4e6, 4e6)])
def test_a_register_that_reads_wrong_counts_nothing(values: tuple[float, ...]) -> None:
    register = Register()
    for index, value_wh in enumerate(values):
        register.read(value_wh, index * EVERY_S, RATED_W)
    assert register.total_wh == values[0]


@pytest.mark.parametrize("start_wh", [0.0, 17.0, 9e6])
def test_a_new_meter_continues_the_count(start_wh: float) -> None:
    register = Register()
    for index in range(100):
        value_wh = 4e6 + 10 * index if index < 50 else start_wh + 10 * index
        register.read(value_wh, index * EVERY_S, RATED_W)
    assert register.total_wh == pytest.approx(4e6 + 990, abs=25)


def test_a_register_in_kwh_is_counted_though_each_step_is_sudden() -> None:
    register = Register()
    for index in range(1000):
        register.read(1000.0 * (3 * index * EVERY_S // 3600), index * EVERY_S, RATED_W)
    assert register.total_wh == pytest.approx(8000.0)


def test_a_car_with_a_frozen_state_of_charge_does_not_fall_through_its_floor_unseen() -> None:
    for capacity_wh in (CAPACITY_WH, None):
        evse, out_wh = a_car(40.0, capacity_wh), 0.0
        for index in range(1, 2000):
            out_wh += RATED_W * EVERY_S / 3600
            evse.apply(Metered("CP1-1", index * EVERY_S, None, -RATED_W, 0.0, out_wh, 40.0))
            if soc_of(evse) <= 30.0:
                break
        true_pct = 40.0 - 100 * LOSS_OUT * out_wh / CAPACITY_WH
        assert soc_of(evse) <= 30.0
        assert true_pct >= 30.0 - FROZEN_PCT - 0.2


def test_a_coarse_or_late_state_of_charge_is_believed() -> None:
    """Whole percent, two minutes late: the published value stays within the tolerance of what the vehicle reports."""
    evse, out_wh, reports = a_car(80.0), 0.0, [80.0] * 12
    for index in range(1, 1000):
        out_wh += 5000.0 * EVERY_S / 3600
        reports.append(float(int(80.0 - 100 * LOSS_OUT * out_wh / CAPACITY_WH)))
        evse.apply(Metered("CP1-1", index * EVERY_S, None, -5000.0, 0.0, out_wh, reports[index]))
        assert abs(soc_of(evse) - reports[index]) <= 1.0


@given(st.floats(0, 100), st.lists(st.tuples(st.integers(1, 20), st.floats(0, 100)), max_size=8))
def test_a_state_of_charge_that_jumps_up_opens_nothing(soc_pct: float, jumps: list[tuple[int, float]]) -> None:
    evse, index = a_car(soc_pct), 0
    for quiet, jump_pct in jumps:
        for _ in range(quiet):
            index += 1
            evse.apply(Metered("CP1-1", index * EVERY_S, power_w=0.0, soc_pct=soc_pct))
        index += 1
        evse.apply(Metered("CP1-1", index * EVERY_S, power_w=0.0, soc_pct=jump_pct))
        assert soc_of(evse) <= soc_pct + JUMP_PCT + 2.5


@pytest.mark.parametrize("level_pct", [0.0, 20.0, 55.0, 100.0])
def test_a_level_that_is_reported_again_and_again_is_the_right_one(level_pct: float) -> None:
    evse = a_car(34.0)
    for index in range(1, CONFIRMED_AFTER + 1):
        evse.apply(Metered("CP1-1", index * EVERY_S, power_w=0.0, soc_pct=level_pct))
    assert soc_of(evse) == level_pct


def test_one_report_of_0_is_forgotten_with_the_next_right_one() -> None:
    evse = a_car(60.0)
    for index, pct in enumerate((60.0, 0.0, 60.0), 1):
        evse.apply(Metered("CP1-1", index * EVERY_S, power_w=0.0, soc_pct=pct))
    assert soc_of(evse) == 60.0


@pytest.mark.parametrize("export", [None, 5000.0])
def test_a_discharge_without_a_working_export_register_is_counted_by_its_power(export: float | None) -> None:
    evse = a_car(50.0)
    for index in range(361):
        evse.apply(Metered("CP1-1", index * EVERY_S, None, -4000.0, 100.0, export))
    assert soc_of(evse) == pytest.approx(50.0 - 100 * LOSS_OUT * 4000 / CAPACITY_WH, abs=0.1)


def test_readings_without_power_do_not_count_it_twice() -> None:
    evse = a_car(50.0)
    for index in range(361):
        evse.apply(Metered("CP1-1", index * EVERY_S, power_w=-4000.0))
        evse.apply(Metered("CP1-1", index * EVERY_S + 5, voltage_v=230.0))
    assert soc_of(evse) == pytest.approx(50.0 - 100 * LOSS_OUT * 4000 / CAPACITY_WH, abs=0.1)
