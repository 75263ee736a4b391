"""Observer of a bus: states, limits, faults and findings of sessions, from the frames of both sides alone.

Lines are not on the bus: d2 and the lock are inferred from status bits and voltages, and what cannot be seen is left
out. Reading is tolerant: unknown identifiers, single missing frames and vehicles with slow cycles are no errors. The
rules of the findings are in `observer_rules.py`.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from enum import StrEnum

from protocols.can import CanFrame
from protocols.chademo import timers
from protocols.chademo.charger_session import VehicleReport
from protocols.chademo.frames import FROM_CHARGER, FROM_VEHICLE
from protocols.chademo.layout import FrameError, Message, decode
from protocols.chademo.observer_rules import (
    Sample,
    findings_at_lock,
    findings_of_status,
    limits_of,
    measured_beyond,
    stop_of,
)
from protocols.chademo.states import ChargerState as State
from protocols.chademo.stops import Cause, Stop
from protocols.chademo.vehicle_session import FIRST_REPORTING, ChargerReport
from protocols.frozen import frozen

SESSION_GAP_S = 2.0  # without frames between two sessions
LATE_S = 0.15  # a frame is missing
ENDS_WITHIN_S = 1.0  # before the end of the recording: the session may go on
MOST_FINDINGS = 200
_SESSION_IDS = frozenset({0x100, 0x101, 0x102})
_AFTER_POWER = frozenset({State.STOPPING, State.WELD_CHECK, State.RELEASE})
_LOCKED = frozenset({State.LOCK, State.INSULATION})
_BEFORE_POWER = frozenset({State.NEGOTIATE, State.LOCK, State.INSULATION, State.READY, State.WAIT_REQUEST})


class Kind(StrEnum):
    """Kinds of observations."""

    STATE = "state"
    LIMIT = "limit"
    FAULT = "fault"
    FINDING = "finding"


@frozen
class Observation:
    """Observation at a time, in seconds of the recording."""

    at: float
    kind: Kind
    text: str


@dataclass(slots=True)
class SessionRecord:
    """One observed session."""

    started_at: float
    state: State = State.WAKE
    last_at: float = 0.0
    vehicle: VehicleReport = field(default_factory=VehicleReport)
    charger: ChargerReport = field(default_factory=ChargerReport)
    states: list[tuple[float, State]] = field(default_factory=list)
    observations: list[Observation] = field(default_factory=list)
    samples: list[Sample] = field(default_factory=list)
    limits: dict[str, str] = field(default_factory=dict)
    seen: dict[int, float] = field(default_factory=dict)
    gaps: Counter[int] = field(default_factory=Counter)
    longest_gap: dict[int, float] = field(default_factory=dict)
    frames: Counter[int] = field(default_factory=Counter)
    energy_in_wh: float = 0.0
    energy_out_wh: float = 0.0
    fault: Stop | None = None  # first reported fault
    first_stop: str = ""  # side that ended a session with power: "charger" or "vehicle"
    tested: bool = False
    lock_seen: bool = False
    powered: bool = False
    ended: bool = False  # the plug was released, or the frames ended before the recording did
    stop: Stop | None = None  # set when the session has ended

    @property
    def protocol(self) -> int | None:
        """Agreed protocol number; None while one side has not stated it."""
        vehicle, charger = self.vehicle.status, self.charger.status
        return None if vehicle is None or charger is None else min(vehicle.protocol, charger.protocol)

    @property
    def outcome(self) -> str:
        """Result for people."""
        if self.stop is not None:
            return self.stop.text
        return f"the recording ends in state {self.state}"

    def observe(self, at: float, kind: Kind, text: str) -> None:
        """Record an observation; findings are bounded."""
        if kind is not Kind.FINDING or len(self.observations) < MOST_FINDINGS:
            self.observations.append(Observation(at, kind, text))


class Observer:
    """Observes frames in the order of their times."""

    def __init__(self) -> None:
        self.sessions: list[SessionRecord] = []
        self.ignored: Counter[int] = Counter()  # identifiers of other protocols, and damaged frames
        self.damaged: list[str] = []
        self._now = 0.0

    def receive(self, frame: CanFrame, at: float) -> None:
        """Process a frame."""
        self._now = at
        try:
            message = decode(frame)
        except FrameError as error:
            self.ignored[frame.can_id] += 1
            if len(self.damaged) < MOST_FINDINGS:
                self.damaged.append(f"{at:.3f} s: {error}")
            return
        if message is None:
            self.ignored[frame.can_id] += 1
            return
        session = self._session(frame.can_id, at)
        if session is None:
            self.ignored[frame.can_id] += 1
            return
        self._count(session, frame.can_id, at)
        before = (session.vehicle.status, session.charger.status)
        if frame.can_id in FROM_VEHICLE:
            session.vehicle.take(message)
        else:
            session.charger.take(message)
        self._follow(session, message, before, at)

    def finish(self) -> list[SessionRecord]:
        """End the recording, and return its sessions."""
        for session in self.sessions:
            self._close(session)
        return self.sessions

    def _session(self, can_id: int, at: float) -> SessionRecord | None:
        present = self.sessions[-1] if self.sessions else None
        if present is not None and at - present.last_at <= SESSION_GAP_S and not present.ended:
            if can_id in _SESSION_IDS or can_id in FROM_CHARGER:
                present.last_at = at
            return present
        if present is not None and present.ended and at - present.last_at <= SESSION_GAP_S:
            present.last_at = at  # both sides send for a while after the release
            return present
        if can_id not in _SESSION_IDS:
            return None
        made = SessionRecord(at, last_at=at)
        made.states.append((at, State.WAKE))
        made.observe(at, Kind.STATE, "wake: first frame of the vehicle")
        self.sessions.append(made)
        return made

    def _count(self, session: SessionRecord, can_id: int, at: float) -> None:
        last = session.seen.get(can_id)
        session.frames[can_id] += 1
        if last is not None and at - last > LATE_S:
            session.gaps[can_id] += 1
            session.longest_gap[can_id] = max(session.longest_gap.get(can_id, 0.0), at - last)
        session.seen[can_id] = at

    def _follow(
        self, session: SessionRecord, message: Message, before: tuple[Message | None, Message | None], at: float
    ) -> None:
        for text in findings_of_status(before, message, powered=session.state is State.POWER):
            session.observe(at, Kind.FINDING, text)
        for name, text in limits_of(session.vehicle, session.charger).items():
            if session.limits.get(name) != text:
                session.limits[name] = text
                session.observe(at, Kind.LIMIT, f"{name} {text}")
        self._note_fault(session, at)
        state = self._state(session)
        if state is not session.state:
            session.state = state
            session.states.append((at, state))
            session.observe(at, Kind.STATE, str(state))
            if state in _LOCKED and not session.lock_seen:
                session.lock_seen = True
                for text in findings_at_lock(session.vehicle, session.charger):
                    session.observe(at, Kind.FINDING, text)
        if message is session.charger.status:
            self._sample(session, at)

    def _note_fault(self, session: SessionRecord, at: float) -> None:
        found = stop_of(session.vehicle.status, session.charger.status)
        if found is not None and session.fault is None:
            session.fault = found
            session.observe(at, Kind.FAULT, found.text)

    def _state(self, session: SessionRecord) -> State:
        """Return the state of the charger that follows from what both sides have sent."""
        vehicle, charger, state = session.vehicle.status, session.charger.status, session.state
        if charger is None or session.ended:
            return state
        if charger.power and not charger.stopped:
            session.powered = True
            return State.POWER
        if state is State.POWER or state in _AFTER_POWER:
            return self._after_power(session)
        if not charger.locked:
            if state in _BEFORE_POWER and state is not State.NEGOTIATE:
                session.ended = True
                return State.IDLE
            return State.NEGOTIATE if vehicle is not None else state
        return self._locked(session)

    def _after_power(self, session: SessionRecord) -> State:
        vehicle, charger = session.vehicle.status, session.charger.status
        if charger is None or vehicle is None:
            return session.state
        if not session.first_stop:
            session.first_stop = "vehicle" if not vehicle.enabled else "charger"
        if not charger.locked:
            session.ended = True
            return State.IDLE
        if charger.power:
            return State.STOPPING
        reporting = (session.protocol or 0) >= FIRST_REPORTING
        return State.RELEASE if reporting and vehicle.contactors_open else State.WELD_CHECK

    def _locked(self, session: SessionRecord) -> State:
        vehicle, charger, state = session.vehicle.status, session.charger.status, session.state
        if vehicle is None or charger is None:
            return state
        reporting = (session.protocol or 0) >= FIRST_REPORTING
        voltage = charger.voltage_v >= timers.BATTERY_SEEN_V
        closed = not vehicle.contactors_open if reporting else voltage and vehicle.charge_request_a > 0
        if closed and vehicle.enabled:
            return State.WAIT_REQUEST
        if state is State.WAIT_REQUEST:
            return state
        if voltage:
            session.tested = True
            return State.INSULATION
        if session.tested and charger.voltage_v < timers.CLOSE_BELOW_V:
            return State.READY
        return state if state in (State.INSULATION, State.READY) else State.LOCK

    def _sample(self, session: SessionRecord, at: float) -> None:
        sample = Sample.of(at, session.vehicle, session.charger)
        if sample is None:
            return
        last = session.samples[-1] if session.samples else None
        if last is not None and session.state is State.POWER:
            energy = last.voltage_v * last.current_a * (at - last.at) / 3600
            session.energy_in_wh += max(energy, 0.0)
            session.energy_out_wh += max(-energy, 0.0)
        session.samples.append(sample)
        text = measured_beyond(session.samples)
        if text:
            session.observe(at, Kind.FINDING, text)

    def _close(self, session: SessionRecord) -> None:
        last = max(session.seen[can_id] for can_id in session.seen if can_id in _SESSION_IDS)
        if self._now - last >= ENDS_WITHIN_S or session is not self.sessions[-1]:
            session.ended = True
        for can_id, number in sorted(session.gaps.items()):
            total, longest = session.frames[can_id], session.longest_gap[can_id]
            what = f"{number} of {total} frames late," if number < total / 2 else "cycle of"
            session.observe(session.seen[can_id], Kind.FINDING, f"{can_id:#05x}: {what} up to {longest:.3f} s")
        if session.fault is not None:
            session.stop = session.fault
        elif session.ended:
            session.stop = _end_of(session)


def _end_of(session: SessionRecord) -> Stop:
    """Return the stop of a session that ended without a reported fault."""
    if session.powered:
        return Stop(Cause.VEHICLE_STOP if session.first_stop == "vehicle" else Cause.CHARGER_STOP)
    reached = [state for _, state in session.states if state is not State.IDLE]
    if session.charger.status is None:
        return Stop(Cause.NO_CHARGER)
    return Stop(Cause.NO_POWER_START, f"ended in state {reached[-1]}")
