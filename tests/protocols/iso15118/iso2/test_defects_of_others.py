"""Session defects that others found in 2026, against ISO 15118-2 and DIN 70121; those of -20 are in its own tests.

Not applicable here: service renegotiation before a selection (1), CertificateInstallation (5; a sequence error, see
`test_codes.py`), SDP and SLAC (9, 10), phases of an export (11), signatures (13), DER (14).
"""

from __future__ import annotations

from functools import partial

import pytest

from protocols.iso15118 import app_protocol
from protocols.iso15118.iso2 import timers
from protocols.iso15118.iso2.dialect import Dialect
from protocols.iso15118.iso2.states import State, Step
from protocols.iso15118.iso20 import events, orders
from protocols.iso15118.iso20.secc_session import Verdict
from protocols.v2gtp import PayloadType, frame
from tests.protocols.iso15118.iso2.iso2_pair import DIALECTS, after_loops, old_pair, stop
from tests.protocols.iso15118.iso2.raw_car import RawCar

GENERATIONS = pytest.mark.parametrize("dialect", DIALECTS.values(), ids=list(DIALECTS))
BEFORE_AUTHORIZATION = (Step.SERVICE_DISCOVERY, Step.PAYMENT_SELECTION, Step.AUTHORIZATION)


@GENERATIONS
@pytest.mark.parametrize("verdict", [Verdict.WAITING, Verdict.WAITING_FOR_CUSTOMER])
def test_1_no_charging_without_authorization(dialect: Dialect, verdict: Verdict) -> None:
    for sent in (Step.CHARGE_PARAMETERS, Step.CABLE_CHECK, Step.PRE_CHARGE, Step.POWER_START, Step.CHARGE_LOOP):
        for at in BEFORE_AUTHORIZATION:
            car = RawCar(dialect, evse={"authorization": verdict})
            car.go(at)
            car.step(at)
            assert car.step(sent).ResponseCode == "FAILED_SequenceError"
            assert not car.seen(events.PowerStarted)


@GENERATIONS
@pytest.mark.parametrize("at", [Step.CABLE_CHECK, Step.PRE_CHARGE, Step.CHARGE_LOOP, Step.POWER_STOP])
def test_2_no_pause_under_power_or_before_it(dialect: Dialect, at: Step) -> None:
    """A pause in the loop is a sequence error, before power it is refused; the host is told to cut the power."""
    car = RawCar(dialect)
    car.go(at)
    response = car.send(dialect.stop_request("Pause"))
    if not dialect.is_din:
        assert response.ResponseCode.startswith("FAILED")
    assert not car.seen(events.SessionPaused)
    assert car.seen(events.SessionEnded)


def test_3_the_budgets_of_the_station_are_shorter_than_those_of_the_car() -> None:
    pairs = [
        (timers.ONGOING_SECC, timers.ONGOING),
        (timers.CABLE_CHECK_SECC, timers.CABLE_CHECK),
        (timers.PRE_CHARGE_SECC, timers.PRE_CHARGE),
        (timers.COMMUNICATION_SETUP_SECC, timers.COMMUNICATION_SETUP),
    ]
    for din in (False, True):
        for name in ("SessionSetupReq", "ServiceDetailReq", "PowerDeliveryReq", "CurrentDemandReq"):
            pairs.append((timers.answer_within(name, din=din), timers.message_timeout(name, din=din)))
    assert all(station < car for station, car in pairs)
    assert (timers.answer_within("CurrentDemandReq"), timers.message_timeout("CurrentDemandReq")) == (0.025, 0.25)
    assert timers.message_timeout("PowerDeliveryReq") == 5.0
    assert timers.message_timeout("PowerDeliveryReq", din=True) == 2.0


def _last_of(draws: list[bytes], size: int) -> bytes:
    return draws.pop()


@GENERATIONS
def test_4_an_all_zero_session_id_is_neither_assigned_nor_matched(dialect: Dialect) -> None:
    zero = bytes(8)
    kept = events.Paused(zero, "", None, None, dialect.protocol.namespace)
    for paused in ({zero: kept}, {}):
        car = RawCar(dialect, paused=paused)
        draws = [bytes(7) + b"\x01", zero]
        car.secc._draw = partial(_last_of, draws)
        assert car.send(car.request(Step.SESSION_SETUP), zero).ResponseCode == "OK_NewSessionEstablished"
        assert car.session_id == bytes(7) + b"\x01"


@GENERATIONS
def test_4_a_paused_session_of_another_protocol_is_not_joined(dialect: Dialect) -> None:
    kept = events.Paused(b"\x07" * 8, "", None, None, "urn:iso:std:iso:15118:-20:DC")
    car = RawCar(dialect, paused={kept.session_id: kept})
    response = car.send(car.request(Step.SESSION_SETUP), kept.session_id)
    assert response.ResponseCode == "OK_NewSessionEstablished"


@GENERATIONS
def test_6_a_second_handshake_changes_nothing(dialect: Dialect) -> None:
    """It is no message of the agreed protocol: the session ends."""
    car = RawCar(dialect)
    car.go(Step.CHARGE_PARAMETERS)
    assert car.send_bytes(app_protocol.encode(app_protocol.request([dialect.protocol]))) is None
    assert car.ended
    assert not car.seen(events.SessionEnded)[0].ok


@GENERATIONS
@pytest.mark.parametrize("payload", [b"", b"\x80", b"\x80\xff\xff", b"GET / HTTP/1.1\r\n\r\n"])
def test_7_a_bad_frame_closes_the_engine(dialect: Dialect, payload: bytes) -> None:
    car = RawCar(dialect)
    car.go(Step.CHARGE_LOOP)
    assert car.send_bytes(frame(PayloadType.SUPPORTED_APP_PROTOCOL, payload)) is None
    assert car.ended
    assert car.secc.state is State.ENDED
    assert car.secc.deadline() is None
    assert car.step(Step.CHARGE_LOOP) is None


@GENERATIONS
@pytest.mark.parametrize("payload_type", [0x0000, 0x8002, 0x8004, 0x9000, 0xA000, 0xFFFF])
def test_8_unknown_payload_types_are_skipped(dialect: Dialect, payload_type: int) -> None:
    car = RawCar(dialect)
    car.go(Step.CHARGE_LOOP)
    assert car.send_bytes(frame(payload_type, b"\x80\x00")) is None
    assert [one.payload_type for one in car.seen(events.FrameIgnored)] == [payload_type]
    assert car.step(Step.CHARGE_LOOP).ResponseCode == "OK"


@GENERATIONS
def test_11_a_negative_set_point_at_any_time_is_refused(dialect: Dialect) -> None:
    for at in (Step.SESSION_SETUP, Step.PAYMENT_SELECTION, Step.CHARGE_PARAMETERS, Step.CHARGE_LOOP):
        car = RawCar(dialect)
        car.order(orders.SetPower(-7_000.0))
        car.go(at)
        car.order(orders.SetPower(-7_000.0))
        car.step(at)
        assert len(car.seen(events.SetpointRefused)) == 2
        assert car.secc.evse.setpoint_w == 0.0


@GENERATIONS
def test_12_the_car_reports_what_it_measures(dialect: Dialect) -> None:
    """Pre-charge states the battery's voltage, and the state of charge follows the battery."""
    pair = old_pair(dialect, soc_pct=42.0, ev={"trace": True})
    pair.run(after_loops(3))
    sent = [one.message for one in pair.ev_seen(events.MessageSent)]
    pre_charge = next(one for one in sent if type(one).__name__ == "PreChargeReq")
    assert pre_charge.EVTargetVoltage == dialect.quantity(400.0, "V")
    assert sent[-1].DC_EVStatus.EVRESSSOC == 42
    stop(pair)


@GENERATIONS
def test_13_contracts_are_not_offered(dialect: Dialect) -> None:
    car = RawCar(dialect)
    car.go(Step.SERVICE_DISCOVERY)
    response = car.step(Step.SERVICE_DISCOVERY)
    options = response.PaymentOptions if dialect.is_din else response.PaymentOptionList
    assert [str(one) for one in options.PaymentOption] == ["ExternalPayment"]
