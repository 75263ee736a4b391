"""SLAC engine of an EVSE (ISO 15118-3 Annex A.9): several matching sessions at once, one of which gets the key.

Frames, pilot states and time in; frames, events and a deadline out. Neighbours' vehicles are received too, so each
vehicle has a session of its own, and the key of the network goes to one vehicle only: it is replaced before another one
can get it. Deviations of products are switches of `EvseBehaviour`.
"""

from __future__ import annotations

import math
import secrets

from protocols.errors import LocalProtocolError
from protocols.iec61851 import CONNECTED, PilotState
from protocols.slac import timers
from protocols.slac.engine import Entropy, SlacEngine
from protocols.slac.events import (
    AttenuationReported,
    Event,
    KeyRefused,
    KeySet,
    LinkLost,
    MatchConfirmed,
    Matched,
    MatchingFailed,
    MatchingStarted,
    NetworkLeft,
    NoMatchingRequest,
    Order,
    Pause,
    PilotChanged,
    Resume,
    SendAmplitudeMap,
    SessionEnded,
    ValidationEnded,
)
from protocols.slac.evse_session import Phase, Session, match_fault, response_fault, start_fault
from protocols.slac.frames import KEY_SIZE, Frame
from protocols.slac.messages import (
    NO_SECURITY,
    SLAC_APPLICATION,
    AmpMapCnf,
    AmpMapReq,
    AttenCharInd,
    AttenCharRsp,
    AttenProfileInd,
    MnbcSoundInd,
    SlacMatchCnf,
    SlacMatchReq,
    SlacParmCnf,
    SlacParmReq,
    StartAttenCharInd,
    ValidateCnf,
    ValidateReq,
    ValidationResult,
)
from protocols.slac.settings import EvseSettings, EvseState, Validation
from protocols.slac.validation import ToggleValidation
from protocols.slac.vendor import AttenuationInd


class EvseSlac(SlacEngine):
    """SLAC of one EVSE. The first key is set at once; vehicles are answered while the pilot shows one (B, C, D)."""

    def __init__(self, settings: EvseSettings, now: float, *, entropy: Entropy = secrets.token_bytes) -> None:
        super().__init__(settings.host, settings.modem, entropy)
        self.settings = settings
        self.state = EvseState.RESET
        self.pilot = PilotState.A
        self.sessions: dict[bytes, Session] = {}  # by vehicle
        self._owner: bytes | None = None  # vehicle that has the present key
        self._init_by: float | None = None
        self._paused = False
        self._validation = ToggleValidation()
        self.modem.identify()
        self._set_key(now)

    @property
    def accepting(self) -> bool:
        """Return True while a vehicle may begin to match."""
        ready = self.state in (EvseState.UNMATCHED, EvseState.MATCHING) and not self.modem.key_pending
        return ready and self.pilot in CONNECTED

    def command(self, order: Order, now: float) -> None:
        """Execute an order of the host. Raises LocalProtocolError if it is one for a vehicle, or does not fit."""
        if isinstance(order, PilotChanged):
            self._on_pilot(order.state, now)
        elif isinstance(order, SendAmplitudeMap):
            self._order_map(order, now)
        elif isinstance(order, Pause | Resume):
            if self.state is not EvseState.MATCHED:
                raise LocalProtocolError("only a matched pair can pause")
            self._paused = isinstance(order, Pause)
            self.modem.watch(None if self._paused else timers.POLL_MATCHED, now)
        else:
            raise LocalProtocolError(f"{type(order).__name__} is not an order for an EVSE")

    # messages

    def _take(self, frame: Frame, now: float) -> None:
        message = frame.message
        if isinstance(message, SlacParmReq):
            self._take_parameters(frame, message, now)
        elif isinstance(message, AttenProfileInd | AttenuationInd):
            self._take_profile(frame, message, now)
        elif isinstance(message, StartAttenCharInd | MnbcSoundInd | AttenCharRsp | SlacMatchReq):
            session = self.sessions.get(frame.source)
            if session is None or session.run_id != message.run_id:
                self._ignore(frame, "no session with this run id")
            else:
                self._take_in_session(frame, message, session, now)
        elif isinstance(message, ValidateReq):
            self._take_validation(frame, message, now)
        elif isinstance(message, AmpMapReq | AmpMapCnf):
            self._take_map(frame)
        else:
            self._ignore(frame, "not for an EVSE")

    def _take_parameters(self, frame: Frame, message: SlacParmReq, now: float) -> None:
        vehicle = frame.source
        known = self.sessions.get(vehicle)
        if message.application != SLAC_APPLICATION or message.security != NO_SECURITY:
            self._ignore(frame, "application or security type")
        elif not self.accepting or self._owner not in (None, vehicle):
            self._ignore(frame, "no matching now")
        elif known is not None and known.repeats(message.run_id, now):
            self._ignore(frame, "a late copy")
        elif known is None and len(self.sessions) >= self.settings.max_sessions:
            self._ignore(frame, "too many sessions")
        else:
            if self._owner == vehicle:
                self.modem.watch(None, now)  # it starts again before there was a link
            self._validation.end(vehicle)
            self.sessions[vehicle] = Session(vehicle, message.run_id, now + self.settings.behaviour.start_within)
            self._init_by = None
            self.state = EvseState.MATCHING
            self._events.append(MatchingStarted(vehicle, message.run_id))
            self._send(vehicle, SlacParmCnf(message.run_id, vehicle))

    def _take_in_session(
        self,
        frame: Frame,
        message: StartAttenCharInd | MnbcSoundInd | AttenCharRsp | SlacMatchReq,
        session: Session,
        now: float,
    ) -> None:
        phase = session.phase
        if isinstance(message, StartAttenCharInd) and phase in (Phase.START, Phase.SOUNDS):
            fault = start_fault(message, self.settings.behaviour)
            if fault is None and phase is Phase.START:  # the first of three
                session.phase, session.expected = Phase.SOUNDS, message.sounds
                session.deadline = now + timers.SOUND_TIME * timers.SOUND_UNIT
        elif isinstance(message, MnbcSoundInd) and phase is Phase.SOUNDS:
            session.sounds, fault = session.sounds + 1, None
        elif isinstance(message, AttenCharRsp) and phase is Phase.RESPONSE:
            fault = response_fault(message, session)
            if fault is None:
                session.phase, session.deadline = Phase.MATCH, now + timers.MATCH_SESSION
        elif isinstance(message, SlacMatchReq) and phase in (Phase.MATCH, Phase.JOINING):
            fault = match_fault(message, session, self.host)
            if fault is None:
                self._confirm(session, now)
        else:
            fault = f"not while waiting for {phase.value}"
        if fault is not None:
            self._ignore(frame, fault)

    def _take_profile(self, frame: Frame, message: AttenProfileInd | AttenuationInd, now: float) -> None:
        behaviour = self.settings.behaviour
        session = self.sessions.get(message.vehicle)
        if not self.modem.is_own(frame.source):
            self._ignore(frame, "a profile of another modem")
        elif isinstance(message, AttenuationInd) is not behaviour.vendor_profiles:
            self._ignore(frame, "profiles of this kind do not count")
        elif session is None or session.phase is not Phase.SOUNDS:
            self._ignore(frame, "no sounds are expected from this vehicle")
        else:
            added = session.add_profile(message.groups)
            if added and behaviour.report_by_timer:
                session.deadline = now + behaviour.report_after
            elif session.profiles >= session.expected:
                session.deadline = min(session.deadline, now + behaviour.report_after)

    # sessions

    def _expire(self, now: float) -> None:
        for session in list(self.sessions.values()):
            if now >= session.deadline and self.sessions.get(session.vehicle) is session:
                self._on_session_deadline(session, now)
        validating, due = self._validation.vehicle, self._validation.deadline
        if validating is not None and due is not None and now >= due:
            self._on_validation_deadline(validating, now)
        if self._init_by is not None and now >= self._init_by:
            self._init_by = None
            self._events.append(NoMatchingRequest())
            self._wait_again(now)

    def _deadline(self) -> float | None:
        times = [session.deadline for session in self.sessions.values() if session.deadline < math.inf]
        times += [when for when in (self._validation.deadline, self._init_by) if when is not None]
        return min(times, default=None)

    def _on_session_deadline(self, session: Session, now: float) -> None:
        if session.phase is Phase.JOINING:
            self._events.append(MatchingFailed("no link after CM_SLAC_MATCH.CNF"))
            self._leave("no link", now)
        elif session.phase is Phase.SOUNDS and (session.profiles or self.settings.behaviour.one_db_without_profiles):
            self._report(session, now)
        elif session.phase is Phase.RESPONSE and session.tries <= timers.MATCH_RETRIES and session.report is not None:
            session.tries += 1
            session.deadline = now + timers.MATCH_RESPONSE
            self._send(session.vehicle, session.report)
        else:
            self._end_session(session, f"no {session.phase.value}", now)

    def _report(self, session: Session, now: float) -> None:
        groups = session.average(self.settings.correction_db - self.settings.behaviour.report_minus_db)
        sounds = session.profiles or session.sounds
        session.report = AttenCharInd(session.vehicle, session.run_id, sounds, groups)
        session.phase, session.tries = Phase.RESPONSE, 1
        session.deadline = now + timers.MATCH_RESPONSE
        mean = sum(groups) / len(groups)
        self._events.append(AttenuationReported(session.vehicle, self.host, sounds, mean))
        self._send(session.vehicle, session.report)

    def _end_session(self, session: Session, reason: str, now: float) -> None:
        del self.sessions[session.vehicle]
        self._validation.end(session.vehicle)
        self._events.append(SessionEnded(session.vehicle, session.run_id, reason))
        if self._owner == session.vehicle:
            self._leave(reason, now)
        elif not self.sessions and self.state is EvseState.MATCHING:
            self._events.append(MatchingFailed(reason))
            self.state = EvseState.UNMATCHED
            self._wait_again(now)

    def _wait_again(self, now: float) -> None:
        """Wait for a vehicle once more, or fail."""
        if self.settings.behaviour.restart_instead_of_fail:
            self._start_waiting(now)
        else:
            self.state = EvseState.FAILED

    def _start_waiting(self, now: float) -> None:
        idle = self.state is EvseState.UNMATCHED and self.accepting
        self._init_by = now + self.settings.init_timeout if idle else None

    def _confirm(self, session: Session, now: float) -> None:
        """Give the key of the network to the vehicle of a session, or give it again."""
        nid = self.modem.nid
        self._send(session.vehicle, SlacMatchCnf(session.vehicle, self.host, session.run_id, nid, self.modem.nmk))
        if session.phase is Phase.JOINING:
            return  # the confirmation was lost
        self._owner = session.vehicle
        self._validation.end(self._validation.vehicle)
        for other in [one for one in self.sessions.values() if one is not session]:
            del self.sessions[other.vehicle]
            self._events.append(SessionEnded(other.vehicle, other.run_id, "another vehicle was matched"))
        session.phase, session.deadline = Phase.JOINING, now + timers.MATCH_JOIN
        self._events.append(MatchConfirmed(session.vehicle, self.host, session.run_id, nid))
        self.modem.watch(timers.POLL_JOINING, now)
        self._on_link(now)

    # validation

    def _take_validation(self, frame: Frame, message: ValidateReq, now: float) -> None:
        session = self.sessions.get(frame.source)
        if session is None or session.phase is not Phase.MATCH or message.signal != 0:
            self._ignore(frame, "no validation now")
        elif self.settings.validation is not Validation.TOGGLES:
            refused = self.settings.validation is Validation.REFUSED
            code = ValidationResult.FAILURE if refused else ValidationResult.NOT_REQUIRED
            self._send(frame.source, ValidateCnf(0, code))
        else:
            confirmation = self._validation.take(frame.source, message, now)
            if confirmation is not None:
                self._send(frame.source, confirmation)

    def _on_validation_deadline(self, vehicle: bytes, now: float) -> None:
        confirmation = self._validation.expire(now)
        if confirmation is None:
            return
        self._send(vehicle, confirmation)
        if confirmation.result != ValidationResult.READY:
            ok = confirmation.result == ValidationResult.SUCCESS
            self._events.append(ValidationEnded(vehicle, confirmation.toggles, ok))
            if ok and (session := self.sessions.get(vehicle)) is not None:
                session.deadline = min(session.deadline, now + timers.MATCH_SEQUENCE)

    # pilot, modem, link

    def _on_pilot(self, state: PilotState, now: float) -> None:
        before, self.pilot = self.pilot, state
        self._validation.observe(state, now)
        if state in CONNECTED:
            if before not in CONNECTED:
                self._start_waiting(now)
            return
        self._init_by = None
        if self._owner is not None:
            self._leave(f"control pilot in state {state.value}", now)
        elif state is PilotState.A or self.sessions:
            self._drop_sessions(f"control pilot in state {state.value}")
            if self.state is not EvseState.RESET:
                self.state = EvseState.UNMATCHED

    def _drop_sessions(self, reason: str) -> None:
        self._validation.end(self._validation.vehicle)
        unmatched = [one for one in self.sessions.values() if one.deadline < math.inf]
        self._events.extend(SessionEnded(one.vehicle, one.run_id, reason) for one in unmatched)
        self.sessions.clear()

    def _leave(self, reason: str, now: float) -> None:
        """Leave the network: the vehicle's key is of no use any more (V2G3-M09-17, A09-121)."""
        self._drop_sessions(reason)
        self._owner = self.peer = None
        self._paused = False
        self.state = EvseState.UNMATCHED
        self._events.append(NetworkLeft(reason))
        self._set_key(now)

    def _set_key(self, now: float) -> None:
        self.modem.set_key(self._entropy(KEY_SIZE), now, nid=self.settings.behaviour.fixed_nid)

    def _on_modem_event(self, event: Event, now: float) -> None:
        if isinstance(event, KeySet):
            if self.state is EvseState.RESET:
                self.state = EvseState.UNMATCHED
            self._start_waiting(now)
        elif isinstance(event, KeyRefused):
            self._init_by = None

    def _on_link(self, now: float) -> None:
        session = self.sessions.get(self._owner) if self._owner is not None else None
        up = self.modem.link or not self.modem.reports_link
        if session is not None and session.phase is Phase.JOINING and up and self.state is EvseState.MATCHING:
            session.deadline = math.inf
            self.state, self.peer = EvseState.MATCHED, session.vehicle
            self._events.append(Matched(session.vehicle, self.host, self.modem.nid))
            self.modem.watch(timers.POLL_MATCHED, now)
        elif self.state is EvseState.MATCHED and not up and not self._paused and self.peer is not None:
            self._events.append(LinkLost(self.peer))
            self._leave("the link is lost", now)
