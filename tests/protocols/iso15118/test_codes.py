"""Every response code with its cause, and every timer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from protocols.iso15118 import app_protocol
from protocols.iso15118.iso20 import ac, common, dc, events, messages, orders, timers
from protocols.iso15118.iso20.common import ChargeProgress, ChargingSession
from protocols.iso15118.iso20.error_responses import error_response, has_error_response
from protocols.iso15118.iso20.limits import Limits
from protocols.iso15118.iso20.messages import RESPONSE_NAMES
from protocols.iso15118.iso20.rational import rational
from protocols.iso15118.iso20.schedules import Block, Profile, ScheduleOffer, profile_message
from protocols.iso15118.iso20.secc import Secc
from protocols.iso15118.iso20.secc_session import Fault, VehicleCertificate, Verdict
from protocols.iso15118.iso20.services import ControlMode, ServiceId
from protocols.iso15118.iso20.states import State, Step
from protocols.iso15118.iso20.types import MessageHeader, Processing, ResponseCode
from protocols.v2gtp import HEADER_SIZE, Framer, PayloadType, frame
from tests.protocols.iso15118.engine_pair import (
    EPOCH,
    EV_AC,
    EV_DC,
    Pair,
    car_state,
    looping,
    loops,
    pair,
    secc_settings,
)

SCHEDULED = {"controls": (ControlMode.SCHEDULED,)}


def reach(step: Step, **arguments: Any) -> Pair:
    """Return a pair whose EVCC is about to send the request of `step`."""
    session = pair(**arguments)
    session.run(until=lambda p: p.ev.step is step)
    assert session.ev.step is step
    return session


def exchange(session: Pair, request: Any, stream: PayloadType | None = None) -> Any:
    """Send a request and return the SECC's response."""
    session.secc.data_to_send()
    session._hear([], session.secc.receive(messages.encode(request, stream), session.now))
    frames = Framer().feed(session.secc.data_to_send())
    assert len(frames) == 1
    return messages.decode(frames[0])


def header(session: Pair) -> MessageHeader:
    return messages.header(session.secc.session.session_id, EPOCH + session.now)


# ------------------------------------------------------------------------------------------------------ error responses


@pytest.mark.parametrize("step", [Step.AUTHORIZATION, Step.SERVICE_DISCOVERY, Step.CHARGE_PARAMETERS, Step.CHARGE_LOOP])
def test_an_unexpected_request_gets_its_own_response_type_and_a_sequence_error(step: Step) -> None:
    session = reach(step)
    response = exchange(session, common.SessionSetupReq(Header=header(session), EVCCID="x"))
    assert isinstance(response, common.SessionSetupRes)
    assert response.ResponseCode is ResponseCode.FAILED_SequenceError
    assert session.secc.ended
    assert session.seen(events.SessionEnded)[-1].code is ResponseCode.FAILED_SequenceError


@pytest.mark.parametrize("name", sorted(RESPONSE_NAMES))
def test_every_request_can_be_refused_in_valid_bytes(name: str) -> None:
    assert has_error_response(name)
    response = error_response(name, MessageHeader(SessionID=bytes(8), TimeStamp=1), ResponseCode.FAILED_SequenceError)
    assert type(response).__name__ == RESPONSE_NAMES[name]
    assert messages.decode(Framer().feed(messages.encode(response))[0]) == response


def test_another_session_id_is_an_unknown_session() -> None:
    session = reach(Step.SERVICE_DISCOVERY)
    unknown = messages.header(b"\x01" * 8, EPOCH)
    response = exchange(session, common.ServiceDiscoveryReq(Header=unknown))
    assert response.ResponseCode is ResponseCode.FAILED_UnknownSession
    assert session.secc.ended


def test_plug_and_charge_where_it_is_not_offered_is_a_warning_and_eim_still_works() -> None:
    session = reach(Step.AUTHORIZATION)
    chain = common.ContractCertificateChain(
        Certificate=b"c", SubCertificates=common.SubCertificates(Certificate=(b"s",))
    )
    response = exchange(
        session,
        common.AuthorizationReq(
            Header=header(session),
            SelectedAuthorizationService=common.Authorization.PnC,
            PnC_AReqAuthorizationMode=common.PnC_AReqAuthorizationMode(
                Id="i", GenChallenge=bytes(16), ContractCertificateChain=chain
            ),
        ),
    )
    assert response.ResponseCode is ResponseCode.WARNING_AuthorizationSelectionInvalid
    assert session.secc.state is State.AUTHORIZATION
    session.run(until=loops(1))


def test_certificate_installation_where_it_is_not_offered_is_refused() -> None:
    session = reach(Step.AUTHORIZATION)
    request = common.CertificateInstallationReq(
        Header=header(session),
        OEMProvisioningCertificateChain=common.SignedCertificateChain(Id="i", Certificate=b"c"),
        ListOfRootCertificateIDs=_root_ids(),
        MaximumContractCertificateChains=1,
    )
    response = exchange(session, request)
    assert response.ResponseCode is ResponseCode.FAILED_SequenceError
    assert session.secc.ended


def _root_ids() -> Any:
    from protocols.iso15118.iso20.types import ListOfRootCertificateIDs
    from protocols.iso15118.xmldsig import X509IssuerSerial

    one = X509IssuerSerial(X509IssuerName="CN=root", X509SerialNumber=1)
    return ListOfRootCertificateIDs(RootCertificateID=(one,))


def test_authorization_refused_by_the_operator() -> None:
    session = pair()
    session.ideal = False
    session.secc.command(orders.Authorize(Verdict.NO), 0.0)
    session.run()
    assert session.ev_seen(events.Authorized)[0].code is ResponseCode.WARNING_EIMAuthorizationFailure
    assert session.ev_seen(events.SessionEnded)[0].termination_code == "not authorized"
    assert session.seen(events.SessionEnded)[0].ok


def test_the_operator_may_name_the_code_of_a_verdict() -> None:
    session = pair()
    session.ideal = False
    session.secc.command(orders.Authorize(Verdict.YES, ResponseCode.OK_CertificateExpiresSoon), 0.0)
    session.run(until=lambda p: bool(p.ev_seen(events.Authorized)))
    assert session.ev_seen(events.Authorized)[0].code is ResponseCode.OK_CertificateExpiresSoon


def test_a_service_that_is_not_offered() -> None:
    session = reach(Step.SERVICE_DETAIL)
    response = exchange(session, common.ServiceDetailReq(Header=header(session), ServiceID=3))
    assert response.ResponseCode is ResponseCode.FAILED_ServiceIDInvalid


def test_a_service_of_the_other_namespace_is_not_offered() -> None:
    session = reach(Step.SERVICE_DETAIL)
    response = exchange(session, common.ServiceDetailReq(Header=header(session), ServiceID=int(ServiceId.AC)))
    assert response.ResponseCode is ResponseCode.FAILED_ServiceIDInvalid


@pytest.mark.parametrize(
    ("service", "set_id", "code"),
    [
        (65, 1, ResponseCode.FAILED_NoEnergyTransferServiceSelected),
        (int(ServiceId.DC_BPT), 999, ResponseCode.FAILED_ServiceSelectionInvalid),
    ],
)
def test_a_selection_that_was_not_offered(service: int, set_id: int, code: ResponseCode) -> None:
    session = reach(Step.SERVICE_SELECTION)
    selected = common.SelectedService(ServiceID=service, ParameterSetID=set_id)
    response = exchange(
        session, common.ServiceSelectionReq(Header=header(session), SelectedEnergyTransferService=selected)
    )
    assert response.ResponseCode is code


def test_a_value_added_service_that_was_not_offered() -> None:
    session = reach(Step.SERVICE_SELECTION)
    selected = common.SelectedService(ServiceID=int(ServiceId.DC_BPT), ParameterSetID=1)
    extra = common.SelectedServiceList(SelectedService=(common.SelectedService(ServiceID=65, ParameterSetID=1),))
    request = common.ServiceSelectionReq(
        Header=header(session), SelectedEnergyTransferService=selected, SelectedVASList=extra
    )
    assert exchange(session, request).ResponseCode is ResponseCode.FAILED_ServiceSelectionInvalid


@pytest.mark.parametrize(
    "limits",
    [
        replace(EV_DC, max_voltage_v=100.0, min_voltage_v=50.0),  # out of the charger's reach
        replace(EV_DC, max_voltage_v=300.0, min_voltage_v=310.0),
        replace(EV_DC, min_charge_w=200_000.0),
        replace(EV_DC, max_charge_w=-5.0),
    ],
)
def test_impossible_charge_parameters(limits: Limits) -> None:
    session = reach(Step.CHARGE_PARAMETERS)
    session.ev.command(car_state(limits=limits), session.now)
    session.run()
    assert session.seen(events.SessionEnded)[0].code is ResponseCode.FAILED_WrongChargeParameter


@pytest.mark.parametrize("service", list(ServiceId))
def test_charge_parameters_of_another_service(service: ServiceId) -> None:
    is_dc, is_bpt = service in (ServiceId.DC, ServiceId.DC_BPT), service in (ServiceId.DC_BPT, ServiceId.AC_BPT)
    car = car_state() if is_dc else car_state(limits=EV_AC)
    session = reach(Step.CHARGE_PARAMETERS, car=car, ev={"services": (service,)})
    from protocols.iso15118.iso20 import ac_messages, dc_messages

    request: Any
    if is_dc:
        request = dc.DC_ChargeParameterDiscoveryReq(
            Header=header(session),
            DC_CPDReqEnergyTransferMode=dc_messages.discovery_request_mode(EV_DC, bpt=not is_bpt),
        )
    else:
        request = ac.AC_ChargeParameterDiscoveryReq(
            Header=header(session),
            AC_CPDReqEnergyTransferMode=ac_messages.discovery_request_mode(EV_AC, bpt=not is_bpt),
        )
    assert exchange(session, request).ResponseCode is ResponseCode.FAILED_WrongChargeParameter


def test_a_loop_request_of_another_control_mode() -> None:
    session = reach(Step.CHARGE_LOOP)
    mode = dc.Scheduled_DC_CLReqControlMode(EVTargetCurrent=rational(1), EVTargetVoltage=rational(400))
    request = dc.DC_ChargeLoopReq(
        Header=header(session), MeterInfoRequested=False, EVPresentVoltage=rational(400), CLReqControlMode=mode
    )
    assert exchange(session, request).ResponseCode is ResponseCode.FAILED


def test_a_failed_insulation_test() -> None:
    session = pair()
    session.ideal = False
    session.secc.evse = replace(session.secc.evse, authorization=Verdict.YES, schedules=(), insulation=Verdict.NO)
    session.run()
    ended = session.seen(events.SessionEnded)[0]
    assert ended.code is ResponseCode.FAILED
    assert "insulation" in ended.reason


@pytest.mark.parametrize("fault", list(Fault))
def test_hardware_that_fails(fault: Fault) -> None:
    session = pair()
    session.secc.command(orders.ReportFault(fault), 0.0)
    session.run()
    contactor = fault is Fault.CONTACTOR
    expected = ResponseCode.FAILED_ContactorError if contactor else ResponseCode.FAILED_PowerDeliveryNotApplied
    assert session.seen(events.SessionEnded)[0].code is expected


def test_hardware_that_recovers() -> None:
    session = pair()
    session.secc.command(orders.ReportFault(Fault.CONTACTOR), 0.0)
    session.secc.command(orders.ReportFault(Fault.CONTACTOR, present=False), 0.0)
    session.run(until=loops(1))
    assert session.ev.session.loops == 1


def _deliver(session: Pair, profile: Profile | None, progress: ChargeProgress = ChargeProgress.Start) -> Any:
    return exchange(
        session,
        common.PowerDeliveryReq(
            Header=header(session),
            EVProcessing=Processing.Finished,
            ChargeProgress=progress,
            EVPowerProfile=None if profile is None else profile_message(profile),
        ),
    )


@pytest.mark.parametrize(
    ("profile", "code"),
    [
        (None, ResponseCode.FAILED_EVPowerProfileInvalid),
        (
            Profile(anchor_s=int(EPOCH), blocks=(Block(60, 1_000.0),)),  # for dynamic control
            ResponseCode.FAILED_EVPowerProfileInvalid,
        ),
        (
            Profile(anchor_s=int(EPOCH), blocks=(Block(60, 1_000.0),), tuple_id=99),
            ResponseCode.FAILED_ScheduleSelectionInvalid,
        ),
        (
            Profile(anchor_s=int(EPOCH), blocks=(Block(60, 1_000.0), Block(60, 50_000.0)), tuple_id=1),
            ResponseCode.FAILED_EVPowerProfileInvalid,
        ),
        (
            Profile(anchor_s=int(EPOCH), blocks=(Block(60, -50_000.0),), tuple_id=1),
            ResponseCode.FAILED_EVPowerProfileInvalid,
        ),
        (Profile(anchor_s=int(EPOCH), blocks=(Block(60, -1_000.0),), tuple_id=1), ResponseCode.OK),
    ],
)
def test_power_profiles_are_checked(profile: Profile | None, code: ResponseCode) -> None:
    session = reach(Step.POWER_START, setpoint_w=None, ev=SCHEDULED)
    assert _deliver(session, profile).ResponseCode is code


def test_a_profile_that_refuses_the_tolerance_is_warned() -> None:
    session = pair(setpoint_w=None, ev=SCHEDULED)
    session.ideal = False
    offer = ScheduleOffer(tuple_id=1, anchor_s=int(EPOCH), charge=(Block(3600, 5_000.0),), tolerance_w=100.0)
    session.voltage_v = 400.0
    session.secc.evse = replace(
        session.secc.evse, authorization=Verdict.YES, schedules=(offer,), insulation=Verdict.YES
    )
    session.run(until=lambda p: p.ev.step is Step.POWER_START)
    profile = Profile(anchor_s=int(EPOCH), blocks=(Block(60, 1_000.0),), tuple_id=1, tolerance_accepted=False)
    assert _deliver(session, profile).ResponseCode is ResponseCode.WARNING_PowerToleranceNotConfirmed


def test_a_tolerance_that_must_be_confirmed() -> None:
    session = pair(setpoint_w=None, ev=SCHEDULED, secc={"power_tolerance_required": True})
    session.ideal = False
    offer = ScheduleOffer(tuple_id=1, anchor_s=int(EPOCH), charge=(Block(3600, 5_000.0),), tolerance_w=100.0)
    session.voltage_v = 400.0
    session.secc.evse = replace(
        session.secc.evse, authorization=Verdict.YES, schedules=(offer,), insulation=Verdict.YES
    )
    session.run(until=lambda p: p.ev.step is Step.POWER_START)
    profile = Profile(anchor_s=int(EPOCH), blocks=(Block(60, 1_000.0),), tuple_id=1, tolerance_accepted=False)
    assert _deliver(session, profile).ResponseCode is ResponseCode.FAILED_PowerToleranceNotConfirmed


def test_a_bad_profile_in_renegotiation_keeps_the_old_one() -> None:
    session = pair(setpoint_w=None, ev=SCHEDULED)
    session.run(until=loops(3))
    before = session.secc.session.profile
    bad = Profile(anchor_s=int(EPOCH), blocks=(Block(60, 90_000.0),), tuple_id=1)
    response = _deliver(session, bad, ChargeProgress.ScheduleRenegotiation)
    assert response.ResponseCode is ResponseCode.WARNING_ScheduleRenegotiationFailed
    assert session.secc.session.profile == before
    assert session.secc.state is State.CHARGE_LOOP


def test_renegotiation_outside_the_loop_is_a_sequence_error() -> None:
    session = reach(Step.POWER_START, setpoint_w=None, ev=SCHEDULED)
    assert _deliver(session, None, ChargeProgress.ScheduleRenegotiation).ResponseCode is (
        ResponseCode.FAILED_SequenceError
    )


def test_a_car_outside_its_profile_is_warned_and_then_cut_off() -> None:
    session = pair(
        setpoint_w=None,
        car=car_state(limits=EV_AC),
        ev={**SCHEDULED, "services": (ServiceId.AC,)},
        secc={"violations_before_failure": 5},
    )
    session.run(until=loops(2))
    session.ideal = False
    session.ev.command(replace(session.ev.car, power_w=20_000.0), session.now)
    session.run()
    warned = [one for one in session.ev_seen(events.ChargeLoopAnswered) if one.code.startswith("WARNING")]
    assert [one.code for one in warned] == [ResponseCode.WARNING_EVPowerProfileViolation] * 5
    assert session.seen(events.SessionEnded)[0].code is ResponseCode.FAILED_EVPowerProfileViolation


@pytest.mark.parametrize("step", [Step.SERVICE_DISCOVERY, Step.CABLE_CHECK])
def test_a_pause_before_power_flowed_is_refused(step: Step) -> None:
    session = reach(step)
    response = exchange(session, common.SessionStopReq(Header=header(session), ChargingSession=ChargingSession.Pause))
    assert response.ResponseCode is ResponseCode.FAILED_PauseNotAllowed


def test_meter_data_without_a_signature_that_holds() -> None:
    session = pair()
    session.run(until=loops(3))
    for verifier, code in ((None, "FAILED_MeteringSignatureNotValid"), (lambda _: True, "OK")):
        other = pair(secc={"metering_verifier": verifier})
        other.run(until=loops(3))
        data = common.SignedMeteringData(
            Id="m",
            SessionID=other.secc.session.session_id,
            MeterInfo=_meter(),
            Dynamic_SMDTControlMode=common.Dynamic_SMDTControlMode(),
        )
        request = common.MeteringConfirmationReq(Header=header(other), SignedMeteringData=data)
        response = exchange(other, request, PayloadType.ISO20_METERING_STREAM)
        assert response.ResponseCode == code


def _meter() -> Any:
    from protocols.iso15118.iso20.types import MeterInfo

    return MeterInfo(MeterID="M1", ChargedEnergyReadingWh=0)


def test_a_stream_message_in_the_main_stream_is_a_sequence_error() -> None:
    session = pair(ev=SCHEDULED)
    session.run(until=loops(3))
    mode = common.Scheduled_SEReqControlMode()
    request = common.ScheduleExchangeReq(
        Header=header(session), MaximumSupportingPoints=12, Scheduled_SEReqControlMode=mode
    )
    assert exchange(session, request).ResponseCode is ResponseCode.FAILED_SequenceError


def test_an_abort_by_the_host_is_the_response_to_the_next_request() -> None:
    session = pair(setpoint_w=-3_000)
    session.run(until=loops(3))
    session.secc.command(orders.Abort("smoke"), session.now)
    session.run()
    ended = session.seen(events.SessionEnded)[0]
    assert (ended.reason, ended.code) == ("smoke", ResponseCode.FAILED)
    assert session.current_a == 0


def test_a_handshake_without_a_common_protocol() -> None:
    secc = Secc(secc_settings(), 0.0)
    offer = app_protocol.request([app_protocol.Protocol(app_protocol.NAMESPACE_ISO2, 2, 0)])
    secc.receive(app_protocol.encode(offer), 0.0)
    response = app_protocol.decode(Framer().feed(secc.data_to_send())[0].payload)
    assert getattr(response, "ResponseCode") == "Failed_NoNegotiation"  # noqa: B009
    assert secc.ended


def test_no_iso20_without_tls_where_that_is_required() -> None:
    session = pair(secc={"tls_required": True})
    session.run()
    assert not session.seen(events.ProtocolAgreed)
    session = pair(secc={"tls_required": True}, secc_arguments={"tls": True})
    session.run(until=loops(1))


@pytest.mark.parametrize(
    ("certificate", "ok"),
    [
        (VehicleCertificate(b"leaf", "WMIV1234567890ABCDEX"), True),
        (VehicleCertificate(b"leaf", "SOMEBODYELSE"), False),
        (VehicleCertificate(b"leaf"), False),
        (None, False),
    ],
)
def test_the_vehicle_certificate_must_be_the_cars_where_that_is_required(
    certificate: VehicleCertificate | None, ok: bool
) -> None:
    session = pair(secc={"identity_required": True}, secc_arguments={"certificate": certificate})
    session.run(until=loops(1))
    assert bool(session.ev.session.loops) is ok


def test_a_minor_deviation_is_accepted() -> None:
    secc = Secc(secc_settings(), 0.0)
    offer = app_protocol.request([app_protocol.Protocol(app_protocol.NAMESPACE_DC, 1, 3)])
    happened = secc.receive(app_protocol.encode(offer), 0.0)
    assert happened == [events.ProtocolAgreed(app_protocol.NAMESPACE_DC, minor_deviation=True)]


def test_the_cars_priority_decides() -> None:
    for services, namespace in (
        ((ServiceId.AC, ServiceId.DC), app_protocol.NAMESPACE_AC),
        ((ServiceId.DC, ServiceId.AC), app_protocol.NAMESPACE_DC),
    ):
        session = pair(ev={"services": services})
        session.run(until=lambda p: bool(p.seen(events.ProtocolAgreed)))
        assert session.seen(events.ProtocolAgreed)[0].namespace == namespace


# --------------------------------------------------------------------------------------------------------------- timers


def deaf(_: bytes) -> bytes:
    return b""


def test_the_stations_timers_are_shorter_than_the_vehicles() -> None:
    for name in RESPONSE_NAMES:
        assert timers.answer_within(name) < timers.message_timeout(name)
    assert timers.ONGOING_SECC < timers.ONGOING
    assert timers.CABLE_CHECK_SECC < timers.CABLE_CHECK
    assert timers.COMMUNICATION_SETUP_SECC < timers.COMMUNICATION_SETUP
    assert timers.REQUEST_WITHIN < timers.SEQUENCE
    assert timers.REQUEST_WITHIN_LOOP < timers.SEQUENCE_LOOP


@pytest.mark.parametrize(
    ("step", "within"),
    [(Step.AUTHORIZATION, 2.0), (Step.SERVICE_DETAIL, 5.0), (Step.CABLE_CHECK, 2.0), (Step.CHARGE_LOOP, 0.5)],
)
def test_the_ev_ends_a_session_without_responses(step: Step, within: float) -> None:
    session = reach(step)
    requested_at = session.now
    session.to_ev = deaf
    session.run(until=lambda p: p.ev.ended)
    assert session.now - requested_at == pytest.approx(within, abs=0.15)
    assert "in time" in session.ev_seen(events.SessionEnded)[0].reason


@pytest.mark.parametrize(("step", "within"), [(Step.SERVICE_DISCOVERY, 60.0), (Step.CHARGE_LOOP, 0.5)])
def test_the_charger_ends_a_session_without_requests(step: Step, within: float) -> None:
    session = reach(step, setpoint_w=-3_000)
    session.run(until=lambda p: p.ev.session.loops >= 2 or step is not Step.CHARGE_LOOP)
    session.now += 0.0
    silent_from = session.now
    while not session.secc.ended:
        deadline = session.secc.deadline()
        assert deadline is not None
        session.now = deadline
        session._hear([], session.secc.expire(session.now))
    assert session.now - silent_from == pytest.approx(within, abs=0.3)
    assert "sequence timeout" in session.seen(events.SessionEnded)[0].reason
    assert session.current_a == 0


def test_no_session_set_up_in_time() -> None:
    secc = Secc(secc_settings(), 5.0)
    assert secc.deadline() == 5.0 + timers.COMMUNICATION_SETUP_SECC
    secc.expire(5.0 + timers.COMMUNICATION_SETUP_SECC)
    assert secc.ended


def _stuck(**evse: Any) -> Callable[[Pair], None]:
    def prepare(session: Pair) -> None:
        session.ideal = False
        session.voltage_v = 400.0
        known: dict[str, Any] = {"authorization": Verdict.YES, "schedules": (), "insulation": Verdict.YES} | evse
        session.secc.evse = replace(session.secc.evse, **known)

    return prepare


@pytest.mark.parametrize(
    ("stuck", "longest"),
    [
        (_stuck(authorization=Verdict.WAITING), timers.ONGOING_SECC),
        (_stuck(schedules=None), timers.ONGOING_SECC),
        (_stuck(insulation=Verdict.WAITING), timers.CABLE_CHECK_SECC),
    ],
)
def test_ongoing_responses_are_limited_in_time(stuck: Callable[[Pair], None], longest: float) -> None:
    session = pair()
    stuck(session)
    session.run()
    assert longest <= session.now < longest + 5
    assert not session.seen(events.PowerStarted)


def test_a_voltage_that_never_matches_ends_pre_charge() -> None:
    session = pair()
    _stuck()(session)
    session.voltage_v = 100.0
    session.run()
    assert timers.PRE_CHARGE <= session.now < timers.PRE_CHARGE + 2
    assert session.ev_seen(events.SessionEnded)[0].termination_code == "timeout"
    assert not session.ev_seen(events.VoltageMatched)


def test_waiting_for_the_customer_has_no_limit() -> None:
    session = pair()
    _stuck(authorization=Verdict.WAITING_FOR_CUSTOMER)(session)
    session.run(until=lambda p: p.now > 300)
    session.secc.command(orders.Authorize(Verdict.YES), session.now)
    session.run(until=loops(1))
    assert session.ev.session.loops == 1


def test_the_charger_closes_if_the_car_does_not() -> None:
    session = reach(Step.SERVICE_DISCOVERY)
    exchange(session, common.SessionStopReq(Header=header(session), ChargingSession=ChargingSession.Terminate))
    assert session.secc.state is State.ENDED
    assert not session.secc.ended
    assert session.secc.deadline() == session.now + timers.CLOSE_AFTER_STOP
    session.secc.expire(session.now + timers.CLOSE_AFTER_STOP)
    assert session.secc.ended


# ------------------------------------------------------------------------------------------------------------ bad bytes


@pytest.mark.parametrize("payload", [b"", b"\x80", b"\xff" * 40, b"\x80\x04" + b"\x00" * 3])
def test_bytes_that_are_no_message_end_the_connection_without_an_answer(payload: bytes) -> None:
    session = reach(Step.SERVICE_DISCOVERY)
    session.secc.data_to_send()
    session.secc.receive(frame(PayloadType.ISO20_COMMON, payload), session.now)
    assert session.secc.ended
    assert session.secc.data_to_send() == b""


@pytest.mark.parametrize("payload_type", [0x1234, 0x8001, 0x9001, 0xA000])
def test_unrelated_frames_are_ignored(payload_type: int) -> None:
    session = reach(Step.SERVICE_DISCOVERY)
    happened = session.secc.receive(frame(payload_type, b"abc"), session.now)
    assert happened == [events.FrameIgnored(payload_type, 3)]
    session.run(until=loops(2))
    assert session.ev.session.loops == 2


def test_a_wrong_version_pair_is_ignored() -> None:
    session = reach(Step.SERVICE_DISCOVERY)
    spoiled = bytearray(messages.encode(common.ServiceDiscoveryReq(Header=header(session))))
    spoiled[1] = 0x00
    assert session.secc.receive(bytes(spoiled), session.now) == [
        events.FrameIgnored(PayloadType.ISO20_COMMON, len(spoiled) - HEADER_SIZE)
    ]
    session.run(until=loops(1))


def test_an_excessive_length_ends_the_connection() -> None:
    session = reach(Step.SERVICE_DISCOVERY)
    session.secc.receive(bytes.fromhex("01fe8002ffffffff"), session.now)
    assert session.secc.ended


def test_a_response_of_another_type_ends_the_cars_session() -> None:
    session = reach(Step.SERVICE_DISCOVERY)
    session.ev.expire(session.now)
    wrong = common.ServiceSelectionRes(Header=header(session), ResponseCode=ResponseCode.OK)
    session.ev.receive(messages.encode(wrong), session.now)
    assert session.ev.ended


def test_a_response_of_another_session_ends_the_cars_session() -> None:
    session = reach(Step.SERVICE_SELECTION)
    session.ev.expire(session.now)
    wrong = common.ServiceSelectionRes(Header=messages.header(b"\x09" * 8, EPOCH), ResponseCode=ResponseCode.OK)
    session.ev.receive(messages.encode(wrong), session.now)
    assert session.ev.ended


def test_the_ev_ends_a_session_with_current_outside_its_limits() -> None:
    session = pair(setpoint_w=0)
    session.run(until=loops(3))
    session.ideal = False
    session.current_a, session.voltage_v = -200.0, 400.0
    session.run()
    ended = session.ev_seen(events.SessionEnded)[0]
    assert ended.termination_code == "current outside limits"
    assert session.seen(events.SessionEnded)[0].ok


@pytest.mark.parametrize(("current_a", "ok"), [(-1.5, True), (-2.5, False), (-10.0, False)])
def test_reverse_current_without_bpt_ends_the_session_with_the_first_response(current_a: float, ok: bool) -> None:
    session = pair(setpoint_w=0, ev={"services": (ServiceId.DC,)})
    session.run(until=loops(3))
    session.ideal = False
    session.current_a, session.voltage_v = current_a, 400.0
    session.run(until=loops(100))
    assert looping(session) is ok
    if not ok:
        reason = f"the charger discharges with {-current_a:.1f} A, which was not negotiated"
        assert session.ev_seen(events.SessionEnded)[0].reason == reason
        assert session.ev.session.loops <= 5
