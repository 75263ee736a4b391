"""Rules of the control pilot and of the AC contactor: responses that wait for the hardware, and their limits."""

from __future__ import annotations

from typing import Any

import pytest

from protocols.iso15118.iso2 import timers
from protocols.iso15118.iso2.dialect import ISO2, Dialect
from protocols.iso15118.iso2.states import State, Step
from protocols.iso15118.iso2.tolerances import STRICT, Tolerance
from protocols.iso15118.iso20 import events, orders
from protocols.iso15118.session.control_pilot import Pilot
from tests.protocols.iso15118.iso2.iso2_pair import DIALECTS, in_state, old_pair, stop
from tests.protocols.iso15118.iso2.raw_car import RawCar

GENERATIONS = pytest.mark.parametrize("dialect", DIALECTS.values(), ids=list(DIALECTS))
AC = "AC_three_phase_core"


def pilot(car: RawCar, state: Pilot) -> None:
    car.order(orders.ControlPilot(state))


def poll(car: RawCar, seconds: float) -> Any:
    """Let time pass in steps of the engine's deadline; return the first response."""
    end = car.now + seconds
    while car.now < end and not car.ended:
        car.wait(min(0.05, end - car.now))
        frames = car._framer.feed(car.secc.data_to_send())
        if frames:
            return car.dialect.decode(frames[-1].payload)[1]
    return None


@GENERATIONS
def test_the_insulation_test_begins_in_state_c(dialect: Dialect) -> None:
    car = RawCar(dialect)
    pilot(car, Pilot.B)
    car.go(Step.CABLE_CHECK)
    assert car.step(Step.CABLE_CHECK).EVSEProcessing == "Ongoing"
    assert not car.seen(events.CableCheckRequested)
    pilot(car, Pilot.C)
    assert car.step(Step.CABLE_CHECK).EVSEProcessing == "Finished"
    assert car.seen(events.CableCheckRequested)


@GENERATIONS
@pytest.mark.parametrize("tolerances", [STRICT, frozenset({Tolerance.SLOW_PILOT})])
def test_power_starts_only_in_state_c(dialect: Dialect, tolerances: Any) -> None:
    """V2G2-847, V2G-DC-547: within 1.5 s, relaxed 3 s, and never later than the response is due."""
    relaxed = 1.5 if dialect.is_din else 3.0
    for after, accepted in ((0.5, True), (1.4, True), (1.6, relaxed > 1.5 and tolerances is not STRICT), (3.5, False)):
        car = RawCar(dialect, tolerances=tolerances)
        car.go(Step.POWER_START)
        pilot(car, Pilot.B)
        assert car.step(Step.POWER_START) is None
        assert not car.seen(events.PowerStarted)
        response = poll(car, after)
        if response is None:
            pilot(car, Pilot.C)
            response = poll(car, 0.1)
        assert response.ResponseCode == ("OK" if accepted else "FAILED")
        assert bool(car.seen(events.PowerStarted)) is accepted


@GENERATIONS
def test_power_ends_when_the_car_leaves_state_c(dialect: Dialect) -> None:
    car = RawCar(dialect)
    pilot(car, Pilot.C)
    car.go(Step.POWER_STOP)
    pilot(car, Pilot.B)
    car.wait(0.0)
    assert car.seen(events.PowerStopped)
    assert car.step(Step.CHARGE_LOOP).ResponseCode == "FAILED"


@GENERATIONS
@pytest.mark.parametrize("state", [Pilot.A, Pilot.E])
def test_a_pulled_plug_ends_the_session_at_once(dialect: Dialect, state: Pilot) -> None:
    car = RawCar(dialect)
    pilot(car, Pilot.C)
    car.go(Step.CHARGE_LOOP)
    pilot(car, state)
    assert car.ended
    car.events += car.secc.expire(car.now)
    assert not car.seen(events.SessionEnded)[0].ok


@GENERATIONS
@pytest.mark.parametrize("step", [Step.WELDING_DETECTION, Step.SESSION_STOP])
def test_welding_detection_and_the_end_wait_for_state_b(dialect: Dialect, step: Step) -> None:
    """V2G2-848."""
    for after, code in ((1.0, "OK"), (2.0, "FAILED")):
        car = RawCar(dialect)
        pilot(car, Pilot.C)
        car.go(Step.SESSION_STOP)
        assert car.step(step) is None
        response = poll(car, after)
        if response is None:
            pilot(car, Pilot.B)
            response = poll(car, 0.1)
        assert response.ResponseCode == code
        assert car.secc.state is (State.STOPPED if step is Step.WELDING_DETECTION and code == "OK" else State.ENDED)


def test_the_contactor_of_ac_closes_within_3_s() -> None:
    """V2G2-860, 862, 865: the response says that it is closed."""
    for after, code in ((2.5, "OK"), (3.5, "FAILED_ContactorError")):
        car = RawCar(ac=AC)
        car.order(orders.ContactorMoved(False))
        car.go(Step.POWER_START)
        assert car.step(Step.POWER_START) is None
        assert len(car.seen(events.PowerStarted)) == 1  # the host closes it
        response = poll(car, after)
        if response is None:
            car.order(orders.ContactorMoved(True))
            response = poll(car, 0.1)
        assert response.ResponseCode == code
        assert len(car.seen(events.PowerStarted)) == 1
        assert car.now < timers.message_timeout("PowerDeliveryReq")


def test_an_emergency_does_not_wait() -> None:
    car = RawCar(ac=AC)
    car.order(orders.ContactorMoved(False))
    car.go(Step.POWER_START)
    car.step(Step.POWER_START)
    car.order(orders.Abort("emergency stop"))
    assert poll(car, 0.1).ResponseCode == "FAILED"


def test_a_request_during_a_held_response_takes_its_place() -> None:
    car = RawCar(ac=AC)
    car.order(orders.ContactorMoved(False))
    car.go(Step.POWER_START)
    car.step(Step.POWER_START)
    assert car.step(Step.SESSION_STOP).ResponseCode == "OK"
    assert poll(car, 4.0) is None


@GENERATIONS
def test_the_car_states_when_it_changes_the_pilot(dialect: Dialect) -> None:
    """With DC state C begins before the insulation test, with AC at PowerDelivery(start)."""
    pair = old_pair(dialect)
    pair.run(in_state(State.PRE_CHARGE))
    stop(pair)
    assert [one.state for one in pair.ev_seen(events.PilotRequested)] == [Pilot.C, Pilot.B]
    pair = old_pair(dialect)
    pair.run(lambda pair: pair.ev.session.loops > 2)
    stop(pair)
    assert [one.state for one in pair.ev_seen(events.PilotRequested)] == [Pilot.C, Pilot.B]
    if not dialect.is_din:
        pair = old_pair(ISO2, ac=AC)
        pair.run(lambda pair: pair.ev.session.loops > 2)
        stop(pair)
        assert [one.state for one in pair.ev_seen(events.PilotRequested)] == [Pilot.C, Pilot.B]
