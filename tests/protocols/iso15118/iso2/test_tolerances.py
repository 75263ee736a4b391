"""The minimum tolerance set of a SECC for cars in the field, and the deviations by car, each on and off."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from protocols.iso15118.din.dialect import power_limit
from protocols.iso15118.iso2.dialect import ISO2, Dialect
from protocols.iso15118.iso2.states import State, Step
from protocols.iso15118.iso2.tolerances import INTEROP, STRICT, ChargerTolerance, Tolerance
from protocols.iso15118.iso20 import events, orders
from protocols.v2gtp import PayloadType, frame
from tests.protocols.iso15118.iso2.iso2_pair import DIALECTS
from tests.protocols.iso15118.iso2.raw_car import RawCar

GENERATIONS = pytest.mark.parametrize("dialect", DIALECTS.values(), ids=list(DIALECTS))


def only(tolerance: Tolerance) -> list[tuple[frozenset[Tolerance], bool]]:
    """Return the tolerances with which a deviation passes, and those with which it does not."""
    return [(INTEROP, True), (frozenset({tolerance}), True), (INTEROP - {tolerance}, False), (STRICT, False)]


@GENERATIONS
def test_spare_zero_bytes_after_the_message(dialect: Dialect) -> None:
    """Tesla Model Y: ContractAuthenticationReq has a byte more than that of others."""
    for spare in (b"\x00", b"\x00\x00\x00"):
        car = RawCar(dialect)
        car.go(Step.AUTHORIZATION)
        payload = dialect.encode(car.session_id, car.request(Step.AUTHORIZATION))[8:] + spare
        response = car.send_bytes(frame(PayloadType.SUPPORTED_APP_PROTOCOL, payload))
        assert response.ResponseCode == "OK"


@GENERATIONS
def test_a_service_category_in_the_discovery(dialect: Dialect) -> None:
    """Tesla sets it."""
    car = RawCar(dialect)
    car.go(Step.SERVICE_DISCOVERY)
    category = dialect.types.ServiceCategory("EVCharging")
    assert car.step(Step.SERVICE_DISCOVERY, ServiceCategory=category).ResponseCode == "OK"


@GENERATIONS
def test_a_slow_first_request_and_slow_messages(dialect: Dialect) -> None:
    """Seres 3: 12 s from the data link to the first request; pauses of 3 s between messages."""
    car = RawCar(dialect)
    car.wait(12.0)
    for step in (Step.SESSION_SETUP, Step.SERVICE_DISCOVERY, Step.PAYMENT_SELECTION, Step.AUTHORIZATION):
        assert car.step(step).ResponseCode.startswith("OK")
        car.wait(3.0)
    assert not car.ended


@GENERATIONS
def test_a_car_that_is_not_ready_yet(dialect: Dialect) -> None:
    """VW id.4, Polestar 2, Ioniq 28: EVReady is false in charge parameter discovery."""
    car = RawCar(dialect)
    car.go(Step.CABLE_CHECK)
    status = dialect.ev_status(50, ready=False)
    assert car.step(Step.CABLE_CHECK, DC_EVStatus=status).ResponseCode == "OK"
    assert car.step(Step.PRE_CHARGE, DC_EVStatus=status).ResponseCode == "OK"


@GENERATIONS
def test_limits_above_the_table_of_the_standard(dialect: Dialect) -> None:
    """Tesla: 549 A and 230 kW. No power limit: Polestar 2."""
    changes: list[dict[str, Any]] = [
        {"EVMaximumCurrentLimit": dialect.quantity(549.0, "A"), "EVMaximumPowerLimit": dialect.quantity(230e3, "W")},
        {"EVMaximumPowerLimit": None, "EVEnergyCapacity": None, "EVEnergyRequest": None, "FullSOC": None},
    ]
    for change in changes:
        car = RawCar(dialect)
        car.go(Step.CHARGE_PARAMETERS)
        stated = replace(car.request(Step.CHARGE_PARAMETERS).EVChargeParameter, **change)
        assert car.step(Step.CHARGE_PARAMETERS, EVChargeParameter=stated).ResponseCode == "OK"


@GENERATIONS
@pytest.mark.parametrize(
    ("tolerance", "at"),
    [
        (Tolerance.STOP_INSTEAD_OF_CABLE_CHECK, Step.CABLE_CHECK),
        (Tolerance.STOP_INSTEAD_OF_PRE_CHARGE, Step.PRE_CHARGE),
        (Tolerance.STOP_BEFORE_FIRST_LOOP, Step.CHARGE_LOOP),
    ],
)
def test_a_stop_where_the_table_has_none(dialect: Dialect, tolerance: Tolerance, at: Step) -> None:
    for tolerances, accepted in only(tolerance):
        car = RawCar(dialect, tolerances=tolerances)
        car.go(at)
        response = car.step(Step.POWER_STOP)
        assert response.ResponseCode == ("OK" if accepted else "FAILED_SequenceError")
        if accepted:
            assert car.secc.state is State.STOPPED
            assert car.step(Step.SESSION_STOP).ResponseCode == "OK"
        assert not car.secc.session.power_on or not accepted


@GENERATIONS
@pytest.mark.parametrize("at", [Step.PAYMENT_SELECTION, Step.AUTHORIZATION, Step.CHARGE_PARAMETERS])
def test_a_stop_before_the_cable_check(dialect: Dialect, at: Step) -> None:
    """BMW i3 after a fault of its connector lock."""
    for tolerances, accepted in only(Tolerance.STOP_BEFORE_CABLE_CHECK):
        car = RawCar(dialect, tolerances=tolerances)
        car.go(at)
        assert car.step(Step.POWER_STOP).ResponseCode == ("OK" if accepted else "FAILED_SequenceError")
        if accepted:
            assert car.step(Step.SESSION_STOP).ResponseCode == "OK"


@GENERATIONS
def test_an_error_of_the_car_in_its_parameters(dialect: Dialect) -> None:
    """BMW i3: FAILED_ChargerConnectorLockFault, then PowerDelivery(stop) instead of the cable check."""
    t = dialect.types
    error = t.DC_EVStatus(EVReady=False, EVErrorCode=t.DC_EVErrorCode("FAILED_ChargerConnectorLockFault"), EVRESSSOC=50)
    car = RawCar(dialect)
    car.go(Step.CHARGE_PARAMETERS)
    stated = replace(car.request(Step.CHARGE_PARAMETERS).EVChargeParameter, DC_EVStatus=error)
    assert car.step(Step.CHARGE_PARAMETERS, EVChargeParameter=stated).ResponseCode == "OK"
    assert car.step(Step.POWER_STOP).ResponseCode == "OK"
    assert car.step(Step.SESSION_STOP).ResponseCode == "OK"


@GENERATIONS
@pytest.mark.parametrize("polls", [1, 18])
def test_one_pre_charge_or_many(dialect: Dialect, polls: int) -> None:
    """PSA: one, then 1.6 s until PowerDelivery; Ioniq 5, EV6: up to 18. Tesla Model Y requests 0 A."""
    car = RawCar(dialect)
    car.go(Step.PRE_CHARGE)
    for _ in range(polls):
        assert car.step(Step.PRE_CHARGE, EVTargetCurrent=car.quantity(0.0, "A")).ResponseCode == "OK"
        car.wait(0.15)
    car.wait(1.6)
    assert car.step(Step.POWER_START).ResponseCode == "OK"


@GENERATIONS
def test_many_welding_detections(dialect: Dialect) -> None:
    """Polestar 2: 14, Ioniq 5 and EV6: 12."""
    car = RawCar(dialect)
    car.go(Step.SESSION_STOP)
    for _ in range(14):
        assert car.step(Step.WELDING_DETECTION).ResponseCode == "OK"
        car.wait(0.2)
    assert car.step(Step.SESSION_STOP).ResponseCode == "OK"


@GENERATIONS
@pytest.mark.parametrize("period_s", [0.12, 0.46, 1.1])
def test_the_pace_of_the_loop(dialect: Dialect, period_s: float) -> None:
    """Tesla 0.12 s, BMW iX 0.46 s, Mercedes EQE with AC every second."""
    car = RawCar(dialect)
    car.go(Step.CHARGE_LOOP)
    car.wait(2.2)  # Taycan: from PowerDeliveryRes to the first request of the loop
    for _ in range(10):
        assert car.step(Step.CHARGE_LOOP).ResponseCode == "OK"
        car.wait(period_s)


@GENERATIONS
def test_a_negative_target_voltage_in_the_loop(dialect: Dialect) -> None:
    """Skoda Enyaq."""
    car = RawCar(dialect, evse={"voltage_v": 0.0})
    car.go(Step.CHARGE_LOOP)
    response = car.step(Step.CHARGE_LOOP, EVTargetVoltage=car.quantity(-20, "V"), EVTargetCurrent=car.quantity(9, "A"))
    assert response.ResponseCode == "OK"
    assert car.seen(events.ChargeLoopRequested)[-1].target.power_w == 0.0


@GENERATIONS
def test_several_messages_in_one_segment(dialect: Dialect) -> None:
    """MG4, after a retransmission."""
    car = RawCar(dialect)
    car.go(Step.CHARGE_LOOP)
    one = dialect.encode(car.session_id, car.request(Step.CHARGE_LOOP))
    assert car.send_bytes(one + one + one[:5]).ResponseCode == "OK"
    assert car.send_bytes(one[5:]).ResponseCode == "OK"
    assert len(car.seen(events.ChargeLoopRequested)) == 3


@pytest.mark.parametrize("ac", ["AC_single_phase_core", "AC_three_phase_core"])
def test_session_stop_in_every_state_of_ac_before_power(ac: str) -> None:
    """PSA, MG, BYD after service discovery, Ioniq 5 after authorization, Polestar 2 after the parameters."""
    steps = (Step.SERVICE_DISCOVERY, Step.PAYMENT_SELECTION, Step.AUTHORIZATION, Step.CHARGE_PARAMETERS)
    for step in (*steps, Step.POWER_START):
        car = RawCar(ac=ac, tolerances=STRICT)
        car.go(step)
        assert car.step(Step.SESSION_STOP).ResponseCode == "OK"


def test_every_tolerance_is_named_in_a_test() -> None:
    """The tests above, `test_codes.py` (profiles), `test_control_pilot.py` and `test_chargers_in_the_field.py`."""
    text = "".join(path.read_text("utf-8") for path in Path(__file__).parent.glob("test_*.py"))
    assert [one.name for one in (*Tolerance, *ChargerTolerance) if f"Tolerance.{one.name}" not in text] == []


@pytest.mark.parametrize("ac", ["", "AC_three_phase_core"])
def test_a_session_stop_before_the_first_loop(ac: str) -> None:
    """VW id.4 with AC: no ChargingStatusReq for 8 s, then SessionStopReq. The power is switched off."""
    for tolerances, accepted in only(Tolerance.STOP_BEFORE_FIRST_LOOP):
        car = RawCar(ac=ac, tolerances=tolerances)
        car.go(Step.CHARGE_LOOP)
        response = car.step(Step.SESSION_STOP)
        assert response.ResponseCode == ("OK" if accepted else "FAILED_SequenceError")
        assert bool(car.seen(events.PowerStopped)) is accepted


@GENERATIONS
def test_session_stop_before_power(dialect: Dialect) -> None:
    """VW id.4, Ioniq 5, BMW iX: a refusal would keep the plug locked."""
    steps = (Step.SERVICE_DISCOVERY, Step.PAYMENT_SELECTION, Step.AUTHORIZATION, Step.CHARGE_PARAMETERS)
    for step in (*steps, Step.CABLE_CHECK, Step.PRE_CHARGE, Step.POWER_START):
        car = RawCar(dialect, tolerances=STRICT)
        car.go(step)
        assert car.step(Step.SESSION_STOP).ResponseCode == "OK"
        assert car.seen(events.SessionEnded)[0].ok


@GENERATIONS
@pytest.mark.parametrize("repeated", [Step.AUTHORIZATION, Step.CHARGE_PARAMETERS, Step.CABLE_CHECK])
def test_a_request_again_after_its_response_was_finished(dialect: Dialect, repeated: Step) -> None:
    """A car that polls once more than it has to; the session goes on where it was."""
    after = {
        Step.AUTHORIZATION: Step.CHARGE_PARAMETERS,
        Step.CHARGE_PARAMETERS: Step.CABLE_CHECK,
        Step.CABLE_CHECK: Step.PRE_CHARGE,
    }[repeated]
    for tolerances, accepted in only(Tolerance.REPEATED_REQUEST):
        car = RawCar(dialect, tolerances=tolerances)
        car.go(after)
        state = car.secc.state
        for _ in range(3 if accepted else 1):
            response = car.step(repeated)
            assert response.ResponseCode == ("OK" if accepted else "FAILED_SequenceError")
            assert response.EVSEProcessing == "Finished"
        if accepted:
            assert car.secc.state is state
            assert car.step(after).ResponseCode == "OK"


@GENERATIONS
def test_no_welding_detection(dialect: Dialect) -> None:
    """Tesla, PSA, BYD, Seres 3."""
    car = RawCar(dialect, tolerances=STRICT)
    car.go(Step.SESSION_STOP)
    assert car.step(Step.SESSION_STOP).ResponseCode == "OK"


@GENERATIONS
@pytest.mark.parametrize("volts", [-20.0, 0.0, 80.0])
def test_a_low_target_voltage_is_raised_to_the_minimum(dialect: Dialect, volts: float) -> None:
    """Skoda Enyaq; never a negative voltage."""
    for tolerances, accepted in only(Tolerance.LOW_TARGET_VOLTAGE):
        car = RawCar(dialect, tolerances=tolerances)
        car.go(Step.PRE_CHARGE)
        response = car.step(Step.PRE_CHARGE, EVTargetVoltage=car.quantity(volts, "V"))
        assert response.ResponseCode == ("OK" if accepted else "FAILED")
        assert [one.target_voltage_v for one in car.seen(events.PreChargeRequested)] == ([150.0] if accepted else [])


@GENERATIONS
def test_a_high_current_in_pre_charge(dialect: Dialect) -> None:
    for tolerances, accepted in only(Tolerance.PRE_CHARGE_CURRENT):
        car = RawCar(dialect, tolerances=tolerances)
        car.go(Step.PRE_CHARGE)
        response = car.step(Step.PRE_CHARGE, EVTargetCurrent=car.quantity(10.0, "A"))
        assert response.ResponseCode == ("OK" if accepted else "FAILED")


@GENERATIONS
def test_a_long_pre_charge(dialect: Dialect) -> None:
    """Tesla Model Y: 119 polls in 12 s."""
    for tolerances, accepted in only(Tolerance.LONG_PRE_CHARGE):
        car = RawCar(dialect, evse={"voltage_v": 0.0}, tolerances=tolerances)
        car.go(Step.PRE_CHARGE)
        codes = []
        for _ in range(119):
            response = car.step(Step.PRE_CHARGE)
            if response is None:
                break
            codes.append(str(response.ResponseCode))
            car.wait(0.1)
        assert (codes[-1] == "OK") is accepted


def test_an_unknown_schedule_at_the_stop() -> None:
    for tolerances, accepted in only(Tolerance.UNKNOWN_TUPLE_AT_STOP):
        car = RawCar(tolerances=tolerances)
        car.go(Step.POWER_STOP)
        response = car.step(Step.POWER_STOP, SAScheduleTupleID=200)
        assert response.ResponseCode == ("OK" if accepted else "FAILED_TariffSelectionInvalid")


@GENERATIONS
def test_a_stop_under_full_current(dialect: Dialect) -> None:
    """Hyundai Ioniq 28: PowerDelivery(stop) without a ramp."""
    car = RawCar(dialect)
    car.go(Step.POWER_STOP)
    car.order(orders.Measure(voltage_v=400.0, current_a=50.0))
    assert car.step(Step.POWER_STOP).ResponseCode == "OK"
    assert car.seen(events.PowerStopped)


def test_a_cable_check_in_an_ac_session_is_a_sequence_error() -> None:
    """Seres 3."""
    car = RawCar(ac="AC_three_phase_core")
    car.go(Step.POWER_START)
    request = ISO2.request("CableCheckReq", DC_EVStatus=ISO2.ev_status(50))
    assert car.send(request).ResponseCode == "FAILED_SequenceError"


@GENERATIONS
def test_every_response_of_the_loop_has_the_three_limits(dialect: Dialect) -> None:
    """Tesla Model 3 follows a renegotiation only with them."""
    car = RawCar(dialect)
    car.go(Step.CHARGE_LOOP)
    response = car.step(Step.CHARGE_LOOP)
    for name in ("EVSEMaximumVoltageLimit", "EVSEMaximumCurrentLimit", "EVSEMaximumPowerLimit"):
        assert getattr(response, name) is not None


@GENERATIONS
@pytest.mark.parametrize(("departure_s", "covered_s"), [(None, 86_400), (0, 86_400), (36_000, 36_000)])
def test_the_schedule_begins_now_and_covers_the_stay_or_a_day(
    dialect: Dialect, departure_s: int | None, covered_s: int
) -> None:
    """V2G2-303, 304: wrong contents end the sessions of some cars. A departure of 0 counts as absent."""
    car = RawCar(dialect)
    car.go(Step.CHARGE_PARAMETERS)
    stated = car.request(Step.CHARGE_PARAMETERS).EVChargeParameter
    if not dialect.is_din:
        stated = replace(stated, DepartureTime=departure_s)
    (offer,) = car.step(Step.CHARGE_PARAMETERS, EVChargeParameter=stated).SASchedules.SAScheduleTuple
    (entry,) = offer.PMaxSchedule.PMaxScheduleEntry
    covered_s = 86_400 if dialect.is_din else covered_s
    assert (offer.SAScheduleTupleID, entry.TimeInterval.start, entry.TimeInterval.duration) == (1, 0, covered_s)


def test_a_large_power_is_clamped_in_din() -> None:
    """PMax is a 16-bit number of W there."""
    assert power_limit(230_000.0) == 32_767
