"""The SECC engine of ISO 15118-2 and DIN SPEC 70121: the charger's side of one connection.

The contract of `iso20/secc.py`, with the same orders and events. Discharge does not exist here: a negative set-point is
refused (`SetpointRefused`) and counts as 0 W. Responses are in `secc_setup.py`, `secc_energy.py` and `secc_loop.py`,
permitted sequences in `states.py`, deviations of cars in `tolerances.py`. The control pilot is the host's. Source:
general checks V2G2-460, 538, 539 and V2G-DC-390, 391 (as EVerest orders them), sequence timeout V2G2-443.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from protocols.errors import LocalProtocolError, RemoteProtocolError
from protocols.frozen import frozen
from protocols.iso15118.app_protocol import Agreement, Protocol
from protocols.iso15118.din.dialect import DIN
from protocols.iso15118.iso2 import both, timers
from protocols.iso15118.iso2.dialect import ISO2, Dialect
from protocols.iso15118.iso2.error_responses import EMERGENCY, ErrorResponses, is_request
from protocols.iso15118.iso2.schedules import ends_in
from protocols.iso15118.iso2.secc_energy import answer_cable_check, answer_charge_parameters, answer_pre_charge
from protocols.iso15118.iso2.secc_loop import (
    answer_charging_status,
    answer_current_demand,
    answer_power_delivery,
    answer_session_stop,
    answer_welding_detection,
)
from protocols.iso15118.iso2.secc_session import Answer, Hold, Refusal, RequestContext, SeccSettings, Session
from protocols.iso15118.iso2.secc_setup import (
    answer_authorization,
    answer_selection,
    answer_service_detail,
    answer_service_discovery,
    answer_session_setup,
)
from protocols.iso15118.iso2.states import State
from protocols.iso15118.iso2.tolerances import tolerated
from protocols.iso15118.iso20 import orders
from protocols.iso15118.iso20.events import Event, Paused, PowerStopped, SessionEnded, SetpointRefused, Warned
from protocols.iso15118.iso20.secc_session import Evse, Verdict
from protocols.iso15118.iso20.types import EVSENotification
from protocols.iso15118.session import control_pilot
from protocols.iso15118.session.secc_engine import SeccEngine
from protocols.v2gtp import Frame, PayloadType

_ANSWERS: dict[str, Callable[..., Answer]] = {
    "SessionSetupReq": answer_session_setup,
    "ServiceDiscoveryReq": answer_service_discovery,
    "ServiceDetailReq": answer_service_detail,
    "PaymentServiceSelectionReq": answer_selection,
    "ServicePaymentSelectionReq": answer_selection,
    "AuthorizationReq": answer_authorization,
    "ContractAuthenticationReq": answer_authorization,
    "ChargeParameterDiscoveryReq": answer_charge_parameters,
    "CableCheckReq": answer_cable_check,
    "PreChargeReq": answer_pre_charge,
    "PowerDeliveryReq": answer_power_delivery,
    "CurrentDemandReq": answer_current_demand,
    "ChargingStatusReq": answer_charging_status,
    "WeldingDetectionReq": answer_welding_detection,
    "SessionStopReq": answer_session_stop,
}
_LOOPS = frozenset({"CurrentDemandReq", "ChargingStatusReq"})
_STOPS = frozenset({EVSENotification.Terminate, EVSENotification.Pause})


@frozen
class _Held:
    """A request whose response waits for the hardware until `by`."""

    name: str
    request: both.Message
    session_id: bytes
    by: float
    poll_at: float
    started: bool = False


class Secc(SeccEngine):
    """SECC of one connection. `dialects`: offered generations. `epoch`, `paused`, `draw` as in ISO 15118-20."""

    limits_live = True
    states_faults = True

    def __init__(
        self,
        settings: SeccSettings,
        now: float,
        *,
        dialects: Sequence[Dialect] = (ISO2, DIN),
        epoch: float = 0.0,
        paused: Mapping[bytes, Paused] | None = None,
        draw: Callable[[int], bytes] = secrets.token_bytes,
        evse: Evse | None = None,
    ) -> None:
        super().__init__(
            now, evse=evse, trace=settings.trace, setup=settings.setup_timeout, sequence=settings.sequence_timeout
        )
        self.settings = settings
        self.state = State.APP_PROTOCOL
        self.session = Session()
        self.dialect = dialects[0]
        self._dialects = dialects
        self._epoch = epoch
        self._paused: Mapping[bytes, Paused] = paused or {}
        self._held: _Held | None = None
        self._draw = draw
        self._refuse_discharge()

    def command(self, order: orders.SeccOrder, now: float) -> None:
        """Execute an order of the host; see `iso20/orders.py`. A negative set-point is refused."""
        super().command(order, now)
        if isinstance(order, orders.SetPower):
            self._refuse_discharge()
        elif isinstance(order, orders.ControlPilot) and not self.ended:
            if order.state in control_pilot.UNPLUGGED:
                self._end(f"the plug was pulled: control pilot in state {order.state}", ok=False)
            elif self.session.power_on and order.state not in control_pilot.POWER:
                self.session = replace(self.session, power_on=False)
                self._events.append(PowerStopped())

    def expire(self, now: float) -> list[Event]:
        """Process the passage of time."""
        held = self._held
        if held is not None and now >= min(held.poll_at, held.by) and not self.ended:
            self._held = replace(held, poll_at=now + timers.HOLD_POLL)
            self._answer(held.name, held.request, held.session_id, now)
        return super().expire(now)

    def deadline(self) -> float | None:
        """Return the time of the next `expire`."""
        by = super().deadline()
        return by if by is None or self._held is None else min(by, self._held.poll_at, self._held.by)

    def take_over(self, evse: Evse) -> None:
        """Serve the car of the connection with the present state of the hardware."""
        super().take_over(evse)
        self._refuse_discharge()

    def _refuse_discharge(self) -> None:
        wanted = self.evse.setpoint_w
        if wanted is not None and wanted < 0:
            self.evse.setpoint_w = 0.0
            self._events.append(SetpointRefused(wanted, f"{self.dialect.name} has no discharge"))

    def supports(self, notification: EVSENotification) -> bool:
        """Return True for a stop, and in ISO 15118-2 for a renegotiation; with DIN 70121 limits apply at once."""
        renegotiation = notification is EVSENotification.ScheduleRenegotiation
        return notification in _STOPS or (renegotiation and not self.dialect.is_din)

    def _notify(self, order: orders.Notify, now: float) -> None:
        if order.notification is not None and not self.supports(order.notification):
            raise LocalProtocolError(f"{self.dialect.name} has no notification {order.notification}")
        super()._notify(order, now)

    # one frame

    def protocols(self) -> list[Protocol]:
        fits = {True: bool(self.settings.dc_modes), False: bool(self.settings.dc_modes or self.settings.ac_modes)}
        return [one.protocol for one in self._dialects if fits[one.is_din]]

    def _agreed(self, agreement: Agreement) -> None:
        namespace = agreement.protocol.namespace
        self.dialect = next(one for one in self._dialects if one.protocol.namespace == namespace)
        self.session = replace(self.session, namespace=namespace)
        self.state = State.SESSION_SETUP

    def _take_message(self, received: Frame, now: float) -> None:
        if received.payload_type != PayloadType.SUPPORTED_APP_PROTOCOL or not received.well_formed:
            self._ignore(received)
            return
        try:
            session_id, request = self.dialect.decode(received.payload)
        except RemoteProtocolError as error:
            self._end(f"the car sent an invalid message: {error}", ok=False)
            return
        name = type(request).__name__
        if not is_request(name):
            self._ignore(received)
            return
        self._received(request, received.payload)
        self._held = None
        self._answer(name, request, session_id, now)

    def _answer(self, name: str, request: both.Message, session_id: bytes, now: float) -> None:
        try:
            possible = self._admit(name, session_id, now)
            answer = _ANSWERS[name](request, self.session, self._context(session_id, now))
            if answer.state not in possible:
                raise LocalProtocolError(f"{name} must not lead from {self.state} to {answer.state}")
        except Hold as hold:
            self._hold(hold, name, request, session_id, now)
            return
        except Refusal as refusal:
            self._refuse(refusal, name, now)
            return
        self._held = None
        self._follow(answer, now)
        self._respond(answer.response)

    def _hold(self, hold: Hold, name: str, request: both.Message, session_id: bytes, now: float) -> None:
        """Keep the request until the hardware is ready, or refuse it at the end of its time."""
        held = self._held or _Held(name, request, session_id, now + hold.within, now + timers.HOLD_POLL)
        if now >= held.by:
            self._refuse(hold.refusal, name, now)
            return
        if hold.events and not held.started:
            self._events.extend(hold.events)
            held = replace(held, started=True)
        self._held = held

    def _refuse(self, refusal: Refusal, name: str, now: float) -> None:
        self._held = None
        status = EMERGENCY if self._abort is not None else "EVSE_Shutdown"
        failed = ErrorResponses(self.dialect, self.settings, self.session, status)
        self._respond(failed.build(name, refusal.code))
        code = self.dialect.code(refusal.code)
        if refusal.fatal:
            self._close(refusal.why, code)
        else:
            self._events.append(Warned(name, code))
            self._next_by = now + self._sequence

    def _context(self, session_id: bytes, now: float) -> RequestContext:
        return RequestContext(
            dialect=self.dialect,
            settings=self.settings,
            evse=self.evse,
            state=self.state,
            now=now,
            wall_s=self._epoch + now,
            session_id=session_id,
            started=self._held is not None and self._held.started,
            draw=self._draw,
            paused=self._paused,
        )

    def _admit(self, name: str, session_id: bytes, now: float) -> frozenset[State]:
        """Return the states to which this request may lead. Raises Refusal if it is not permitted now.

        A wrong session id and a wrong sequence at once: ISO 15118-2 reports the sequence, DIN the session. An all-zero
        session id is that of no session.
        """
        if self._abort is not None:
            raise Refusal("FAILED", self._abort)
        follows = self.dialect.tables[self.session.choice is None or self.session.choice.is_dc]
        possible = follows.get(self.state, {}).get(name) or tolerated(self.state, name, self.settings.tolerances)
        foreign = self.state is not State.SESSION_SETUP and session_id != self.session.session_id
        if foreign and (self.dialect.is_din or possible is not None):
            raise Refusal("FAILED_UnknownSession", "the session id is not that of this session")
        if possible is None:
            raise Refusal("FAILED_SequenceError", f"{name} in state {self.state.value!r}")
        ignored = self._lapsed(now) if name in _LOOPS else None
        if ignored is not None:
            raise Refusal("FAILED", f"the car ignored the notification {ignored}")
        if name in _LOOPS:
            self._renegotiate_before_end(now)
        return possible

    def _renegotiate_before_end(self, now: float) -> None:
        """Request new schedules before the selected one ends (V2G2-305)."""
        offer, notice = self.session.offer, EVSENotification.ScheduleRenegotiation
        if offer is None or self.session.ending or self.evse.notification is not None or not self.supports(notice):
            return
        left = ends_in(offer, self._epoch + now)
        if 0 < left < self.settings.renegotiate_before_s:
            self.session = replace(self.session, ending=True)
            self._notify(orders.Notify(notice, max(0, int(left))), now)

    def _follow(self, answer: Answer, now: float) -> None:
        if answer.state is State.CHARGE_PARAMETERS and self.state is State.CHARGE_LOOP:
            self.evse.insulation, self.evse.schedules = Verdict.WAITING, None  # renegotiation
        self.state, self.session = answer.state, answer.session
        self._events.extend(answer.events)
        if self.evse.notification in answer.reacted_to:
            self.evse.notification = self._react_by = None
        if self.state is not State.SESSION_SETUP:
            self._setup_by = None
        self._next_by = now + self._sequence
        if self.state is State.ENDED:
            self._stopped = True
            self._end_reported = any(isinstance(event, SessionEnded) for event in answer.events)
            self._next_by = now + timers.CLOSE_AFTER_STOP

    def _respond(self, response: both.Message) -> None:
        self._send(self.dialect.encode(self.session.session_id, response), response)

    def _finish(self) -> State:
        before, self.state = self.state, State.ENDED
        return before
