"""Whole sessions of ISO 15118-2 and DIN 70121 between both engines, in virtual time."""

from __future__ import annotations

import pytest

from protocols.iso15118.iso2.dialect import ISO2, Dialect
from protocols.iso15118.iso2.states import State
from protocols.iso15118.iso20 import events, orders
from protocols.iso15118.iso20.common import ChargingSession
from protocols.iso15118.iso20.types import EVSENotification
from tests.protocols.iso15118.iso2.iso2_pair import DIALECTS, OldPair, after_loops, in_loop, in_state, old_pair, stop

GENERATIONS = pytest.mark.parametrize("dialect", DIALECTS.values(), ids=list(DIALECTS))
MODES = pytest.mark.parametrize("ac", ["", "AC_single_phase_core", "AC_three_phase_core"])


def ended_well(pair: OldPair) -> bool:
    return [e.ok for e in pair.seen(events.SessionEnded)] == [True] == [e.ok for e in pair.ev_seen(events.SessionEnded)]


@GENERATIONS
def test_a_dc_session_charges_and_ends(dialect: Dialect) -> None:
    pair = old_pair(dialect)
    pair.run(after_loops(20))
    assert pair.current_a == pytest.approx(50.0)  # the charger's limit, below the car's
    stop(pair)
    assert ended_well(pair)
    assert pair.charged_wh > 0 == pair.discharged_wh
    assert pair.secc.session.evccid == "020000000001"
    assert len(pair.seen(events.WeldingChecked)) == 1


@MODES
def test_an_ac_session_charges_and_ends(ac: str) -> None:
    pair = old_pair(ISO2, ac=ac)
    pair.run(after_loops(5))
    looped = pair.ev_seen(events.ChargeLoopAnswered)[-1]
    if ac:
        assert looped.station.target_power_w == pytest.approx(11_000, rel=0.01)
    stop(pair)
    assert ended_well(pair)


@GENERATIONS
@pytest.mark.parametrize("chunk", [1, 7])
def test_segmentation_does_not_matter(dialect: Dialect, chunk: int) -> None:
    pair = old_pair(dialect)
    pair.run(after_loops(3), chunk=chunk)
    assert in_loop(pair)


@GENERATIONS
def test_the_set_point_limits_the_current_at_once(dialect: Dialect) -> None:
    pair = old_pair(dialect, setpoint_w=8_000.0)
    pair.run(after_loops(3))
    assert pair.target_w == pytest.approx(8_000, rel=0.01)
    pair.secc.command(orders.SetPower(4_000.0), pair.now)
    pair.run(after_loops(6))
    assert pair.target_w == pytest.approx(4_000, rel=0.01)
    assert pair.ev_seen(events.ChargeLoopAnswered)[-1].station.limits.max_charge_w == 4_000


@GENERATIONS
def test_a_discharge_order_is_refused_with_the_reason(dialect: Dialect) -> None:
    pair = old_pair(dialect, setpoint_w=5_000.0)
    pair.run(after_loops(3))
    pair.secc.command(orders.SetPower(-5_000.0), pair.now)
    pair.run(after_loops(10))
    refused = pair.seen(events.SetpointRefused)
    assert [(one.power_w, one.reason) for one in refused] == [(-5_000.0, f"{dialect.name} has no discharge")]
    assert pair.target_w == 0.0
    assert pair.discharged_wh == 0.0


@GENERATIONS
def test_a_discharge_set_point_before_the_session_is_refused_too(dialect: Dialect) -> None:
    pair = old_pair(dialect, setpoint_w=-5_000.0)
    pair.run(after_loops(3))
    assert len(pair.seen(events.SetpointRefused)) == 1
    assert pair.target_w == 0.0


@GENERATIONS
@pytest.mark.parametrize("notification", [EVSENotification.Terminate, EVSENotification.Pause])
def test_the_car_follows_the_end_by_the_charger(dialect: Dialect, notification: EVSENotification) -> None:
    pair = old_pair(dialect)
    pair.run(after_loops(3))
    pair.secc.command(orders.Notify(notification, 10), pair.now)
    pair.run()
    assert ended_well(pair)
    assert pair.ev_seen(events.Notified)


@GENERATIONS
def test_a_car_that_ignores_the_end_is_ended(dialect: Dialect) -> None:
    pair = old_pair(dialect, ev={"ignores": frozenset(EVSENotification)})
    pair.run(after_loops(3))
    pair.secc.command(orders.Notify(EVSENotification.Terminate, 5), pair.now)
    began = pair.now
    pair.run()
    assert 5 < pair.now - began < 7
    assert pair.seen(events.SessionEnded)[0].code == dialect.code("FAILED")
    assert pair.current_a == 0.0


@GENERATIONS
def test_an_emergency_is_failed_with_its_status(dialect: Dialect) -> None:
    pair = old_pair(dialect, secc={"trace": True})
    pair.run(after_loops(3))
    pair.secc.command(orders.Abort("emergency stop"), pair.now)
    pair.run()
    last = pair.seen(events.MessageSent)[-1].message
    assert (last.ResponseCode, last.DC_EVSEStatus.EVSEStatusCode) == ("FAILED", "EVSE_EmergencyShutdown")


@pytest.mark.parametrize("ac", ["", "AC_three_phase_core"])
@pytest.mark.parametrize("by_car", [True, False])
def test_renegotiation_returns_to_the_loop(ac: str, by_car: bool) -> None:
    pair = old_pair(ISO2, ac=ac)
    pair.run(after_loops(3))
    if by_car:
        pair.ev.command(orders.Renegotiate(), pair.now)
    else:
        pair.secc.command(orders.Notify(EVSENotification.ScheduleRenegotiation, 10), pair.now)
    pair.run(lambda pair: bool(pair.seen(events.Renegotiated)) and in_loop(pair))
    assert len(pair.seen(events.CableCheckRequested)) == (0 if ac else 2)
    stop(pair)
    assert ended_well(pair)


def test_a_session_is_paused_and_resumed() -> None:
    first = old_pair(ISO2)
    first.run(after_loops(3))
    stop(first, kind=ChargingSession.Pause)
    assert ended_well(first)
    kept, own = first.seen(events.SessionPaused)[0].kept, first.ev_seen(events.SessionPaused)[0].kept
    again = old_pair(ISO2, ev={"resume": own}, secc_arguments={"paused": {kept.session_id: kept}})
    again.run(after_loops(3))
    assert again.seen(events.SessionOpened)[0].resumed
    assert again.secc.session.session_id == first.secc.session.session_id
    stop(again)
    assert ended_well(again)


@GENERATIONS
@pytest.mark.parametrize(
    "state",
    [one for one in State if one not in (State.APP_PROTOCOL, State.SESSION_SETUP, State.NO_ENERGY, State.ENDED)],
)
def test_an_order_to_stop_ends_the_session_in_order_from_every_state(dialect: Dialect, state: State) -> None:
    pair = old_pair(dialect)
    pair.run(in_state(state) if state is not State.STOPPED else in_loop)
    stop(pair)
    assert ended_well(pair)
    assert pair.current_a == 0.0
