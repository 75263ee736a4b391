"""Control pilot: duty cycles and states, and the sequences of ISO 15118-3 that both engines follow."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.errors import LocalProtocolError
from protocols.iec61851 import (
    CONNECTED,
    DIGITAL,
    OPEN_UNDER_LOAD_AFTER,
    STEP_EF,
    STEP_X1,
    WAKE_AFTER,
    WAKE_X1,
    X1,
    Event,
    EvseOrder,
    OfferCurrent,
    OfferDigital,
    OpenUnderLoad,
    OutputChanged,
    OutputKind,
    PilotOutput,
    PilotState,
    PlugIn,
    ReleaseEnergy,
    RequestEnergy,
    RetriesExhausted,
    RetryDigital,
    SignalFault,
    SignalLinkError,
    StateChanged,
    Toggle,
    TurnOff,
    Unplug,
    VehicleToggled,
    WakeVehicle,
    current_of_duty,
    diode_present,
    duty_of_current,
    state_of_voltage,
)
from protocols.pilot_engines import EvsePilot, ToggleCounter, VehiclePilot

A, B, C, D, E, F = PilotState
ERROR = PilotOutput(OutputKind.F)
TEN_A = PilotOutput(OutputKind.PWM, duty_of_current(10))


class Pair:
    """An EVSE and a vehicle on one pilot; `outputs` are those of the EVSE with the time of each."""

    def __init__(self, plugged: bool = True) -> None:
        self.evse, self.vehicle = EvsePilot(), VehiclePilot()
        self.now = 0.0
        self.outputs: list[tuple[float, PilotOutput]] = []
        self.events: list[Event] = []
        if plugged:
            self.vehicle.command(PlugIn(), 0.0)
            self.run(0.1)

    def run(self, seconds: float) -> None:
        """Let time pass."""
        until = self.now + seconds
        while True:
            self._couple()
            times = [one for one in (self.evse.deadline(), self.vehicle.deadline()) if one is not None]
            if not times or min(times) > until:
                break
            self.now = min(times)
            self.vehicle.expire(self.now)
            self._note(self.evse.expire(self.now))
        self.now = until

    def order(self, order: EvseOrder) -> None:
        """Give an order to the EVSE."""
        self.evse.command(order, self.now)
        self._note(self.evse.expire(self.now))

    def _couple(self) -> None:
        for _ in range(3):
            self.vehicle.receive(self.evse.output, self.now)
            if self.evse.output.kind not in (OutputKind.E, OutputKind.F):
                self._note(self.evse.receive(self.vehicle.state, self.now))

    def _note(self, events: list[Event]) -> None:
        self.events += events
        self.outputs += [(self.now, one.output) for one in events if isinstance(one, OutputChanged)]

    def sequence(self) -> list[PilotOutput]:
        """Return the outputs since the plug was inserted."""
        return [output for _, output in self.outputs]

    def durations(self) -> list[float]:
        """Return how long each output lasted, but the last one."""
        return [round(later - at, 3) for (at, _), (later, _) in itertools.pairwise(self.outputs)]


@pytest.mark.parametrize(
    ("duty_pct", "current_a"), [(10, 6), (16, 9.6), (50, 30), (85, 51), (90, 65), (96, 80), (97, 80), (5, 0), (100, 0)]
)
def test_duty_cycles_of_the_standard(duty_pct: float, current_a: float) -> None:
    assert current_of_duty(duty_pct) == pytest.approx(current_a)


@given(st.floats(6.0, 80.0))
def test_a_current_survives_its_duty_cycle(current_a: float) -> None:
    expected_a = 51.0 if 51 < current_a < 52.5 else current_a
    assert current_of_duty(duty_of_current(current_a)) == pytest.approx(expected_a)


@given(st.floats(0.0, 100.0))
def test_no_duty_cycle_offers_more_than_the_standard_has(duty_pct: float) -> None:
    current_a = current_of_duty(duty_pct)
    assert current_a == 0 or 6.0 <= current_a <= 80.0
    assert not (PilotOutput(OutputKind.PWM, duty_pct).digital and current_a)


@pytest.mark.parametrize("current_a", [5.9, 80.1, float("nan")])
def test_a_current_outside_the_range_is_refused(current_a: float) -> None:
    with pytest.raises(LocalProtocolError):
        duty_of_current(current_a)


@pytest.mark.parametrize(
    ("volt", "state"), [(12.1, A), (11, A), (9.4, B), (8, B), (6, C), (3.2, D), (0.3, E), (-0.9, E), (-11.5, F)]
)
def test_states_by_voltage(volt: float, state: PilotState) -> None:
    assert state_of_voltage(volt) is state


def test_the_diode() -> None:
    assert diode_present(-12)
    assert not diode_present(-6)


def test_a_state_counts_when_it_has_lasted() -> None:
    evse = EvsePilot()
    for step in range(10):
        assert evse.receive(B if step % 2 == 0 else A, step * 0.005) == []
    assert evse.state is A
    evse.receive(B, 0.1)
    assert evse.expire(0.121) == [StateChanged(B, A)]


def test_digital_communication_is_offered_at_plug_in() -> None:
    pair = Pair(plugged=False)
    pair.order(OfferDigital())
    assert pair.evse.output == X1
    pair.vehicle.command(PlugIn(), 0.0)
    pair.run(1.0)
    assert pair.evse.output == DIGITAL
    pair.vehicle.command(Unplug(), pair.now)
    pair.run(1.0)
    assert pair.evse.output == X1


@pytest.mark.parametrize(
    ("order", "outputs", "durations"),
    [
        (OfferCurrent(10), [ERROR, TEN_A], [STEP_EF]),  # V2G3-M06-05
        (OfferCurrent(10, matching=True), [X1, TEN_A], [STEP_X1]),  # V2G3-M06-06
        (RetryDigital(), [ERROR, DIGITAL], [STEP_EF]),  # V2G3-M06-07
        (SignalLinkError(), [X1, ERROR, DIGITAL], [STEP_X1, STEP_EF]),  # V2G3-M07-05
        (SignalLinkError(again=False), [X1, ERROR, X1], [STEP_X1, STEP_EF]),
        (TurnOff(), [X1], []),
        (SignalFault(), [ERROR], []),
        (WakeVehicle(by_fault=True), [ERROR, DIGITAL], [STEP_EF]),
    ],
)
def test_sequences_from_five_percent(order: EvseOrder, outputs: list[PilotOutput], durations: list[float]) -> None:
    pair = Pair()
    pair.order(OfferDigital())
    pair.run(1.0)
    pair.outputs.clear()
    pair.order(order)
    pair.run(20.0)
    assert pair.sequence() == outputs
    assert pair.durations() == durations


def test_a_nominal_duty_cycle_follows_x1_directly() -> None:
    pair = Pair()
    pair.order(OfferCurrent(10))
    assert pair.sequence() == [TEN_A]


def test_a_link_error_in_x1_and_in_basic_charging() -> None:
    pair = Pair()
    pair.order(SignalLinkError())  # V2G3-M07-04
    pair.run(10.0)
    assert pair.sequence() == [ERROR, DIGITAL]
    pair.order(OfferCurrent(10, matching=True))
    pair.run(10.0)
    pair.outputs.clear()
    pair.order(SignalLinkError())  # V2G3-M07-12
    pair.run(10.0)
    assert pair.sequence() == []


def test_after_two_retries_the_evse_gives_up() -> None:
    pair = Pair()
    pair.order(OfferDigital())
    for _ in range(3):
        pair.run(40.0)
        pair.order(RetryDigital())
    pair.run(10.0)
    assert pair.sequence() == [DIGITAL, ERROR, DIGITAL, ERROR, DIGITAL, X1]
    assert RetriesExhausted() in pair.events


def test_basic_charging_by_the_duty_cycle() -> None:
    pair = Pair()
    pair.vehicle.command(RequestEnergy(), pair.now)
    pair.run(1.0)
    assert pair.evse.state is B  # no PWM, no energy
    pair.order(OfferCurrent(10))
    pair.run(1.0)
    assert (pair.evse.state, round(pair.vehicle.current_limit_a, 3)) == (C, 10)
    pair.order(OfferCurrent(16))
    pair.run(1.0)
    assert round(pair.vehicle.current_limit_a, 3) == 16
    pair.order(TurnOff())
    pair.run(1.0)
    assert (pair.evse.state, pair.vehicle.current_limit_a) == (B, 0)
    pair.order(OfferCurrent(16))
    pair.run(1.0)
    pair.vehicle.command(ReleaseEnergy(), pair.now)
    pair.run(1.0)
    assert pair.evse.state is B


def test_ventilation_is_state_d() -> None:
    pair = Pair()
    pair.order(OfferDigital())
    pair.run(0.1)
    pair.vehicle.command(RequestEnergy(ventilation=True), pair.now)
    pair.run(1.0)
    assert pair.evse.state is D


def test_a_vehicle_that_keeps_c_after_x1_has_its_contactor_opened() -> None:
    evse = EvsePilot()
    evse.receive(C, 0.0)
    evse.expire(0.02)
    evse.command(OfferCurrent(16), 1.0)
    evse.command(TurnOff(), 2.0)
    assert OpenUnderLoad() not in evse.expire(2.0 + OPEN_UNDER_LOAD_AFTER - 0.1)
    assert evse.expire(2.0 + OPEN_UNDER_LOAD_AFTER) == [OpenUnderLoad()]


def test_a_vehicle_that_sleeps_is_woken_once() -> None:
    pair = Pair()
    pair.order(OfferCurrent(10))
    pair.run(WAKE_AFTER + 100)
    assert pair.sequence() == [TEN_A, ERROR, X1, TEN_A]
    assert pair.durations() == [WAKE_AFTER, STEP_EF, WAKE_X1]


def test_a_vehicle_that_sleeps_when_it_is_plugged_in_is_woken_too() -> None:
    pair = Pair(plugged=False)
    pair.order(OfferCurrent(10))
    pair.run(100.0)
    pair.vehicle.command(PlugIn(), pair.now)
    pair.run(WAKE_AFTER + 100)
    assert pair.sequence() == [TEN_A, ERROR, X1, TEN_A]


def test_a_vehicle_that_has_charged_is_not_woken() -> None:
    pair = Pair()
    pair.order(OfferCurrent(10))
    pair.vehicle.command(RequestEnergy(), pair.now)
    pair.run(10.0)
    pair.vehicle.command(ReleaseEnergy(), pair.now)
    pair.run(WAKE_AFTER + 100)
    assert pair.sequence() == [TEN_A]


@pytest.mark.parametrize("order", [OfferCurrent(10), OfferDigital(), TurnOff(), WakeVehicle()])
def test_an_order_does_not_shorten_a_fault_that_a_vehicle_is_to_notice(order: EvseOrder) -> None:
    pair = Pair()
    pair.order(OfferDigital())
    pair.run(1.0)
    pair.order(RetryDigital())
    pair.run(1.5)
    pair.order(order)
    pair.run(10.0)
    assert pair.durations()[1] == STEP_EF


def test_the_evse_wakes_a_vehicle_by_pwm() -> None:
    pair = Pair()
    pair.order(TurnOff())
    pair.order(WakeVehicle())
    assert pair.evse.output == DIGITAL


@pytest.mark.parametrize("count", [1, 2, 3])
def test_a_vehicle_wakes_the_evse_by_toggles(count: int) -> None:
    pair = Pair()
    pair.vehicle.command(Toggle(count), pair.now)
    pair.run(3.0)
    assert [one.count for one in pair.events if isinstance(one, VehicleToggled)] == list(range(1, count + 1))


@pytest.mark.parametrize(("half_s", "counted"), [(0.05, 0), (0.2, 1), (0.4, 1), (0.6, 0)])
def test_only_toggles_of_the_right_length_count(half_s: float, counted: int) -> None:
    counter = ToggleCounter()
    counter.observe(C, 1.0)
    counter.observe(B, 1.0 + half_s)
    assert counter.count == counted


@pytest.mark.parametrize("order", [Toggle(0), Toggle(4), Toggle(1, 0.05), Toggle(1, 1.0)])
def test_toggles_outside_the_range_are_refused(order: Toggle) -> None:
    vehicle = VehiclePilot()
    vehicle.command(PlugIn(), 0.0)
    with pytest.raises(LocalProtocolError):
        vehicle.command(order, 0.0)


ORDERS: list[Callable[[], EvseOrder]] = [
    OfferDigital,
    lambda: OfferCurrent(16),
    lambda: OfferCurrent(16, matching=True),
    TurnOff,
    SignalFault,
    RetryDigital,
    SignalLinkError,
    lambda: WakeVehicle(by_fault=True),
]


@given(
    st.lists(
        st.tuples(
            st.sampled_from([*ORDERS, *PilotState]), st.floats(0.001, 50.0, allow_nan=False, allow_infinity=False)
        ),
        max_size=30,
    )
)
def test_no_vehicle_no_pwm_and_every_fault_lasts(
    steps: list[tuple[Callable[[], EvseOrder] | PilotState, float]],
) -> None:
    """Whatever is ordered and measured: PWM only with a vehicle, and E or F of a sequence for T_step_EF."""
    evse, now, began = EvsePilot(), 0.0, 0.0

    def passed(act: Callable[[], object]) -> None:
        nonlocal began
        before, state = evse.output, evse.state
        act()
        if before == ERROR and evse.output != ERROR and state in CONNECTED and evse.state is state:
            assert now - began >= STEP_EF - 1e-9
        began = now if evse.output == ERROR and before != ERROR else began
        assert evse.output.kind is not OutputKind.PWM or evse.state is not A

    for what, seconds in steps:
        until = now + seconds
        if isinstance(what, PilotState):
            passed(lambda: evse.receive(what, now))  # noqa: B023 - called at once
        else:
            passed(lambda: evse.command(what(), now))  # noqa: B023 - called at once
        while (due := evse.deadline()) is not None and due <= until:
            now = max(now, due)
            passed(lambda: evse.expire(now))  # noqa: B023 - called at once
        now = until
