"""Base of the SECC engines of all generations: bytes, handshake, timers, notifications and the end of a session.

A generation adds its messages: `protocols` (what it offers), `_agreed` (the handshake's choice), `_take_message`
(decode a frame and respond). Independent of message types. Source of the timers: sequence timeout V2G2-443 and
V2G20-443, communication setup V2G2-716, V2G2-723; one handshake for each connection.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

from protocols.errors import RemoteProtocolError
from protocols.iso15118 import app_protocol, diagnosis
from protocols.iso15118.app_protocol import Agreement, Protocol
from protocols.iso15118.app_protocol_messages import supportedAppProtocolReq
from protocols.iso15118.iso20 import orders
from protocols.iso15118.iso20.events import Event, FrameIgnored, NotificationIgnored, ProtocolAgreed, SessionEnded
from protocols.iso15118.iso20.secc_orders import apply_order
from protocols.iso15118.iso20.secc_session import Evse
from protocols.iso15118.iso20.types import EVSENotification
from protocols.iso15118.session.connection import Connection
from protocols.v2gtp import Frame, FramingError, PayloadType

MUST_END = frozenset({EVSENotification.Terminate, EVSENotification.Pause, EVSENotification.ServiceRenegotiation})
GRACE = 1.0  # s beyond NotificationMaxDelay until the session of an unresponsive EV is ended


class SeccEngine(Connection):
    """SECC of one connection; `setup` and `sequence` in s. `limits_live`: limits apply without new schedules."""

    limits_live = False
    states_faults = False  # reported hardware faults end the power of a session

    def __init__(self, now: float, *, evse: Evse | None, trace: bool, setup: float, sequence: float) -> None:
        super().__init__(trace)
        self.evse = evse or Evse()
        self._sequence = sequence
        self._shaken = False
        self._stopped = False  # the session is over; only the close of the connection is awaited
        self._setup_by: float | None = now + setup
        self._next_by = now + sequence
        self._react_by: float | None = None
        self._abort: str | None = None
        self._end_reported = False

    # of a generation

    def protocols(self) -> Sequence[Protocol]:
        """Return the protocols that this SECC supports on this connection."""
        raise NotImplementedError

    def _agreed(self, agreement: Agreement) -> None:
        """Begin with the protocol of the handshake."""
        raise NotImplementedError

    def _take_message(self, received: Frame, now: float) -> None:
        """Respond to the message of a frame."""
        raise NotImplementedError

    def _finish(self) -> StrEnum | None:
        """Enter the last state; return the one before it."""
        raise NotImplementedError

    def supports(self, notification: EVSENotification) -> bool:
        """Return True for a notification that this generation has."""
        return True

    def _notify(self, order: orders.Notify, now: float) -> None:
        self.evse.notification, self.evse.notification_delay_s = order.notification, order.within_s
        self._react_by = None if order.notification is None else now + order.within_s + GRACE

    def _lapsed(self, now: float) -> EVSENotification | None:
        """Drop an expired notification; return it if the EV had to end the session."""
        notification = self.evse.notification
        if self._react_by is None or now < self._react_by:
            return None
        self._react_by = None
        if notification is None:
            return None
        self._events.append(NotificationIgnored(notification))
        if notification in MUST_END:
            return notification
        self.evse.notification = None
        return None

    def take_over(self, evse: Evse) -> None:
        """Serve the vehicle of the connection with a state of the hardware."""
        self.evse = evse

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
            self._end(diagnosis.stream_start(data) or str(error), ok=False)
            return self._take_events()
        for received in frames:
            if self.ended or self._stopped:
                break
            if self._shaken:
                self._take_message(received, now)
            else:
                self._take_handshake(received, now)
        return self._take_events()

    def command(self, order: orders.SeccOrder, now: float) -> None:
        """Execute an order of the host; see `orders.py`."""
        if isinstance(order, orders.Notify):
            self._notify(order, now)
        elif isinstance(order, orders.Abort):
            if order.silent:
                self._end(order.reason, ok=False)
            else:
                self._abort = order.reason
        else:
            apply_order(self.evse, order)

    def expire(self, now: float) -> list[Event]:
        """Process the passage of time."""
        if self.ended:
            return self._take_events()
        if self._stopped:
            if now >= self._next_by:
                self.ended = True
        elif self._setup_by is not None and now >= self._setup_by:
            self._end("the car did not set up a session in time", ok=False)
        elif now >= self._next_by:
            self._end("no request from the car in time (sequence timeout)", ok=False)
        return self._take_events()

    def deadline(self) -> float | None:
        """Return the time of the next `expire`."""
        if self.ended:
            return None
        if self._setup_by is not None and not self._stopped:
            return min(self._setup_by, self._next_by)
        return self._next_by

    def postpone_timeout(self, seconds: float) -> float:
        """Postpone the sequence timeout (negative: advance it); return its time."""
        self._next_by += seconds
        return self._next_by

    # handshake

    def _take_handshake(self, received: Frame, now: float) -> None:
        if received.payload_type != PayloadType.SUPPORTED_APP_PROTOCOL or not received.well_formed:
            self._ignore(received)
            return
        try:
            offered = app_protocol.decode(received.payload)
        except RemoteProtocolError as error:
            self._end(f"invalid handshake message: {error}", ok=False)
            return
        if not isinstance(offered, supportedAppProtocolReq):
            self._ignore(received)
            return
        response, agreement = app_protocol.choose(offered, self.protocols())
        self._received(offered, received.payload)
        self._send(app_protocol.encode(response), response)
        self._next_by = now + self._sequence
        if agreement is None:
            self._close("car and charger have no protocol in common")
            return
        self._shaken = True
        self._agreed(agreement)
        self._events.append(ProtocolAgreed(agreement.protocol.namespace, agreement.minor_deviation))

    def _ignore(self, received: Frame) -> None:
        self._events.append(FrameIgnored(received.payload_type, len(received.payload)))

    # end

    def _close(self, reason: str, code: StrEnum | None = None) -> None:
        """End the connection after a FAILED response, which is fatal."""
        self.ended = True
        self._report_end(reason, ok=False, code=code, state=self._finish())

    def _end(self, reason: str, *, ok: bool) -> None:
        """End the connection without another response."""
        self.ended = True
        self._report_end(reason, ok=ok, code=None, state=self._finish())

    def _report_end(self, reason: str, *, ok: bool, code: StrEnum | None, state: StrEnum | None) -> None:
        self._stopped = True
        if not self._end_reported:
            self._end_reported = True
            self._events.append(SessionEnded(reason=reason, ok=ok, code=code, state=state))
