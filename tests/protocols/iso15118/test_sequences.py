"""Sequences within a session: notifications, standby, renegotiation, pause and resume, changes of direction."""

from __future__ import annotations

from dataclasses import replace

import pytest

from protocols.errors import LocalProtocolError
from protocols.iso15118.iso20 import events, orders
from protocols.iso15118.iso20.common import (
    ChargingSession,
    MeteringConfirmationReq,
    ScheduleExchangeReq,
    SignedMeteringData,
)
from protocols.iso15118.iso20.prices import PriceBlock, PriceLevels, Prices
from protocols.iso15118.iso20.schedules import Block, ScheduleOffer, flat_offer
from protocols.iso15118.iso20.secc_session import VehicleCertificate, Verdict
from protocols.iso15118.iso20.services import ControlMode, MobilityNeedsMode, ServiceId
from protocols.iso15118.iso20.states import State, Step
from protocols.iso15118.iso20.types import EVSENotification, MessageHeader, ResponseCode
from tests.protocols.iso15118.engine_pair import EPOCH, Pair, car_state, looping, loops, pair

SCHEDULED = {"controls": (ControlMode.SCHEDULED,)}


def ended_well(session: Pair) -> bool:
    ev, secc = session.ev_seen(events.SessionEnded), session.seen(events.SessionEnded)
    return len(ev) == len(secc) == 1 and ev[0].ok and secc[0].ok


def finish(session: Pair) -> None:
    session.ev.command(orders.Stop(), session.now)
    session.run()
    assert ended_well(session), (session.ev_seen(events.SessionEnded), session.seen(events.SessionEnded))


def test_the_direction_changes_within_a_session_without_leaving_it() -> None:
    session = pair()
    session.run(until=looping)
    seen = []
    for ordered_w in (4_000, -4_000, 0, 4_000):
        session.secc.command(orders.SetPower(ordered_w), session.now)
        session.run(until=loops(session.ev.session.loops + 5))
        seen.append(session.ev.session.station.present_current_a)  # type: ignore[union-attr]
    assert seen == pytest.approx([10, -10, 0, 10])
    assert len(session.seen(events.PowerStarted)) == 1
    finish(session)


@pytest.mark.parametrize(
    ("notification", "kind"),
    [
        (EVSENotification.Terminate, ChargingSession.Terminate),
        (EVSENotification.Pause, ChargingSession.Pause),
    ],
)
def test_the_car_follows_a_notification_that_ends_the_session(
    notification: EVSENotification, kind: ChargingSession
) -> None:
    session = pair(setpoint_w=-3_000)
    session.run(until=loops(3))
    session.secc.command(orders.Notify(notification, 10), session.now)
    session.run()
    assert ended_well(session)
    assert session.seen(events.SessionEnded)[0].kind is kind
    assert session.ev_seen(events.Notified)[0].within_s == 10
    assert session.current_a == 0


def test_a_car_that_ignores_terminate_is_cut_off() -> None:
    session = pair(setpoint_w=-3_000, ev={"ignores": frozenset(EVSENotification)})
    session.run(until=loops(3))
    requested_at = session.now
    session.secc.command(orders.Notify(EVSENotification.Terminate, 5), session.now)
    session.run()
    assert session.seen(events.NotificationIgnored)
    assert session.seen(events.SessionEnded)[0].code is ResponseCode.FAILED
    assert 5 <= session.now - requested_at < 7
    assert not session.ev_seen(events.SessionEnded)[0].ok


def test_a_car_that_ignores_schedule_renegotiation_stays_in_session() -> None:
    session = pair(ev={**SCHEDULED, "ignores": frozenset(EVSENotification)})
    session.run(until=loops(3))
    session.secc.command(orders.Notify(EVSENotification.ScheduleRenegotiation, 2), session.now)
    session.run(until=loops(60))
    assert session.seen(events.NotificationIgnored)
    assert session.secc.evse.notification is None
    finish(session)


def test_standby_and_back_by_the_charger() -> None:
    session = pair(setpoint_w=-3_000)
    session.run(until=loops(3))
    session.ev.command(orders.EnterStandby(), session.now)
    session.run(until=lambda p: p.ev.step is Step.STANDBY and p.ev.session.loops > 10)
    assert session.secc.state is State.STANDBY
    assert session.current_a == 0
    session.secc.command(orders.Notify(EVSENotification.ExitStandby, 10), session.now)
    session.run(until=loops(20))
    assert looping(session)
    assert session.current_a < 0
    assert session.secc.evse.notification is None
    finish(session)


def test_standby_and_back_by_the_car() -> None:
    session = pair(setpoint_w=-3_000)
    session.run(until=loops(3))
    session.ev.command(orders.EnterStandby(), session.now)
    session.run(until=lambda p: p.ev.step is Step.STANDBY)
    session.ev.command(orders.LeaveStandby(), session.now)
    session.run(until=loops(20))
    assert looping(session)
    finish(session)


def test_standby_can_be_rejected_without_ending_the_session() -> None:
    session = pair(setpoint_w=-3_000, secc={"standby": False})
    session.run(until=loops(3))
    session.ev.command(orders.EnterStandby(), session.now)
    session.run(until=loops(10))
    assert session.ev_seen(events.Warned)[0].code is ResponseCode.WARNING_StandbyNotAllowed
    assert looping(session)
    finish(session)


def test_stopping_out_of_standby() -> None:
    session = pair()
    session.run(until=loops(3))
    session.ev.command(orders.EnterStandby(), session.now)
    session.run(until=lambda p: p.ev.step is Step.STANDBY)
    finish(session)


@pytest.mark.parametrize("multiplexed", [True, False])
@pytest.mark.parametrize("service", [ServiceId.DC_BPT, ServiceId.AC_BPT])
def test_the_car_renegotiates_schedules(multiplexed: bool, service: ServiceId) -> None:
    session = pair(setpoint_w=None, ev={**SCHEDULED, "services": (service,)})
    session.run(until=loops(3))
    offer = flat_offer(int(EPOCH), 0.0, 2_000.0, tuple_id=7)
    session.secc.command(orders.OfferSchedules((offer,)), session.now)
    session.ideal = False  # the offer above is to stand
    session.ev.command(orders.Renegotiate(multiplexed), session.now)
    session.run(until=loops(40))
    assert session.seen(events.NeedsStated)[-1].renegotiation
    profile = session.seen(events.Renegotiated)[-1].profile
    assert profile.tuple_id == 7
    assert profile.blocks[0].power_w == -2_000
    assert session.seen(events.ChargeLoopRequested)[-1].target.power_w == pytest.approx(-2_000, abs=5)
    session.ideal = True
    finish(session)


def test_the_charger_requests_new_schedules() -> None:
    session = pair(setpoint_w=None, ev=SCHEDULED)
    session.run(until=loops(3))
    session.ideal = False
    session.secc.command(orders.OfferSchedules((flat_offer(int(EPOCH), 1_500.0, 0.0),)), session.now)
    session.secc.command(orders.Notify(EVSENotification.ScheduleRenegotiation, 30), session.now)
    session.run(until=lambda p: bool(p.seen(events.Renegotiated)))
    session.run(until=loops(40))
    assert session.secc.evse.notification is None
    assert session.seen(events.ChargeLoopRequested)[-1].target.power_w == pytest.approx(1_500, abs=5)
    assert len(session.seen(events.Renegotiated)) == 1
    session.ideal = True
    finish(session)


def test_renegotiated_schedules_may_take_a_while() -> None:
    session = pair(setpoint_w=None, ev=SCHEDULED)
    session.run(until=loops(3))
    session.ideal = False
    session.secc.evse = replace(session.secc.evse, schedules=None)
    session.ev.command(orders.Renegotiate(), session.now)
    session.run(until=lambda p: p.now > 10)
    assert looping(session)
    assert session.ev.session.renegotiating
    session.secc.command(orders.OfferSchedules((flat_offer(int(EPOCH), 900.0, 0.0),)), session.now)
    session.run(until=lambda p: bool(p.ev_seen(events.Renegotiated)))
    session.ideal = True
    finish(session)


def test_a_second_renegotiation_request_waits_for_the_first_response() -> None:
    session = pair(setpoint_w=None, ev={**SCHEDULED, "trace": True})
    session.run(until=loops(3))
    before = len(session.ev_events)
    for _ in range(3):
        session.ev.command(orders.Renegotiate(), session.now)
        session._hear(session.ev.expire(session.now), [])
    sent = [event.message for event in session.ev_events[before:] if isinstance(event, events.MessageSent)]
    assert sum(isinstance(message, ScheduleExchangeReq) for message in sent) == 1
    session.run(until=lambda p: bool(p.ev_seen(events.Renegotiated)))
    finish(session)


def test_services_can_be_renegotiated_in_the_same_session() -> None:
    session = pair(setpoint_w=1_000)
    session.run(until=loops(3))
    first = session.ev.session.session_id
    session.secc.command(orders.Notify(EVSENotification.ServiceRenegotiation, 10), session.now)
    session.run(until=lambda p: bool(p.seen(events.ServicesReopened)))
    session.secc.evse = replace(session.secc.evse, insulation=Verdict.WAITING, schedules=None)
    session.run(until=loops(10))
    assert session.ev.session.session_id == first
    assert len(session.seen(events.ServiceAgreed)) == 2
    finish(session)


def test_a_charger_without_service_renegotiation_states_it() -> None:
    session = pair(secc={"service_renegotiation": False})
    session.run(until=loops(3))
    with pytest.raises(LocalProtocolError):
        session.secc.command(orders.Notify(EVSENotification.ServiceRenegotiation, 10), session.now)
    session.ev.command(orders.Stop(ChargingSession.ServiceRenegotiation), session.now)
    session.run()
    assert session.seen(events.SessionEnded)[0].code is ResponseCode.FAILED_NoServiceRenegotiationSupported


LEAF = VehicleCertificate(b"vehicle leaf")


@pytest.mark.parametrize("certificate", [None, LEAF])
def test_a_paused_session_is_resumed_by_the_same_car(certificate: VehicleCertificate | None) -> None:
    arguments = {"certificate": certificate}
    session = pair(setpoint_w=-3_000, secc_arguments=arguments)
    session.run(until=loops(3))
    session.ev.command(orders.Stop(ChargingSession.Pause), session.now)
    session.run()
    assert ended_well(session)
    kept, ours = session.seen(events.SessionPaused)[0].kept, session.ev_seen(events.SessionPaused)[0].kept
    again = pair(
        setpoint_w=-3_000, ev={"resume": ours}, secc_arguments={**arguments, "paused": {kept.session_id: kept}}
    )
    again.run(until=loops(3))
    assert again.seen(events.SessionOpened)[0].resumed
    assert again.ev.session.resumed
    assert again.ev.session.session_id == kept.session_id
    assert not again.seen(events.AuthorizationRequested)
    finish(again)


@pytest.mark.parametrize(
    ("kept_with", "back_with"), [(LEAF, VehicleCertificate(b"another leaf")), (LEAF, None), (None, LEAF)]
)
def test_a_paused_session_is_not_resumed_by_another_car(
    kept_with: VehicleCertificate | None, back_with: VehicleCertificate | None
) -> None:
    session = pair(secc_arguments={"certificate": kept_with})
    session.run(until=loops(3))
    session.ev.command(orders.Stop(ChargingSession.Pause), session.now)
    session.run()
    kept, ours = session.seen(events.SessionPaused)[0].kept, session.ev_seen(events.SessionPaused)[0].kept
    arguments = {"certificate": back_with, "paused": {kept.session_id: kept}}
    again = pair(ev={"resume": ours}, secc_arguments=arguments)
    again.run(until=loops(2))
    assert not again.ev.session.resumed
    assert again.ev.session.session_id != kept.session_id
    assert again.seen(events.AuthorizationRequested)
    finish(again)


def test_a_charger_without_pause_refuses_it() -> None:
    session = pair(secc={"pause": False})
    session.run(until=loops(3))
    session.ev.command(orders.Stop(ChargingSession.Pause), session.now)
    session.run()
    assert session.seen(events.SessionEnded)[0].code is ResponseCode.FAILED_PauseNotAllowed


def test_a_charger_without_power_sends_the_car_into_a_pause() -> None:
    session = pair()
    session.ideal = False
    session.secc.evse = replace(
        session.secc.evse, authorization=Verdict.YES, schedules=(), pause_wanted=True, insulation=Verdict.YES
    )
    session.run()
    assert ended_well(session)
    assert session.ev_seen(events.SessionPaused)
    assert not session.seen(events.PowerStarted)


def test_the_charger_states_the_needs_in_mobility_needs_mode_2() -> None:
    session = pair(ev={"needs_modes": (MobilityNeedsMode.BY_SECC,)})
    session.secc.command(
        orders.SetDriverNeeds(departure_s=1_800, minimum_soc_pct=40, target_soc_pct=70, confirm_within_s=30), 0.0
    )
    session.run(until=loops(3))
    station = session.ev.session.station
    assert station is not None
    assert (station.departure_s, station.minimum_soc_pct, station.target_soc_pct, station.confirm_within_s) == (
        1_800,
        40,
        70,
        30,
    )
    finish(session)


def test_the_charger_omits_mobility_needs_in_mode_1() -> None:
    session = pair(ev={"needs_modes": (MobilityNeedsMode.BY_EVCC,)})
    session.secc.command(orders.SetDriverNeeds(departure_s=1_800, minimum_soc_pct=40, target_soc_pct=70), 0.0)
    session.run(until=loops(3))
    station = session.ev.session.station
    assert station is not None
    assert station.departure_s is station.minimum_soc_pct is None
    finish(session)


def test_meter_readings_come_in_both_directions() -> None:
    session = pair(setpoint_w=-10_000)
    session.run(until=lambda p: p.now > 300, most_steps=60_000)
    meter = session.ev.session.meter
    assert meter is not None
    assert meter.discharged_wh > 600
    assert meter.charged_wh == 0
    finish(session)


def test_the_ev_offers_energy_and_the_charger_receives_it() -> None:
    session = pair(ev={**SCHEDULED, "sell": ((3_600, -5_000.0, 0.3),)})
    session.run(until=looping)
    assert session.seen(events.NeedsStated)[0].offer_to_sell == ((3_600, -5_000.0),)
    finish(session)


def test_the_channel_can_be_selected_anew_within_the_loop() -> None:
    session = pair()
    session.run(until=loops(3))
    session.ev.command(orders.SelectChannel(discharge=True), session.now)
    session.run(until=loops(8))
    started = session.seen(events.PowerStarted)
    assert [(event.discharge_channel, event.again) for event in started] == [(False, False), (True, True)]
    finish(session)


def test_a_power_tolerance_is_confirmed() -> None:
    session = pair(setpoint_w=None, ev=SCHEDULED)
    session.ideal = False
    day = 24 * 3600
    offer = ScheduleOffer(tuple_id=3, anchor_s=int(EPOCH), charge=(Block(day, 5_000.0),), tolerance_w=200.0)
    session.secc.evse = replace(
        session.secc.evse,
        authorization=Verdict.YES,
        schedules=(offer,),
        insulation=Verdict.YES,
    )
    session.voltage_v = 400.0
    session.run(until=loops(3))
    assert session.secc.session.tolerance_confirmed
    assert session.ev.session.profile is not None
    assert session.ev.session.profile.tuple_id == 3


def test_a_warm_battery_delays_grid_forming_of_the_car() -> None:
    session = pair(car=car_state(ready=False))
    session.run(until=lambda p: p.now > 5)
    assert session.ev.step is Step.POWER_START
    session.ev.command(replace(session.ev.car, ready=True), session.now)
    session.run(until=loops(2))
    finish(session)


@pytest.mark.parametrize("control", list(ControlMode))
def test_the_car_confirms_the_meter_beside_the_loop(control: ControlMode) -> None:
    def sign(header: MessageHeader, data: SignedMeteringData) -> MeteringConfirmationReq:
        return MeteringConfirmationReq(Header=header, SignedMeteringData=data)

    session = pair(
        setpoint_w=None,
        ev={"metering_signer": sign, "controls": (control,)},
        secc={"metering_verifier": lambda request: request.SignedMeteringData.Id == "meter"},
    )
    session.run(until=loops(3))
    session.secc.command(orders.Notify(EVSENotification.MeteringConfirmation, 10), session.now)
    session.run(until=loops(20))
    assert [event.code for event in session.seen(events.MeterConfirmed)] == [ResponseCode.OK]
    assert [event.code for event in session.ev_seen(events.MeterConfirmed)] == [ResponseCode.OK]
    assert session.secc.evse.notification is None
    finish(session)


def test_a_car_without_signature_skips_metering_confirmation() -> None:
    session = pair()
    session.run(until=loops(3))
    session.secc.command(orders.Notify(EVSENotification.MeteringConfirmation, 2), session.now)
    session.run(until=loops(60))
    assert session.seen(events.NotificationIgnored)
    finish(session)


@pytest.mark.parametrize("absolute", [True, False])
def test_prices_reach_the_car_in_dynamic_control(absolute: bool) -> None:
    levels = PriceLevels(levels=3, entries=((3_600, 2), (3_600, 0)))
    prices = Prices(currency="JPY", blocks=(PriceBlock(duration_s=3_600, per_kwh=31.0),))
    offer = replace(
        flat_offer(int(EPOCH), 5_000.0, 5_000.0),
        levels=None if absolute else levels,
        prices=prices if absolute else None,
    )
    session = pair()
    session.ideal = False
    session.secc.evse = replace(session.secc.evse, authorization=Verdict.YES, schedules=(offer,))
    session.run(until=lambda p: bool(p.ev_seen(events.SchedulesReceived)))
    received = session.ev_seen(events.SchedulesReceived)[0]
    assert (received.levels, received.prices) == ((None, prices) if absolute else (levels, None))


def test_a_response_without_a_request_right_after_the_handshake_ends_the_session_with_a_reason() -> None:
    sent: list[bytes] = []

    def record(data: bytes) -> bytes:
        sent.extend([data] if data else [])
        return data

    recorded = pair()
    recorded.to_ev = record
    recorded.run(until=lambda _: len(sent) == 2)  # responses to the handshake and to SessionSetupReq

    both = pair()
    both.to_ev = lambda data: data + sent[1] if data else data
    both.run(until=lambda one: one.ev.ended)
    [ended] = both.ev_seen(events.SessionEnded)
    assert not ended.ok
    assert ended.reason == "the charger sent SessionSetupRes instead of nothing"
