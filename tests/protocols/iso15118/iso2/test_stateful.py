"""The pair law of ISO 15118-2 and DIN 70121: our car against our charger, with any parameters and orders, bytes split.

No exception but the documented ones, no state outside the tables, no power outside the limits of both sides, none in
the negative direction, none after the end; an order to stop ends every session.
"""

from __future__ import annotations

import contextlib
from dataclasses import replace
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from protocols.errors import LocalProtocolError
from protocols.iso15118.din.dialect import DIN
from protocols.iso15118.iso2.dialect import AC_MODES, DC_MODES, ISO2
from protocols.iso15118.iso2.states import NEXT_STEPS, Step
from protocols.iso15118.iso2.tolerances import INTEROP, STRICT
from protocols.iso15118.iso20 import events, orders
from protocols.iso15118.iso20.common import ChargingSession
from protocols.iso15118.iso20.limits import Limits
from protocols.iso15118.iso20.prices import PriceLevels
from protocols.iso15118.iso20.schedules import Block, ScheduleOffer
from protocols.iso15118.iso20.secc_session import Fault, Verdict
from protocols.iso15118.iso20.types import EVSENotification
from protocols.iso15118.session.control_pilot import Pilot
from protocols.v2gtp import frame
from tests.protocols.iso15118.engine_pair import DC_LIMITS, EPOCH
from tests.protocols.iso15118.iso2.iso2_pair import OldPair, after_loops, in_loop, old_pair
from tests.protocols.iso15118.iso2.raw_car import PATH, RawCar
from tests.rounds import rounds

POWERS = st.floats(min_value=-120_000, max_value=120_000)
MAGNITUDES = st.floats(min_value=0, max_value=50_000)
TYPES = [0x8001, 0x8002, 0x9999]
KINDS = [(DIN, ""), (ISO2, ""), *((ISO2, mode) for mode in AC_MODES)]
OFFERS = st.lists(  # longer than the way to PowerDelivery: a schedule that is over permits no power
    st.builds(
        lambda blocks, levels: ScheduleOffer(
            tuple_id=1,
            anchor_s=int(EPOCH),
            charge=tuple(blocks),
            levels=PriceLevels(levels=4, entries=tuple((one.duration_s, level) for one, level in zip(blocks, levels))),  # noqa: B905
        ),
        st.lists(st.builds(Block, st.integers(60, 90_000), MAGNITUDES), min_size=1, max_size=5),
        st.lists(st.integers(0, 3), min_size=5, max_size=5),
    ),
    max_size=3,
).map(lambda found: tuple(replace(one, tuple_id=index + 1) for index, one in enumerate(found)))


class AnyCharger(OldPair):
    """A charger with any schedules; it charges nothing into a car that has no need."""

    offers: tuple[ScheduleOffer, ...] = ()

    def _be_a_charger(self, event: events.Event) -> None:
        if isinstance(event, events.NeedsStated):
            self.secc.command(orders.OfferSchedules(self.offers), self.now)
        else:
            super()._be_a_charger(event)


def any_pair(kind: int, **arguments: Any) -> AnyCharger:
    dialect, ac = KINDS[kind]
    made = old_pair(dialect, ac=ac, **arguments)
    return AnyCharger(made.ev, made.secc, soc_pct=made.soc_pct)


def lowest(pair: OldPair) -> float:
    """Return the lowest power of all charge loops, as the charger decided it."""
    return min((one.target.power_w for one in pair.seen(events.ChargeLoopRequested)), default=0.0)


@given(
    kind=st.integers(0, len(KINDS) - 1),
    setpoint_w=st.none() | POWERS,
    soc_pct=st.floats(0, 100),
    chunk=st.integers(0, 9),
    strict=st.booleans(),
    mode=st.sampled_from(DC_MODES[:3]),
    offers=OFFERS,
    car_w=MAGNITUDES,
    volts=st.floats(150, 420),
    pause=st.booleans(),
)
@settings(max_examples=rounds(15, 40), deadline=None)
def test_the_pair_law(
    kind: int,
    setpoint_w: float | None,
    soc_pct: float,
    chunk: int,
    strict: bool,
    mode: str,
    offers: tuple[ScheduleOffer, ...],
    car_w: float,
    volts: float,
    pause: bool,
) -> None:
    """A session reaches the loop, never discharges and ends in order, whatever car, charger, schedules and segments."""
    dialect, ac = KINDS[kind]
    pair = any_pair(
        kind,
        setpoint_w=setpoint_w,
        soc_pct=soc_pct,
        secc={
            "tolerances": STRICT if strict else INTEROP,
            "dc_modes": DC_MODES[:1] if dialect.is_din else DC_MODES[:3],
        },
        ev={} if ac or dialect.is_din else {"modes": (mode,)},
    )
    pair.offers = offers
    limits = replace(pair.ev.car.limits, max_charge_w=max(car_w, 100.0), min_charge_w=0.0)
    pair.ev.command(replace(pair.ev.car, limits=limits, voltage_v=volts), 0.0)
    pair.run(lambda pair: pair.ev.session.loops >= 4 and in_loop(pair), chunk=chunk)
    assert in_loop(pair), pair.ev_seen(events.SessionEnded)
    kind_of_end = ChargingSession.Pause if pause and not dialect.is_din else ChargingSession.Terminate
    pair.ev.command(orders.Stop(kind_of_end), pair.now)
    pair.run(chunk=chunk)
    assert [one.ok for one in pair.seen(events.SessionEnded)] == [True]
    assert [one.ok for one in pair.ev_seen(events.SessionEnded)] == [True]
    assert bool(pair.seen(events.SessionPaused)) is (kind_of_end is ChargingSession.Pause)
    assert lowest(pair) >= 0.0
    assert pair.discharged_wh == 0.0
    assert pair.current_a == pair.target_w == 0.0
    refused = [one.power_w for one in pair.seen(events.SetpointRefused)]
    assert refused == ([setpoint_w] if setpoint_w is not None and setpoint_w < 0 else [])
    highest = max((one.target.power_w for one in pair.seen(events.ChargeLoopRequested)), default=0.0)
    assert highest <= max(car_w, 100.0) + 1.0
    if offers:
        assert highest <= max(block.power_w for one in offers for block in one.charge) + 1.0


class Sessions(RuleBasedStateMachine):
    """A pair of engines, driven by hypothesis."""

    session: AnyCharger

    @initialize(
        kind=st.integers(0, len(KINDS) - 1),
        setpoint_w=st.none() | POWERS,
        soc=st.floats(0, 100),
        strict=st.booleans(),
        depth=st.integers(0, 4),
        pilot=st.booleans(),
    )
    def plug_in(self, kind: int, setpoint_w: float | None, soc: float, strict: bool, depth: int, pilot: bool) -> None:
        self.session = any_pair(
            kind, setpoint_w=setpoint_w, soc_pct=soc, secc={"tolerances": STRICT if strict else INTEROP}
        )
        self.dialect = KINDS[kind][0]
        if pilot:
            self.session.secc.command(orders.ControlPilot(Pilot.C), 0.0)
        self.seen = 0
        if depth:
            self.session.run(after_loops(1))

    @rule(steps=st.integers(1, 60), chunk=st.integers(0, 9))
    def go_on(self, steps: int, chunk: int) -> None:
        until = self.session.steps + steps
        self.session.run(lambda pair: pair.steps >= until, chunk=chunk)

    @rule(seconds=st.floats(0, 70))
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

    @rule(charge=MAGNITUDES, discharge=MAGNITUDES)
    def limit_the_car(self, charge: float, discharge: float) -> None:
        car = self.session.ev.car
        limits = replace(car.limits, max_charge_w=charge, max_discharge_w=discharge, min_charge_w=0.0)
        self.session.ev.command(replace(car, limits=limits), self.session.now)

    @rule(offers=OFFERS)
    def schedule(self, offers: tuple[ScheduleOffer, ...]) -> None:
        self.session.offers = offers

    @rule(notification=st.none() | st.sampled_from(list(EVSENotification)), within=st.integers(0, 20))
    def notify(self, notification: EVSENotification | None, within: int) -> None:
        with contextlib.suppress(LocalProtocolError):  # the documented one: not of this generation
            self.session.secc.command(orders.Notify(notification, within), self.session.now)

    @rule(fault=st.sampled_from(list(Fault)), broken=st.booleans())
    def break_down(self, fault: Fault, broken: bool) -> None:
        self.session.secc.command(orders.ReportFault(fault, broken), self.session.now)

    @rule(verdict=st.sampled_from(list(Verdict)))
    def decide(self, verdict: Verdict) -> None:
        self.session.secc.command(orders.Authorize(verdict), self.session.now)
        self.session.secc.command(orders.CableChecked(verdict), self.session.now)

    @rule(state=st.sampled_from([Pilot.A, Pilot.B, Pilot.C, Pilot.C, Pilot.D, Pilot.F]), rarely=st.integers(0, 2))
    def pilot(self, state: Pilot, rarely: int) -> None:
        if not rarely:
            self.session.secc.command(orders.ControlPilot(state), self.session.now)

    @rule(closed=st.booleans())
    def contactor(self, closed: bool) -> None:
        self.session.secc.command(orders.ContactorMoved(closed), self.session.now)

    @rule(order=st.sampled_from([orders.Renegotiate(), orders.EnterStandby()]))
    def drive(self, order: orders.EvccOrder) -> None:
        with contextlib.suppress(LocalProtocolError):
            self.session.ev.command(order, self.session.now)

    @rule(kind=st.sampled_from(list(ChargingSession)))
    def stop(self, kind: ChargingSession) -> None:
        with contextlib.suppress(LocalProtocolError):
            self.session.ev.command(orders.Stop(kind), self.session.now)

    @precondition(lambda self: not self.session.secc.ended)
    @rule(step=st.sampled_from(PATH), own=st.booleans(), rarely=st.integers(0, 2))
    def speak_out_of_turn(self, step: Step, own: bool, rarely: int) -> None:
        if rarely:
            return
        session = self.session
        request = RawCar(self.dialect).request(step)
        session_id = session.secc.session.session_id if own else b"\x07" * 8
        session._hear([], session.secc.receive(self.dialect.encode(session_id, request), session.now))

    @rule(payload=st.binary(max_size=40), payload_type=st.sampled_from(TYPES), rarely=st.integers(0, 4))
    def send_rubbish(self, payload: bytes, payload_type: int, rarely: int) -> None:
        if not rarely:
            session = self.session
            session._hear([], session.secc.receive(frame(payload_type, payload), session.now))

    @rule(data=st.binary(max_size=30), rarely=st.integers(0, 4))
    def receive_rubbish(self, data: bytes, rarely: int) -> None:
        if not rarely:
            session = self.session
            session._hear(session.ev.receive(data, session.now), [])

    @invariant()
    def power_is_never_negative_nor_outside_the_limits(self) -> None:
        if not hasattr(self, "session"):
            return
        for event in self.session.secc_events[self.seen :]:
            if isinstance(event, events.ChargeLoopRequested):
                assert event.target.power_w >= 0.0
                assert event.allowed.low_w == 0.0
                assert event.target.power_w <= min(DC_LIMITS.max_charge_w, event.car.limits.max_charge_w) + 1.0
        self.seen = len(self.session.secc_events)
        assert self.session.discharged_wh == 0.0

    @invariant()
    def states_are_in_the_tables(self) -> None:
        if hasattr(self, "session"):
            session = self.session.secc.session
            assert self.session.secc.state in self.dialect.tables[session.choice is None or session.choice.is_dc]
            assert self.session.ev.step in NEXT_STEPS

    @invariant()
    def an_end_is_an_end(self) -> None:
        if not hasattr(self, "session"):
            return
        sides: list[tuple[list[events.Event], Any]] = [
            (self.session.secc_events, self.session.secc),
            (self.session.ev_events, self.session.ev),
        ]
        for all_events, engine in sides:
            ends = sum(isinstance(event, events.SessionEnded) for event in all_events + engine._events)
            assert ends <= 1
            if engine.ended:
                assert ends == 1
                assert engine.deadline() is None

    def teardown(self) -> None:
        """Every session can be ended, and without power."""
        if not hasattr(self, "session"):
            return
        session = self.session
        if not session.ev.ended:
            session.ev.command(orders.Stop(), session.now)
        session.run()
        session._hear(session.ev.expire(session.now), session.secc.expire(session.now))
        assert session.current_a == session.target_w == 0.0


TestSessions = Sessions.TestCase
TestSessions.settings = settings(
    max_examples=rounds(15, 40),
    stateful_step_count=30,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
