"""The charger engine: the EVSE's side of CHAdeMO sessions on one connector, for charging and discharging.

Frames, orders and time in; frames, lines, orders to the power stage and events out. It sends nothing before it has
received the frames of the vehicle. Steps are in `charger_states.py`, supervision in `charger_rules.py`, the current in
`charger_power.py`.
"""

from __future__ import annotations

from collections.abc import Sequence

from protocols.chademo import timers
from protocols.chademo.charger_power import steer
from protocols.chademo.charger_rules import session_minutes, violated
from protocols.chademo.charger_session import (
    ChargerInputs,
    ChargerOrder,
    ChargerOutputs,
    ChargerSession,
    ChargerSettings,
    Reset,
    SetCapability,
    SetCurrent,
    StopSession,
)
from protocols.chademo.charger_states import STEPS
from protocols.chademo.engine import Engine
from protocols.chademo.events import (
    Direction,
    DirectionChanged,
    Event,
    ParametersAgreed,
    SessionEnded,
    StateEntered,
    Stopping,
)
from protocols.chademo.frames import (
    FROM_CHARGER,
    FROM_VEHICLE,
    NOT_USED,
    ChargerExtension,
    ChargerLimits,
    ChargerSequence,
    ChargerStatus,
    DischargeCapability,
)
from protocols.chademo.layout import Message
from protocols.chademo.states import CHARGER_FOLLOWS
from protocols.chademo.states import ChargerState as State
from protocols.chademo.stops import Cause, Stop
from protocols.errors import LocalProtocolError
from protocols.quantities import clamp

_AT_REST = frozenset({State.IDLE, State.FAULT})
_ENDING = frozenset({State.STOPPING, State.WELD_CHECK, State.RELEASE})
_KEEP_ALIVE_FOR = 0.2  # s
_FIRST_EXTENDED = 3  # protocol number with 0x118
_STATUS_ID = 0x102
_DISCHARGE_ID = 0x200


class Charger(Engine):
    """Charger with one connector. `session` is the state of the present or last session."""

    own_ids, peer_ids = FROM_CHARGER, FROM_VEHICLE

    def __init__(self, settings: ChargerSettings | None = None) -> None:
        super().__init__()
        self.settings = settings or ChargerSettings()
        self.session = self._new_session(ChargerInputs(), 0.0)

    def _new_session(self, inputs: ChargerInputs, requested_a: float) -> ChargerSession:
        settings = self.settings
        return ChargerSession(
            settings,
            inputs,
            requested_a=requested_a,
            max_charge_a=settings.max_charge_a,
            max_discharge_a=settings.max_discharge_a,
        )

    # the engine contract

    def command(self, order: ChargerOrder, now: float) -> Sequence[Event]:
        """Execute an order of the host. Raises LocalProtocolError if it does not fit the state."""
        session = self.session
        if isinstance(order, ChargerInputs):
            session.inputs = order
            if session.state is State.FAULT and not order.plugged:
                self._reset()
            elif session.state not in _AT_REST:
                self._advance(now)
        elif isinstance(order, SetCurrent):
            session.requested_a = order.current_a
            self._advance(now)
        elif isinstance(order, SetCapability):
            session.max_charge_a = min(order.max_charge_a, self.settings.max_charge_a)
            session.max_discharge_a = min(order.max_discharge_a, self.settings.max_discharge_a)
            self._advance(now)
        elif isinstance(order, StopSession):
            if session.state not in _AT_REST:
                self._stop(Stop(Cause.STOP_ORDERED, order.detail), now)
        elif isinstance(order, Reset):
            if session.state is State.FAULT:
                self._reset()
        else:
            self._start(now)
        return self._taken()

    @property
    def state(self) -> State:
        """Present state."""
        return self.session.state

    @property
    def outputs(self) -> ChargerOutputs:
        """Lines and orders to the power stage now."""
        session = self.session
        status = session.vehicle.status
        return ChargerOutputs(
            d1=session.d1,
            d2=session.d2,
            lock=session.lock,
            test_v=session.test_v,
            current_a=session.current_a,
            min_v=float(session.floor_v),
            max_v=float(min(session.threshold_v, status.target_voltage_v if status else 0)),
        )

    def skip(self, seconds: float) -> None:
        super().skip(seconds)
        self.session.advanced_at += seconds  # the ramp of the current does not run ahead

    # start and end

    def _start(self, now: float) -> None:
        session = self.session
        if session.state is not State.IDLE:
            raise LocalProtocolError(f"a session cannot start in state {session.state}")
        if not session.inputs.plugged:
            raise LocalProtocolError("a session cannot start without a plug")
        fresh = self._new_session(session.inputs, session.requested_a)
        fresh.max_charge_a, fresh.max_discharge_a = session.max_charge_a, session.max_discharge_a
        self.session = session = fresh
        self.forget()
        session.started_at = session.advanced_at = now
        session.d1 = True
        self._enter(State.WAKE, now)
        self._next_cycle = now + timers.CYCLE

    def _reset(self) -> None:
        before = self.session
        self.session = self._new_session(before.inputs, before.requested_a)
        self._next_cycle = None
        self._events.append(StateEntered(State.IDLE, before.state))

    def _stop(self, stop: Stop, now: float) -> None:
        session = self.session
        ending = session.state in _ENDING
        if not session.adopt(stop):
            return
        self._events.append(Stopping(stop))
        if not ending:
            session.stopped_cycle = session.cycles
            if session.power_cycle == session.cycles:
                session.power_bit = False  # power was never reported
            session.offered_a, session.test_v = 0, 0.0
            self._set_zero()
            self._enter(State.STOPPING, now)

    def _set_zero(self) -> None:
        session = self.session
        session.current_a = 0.0
        if session.direction is not Direction.NONE:
            session.direction = Direction.NONE
            self._events.append(DirectionChanged(Direction.NONE))

    # steps

    def _take(self, message: Message, now: float) -> None:
        session = self.session
        if session.state in _AT_REST:
            return
        session.vehicle.take(message)
        status = session.vehicle.status
        if status is not None and status.target_voltage_v:
            session.target_seen = True
        self._advance(now)

    def _advance(self, now: float) -> None:
        """Apply supervision, then steps until the state stays."""
        session = self.session
        if session.state in _AT_REST:
            return
        self._note_request()
        stop = violated(session, now, self.age(_STATUS_ID, now))
        if stop is not None:
            self._stop(stop, now)
        while (step := STEPS.get(session.state)) is not None:
            outcome = step(session, now)
            if outcome is None:
                break
            if isinstance(outcome, Stop):
                self._stop(outcome, now)
                if session.state in _ENDING:
                    break
            else:
                self._enter(outcome, now)
        if session.state is State.POWER:
            self._steer(now)
        session.advanced_at = now

    def _note_request(self) -> None:
        session = self.session
        if session.state is State.WAIT_REQUEST and not session.requested_current:
            discharge = session.vehicle.discharge
            permits = session.discharge_agreed and discharge is not None and discharge.max_discharge_a > 0
            session.requested_current = session.request_a > 0 or permits

    def _steer(self, now: float) -> None:
        session = self.session
        before = session.direction
        fresh = self.age(_DISCHARGE_ID, now) < session.settings.frame_loss
        steer(session, now, now - session.advanced_at, fresh)
        if session.direction is not before:
            self._events.append(DirectionChanged(session.direction))

    def _enter(self, state: State, now: float) -> None:
        session = self.session
        previous = session.state
        if state not in CHARGER_FOLLOWS[previous]:
            raise LocalProtocolError(f"no step from {previous} to {state}")
        session.state, session.entered = state, now
        self._events.append(StateEntered(state, previous))
        if state is State.NEGOTIATE:
            self._next_cycle = now  # first frames at once
        if state is State.CHECK:
            self._events.append(ParametersAgreed(session.protocol, session.discharge_agreed))
        if state is State.POWER:
            session.advanced_at, session.power_cycle = now, session.cycles
        if state in _AT_REST:
            self._next_cycle = None
            self._events.append(SessionEnded(session.stop or Stop(Cause.STOP_ORDERED)))

    # frames

    def _transmit(self, now: float) -> None:
        session = self.session
        if session.vehicle.status is None or session.state is State.WAKE or session.state in _AT_REST:
            return
        inputs = session.inputs
        key = (
            session.state,
            session.power_bit,
            session.lock_bit,
            len(session.fault_bits),
            session.offered_a,
            session.max_charge_a,
            session.max_discharge_a,
            round(inputs.voltage_v),
            round(inputs.current_a),
            self._keep_alive(now),
            self._remaining(now),
            session.cycles == 0,
            session.vehicle.limits,
            session.vehicle.discharge,
            session.stop is None,
        )
        self._send_cycle(key, self._cycle, now)
        session.cycles += 1

    def _cycle(self, now: float) -> list[Message]:
        """Return the frames of a cycle; 108 precedes 109."""
        settings = self.settings
        messages: list[Message] = [self._limits(), self._status(now)]
        if settings.protocol >= _FIRST_EXTENDED:
            extension = ChargerExtension(dynamic_control=settings.dynamic_control, high_current=settings.high_current)
            messages.append(extension)
        if settings.v2h:
            messages += [self._discharge(), self._sequence()]
        return messages

    def _limits(self) -> ChargerLimits:
        session = self.session
        settings = session.settings
        before_power = session.power_at is None and session.stop is None
        return ChargerLimits(
            welding_detection=int(settings.welding_detection),
            available_voltage_v=settings.max_voltage_v,
            available_a=min(0xFF, session.max_charge_a) if before_power else session.offered_a,
            threshold_v=session.threshold_v,
        )

    def _status(self, now: float) -> ChargerStatus:
        session = self.session
        settings, inputs = session.settings, session.inputs
        bits = session.fault_bits
        ten_seconds, minutes = self._remaining(now)
        return ChargerStatus(
            protocol=settings.protocol,
            voltage_v=_rounded(inputs.voltage_v, 0xFFFF),
            charge_a=max(_rounded(inputs.current_a, 0xFF), self._keep_alive(now)),
            discharge_compatible=settings.v2h,
            power=session.power_bit,
            malfunction="malfunction" in bits,
            locked=session.lock_bit,
            battery_incompatible="battery_incompatible" in bits,
            system_fault="system_fault" in bits,
            stopped=session.state is not State.POWER,
            remaining_10s=ten_seconds,
            remaining_min=minutes,
        )

    def _remaining(self, now: float) -> tuple[int, int]:
        """Return the remaining time; never 0 while power can flow, which would be a stop."""
        session = self.session
        if session.state is not State.POWER or session.power_at is None:
            return 0, 0
        limit = session_minutes(session)
        if limit is None:
            return NOT_USED, session.settings.shown_min
        left = 60 * limit - (now - session.power_at)
        if left >= 60:
            return NOT_USED, min(0xFE, int(left // 60))
        return max(1, int(left // 10)), 0

    def _keep_alive(self, now: float) -> int:
        """Return 1 A for a moment when no current has flowed for long: LEAFs end a session after six minutes."""
        session = self.session
        every = session.settings.keep_alive
        if session.state is not State.POWER or every is None:
            return 0
        if abs(session.inputs.current_a) >= timers.DIRECTION_A:
            session.current_seen_at = now
        elif now - session.current_seen_at >= every:
            session.current_seen_at = now
            session.keep_alive_until = now + _KEEP_ALIVE_FOR
        return 1 if now < session.keep_alive_until and session.inputs.current_a > -timers.DIRECTION_A else 0

    def _discharge(self) -> DischargeCapability:
        session = self.session
        first = session.cycles == 0  # real limits from the second frame on, as V2H chargers do
        return DischargeCapability(
            discharge_a=_rounded(-session.inputs.current_a, 0xFF),
            input_voltage_v=session.settings.input_voltage_v,
            available_a=0 if first else min(0xFF, session.max_discharge_a),
            threshold_v=0 if first else session.floor_v,
        )

    def _sequence(self) -> ChargerSequence:
        session = self.session
        minutes = session.settings.discharge_min if session.state is State.POWER else 0
        return ChargerSequence(sequence=session.settings.sequence, remaining_min=minutes)


def _rounded(value: float, most: int) -> int:
    return int(clamp(round(value), 0, most))
