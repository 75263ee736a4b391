"""Session defects that others found in 2026, against ISO 15118-20 and SDP; with the same numbers in
`iso2/test_defects_of_others.py` against ISO 15118-2 and DIN 70121.

Not applicable: repeated CertificateInstallation and its signatures (5, 13: not offered, a sequence error at once), SLAC
(10), DER controllers (14).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial

import pytest

from protocols.iso15118 import app_protocol
from protocols.iso15118.iso20 import ac, common, dc, events, messages, orders, timers
from protocols.iso15118.iso20.common import ChargeProgress, ChargingSession
from protocols.iso15118.iso20.rational import number
from protocols.iso15118.iso20.secc_session import Verdict
from protocols.iso15118.iso20.services import ServiceId
from protocols.iso15118.iso20.states import State, Step
from protocols.iso15118.iso20.types import Processing
from protocols.sdp import Discovery, SdpResponse, SeccFound, Security
from protocols.v2gtp import PayloadType, frame
from tests.protocols.iso15118.engine_pair import EV_AC, Pair, car_state, looping, loops, pair
from tests.protocols.iso15118.test_codes import exchange, header, reach

ISO20_MAIN = PayloadType.ISO20_DC


def sent_to(session: Pair, data: bytes) -> bytes:
    session.secc.data_to_send()
    session._hear([], session.secc.receive(data, session.now))
    return session.secc.data_to_send()


@pytest.mark.parametrize("step", [Step.AUTHORIZATION_SETUP, Step.AUTHORIZATION, Step.SERVICE_DISCOVERY])
def test_1_a_service_renegotiation_before_a_selection_does_not_lead_to_charging(step: Step) -> None:
    session = reach(step, secc={"service_renegotiation": True})
    request = common.SessionStopReq(Header=header(session), ChargingSession=ChargingSession.ServiceRenegotiation)
    response = exchange(session, request)
    assert response.ResponseCode.startswith("FAILED")
    assert session.secc.ended
    assert not session.seen(events.ServicesReopened)


@pytest.mark.parametrize("verdict", [Verdict.WAITING, Verdict.WAITING_FOR_CUSTOMER])
def test_1_no_service_without_authorization(verdict: Verdict) -> None:
    for sent in ("services", "power"):
        session = pair()
        session.ideal = False
        session.secc.command(orders.Authorize(verdict), 0.0)
        session.run(until=lambda p: p.now > 5)
        assert session.secc.state is State.AUTHORIZATION
        request = (
            common.ServiceDiscoveryReq(Header=header(session))
            if sent == "services"
            else common.PowerDeliveryReq(
                Header=header(session), EVProcessing=Processing.Finished, ChargeProgress=ChargeProgress.Start
            )
        )
        assert exchange(session, request).ResponseCode == "FAILED_SequenceError"
        assert not session.seen(events.PowerStarted)


@pytest.mark.parametrize("step", [Step.CABLE_CHECK, Step.PRE_CHARGE, Step.CHARGE_LOOP])
def test_2_no_pause_under_power_or_before_it(step: Step) -> None:
    session = reach(step)
    request = common.SessionStopReq(Header=header(session), ChargingSession=ChargingSession.Pause)
    assert exchange(session, request).ResponseCode.startswith("FAILED")
    assert not session.seen(events.SessionPaused)
    assert session.seen(events.SessionEnded)
    assert session.current_a == 0.0


def test_3_the_budgets_of_the_station_are_shorter_than_those_of_the_car() -> None:
    assert timers.ONGOING_SECC < timers.ONGOING
    assert timers.CABLE_CHECK_SECC < timers.CABLE_CHECK
    assert timers.COMMUNICATION_SETUP_SECC < timers.COMMUNICATION_SETUP
    for name in ("SessionSetupReq", "ServiceDetailReq", "PowerDeliveryReq", "DC_ChargeLoopReq", "AC_ChargeLoopReq"):
        assert timers.answer_within(name) < timers.message_timeout(name)


def _next_of(draws: Iterator[bytes], size: int) -> bytes:
    return next(draws)


def test_4_an_all_zero_session_id_is_neither_assigned_nor_matched() -> None:
    zero = bytes(8)
    kept = events.Paused(zero, "WMIV1234567890ABCDEX", None, None, "")
    for paused in ({zero: kept}, {}):  # an id of a paused session is drawn again in any case
        draws = iter([zero, bytes(7) + b"\x01"])
        session = pair(secc_arguments={"paused": paused, "draw": partial(_next_of, draws)})
        session.run(until=looping)
        assert session.secc.session.session_id == bytes(7) + b"\x01"
        assert not session.seen(events.SessionOpened)[0].resumed
    foreign = messages.header(zero, 1_770_000_000)
    response = exchange(session, common.SessionStopReq(Header=foreign, ChargingSession=ChargingSession.Terminate))
    assert response.ResponseCode == "FAILED_UnknownSession"


@pytest.mark.parametrize("step", [Step.AUTHORIZATION, Step.CHARGE_LOOP])
def test_6_a_second_handshake_changes_nothing(step: Step) -> None:
    """It is skipped: the session goes on where it was."""
    session = reach(step)
    state = session.secc.state
    again = app_protocol.request([app_protocol.ISO2, app_protocol.DIN])
    assert sent_to(session, app_protocol.encode(again)) == b""
    assert session.secc.state is state
    assert not session.secc.ended
    assert not [one for one in session.seen(events.ProtocolAgreed) if "15118:-20" not in one.namespace]


def test_7_a_client_of_another_protocol_is_named() -> None:
    session = pair()
    seen = session.secc.receive(b"GET / HTTP/1.1\r\n\r\n", session.now)
    (ended,) = (one for one in seen if isinstance(one, events.SessionEnded))
    assert ended.reason == "this is HTTP"


@pytest.mark.parametrize("payload", [b"", b"\x80", b"\x80\xff\xff", b"GET / HTTP/1.1\r\n\r\n"])
def test_7_a_bad_frame_closes_the_engine(payload: bytes) -> None:
    session = reach(Step.CHARGE_LOOP)
    assert sent_to(session, frame(ISO20_MAIN, payload)) == b""
    assert session.secc.ended
    assert session.secc.deadline() is None
    assert session.current_a == 0.0


@pytest.mark.parametrize("payload_type", [0x0000, 0x9000, 0xA000, 0xFFFF])
def test_8_unknown_payload_types_are_skipped(payload_type: int) -> None:
    session = reach(Step.CHARGE_LOOP)
    assert sent_to(session, frame(payload_type, b"\x80\x00")) == b""
    assert [one.payload_type for one in session.seen(events.FrameIgnored)] == [payload_type]
    session.run(until=loops(3))
    assert looping(session)


def test_9_a_spoofed_response_does_not_end_the_discovery() -> None:
    """A refusal of TLS, an address off the link, a reserved port: ignored; the right response still counts."""
    engine = Discovery(Security.TLS, 0.0, required=True)
    engine.expire(0.0)
    for spoofed in (
        SdpResponse("fe80::2", 50_000, Security.NONE),
        SdpResponse("2001:db8::2", 50_000, Security.TLS),
        SdpResponse("::", 50_000, Security.TLS),
        SdpResponse("fe80::2", 22, Security.TLS),
    ):
        assert engine.receive(spoofed.encode(), 0.1) == []
    assert not engine.ended
    right = SdpResponse("fe80::1", 50_000, Security.TLS)
    assert engine.receive(right.encode(), 0.2) == [SeccFound(right)]


@pytest.mark.parametrize("service", [ServiceId.AC_BPT, ServiceId.DC_BPT])
def test_11_a_negative_set_point_before_the_selection(service: ServiceId) -> None:
    limits = car_state().limits if service is ServiceId.DC_BPT else EV_AC
    session = pair(car=car_state(limits=limits), setpoint_w=-7_000.0, ev={"services": (service,)})
    session.secc.command(orders.SetPower(-7_000.0), 0.0)
    session.run(until=lambda p: p.ev.step is Step.SERVICE_DISCOVERY)
    session.secc.command(orders.SetPower(-6_900.0), session.now)
    session.run(until=loops(5))
    assert session.target_w == pytest.approx(-6_900.0, rel=0.01)


@pytest.mark.parametrize("phases", [1, 3])
def test_11_an_export_is_scaled_by_the_phases_of_the_car(phases: int) -> None:
    """A single-phase car of 3.7 kW at a three-phase charger of 11 kW."""
    limits = replace(EV_AC, max_charge_w=3_700.0 * phases, max_discharge_w=3_700.0 * phases, phases=phases)
    session = pair(
        car=car_state(limits=limits), setpoint_w=-11_000.0, ev={"services": (ServiceId.AC_BPT,), "trace": True}
    )
    session.run(until=loops(5))
    looped = [one.message for one in session.ev_seen(events.MessageReceived)][-1]
    assert isinstance(looped, ac.AC_ChargeLoopRes)
    mode = looped.CLResControlMode
    assert isinstance(mode, ac.BPT_Dynamic_AC_CLResControlMode)
    stated = [mode.EVSETargetActivePower, mode.EVSETargetActivePower_L2, mode.EVSETargetActivePower_L3]
    total = sum(number(one) for one in stated if one is not None)
    assert total >= -3_700.0 * phases - 1.0
    assert session.target_w == pytest.approx(-min(11_000.0, 3_700.0 * phases), rel=0.01)


def test_12_the_car_reports_what_it_measures() -> None:
    session = pair(secc={"trace": True}, setpoint_w=5_000.0)
    session.run(until=loops(5))
    looped = [one.message for one in session.seen(events.MessageReceived)][-1]
    assert isinstance(looped, dc.DC_ChargeLoopReq)
    assert number(looped.EVPresentVoltage) == pytest.approx(400.0, abs=1)
    session = pair(
        car=car_state(limits=EV_AC), setpoint_w=5_000.0, ev={"services": (ServiceId.AC_BPT,)}, secc={"trace": True}
    )
    session.run(until=loops(5))
    report = session.seen(events.ChargeLoopRequested)[-1].car
    assert report.present_power_w == pytest.approx(5_000.0, rel=0.02)


def test_13_contracts_are_not_offered_without_tls() -> None:
    session = reach(Step.AUTHORIZATION_SETUP)
    response = exchange(session, common.AuthorizationSetupReq(Header=header(session)))
    assert response.AuthorizationServices == (common.Authorization.EIM,)
    assert response.CertificateInstallationService is False
