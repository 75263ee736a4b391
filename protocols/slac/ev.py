"""SLAC engine of a vehicle (ISO 15118-3 Annex A.9): finds the EVSE at the other end of its cable.

Frames, orders and time in; frames, events and a deadline out. Every attempt starts from nothing: run id, reports and
key. A report that arrives may make the choice earlier, never later, and the number of reports that are kept is bounded.
Deviations of products are switches of `EvBehaviour`.
"""

from __future__ import annotations

import math
import secrets
from collections import deque
from dataclasses import dataclass

from protocols.errors import LocalProtocolError
from protocols.iec61851 import MOST_TOGGLES
from protocols.slac import timers
from protocols.slac.engine import Entropy, SlacEngine
from protocols.slac.events import (
    AttenuationReported,
    Event,
    EvseChosen,
    KeyRefused,
    KeySet,
    Leave,
    LinkLost,
    MatchConfirmed,
    Matched,
    MatchingFailed,
    MatchingStarted,
    NetworkLeft,
    Order,
    Pause,
    Resume,
    SendAmplitudeMap,
    StartMatching,
    ToggleRequested,
    ValidationEnded,
)
from protocols.slac.frames import BROADCAST, KEY_SIZE, NO_ID, RUN_ID_SIZE, Frame, Message
from protocols.slac.messages import (
    MATCH_CNF_LENGTH,
    NO_SECURITY,
    SLAC_APPLICATION,
    AmpMapCnf,
    AmpMapReq,
    AttenCharInd,
    AttenCharRsp,
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
from protocols.slac.settings import EvSettings, EvState, EvValidation

MOST_REPORTS = 16  # EVSEs whose reports are kept
TOGGLE_HALF_S = 0.3
WINDOW_MARGIN_S = 0.4  # of a validation, for the pilot of the EVSE


_KNOWS_RUN = frozenset({EvState.SOUNDS, EvState.REPORTS, EvState.VALIDATING, EvState.MATCHING})


@dataclass(slots=True)
class _Request:
    """A request that is repeated until it is answered."""

    destination: bytes
    message: Message
    tries: int = 0
    at: float = 0.0


class EvSlac(SlacEngine):
    """SLAC of one vehicle; it starts with the order `StartMatching`."""

    def __init__(self, settings: EvSettings, now: float, *, entropy: Entropy = secrets.token_bytes) -> None:
        super().__init__(settings.host, settings.modem, entropy)
        self.settings = settings
        self.state = EvState.UNMATCHED
        self.run_id = b""
        self.attempt = 0
        self.reports: dict[bytes, AttenCharInd] = {}  # by EVSE
        self._answered: set[bytes] = set()  # EVSEs that confirmed the parameters
        self._first_at = now  # begin of the first attempt
        self._at: float | None = None  # of what comes next
        self._request: _Request | None = None
        self._copies: deque[float] = deque()
        self._confirm_by: float | None = None
        self._batch: deque[Message] = deque()
        self._results_by: float | None = None
        self._candidates: deque[bytes] = deque()
        self._chosen = b""
        self._toggles = 0
        self._toggling = False
        self._paused = False

    def command(self, order: Order, now: float) -> None:
        """Execute an order of the host. Raises LocalProtocolError if it does not fit the role or the state."""
        if isinstance(order, StartMatching):
            if self.state not in (EvState.UNMATCHED, EvState.FAILED):
                raise LocalProtocolError(f"matching has begun already: {self.state.value}")
            self.attempt, self._first_at = 0, now
            self._begin(now)
        elif isinstance(order, Leave):
            self._leave(order.reason, now)
        elif isinstance(order, SendAmplitudeMap):
            self._order_map(order, now)
        elif isinstance(order, Pause | Resume):
            if self.state is not EvState.MATCHED:
                raise LocalProtocolError("only a matched pair can pause")
            self._paused = isinstance(order, Pause)
            self.modem.watch(None if self._paused else timers.POLL_MATCHED, now)
        else:
            raise LocalProtocolError(f"{type(order).__name__} is not an order for a vehicle")

    # time

    def _deadline(self) -> float | None:
        copy = self._copies[0] if self._copies else None
        request = None if self._request is None else self._request.at
        return min((when for when in (self._at, copy, request, self._results_by) if when is not None), default=None)

    def _expire(self, now: float) -> None:
        while self._copies and now >= self._copies[0]:
            self._copies.popleft()
            self._send(BROADCAST, SlacParmReq(self.run_id))
        if self._request is not None and now >= self._request.at:
            self._repeat(self._request, now)
        if self._at is not None and now >= self._at:
            self._on_time(now)
        if self._results_by is not None and now >= self._results_by:
            self._choose(now)

    def _on_time(self, now: float) -> None:
        self._at = None
        if self.state is EvState.SOUNDS:
            self._send_batch(now)
        elif self.state is EvState.MATCHING:
            self._start_request(self._chosen, SlacMatchReq(self.host, self._chosen, self.run_id), now)
        elif self.state is EvState.VALIDATING:
            self._validate_next(now)
        elif self.state is EvState.WAITING:
            self._begin(now)
        elif self.state is EvState.JOINING:
            self._attempt_failed("no link after CM_SLAC_MATCH.CNF", now)

    def _start_request(self, destination: bytes, message: Message, now: float) -> None:
        self._request = _Request(destination, message)
        self._repeat(self._request, now)

    def _repeat(self, request: _Request, now: float) -> None:
        if request.tries > timers.MATCH_RETRIES:
            self._request = None
            if self.state is EvState.VALIDATING:
                self._validate_next(now)
            else:
                self._attempt_failed(f"no answer to {type(request.message).__name__}", now)
            return
        request.tries += 1
        request.at = now + timers.MATCH_RESPONSE
        self._send(request.destination, request.message)
        if isinstance(request.message, SlacParmReq):
            behaviour = self.settings.behaviour
            self._copies.extend(now + number * behaviour.parm_gap for number in range(1, behaviour.parm_copies))
            within = behaviour.confirmation_within
            self._confirm_by = None if within is None else now + within

    # attempts

    def _begin(self, now: float) -> None:
        self._forget()
        self.attempt += 1
        behaviour = self.settings.behaviour
        drawn = self._entropy(RUN_ID_SIZE) if behaviour.run_id is None else behaviour.run_id
        self.run_id = self.host + b"\0\0" if behaviour.run_id_of_mac else drawn
        self.state = EvState.PARAMETERS
        self._events.append(MatchingStarted(self.host, self.run_id, self.attempt))
        self._start_request(BROADCAST, SlacParmReq(self.run_id), now)

    def _forget(self) -> None:
        """Discard everything of an attempt."""
        self.reports = {}
        self._answered = set()
        self._candidates.clear()
        self._copies.clear()
        self._batch.clear()
        self._request = self._at = self._results_by = self._confirm_by = None
        self._chosen = b""
        self._toggles, self._toggling = 0, False

    def _attempt_failed(self, reason: str, now: float) -> None:
        self._forget()
        self.modem.watch(None, now)
        again = now + self.settings.behaviour.attempt_pause
        self._events.append(MatchingFailed(reason))
        if self.attempt < timers.FEWEST_ATTEMPTS or again < self._first_at + timers.MATCHING_REPETITION:
            self.state, self._at = EvState.WAITING, again
        else:
            self.state = EvState.FAILED

    def _leave(self, reason: str, now: float) -> None:
        joined = self.state in (EvState.JOINING, EvState.MATCHED)
        self._forget()
        self.state, self.peer, self._paused = EvState.UNMATCHED, None, False
        self.modem.watch(None, now)
        self._events.append(NetworkLeft(reason))
        if joined:
            self.modem.set_key(self._entropy(KEY_SIZE), now)

    # messages

    def _take(self, frame: Frame, now: float) -> None:
        message = frame.message
        if isinstance(message, SlacParmCnf):
            self._take_parameters(frame, message, now)
        elif isinstance(message, AttenCharInd):
            self._take_report(frame, message, now)
        elif isinstance(message, ValidateCnf):
            self._take_validation(frame, message, now)
        elif isinstance(message, SlacMatchCnf):
            self._take_match(frame, message, now)
        elif isinstance(message, AmpMapReq | AmpMapCnf):
            self._take_map(frame)
        else:
            self._ignore(frame, "not for a vehicle")

    def _take_parameters(self, frame: Frame, message: SlacParmCnf, now: float) -> None:
        behaviour = self.settings.behaviour
        usual = (timers.SOUNDS, timers.SOUND_TIME, 1, self.host)
        given = (message.sounds, message.time_out, message.response_type, message.forwarding_station)
        if message.run_id != self.run_id or message.application != SLAC_APPLICATION or message.security != NO_SECURITY:
            self._ignore(frame, "run id, application or security type")
        elif behaviour.strict_parameters and given != usual:
            self._ignore(frame, "parameters other than those of the standard")
        elif not message.sounds:
            self._ignore(frame, "no sounds")
        elif self._confirm_by is not None and now > self._confirm_by:
            self._ignore(frame, "the confirmation is late")
        elif self.state is EvState.PARAMETERS:
            self._answered.add(frame.source)
            self._copies.clear()
            self._request = None
            self.state = EvState.SOUNDS
            self._fill_batch(message)
            self._at = now + behaviour.start_after
        elif self.state in _KNOWS_RUN and len(self._answered) < MOST_REPORTS:
            self._answered.add(frame.source)

    def _fill_batch(self, confirmed: SlacParmCnf) -> None:
        count = min(confirmed.sounds, timers.MOST_SOUNDS)
        start = StartAttenCharInd(self.run_id, self.host, count, confirmed.time_out)
        self._batch.extend([start] * timers.START_INDICATIONS)
        fixed = self.settings.behaviour.sound_random
        for remaining in reversed(range(count)):
            random = self._entropy(KEY_SIZE) if fixed is None else fixed
            self._batch.append(MnbcSoundInd(self.run_id, remaining, random))

    def _send_batch(self, now: float) -> None:
        self._results_by = self._results_by or now + timers.ATTENUATION_RESULTS
        self._send(BROADCAST, self._batch.popleft())
        if self._batch:
            self._at = now + self.settings.behaviour.batch_interval
        else:
            self.state = EvState.REPORTS

    def _take_report(self, frame: Frame, message: AttenCharInd, now: float) -> None:
        fits = (message.run_id, message.vehicle, message.application, message.security)
        if self.state not in _KNOWS_RUN or fits != (self.run_id, self.host, SLAC_APPLICATION, NO_SECURITY):
            self._ignore(frame, "no report is expected with this run id and address")
            return
        if message.source_id != NO_ID or message.responder_id != NO_ID:
            self._ignore(frame, "id of a station")
            return
        if self.settings.behaviour.refuses_zero_db and not any(message.groups):
            self._ignore(frame, "an attenuation of 0 dB")
            return
        known = self.reports.get(frame.source)
        if known is None and len(self.reports) >= MOST_REPORTS:
            self._ignore(frame, "too many reports")
            return
        self._send(frame.source, AttenCharRsp(self.host, self.run_id))
        if self.state in (EvState.SOUNDS, EvState.REPORTS) and (known is None or message.sounds > known.sounds):
            self.reports[frame.source] = message
            self._events.append(AttenuationReported(self.host, frame.source, message.sounds, _mean(message)))
        complete = self.settings.choose_when_all_reported and self._answered <= self.reports.keys()
        if complete and self.state is EvState.REPORTS:
            self._choose(now)

    # choice and validation

    def _choose(self, now: float) -> None:
        """Choose the EVSE of the lowest mean attenuation."""
        self._results_by = None
        self._batch.clear()
        usable = {evse: _mean(one) for evse, one in self.reports.items() if one.sounds and one.groups}
        ranked = sorted((mean, evse) for evse, mean in usable.items() if mean <= self.settings.highest_db)
        if not ranked:
            self._attempt_failed("no EVSE in range reported an attenuation", now)
            return
        mean, evse = ranked[0]
        close = len(ranked) > 1 and ranked[1][0] - mean < self.settings.close_db
        ambiguous = mean > self.settings.direct_db or close
        self._events.append(EvseChosen(evse, mean, ambiguous, len(ranked)))
        policy = self.settings.validation
        if policy is EvValidation.ALWAYS or (policy is EvValidation.AMBIGUOUS and ambiguous):
            self._candidates = deque(one for _, one in ranked)
            self.state = EvState.VALIDATING
            self._validate_next(now)
        else:
            self._match(evse, now)

    def _validate_next(self, now: float) -> None:
        """Start the validation of the next candidate."""
        self._request, self._at, self._toggling = None, None, False
        if not self._candidates:
            self._attempt_failed("no EVSE was validated", now)
            return
        self._chosen = self._candidates.popleft()
        self._start_request(self._chosen, ValidateReq(0), now)

    def _take_validation(self, frame: Frame, message: ValidateCnf, now: float) -> None:
        if self.state is not EvState.VALIDATING or frame.source != self._chosen or message.signal != 0:
            self._ignore(frame, "no validation now")
        elif message.result == ValidationResult.NOT_REQUIRED:
            self._match(self._chosen, now)
        elif not self._toggling and message.result == ValidationResult.READY:
            self._toggling = True
            self._request = None
            self._toggles = 1 + self._entropy(1)[0] % MOST_TOGGLES
            window = min(2 * TOGGLE_HALF_S * self._toggles + WINDOW_MARGIN_S, timers.VALIDATION_TOGGLES)
            self._send(self._chosen, ValidateReq(math.ceil(window * 10) - 1))
            self._events.append(ToggleRequested(self._toggles, TOGGLE_HALF_S))
            self._at = now + window + 2 * timers.MATCH_RESPONSE
        elif self._toggling and message.result in (ValidationResult.SUCCESS, ValidationResult.FAILURE):
            ok = message.result == ValidationResult.SUCCESS and message.toggles == self._toggles
            self._events.append(ValidationEnded(self._chosen, message.toggles, ok))
            if ok:
                self._match(self._chosen, now)
            else:
                self._validate_next(now)
        elif not self._toggling:
            self._validate_next(now)  # not ready, or refused

    # match

    def _match(self, evse: bytes, now: float) -> None:
        self.state, self._chosen, self._request = EvState.MATCHING, evse, None
        self._at = now + self.settings.behaviour.match_after

    def _take_match(self, frame: Frame, message: SlacMatchCnf, now: float) -> None:
        fits = (frame.source, message.evse, message.vehicle, message.run_id, message.length)
        wanted = (self._chosen, self._chosen, self.host, self.run_id, MATCH_CNF_LENGTH)
        if self.state is not EvState.MATCHING or fits != wanted:
            self._ignore(frame, "not the confirmation that is expected")
            return
        self._request, self._at = None, now + timers.MATCH_JOIN
        self.state = EvState.JOINING
        self._events.append(MatchConfirmed(self.host, self._chosen, self.run_id, message.nid))
        self.modem.set_key(message.nmk, now, nid=message.nid)

    # modem and link

    def _on_modem_event(self, event: Event, now: float) -> None:
        if self.state is not EvState.JOINING:
            return
        if isinstance(event, KeySet):
            self.modem.watch(timers.POLL_JOINING, now)
        elif isinstance(event, KeyRefused):
            self._attempt_failed("the modem refused the key", now)

    def _on_link(self, now: float) -> None:
        up = (self.modem.link or not self.modem.reports_link) and not self.modem.key_pending
        if self.state is EvState.JOINING and up:
            self.state, self.peer, self._at = EvState.MATCHED, self._chosen, None
            self._events.append(Matched(self.host, self._chosen, self.modem.nid))
            self.modem.watch(timers.POLL_MATCHED, now)
        elif self.state is EvState.MATCHED and not up and not self._paused:
            self._events.append(LinkLost(self._chosen))
            self._leave("the link is lost", now)


def _mean(report: AttenCharInd) -> float:
    return sum(report.groups) / len(report.groups) if report.groups else math.inf
