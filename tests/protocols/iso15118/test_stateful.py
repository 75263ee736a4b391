"""Random legal and illegal orders of events on both engines, with invariants.

No exception but the documented ones, no state outside the tables, never a target outside both sides' limits, and no
power once a session has ended.
"""

from __future__ import annotations

import contextlib
from dataclasses import replace
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from protocols.errors import LocalProtocolError
from protocols.iso15118 import app_protocol
from protocols.iso15118.iso20 import common, dc, events, messages, orders
from protocols.iso15118.iso20.common import ChargeProgress, ChargingSession
from protocols.iso15118.iso20.error_responses import has_error_response
from protocols.iso15118.iso20.limits import Limits, allowed
from protocols.iso15118.iso20.rational import rational
from protocols.iso15118.iso20.secc import _ANSWERS
from protocols.iso15118.iso20.secc_session import Fault, Verdict
from protocols.iso15118.iso20.services import ControlMode, ServiceId
from protocols.iso15118.iso20.states import AC, DC, NEXT_STEPS, State, Step
from protocols.iso15118.iso20.types import EVSENotification, Processing
from protocols.v2gtp import PayloadType, frame
from tests.protocols.iso15118.engine_pair import EV_AC, EV_DC, Pair, car_state, looping, pair
from tests.rounds import rounds

POWERS = st.floats(min_value=-120_000, max_value=120_000)
TYPES = [0x8001, 0x8002, 0x8003, 0x8004, 0x8101, 0x9999]
MAGNITUDES = st.floats(min_value=0, max_value=50_000)


def _requests(session_id: bytes) -> list[Any]:
    """Return one of each request that an EVCC may send out of sequence."""
    header = messages.header(session_id, 1_770_000_000)
    return [
        common.SessionSetupReq(Header=header, EVCCID="x"),
        common.AuthorizationSetupReq(Header=header),
        common.ServiceDiscoveryReq(Header=header),
        common.ServiceDetailReq(Header=header, ServiceID=6),
        common.ServiceSelectionReq(
            Header=header,
            SelectedEnergyTransferService=common.SelectedService(ServiceID=6, ParameterSetID=1),
        ),
        common.ScheduleExchangeReq(
            Header=header,
            MaximumSupportingPoints=12,
            Scheduled_SEReqControlMode=common.Scheduled_SEReqControlMode(),
        ),
        dc.DC_CableCheckReq(Header=header),
        dc.DC_PreChargeReq(
            Header=header,
            EVProcessing=Processing.Finished,
            EVPresentVoltage=rational(400),
            EVTargetVoltage=rational(400),
        ),
        *(
            common.PowerDeliveryReq(Header=header, EVProcessing=Processing.Finished, ChargeProgress=progress)
            for progress in ChargeProgress
        ),
        dc.DC_WeldingDetectionReq(Header=header, EVProcessing=Processing.Finished),
        *(common.SessionStopReq(Header=header, ChargingSession=kind) for kind in ChargingSession),
    ]


class Sessions(RuleBasedStateMachine):
    """A pair of engines, driven by hypothesis."""

    session: Pair

    @initialize(
        service=st.sampled_from(list(ServiceId)),
        control=st.sampled_from(list(ControlMode)),
        setpoint_w=st.none() | POWERS,
        soc=st.floats(min_value=0, max_value=100),
        standby=st.booleans(),
        depth=st.integers(0, 4),
    )
    def plug_in(
        self, service: ServiceId, control: ControlMode, setpoint_w: float | None, soc: float, standby: bool, depth: int
    ) -> None:
        is_dc = service in (ServiceId.DC, ServiceId.DC_BPT)
        car = car_state(soc, limits=EV_DC if is_dc else EV_AC)
        self.session = pair(
            car=car,
            setpoint_w=setpoint_w,
            ev={"services": (service,), "controls": (control,)},
            secc={"standby": standby, "violations_before_failure": 3},
        )
        self.seen = 0
        if depth:
            self.session.run(until=looping)

    @rule(steps=st.integers(1, 60), chunk=st.integers(0, 9))
    def go_on(self, steps: int, chunk: int) -> None:
        until = self.session.steps + steps
        self.session.run(until=lambda p: p.steps >= until, chunk=chunk)

    @rule(seconds=st.floats(min_value=0, max_value=70))
    def wait(self, seconds: float) -> None:
        session = self.session
        session.now += seconds
        session._hear(session.ev.expire(session.now), session.secc.expire(session.now))

    @rule(setpoint_w=st.none() | POWERS)
    def set_power(self, setpoint_w: float | None) -> None:
        self.session.secc.command(orders.SetPower(setpoint_w), self.session.now)

    @rule(charge=MAGNITUDES, discharge=MAGNITUDES)
    def limit_the_charger(self, charge: float, discharge: float) -> None:
        live = Limits(max_charge_w=charge, max_discharge_w=discharge)
        self.session.secc.command(orders.LimitOutput(dc=live, ac=live), self.session.now)

    @rule(charge=MAGNITUDES, discharge=MAGNITUDES, sign=st.sampled_from([1, -1]))
    def limit_the_car(self, charge: float, discharge: float, sign: int) -> None:
        car = self.session.ev.car
        limits = replace(
            car.limits, max_charge_w=charge, max_discharge_w=sign * discharge, min_charge_w=0.0, min_discharge_w=0.0
        )
        self.session.ev.command(replace(car, limits=limits), self.session.now)

    @rule(notification=st.none() | st.sampled_from(list(EVSENotification)), within=st.integers(0, 20))
    def notify(self, notification: EVSENotification | None, within: int) -> None:
        self.session.secc.command(orders.Notify(notification, within), self.session.now)

    @rule(fault=st.sampled_from(list(Fault)), broken=st.booleans())
    def break_down(self, fault: Fault, broken: bool) -> None:
        self.session.secc.command(orders.ReportFault(fault, broken), self.session.now)

    @rule(verdict=st.sampled_from(list(Verdict)))
    def decide(self, verdict: Verdict) -> None:
        self.session.secc.command(orders.Authorize(verdict), self.session.now)
        self.session.secc.command(orders.CableChecked(verdict), self.session.now)

    @rule(
        order=st.sampled_from(
            [
                orders.EnterStandby(),
                orders.LeaveStandby(),
                orders.Renegotiate(),
                orders.Renegotiate(multiplexed=False),
                orders.SelectChannel(True),
            ]
        )
    )
    def drive(self, order: orders.EvccOrder) -> None:
        with contextlib.suppress(LocalProtocolError):  # the documented one: the order doesn't fit the state
            self.session.ev.command(order, self.session.now)

    @rule(kind=st.sampled_from(list(ChargingSession)))
    def stop(self, kind: ChargingSession) -> None:
        self.session.ev.command(orders.Stop(kind), self.session.now)

    @precondition(lambda self: not self.session.secc.ended)
    @rule(which=st.integers(0, 30), own=st.booleans(), beside=st.booleans(), rarely=st.integers(0, 2))
    def speak_out_of_turn(self, which: int, own: bool, beside: bool, rarely: int) -> None:
        if rarely:
            return
        session = self.session
        requests = _requests(session.secc.session.session_id if own else b"\x07" * 8)
        request = requests[which % len(requests)]
        stream = PayloadType.ISO20_SCHEDULE_STREAM if beside and "Schedule" in type(request).__name__ else None
        session._hear([], session.secc.receive(messages.encode(request, stream), session.now))

    @rule(payload=st.binary(max_size=40), payload_type=st.sampled_from(TYPES), rarely=st.integers(0, 4))
    def send_rubbish(self, payload: bytes, payload_type: int, rarely: int) -> None:
        if rarely:
            return
        session = self.session
        session._hear([], session.secc.receive(frame(payload_type, payload), session.now))

    @rule(data=st.binary(max_size=30), rarely=st.integers(0, 4))
    def receive_rubbish(self, data: bytes, rarely: int) -> None:
        if rarely:
            return
        session = self.session
        session._hear(session.ev.receive(data, session.now), [])

    @invariant()
    def targets_stay_inside_both_sides_limits(self) -> None:
        if not hasattr(self, "session"):
            return
        all_events = self.session.secc_events
        for event in all_events[self.seen :]:
            if not isinstance(event, events.ChargeLoopRequested):
                continue
            choice = self.session.secc.session.choice
            assert event.allowed.holds(event.target.power_w)
            voltage = event.car.present_voltage_v if choice is not None and choice.is_dc else None
            settings_ = self.session.secc.settings
            evse = settings_.dc if voltage is not None else settings_.ac
            assert allowed(event.car.limits, evse, voltage).holds(event.target.power_w, 1.0)
        self.seen = len(all_events)

    @invariant()
    def states_are_in_the_tables(self) -> None:
        if not hasattr(self, "session"):
            return
        table = AC if self.session.secc.session.namespace == app_protocol.NAMESPACE_AC else DC
        assert self.session.secc.state in table
        assert self.session.ev.step in NEXT_STEPS

    @invariant()
    def an_end_is_an_end(self) -> None:
        if not hasattr(self, "session"):
            return
        for all_events, ended in (
            (self.session.secc_events, self.session.secc.ended),
            (self.session.ev_events, self.session.ev.ended),
        ):
            count = sum(isinstance(event, events.SessionEnded) for event in all_events)
            assert count <= 1
            if ended:
                assert count == 1
        if self.session.secc.ended:
            assert self.session.secc.deadline() is None
            assert self.session.current_a == 0
        if self.session.ev.ended:
            assert self.session.ev.deadline() is None


TestSessions = Sessions.TestCase
TestSessions.settings = settings(
    max_examples=rounds(25, 80), stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
)


def test_every_accepted_request_has_an_answer_or_is_refused() -> None:
    accepted = {name for table in (DC, AC) for requests in table.values() for name in requests}
    for name in accepted - {"supportedAppProtocolReq"}:
        assert has_error_response(name)
        assert name in _ANSWERS


def test_the_tables_agree_with_each_other() -> None:
    """Every state that a request may lead to is a state of the same table, and ENDED is always possible."""
    for table in (DC, AC):
        for requests in table.values():
            for reached in requests.values():
                assert State.ENDED in reached
                assert all(state in table for state in reached)
    for steps in NEXT_STEPS.values():
        assert all(step in NEXT_STEPS for step in steps)
    assert NEXT_STEPS[Step.ENDED] == frozenset()
