"""The EVCC engine: the EV's side of one ISO 15118-20 connection, from the handshake to the end.

Bytes, orders and time in; bytes, events and a deadline out. Requests are sent in `expire` when they are due, so that
the host can update the EV's state (`CarState`) between a response and the next request. Requests are in
`evcc_requests.py`, reactions in `evcc_setup.py`, `evcc_energy.py` and `evcc_loop.py`, permitted sequences in
`states.py`. The streams parallel to the loop (schedule renegotiation, meter confirmation) have their own
request-response sequence here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from protocols.errors import LocalProtocolError, RemoteProtocolError
from protocols.iso15118 import app_protocol
from protocols.iso15118.iso20 import messages, orders, timers
from protocols.iso15118.iso20.common import ChargingSession, ScheduleExchangeRes
from protocols.iso15118.iso20.evcc_energy import (
    on_ac_parameters,
    on_cable_check,
    on_dc_parameters,
    on_power_start,
    on_power_stop,
    on_pre_charge,
    on_renegotiation,
    on_schedules,
    on_standby,
)
from protocols.iso15118.iso20.evcc_loop import on_ac_loop, on_dc_loop, on_session_stop, on_welding_detection
from protocols.iso15118.iso20.evcc_requests import build, metering_confirmation, planned_power
from protocols.iso15118.iso20.evcc_session import EvccContext, EvccSettings, EvSession, Reaction
from protocols.iso15118.iso20.evcc_setup import (
    on_authorization,
    on_authorization_setup,
    on_service_detail,
    on_service_discovery,
    on_service_selection,
    on_session_setup,
    terminate,
)
from protocols.iso15118.iso20.events import (
    Event,
    FrameIgnored,
    MeterConfirmed,
)
from protocols.iso15118.iso20.loop_memory import EvccMemory
from protocols.iso15118.iso20.services import DC_SERVICES
from protocols.iso15118.iso20.states import NEXT_STEPS, Step
from protocols.iso15118.iso20.types import V2GResponse
from protocols.iso15118.session.evcc_engine import EndConnection, EvccEngine, soonest
from protocols.latest import Latest
from protocols.v2gtp import Frame, PayloadType

_REACTIONS: dict[str, Callable[..., Reaction]] = {
    "SessionSetupRes": on_session_setup,
    "AuthorizationSetupRes": on_authorization_setup,
    "AuthorizationRes": on_authorization,
    "ServiceDiscoveryRes": on_service_discovery,
    "ServiceDetailRes": on_service_detail,
    "ServiceSelectionRes": on_service_selection,
    "DC_ChargeParameterDiscoveryRes": on_dc_parameters,
    "AC_ChargeParameterDiscoveryRes": on_ac_parameters,
    "ScheduleExchangeRes": on_schedules,
    "DC_CableCheckRes": on_cable_check,
    "DC_PreChargeRes": on_pre_charge,
    "DC_ChargeLoopRes": on_dc_loop,
    "AC_ChargeLoopRes": on_ac_loop,
    "DC_WeldingDetectionRes": on_welding_detection,
    "SessionStopRes": on_session_stop,
}
_POWER_REACTIONS: dict[Step, Callable[..., Reaction]] = {
    Step.POWER_START: on_power_start,
    Step.RENEGOTIATION: on_renegotiation,
    Step.POWER_STANDBY: on_standby,
    Step.POWER_STOP: on_power_stop,
}
_ONGOING = {
    Step.AUTHORIZATION: timers.ONGOING,
    Step.SCHEDULE_EXCHANGE: timers.ONGOING,
    Step.SCHEDULE_AGAIN: timers.ONGOING,
    Step.CABLE_CHECK: timers.CABLE_CHECK,
    Step.PRE_CHARGE: timers.PRE_CHARGE,
}
_LOOP = frozenset({Step.CHARGE_LOOP, Step.STANDBY})
_LEAVING = frozenset({Step.POWER_STOP, Step.WELDING_DETECTION, Step.SESSION_STOP, Step.ENDED})
_TOO_EARLY = frozenset({Step.APP_PROTOCOL, Step.SESSION_SETUP})


class Evcc(EvccEngine):
    """EVCC of one connection. `epoch` is the Unix time (UTC) at engine time 0; `car` is the present state of the EV."""

    def __init__(self, settings: EvccSettings, car: orders.CarState, now: float, *, epoch: float = 0.0) -> None:
        if not settings.services:
            raise LocalProtocolError("at least one service is required")
        if settings.loop_interval > timers.REQUEST_WITHIN_LOOP:
            raise LocalProtocolError(f"the loop interval must not exceed {timers.REQUEST_WITHIN_LOOP} s")
        super().__init__(
            now, trace=settings.trace, setup=timers.COMMUNICATION_SETUP, timeout_factor=settings.timeout_factor
        )
        self.settings = settings
        self.car = car
        self.step = Step.APP_PROTOCOL
        self.session = EvSession()
        self._epoch = epoch
        self._stream_due: float | None = None
        self._stream_by: float | None = None
        self._parallel_request = "ScheduleExchangeReq"  # last request parallel to the loop
        self.ordered_step: Step | None = None  # a step ordered by the host, taken in the next loop
        self._frames = messages.Frames()
        self._header = Latest(messages.header_of)
        self._memory = EvccMemory()

    # the engine contract

    def command(self, order: orders.EvccOrder, now: float) -> None:
        """Execute an order of the host; see `orders.py`. Raises LocalProtocolError if it does not fit the state."""
        if isinstance(order, orders.CarState):
            self.car = order
        elif isinstance(order, orders.Stop):
            if self.session.stop is None:
                self.session = replace(self.session, stop=order)
        elif isinstance(order, orders.Abort):
            self._end(order.reason)
        elif isinstance(order, orders.EnterStandby):
            self._request_step(Step.POWER_STANDBY, Step.CHARGE_LOOP)
        elif isinstance(order, orders.LeaveStandby):
            self._request_step(Step.POWER_START, Step.STANDBY)
        elif isinstance(order, orders.SelectChannel):
            self._request_step(Step.POWER_START, Step.CHARGE_LOOP)
            self.session = replace(self.session, discharge_channel=order.discharge)
        elif isinstance(order, orders.Renegotiate):
            if order.multiplexed and self.step is Step.CHARGE_LOOP:
                self.session = replace(self.session, renegotiating=True)
                if self._stream_by is None:
                    self._stream_due = now
            else:
                self._request_step(Step.RENEGOTIATION, Step.CHARGE_LOOP)
        else:
            raise LocalProtocolError(f"{type(order).__name__} is not an order for an EVCC")

    def expire(self, now: float) -> list[Event]:
        """Process the passage of time: send due requests, or end the session on a time-out."""
        if not self.ended and self._stream_by is not None and now >= self._stream_by:
            self._end("no response parallel to the charge loop in time")
        reported = super().expire(now)
        if self._stream_due is not None and now >= self._stream_due and not self.ended:
            self._send_parallel(now)
            reported += self._take_events()
        return reported

    def deadline(self) -> float | None:
        """Return the time of the next `expire`."""
        due = super().deadline()
        if self.ended or (self._stream_due is None and self._stream_by is None):
            return due
        return soonest(due, soonest(self._stream_due, self._stream_by))

    def _phase_expired(self, now: float) -> None:
        self.session = terminate(self.session, "timeout", f"the charger exceeded the time limit: {self.step.value}")
        self._go(self._divert(self.step), now)

    def planned_power(self, now: float) -> float:
        """Return the signed W of the EV's own profile in scheduled control; 0 in dynamic control."""
        choice = self.session.choice
        if choice is None or choice.is_dynamic or not self.session.power_on or self.session.standby:
            return 0.0
        return planned_power(self.session, self._context(now))

    # requests

    def _context(self, now: float) -> EvccContext:
        wall = self._epoch + now
        return EvccContext(
            settings=self.settings,
            car=self.car,
            step=self.step,
            now=now,
            wall_s=wall,
            header=self._header(self.session.session_id, messages.timestamp(wall)),
            memory=self._memory,
        )

    def _send_request(self, now: float) -> None:
        self.step = self._divert(self.step)
        if self.step is Step.POWER_START:
            self.session = replace(self.session, starts=self.car.ready)
        request = build(self.session, self._context(now))
        self._awaited = type(request).__name__
        self._answer_by = now + timers.message_timeout(self._awaited) * self.settings.timeout_factor
        self._send(self._frames.encode(request), request)

    def _send_parallel(self, now: float) -> None:
        """Send the next request of a stream parallel to the loop: schedules first, then the meter."""
        self._stream_due = None
        if self.step is not Step.CHARGE_LOOP:
            return
        context = replace(self._context(now), step=Step.SCHEDULE_AGAIN)
        if self.session.renegotiating:
            request, stream = build(self.session, context), PayloadType.ISO20_SCHEDULE_STREAM
        elif self.session.confirming:
            request, stream = metering_confirmation(self.session, context), PayloadType.ISO20_METERING_STREAM
        else:
            return
        self._parallel_request = type(request).__name__
        self._stream_by = now + timers.message_timeout(self._parallel_request) * self.settings.timeout_factor
        self._send(messages.encode(request, stream), request)

    def protocols(self) -> list[app_protocol.Protocol]:
        """Return the protocols in the order of the requested services."""
        protocols = [
            app_protocol.ISO20_DC if service in DC_SERVICES else app_protocol.ISO20_AC
            for service in self.settings.services
        ]
        return list(dict.fromkeys(protocols))

    # responses

    def _take_message(self, received: Frame, now: float) -> None:
        try:
            message = self._frames.decode(received)
        except RemoteProtocolError as error:
            raise EndConnection(f"the charger sent an invalid message: {error}") from error
        if not isinstance(message, V2GResponse):
            self._events.append(FrameIgnored(received.payload_type, len(received.payload)))
            return
        self._received(message, received.payload)
        parallel = received.payload_type in messages.STREAMS
        name = type(message).__name__
        request = self._parallel_request if parallel else self._awaited
        expected = messages.RESPONSE_NAMES.get(request, "nothing")  # right after the handshake no request is open
        awaited = self._stream_by is not None if parallel else self._answer_by is not None
        if not awaited or name != expected:
            raise EndConnection(f"the charger sent {name} instead of {expected}")
        if self.step is not Step.SESSION_SETUP and message.Header.SessionID != self.session.session_id:
            raise EndConnection("the charger's session id is not that of this session")
        if message.ResponseCode.startswith("FAILED"):
            self._end(f"the charger responded to {self._awaited} with {message.ResponseCode}", message.ResponseCode)
            return
        if parallel:
            self._take_parallel(message, now)
            return
        self._answer_by = None
        react = _POWER_REACTIONS[self.step] if self.step in _POWER_REACTIONS else _REACTIONS[name]
        self._follow(react(message, self.session, self._context(now)), now)

    def _begin(self, agreement: app_protocol.Agreement, now: float) -> None:
        self.session = replace(self.session, namespace=agreement.protocol.namespace)
        self._go(Step.SESSION_SETUP, now)

    def _take_parallel(self, message: V2GResponse, now: float) -> None:
        self._stream_by = None
        if not isinstance(message, ScheduleExchangeRes):
            self.session = replace(self.session, confirming=False)
            self._events.append(MeterConfirmed(message.ResponseCode))
            return
        reaction = on_schedules(message, self.session, self._context(now))
        self.session = reaction.session
        self._events.extend(reaction.events)
        if reaction.poll:
            self._stream_due = now + self.settings.poll_interval

    def _follow(self, reaction: Reaction, now: float) -> None:
        wanted_before = self.session.renegotiating or self.session.confirming
        self.session = reaction.session
        self._events.extend(reaction.events)
        if self.step is Step.SESSION_SETUP:
            self._setup_by = None
        step, poll = reaction.step, reaction.poll
        if self.step in _LOOP and step in _LOOP:
            if self.ordered_step is not None:
                step, self.ordered_step, poll = self.ordered_step, None, False
            elif self.session.renegotiated and self._stream_by is None:
                step, poll = Step.RENEGOTIATION, False
            elif (self.session.renegotiating or self.session.confirming) and not wanted_before:
                self._stream_due = now if self._stream_by is None else None
        diverted = self._divert(step)
        if diverted is not step:
            poll = False
        if diverted is not Step.ENDED and diverted not in NEXT_STEPS[self.step]:
            raise LocalProtocolError(f"no step from {self.step} to {diverted}")
        self._go(diverted, now, poll=poll)
        if self.step is Step.ENDED:
            self.ended = True

    def _divert(self, step: Step) -> Step:
        """Return the step to which a pending stop leads instead."""
        stop = self.session.stop
        if stop is None or step in _LEAVING or step in _TOO_EARLY:
            return step
        if self.session.power_on:
            return Step.POWER_STOP
        allowed = stop.kind is ChargingSession.Terminate or self.session.pause_offered
        if not allowed:
            self.session = replace(self.session, stop=replace(stop, kind=ChargingSession.Terminate))
        return Step.SESSION_STOP

    def _go(self, step: Step, now: float, *, poll: bool = False) -> None:
        if step is not self.step or self.session.waits_for_customer:
            limit = None if self.session.waits_for_customer else _ONGOING.get(step)
            self._phase_by = None if limit is None else now + limit
        elif self._phase_by is None and step in _ONGOING and not self.session.waits_for_customer:
            self._phase_by = now + _ONGOING[step]
        if step not in _LOOP:
            self._stream_due = self._stream_by = None
            if step is not Step.RENEGOTIATION:
                self.session = (
                    replace(self.session, renegotiating=False) if self.session.renegotiating else self.session
                )
        pause = self.settings.loop_interval if step in _LOOP else self.settings.poll_interval
        self.step = step
        self._due = None if step is Step.ENDED else now + (pause if poll else 0.0)

    def _request_step(self, step: Step, only_in: Step) -> None:
        if self.step is not only_in:
            raise LocalProtocolError(
                f"{step.value!r} is possible only in {only_in.value!r}, not in {self.step.value!r}"
            )
        self.ordered_step = step

    def _finish(self) -> None:
        self.step = Step.ENDED
