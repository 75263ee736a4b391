"""Response codes of a SECC of ISO 15118-2 and DIN 70121 where their cause occurs, and the laws of its sequences."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocols.iso15118.din.dialect import DIN
from protocols.iso15118.iso2 import timers
from protocols.iso15118.iso2.dialect import ISO2, Dialect
from protocols.iso15118.iso2.secc import _ANSWERS
from protocols.iso15118.iso2.states import DC, State, Step
from protocols.iso15118.iso2.tolerances import INTEROP, STRICT, Tolerance
from protocols.iso15118.iso20 import events, orders
from protocols.iso15118.iso20.limits import Limits
from protocols.iso15118.iso20.schedules import flat_offer
from protocols.iso15118.iso20.secc_session import Fault, Verdict
from protocols.iso15118.iso20.types import EVSENotification
from tests.protocols.iso15118.engine_pair import DC_LIMITS
from tests.protocols.iso15118.iso2.iso2_pair import DIALECTS
from tests.protocols.iso15118.iso2.raw_car import PATH, RawCar
from tests.rounds import rounds

GENERATIONS = pytest.mark.parametrize("dialect", DIALECTS.values(), ids=list(DIALECTS))
IN_ANY_STEP = pytest.mark.parametrize("step", PATH[1:])


@GENERATIONS
@IN_ANY_STEP
def test_a_foreign_session_id_is_unknown(dialect: Dialect, step: Step) -> None:
    """V2G2-460, V2G-DC-391; an all-zero id is that of no session (CVE-2025-68140 of a peer)."""
    for foreign in (bytes(8), b"\x00", b"", b"\x01" * 8):
        car = RawCar(dialect)
        car.go(step)
        response = car.send(car.request(step), foreign)
        assert response.ResponseCode == "FAILED_UnknownSession"
        assert car.ended
        assert not car.seen(events.SessionEnded)[0].ok


@GENERATIONS
@pytest.mark.parametrize("at", PATH)
@pytest.mark.parametrize("sent", PATH)
def test_an_unexpected_request_is_a_sequence_error(dialect: Dialect, at: Step, sent: Step) -> None:
    """V2G2-538, 539, V2G-DC-390: the response of the request's type, then the end; in `strict` by the table alone."""
    car = RawCar(dialect, tolerances=STRICT)
    car.go(at)
    request = car.request(sent)
    expected = type(request).__name__ in dialect.tables[True][car.secc.state]
    response = car.send(request)
    assert type(response).__name__ == type(request).__name__.removesuffix("Req") + "Res"
    if not expected:
        assert response.ResponseCode == "FAILED_SequenceError"
        assert car.ended
        assert car.seen(events.SessionEnded)[0].code == dialect.code("FAILED_SequenceError")


def test_sequence_and_session_wrong_at_once() -> None:
    """ISO 15118-2 reports the sequence, DIN the session."""
    for dialect, code in ((ISO2, "FAILED_SequenceError"), (DIN, "FAILED_UnknownSession")):
        car = RawCar(dialect)
        car.go(Step.CHARGE_LOOP)
        assert car.send(car.request(Step.CABLE_CHECK), b"\x05").ResponseCode == code


@pytest.mark.parametrize("name", ["PaymentDetailsReq", "MeteringReceiptReq", "CertificateInstallationReq"])
def test_contract_messages_are_a_sequence_error(name: str) -> None:
    from protocols.iso15118.iso2 import types
    from protocols.iso15118.xmldsig import X509IssuerSerial

    roots = types.ListOfRootCertificateIDs(
        RootCertificateID=(X509IssuerSerial(X509IssuerName="CN=r", X509SerialNumber=1),)
    )
    values: dict[str, dict[str, Any]] = {
        "PaymentDetailsReq": {
            "eMAID": "DE8AAC12345678",
            "ContractSignatureCertChain": types.CertificateChain(Certificate=b"\x30"),
        },
        "MeteringReceiptReq": {"SessionID": b"\x01", "MeterInfo": types.MeterInfo(MeterID="m")},
        "CertificateInstallationReq": {"Id": "a", "OEMProvisioningCert": b"\x30", "ListOfRootCertificateIDs": roots},
    }
    car = RawCar()
    car.go(Step.AUTHORIZATION)
    response = car.send(ISO2.request(name, **values[name]))
    assert response.ResponseCode == "FAILED_SequenceError"


@GENERATIONS
def test_payment_and_service_selection(dialect: Dialect) -> None:
    t = dialect.types

    def services(*ids: int) -> Any:
        return t.SelectedServiceList(SelectedService=tuple(t.SelectedService(ServiceID=one) for one in ids))

    cases: list[tuple[dict[str, Any], str]] = [
        ({"SelectedPaymentOption": t.PaymentOption.Contract}, "FAILED_PaymentSelectionInvalid"),
        ({"SelectedServiceList": services(1, 77)}, "FAILED_ServiceSelectionInvalid"),
        ({"SelectedServiceList": services(2)}, "FAILED_ServiceSelectionInvalid"),
    ]
    for changes, code in cases:
        car = RawCar(dialect)
        car.go(Step.PAYMENT_SELECTION)
        assert car.step(Step.PAYMENT_SELECTION, **changes).ResponseCode == code


def test_service_detail_of_an_unknown_service_does_not_end_the_session() -> None:
    """V2G2-464, 425: the EVCC may ask again."""
    car = RawCar()
    car.go(Step.PAYMENT_SELECTION)
    detail = ISO2.request("ServiceDetailReq", ServiceID=9)
    assert car.send(detail).ResponseCode == "FAILED_ServiceIDInvalid"
    assert not car.ended
    assert car.send(ISO2.request("ServiceDetailReq", ServiceID=1)).ResponseCode == "OK"
    assert car.step(Step.PAYMENT_SELECTION).ResponseCode == "OK"


@GENERATIONS
def test_authorization(dialect: Dialect) -> None:
    car = RawCar(dialect, evse={"authorization": Verdict.WAITING_FOR_CUSTOMER})
    car.go(Step.AUTHORIZATION)
    waiting = "Ongoing" if dialect.is_din else "Ongoing_WaitingForCustomerInteraction"
    assert car.step(Step.AUTHORIZATION).EVSEProcessing == waiting
    car.order(orders.Authorize(Verdict.NO))
    assert car.step(Step.AUTHORIZATION).ResponseCode == "FAILED"


@GENERATIONS
@pytest.mark.parametrize(
    ("at", "evse", "within"),
    [
        (Step.AUTHORIZATION, {"authorization": Verdict.WAITING}, timers.ONGOING),
        (Step.CHARGE_PARAMETERS, {"schedules": None}, timers.ONGOING),
        (Step.CABLE_CHECK, {"insulation": Verdict.WAITING}, timers.CABLE_CHECK),
    ],
)
def test_the_station_gives_up_before_the_car(dialect: Dialect, at: Step, evse: dict[str, Any], within: float) -> None:
    """Its FAILED arrives while the car still waits: 55 of 60 s, 38 of 40 s."""
    car = RawCar(dialect, evse=evse)
    car.go(at)
    while not car.ended:
        response = car.step(at)
        assert car.now < within
        if not car.ended:
            assert response.EVSEProcessing.startswith("Ongoing")
            car.wait(0.5)
    assert response.ResponseCode == "FAILED"
    assert car.now > within - 6


@GENERATIONS
def test_pre_charge_ends_before_the_car_gives_up(dialect: Dialect) -> None:
    for tolerances, most in ((STRICT, timers.PRE_CHARGE), (INTEROP, 21.0)):
        car = RawCar(dialect, evse={"voltage_v": 0.0}, tolerances=tolerances)
        car.go(Step.PRE_CHARGE)
        while car.step(Step.PRE_CHARGE).ResponseCode == "OK":
            car.wait(0.2)
        assert car.now < most


@GENERATIONS
def test_charge_parameters(dialect: Dialect) -> None:
    mode = "EVRequestedEnergyTransferType" if dialect.is_din else "RequestedEnergyTransferMode"
    wrong = "FAILED_WrongEnergyTransferType" if dialect.is_din else "FAILED_WrongEnergyTransferMode"
    kinds = dialect.types.EVRequestedEnergyTransfer if dialect.is_din else dialect.types.EnergyTransferMode
    car = RawCar(dialect, ac_modes=())
    car.go(Step.CHARGE_PARAMETERS)
    assert car.step(Step.CHARGE_PARAMETERS, **{mode: kinds("AC_single_phase_core")}).ResponseCode == wrong
    for changes in (
        {"EVMaximumCurrentLimit": car.quantity(-5, "A")},
        {"EVMaximumCurrentLimit": car.quantity(1, "A")},
        {"EVMaximumVoltageLimit": car.quantity(100, "V")},
    ):
        car = RawCar(dialect, dc=replace(DC_LIMITS, min_charge_a=2.0))
        car.go(Step.CHARGE_PARAMETERS)
        stated = replace(car.request(Step.CHARGE_PARAMETERS).EVChargeParameter, **changes)
        response = car.step(Step.CHARGE_PARAMETERS, EVChargeParameter=stated)
        assert response.ResponseCode == "FAILED_WrongChargeParameter", changes


def test_ac_parameters_for_a_dc_mode_are_wrong() -> None:
    """V2G2-477."""
    car = RawCar(ac="AC_three_phase_core")
    car.go(Step.CHARGE_PARAMETERS)
    mode = ISO2.types.EnergyTransferMode("DC_core")
    assert (
        car.step(Step.CHARGE_PARAMETERS, RequestedEnergyTransferMode=mode).ResponseCode == "FAILED_WrongChargeParameter"
    )


@GENERATIONS
def test_an_error_of_the_car_before_power(dialect: Dialect) -> None:
    t = dialect.types
    error = t.DC_EVStatus(EVReady=True, EVErrorCode=t.DC_EVErrorCode("FAILED_EVRESSMalfunction"), EVRESSSOC=50)
    for step in (Step.CABLE_CHECK, Step.PRE_CHARGE):
        car = RawCar(dialect)
        car.go(step)
        assert car.step(step, DC_EVStatus=error).ResponseCode == "FAILED"


@GENERATIONS
def test_a_failed_insulation_test(dialect: Dialect) -> None:
    car = RawCar(dialect, evse={"insulation": Verdict.NO})
    car.go(Step.CABLE_CHECK)
    assert car.step(Step.CABLE_CHECK).ResponseCode == "FAILED"


@GENERATIONS
def test_power_delivery(dialect: Dialect) -> None:
    for order in (orders.ReportFault(Fault.OUTPUT), orders.Notify(EVSENotification.Terminate, 10)):
        car = RawCar(dialect)
        car.go(Step.POWER_START)
        car.order(order)
        assert car.step(Step.POWER_START).ResponseCode == "FAILED_PowerDeliveryNotApplied"
    car = RawCar(dialect)
    car.go(Step.POWER_STOP)
    assert car.step(Step.POWER_START).ResponseCode == "FAILED"  # V2G2-812


def test_power_delivery_of_iso2() -> None:
    car = RawCar()
    car.go(Step.POWER_START)
    assert car.step(Step.POWER_START, SAScheduleTupleID=9).ResponseCode == "FAILED_TariffSelectionInvalid"
    car = RawCar()
    car.go(Step.POWER_START)
    assert car.step(Step.RENEGOTIATION).ResponseCode == "FAILED"  # V2G2-812
    car = RawCar(ac="AC_three_phase_core")
    car.go(Step.POWER_START)
    car.order(orders.ReportFault(Fault.CONTACTOR))
    assert car.step(Step.POWER_START).ResponseCode == "FAILED_ContactorError"


def profile(*entries: tuple[int, float]) -> Any:
    t = ISO2.types
    return t.ChargingProfile(
        ProfileEntry=tuple(
            t.ProfileEntry(ChargingProfileEntryStart=start, ChargingProfileEntryMaxPower=ISO2.quantity(power, "W"))
            for start, power in entries
        )
    )


@pytest.mark.parametrize(
    ("entries", "valid"),
    [
        ([(0, 5_000.0), (3600, 4_000.0)], True),
        ([(0, 12_000.0)], False),  # above PMax
        ([(0, 1_000.0), (90_000, 1_000.0)], False),  # after the end of the schedule
        ([(10, 1_000.0), (0, 1_000.0)], False),
        ([(0, -1_000.0)], False),
    ],
)
def test_a_charging_profile_is_checked(entries: list[tuple[int, float]], valid: bool) -> None:
    """V2G2-224, 225, 478; cars break it, so `interop` reports and `strict` refuses it."""
    for tolerances in (STRICT, frozenset({Tolerance.PROFILE_OUTSIDE_SCHEDULE})):
        evse = {"schedules": (flat_offer(0, 10_000.0, None),)}
        car = RawCar(evse=evse, tolerances=tolerances)
        car.go(Step.POWER_START)
        response = car.step(Step.POWER_START, ChargingProfile=profile(*entries))
        refused = tolerances is STRICT and not valid
        assert response.ResponseCode == ("FAILED_ChargingProfileInvalid" if refused else "OK")
        assert bool(car.seen(events.Warned)) is (not valid and not refused)


def test_a_pause_needs_a_charge_loop_before() -> None:
    """Peers lost sessions with closed contactors: pause is possible only after PowerDelivery(Stop)."""
    pause = ISO2.stop_request("Pause")
    for step in PATH[1:-1]:
        car = RawCar()
        car.go(step)
        assert car.send(pause).ResponseCode != "OK"
        assert car.ended
        assert not car.seen(events.SessionPaused)
    car = RawCar()
    car.go(Step.SESSION_STOP)
    assert car.send(pause).ResponseCode == "OK"
    assert car.seen(events.SessionPaused)


@GENERATIONS
def test_no_energy_ends_without_power(dialect: Dialect) -> None:
    """0 W in a Finished response makes cars stop: Ongoing first, StopCharging at last."""
    car = RawCar(dialect)
    car.go(Step.CHARGE_PARAMETERS)
    car.order(orders.LimitOutput(dc=Limits(max_voltage_v=500, min_voltage_v=150)))
    while (response := car.step(Step.CHARGE_PARAMETERS)).EVSEProcessing == "Ongoing":
        car.wait(0.5)
    assert response.EVSEChargeParameter.DC_EVSEStatus.EVSENotification == "StopCharging"
    assert car.now < timers.ONGOING
    assert car.step(Step.SESSION_STOP).ResponseCode == "OK"


@GENERATIONS
def test_timeouts_of_the_station(dialect: Dialect) -> None:
    car = RawCar(dialect)
    car.wait(timers.COMMUNICATION_SETUP_SECC + 0.1)
    assert car.ended
    car = RawCar(dialect)
    car.go(Step.POWER_STOP)
    car.wait(timers.SEQUENCE - 0.1)
    assert not car.seen(events.SessionEnded)
    car.wait(0.2)
    assert car.ended
    assert not car.seen(events.SessionEnded)[0].ok


@GENERATIONS
def test_the_loop_never_asks_for_discharge(dialect: Dialect) -> None:
    car = RawCar(dialect)
    car.go(Step.CHARGE_LOOP)

    @given(current=st.floats(-400, 400), setpoint=st.none() | st.floats(-50_000, 50_000), volts=st.floats(0, 500))
    @settings(deadline=None, max_examples=rounds(20, 60), derandomize=True)
    def law(current: float, setpoint: float | None, volts: float) -> None:
        car.order(orders.SetPower(setpoint))
        car.order(orders.Measure(voltage_v=volts, current_a=0.0))
        response = car.step(Step.CHARGE_LOOP, EVTargetCurrent=car.quantity(current, "A"))
        assert response.ResponseCode == "OK"
        event = car.seen(events.ChargeLoopRequested)[-1]
        assert 0.0 <= event.target.power_w <= 20_000.0
        assert event.target.power_w <= max(0.0, current + 0.1) * max(volts, 500)
        assert event.allowed.low_w == 0.0

    law()


@given(
    walk=st.lists(st.sampled_from((*PATH, Step.WELDING_DETECTION, Step.RENEGOTIATION)), max_size=25), din=st.booleans()
)
@settings(deadline=None, max_examples=rounds(20, 60))
def test_any_walk_ends_without_power_or_goes_on_in_order(walk: list[Step], din: bool) -> None:
    """Every request is answered by its own type; power is on only between Start and Stop; after FAILED all is over."""
    car = RawCar(DIN if din else ISO2)
    for step in walk:
        if din and step is Step.RENEGOTIATION:
            continue
        request = car.request(step)
        response = car.send(request)
        if response is None:
            assert car.ended or car.secc.state is State.ENDED
            break
        assert type(response).__name__ == type(request).__name__.removesuffix("Req") + "Res"
        assert car.ended is (response.ResponseCode.startswith("FAILED"))
    on = car.secc.session.power_on and not car.ended
    assert on is (car.secc.state in (State.LOOP_START, State.CHARGE_LOOP))


def test_every_request_of_the_tables_has_a_response() -> None:
    for dialect in DIALECTS.values():
        for table in dialect.tables.values():
            for requests in table.values():
                for name in requests:
                    assert name == "supportedAppProtocolReq" or (name in _ANSWERS and hasattr(dialect.messages, name))
    assert set(DC) == set(State)
