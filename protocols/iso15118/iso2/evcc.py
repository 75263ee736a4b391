"""The EVCC engine of ISO 15118-2 and DIN SPEC 70121: the EV's side of one connection.

The contract of `iso20/evcc.py`, with the same orders and events. Requests are in `evcc_requests.py`, reactions in
`evcc_reactions.py`, permitted sequences in `states.py`. A FAILED response ends the session at once, after V2G2-735 its
other fields are not evaluated. The control pilot is the host's.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from protocols.errors import LocalProtocolError, RemoteProtocolError
from protocols.iso15118.app_protocol import Agreement, Protocol
from protocols.iso15118.din.dialect import DIN
from protocols.iso15118.iso2 import both, timers
from protocols.iso15118.iso2.dialect import DC_MODES, ISO2, Dialect
from protocols.iso15118.iso2.evcc_reactions import REACTIONS, on_charging_status, on_current_demand, terminate
from protocols.iso15118.iso2.evcc_requests import ac_power, build
from protocols.iso15118.iso2.evcc_session import EvccContext, EvccSettings, EvSession, Reaction
from protocols.iso15118.iso2.states import NEXT_STEPS, Step
from protocols.iso15118.iso2.tolerances import ChargerTolerance
from protocols.iso15118.iso20 import orders
from protocols.iso15118.iso20.common import ChargingSession
from protocols.iso15118.iso20.events import Event, FrameIgnored, PilotRequested, SessionEnded
from protocols.iso15118.session.control_pilot import Pilot
from protocols.iso15118.session.evcc_engine import EndConnection, EvccEngine
from protocols.v2gtp import Frame, PayloadType

_ONGOING = {
    Step.AUTHORIZATION: timers.ONGOING,
    Step.CHARGE_PARAMETERS: timers.ONGOING,
    Step.CABLE_CHECK: timers.CABLE_CHECK,
    Step.PRE_CHARGE: timers.PRE_CHARGE,
}
_LEAVING = frozenset({Step.POWER_STOP, Step.WELDING_DETECTION, Step.SESSION_STOP, Step.ENDED})
# State of the control pilot from the request of a step on: with DC before the insulation test, with AC for the power.
_PILOT = {
    Step.CABLE_CHECK: Pilot.C,
    Step.POWER_START: Pilot.C,
    Step.WELDING_DETECTION: Pilot.B,
    Step.SESSION_STOP: Pilot.B,
}
_TOO_EARLY = frozenset({Step.APP_PROTOCOL, Step.SESSION_SETUP})
_BEFORE_POWER = frozenset(Step) - _LEAVING - {Step.CHARGE_LOOP, Step.RENEGOTIATION}


class Evcc(EvccEngine):
    """EVCC of one connection. `dialects`: offered generations, best first; `car` is the present state of the EV."""

    def __init__(
        self,
        settings: EvccSettings,
        car: orders.CarState,
        now: float,
        *,
        dialects: Sequence[Dialect] = (ISO2, DIN),
    ) -> None:
        if not settings.modes:
            raise LocalProtocolError("at least one energy transfer mode is required")
        super().__init__(
            now, trace=settings.trace, setup=timers.COMMUNICATION_SETUP, timeout_factor=settings.timeout_factor
        )
        self.settings = settings
        self.car = car
        self.step = Step.APP_PROTOCOL
        self.session = EvSession(session_id=settings.resume.session_id if settings.resume else b"\x00")
        self.dialect = dialects[0]
        self._dialects = dialects
        self._ready_by: float | None = None
        self._renegotiate = False
        self._pilot = Pilot.B

    def command(self, order: orders.EvccOrder, now: float) -> None:
        """Execute an order of the host (`iso20/orders.py`). Raises LocalProtocolError if it does not fit the state."""
        if isinstance(order, orders.CarState):
            self.car = order
        elif isinstance(order, orders.Stop):
            if order.kind is ChargingSession.ServiceRenegotiation:
                raise LocalProtocolError(f"{self.dialect.name} has no service renegotiation")
            if order.kind is ChargingSession.Pause and self.dialect.is_din:
                raise LocalProtocolError(f"{self.dialect.name} has no pause")
            if self.session.stop is None:
                self.session = replace(self.session, stop=order)
        elif isinstance(order, orders.Abort):
            self._end(order.reason)
        elif isinstance(order, orders.Renegotiate) and not self.dialect.is_din:
            if self.step is not Step.CHARGE_LOOP:
                raise LocalProtocolError(f"renegotiation is possible only in the loop, not in {self.step.value!r}")
            self._renegotiate = True
        else:
            raise LocalProtocolError(f"{self.dialect.name} has no {type(order).__name__}")

    @property
    def renegotiates(self) -> bool:  # type: ignore[override]
        """True in ISO 15118-2."""
        return not self.dialect.is_din

    def planned_power(self, now: float) -> float:
        """Return the W that the EV takes with AC; 0 without power."""
        return ac_power(self.session, self._context(now)) if self.session.power_on else 0.0

    def protocols(self) -> list[Protocol]:
        dc = any(one in DC_MODES for one in self.settings.modes)
        return [one.protocol for one in self._dialects if dc or not one.is_din]

    def _begin(self, agreement: Agreement, now: float) -> None:
        namespace = agreement.protocol.namespace
        self.dialect = next(one for one in self._dialects if one.protocol.namespace == namespace)
        self.session = replace(self.session, namespace=namespace)
        self._go(Step.SESSION_SETUP, now)

    def _context(self, now: float, session_id: bytes = b"") -> EvccContext:
        return EvccContext(
            dialect=self.dialect, settings=self.settings, car=self.car, step=self.step, now=now, session_id=session_id
        )

    def _send_request(self, now: float) -> None:
        self.step = self._divert(self.step)
        self._set_pilot(_PILOT.get(self.step, self._pilot))
        request = build(self.session, self._context(now))
        self._awaited = type(request).__name__
        limit = timers.message_timeout(self._awaited, din=self.dialect.is_din)
        self._answer_by = now + limit * self.settings.timeout_factor
        self._send(self.dialect.encode(self.session.session_id, request), request)

    def _take_message(self, received: Frame, now: float) -> None:
        if received.payload_type != PayloadType.SUPPORTED_APP_PROTOCOL or not received.well_formed:
            self._events.append(FrameIgnored(received.payload_type, len(received.payload)))
            return
        try:
            session_id, response = self.dialect.decode(received.payload)
        except RemoteProtocolError as error:
            raise EndConnection(f"the charger sent an invalid message: {error}") from error
        self._received(response, received.payload)
        name, expected = type(response).__name__, self._awaited.removesuffix("Req") + "Res"
        if self._answer_by is None or name != expected:
            raise EndConnection(f"the charger sent {name} instead of {expected if self._answer_by else 'nothing'}")
        if self.step is not Step.SESSION_SETUP and session_id != self.session.session_id:
            raise EndConnection("the charger's session id is not that of this session")
        self._take_response(response, session_id, now)

    def _take_response(self, response: both.Message, session_id: bytes, now: float) -> None:
        code: both.ResponseCode = getattr(response, "ResponseCode")  # noqa: B009 - every response has one
        if code.startswith("FAILED"):
            if self.step is Step.WELDING_DETECTION and ChargerTolerance.WELDING_FAILED in self.settings.tolerances:
                self._end_after_welding(f"the charger responded to welding detection with {code}")
                return
            self._end(f"the charger responded to {self._awaited} with {code}", code)
            return
        self._answer_by = None
        self._follow(self._reaction()(response, self.session, self._context(now, session_id)), now)

    def expire(self, now: float) -> list[Event]:
        """Process the passage of time."""
        late = self._answer_by is not None and now >= self._answer_by and not self.ended
        if (
            late
            and self.step is Step.WELDING_DETECTION
            and ChargerTolerance.WELDING_UNANSWERED in self.settings.tolerances
        ):
            self._end_after_welding("the charger did not respond to welding detection")
        return super().expire(now)

    def _end_after_welding(self, note: str) -> None:
        """End a session whose power is off without SessionStop, as it was to end."""
        stop = self.session.stop or orders.Stop()
        self.ended = True
        self._finish()
        reason = note if stop.explanation is None else f"{stop.explanation}; {note}"
        self._events.append(SessionEnded(reason=reason, ok=stop.code is None, termination_code=stop.code))

    def _reaction(self) -> Callable[..., Reaction]:
        if self.step is Step.CHARGE_LOOP:
            return on_current_demand if self.session.agreed.is_dc else on_charging_status
        return REACTIONS[self.step]

    def _follow(self, reaction: Reaction, now: float) -> None:
        self.session = reaction.session
        self._events.extend(reaction.events)
        if self.step is Step.SESSION_SETUP:
            self._setup_by = None
            self._ready_by = now + timers.READY_TO_CHARGE if self.dialect.is_din else None
        step, poll = reaction.step, reaction.poll
        if step is Step.CHARGE_LOOP:
            self._ready_by = None
            if self._renegotiate and self.step is Step.CHARGE_LOOP:
                step, poll, self._renegotiate = Step.RENEGOTIATION, False, False
        diverted = self._divert(step)
        poll = poll and diverted is step
        if diverted is not Step.ENDED and diverted not in NEXT_STEPS[self.step]:
            raise LocalProtocolError(f"no step from {self.step} to {diverted}")
        self._go(diverted, now, poll=poll)
        self.ended = self.ended or self.step is Step.ENDED

    def _divert(self, step: Step) -> Step:
        """Return the step to which a pending stop leads instead. A pause needs a charge loop before."""
        stop = self.session.stop
        if stop is None or step in _TOO_EARLY or step is Step.ENDED:
            return step
        if stop.kind is ChargingSession.Pause and not self.session.loops:
            self.session = replace(self.session, stop=replace(stop, kind=ChargingSession.Terminate))
        if step in _LEAVING:
            return step
        return Step.POWER_STOP if self.session.power_on else Step.SESSION_STOP

    def _go(self, step: Step, now: float, *, poll: bool = False) -> None:
        if self.session.waits_for_customer:
            self._phase_by = None
        elif step is not self.step or self._phase_by is None:
            limit = _ONGOING.get(step)
            self._phase_by = None if limit is None else now + limit
        if self._ready_by is not None and step in _BEFORE_POWER:
            self._phase_by = min(self._ready_by, self._phase_by or self._ready_by)
        pause = self.settings.loop_interval if step is Step.CHARGE_LOOP else self.settings.poll_interval
        self.step = step
        self._due = None if step is Step.ENDED else now + (pause if poll else 0.0)

    def _phase_expired(self, now: float) -> None:
        self.session = terminate(self.session, "timeout", f"the charger exceeded the time limit: {self.step.value}")
        self._ready_by = None
        self._go(self._divert(self.step), now)

    def _set_pilot(self, state: Pilot) -> None:
        if state is not self._pilot:
            self._pilot = state
            self._events.append(PilotRequested(state))

    def _finish(self) -> None:
        self.step = Step.ENDED
        self._set_pilot(Pilot.B)
