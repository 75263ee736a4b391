"""The SECC engine: the charger's side of one ISO 15118-20 connection, from the handshake to the end.

Bytes, orders and time in; bytes, events and a deadline out (`receive`, `command`, `expire`, `data_to_send`,
`deadline`). One engine serves one connection; a resumed session is another engine that receives the data of the
previous one (`SessionPaused`). Responses are in `secc_setup.py`, `secc_energy.py` and `secc_loop.py`, permitted
sequences in `states.py`. The charger itself is in `emulators/charger`, or real hardware behind the same orders.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from protocols.errors import LocalProtocolError, RemoteProtocolError
from protocols.iso15118 import app_protocol
from protocols.iso15118.app_protocol_messages import supportedAppProtocolReq
from protocols.iso15118.iso20 import messages, orders, states, timers
from protocols.iso15118.iso20.connection import Connection
from protocols.iso15118.iso20.error_responses import error_response, has_error_response
from protocols.iso15118.iso20.events import (
    Event,
    FrameIgnored,
    NotificationIgnored,
    Paused,
    ProtocolAgreed,
    SessionEnded,
    Warned,
)
from protocols.iso15118.iso20.secc_energy import (
    answer_ac_discovery,
    answer_cable_check,
    answer_dc_discovery,
    answer_pre_charge,
    answer_schedule_exchange,
)
from protocols.iso15118.iso20.secc_loop import (
    answer_ac_loop,
    answer_dc_loop,
    answer_power_delivery,
    answer_session_stop,
    answer_welding_detection,
)
from protocols.iso15118.iso20.secc_metering import answer_metering_confirmation
from protocols.iso15118.iso20.secc_orders import apply_order
from protocols.iso15118.iso20.secc_session import Answer, Evse, Refusal, RequestContext, SeccSettings, Session
from protocols.iso15118.iso20.secc_setup import (
    answer_authorization,
    answer_authorization_setup,
    answer_service_detail,
    answer_service_discovery,
    answer_service_selection,
    answer_session_setup,
)
from protocols.iso15118.iso20.services import DC_SERVICES
from protocols.iso15118.iso20.states import State
from protocols.iso15118.iso20.types import EVSENotification, ResponseCode, V2GRequest, V2GResponse
from protocols.v2gtp import Frame, FramingError, PayloadType

_ANSWERS: dict[str, Callable[[Any, Session, RequestContext], Answer]] = {
    "SessionSetupReq": answer_session_setup,
    "AuthorizationSetupReq": answer_authorization_setup,
    "AuthorizationReq": answer_authorization,
    "ServiceDiscoveryReq": answer_service_discovery,
    "ServiceDetailReq": answer_service_detail,
    "ServiceSelectionReq": answer_service_selection,
    "DC_ChargeParameterDiscoveryReq": answer_dc_discovery,
    "AC_ChargeParameterDiscoveryReq": answer_ac_discovery,
    "ScheduleExchangeReq": answer_schedule_exchange,
    "DC_CableCheckReq": answer_cable_check,
    "DC_PreChargeReq": answer_pre_charge,
    "PowerDeliveryReq": answer_power_delivery,
    "DC_ChargeLoopReq": answer_dc_loop,
    "AC_ChargeLoopReq": answer_ac_loop,
    "MeteringConfirmationReq": answer_metering_confirmation,
    "DC_WeldingDetectionReq": answer_welding_detection,
    "SessionStopReq": answer_session_stop,
}
_LOOPS = frozenset({"DC_ChargeLoopReq", "AC_ChargeLoopReq"})
_MUST_END = frozenset({EVSENotification.Terminate, EVSENotification.Pause, EVSENotification.ServiceRenegotiation})
GRACE = 1.0  # s beyond NotificationMaxDelay until the session of an unresponsive EV is ended


class Secc(Connection):
    """SECC of one connection.

    `epoch` is the Unix time (UTC) at engine time 0. `paused` holds the data of paused sessions, by session id.
    `vehicle_certificate` (DER), its common name and `tls` describe the connection. `draw` returns random bytes.
    """

    def __init__(
        self,
        settings: SeccSettings,
        now: float,
        *,
        epoch: float = 0.0,
        paused: Mapping[bytes, Paused] | None = None,
        vehicle_certificate: bytes | None = None,
        vehicle_name: str | None = None,
        tls: bool = False,
        draw: Callable[[int], bytes] = secrets.token_bytes,
        evse: Evse | None = None,
    ) -> None:
        super().__init__(settings.trace)
        self.settings = settings
        self.state = State.APP_PROTOCOL
        self.session = Session()
        self.evse = evse or Evse()
        self._epoch = epoch
        self._paused: Mapping[bytes, Paused] = paused or {}
        self._certificate = vehicle_certificate
        self._vehicle_name = vehicle_name
        self._tls = tls
        self._draw = draw
        self._setup_by: float | None = now + settings.setup_timeout
        self._next_by = now + settings.sequence_timeout
        self._react_by: float | None = None
        self._abort: str | None = None
        self._follows: states.Follows = states.DC
        self._end_reported = False

    # the engine contract

    def receive(self, data: bytes, now: float) -> list[Event]:
        """Process bytes from the EV; b"" is the end of the stream."""
        if self.ended:
            return self._take_events()
        if not data:
            self._end("the car closed the connection", ok=False)
            return self._take_events()
        try:
            frames = self._framer.feed(data)
        except FramingError as error:
            self._end(str(error), ok=False)
            return self._take_events()
        for received in frames:
            if self.ended or self.state is State.ENDED:
                break
            self._take(received, now)
        return self._take_events()

    def command(self, order: orders.SeccOrder, now: float) -> None:
        """Execute an order of the host; see `orders.py`."""
        if isinstance(order, orders.Notify):
            self._notify(order, now)
        elif isinstance(order, orders.Abort):
            self._abort_by(order)
        else:
            apply_order(self.evse, order)

    def expire(self, now: float) -> list[Event]:
        """Process the passage of time."""
        if self.ended:
            return self._take_events()
        if self.state is State.ENDED:
            if now >= self._next_by:
                self.ended = True
        elif self._setup_by is not None and now >= self._setup_by:
            self._end("the car did not set up a session in time", ok=False)
        elif now >= self._next_by:
            self._end("no request from the car in time (sequence timeout)", ok=False)
        return self._take_events()

    def deadline(self) -> float | None:
        if self.ended:
            return None
        if self._setup_by is not None and self.state is not State.ENDED:
            return min(self._setup_by, self._next_by)
        return self._next_by

    def postpone_timeout(self, seconds: float) -> float:
        """Postpone the sequence timeout (negative: advance it); return its time."""
        self._next_by += seconds
        return self._next_by

    # one frame

    def _take(self, received: Frame, now: float) -> None:
        if self.state is State.APP_PROTOCOL:
            if received.payload_type == PayloadType.SUPPORTED_APP_PROTOCOL and received.well_formed:
                self._shake_hands(received.payload, now)
            else:
                self._events.append(FrameIgnored(received.payload_type, len(received.payload)))
            return
        try:
            message = messages.decode(received)
        except RemoteProtocolError as error:
            self._end(f"the car sent an invalid message: {error}", ok=False)
            return
        if not isinstance(message, V2GRequest) or not has_error_response(type(message).__name__):
            self._events.append(FrameIgnored(received.payload_type, len(received.payload)))
            return
        self._received(message, received.payload)
        self._answer(message, received.payload_type, now)

    def _shake_hands(self, payload: bytes, now: float) -> None:
        try:
            offered = app_protocol.decode(payload)
        except RemoteProtocolError as error:
            self._end(f"invalid handshake message: {error}", ok=False)
            return
        if not isinstance(offered, supportedAppProtocolReq):
            self._events.append(FrameIgnored(PayloadType.SUPPORTED_APP_PROTOCOL, len(payload)))
            return
        response, agreement = app_protocol.choose(offered, self._protocols())
        self._received(offered, payload)
        self._send(app_protocol.encode(response), response)
        self._next_by = now + self.settings.sequence_timeout
        if agreement is None:
            self._close("car and charger have no protocol in common", now)
            return
        namespace = agreement.protocol.namespace
        self._follows = states.DC if namespace == app_protocol.NAMESPACE_DC else states.AC
        self.session = replace(self.session, namespace=namespace)
        self.state = State.SESSION_SETUP
        self._events.append(ProtocolAgreed(namespace, agreement.minor_deviation))

    def _protocols(self) -> list[app_protocol.Protocol]:
        if self.settings.tls_required and not self._tls:
            return []
        services = {one.service for one in self.settings.offers}
        spoken: list[app_protocol.Protocol] = []
        if services & DC_SERVICES:
            spoken.append(app_protocol.ISO20_DC)
        if services - DC_SERVICES:
            spoken.append(app_protocol.ISO20_AC)
        return spoken

    def _answer(self, request: V2GRequest, payload_type: int, now: float) -> None:
        name = type(request).__name__
        wall = self._epoch + now
        header = messages.header(self.session.session_id, wall)
        answer: Answer | None = None
        try:
            possible = self._admit(name, request, payload_type, now)
            context = RequestContext(
                settings=self.settings,
                evse=self.evse,
                state=self.state,
                now=now,
                wall_s=wall,
                header=header,
                draw=self._draw,
                paused=self._paused,
                vehicle_certificate=self._certificate,
                vehicle_name=self._vehicle_name,
                stream=payload_type in messages.STREAMS,
            )
            answer = _ANSWERS[name](request, self.session, context)
            if answer.state not in possible:
                raise LocalProtocolError(f"{name} must not lead from {self.state} to {answer.state}")
            response = answer.response
        except Refusal as refusal:
            response = error_response(name, header, refusal.code)
            if refusal.code.startswith("FAILED"):
                self._respond(response, payload_type)
                self._close(refusal.why, now, refusal.code)
                return
            self._events.append(Warned(name, refusal.code))
        self._respond(response, payload_type)
        if answer is not None:
            self._follow(answer, now)
        self._wait_for_next(name, now)

    def _admit(self, name: str, request: V2GRequest, payload_type: int, now: float) -> frozenset[State]:
        """Return the states to which this request may lead. Raises Refusal if it is not permitted now."""
        if self.state is not State.SESSION_SETUP and request.Header.SessionID != self.session.session_id:
            raise Refusal(ResponseCode.FAILED_UnknownSession, "the session id is not that of this session")
        if self._abort is not None:
            raise Refusal(ResponseCode.FAILED, self._abort)
        possible = self._follows.get(self.state, {}).get(name)
        parallel = messages.STREAMS.get(PayloadType(payload_type))
        belongs_parallel = self.state is State.CHARGE_LOOP and name in messages.STREAMS.values()
        if (
            possible is None
            or name not in _ANSWERS
            or (parallel is not None) is not belongs_parallel
            or (parallel is not None and parallel != name)
        ):
            raise Refusal(ResponseCode.FAILED_SequenceError, f"{name} in state {self.state.value!r}")
        if self._react_by is not None and now >= self._react_by and name in _LOOPS:
            self._lapse()
        return possible

    def _lapse(self) -> None:
        """Process an expired notification: mandatory ones end the session, others are dropped."""
        notification = self.evse.notification
        self._react_by = None
        if notification is None:
            return
        self._events.append(NotificationIgnored(notification))
        if notification in _MUST_END:
            raise Refusal(ResponseCode.FAILED, f"the car ignored the notification {notification}")
        self.evse.notification = None

    def _follow(self, answer: Answer, now: float) -> None:
        self.state, self.session = answer.state, answer.session
        self._events.extend(answer.events)
        if self.evse.notification in answer.reacted_to:
            self.evse.notification = None
            self._react_by = None
        if self.state is not State.SESSION_SETUP:
            self._setup_by = None
        if self.state is State.ENDED:
            self._end_reported = any(isinstance(event, SessionEnded) for event in answer.events)

    def _wait_for_next(self, name: str, now: float) -> None:
        if self.state is State.ENDED:
            self._next_by = now + timers.CLOSE_AFTER_STOP
        elif name in _LOOPS:
            self._next_by = now + self.settings.loop_timeout
        elif self.state is State.CHARGE_LOOP and name in messages.STREAMS.values():
            return  # a stream has its own request-response sequence and does not keep the loop alive
        else:
            self._next_by = now + self.settings.sequence_timeout

    # sending and ending

    def _respond(self, response: V2GResponse, payload_type: int) -> None:
        stream = PayloadType(payload_type) if payload_type in messages.STREAMS else None
        self._send(messages.encode(response, stream), response)

    def _close(self, reason: str, now: float, code: ResponseCode | None = None) -> None:
        """Send a FAILED response, which is fatal: the connection ends after it."""
        state = self.state
        self.state, self.ended = State.ENDED, True
        self._report_end(reason, ok=False, code=code, state=state)

    def _end(self, reason: str, *, ok: bool) -> None:
        """End the connection without another response."""
        state = self.state
        self.state, self.ended = State.ENDED, True
        self._report_end(reason, ok=ok, code=None, state=state)

    def _report_end(self, reason: str, *, ok: bool, code: ResponseCode | None, state: State) -> None:
        if not self._end_reported:
            self._end_reported = True
            self._events.append(SessionEnded(reason=reason, ok=ok, code=code, state=state))

    # orders

    def _notify(self, order: orders.Notify, now: float) -> None:
        if order.notification is EVSENotification.ServiceRenegotiation and not self.settings.service_renegotiation:
            raise LocalProtocolError("service renegotiation was not offered to the car")
        self.evse.notification, self.evse.notification_delay_s = order.notification, order.within_s
        self._react_by = None if order.notification is None else now + order.within_s + GRACE

    def _abort_by(self, order: orders.Abort) -> None:
        if order.silent:
            self._end(order.reason, ok=False)
        else:
            self._abort = order.reason
