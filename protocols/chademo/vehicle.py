"""The vehicle engine: the EV's side of CHAdeMO sessions, for charging and discharging.

Frames, orders and time in; frames, lines and events out. It sends from the time it sees d1 until d1 opens. Steps are in
`vehicle_states.py`, supervision in `vehicle_rules.py`, frames in `vehicle_frames.py`, models in `profile.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from protocols.chademo import timers
from protocols.chademo.engine import Engine
from protocols.chademo.events import Event, ParametersAgreed, SessionEnded, StateEntered, Stopping
from protocols.chademo.frames import FROM_CHARGER, FROM_VEHICLE
from protocols.chademo.layout import Message
from protocols.chademo.profile import LEAF_40, VehicleProfile
from protocols.chademo.states import VEHICLE_FOLLOWS
from protocols.chademo.states import VehicleState as State
from protocols.chademo.stops import Cause, Stop
from protocols.chademo.vehicle_frames import key_of_cycle, of_cycle
from protocols.chademo.vehicle_rules import violated
from protocols.chademo.vehicle_session import (
    ResetVehicle,
    StopVehicle,
    VehicleInputs,
    VehicleOrder,
    VehicleOutputs,
    VehicleSession,
)
from protocols.chademo.vehicle_states import STEPS
from protocols.errors import LocalProtocolError

_AT_REST = frozenset({State.SLEEP, State.PLUGGED})
_OVER = frozenset({State.ENDED, State.FAULT})
_ENDING = frozenset({State.STOPPING, State.OPENING, *_OVER})
_STATUS_ID, _CAPABILITY_ID = 0x109, 0x208


class Vehicle(Engine):
    """Vehicle with one inlet. `session` is the state of the present or last session."""

    own_ids, peer_ids = FROM_VEHICLE, FROM_CHARGER

    def __init__(self, profile: VehicleProfile = LEAF_40) -> None:
        super().__init__()
        self.profile = profile
        self.session = VehicleSession(profile)

    # the engine contract

    def command(self, order: VehicleOrder, now: float) -> Sequence[Event]:
        """Execute an order of the host."""
        session = self.session
        if isinstance(order, VehicleInputs):
            session.inputs = order
            self._lines_changed(now)
            self._advance(now)
        elif isinstance(order, StopVehicle):
            if session.state not in _AT_REST and session.state not in _ENDING:
                self._stop(Stop(Cause.STOP_ORDERED, order.detail), now)
        else:
            self._reset(order, now)
        return self._taken()

    @property
    def state(self) -> State:
        """Present state."""
        return self.session.state

    @property
    def outputs(self) -> VehicleOutputs:
        """Lines and orders to the contactors now."""
        return VehicleOutputs(self.session.k, self.session.contactors)

    # start and end

    def _lines_changed(self, now: float) -> None:
        session = self.session
        inputs = session.inputs
        if session.state is State.SLEEP and inputs.plugged:
            self._enter(State.PLUGGED, now)
        if session.state is State.PLUGGED:
            if not inputs.plugged:
                self._enter(State.SLEEP, now)
            elif inputs.d1 and session.service_lock is None:
                self._start(now)
        elif session.state in _OVER:
            if not inputs.d1:
                self._next_cycle = None
            if not inputs.plugged:
                self._enter(State.SLEEP, now)
            elif not inputs.d1 and session.state is State.ENDED:
                self._enter(State.PLUGGED, now)

    def _start(self, now: float) -> None:
        before = self.session
        self.session = VehicleSession(self.profile, before.inputs, state=before.state, entered=now)
        self.session.started_at = now
        self.forget()
        self._enter(State.STARTED, now)
        self._next_cycle = now

    def _reset(self, order: ResetVehicle, now: float) -> None:
        session = self.session
        session.service_lock = None
        if session.state is State.FAULT:
            self._next_cycle = None
            self._enter(State.PLUGGED, now)

    def _stop(self, stop: Stop, now: float) -> None:
        session = self.session
        if not session.adopt(stop):
            return
        self._events.append(Stopping(stop))
        session.request_a = session.ceiling_a = 0.0
        session.k = False
        self._enter(State.STOPPING, now)

    # steps

    def _take(self, message: Message, now: float) -> None:
        session = self.session
        if session.state in _AT_REST:
            return
        session.charger.take(message)
        status = session.charger.status
        if status is not None:
            session.lock_seen = session.lock_seen or status.locked
            if session.power_seen_at is None and status.power and session.state is State.POWER:
                session.power_seen_at = session.idle_since = now
            stopped = status.stopped and session.power_seen_at is not None
            session.stop_seen_at = (session.stop_seen_at or now) if stopped else None
        self._advance(now)

    def _advance(self, now: float) -> None:
        """Apply supervision, then steps until the state stays."""
        session = self.session
        if session.state in _AT_REST or session.state in _OVER:
            return
        stop = violated(session, now, self._status_age(now))
        if stop is not None:
            self._stop(stop, now)
        while (step := STEPS.get(session.state)) is not None:
            outcome = step(session, now)
            if outcome is None:
                break
            if isinstance(outcome, Stop):
                self._stop(outcome, now)
            else:
                self._enter(outcome, now)
        if session.state is State.POWER:
            self._request(now, 0.0)

    def _status_age(self, now: float) -> float:
        return self.age(_STATUS_ID, now) if _STATUS_ID in self.seen else 0.0

    def _request(self, now: float, step: float) -> None:
        """Ramp the requests up by a step, A, and follow lower limits at once."""
        session = self.session
        profile, charger, battery = session.profile, session.charger, session.inputs.battery
        offered = charger.limits.available_a if charger.limits is not None else 0
        wanted = min(battery.max_charge_a, float(offered))
        if battery.soc_pct >= profile.max_level_pct and session.discharge_agreed:
            wanted = 0.0
        session.request_a = min(max(wanted, float(profile.always_requests_a)), session.request_a + step)
        permitted = 0.0
        if now - session.entered >= profile.discharge_after and session.discharge_agreed:
            capability = charger.discharge
            fresh = self.age(_CAPABILITY_ID, now) < timers.FRAME_LOSS
            if capability is not None and fresh and battery.soc_pct > profile.min_level_pct:
                permitted = min(battery.max_discharge_a, float(capability.available_a))
        session.ceiling_a = min(permitted, session.ceiling_a + step)

    def _enter(self, state: State, now: float) -> None:
        session = self.session
        previous = session.state
        if state not in VEHICLE_FOLLOWS[previous]:
            raise LocalProtocolError(f"no step from {previous} to {state}")
        session.state, session.entered = state, now
        self._events.append(StateEntered(state, previous))
        if state is State.PERMITTED and session.charger.status is not None:
            protocol = min(session.profile.protocol, session.charger.status.protocol)
            self._events.append(ParametersAgreed(protocol, session.discharge_agreed))
        if state in _OVER:
            self._events.append(SessionEnded(session.stop or Stop(Cause.STOP_ORDERED)))
            if not session.inputs.d1:
                self._next_cycle = None
                if state is State.ENDED:
                    self._enter(State.PLUGGED if session.inputs.plugged else State.SLEEP, now)

    # frames

    def _transmit(self, now: float) -> None:
        session = self.session
        if session.state in _AT_REST:
            self._next_cycle = None
            return
        if session.state is State.POWER:
            self._request(now, session.profile.ramp_a_per_s * timers.CYCLE)
        self._send_cycle(key_of_cycle(session, now), partial(of_cycle, session), now)
