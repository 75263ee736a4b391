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

from protocols.errors import LocalProtocolError, RemoteProtocolError
from protocols.iso15118 import app_protocol
from protocols.iso15118.iso20 import messages, orders, states, timers
from protocols.iso15118.iso20.error_responses import error_response, has_error_response
from protocols.iso15118.iso20.events import (
    Paused,
    SessionEnded,
    Warned,
)
from protocols.iso15118.iso20.loop_memory import SeccMemory
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
from protocols.iso15118.iso20.secc_session import (
    Answer,
    Evse,
    Refusal,
    RequestContext,
    SeccSettings,
    Session,
    VehicleCertificate,
)
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
from protocols.iso15118.session.secc_engine import SeccEngine
from protocols.latest import Latest
from protocols.v2gtp import Frame, PayloadType

_ANSWERS: dict[str, Callable[..., Answer]] = {
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
_PARALLEL = frozenset(messages.STREAMS.values())


class Secc(SeccEngine):
    """SECC of one connection.

    `epoch` is the Unix time (UTC) at engine time 0. `paused` holds the data of paused sessions, by session id.
    `certificate` of the vehicle and `tls` describe the connection. `draw` returns random bytes.
    """

    def __init__(
        self,
        settings: SeccSettings,
        now: float,
        *,
        epoch: float = 0.0,
        paused: Mapping[bytes, Paused] | None = None,
        certificate: VehicleCertificate | None = None,
        tls: bool = False,
        draw: Callable[[int], bytes] = secrets.token_bytes,
        evse: Evse | None = None,
    ) -> None:
        super().__init__(
            now, evse=evse, trace=settings.trace, setup=settings.setup_timeout, sequence=settings.sequence_timeout
        )
        self.settings = settings
        self.state = State.APP_PROTOCOL
        self.session = Session()
        self._epoch = epoch
        self._paused: Mapping[bytes, Paused] = paused or {}
        self._certificate = certificate
        self._tls = tls
        self._draw = draw
        self._follows: states.Follows = states.DC
        self._frames = messages.Frames()
        self._header = Latest(messages.header_of)
        self._memory = SeccMemory()

    # one frame

    def _take_message(self, received: Frame, now: float) -> None:
        try:
            message = self._frames.decode(received)
        except RemoteProtocolError as error:
            self._end(f"the car sent an invalid message: {error}", ok=False)
            return
        if not isinstance(message, V2GRequest) or not has_error_response(type(message).__name__):
            self._ignore(received)
            return
        self._received(message, received.payload)
        self._answer(message, received.payload_type, now)

    def _agreed(self, agreement: app_protocol.Agreement) -> None:
        namespace = agreement.protocol.namespace
        self._follows = states.DC if namespace == app_protocol.NAMESPACE_DC else states.AC
        self.session = replace(self.session, namespace=namespace)
        self.state = State.SESSION_SETUP

    def protocols(self) -> list[app_protocol.Protocol]:
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
        header = self._header(self.session.session_id, messages.timestamp(wall))
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
                memory=self._memory,
                draw=self._draw,
                paused=self._paused,
                certificate=self._certificate,
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
                self._close(refusal.why, refusal.code)
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
        parallel = messages.STREAMS.get(payload_type)
        belongs_parallel = self.state is State.CHARGE_LOOP and name in _PARALLEL
        if (
            possible is None
            or name not in _ANSWERS
            or (parallel is not None) is not belongs_parallel
            or (parallel is not None and parallel != name)
        ):
            raise Refusal(ResponseCode.FAILED_SequenceError, f"{name} in state {self.state.value!r}")
        ignored = self._lapsed(now) if name in _LOOPS else None
        if ignored is not None:
            raise Refusal(ResponseCode.FAILED, f"the car ignored the notification {ignored}")
        return possible

    def _follow(self, answer: Answer, now: float) -> None:
        self.state, self.session = answer.state, answer.session
        self._events.extend(answer.events)
        if self.evse.notification in answer.reacted_to:
            self.evse.notification = None
            self._react_by = None
        if self.state is not State.SESSION_SETUP:
            self._setup_by = None
        if self.state is State.ENDED:
            self._stopped = True
            self._end_reported = any(isinstance(event, SessionEnded) for event in answer.events)

    def _wait_for_next(self, name: str, now: float) -> None:
        if self.state is State.ENDED:
            self._next_by = now + timers.CLOSE_AFTER_STOP
        elif name in _LOOPS:
            self._next_by = now + self.settings.loop_timeout
        elif self.state is State.CHARGE_LOOP and name in _PARALLEL:
            return  # a stream has its own request-response sequence and does not keep the loop alive
        else:
            self._next_by = now + self.settings.sequence_timeout

    # sending and ending

    def _respond(self, response: V2GResponse, payload_type: int) -> None:
        stream = PayloadType(payload_type) if payload_type in messages.STREAMS else None
        self._send(self._frames.encode(response, stream), response)

    def _finish(self) -> State:
        before, self.state = self.state, State.ENDED
        return before

    # orders

    def _notify(self, order: orders.Notify, now: float) -> None:
        if order.notification is EVSENotification.ServiceRenegotiation and not self.settings.service_renegotiation:
            raise LocalProtocolError("service renegotiation was not offered to the car")
        super()._notify(order, now)
