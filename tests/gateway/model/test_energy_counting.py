"""Power and time bound what a frozen, jumping or once-reported state of charge and a misread register can do."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.model.battery import ASSUMED_CAPACITY_WH, LOSS_OUT
from gateway.model.event import EvseDescribed, Metered, NeedsStated, PowerLimits, SessionStarted, VehicleNeeds
from gateway.model.evse import Evse
from gateway.model.register import RESOLUTION_WH, Register
from gateway.model.soc import COARSE_PCT, CONFIRMED_AFTER, FROZEN_PCT, FROZEN_WH, JUMP_PCT, SLOWER, SLOWER_ASSUMED
from tests.rounds import rounds

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


GAUGES = st.one_of(
    st.lists(st.floats(-1.0, 1.0), min_size=1, max_size=5),  # dither, repeated
    st.floats(-0.02, 0.05).map(lambda step: [step * index for index in range(2000)]),  # creep
    st.lists(st.sampled_from([-6.0, -0.1, 0.0, 0.1, 1.0, 6.0, 12.0]), min_size=1, max_size=6),  # sudden changes
)


@given(GAUGES, st.sampled_from([3000.0, 10_000.0]), st.sampled_from([10.0, 60.0]), st.booleans(), st.booleans())
@settings(max_examples=rounds(50, 150), deadline=None)
def test_no_report_holds_the_level_while_energy_leaves_the_battery(
    gauge: list[float], power_w: float, every_s: float, registers: bool, known: bool
) -> None:
    """Frozen, dithering, creeping and jumping gauges: the level falls by what is counted, within the tolerance."""
    evse, out_wh, index = a_car(60.0, CAPACITY_WH if known else None), 0.0, 0
    battery_wh = CAPACITY_WH if known else ASSUMED_CAPACITY_WH
    tolerance_pct = COARSE_PCT + (FROZEN_PCT if known else 100.0 * FROZEN_WH / battery_wh)
    highest = max(0.0, *gauge[:10])  # a level that is repeated before the discharge counts
    trusted_pct = lowest_pct = 60.0 + highest
    while out_wh < 0.5 * battery_wh:
        index += 1
        report_pct = min(100.0, 60.0 + gauge[index % len(gauge)])
        lowest_pct = min(lowest_pct, report_pct)
        evse.apply(
            Metered("CP1-1", index * every_s, None, -power_w, 0.0, out_wh if registers else None, soc_pct=report_pct)
        )
        counted_pct = trusted_pct - 100 * LOSS_OUT * out_wh / battery_wh
        larger_pct = (SLOWER if known else SLOWER_ASSUMED) * (trusted_pct - lowest_pct)
        assert soc_of(evse) <= max(0.0, counted_pct + tolerance_pct + larger_pct + 0.2)
        out_wh += power_w * every_s / 3600


@given(st.floats(0.2, 1.0), st.lists(st.floats(-0.5, 0.5), min_size=1, max_size=7), st.sampled_from([0.1, 0.5, 1.0]))
@settings(max_examples=rounds(10, 60), deadline=None)
def test_a_gauge_that_is_right_is_accepted_in_cycles(share: float, noise: list[float], resolution_pct: float) -> None:
    """Charge and discharge for days, with a resolution and noise: what is published is what the vehicle reports."""
    evse, true_pct, into_wh, out_wh = a_car(60.0), 60.0, 0.0, 0.0
    power_w = RATED_W * share
    for index in range(1, 6000):
        at = index * 30.0
        evse.apply(Metered("CP1-1", at, None, power_w, into_wh, out_wh, None))
        moved_wh = power_w * 30.0 / 3600
        true_pct += 100 * (0.94 * moved_wh if moved_wh > 0 else 1.06 * moved_wh) / CAPACITY_WH
        into_wh, out_wh = into_wh + max(0.0, moved_wh), out_wh + max(0.0, -moved_wh)
        if true_pct > 90 or true_pct < 20:
            power_w = -RATED_W * share if true_pct > 90 else RATED_W * share
        reported_pct = resolution_pct * round((true_pct + noise[index % len(noise)]) / resolution_pct)
        evse.apply(Metered("CP1-1", at + 29.0, None, power_w, soc_pct=reported_pct))
        assert abs(soc_of(evse) - reported_pct) <= 1.5


@pytest.mark.parametrize("capacity_wh", [60_000.0, 100_000.0, 150_000.0])
def test_a_large_battery_of_unknown_capacity_is_accepted_while_its_report_falls(capacity_wh: float) -> None:
    evse, true_pct = a_car(80.0, None), 80.0
    for index in range(1, 2000):
        true_pct -= 100 * 1.06 * RATED_W * EVERY_S / 3600 / capacity_wh
        if true_pct < 10:
            break
        reported_pct = round(true_pct, 1)
        evse.apply(Metered("CP1-1", index * EVERY_S, power_w=-RATED_W, soc_pct=reported_pct))
        assert soc_of(evse) == pytest.approx(reported_pct, abs=0.5)


def test_a_station_that_measures_no_power_may_report_a_charge() -> None:
    evse = a_car(34.0)
    for index in range(1, 200):
        reported_pct = 34.0 + 100 * 0.9 * RATED_W * 60.0 * index / 3600 / CAPACITY_WH
        if reported_pct > 100:
            break
        evse.apply(Metered("CP1-1", index * 60.0, soc_pct=reported_pct))
        assert soc_of(evse) == reported_pct


def test_a_rise_that_no_charge_explains_is_not_accepted() -> None:
    evse = a_car(34.0)
    evse.apply(Metered("CP1-1", 0.0, power_w=0.0))
    for index in range(1, 2000):
        evse.apply(Metered("CP1-1", index * EVERY_S, power_w=0.0, soc_pct=34.0 + 0.02 * index))
        assert soc_of(evse) <= 34.0 + FROZEN_PCT + 1e-6


def test_a_wrong_high_first_report_is_no_level_to_return_to() -> None:
    """80 % at first, then 60 % for ever, as of a gauge that is frozen: hours later 60 % is still not a return."""
    evse = a_car(80.0)
    for index in range(1, 800):
        evse.apply(Metered("CP1-1", index * EVERY_S, power_w=-RATED_W, soc_pct=60.0))
        spent_pct = 100 * LOSS_OUT * RATED_W * (index - 1) * EVERY_S / 3600 / CAPACITY_WH
        assert soc_of(evse) <= max(0.0, 61.0 - spent_pct + FROZEN_PCT + 0.1)


def test_a_coarse_or_late_state_of_charge_is_accepted() -> None:
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


@pytest.mark.parametrize(("target_soc_pct", "target_energy_wh"), [(60.0, None), (None, 16_000.0), (60.0, 4_000.0)])
def test_the_requested_state_of_charge_does_not_rise_while_energy_is_charged(
    target_soc_pct: float | None, target_energy_wh: float | None
) -> None:
    evse = a_car(20.0)
    needs = VehicleNeeds(
        LIMITS, True, soc_pct=20.0, battery_capacity_wh=CAPACITY_WH, target_soc_pct=target_soc_pct,
        target_energy_wh=target_energy_wh,
    )  # fmt: skip
    evse.apply(NeedsStated("CP1-1", 0.0, needs))
    assert evse.requested_soc_pct == pytest.approx(60.0)
    for step in range(1 + int(3600 / EVERY_S)):  # 10 kWh into a battery of 40 kWh
        evse.apply(Metered("CP1-1", step * EVERY_S, power_w=10_000.0))
    assert soc_of(evse) > 40.0
    assert evse.requested_soc_pct == pytest.approx(60.0, abs=0.5)
